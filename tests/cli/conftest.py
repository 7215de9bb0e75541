"""A host on virtual time, as the tests of runs have it."""

from __future__ import annotations

from tests.supervisor.runs import conftest

open_host = conftest.open_host
