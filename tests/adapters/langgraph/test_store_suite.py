"""`TenureStore` under the tests of the store that ships."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.adapters.suite import Otherwise, run_suite, sdist

TESTS = {"test_store": 39, "test_async_store": 21, "test_ttl": 11}
OTHERWISE: dict[str, Otherwise] = {
    "test_store": {
        "test_store::test_vector_store_initialization": ("no attribute 'conn'", "asks their connection for its tables")
    },
    "test_async_store": {
        "test_async_store::test_no_running_loop": (
            "tenure.errors.InvalidInput: store is not valid: this is the thread of the loop",
            "wants InvalidStateError where a thread would wait for itself",
        )
    },
    "test_ttl": {
        "test_ttl::test_ttl_override_default": (
            "AssertionError: assert Item(",
            "wants no read to begin a time to live anew; the interface has that by default",
        )
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("name", TESTS)
def test_the_tests_of_the_store_that_ships_pass(
    tmp_path: Path, name: str, record_property: Callable[[str, object], None]
) -> None:
    folder = sdist("langgraph-checkpoint-sqlite", "3.1.2", tmp_path)

    counted = run_suite(folder, f"tests/{name}.py", shim=Path(__file__).with_name("sqlite_shim.py"))

    tests = {case.partition("[")[0] for case in counted.outcomes}
    otherwise = {case.partition("[")[0] for case in counted.named("failure")}
    passed = f"{len(tests - otherwise)} of {len(tests)} tests pass"
    record_property("suite", f"langgraph-checkpoint-sqlite 3.1.2, {name}: {passed}, cases: {counted}")
    counted.check(OTHERWISE[name])
    assert len(tests) == TESTS[name]
