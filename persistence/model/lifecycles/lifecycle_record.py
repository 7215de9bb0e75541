"""The lifecycle record of a runtime, as bytes: version 1, JSON.

The store hands the bytes out as they are; decoding them finds what is wrong with them. A record says which state is
durable and to what the runtime was bound when it was written. The binding is a fact about a process that may be gone: what
guards a write is the store's own fence token and never this one.
"""

from __future__ import annotations

from typing import Any, Final, final

import msgspec
from attrs import field, frozen

from tenure.errors import Corrupt, SchemaMismatch
from tenure.persistence.model.arguments import check_value
from tenure.persistence.model.values import RuntimeState

LIFECYCLE_RECORD_VERSION: Final = 1
"""Version of the record; another one is refused."""


@final
@frozen(kw_only=True, slots=True)
class MachineLifecycleBindingFacts:
    """To what a runtime was bound. Each fact may be unknown.

    Attributes:
        agent_runtime_id: Identity and generation, as its host writes them.
        fence_token: The token it wrote under.
        runtime_generation: Its life, from 0.
        runtime_epoch_id: Its registration.
    """

    agent_runtime_id: str | None = None
    fence_token: int | None = None
    runtime_generation: int | None = None
    runtime_epoch_id: str | None = None


@final
@frozen(kw_only=True, slots=True)
class MachineLifecycleSnapshot:
    """A state and the binding it was written with.

    Attributes:
        runtime_state: The state.
        binding: The binding.
    """

    runtime_state: RuntimeState
    binding: MachineLifecycleBindingFacts = field(factory=MachineLifecycleBindingFacts)


@final
@frozen(kw_only=True, slots=True)
class MachineLifecycleStoreRecord:
    """A snapshot in the form that is stored.

    Attributes:
        snapshot: The snapshot.
    """

    snapshot: MachineLifecycleSnapshot

    def encode(self) -> bytes:
        """The record's bytes, which `decode_lifecycle_record` reads."""
        return encode_raw(
            LIFECYCLE_RECORD_VERSION, self.snapshot.runtime_state, msgspec.json.encode(self.snapshot.binding)
        )


@final
@frozen(kw_only=True, slots=True)
class MachineLifecycleCommit:
    """What `commit_machine_lifecycle` writes.

    Attributes:
        snapshot: State and binding.
    """

    snapshot: MachineLifecycleSnapshot

    @classmethod
    def of(cls, state: RuntimeState, binding: MachineLifecycleBindingFacts | None = None) -> MachineLifecycleCommit:
        """A commit of a state, with the binding where it is known. Raises `InvalidInput` where a part is not of its type."""
        snapshot = MachineLifecycleSnapshot(
            runtime_state=state, binding=binding if binding is not None else MachineLifecycleBindingFacts()
        )
        return cls(snapshot=check_value(snapshot, MachineLifecycleSnapshot, "snapshot"))

    @property
    def runtime_state(self) -> RuntimeState:
        """The state to write."""
        return self.snapshot.runtime_state

    def store_record(self) -> MachineLifecycleStoreRecord:
        """The record it will be stored as, but for the projection of states."""
        return MachineLifecycleStoreRecord(snapshot=self.snapshot)


def encode_raw(version: object, state: object, binding: bytes) -> bytes:
    """The bytes of a record whose parts were not looked at: decoding them finds what is wrong."""
    return msgspec.json.encode({"record_version": version, "runtime_state": state, "binding": msgspec.Raw(binding)})


def decode_lifecycle_record(data: bytes, runtime_id: str) -> MachineLifecycleSnapshot:
    """Read a record's bytes; the runtime id names the record in errors.

    Raises:
        SchemaMismatch: Another version.
        Corrupt: No record: not JSON, a bare state, no version, a state that is none, a binding that is none.
    """
    try:
        record = msgspec.json.decode(data, type=dict[str, Any])
        version = record["record_version"]
        if type(version) is not int or version != LIFECYCLE_RECORD_VERSION:
            what = f"the lifecycle record of {runtime_id!r}"
            raise SchemaMismatch(what=what, expected=LIFECYCLE_RECORD_VERSION, actual=str(version))
        return MachineLifecycleSnapshot(
            runtime_state=msgspec.convert(record["runtime_state"], RuntimeState),
            binding=msgspec.convert(record["binding"], MachineLifecycleBindingFacts),
        )
    except (msgspec.ValidationError, msgspec.DecodeError, KeyError, UnicodeDecodeError) as exc:
        raise Corrupt(record="lifecycle record", key=runtime_id, detail=f"{type(exc).__name__}: {exc}") from exc
