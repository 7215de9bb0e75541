"""The fronts for asyncio and for programs without a loop have every verb of the trio one, with the same arguments."""

from __future__ import annotations

import importlib
import inspect
from types import ModuleType
from typing import Any

import pytest

import tenure
import tenure.asyncio
import tenure.sync
from tenure.persistence.contracts.attachments import AttachmentsContract, SessionScopedAttachmentStore
from tenure.persistence.contracts.credentials import CredentialsContract
from tenure.persistence.contracts.journals.event_log import EventLog
from tenure.persistence.contracts.journals.journal import JournalContract
from tenure.persistence.contracts.operations import OperationsContract
from tenure.persistence.contracts.queued.queue import QueueContract
from tenure.persistence.contracts.runtime_persistence import RuntimePersistence
from tenure.persistence.contracts.runtimes import RuntimeContract
from tenure.persistence.contracts.sessions import SessionsContract
from tenure.persistence.contracts.state import StateContract

FRONTS = (tenure.asyncio, tenure.sync)
KINDS = ("Supervisor", "Runtime", "ForeignRuntime", "Selection", "Ticket", "Store")
FACETS = {
    "Attachments": AttachmentsContract,
    "BoundAttachments": SessionScopedAttachmentStore,
    "BoundSession": RuntimePersistence,
    "Credentials": CredentialsContract,
    "EventLog": EventLog,
    "Journal": JournalContract,
    "Operations": OperationsContract,
    "Queue": QueueContract,
    "Runtimes": RuntimeContract,
    "Schedules": tenure.Schedules,
    "Sessions": SessionsContract,
    "State": StateContract,
}

OF_THE_TRIO_THREAD = {"commit", "read", "shutdown"}
OF_THE_FACETS = {"attachments", "credentials", "journal", "operations", "queue", "runtimes", "sessions", "state"}


def names(kind: type[Any]) -> set[str]:
    return {name for name in dir(kind) if not name.startswith("_")}


def parameters(function: Any) -> list[tuple[str, Any]]:
    found = inspect.signature(function).parameters.values()
    return [(each.name, each.default) for each in found if each.name != "task_status"]  # of trio's nurseries


@pytest.mark.parametrize("front", FRONTS, ids=lambda front: front.__name__)
@pytest.mark.parametrize("name", KINDS)
def test_a_front_has_every_verb_of_the_trio_one_with_the_same_arguments(name: str, front: ModuleType) -> None:
    there, here = getattr(tenure, name), getattr(front, name)
    absent = (OF_THE_TRIO_THREAD if name == "Store" else {"store"}) | OF_THE_FACETS

    assert names(there) - absent - names(here) == set()
    for each in names(there) & names(here):
        if callable(getattr(there, each)):
            assert parameters(getattr(here, each)) == parameters(getattr(there, each)), each


@pytest.mark.parametrize("front", FRONTS, ids=lambda front: front.__name__)
def test_what_a_front_opens_takes_the_same_arguments(front: ModuleType) -> None:
    for name in ("open_supervisor", "open_store"):
        assert parameters(getattr(front, name)) == parameters(getattr(tenure, name))


def test_the_lifespan_of_a_web_application_opens_a_host_with_the_same_arguments() -> None:
    assert parameters(tenure.asyncio.lifespan) == parameters(tenure.open_supervisor)


@pytest.mark.parametrize("front", FRONTS, ids=lambda front: front.__name__)
@pytest.mark.parametrize("name", FACETS)
def test_every_verb_of_a_facet_is_there(name: str, front: ModuleType) -> None:
    of_the_house = {"shutdown", "recover", "leave"}
    here = getattr(importlib.import_module(f"{front.__name__}.facets"), name)

    assert names(FACETS[name]) - names(here) - of_the_house == set()


@pytest.mark.parametrize("front", FRONTS, ids=lambda front: front.__name__)
def test_every_facet_of_a_store_is_there(front: ModuleType) -> None:
    assert names(tenure.Store) & OF_THE_FACETS <= OF_THE_FACETS
    assert set(inspect.getsource(front.Store.__init__).replace("self.", " ").split()) >= OF_THE_FACETS


@pytest.mark.parametrize("front", [tenure, *FRONTS], ids=lambda front: front.__name__)
def test_an_error_of_arguments_names_a_verb_as_its_caller_does(front: ModuleType) -> None:
    handles = {
        name: "Runtime" if name == "ForeignRuntime" else name for name in (*KINDS, "Run")
    }  # one may be the other
    kinds = {name: getattr(front, name) for name in handles if hasattr(front, name)}
    verbs = {name: {verb: getattr(kind, verb) for verb in names(kind)} for name, kind in kinds.items()}
    found = {
        f"{name}.{verb}": function.__qualname__
        for name, functions in verbs.items()
        for verb, function in functions.items()
        if inspect.isfunction(function) and function.__qualname__ not in (f"{name}.{verb}", f"{handles[name]}.{verb}")
    }

    assert found == {}
