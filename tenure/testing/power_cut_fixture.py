"""What the fixture ``power_cut`` gives a test."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import final

import pytest

from .drive.operations import Drive
from .power_cut import (
    PowerCut,
    PowerCutReport,
)
from .saved_image import SavedImage
from .scenario import (
    Check,
    Scenario,
)


@final
class PowerCutFixture:
    """Runs power cuts with the options of the command line."""

    def __init__(self, request: pytest.FixtureRequest, *, few: int, many: int) -> None:
        """Belong to one test, which checks this many images by itself, and in the full sweep."""
        self._request = request
        self._few = few
        self._many = many

    def __call__(
        self,
        scenario: Scenario,
        check: Check,
        *,
        images: int | None = None,
        drive: Drive | None = None,
    ) -> PowerCutReport | None:
        """Record the scenario and check its crash images, in its own `trio.run`.

        Args:
            scenario: Runs once, on a machine in memory; notes with its witness what it is promised.
            check: Runs for each image, with what had been promised by then.
            images: How many images to check without ``--power-cut``; otherwise the options decide.
            drive: The hardware.

        Returns:
            What was checked; None where ``--power-cut-image`` asked for one saved image alone.

        Raises:
            PowerCutFailure: At the first image whose check raised.
        """
        config = self._request.config
        seed: int = config.getoption("--power-cut-seed") or 0
        test = self._request.node.nodeid
        cut = PowerCut(
            scenario=scenario,
            check=check,
            budget=self._budget(images),
            seed=seed,
            drive=Drive() if drive is None else drive,
            save_to=self._folder(test),
            test=test,
            root=str(config.rootpath),
        )
        image: Path | None = config.getoption("--power-cut-image")
        if image is not None:
            cut.check_saved(SavedImage.load(image))
            return None
        began = time.perf_counter()
        report = cut.run()
        rate = report.images / (time.perf_counter() - began)
        self._request.node.user_properties.append(("power-cut", f"{report}, {rate:.0f} images/s"))
        return report

    def _budget(self, images: int | None) -> int:
        config = self._request.config
        wanted: int | None = config.getoption("--power-cut-images")
        # Cases: a number on the command line, the full sweep, the test's own wish, the default.
        if wanted is not None:
            return wanted
        if config.getoption("--power-cut"):
            return self._many
        return self._few if images is None else images

    def _folder(self, test: str) -> Path:
        config = self._request.config
        folder: Path | None = config.getoption("--power-cut-folder")
        if folder is None:
            # Without its cache plugin pytest has no cache, whatever its hints say.
            cache: pytest.Cache | None = getattr(config, "cache", None)
            folder = cache.mkdir("power-cut") if cache else config.rootpath / ".power-cut"
        return folder / re.sub(r"[^\w.-]+", "_", test)
