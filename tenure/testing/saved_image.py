"""A crash image in a folder: what failed, to be opened again.

The folder holds ``image.pickle`` (everything, exactly), ``image.json`` (for people) and ``files/``
(the visible content of every file, for any tool).
"""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import final

from attrs import frozen

from .drive.disk import Disk
from .drive.images import ImageId
from .history import History
from .machine import Start

_EXACT = "image.pickle"
_FOR_PEOPLE = "image.json"
_FILES = "files"


@final
@frozen(kw_only=True, slots=True)
class SavedImage:
    """One image with all that its check needs.

    Attributes:
        id: Which image of its recording.
        disk: The disk after the crash.
        history: What had been said before it.
        start: The clocks and the identity of the machine that opens it.
        seed: The seed of the run.
        test: The test that checks it, as pytest names it, or None.
        root: The folder from which pytest was started, or None.
        operations: The last operations before the crash, for people.
    """

    id: ImageId
    disk: Disk
    history: History
    start: Start
    seed: int
    test: str | None
    root: str | None
    operations: tuple[str, ...]

    def save(self, folder: Path) -> None:
        """Write everything into the folder, which is made where it is missing.

        Raises:
            TypeError, AttributeError, pickle.PicklingError: A value of the history cannot be
                pickled; nothing was written.
        """
        exact = pickle.dumps(self)
        files = folder / _FILES
        files.mkdir(parents=True, exist_ok=True)
        (folder / _EXACT).write_bytes(exact)
        for name in self.disk.entries():
            file = self.disk.find(name)
            if file is not None:
                (files / name).parent.mkdir(parents=True, exist_ok=True)
                (files / name).write_bytes(file.visible)
        said = [f"{event.kind.value}: {event.subject} {event.value!r}" for event in self.history.events]
        facts = {
            "image": str(self.id),
            "seed": self.seed,
            "test": self.test,
            "root": self.root,
            "unsynced": [
                f"{len(self.disk.unsynced_changes())} changes",
                f"{len(self.disk.unsynced_entries())} names",
            ],
            "operations": self.operations,
            "history": said,
        }
        (folder / _FOR_PEOPLE).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> SavedImage:
        """Read what `save` wrote. Only for folders that this kit wrote: a pickle can run code."""
        saved = pickle.loads((folder / _EXACT).read_bytes())  # noqa: S301 - see the docstring
        if not isinstance(saved, cls):
            raise TypeError(f"{folder} holds no crash image")
        return saved
