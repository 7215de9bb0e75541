"""A host on virtual time, as the tests of runs have it."""

from __future__ import annotations

from tests.kit import alone

open_host = alone.open_host
