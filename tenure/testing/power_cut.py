"""The power cut: run a scenario once, then check what every crash in it leaves.

Theory of operation. The scenario runs once on a machine that records. Then each image becomes a
fresh machine, the check opens it with the real code and asks for everything that had been
promised by then. Scenario and images run in one `trio.run`, on trio's virtual clock and on inline
executors; a seed says everything that is drawn.
"""

from __future__ import annotations

import gc
import pickle
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import final

import trio
from attrs import field, frozen

from .determinism import run_seeded
from .drive.disk import Disk
from .drive.images import (
    Cut,
    Image,
    ImageId,
    images,
)
from .drive.operations import Drive
from .drive.recording import Recording
from .history import (
    EventKind,
    History,
)
from .machine import (
    Machine,
    Room,
    Start,
)
from .saved_image import SavedImage
from .scenario import (
    HANG_S,
    Check,
    Scenario,
    record,
)

OPERATIONS_SHOWN = 20


@final
@frozen(kw_only=True, slots=True)
class PowerCutReport:
    """What a power cut saw.

    Attributes:
        seed: The seed that repeats it.
        images: How many different images were checked.
        cuts: How many of each kind.
        operations: How many operations the scenario made.
        acknowledged: How many acknowledgements it was given.
    """

    seed: int
    images: int
    cuts: Mapping[Cut, int]
    operations: int
    acknowledged: int

    def __str__(self) -> str:
        kinds = ", ".join(f"{count} {cut.value}" for cut, count in self.cuts.items())
        return (
            f"{self.images} images ({kinds}) of {self.operations} operations"
            f" and {self.acknowledged} acknowledgements, seed {self.seed}"
        )


@final
class PowerCutFailure(AssertionError):
    """A crash image on which the check failed; the check's own error is the cause.

    Attributes:
        image: Which image.
        seed: The seed of the run.
        folder: Where its bytes were saved, or None.
    """

    def __init__(self, message: str, *, image: ImageId, seed: int, folder: Path | None) -> None:
        super().__init__(message)
        self.image = image
        self.seed = seed
        self.folder = folder


@final
@frozen(kw_only=True, slots=True)
class PowerCut:
    """A scenario, its check, and how much of it to try.

    Attributes:
        scenario: Runs once.
        check: Runs once for each image.
        budget: How many images at most.
        seed: What everything drawn follows from.
        drive: The hardware.
        save_to: Where the bytes of a failing image are saved; None saves nothing.
        test: The test that runs this, as pytest names it: what opens a saved image again.
        root: The folder from which pytest was started.
        on_image: Called after each image.
    """

    scenario: Scenario
    check: Check
    budget: int = 1_000
    seed: int = 0
    drive: Drive = field(factory=Drive)
    save_to: Path | None = None
    test: str | None = None
    root: str | None = None
    on_image: Callable[[], None] | None = None

    def run(self) -> PowerCutReport:
        """Record the scenario and check its images, in its own `trio.run`.

        Raises:
            PowerCutFailure: At the first image whose check raised.
        """
        return run_seeded(self._prove, self.seed)

    def check_saved(self, saved: SavedImage) -> None:
        """Check one image that was saved earlier. Raises what the check raises."""
        run_seeded(lambda room: self._check_saved(saved, room), self.seed)

    async def _prove(self, room: Room) -> PowerCutReport:
        recording, end = await record(self.scenario, room, seed=f"{self.seed}/scenario", drive=self.drive)
        gc.freeze()  # the recording too; `run_seeded` ends it
        cuts: Counter[Cut] = Counter()
        history = recording.history(0)
        for image in images(recording, self.budget, self.seed):
            # Images come in the order of their points, so most share the history of the one before.
            now = recording.history(image.id.after)
            history = history if len(history.events) == len(now.events) else now
            start = end.after(image.id.cut, end.wall_s, end.boot_s)
            await self._examine(image, history, recording, room, start)
            cuts[image.id.cut] += 1
            if self.on_image is not None:
                self.on_image()
        return PowerCutReport(
            seed=self.seed,
            images=cuts.total(),
            cuts=dict(cuts),
            operations=len(recording.operations),
            acknowledged=sum(event.kind is EventKind.ACKNOWLEDGED for event in recording.events),
        )

    async def _examine(self, image: Image, history: History, recording: Recording, room: Room, start: Start) -> None:
        untouched = image.disk.after_kill()
        try:
            await self._check_one(image.disk, image.id, history, room, start)
        except Exception as exc:
            saved = SavedImage(
                id=image.id,
                disk=untouched,
                history=history,
                start=start,
                seed=self.seed,
                test=self.test,
                root=self.root,
                operations=tuple(recording.describe(image.id.after, OPERATIONS_SHOWN)),
            )
            raise self._failure(saved, len(recording.operations), exc) from exc

    def _failure(self, saved: SavedImage, operations: int, exc: Exception) -> PowerCutFailure:
        image, folder = saved.id, None
        where = f"after operation {image.after} of {operations}"
        lines = [
            f"a crash {where} ({image.cut.value}, seed {self.seed}) breaks a promise:",
            f"    {type(exc).__name__}: {exc}",
            "The operations before it:",
            *(f"  {line}" for line in saved.operations),
        ]
        if self.save_to is not None:
            folder = self.save_to / str(image)
            try:
                saved.save(folder)
            except (TypeError, AttributeError, pickle.PicklingError) as problem:
                folder = None
                lines.append(f"Not saved: a value that the witness got cannot be pickled: {problem}")
            else:
                lines.append(f"Saved in {folder}; open exactly this image again:")
                lines.append(f"    python -m tenure.testing.open_image {folder}")
        return PowerCutFailure("\n".join(lines), image=image, seed=self.seed, folder=folder)

    async def _check_saved(self, saved: SavedImage, room: Room) -> None:
        await self._check_one(saved.disk, saved.id, saved.history, room, saved.start)

    async def _check_one(self, disk: Disk, image: ImageId, history: History, room: Room, start: Start) -> None:
        with (
            Machine(disk, room=room, seed=str(image), start=start) as machine,
            trio.fail_after(HANG_S),
        ):
            await self.check(machine, history)
