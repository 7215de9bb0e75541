"""A restored store asks before it repeats what the original may have done (findings A8 and A9)."""

from __future__ import annotations

import shutil
import stat
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

import tenure
from tenure.errors import CannotOpen, InvalidInput
from tenure.persistence.upkeep.backup import back_up, restore
from tenure.persistence.upkeep.look import look_into
from tenure.persistence.upkeep.verify import verify_runtime

pytestmark = pytest.mark.sqlite("a backup of a file")


def names_with(part: str, folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if part in path.name]


class Post:
    """Sends letters, and can be told to wait before each."""

    def __init__(self) -> None:
        self.letters: list[str] = []
        self.waiting = trio.Event()
        self.go_on = trio.Event()

    async def write(self, run: tenure.Run) -> None:
        self.waiting.set()
        await self.go_on.wait()
        await run.step("letter", self.send, run.inputs[0].payload, repeat="never")

    def send(self, text: str) -> str:
        self.letters.append(text)
        return "sent"


@asynccontextmanager
async def host(path: Path, post: Post) -> AsyncGenerator[tenure.Supervisor]:
    async with tenure.open_supervisor(path, behaviours={"clerk": post.write}) as supervisor:
        yield supervisor


async def copy_of_a_host_in_the_middle_of_a_run(tmp_path: Path) -> tuple[Path, int]:
    post = Post()
    async with host(tmp_path / "original.db", post) as supervisor:
        clerk = await supervisor.spawn("clerk", "clerk")
        ticket = await clerk.accept("dear sir")
        await post.waiting.wait()
        await back_up(tmp_path / "original.db", tmp_path / "copy.db")
        post.go_on.set()
        await ticket.wait_outcome()
        token = clerk.fence_token
    assert post.letters == ["dear sir"]
    return tmp_path / "copy.db", token


@pytest.mark.parametrize("run_unfinished", [False, True])
async def test_an_unfinished_run_of_a_copy_goes_on_only_when_it_is_asked_to(
    tmp_path: Path, *, run_unfinished: bool
) -> None:
    copy, token = await copy_of_a_host_in_the_middle_of_a_run(tmp_path)
    copied = await restore(copy, tmp_path / "new.db", run_unfinished=run_unfinished)
    post = Post()
    post.go_on.set()

    async with host(tmp_path / "new.db", post) as supervisor:
        clerk = await supervisor.spawn("clerk", "clerk")
        assert clerk.fence_token > token + 2**31
        ticket = await clerk.accept("dear madam", idempotency_key="second")
        if not run_unfinished:
            assert await clerk.wait_held() == "restored"
            assert post.letters == []
            await clerk.resume()
        await ticket.wait_outcome()

    assert copied.held == (0 if run_unfinished else 1)
    assert post.letters == ["dear sir", "dear madam"]


@pytest.mark.parametrize("run_unfinished", [False, True])
@pytest.mark.parametrize("what", ["inbox", "delayed", "schedule"])
async def test_what_waited_in_a_copy_goes_on_only_when_it_is_asked_to(
    tmp_path: Path, what: str, *, run_unfinished: bool
) -> None:
    """The original does it after the copy was made."""
    post = Post()
    post.go_on.set()
    async with host(tmp_path / "original.db", post) as supervisor:
        clerk = await supervisor.spawn("clerk", "clerk")
        await clerk.hold()
        if what == "schedule":
            await supervisor.schedules.create("daily", "clerk", tenure.Every(1.0), "dear sir")
        else:
            await clerk.accept("dear sir", after_s=0.5 if what == "delayed" else None)
        await back_up(tmp_path / "original.db", tmp_path / "copy.db")
    copied = await restore(tmp_path / "copy.db", tmp_path / "new.db", run_unfinished=run_unfinished)

    async with host(tmp_path / "new.db", post) as supervisor:
        await supervisor.resume("clerk")
        clerk = await supervisor.spawn("clerk", "clerk")
        await trio.sleep(2)  # real time: a schedule is due each second
        assert post.letters[:1] == (["dear sir"] if run_unfinished else [])
        if not run_unfinished:
            assert await clerk.wait_held() == "restored"
            await clerk.resume()
            with trio.fail_after(30):
                await post.waiting.wait()

    assert copied.held == (0 if run_unfinished else 1)


async def test_a_copy_in_which_nothing_waits_holds_nothing(tmp_path: Path) -> None:
    post = Post()
    post.go_on.set()
    async with host(tmp_path / "original.db", post) as supervisor:
        clerk = await supervisor.spawn("clerk", "clerk")
        await (await clerk.accept("dear sir")).wait_outcome()
        await back_up(tmp_path / "original.db", tmp_path / "copy.db")

    assert (await restore(tmp_path / "copy.db", tmp_path / "new.db")).held == 0


async def test_what_a_replicator_brought_back_is_taken_with_its_log_and_its_tokens_are_raised(tmp_path: Path) -> None:
    post = Post()
    post.go_on.set()
    async with host(tmp_path / "original.db", post) as supervisor:
        clerk = await supervisor.spawn("clerk", "clerk")
        await (await clerk.accept("dear sir")).wait_outcome()
        token = clerk.fence_token
        for end in ("", "-wal"):
            shutil.copyfile(tmp_path / f"original.db{end}", tmp_path / f"brought.db{end}")
    assert (tmp_path / "brought.db-wal").stat().st_size

    copied = await restore(tmp_path / "brought.db", tmp_path / "new.db")

    assert copied.rows["inputs"] == 1
    assert copied.last_fence_token >= token + 2**32
    async with look_into(tmp_path / "new.db") as look:
        assert (await look.read(lambda read: verify_runtime(read, tenure.LogicalRuntimeId("clerk")))).is_sound


async def test_a_store_that_hosts_use_is_no_copy(tmp_path: Path) -> None:
    post = Post()
    async with host(tmp_path / "original.db", post) as supervisor:
        await supervisor.spawn("clerk", "clerk")
        with pytest.raises(InvalidInput):
            await restore(tmp_path / "original.db", tmp_path / "new.db")
    assert not (tmp_path / "new.db").exists()


async def test_nothing_that_is_planted_beside_a_target_is_followed_or_filled(tmp_path: Path) -> None:
    async with tenure.open_store(tmp_path / "a.db"):
        pass
    victim = tmp_path / "victim"
    victim.write_text("precious")
    for name in ("copy.db-partial", "copy.db-partial-0", "copy.db-journal-0"):
        (tmp_path / name).symlink_to(victim)
    open_to_all = tmp_path / "copy.db-partial-1"
    open_to_all.touch(mode=0o666)

    await back_up(tmp_path / "a.db", tmp_path / "copy.db")

    assert victim.read_text() == "precious"
    assert open_to_all.read_bytes() == b""
    assert stat.S_IMODE((tmp_path / "copy.db").stat().st_mode) == 0o600


async def test_a_link_at_the_target_is_refused(tmp_path: Path) -> None:
    async with tenure.open_store(tmp_path / "a.db"):
        pass
    (tmp_path / "copy.db").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(CannotOpen):
        await back_up(tmp_path / "a.db", tmp_path / "copy.db")

    assert not (tmp_path / "elsewhere").exists()


async def test_two_backups_to_one_target_do_not_spoil_each_other(tmp_path: Path) -> None:
    outcomes: list[str] = []

    async def attempt() -> None:
        try:
            await back_up(tmp_path / "a.db", tmp_path / "copy.db")
            outcomes.append("made")
        except CannotOpen:
            outcomes.append("refused")

    async with tenure.open_store(tmp_path / "a.db"), trio.open_nursery() as nursery:
        for _ in range(4):
            nursery.start_soon(attempt)

    assert sorted(outcomes) == ["made", "refused", "refused", "refused"]
    await restore(tmp_path / "copy.db", tmp_path / "new.db")
    assert not names_with("partial", tmp_path)
