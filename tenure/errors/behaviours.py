"""What who writes behaviours meets: in a run, of its steps, asks and children."""

from __future__ import annotations

from typing import final

from .base import Error


@final
class StepMismatch(Error):
    """A run that entered again did not do what is recorded of it.

    The behaviour's side: between steps it must be deterministic. The runtime is held until a person resumes it, by one of
    the ways of `Runtime.resume`; no attempt is counted. `ReceiptConflict` is a wrong receipt, `Corrupt` a
    damaged record.

    Fields: the run, the step or checkpoint, and both sides; None where a side has nothing.
    """

    message = (
        "run {run_id!r} of runtime {runtime_id!r} did {given!r} at {name!r} where {recorded!r} is recorded; "
        "let the behaviour do the same again, or resume with renamed=, forget=, take_recorded=True or restart_run=True"
    )
    runtime_id: str
    run_id: str
    name: str
    recorded: str | None
    given: str | None


@final
class StepFailed(Error):
    """A step raised, now or when the run was here before.

    The work's side: `detail` is what it raised, as it is recorded, and the run may handle it or let it fail; the
    exception itself is the cause, where it was raised now. `StepMismatch` is a step that is not the recorded one.
    """

    message = "step {name!r} of run {run_id!r} failed: {detail}; handle it or let the run fail"
    run_id: str
    name: str
    detail: str


@final
class RunEnded(Error):
    """A run was used after its behaviour had returned, raised or been cancelled.

    The behaviour's side: some task outlived it. Let all work end before the behaviour does. `Closed` is a whole
    supervisor, store or channel that has ended.
    """

    message = "run {run_id!r} has ended and can no longer be used; finish all work inside it"
    run_id: str


@final
class AskFailed(Error):
    """What a run asked of another runtime has no answer.

    The asked side: `reason` says how it ended, and `outcome`, where it has one, is that of the asked input. The run may
    handle it or let it fail; it is recorded, and raised again where the run enters again. `AskCycle` was never asked.

    Fields: who was asked; ``abandoned``, ``rejected``, ``refused``, ``erased`` or ``late``; the outcome of the asked input,
    or None; whether a run had taken it, so that some of it may have been done; what is said of it, for people.
    """

    message = "{target!r} gave no answer, {reason}: {detail}; handle it or let the run fail"
    target: str
    reason: str
    outcome: object = None
    begun: bool = False
    detail: str = ""


@final
class AskCycle(Error):
    """A run asked a runtime that waits for it already, over however many others: each would wait for ever.

    The caller's side: let one of them send in place of asking. Nothing was asked. `AskFailed` is an ask without an answer.

    Fields: who was asked, and the runtimes from there on that wait, the last of them for who asked.
    """

    message = "asking {target!r} closes a circle of waits over {chain}; send in place of asking"
    target: str
    chain: tuple[str, ...]


@final
class ChildExists(Error):
    """A run spawns a child under an id that is there, and is not that of a child of its runtime.

    The caller's side: choose another id, or give None and let one be drawn. Nothing was spawned; it is recorded, and raised
    again where the run enters again. `RuntimeOwned` is a runtime that another host has.
    """

    message = "{runtime_id!r} is there, and no child of this runtime; give None for an id that is drawn"
    runtime_id: str
