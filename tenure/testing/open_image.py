"""Opens a saved crash image again: ``python -m tenure.testing.open_image FOLDER``.

Prints what led to it and what SQLite says of it, then runs the test that failed on exactly this
image.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from .drive.mounts import Mounts
from .drive.recording_vfs import (
    RecordingVfs,
    examine,
)
from .saved_image import SavedImage


def main(arguments: Sequence[str] | None = None) -> int:
    """Show the image and check it; the exit code is pytest's, or 0 where no test is known."""
    parser = argparse.ArgumentParser(prog="python -m tenure.testing.open_image", description=__doc__)
    parser.add_argument("folder", type=Path, help="the folder that the failure named")
    parser.add_argument("--show", action="store_true", help="only show it, run no test")
    asked = parser.parse_args(arguments)
    folder = asked.folder.resolve()
    saved = SavedImage.load(folder)
    sys.stdout.write("\n".join(_describe(saved, folder)) + "\n")
    if asked.show or saved.test is None:
        return 0
    import pytest  # noqa: PLC0415 - an image can be shown where pytest is not installed

    if saved.root is not None:
        os.chdir(saved.root)
    return int(pytest.main(["-p", "pytest_tenure", f"--power-cut-image={folder}", saved.test]))


def _describe(saved: SavedImage, folder: Path) -> list[str]:
    unsynced = len(saved.disk.unsynced_changes())
    lines = [f"image {saved.id} of the run with seed {saved.seed}"]
    lines += ["operations before it:", *saved.operations]
    lines += [f"files, with {unsynced} unsynced changes; plain copies in {folder / 'files'}:"]
    mounts = Mounts()
    with RecordingVfs(mounts) as vfs:
        for name in sorted(saved.disk.entries()):
            file = saved.disk.find(name)
            if file is None:
                continue
            lines.append(f"  {name}: {file.size} bytes")
            if file.visible[:16] == b"SQLite format 3\0":
                # On a copy: looking changes nothing.
                path = f"{mounts.mount(saved.disk.after_kill())}/{name}"
                lines += (f"    {line}" for line in examine(path, vfs))
    return lines


if __name__ == "__main__":
    sys.exit(main())
