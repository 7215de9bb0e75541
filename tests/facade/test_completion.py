"""What completion offers on the objects that users hold: what they may call, and nothing of the machinery."""

from __future__ import annotations

import pytest

import tenure

HANDLE = """
accept cancel destroy drop erase follow hold recycle relabel reset resume retire retry settle_step stop wait_held wait_resumed
wait_state
"""

OFFERED: dict[type, str] = {
    tenure.Supervisor: """
        accept add_hook backlog dead_letters drain entries erase execution_state find follow health hold list metrics
        read_session refused_sends remove_hook resume runtime
        schedules select serve_queue session_id set_execution_state spawn spawn_many statistics ticket unfinished_runs
        undrain unowned why
    """,
    tenure.Runtime: f"{HANDLE} fence_token generation held held_detail kind runtime_id state",
    tenure.ForeignRuntime: HANDLE,
    tenure.Selection: "destroy hold reset resume retire retry stop",
    tenure.Run: """
        again answer ask checkpoint children destroy emit first flush gather map move_on_after now patched random recorded
        reject reset retire retiring send sleep spawn steered step stop uuid wait_steered
    """,
    tenure.Store: """
        broken commit durability_tier erase health_check incarnation name prune read read_connection rekey requires_network
        shared shrink shutdown statistics supports_air_gapped verdict wait_broken
    """,
    tenure.RunSession: "append attach count fork messages pop raw_messages rewrite",
    tenure.RunState: "all delete exists get set",
    tenure.Schedules: "create delete get list occurrences pause resume trigger update",
    tenure.Ticket: "deduplicated input_id outcome runtime_id wait_outcome",
}
"""The names of each class; attributes that its constructor sets are not in its `dir`."""


@pytest.mark.parametrize("kind", OFFERED, ids=lambda kind: kind.__name__)
def test_a_class_offers_what_a_user_may_call_and_nothing_else(kind: type) -> None:
    assert [name for name in dir(kind) if not name.startswith("_")] == sorted(OFFERED[kind].split())


@pytest.mark.parametrize("kind", OFFERED, ids=lambda kind: kind.__name__)
def test_what_a_class_offers_is_documented(kind: type) -> None:
    undocumented = [
        name
        for name in OFFERED[kind].split()
        if not getattr(getattr(kind, name), "__doc__", None) and name not in (kind.__doc__ or "")
    ]

    assert not undocumented


async def test_what_a_run_holds_are_words_for_its_behaviour() -> None:
    seen: dict[str, set[str]] = {}

    async def look(run: tenure.Run) -> None:
        for name, each in (("run", run), ("session", run.session), ("state", run.state)):
            seen[name] = {attribute for attribute in vars(each) if not attribute.startswith("_")}

    async with tenure.open_supervisor(":memory:", behaviours={"kind": look}) as supervisor:
        await (await supervisor.accept("alice", 1, kind="kind")).wait_outcome()

    words = {"abandoned", "attempts", "fence_token", "generation", "inputs", "run_id", "runtime_id", "session", "state"}
    assert seen == {"run": words, "session": set(), "state": set()}


async def test_a_supervisor_holds_its_store_and_nothing_else_that_a_user_sees() -> None:
    async with tenure.open_supervisor(":memory:", behaviours={}) as supervisor:
        assert [name for name in vars(supervisor) if not name.startswith("_")] == ["store"]
