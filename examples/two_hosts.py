"""Two hosts on one server: one is killed, one is drained, and every question is answered once.

    pip install '.[test]'                                    # with a PostgreSQL server
    python -m proof.fleet.server                             # begins that server, and prints its URL
    python examples/two_hosts.py postgresql://postgres@127.0.0.1:45678/postgres

Each host is its own process on the same URL, as it would be on its own machine; this program is a client, which has no
behaviour and owns nothing. What to look at:

- *two hosts*: six agents are asked something, and spread over the hosts that take them.
- *a kill*: one host dies by SIGKILL while it thinks. Nobody knows at once: a lost connection is no dead process. When its lease
  has ended the other host takes its agents over and answers what was asked, also what the dead one had begun.
- *a drain*: a third host comes, and the second is asked to drain. It ends the step it is in and gives its agents back, and
  the newcomer has them before any lease has ended, goes on with the runs that had begun, and answers all that comes. The
  second stays open, owns nothing, and goes by SIGTERM.

Every agent remembers who answered. In the end each has the same number of answers, one for each question, in the order asked.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import time
from collections import Counter
from typing import Final

import trio

import tenure

KIND: Final = "oracle"
AGENTS: Final = [f"oracle/{number}" for number in range(6)]
LEASE_S: Final = 3.0
LIMITS: Final = tenure.Limits(lease_s=LEASE_S, renew_s=0.5)
THINKING_S: Final = 0.2


# --- A host ---------------------------------------------------------------------------------------


def oracle_of(name: str) -> tenure.Behaviour:
    """The behaviour of one host: its answers say who gave them."""

    async def oracle(run: tenure.Run) -> None:
        for entry in run.inputs:
            answer = await run.step("think", think, entry.payload, repeat="freely")
            run.session.append({"asked": entry.payload, "answer": answer, "by": name})

    return tenure.Behaviour(oracle)


async def think(question: str) -> str:
    """What takes a while, and may be done again where a host died in it."""
    await trio.sleep(THINKING_S)
    return question.upper()


async def serve(url: str, name: str) -> None:
    """Host agents until SIGTERM, which `open_supervisor` takes for a normal exit; SIGUSR1 asks it to drain."""
    with trio.open_signal_receiver(signal.SIGUSR1) as signals:
        async with tenure.open_supervisor(url, behaviours={KIND: oracle_of(name)}, limits=LIMITS) as supervisor:
            print("ready", flush=True)
            async for _ in signals:
                await supervisor.drain()
                print("drained", flush=True)


# --- The client -----------------------------------------------------------------------------------


def start(url: str, name: str) -> subprocess.Popen[str]:
    """A host as a process; it is ready when this returns."""
    command = [sys.executable, __file__, url, "--host", name]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603 - this very file
    wait_for(process, "ready")
    return process


def wait_for(process: subprocess.Popen[str], word: str) -> None:
    """Wait until a host says a word."""
    if process.stdout is None or process.stdout.readline() != f"{word}\n":
        raise SystemExit(f"a host did not say {word}")


async def ask(client: tenure.Supervisor, question: str) -> list[tenure.Ticket]:
    """Ask every agent; an agent that is not there yet is made by its first question."""
    return [await client.accept(agent, f"{question}?", kind=KIND, idempotency_key=question) for agent in AGENTS]


async def tell(client: tenure.Supervisor, tickets: list[tenure.Ticket], since: float) -> None:
    """Wait for all answers, and say who gave them."""
    for ticket in tickets:
        outcome = await ticket.wait_outcome()
        if outcome.phase != "consumed":
            raise SystemExit(f"{ticket.runtime_id}: {outcome.phase} {outcome.error}")
    by: Counter[str] = Counter()
    for agent in AGENTS:
        conversation = await client.read_session(agent)
        by[conversation[-1]["by"]] += 1
    shares = ", ".join(f"{count} by {name}" for name, count in sorted(by.items()))
    print(f"    {len(tickets)} answers after {time.monotonic() - since:.1f} s: {shares}", flush=True)


async def play(url: str) -> bool:
    """The three acts; whether every question was answered once."""
    hosts: list[subprocess.Popen[str]] = []
    try:
        async with tenure.open_supervisor(url, behaviours={}, limits=LIMITS) as client:
            print("two hosts, anna and bert", flush=True)
            hosts += [start(url, "anna"), start(url, "bert")]
            began = time.monotonic()
            await tell(client, await ask(client, "who are you"), began)

            print(f"a kill: anna dies while she thinks; her lease is {LEASE_S:g} s", flush=True)
            began = time.monotonic()
            tickets = await ask(client, "are you still there")
            hosts[0].send_signal(signal.SIGKILL)
            await tell(client, tickets, began)

            print("a drain: cora comes, bert drains while he thinks", flush=True)
            hosts.append(start(url, "cora"))
            began = time.monotonic()
            tickets = await ask(client, "and now")
            hosts[1].send_signal(signal.SIGUSR1)
            await tell(client, tickets, began)
            await trio.to_thread.run_sync(wait_for, hosts[1], "drained")
            began = time.monotonic()
            await tell(client, await ask(client, "all of you"), began)
            hosts[1].send_signal(signal.SIGTERM)
            code = await trio.to_thread.run_sync(hosts[1].wait)
            print(f"    bert left in order, with code {code}", flush=True)
            return code == 0 and await remembered(client)
    finally:
        for host in hosts:
            host.kill()
            host.wait()


async def remembered(client: tenure.Supervisor) -> bool:
    """Whether each agent has one answer to each question, in the order asked."""
    for agent in AGENTS:
        conversation = await client.read_session(agent)
        if [each["asked"] for each in conversation] != [
            "who are you?",
            "are you still there?",
            "and now?",
            "all of you?",
        ]:
            print(f"{agent}: {conversation}")
            return False
    print(f"{len(AGENTS)} agents remember four answers each, none twice")
    return True


def main() -> None:
    """Play, or be one of the hosts."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("url", help="a database of a PostgreSQL server")
    parser.add_argument("--host", metavar="NAME", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.host is not None:
        trio.run(serve, given.url, given.host)
    elif not trio.run(play, given.url):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
