"""Files of callers: a path may lead anywhere, and what it leads to does not stop a host."""

from __future__ import annotations

import os
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import trio

import tenure
from tenure.errors import CannotOpen

VERBS: dict[str, Callable[[tenure.Store, Path], Awaitable[Any]]] = {
    "put_file": lambda store, path: store.attachments.put_file("talk", str(path)),
    "id_of": lambda store, path: store.attachments.id_of(path),
}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("what", ["pipe", "device", "folder", "link to a pipe"])
async def test_what_is_not_a_plain_file_is_refused_at_once(
    store: tenure.Store, tmp_path: Path, verb: str, what: str
) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link to a pipe").symlink_to(tmp_path / "pipe")
    path = Path("/dev/zero") if what == "device" else tmp_path / what

    with trio.fail_after(30), pytest.raises(CannotOpen):
        await VERBS[verb](store, path)
    assert await store.attachments.get("talk", await store.attachments.put("talk", b"goes on")) == b"goes on"


async def test_a_file_that_this_process_writes_is_attached(store: tenure.Store, tmp_path: Path) -> None:
    with (tmp_path / "report").open("wb") as file:
        file.write(b"report")
        file.flush()

        attachment_id = await store.attachments.put_file("talk", str(tmp_path / "report"))

    assert await store.attachments.get("talk", attachment_id) == b"report"


async def test_a_file_that_is_written_is_its_owners_alone(store: tenure.Store, tmp_path: Path) -> None:
    attachment_id = await store.attachments.put("talk", b"report")

    await store.attachments.get_file("talk", attachment_id, str(tmp_path / "copy"))

    assert stat.S_IMODE((tmp_path / "copy").stat().st_mode) == 0o600
