"""A schedule over three weeks, told in some seconds: hosts that die, a night without one, and a change of the clock.

    python examples/every_morning.py

An agent writes a report every morning at eight in Berlin, and a janitor tidies up at half past two at night. Each day a host
is started at some time of that day, which its wall clock shows; some are killed by SIGKILL in the middle of the report, and one
day none is started. Each instant becomes one report, or stands as skipped with its reason. On 28 March 2027 the clocks of
Berlin go from two to three: eight o'clock comes after 23 hours, and the janitor, whose time is left out, comes at three.
"""

from __future__ import annotations

import datetime as dt
import os
import signal
from pathlib import Path
from zoneinfo import ZoneInfo

import trio
from scratch import database, parser

import tenure

BERLIN = ZoneInfo("Europe/Berlin")
FIRST = dt.date(2027, 3, 15)
DAYS = 21
KILLED = {3, 9, 13, 14}
"""Days whose first host dies in the middle of the report; another one is started."""

LATE = {6: 11, 17: 15}
"""Days whose host is started hours after eight."""

ABSENT = {5}
"""Days without a host."""

SET_BACK = {11}
"""Days on which the clock is set back by an hour after the report: it shows eight o'clock twice."""


async def report(run: tenure.Run, *, dies: bool) -> None:
    """Write the report of this morning."""
    text = await run.step("write", lambda: "all is well", repeat="freely")
    if dies:
        os.kill(os.getpid(), signal.SIGKILL)
    run.session.append(text)


async def tidy(run: tenure.Run) -> None:
    """Tidy up."""
    run.session.append("tidy")


async def live(path: Path, now: dt.datetime, *, dies: bool = False) -> None:
    """A host at this time: it does what has come, and ends."""

    async def writer(run: tenure.Run) -> None:
        await report(run, dies=dies)

    seams = tenure.Seams(wall_clock=now.timestamp)
    behaviours = {"writer": writer, "janitor": tidy}
    async with tenure.open_supervisor(path, behaviours=behaviours, seams=seams) as supervisor:
        schedules = supervisor.schedules
        await schedules.create(
            *("report", "reporter", tenure.Cron("0 8 * * *", timezone="Europe/Berlin"), None, "writer"),
            catch_up_s=6 * 3_600,
        )
        await schedules.create(
            *("tidy", "janitor", tenure.Cron("30 2 * * *", timezone="Europe/Berlin"), None, "janitor"),
            catch_up_s=24 * 3_600,
        )
        for schedule in await schedules.list():
            while ((await schedules.get(schedule.schedule_id)).next_at or 0) <= now.timestamp():  # noqa: ASYNC110 - a look is no event
                await trio.sleep(0.01)
            for occurrence in await schedules.occurrences(schedule.schedule_id, limit=2):
                if occurrence.input_id is not None:
                    ticket = await supervisor.ticket(schedule.runtime_id, input_id=occurrence.input_id)
                    await ticket.wait_outcome()


def start(path: Path, now: dt.datetime, *, dies: bool = False) -> None:
    """Start a host in a process of its own, and wait for its end."""
    child = os.fork()
    if child == 0:
        trio.run(lambda: live(path, now, dies=dies))
        os._exit(0)
    _, status = os.waitpid(child, 0)
    said = "dies" if os.WIFSIGNALED(status) else "ends"
    print(f"{now:%a %d %b %H:%M} the host {said}")


async def tell(path: Path) -> None:
    """What became of every instant."""
    async with tenure.open_supervisor(path, behaviours={}, seams=tenure.Seams(wall_clock=lambda: 0.0)) as supervisor:
        for schedule in await supervisor.schedules.list():
            print(f"{schedule.schedule_id}:")
            for each in reversed(await supervisor.schedules.occurrences(schedule.schedule_id)):
                print(f"  {each.local_time}: {each.skipped or 'done'}")
            done = await supervisor.read_session(schedule.runtime_id)
            print(f"  {len(done)} times done")


def main() -> None:
    """Live through three weeks."""
    path = database(parser(__doc__).parse_args())
    start(path, dt.datetime.combine(FIRST, dt.time(0, 5), tzinfo=BERLIN))
    for number in range(DAYS):
        if number in ABSENT:
            continue
        day = FIRST + dt.timedelta(days=number)
        now = dt.datetime.combine(day, dt.time(LATE.get(number, 8), 0, 20), tzinfo=BERLIN)
        if number in KILLED:
            start(path, now, dies=True)
        start(path, now)
        if number in SET_BACK:
            start(path, now - dt.timedelta(hours=1))
            start(path, now)
    trio.run(tell, path)


if __name__ == "__main__":
    main()
