"""An agent that waits for a person's answer, for as long as that takes, over restarts and kills.

    python examples/approvals.py

Each act is its own process. What to look at:

- *ask*: each buyer gets a quote, puts a question into its conversation, and waits with `run.wait_steered()`. The process
  ends. Nothing waits in memory: the question and the wait are on disk.
- *answer*: another process. The run has entered again; the quote is replayed and not asked for twice. The answer comes in
  through `accept(..., lane="steer")`, and the buyer pays, in a step that must `never` run twice. In the middle of that the
  process is killed.
- *verdict*: the store does not say whether the money went out, so the runtime is held with `needs attention`. The person
  who got no reply clicks again; the key is known, and nothing is written. Then the person reads the bank's book and says with
  `settle_step` whether it was paid, and the run goes on.
- *late*: an order may also have a deadline (`accept(..., deadline_s=)`). While the others are answered a person keeps eve's on
  hold, and its deadline waits too; then no answer comes, and the order is abandoned. What follows it is `on_abandoned`: a run
  that sees with `run.recorded` what the order has done, and pays the deposit back. There the process is killed.
- *refund*: the run that follows goes on. Its step is `keyed`: the bank knows the key, and pays back once.

Answers are given twice, in two ways: ann's by this program, bob's by a person at a shell, with `tenure steer`. Of ann's payment
the bank has booked what it was asked for before the kill, of bob's it has not. In the end the book has one line for each.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, Final, final

import attrs
import trio
from scratch import database, parser

import tenure

BUYERS: Final = {"ann": "crane", "bob": "ferry", "eve": "barge"}
PRICES: Final = {"crane": 4000, "ferry": 9000, "barge": 7000}
KILLED_BEFORE_BOOKING: Final = "bob"
ANSWERED: Final = ("ann", "bob")
LATE: Final = "eve"
DEADLINE_S: Final = 6.0
DEPOSIT: Final = 100


@final
@attrs.frozen(slots=True)
class Bank:
    """The world outside: a book of payments that no database of ours can take back."""

    store: Path
    dies: bool = False

    @property
    def book(self) -> Path:
        """What was asked for, paid and paid back, beside the store."""
        return self.store.with_suffix(".book")

    def quote(self, item: str) -> int:
        """Say a price, and note that it was asked for."""
        self._write({"asked": item})
        return PRICES[item]

    def pay(self, buyer: str, price: int) -> str:
        """Book a payment; with `dies`, the process is killed before or after the booking."""
        if self.dies and buyer == KILLED_BEFORE_BOOKING:
            os.kill(os.getpid(), signal.SIGKILL)
        self._write({"paid": price, "by": buyer})
        if self.dies:
            os.kill(os.getpid(), signal.SIGKILL)
        return f"booked {price}"

    def take_deposit(self, buyer: str) -> int:
        """Book a deposit."""
        self._write({"deposit": DEPOSIT, "by": buyer})
        return DEPOSIT

    def pay_back(self, buyer: str, deposit: int, key: str) -> str:
        """Book a refund; one that was booked under this key is known. With `dies`, the process is killed after the booking."""
        if any(entry["key"] == key for entry in self.entries("refund")):
            return f"had paid {deposit} back"
        self._write({"refund": deposit, "by": buyer, "key": key})
        if self.dies:
            os.kill(os.getpid(), signal.SIGKILL)
        return f"paid {deposit} back"

    def entries(self, of: str) -> list[dict[str, Any]]:
        """All lines of a kind."""
        lines = self.book.read_text(encoding="utf-8").splitlines() if self.book.exists() else []
        return [entry for entry in map(json.loads, lines) if of in entry]

    def _write(self, entry: dict[str, Any]) -> None:
        with self.book.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")


# --- The behaviour --------------------------------------------------------------------------------


async def buyer(run: tenure.Run, *, bank: Bank) -> None:
    """Get a quote, ask a person, and pay if the answer is yes."""
    item: str = run.inputs[0].payload
    price = await run.step("quote", bank.quote, item, repeat="freely")
    await run.step("deposit", bank.take_deposit, run.runtime_id, repeat="never")
    run.session.append({"question": f"May I buy a {item} for {price}?"})
    # A checkpoint with a wait after it: the question is on disk while this waits, and each restart comes back to here.
    [answer] = await run.wait_steered()
    run.session.append({"answer": answer.payload})
    if answer.payload["yes"]:
        run.session.append({"bank": await run.step("pay", bank.pay, run.runtime_id, price, repeat="never")})


async def give_back(run: tenure.Run, *, bank: Bank) -> None:
    """Follow an order that was abandoned: pay back what it has cost."""
    for deposit in await run.recorded("deposit"):
        done = await run.step("refund", bank.pay_back, run.runtime_id, deposit.result, repeat="keyed")
        run.session.append({"abandoned": run.abandoned, "bank": done})


# --- The acts, each in its own process -------------------------------------------------------


async def ask(supervisor: tenure.Supervisor, bank: Bank) -> None:
    """Give each buyer its order, and leave when all have put their question."""
    for name, item in BUYERS.items():
        runtime = await supervisor.spawn(name, "buyer")
        await runtime.accept(item, idempotency_key="order", deadline_s=DEADLINE_S if name == LATE else None)
        # What it says is in its conversation once it is on disk. A real host shows it from there to a person.
        while not (said := await supervisor.read_session(name)):  # noqa: ASYNC110
            await trio.sleep(0.01)
        print(f"    {name}: {said[-1]['question']}")
    await supervisor.hold(LATE, note="after the others")
    print(f"    quotes asked for: {len(bank.entries('asked'))}; the process ends, and no answer has come")


async def answer(supervisor: tenure.Supervisor, bank: Bank, name: str) -> None:
    """Answer one buyer. Its payment kills this process."""
    runtime = await supervisor.spawn(name, "buyer")
    print(f"    {name} is {await runtime.wait_state('running')} again; quotes asked for: {len(bank.entries('asked'))}")
    if name == KILLED_BEFORE_BOOKING:
        print("    a person at a shell says yes", flush=True)
        command = ["tenure.cli", "steer", str(bank.store), name, '{"yes": true}', "--key", "answer"]
        await trio.run_process([sys.executable, "-m", *command], capture_stdout=True)
    else:
        print("    a person clicks on yes", flush=True)  # and may be left without a reply
        await runtime.accept({"yes": True}, lane="steer", idempotency_key="answer")
    await trio.sleep_forever()


async def verdict(supervisor: tenure.Supervisor, bank: Bank, name: str) -> None:
    """Find a buyer held with its payment in doubt, look into the book, and say whether it was paid."""
    runtime = await supervisor.spawn(name, "buyer")
    print(f"    {name} is held: {await runtime.wait_held()} ({runtime.held_detail})")
    again = await runtime.accept({"yes": True}, lane="steer", idempotency_key="answer")
    print(f"    a person clicks on yes again; known before: {again.deduplicated}")
    booked = [f"booked {entry['paid']}" for entry in bank.entries("paid") if entry["by"] == name]
    print(f"    a person reads the book: {booked[0] if booked else 'nothing was booked'}")
    place = (runtime.held_detail or "").partition("step pay at ")[2].split()[0]
    await runtime.settle_step(place, tenure.Ran(booked[0]) if booked else tenure.DidNotRun())
    ticket = await supervisor.ticket(name, idempotency_key="order")
    print(f"    the order is {(await ticket.wait_outcome()).phase}")
    for message in await supervisor.read_session(name):
        print(f"      {message}")


async def late(supervisor: tenure.Supervisor, bank: Bank, name: str) -> None:
    """Wait for an order whose deadline passes. What follows it kills this process."""
    del bank
    await supervisor.resume(name)
    ticket = await supervisor.ticket(name, idempotency_key="order")
    outcome = await ticket.wait_outcome()
    print(f"    no answer came: the order is {outcome.phase}, {outcome.reason}", flush=True)
    await trio.sleep_forever()


async def refund(supervisor: tenure.Supervisor, bank: Bank, name: str) -> None:
    """Wait until what follows the order has paid its deposit back."""
    while "abandoned" not in (said := await supervisor.read_session(name))[-1]:  # noqa: ASYNC110
        await trio.sleep(0.01)
    print(f"    {said[-1]}; refunds in the book: {len(bank.entries('refund'))}")


ACTS: Final[dict[str, Callable[..., Awaitable[None]]]] = {
    "ask": ask,
    "answer": answer,
    "verdict": verdict,
    "late": late,
    "refund": refund,
}


async def play(path: Path, act: str, *names: str) -> None:
    """Play one act on its own host."""
    bank = Bank(path, dies=act in {"answer", "late"})
    behaviour = tenure.Behaviour(partial(buyer, bank=bank), on_abandoned=partial(give_back, bank=bank))
    # A run that waits for a person does not end by itself: closing the host need not wait for it.
    async with tenure.open_supervisor(path, behaviours={"buyer": behaviour}, drain_s=0) as supervisor:
        await ACTS[act](supervisor, bank, *names)


def main() -> int:
    """Play all acts, each in a child process, or the one that was asked for; 0 when all was paid once."""
    arguments = parser(__doc__)
    arguments.add_argument("--act", choices=list(ACTS), help=argparse.SUPPRESS)
    arguments.add_argument("--buyer", choices=list(BUYERS), help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.act:
        trio.run(play, given.db, given.act, *([given.buyer] if given.buyer else []))
        return 0
    path = database(given)
    if path.exists():
        print(f"{path} exists; the story begins with a new store", file=sys.stderr)
        return 2
    well = perform(path, "ask", 0)
    for name in ANSWERED:
        well &= perform(path, "answer", -signal.SIGKILL, name) and perform(path, "verdict", 0, name)
    well &= perform(path, "late", -signal.SIGKILL, LATE) and perform(path, "refund", 0, LATE)
    bank = Bank(path)
    print(f"\nthe book: {bank.entries('paid')}; quotes asked for: {len(bank.entries('asked'))}")
    once = (
        sorted(entry["by"] for entry in bank.entries("paid")) == sorted(ANSWERED) and len(bank.entries("refund")) == 1
    )
    return 0 if well and once else 1


def perform(path: Path, act: str, code: int, name: str | None = None) -> bool:
    """Play one act in its own process; whether it ended with this code."""
    print(f"\n{act} {name or ''}".rstrip(), flush=True)
    buyer_option = [] if name is None else ["--buyer", name]
    command = [sys.executable, __file__, "--db", str(path), "--act", act, *buyer_option]
    ended = subprocess.run(command, check=False).returncode  # noqa: S603 - this file itself
    if ended == -signal.SIGKILL:
        print("    the process was killed while it paid")
    return ended == code


if __name__ == "__main__":
    sys.exit(main())
