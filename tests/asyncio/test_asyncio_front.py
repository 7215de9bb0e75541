"""The asyncio front: verbs, steps on the loop, cancellation both ways, errors as they are, nothing left behind."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import trio

import tenure
import tenure.asyncio
from tenure.asyncio.body import Body
from tenure.errors import Closed, KindMismatch, NotADatabase, NotFound, RunEnded, StepFailed, StoreBroken, UnknownKind
from tenure.portals.cancelling import Held
from tests.kit.ground import pull_the_plug

MEMORY = ":memory:"
PATIENCE_S = 60.0
DRAIN_S = 5.0


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a program on a loop of its own; one that hangs fails in place of hanging the suite."""

    async def bounded() -> None:
        async with asyncio.timeout(PATIENCE_S):
            await main()

    asyncio.run(bounded())


async def note(run: tenure.Run) -> None:
    run.session.append(run.inputs[0].payload)


async def wait_for_ever(run: tenure.Run) -> None:
    await trio.sleep_forever()


def ours() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("tenure")]


async def until(true: Callable[[], bool]) -> None:
    """Wait for something of another thread that has no event."""
    while not true():  # noqa: ASYNC110
        await asyncio.sleep(0)


# --- Verbs


def test_the_store_answers_through_the_front(tmp_path: Path) -> None:
    async def main() -> None:
        async with tenure.asyncio.open_supervisor(tmp_path / "a.db", behaviours={"note": note}) as supervisor:
            store = supervisor.store
            await (await supervisor.accept("alice", 1, kind="note")).wait_outcome()
            await store.health_check()
            assert (store.name, store.shared, store.durability_tier, store.broken) == ("sqlite", True, "durable", None)
            assert store.limits == tenure.Limits()
            assert await store.verdict(store.incarnation, 1) is True
            assert (await store.prune(0)).inputs == 1
            assert (await store.statistics()).commits > 0
            waiting = asyncio.create_task(store.wait_broken())

            async def pull(inner: tenure.Supervisor) -> None:
                await trio.lowlevel.checkpoint()
                pull_the_plug(inner.store)

            await supervisor.in_trio(pull)
            try:
                await asyncio.Event().wait()
            finally:
                assert "pulled" in (await waiting).detail

    with pytest.raises(StoreBroken):
        run(main)


def test_output_is_emitted_by_functions_of_the_loop_and_followed_from_it(tmp_path: Path) -> None:
    @tenure.asyncio.on_loop
    async def ask(words: list[str]) -> list[bool]:
        said: list[bool] = []
        for word in words:
            await asyncio.sleep(0)
            said.append(tenure.emit(word))
        return said

    async def speak(run: tenure.Run) -> None:
        assert await run.step("ask", ask, ["a", "b"], repeat="freely") == [True, True]
        await run.emit("c")

    async def main() -> None:
        async with tenure.asyncio.open_supervisor(tmp_path / "a.db", behaviours={"speaks": speak}) as supervisor:
            alice = await supervisor.spawn("alice", "speaks")
            ticket = await alice.accept("go")
            reader = alice.follow(ticket=ticket)
            entries = [entry async for entry in reader]
            assert [entry.value for entry in entries if entry.kind == "data"] == ["a", "b", "c"]
            assert reader.position == entries[-1].position
            assert await anext(supervisor.follow(entries[0].position)) == entries[1]

    run(main)


def test_the_verbs_are_awaited_from_asyncio(tmp_path: Path) -> None:
    async def main() -> None:
        async with tenure.asyncio.open_supervisor(tmp_path / "a.db", behaviours={"note": note}) as supervisor:
            alice = await supervisor.spawn("alice", "note", labels={"of": "ann"})
            assert await alice.relabel({"tier": "gold"}, remove=["of"]) == {"tier": "gold"}
            ticket = await alice.accept("hello", idempotency_key="k")
            outcome = await ticket.wait_outcome()
            again = await alice.accept("hello", idempotency_key="k")
            found = await supervisor.ticket("alice", idempotency_key="k")

            assert (outcome.phase, ticket.outcome, ticket.runtime_id) == ("consumed", outcome, "alice")
            assert (ticket.deduplicated, again.deduplicated) == (False, True)
            assert found.input_id == again.input_id == ticket.input_id
            assert (await found.wait_outcome()).phase == "consumed"
            assert await supervisor.read_session("alice") == ["hello"]
            assert await supervisor.set_execution_state("alice", {"seen": 1}, delete=["not"], expected=0) == 1
            assert (await supervisor.execution_state("alice")).values == {"seen": 1}
            await supervisor.accept("bob", "hello", kind="other", labels={"tier": "gold"})
            listed = await supervisor.list(kind="note", labels={"tier": "gold"})
            assert [line.runtime_id for line in listed] == ["alice"]
            assert (await supervisor.statistics()).runtimes == 1
            assert await supervisor.dead_letters("alice") == await supervisor.refused_sends("alice") == []
            token, generation = alice.fence_token, alice.generation
            await alice.reset()
            assert (alice.generation, alice.fence_token > token) == (generation + 1, True)
            await alice.retire()
            assert await alice.wait_state("retired", "stopped") == alice.state == "retired"
            await alice.recycle()
            await alice.stop()
            assert (await supervisor.runtime("alice")).state == "stopped"
            assert (await supervisor.spawn("alice", "note")).state == "attached"
            await alice.destroy()
            assert (alice.kind, alice.state) == ("note", "destroyed")

    run(main)


def test_a_held_runtime_is_seen_settled_and_resumed_from_asyncio() -> None:
    policy = tenure.RestartPolicy(budget=1)
    failing = True

    async def fail(run: tenure.Run) -> None:
        if failing:
            raise ValueError("bad day")

    async def main() -> None:
        nonlocal failing
        behaviours = {"fail": tenure.Behaviour(fail, restart=policy)}
        async with tenure.asyncio.open_supervisor(MEMORY, behaviours=behaviours) as supervisor:
            alice = await supervisor.spawn("alice", "fail")
            ticket = await alice.accept(1)
            assert (await alice.wait_held(), alice.held_detail) == ("budget used up", "ValueError: bad day")
            with pytest.raises(NotFound):
                await alice.settle_step("main/1", tenure.Ran())
            failing = False
            await alice.resume()
            await alice.wait_resumed()
            assert (await ticket.wait_outcome()).phase == "consumed"

    run(main)


def test_what_has_no_verb_is_done_beside_the_supervisor() -> None:
    async def main() -> None:
        async with tenure.asyncio.open_supervisor(MEMORY, behaviours={"note": note}) as supervisor:

            async def name(inner: tenure.Supervisor) -> str:
                await trio.lowlevel.checkpoint()
                return f"{inner.store.name} in {threading.current_thread().name}"

            assert await supervisor.in_trio(name) == "sqlite in tenure-supervisor"

    run(main)


def test_two_supervisors_live_beside_each_other_on_one_loop(tmp_path: Path) -> None:
    async def main() -> None:
        async with (
            tenure.asyncio.open_supervisor(tmp_path / "a.db", behaviours={"note": note}) as one,
            tenure.asyncio.open_supervisor(tmp_path / "b.db", behaviours={"note": note}) as other,
        ):
            for supervisor, text in ((one, "one"), (other, "other")):
                ticket = await (await supervisor.spawn("alice", "note")).accept(text)
                await ticket.wait_outcome()
            assert (await one.read_session("alice"), await other.read_session("alice")) == (["one"], ["other"])

    run(main)


def test_a_runtime_of_another_host_is_found_and_asked(tmp_path: Path) -> None:
    async def main() -> None:
        async with (
            tenure.asyncio.open_supervisor(tmp_path / "a.db", behaviours={"note": note}) as owner,
            tenure.asyncio.open_supervisor(tmp_path / "a.db", behaviours={}) as asker,
        ):
            alice = await owner.spawn("alice", "note")
            foreign = await asker.find("alice")
            assert isinstance(foreign, tenure.asyncio.ForeignRuntime)
            assert (foreign.runtime_id, foreign.kind) == ("alice", "note")
            assert isinstance(await owner.find("alice"), tenure.asyncio.Runtime)
            ticket = await foreign.accept("hello")
            assert (await ticket.wait_outcome()).phase == "consumed"
            assert await foreign.cancel() is False
            with pytest.raises(NotFound):
                await foreign.retry("nothing")
            await foreign.retire()
            assert alice.state == await foreign.wait_state("retired") == "retired"
            with pytest.raises(NotFound):
                await asker.find("nobody")

    run(main)


# --- Steps on the loop


def test_a_step_under_on_loop_runs_on_the_programs_own_loop_with_its_key() -> None:
    seen: list[object] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()

        @tenure.asyncio.on_loop
        async def ask(question: str, *, key: str) -> str:
            await asyncio.sleep(0)
            seen.extend((asyncio.get_running_loop() is loop, len(key) == 36))
            return f"{question}?"

        async def chat(run: tenure.Run) -> None:
            run.session.append(await run.step("ask", ask, run.inputs[0].payload, repeat="keyed"))

        async with tenure.asyncio.open_supervisor(MEMORY, behaviours={"chat": chat}) as supervisor:
            await (await (await supervisor.spawn("alice", "chat")).accept("why")).wait_outcome()
            assert await supervisor.read_session("alice") == ["why?"]

    run(main)

    assert seen == [True, True]


def test_no_more_runs_of_a_kind_execute_steps_on_the_loop_than_it_says() -> None:
    now = most = 0

    async def main() -> None:
        gate = asyncio.Event()

        @tenure.asyncio.on_loop
        async def work() -> None:
            nonlocal now, most
            now += 1
            most = max(most, now)
            await gate.wait()
            now -= 1

        async def act(run: tenure.Run) -> None:
            await run.step("work", work, repeat="freely")

        bounded = tenure.Behaviour(act, max_running=2)
        async with tenure.asyncio.open_supervisor(MEMORY, behaviours={"k": bounded}) as supervisor:
            tickets = [await (await supervisor.spawn(name, "k")).accept(1) for name in "abcde"]
            await until(lambda: now == 2)
            while (await supervisor.statistics()).waiting_for_slot < 3:  # noqa: ASYNC110
                await asyncio.sleep(0)
            gate.set()
            for ticket in tickets:
                await ticket.wait_outcome()

    run(main)

    assert most == 2


@pytest.mark.parametrize("arguments", [(), ("one",)], ids=["does not fit", "raises"])
def test_what_an_asyncio_step_raises_comes_out_of_the_step(arguments: tuple[str, ...]) -> None:
    caught: list[str] = []

    @tenure.asyncio.on_loop
    async def ask(question: str) -> str:
        await asyncio.sleep(0)
        raise TypeError(question)

    async def chat(run: tenure.Run) -> None:
        try:
            await run.step("ask", ask, *arguments, repeat="freely")
        except StepFailed as exc:
            caught.append(exc.detail)

    async def main() -> None:
        async with tenure.asyncio.open_supervisor(MEMORY, behaviours={"chat": chat}) as supervisor:
            await (await (await supervisor.spawn("alice", "chat")).accept(1)).wait_outcome()

    run(main)

    assert [text == "TypeError: one" or "question" in text for text in caught] == [True]


def test_a_stop_cancels_the_asyncio_task_of_a_step_and_waits_for_its_end() -> None:
    async def main() -> None:
        begun, ended = asyncio.Event(), asyncio.Event()
        waited: list[bool] = []

        @tenure.asyncio.on_loop
        async def ask() -> None:
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0)
                ended.set()

        async def chat(run: tenure.Run) -> None:
            try:
                await run.step("ask", ask, repeat="freely")
            finally:
                waited.append(ended.is_set())  # what it raises then, its stop has no one to tell

        async with tenure.asyncio.open_supervisor(MEMORY, behaviours={"chat": chat}) as supervisor:
            alice = await supervisor.spawn("alice", "chat")
            ticket = await alice.accept(1)
            await begun.wait()
            await alice.stop()
            assert (await ticket.wait_outcome()).reason == "stopped"
            await ended.wait()
        assert waited == [True]

    run(main)


def test_an_asyncio_step_that_somebody_else_cancels_fails_its_attempt_and_nothing_more() -> None:
    tasks: list[asyncio.Task[Any] | None] = []

    @tenure.asyncio.on_loop
    async def ask() -> str:
        tasks.append(asyncio.current_task())
        if len(tasks) > 1:
            return "second time"
        await asyncio.Event().wait()
        return "never"

    async def chat(run: tenure.Run) -> None:
        run.session.append(await run.step("ask", ask, repeat="freely"))

    async def main() -> None:
        behaviour = tenure.Behaviour(chat, restart=tenure.RestartPolicy(backoff_s=0.001))
        async with tenure.asyncio.open_supervisor(MEMORY, behaviours={"chat": behaviour}) as supervisor:
            ticket = await (await supervisor.spawn("alice", "chat")).accept(1)
            await until(lambda: bool(tasks))
            assert tasks[0] is not None
            tasks[0].cancel()
            assert (await ticket.wait_outcome()).phase == "consumed"
            assert await supervisor.read_session("alice") == ["second time"]

    run(main)


def test_a_step_under_on_loop_says_where_it_belongs() -> None:
    @tenure.asyncio.on_loop
    async def ask() -> None:
        await asyncio.sleep(0)

    with pytest.raises(RuntimeError, match=r"tenure\.asyncio\.open_supervisor"):
        trio.run(ask)


# --- Cancellation from asyncio


def test_a_cancelled_wait_ends_and_changes_nothing() -> None:
    release = threading.Event()

    async def slow(run: tenure.Run) -> None:
        await run.step("wait", release.wait, PATIENCE_S, repeat="freely")

    async def main() -> None:
        async with tenure.asyncio.open_supervisor(MEMORY, behaviours={"slow": slow}) as supervisor:
            ticket = await (await supervisor.spawn("alice", "slow")).accept(1)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await ticket.wait_outcome()
            release.set()
            assert (await ticket.wait_outcome()).phase == "consumed"

    run(main)


def test_a_call_that_comes_to_its_end_all_the_same_delivers_it_and_the_cancellation_comes_next() -> None:
    async def main() -> None:
        async with tenure.asyncio.open_supervisor(MEMORY, behaviours={"note": note}) as supervisor:
            taken = asyncio.Event()
            loop = asyncio.get_running_loop()
            delivered: list[str] = []

            async def take(_: tenure.Supervisor) -> str:
                with trio.CancelScope(shield=True):
                    loop.call_soon_threadsafe(taken.set)
                    await trio.to_thread.run_sync(release.wait)
                return "landed"

            async def ask() -> None:
                delivered.append(await supervisor.in_trio(take))
                await asyncio.sleep(PATIENCE_S)

            release = threading.Event()
            task = asyncio.create_task(ask())
            await taken.wait()
            task.cancel()
            await asyncio.sleep(0)
            assert not task.done()
            release.set()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert (delivered, task.cancelling()) == (["landed"], 1)

    run(main)


def test_a_cancelled_opening_leaves_nothing_open(tmp_path: Path) -> None:
    async def main() -> None:
        async def host() -> None:
            async with tenure.asyncio.open_supervisor(tmp_path / "a.db", behaviours={"note": note}):
                await asyncio.Event().wait()

        for moments in range(5):
            task = asyncio.create_task(host())
            for _ in range(moments):
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert "tenure-supervisor" not in ours()
        async with tenure.asyncio.open_supervisor(tmp_path / "a.db", behaviours={"note": note}):
            pass

    run(main)


# --- The end of the body


def test_errors_of_verbs_and_of_the_body_come_as_they_are() -> None:
    async def main() -> None:
        async with tenure.asyncio.open_supervisor(MEMORY, behaviours={"note": note, "b": note}) as supervisor:
            await supervisor.spawn("alice", "note")
            with pytest.raises(UnknownKind):
                await supervisor.spawn("alice", "chat")
            with pytest.raises(KindMismatch):
                await supervisor.spawn("alice", "b")
        with pytest.raises(ValueError, match="mine"):
            async with tenure.asyncio.open_supervisor(MEMORY, behaviours={"note": note}):
                raise ValueError("mine")

    run(main)


def test_what_cannot_be_opened_says_why_and_leaves_no_thread(tmp_path: Path) -> None:
    async def main() -> None:
        with pytest.raises(NotADatabase):
            async with tenure.asyncio.open_supervisor(tmp_path, behaviours={"note": note}):
                pytest.fail("a folder was opened")

    run(main)

    assert "tenure-supervisor" not in ours()


def test_a_normal_exit_lets_runs_come_to_their_end_and_answers_who_waits(tmp_path: Path) -> None:
    release = threading.Event()

    async def slow(run: tenure.Run) -> None:
        await run.step("wait", release.wait, PATIENCE_S, repeat="freely")
        if run.inputs[0].payload == 2:  # begun before the drain was, on a slow day
            await trio.sleep_forever()

    async def main() -> None:
        async with tenure.asyncio.open_supervisor(
            tmp_path / "a.db", behaviours={"slow": slow}, drain_s=DRAIN_S
        ) as supervisor:
            alice = await supervisor.spawn("alice", "slow")
            first, second = await alice.accept(1), await alice.accept(2)
            waits = asyncio.gather(first.wait_outcome(), second.wait_outcome(), return_exceptions=True)
            await alice.wait_state("running")  # and behind it the waits are on their way: later calls would be refused
            asyncio.get_running_loop().call_later(0.01, release.set)
        done, left = await waits
        assert isinstance(done, tenure.Outcome)
        assert done.phase == "consumed"
        assert isinstance(left, Closed)
        with pytest.raises(Closed):
            await alice.accept(3)

    run(main)


@pytest.mark.parametrize("how", ["raises", "is cancelled"])
def test_another_exit_drains_nothing(how: str) -> None:
    ended: list[str] = []

    async def slow(run: tenure.Run) -> None:
        try:
            await trio.sleep_forever()
        finally:
            ended.append("cancelled")

    async def host() -> None:
        async with tenure.asyncio.open_supervisor(MEMORY, behaviours={"slow": slow}, drain_s=PATIENCE_S) as supervisor:
            alice = await supervisor.spawn("alice", "slow")
            await alice.accept(1)
            await alice.wait_state("running")
            raise ValueError if how == "raises" else asyncio.CancelledError

    async def main() -> None:
        with pytest.raises((ValueError, asyncio.CancelledError)):
            await host()

    run(main)

    assert ended == ["cancelled"]


def test_a_drain_that_is_cancelled_ends_at_once() -> None:
    async def main() -> None:
        async def host() -> None:
            behaviours = {"slow": wait_for_ever}
            async with tenure.asyncio.open_supervisor(MEMORY, behaviours=behaviours, drain_s=1e6) as supervisor:
                alice = await supervisor.spawn("alice", "slow")
                await alice.accept(1)
                await alice.wait_state("running")
                asyncio.get_running_loop().call_later(0.01, task.cancel)

        task = asyncio.create_task(host())
        with pytest.raises(asyncio.CancelledError):
            await task

    run(main)


def test_a_store_that_breaks_cancels_the_body_and_says_so_in_its_place() -> None:
    async def main() -> None:
        elsewhere: asyncio.Task[tenure.Outcome] | None = None
        with pytest.raises(StoreBroken, match="pulled"):  # noqa: PT012 - what raises is the end of the body
            async with tenure.asyncio.open_supervisor(MEMORY, behaviours={"slow": wait_for_ever}) as supervisor:
                ticket = await (await supervisor.spawn("alice", "slow")).accept(1)
                elsewhere = asyncio.create_task(ticket.wait_outcome())

                async def pull(inner: tenure.Supervisor) -> None:
                    await trio.lowlevel.checkpoint()
                    pull_the_plug(inner.store)

                await supervisor.in_trio(pull)
                await asyncio.Event().wait()
        assert elsewhere is not None
        with pytest.raises(StoreBroken):
            await elsewhere
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0

    run(main)


def test_a_behaviour_that_asks_the_process_to_end_does_so_through_the_body() -> None:
    async def leave(run: tenure.Run) -> None:
        raise SystemExit(7)

    async def main() -> None:
        async with tenure.asyncio.open_supervisor(MEMORY, behaviours={"leave": leave}) as supervisor:
            await (await supervisor.spawn("alice", "leave")).accept(1)
            await asyncio.Event().wait()

    with pytest.raises(SystemExit, match="7"):
        run(main)


def test_no_thread_of_ours_is_left_behind(tmp_path: Path) -> None:
    before = threading.active_count()

    async def main() -> None:
        async with tenure.asyncio.open_supervisor(tmp_path / "a.db", behaviours={"note": note}) as supervisor:
            await (await (await supervisor.spawn("alice", "note")).accept(1)).wait_outcome()
            await supervisor.read_session("alice")
            assert len(ours()) > 1
        assert "tenure-supervisor" not in ours()
        await until(lambda: not ours())  # writer and readers end behind their last work

    run(main)

    assert threading.active_count() <= before


def test_a_run_is_over_for_asyncio_too_when_it_is_over() -> None:
    kept: list[tenure.Run] = []

    async def keep(run: tenure.Run) -> None:
        kept.append(run)

    async def main() -> None:
        async with tenure.asyncio.open_supervisor(MEMORY, behaviours={"keep": keep}) as supervisor:
            await (await (await supervisor.spawn("alice", "keep")).accept(1)).wait_outcome()
            with pytest.raises(RunEnded):
                kept[0].send("bob", 1)

    run(main)


@pytest.mark.parametrize("cancelled", [False, True])
def test_an_interrupt_that_a_finished_call_keeps_for_the_next_await_ends_with_the_body(*, cancelled: bool) -> None:
    ends: list[str] = []

    async def main() -> None:
        task = asyncio.current_task()
        assert task is not None
        body = Body()
        body.enter()
        asyncio.get_running_loop().call_soon(body.interrupt)
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError as exc:
            Held(exc, 0).come_at_next_await()  # as a call does whose commit was taken
        if cancelled:
            task.cancel()
        assert not await body.leave(None)
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            ends.append("cancelled")
        else:
            ends.append("went on")

    asyncio.run(main())
    assert ends == ["cancelled" if cancelled else "went on"]


def test_a_host_drains_and_takes_again(tmp_path: Path) -> None:
    async def main() -> None:
        async with tenure.asyncio.open_supervisor(tmp_path / "a.db", behaviours={"note": note}) as supervisor:
            ada = await supervisor.spawn("ada", "note")
            await supervisor.drain(drain_s=1)
            assert (await supervisor.statistics()).runtimes == 0
            ticket = await ada.accept("waits")
            await supervisor.undrain()
            assert (await ticket.wait_outcome()).phase == "consumed"

    run(main)


def test_a_behaviour_of_trio_that_is_marked_for_asyncio_says_that_it_is(tmp_path: Path) -> None:
    @tenure.asyncio.behaviour
    async def sleeps(_run: tenure.asyncio.Run) -> None:
        await trio.sleep(0.01)

    async def main() -> None:
        once = tenure.Behaviour(sleeps, restart=tenure.RestartPolicy(max_attempts=1))
        async with tenure.asyncio.open_supervisor(tmp_path / "agents.db", behaviours={"sleeps": once}) as supervisor:
            outcome = await (await supervisor.accept("a", 1, kind="sleeps")).wait_outcome()
            assert "not marked by tenure.asyncio.behaviour" in (outcome.error or "")

    run(main)


def test_a_behaviour_of_asyncio_that_is_not_marked_says_how_it_is(tmp_path: Path) -> None:
    async def sleeps(_run: tenure.Run) -> None:
        await asyncio.sleep(0.01)

    async def yields(_run: tenure.Run) -> None:
        await asyncio.sleep(0)

    async def asks(run: tenure.Run) -> None:
        await run.step("ask", asyncio.sleep, 0.01, repeat="freely")

    async def main() -> None:
        once = tenure.RestartPolicy(max_attempts=1)
        behaviours = {each.__name__: tenure.Behaviour(each, restart=once) for each in (sleeps, yields, asks)}
        async with tenure.asyncio.open_supervisor(tmp_path / "agents.db", behaviours=behaviours) as supervisor:
            for kind in behaviours:
                outcome = await (await supervisor.accept(kind, 1, kind=kind)).wait_outcome()
                assert "tenure.asyncio.behaviour, a step by tenure.asyncio.on_loop" in (outcome.error or ""), kind

    run(main)
