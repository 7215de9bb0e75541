"""A scenario with every kind of commit that exists.

A test compares it with the catalogue of facets: whoever adds a change adds it here, and it is cut off at every write.
"""

from __future__ import annotations

from typing import final

import trio
from attrs import field, frozen

from tenure.persistence.commits.commit import (
    Change,
)
from tenure.persistence.facets.conversation import sessions
from tenure.persistence.facets.inbox import (
    delays,
    inputs,
)
from tenure.persistence.facets.ownership import (
    lifecycle,
    ownership,
    requests,
)
from tenure.persistence.facets.records import holds, versions
from tenure.persistence.facets.runs import (
    dead_letters,
    deadlines,
    entries,
    interrupted,
    restarting,
    results,
    runs,
)
from tenure.persistence.facets.runs.asking import asks
from tenure.persistence.facets.runs.children import OnEnd, Scope
from tenure.persistence.model.values import (
    AbandonReason,
    DurabilityClass,
    InputId,
    Lane,
    RunApplyBoundary,
    RuntimeState,
    SessionId,
)
from tenure.testing.history import Witness
from tenure.testing.machine import Machine

from .attachment_story import everyday_attachment, tell_attachments
from .contract_story import (
    take_words_back,
    tell_contracts,
)
from .facets import promises
from .families import spawn_all, spawn_of
from .graph_story import everyday_graph, tell_graph_of_runtime, tell_graphs, tell_passing_turn
from .inbox_story import (
    accept_under_policies,
    work_on_jobs,
)
from .invariants import open_real
from .journal_story import everyday_journal, tell_journals, tell_state
from .move_story import say_and_pop, talk_and_move
from .queue_story import everyday_queue, tell_queue, tell_serving
from .story_words import KIND, Words, id_of
from .watching import watch

NOBODY = 1_000_000
"""Key of a host that there is not."""


@final
@frozen(kw_only=True)
class EveryCommit:
    """Every change once, in a story that makes sense; then work as it comes every day.

    Attributes:
        days: Rounds of everyday work.
        durability: Of the store.
        landed: The types of changes that landed.
    """

    days: int = 12
    durability: DurabilityClass = DurabilityClass.DISK
    landed: set[type[Change]] = field(factory=set[type[Change]], init=False)

    async def __call__(self, machine: Machine, witness: Witness) -> None:
        """See `Scenario`."""
        async with open_real(machine, self.durability) as store:
            watch(store, witness, promises, self.landed)
            story = Story(store, machine, witness)
            await story.journals()
            await story.graphs()
            await story.queue()
            await story.old_times()
            await story.runtimes_begin()
            await story.runs_of_every_kind()
            await story.questions()
            await story.families()
            await story.runs_that_end_badly()
            await story.late_inputs()
            await story.delayed_inputs()
            await story.lives_and_owners()
            await story.policies()
        # Closed in order; the next host finds its rows.
        async with open_real(machine, self.durability) as store:
            watch(store, witness, promises, self.landed)
            story = Story(store, machine, witness)
            await story.contracts()
            await story.runtimes_begin()
            for day in range(self.days):
                await story.everyday(day)


@final
class Story(Words):
    """Commits, one after the other and in groups."""

    async def journals(self) -> None:
        """Journals and execution state, some of a runtime; what nothing refers to is pruned with the old times."""
        await self._own("jay")
        await tell_journals(self._store, self._retried, "jay", self._tokens["jay"])
        await tell_state(self._store, self._retried, "jay", self._tokens["jay"])

    async def graphs(self) -> None:
        """Sessions as graphs, one of them the conversation of a runtime."""
        await tell_graphs(self._store, self._retried)
        await self._own("gia", SessionId("talk of gia"))
        await tell_graph_of_runtime(self._store, self._retried, "talk of gia", self._tokens["gia"])

    async def queue(self) -> None:
        """Queued work with the claims on it, and attachments."""
        await tell_queue(self._store, self._retried)
        await tell_serving(self._store, self._retried)
        await tell_attachments(self._store, self._retried)

    async def old_times(self) -> None:
        """A life that ended long ago, and is pruned: two runs, inputs without one, and words that were taken back."""
        await self._own("old")
        for name, key in (("first", "k-old"), ("second", None)):
            await self._accept("old", name, key=key)
            run_id = await self._begin("old")
            await self._step("old", run_id, "look", "main/1", result=b'"seen"')
            message = f'"{name}"'.encode()
            await self._write(
                sessions.AppendMessages(runtime_id=id_of("old"), messages=(message,), run_id=run_id),
                self._receipt("old", run_id, RunApplyBoundary.RUN_CHECKPOINT),
            )
            await self._finish("old", run_id)
        unwanted = await self._accept("old", "unwanted", key="k-unwanted")
        await self._write(inputs.CancelInput(runtime_id=id_of("old"), input_id=unwanted))
        await self._write(dead_letters.DropDeadLetter(runtime_id=id_of("old"), input_id=unwanted))
        await take_words_back(self._store, self._retried)
        await trio.sleep(1)
        await self._retried(self._store.prune, 0)
        await tell_passing_turn(self._store, self._retried)

    async def runtimes_begin(self) -> None:
        """Three runtimes are owned."""
        for name in ("ada", "bob", "cyd"):
            await self._own(name)
        await self._accept("newt", "first", key="k-new", kind=KIND)  # made by it, and no host's
        await self._accept("newt", "second", kind=KIND)

    async def runs_of_every_kind(self) -> None:
        """A run with steps, checkpoints, a steering input and sends; a batch whose members end apart, and that goes on."""
        await self._accept("ada", "first", key="k-1")
        await self._accept("ada", "first", key="k-1")  # known: nothing is written
        run_id = await self._begin("ada")
        await self._step("ada", run_id, "look", "main/1", result=b'"seen"')
        await self._write(entries.CatchEntry(runtime_id=id_of("ada"), run_id=run_id, place="main/1"))  # it did not fail
        await self._write(versions.RegisterVersions(versions=(("agent", "1"), ("agent", "2"))))
        await self._write(restarting.AmendRun(runtime_id=id_of("ada"), take_recorded=True))
        for place in ("main/2", "main/3"):
            await self._step("ada", run_id, "pay", place, result=None)
            await self._settle("ada", run_id, place, ran=place == "main/2")
        await self._accept("ada", "listen", lane=Lane.STEER)
        late, never = self._send("ada", run_id, 2, "late"), self._send("ada", run_id, 3, "nobody")
        await self._write(
            *talk_and_move("ada", run_id),
            self._send("ada", run_id, 1, "bob"),
            late,
            never,
            self._keep("ada", run_id, seen=b"1", gone=None),
            self._receipt("ada", run_id, RunApplyBoundary.RUN_CHECKPOINT),
            runs.StageSteered(runtime_id=id_of("ada"), run_id=run_id),
        )
        await self._finish("ada", run_id)
        await self._own("late")
        await self._write(dead_letters.RetryDeadLetter(runtime_id=id_of("ada"), input_id=late.input_id))
        await self._write(dead_letters.DropDeadLetter(runtime_id=id_of("ada"), input_id=never.input_id))
        first, second, third, _ = [await self._accept("cyd", f"part {number}") for number in range(4)]
        run_id = await self._begin("cyd", batch=4)
        await self._write(runs.RejectInput(runtime_id=id_of("cyd"), run_id=run_id, input_id=first, error="no"))
        await self._write(
            self._receipt("cyd", run_id, RunApplyBoundary.RUN_CHECKPOINT),
            runs.ConsumeInput(runtime_id=id_of("cyd"), run_id=run_id, input_id=second),
            results.AnswerInput(runtime_id=id_of("cyd"), run_id=run_id, input_id=third, result=b'"apart"'),
        )
        await self._finish("cyd", run_id, self._again("cyd", run_id))
        run_id = await self._begin("cyd")
        await self._step("cyd", run_id, "look", "main/1", result=b'"seen again"')
        await self._finish("cyd", run_id)

    async def questions(self) -> None:
        """One that is answered, one that comes too late, and one that is given up."""
        for name in ("ask", "tell"):
            await self._own(name)
        await self._accept("ask", "go")
        run_id = await self._begin("ask")
        await self._write(
            self._question("ask", run_id, "main/1", "tell"),
            self._receipt("ask", run_id, RunApplyBoundary.RUN_CHECKPOINT),
        )
        for place in ("main/2", "main/3.2/1"):
            await self._write(self._question("ask", run_id, place, "tell"))
        await self._finish("tell", await self._begin("tell"))
        for place, late in (("main/1", False), ("main/2", True)):
            entry = self._waiting("ask", run_id, place, "tell")
            await self._write(asks.EndAsk(runtime_id=id_of("ask"), run_id=run_id, entry=entry, late=late))
        await self._write(asks.GiveUpAsks(runtime_id=id_of("ask"), run_id=run_id, branches=("main/3.2",)))
        await self._finish("ask", run_id, in_doubt=True)
        await self._write(dead_letters.DropDeadLetter(runtime_id=id_of("ask"), input_id=InputId(run_id)))

    async def families(self) -> None:
        """Children of every kind, one of them owned, that end with a run and with their parent; one is brought back."""
        await self._own("fay")
        for payload in ("go", "and again"):
            await self._accept("fay", payload)
        run_id = await self._begin("fay")
        await spawn_all(self._write, "fay", run_id, KIND)
        await self._own("halted")
        await self._accept("halted", "never done")
        await self._finish("fay", run_id)
        ended = RuntimeState.STOPPED
        await self._write(
            lifecycle.WriteLifecycle(
                runtime_id=id_of("halted"), state=ended, abandon=AbandonReason.STOPPED, end_run=True, over=ended
            )
        )
        run_id = await self._begin("fay")
        await self._write(spawn_of("fay", run_id, "main/1", "halted", KIND, Scope.RUN, OnEnd.STOP))
        await self._fail("fay", run_id, retry_at=None)
        await self._write(
            lifecycle.WriteLifecycle(
                runtime_id=id_of("fay"), state=RuntimeState.DESTROYED, abandon=AbandonReason.DESTROYED, end_run=True
            )
        )

    async def runs_that_end_badly(self) -> None:
        """Failed, dropped, interrupted, charged with a crash; dead letters that are retried and dropped."""
        run_id = await self._begin("bob")
        tried = self._keep("bob", run_id, day=b'"of a run that is restarted"', tried=b"1")
        said = say_and_pop("bob", run_id)
        sent = self._send("bob", run_id, 1, "a runtime that is not there")
        await self._write(*said, tried, sent, self._receipt("bob", run_id, RunApplyBoundary.RUN_CHECKPOINT))
        await self._fail("bob", run_id, retry_at=1.0)
        await self._write(restarting.AmendRun(runtime_id=id_of("bob"), restart=True))
        run_id = await self._begin("bob")
        dead = await self._fail("bob", run_id, retry_at=None)
        await self._write(dead_letters.RetryDeadLetter(runtime_id=id_of("bob"), input_id=dead))
        await self._begin("bob")
        await self._fail("bob", run_id, retry_at=None)
        await self._write(dead_letters.DropDeadLetter(runtime_id=id_of("bob"), input_id=dead))
        await self._accept("bob", "again")
        await self._begin("bob")
        await self._write(interrupted.UnstageRun(runtime_id=id_of("bob")))
        begun = await self._begin("bob")
        await self._write(interrupted.ChargeCrash(runtime_id=id_of("bob"), max_crashes=5))
        await self._begin("bob")
        await self._write(interrupted.AcquitRun(runtime_id=id_of("bob"), run_id=begun))
        await self._write(runs.DropRun(runtime_id=id_of("bob"), reason=None))
        await self._begin("bob")
        await self._write(runs.DropRun(runtime_id=id_of("bob"), reason=AbandonReason.CANCELLED))
        unwanted = await self._accept("bob", "unwanted")
        await self._write(inputs.CancelInput(runtime_id=id_of("bob"), input_id=unwanted))

    async def late_inputs(self) -> None:
        """One that waits, a member of a batch, and all that a run has, past their deadlines."""
        await self._own("lea")
        await self._accept("lea", "never begun", deadline_s=1)
        await trio.sleep(2)
        await self._write(deadlines.ExpireInputs(runtime_id=id_of("lea")))
        await self._accept("lea", "a member", deadline_s=1)
        await self._accept("lea", "the other", deadline_s=3)
        run_id = await self._begin("lea", batch=2)
        await trio.sleep(2)
        await self._write(
            deadlines.ExpireMembers(runtime_id=id_of("lea"), run_id=run_id),
            self._receipt("lea", run_id, RunApplyBoundary.RUN_CHECKPOINT),
        )
        await trio.sleep(2)
        await self._write(deadlines.DropLateRun(runtime_id=id_of("lea")))

    async def delayed_inputs(self) -> None:
        """Some that are cancelled, are due, or are abandoned with the retirement of their runtime."""
        await self._own("dan")
        unwanted = await self._accept("dan", "unwanted", after_s=9)
        await self._write(inputs.CancelInput(runtime_id=id_of("dan"), input_id=unwanted))
        await self._accept("dan", "the second", after_s=2, deadline_s=50)
        await self._accept("dan", "the first", after_s=1)
        await self._accept("dan", "never", after_s=900)
        await trio.sleep(3)
        await self._write(delays.QueueDue(runtime_id=id_of("dan")))
        await self._finish("dan", await self._begin("dan", batch=2))
        await self._write(
            lifecycle.WriteLifecycle(
                runtime_id=id_of("dan"), state=RuntimeState.RETIRED, abandon_delayed=AbandonReason.RETIRED
            )
        )

    async def lives_and_owners(self) -> None:
        """Held and resumed, reset, released and taken again, stopped, destroyed; leases."""
        await self._write(lifecycle.Hold(runtime_id=id_of("cyd"), reason="crash_loop", detail="of a test"))
        await self._write(lifecycle.Hold(runtime_id=id_of("cyd"), reason=None))
        await self._accept("cyd", "waits in a hold", deadline_s=1_000)
        await self._write(holds.PlaceHold(runtime_id=id_of("nobody yet"), note="before it comes"))
        await self._write(holds.PlaceHold(kind=KIND, note="of a kind"))
        await trio.sleep(1)
        await self._write(holds.EndHold(kind=KIND))
        await self._accept("ada", "never read")
        reset = lifecycle.WriteLifecycle(
            runtime_id=id_of("ada"),
            state=RuntimeState.IDLE,
            abandon=AbandonReason.RESET,
            end_run=True,
            next_generation=True,
            clear_session=True,
        )
        _, self._tokens["ada"] = await self._write(reset, ownership.RenewToken(runtime_id=id_of("ada")))
        await self._write(ownership.ReleaseOwnership(runtime_id=id_of("bob")))
        await self._own("bob")
        await self._write(ownership.MarkLost(host=NOBODY, counter=None))
        await self._write(ownership.RenewLease())
        asked = self._new_id()
        await self._write(
            requests.RequestLifecycle(runtime_id=id_of("cyd"), request_id=asked, verb="hold", arguments="{}")
        )
        await self._write(requests.FinishRequest(runtime_id=id_of("cyd"), request_id=asked, answer="null"))
        asked, unwanted = self._new_id(), await self._accept("cyd", "unwanted")
        await self._write(
            requests.RequestLifecycle(runtime_id=id_of("cyd"), request_id=asked, verb="cancel", arguments="{}")
        )
        cancel = inputs.CancelInput(runtime_id=id_of("cyd"), input_id=unwanted)
        await self._write(requests.AnswerRequest(runtime_id=id_of("cyd"), request_id=asked, change=cancel))
        await self._own("eve")
        await self._accept("eve", "too late")
        await self._write(
            lifecycle.WriteLifecycle(
                runtime_id=id_of("eve"), state=RuntimeState.DESTROYED, abandon=AbandonReason.DESTROYED, end_run=True
            )
        )

    async def policies(self) -> None:
        """Inputs that wait, take the place of others, go first, or are consumed at once; and jobs."""
        await self._own("ivy")
        await accept_under_policies(self._write, "ivy", self._new_id)
        await work_on_jobs(self._store, self._retried, self._witness)

    async def contracts(self) -> None:
        """The verbs of the contracts, on a runtime that no host owns."""
        await tell_contracts(self._store, self._retried)

    async def everyday(self, day: int) -> None:
        """Some inputs at once, one of them refused in the middle of its commit; then a run over them."""
        name = self._random.choice(("ada", "bob", "cyd"))
        count = self._random.choice((1, 1, 2, 5))
        try:
            async with trio.open_nursery() as nursery:  # owned by this day
                for number in range(count):
                    nursery.start_soon(self._accept, name, f"day {day}, {number}: {'x' * self._random.randrange(600)}")
                nursery.start_soon(self._refused, name)
        except ExceptionGroup as group:
            raise group.exceptions[0] from None  # all of them tell of the same disk
        run_id = await self._begin(name, batch=self._random.choice((1, 5)))
        await self._step(name, run_id, "work", "main/1", result=b'"%d"' % day)
        message = b'"of day %d %s"' % (day, b"y" * self._random.randrange(900))
        await self._write(
            sessions.AppendMessages(runtime_id=id_of(name), messages=(message,), run_id=run_id),
            self._keep(name, run_id, day=message, **{f"day {day}": b"%d" % day, f"day {day - 3}": None}),
            self._receipt(name, run_id, RunApplyBoundary.RUN_CHECKPOINT),
        )
        await self._write(self._keep(name, None, by_a_person=b"%d" % day))
        await self._finish(name, run_id)
        await everyday_journal(self._store, self._retried, day, self._random.randrange(9_000))
        await everyday_graph(self._store, self._retried, day, self._random.randrange(6_000))
        await everyday_queue(self._store, self._retried, day, self._random.randrange(3_000))
        await everyday_attachment(self._store, self._retried, day, self._random.randrange(3_000))
