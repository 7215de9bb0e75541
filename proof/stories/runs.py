"""Runs, well and badly, and the questions that they ask: parts of the scenario with every kind of commit."""

from __future__ import annotations

import trio

from tenure.persistence.facets.conversation import sessions
from tenure.persistence.facets.inbox.cancelling import CancelInput
from tenure.persistence.facets.records import versions
from tenure.persistence.facets.runs import (
    dead_letters,
    entries,
    interrupted,
    restarting,
    results,
    runs,
)
from tenure.persistence.facets.runs.asking import asks
from tenure.persistence.model.values import (
    AbandonReason,
    InputId,
    Lane,
    RunApplyBoundary,
)

from .moves import say_and_pop, talk_and_move
from .words import Words, id_of


async def runs_of_every_kind(words: Words) -> None:
    """A run with steps, checkpoints, a steering input and sends; a batch whose members end apart, and that goes on."""
    await words.accept("ada", "first", key="k-1")
    await words.accept("ada", "first", key="k-1")  # known: nothing is written
    run_id = await words.begin("ada")
    await words.step("ada", run_id, "look", "main/1", result=b'"seen"')
    await words.write(entries.CatchEntry(runtime_id=id_of("ada"), run_id=run_id, place="main/1"))  # it did not fail
    await words.write(versions.RegisterVersions(versions=(("agent", "1"), ("agent", "2"))))
    await words.write(restarting.AmendRun(runtime_id=id_of("ada"), take_recorded=True))
    for place in ("main/2", "main/3"):
        await words.step("ada", run_id, "pay", place, result=None)
        await words.settle("ada", run_id, place, ran=place == "main/2")
    await words.step("ada", run_id, "pay", "main/4", result=None)
    await words.write(interrupted.ForgetUnbegun(runtime_id=id_of("ada"), run_id=run_id, places=("main/1", "main/4")))
    await words.accept("ada", "listen", lane=Lane.STEER)
    late, never = words.send("ada", run_id, 2, "late"), words.send("ada", run_id, 3, "nobody")
    await words.write(
        *talk_and_move("ada", run_id),
        words.send("ada", run_id, 1, "bob"),
        late,
        never,
        words.keep("ada", run_id, seen=b"1", gone=None),
        words.receipt("ada", run_id, RunApplyBoundary.RUN_CHECKPOINT),
        runs.StageSteered(runtime_id=id_of("ada"), run_id=run_id),
    )
    await words.finish("ada", run_id)
    await words.own("late")
    await words.write(dead_letters.RetryDeadLetter(runtime_id=id_of("ada"), input_id=late.input_id))
    await words.write(dead_letters.DropDeadLetter(runtime_id=id_of("ada"), input_id=never.input_id))
    first, second, third, _ = [await words.accept("cyd", f"part {number}") for number in range(4)]
    run_id = await words.begin("cyd", batch=4)
    await words.write(runs.RejectInput(runtime_id=id_of("cyd"), run_id=run_id, input_id=first, error="no"))
    await words.write(
        words.receipt("cyd", run_id, RunApplyBoundary.RUN_CHECKPOINT),
        runs.ConsumeInput(runtime_id=id_of("cyd"), run_id=run_id, input_id=second),
        results.AnswerInput(runtime_id=id_of("cyd"), run_id=run_id, input_id=third, result=b'"apart"'),
    )
    await words.finish("cyd", run_id, words.again("cyd", run_id))
    run_id = await words.begin("cyd")
    await words.step("cyd", run_id, "look", "main/1", result=b'"seen again"')
    await words.finish("cyd", run_id)


async def questions(words: Words) -> None:
    """One that is answered, one that comes too late, and one that is given up."""
    for name in ("ask", "tell"):
        await words.own(name)
    await words.accept("ask", "go")
    run_id = await words.begin("ask")
    await words.write(
        words.question("ask", run_id, "main/1", "tell"),
        words.receipt("ask", run_id, RunApplyBoundary.RUN_CHECKPOINT),
    )
    for place in ("main/2", "main/3.2/1"):
        await words.write(words.question("ask", run_id, place, "tell"))
    await words.finish("tell", await words.begin("tell"))
    for place, late in (("main/1", False), ("main/2", True)):
        entry = words.waiting("ask", run_id, place, "tell")
        await words.write(asks.EndAsk(runtime_id=id_of("ask"), run_id=run_id, entry=entry, late=late))
    await words.write(asks.GiveUpAsks(runtime_id=id_of("ask"), run_id=run_id, branches=("main/3.2",)))
    await words.finish("ask", run_id, in_doubt=True)
    await words.write(dead_letters.DropDeadLetter(runtime_id=id_of("ask"), input_id=InputId(run_id)))


async def waits_that_are_put_aside(words: Words) -> None:
    """Aside until an answer, until a time, until something steers: each is woken, and the last one ended there."""
    for name in ("rests", "sage"):
        await words.own(name)
    await words.accept("rests", "wait")
    run_id = await words.begin("rests")
    await words.write(words.question("rests", run_id, "main/1", "sage"))
    await words.put_aside("rests", run_id)
    await words.finish("sage", await words.begin("sage"))
    await words.enter_again("rests")
    entry = words.waiting("rests", run_id, "main/1", "sage")
    await words.write(asks.EndAsk(runtime_id=id_of("rests"), run_id=run_id, entry=entry, late=False))
    await words.put_aside("rests", run_id, wake_at=9e9)
    await words.write(restarting.AmendRun(runtime_id=id_of("rests"), take_recorded=True))
    await words.enter_again("rests")
    await words.put_aside("rests", run_id, steerable=True)
    await words.accept("rests", "go on", lane=Lane.STEER)
    await words.enter_again("rests")
    await words.put_aside("rests", run_id)
    await words.own("rests")
    await words.write(interrupted.DropRun(runtime_id=id_of("rests"), reason=AbandonReason.CANCELLED))


async def runs_that_end_badly(words: Words) -> None:
    """Failed, dropped, interrupted, charged with a crash; dead letters that are retried and dropped."""
    run_id = await words.begin("bob")
    tried = words.keep("bob", run_id, day=b'"of a run that is restarted"', tried=b"1")
    said = say_and_pop("bob", run_id)
    sent = words.send("bob", run_id, 1, "a runtime that is not there")
    await words.write(*said, tried, sent, words.receipt("bob", run_id, RunApplyBoundary.RUN_CHECKPOINT))
    await words.fail("bob", run_id, retry_at=1.0)
    await words.write(restarting.AmendRun(runtime_id=id_of("bob"), restart=True))
    run_id = await words.begin("bob")
    dead = await words.fail("bob", run_id, retry_at=None)
    await words.write(dead_letters.RetryDeadLetter(runtime_id=id_of("bob"), input_id=dead))
    await words.begin("bob")
    await words.fail("bob", run_id, retry_at=None)
    await words.write(dead_letters.DropDeadLetter(runtime_id=id_of("bob"), input_id=dead))
    await words.accept("bob", "again")
    await words.begin("bob")
    await words.write(interrupted.UnstageRun(runtime_id=id_of("bob")))
    begun = await words.begin("bob")
    await words.write(interrupted.ChargeCrash(runtime_id=id_of("bob"), max_crashes=5))
    await words.begin("bob")
    await words.write(interrupted.AcquitRun(runtime_id=id_of("bob"), run_id=begun))
    await words.write(interrupted.DropRun(runtime_id=id_of("bob"), reason=None))
    await words.begin("bob")
    await words.write(interrupted.DropRun(runtime_id=id_of("bob"), reason=AbandonReason.CANCELLED))
    unwanted = await words.accept("bob", "unwanted")
    await words.write(CancelInput(runtime_id=id_of("bob"), input_id=unwanted))
    for text in ("unwanted while it waits", "unwanted in its run"):
        unwanted = await words.accept("bob", text)
        if text.endswith("run"):
            await words.begin("bob")
        await words.write(interrupted.CancelWithRun(runtime_id=id_of("bob"), input_id=unwanted))


async def day_of_runs(words: Words, day: int) -> None:
    """Some inputs at once, one of them refused in the middle of its commit; then a run over them."""
    name = words.random.choice(("ada", "bob", "cyd"))
    count = words.random.choice((1, 1, 2, 5))
    try:
        async with trio.open_nursery() as nursery:  # owned by this day
            for number in range(count):
                nursery.start_soon(words.accept, name, f"day {day}, {number}: {'x' * words.random.randrange(600)}")
            nursery.start_soon(words.refused, name)
    except ExceptionGroup as group:
        raise group.exceptions[0] from None  # all of them say the same of the disk
    run_id = await words.begin(name, batch=words.random.choice((1, 5)))
    await words.step(name, run_id, "work", "main/1", result=b'"%d"' % day)
    message = b'"of day %d %s"' % (day, b"y" * words.random.randrange(900))
    await words.write(
        sessions.AppendMessages(runtime_id=id_of(name), messages=(message,), run_id=run_id),
        words.keep(name, run_id, day=message, **{f"day {day}": b"%d" % day, f"day {day - 3}": None}),
        words.receipt(name, run_id, RunApplyBoundary.RUN_CHECKPOINT),
    )
    await words.write(words.keep(name, None, by_a_person=b"%d" % day))
    await words.finish(name, run_id)
