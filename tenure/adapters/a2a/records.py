"""Tasks and push notification configs of A2A as keys and values of `store.state`.

    a2a.tasks:{owner}:{task}            a task
    a2a.pushes:{task}:{owner}:{config}  a config

A value is a version and the message of the protocol, as protobuf encodes it, with the owner, of whom the key
may have a digest alone.
"""

from __future__ import annotations

from typing import Final, TypeVar, final

import msgspec
from a2a.types.a2a_pb2 import ListTasksResponse, Task, TaskPushNotificationConfig
from google.protobuf.message import DecodeError

from tenure.adapters import versioned
from tenure.adapters.fronts import Values
from tenure.adapters.keys import part
from tenure.errors import Corrupt, InvalidInput

TASKS: Final = "a2a.tasks:"
_VERSION: Final = 1
_PAGE: Final = 200
_END: Final = 1024
"""Bytes for what a task is given at its end besides its artifact: state, time and our words."""

M = TypeVar("M", Task, TaskPushNotificationConfig)


@final
class _Record(msgspec.Struct, array_like=True, frozen=True):
    version: int
    owner: str
    message: bytes


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(_Record)


def tasks_of(owner: str) -> str:
    """What the keys of the tasks of an owner begin with."""
    return f"{TASKS}{part(owner, 'owner')}:"


def task_key(owner: str, task_id: str) -> str:
    """The key of a task."""
    return tasks_of(owner) + part(task_id, "task_id")


def pushes_of(task_id: str) -> str:
    """What the keys of the configs of a task begin with, of every owner."""
    return f"a2a.pushes:{part(task_id, 'task_id')}:"


def pushes_of_owner(task_id: str, owner: str) -> str:
    """What the keys of the configs of a task begin with that are an owner's."""
    return f"{pushes_of(task_id)}{part(owner, 'owner')}:"


def encode(owner: str, message: M) -> bytes:
    """A message as it is stored. Raises `InvalidInput` for a task that could not be read, or not be listed."""
    if isinstance(message, Task):
        check_listed(message)
    return _ENCODER.encode(_Record(version=_VERSION, owner=owner, message=message.SerializeToString()))


def has_room(owner: str, task: Task, limit: int) -> bool:
    """Whether a task can be stored where a value has at most so many bytes, with the end that it is still to be given."""
    return len(_ENCODER.encode(_Record(version=_VERSION, owner=owner, message=b""))) + task.ByteSize() + _END <= limit


def check_listed(task: Task) -> None:
    """Raise `InvalidInput` for a task that is nested more deeply than protobuf reads, by itself or in a list."""
    try:
        ListTasksResponse.FromString(ListTasksResponse(tasks=[task]).SerializeToString())
    except DecodeError as exc:
        raise InvalidInput(detail=f"what is stored of it could not be read: {exc}", field="task") from exc


def decode(data: bytes, kind: type[M], key: str) -> tuple[str, M]:
    """Owner and message as they were stored under a key. Raises `Corrupt`."""
    record = versioned.decode(_DECODER, data, _VERSION, record="A2A record", key=key)
    try:
        return record.owner, kind.FromString(record.message)
    except DecodeError as exc:
        raise Corrupt(record="A2A record", key=key, detail=str(exc)) from exc


async def read_all(values: Values, stem: str) -> list[tuple[str, bytes]]:
    """Every key and value below a stem, in the order of the keys."""
    found: list[tuple[str, bytes]] = []
    while page := await values.items(stem, after=found[-1][0] if found else None, limit=_PAGE):
        found += page
        if len(page) < _PAGE:
            break
    return found
