"""The verbs of a run that stand by themselves, each as a thing of a program."""

from __future__ import annotations

from typing import Any, final

import tenure
from tenure import errors

from .programs import Ask, Move, Plain, Sleep, Spawn, Wait
from .world import OUTSIDE, SINK, Entering


@final
class Verbs:
    """The verbs of one entering."""

    def __init__(self, run: tenure.Run, entering: Entering) -> None:
        """Of this run."""
        self._run = run
        self._entering = entering
        self._left: tenure.SessionBranch | None = None

    async def value(self, item: Sleep | Wait | Ask | Spawn | Move | Plain) -> object:
        """Ask for it: what was given."""
        match item:
            case Sleep(seconds=seconds, steerable=steerable):
                await self._run.sleep(seconds, steerable=steerable)
                return None
            case Wait(timeout_s=timeout_s, correlation_id=correlation_id):
                return self._steered(await self._run.wait_steered(timeout_s, correlation_id))
            case Ask():
                return await self._ask(item)
            case Spawn():
                return await self._spawn(item)
            case Move():
                return await self._move(item)
            case Plain():
                return await self._plain(item)

    def _steered(self, inputs: tuple[tenure.RunInput, ...]) -> list[Any]:
        given = [each.payload for each in inputs]
        self._entering.steered += given
        return given

    async def _ask(self, item: Ask) -> object:
        kind = "bad" if item.target == "bad" else None
        try:
            return await self._run.ask(item.target, [item.name, item.seconds], kind, timeout_s=item.timeout_s)
        except (errors.AskFailed, errors.AskCycle) as exc:
            return f"refused: {exc}"

    async def _spawn(self, item: Spawn) -> object:
        try:
            return await self._run.spawn(item.child, "echo", item.scope, item.on_end)
        except (errors.ChildExists, errors.RuntimeDestroyed, errors.KindMismatch) as exc:
            return f"refused: {exc}"

    async def _move(self, item: Move) -> object:
        session = self._run.session
        match item.how:
            case "pop":
                return await session.pop(max(1, item.number))
            case "rewrite":
                await session.rewrite([item.name], keep=min(item.number, session.count))
            case _:
                self._left = await session.fork(min(item.number, session.count))
        return session.count

    async def _plain(self, item: Plain) -> object:
        """What is drawn; see `_read`, `_say` and `_end` for the others."""
        run = self._run
        match item.verb:
            case "now":
                return run.now().timestamp()
            case "random":
                return run.random.random()
            case "uuid":
                return str(run.uuid())
            case "patched":
                return await run.patched(item.name)
            case "retiring":
                return run.retiring
            case _:
                return await self._read(item)

    async def _read(self, item: Plain) -> object:
        run = self._run
        match item.verb:
            case "get":
                return [await run.state.get(f"plain{item.number}"), await run.state.get(OUTSIDE)]
            case "all":
                return await run.state.all()
            case "messages":
                return await run.session.messages()
            case "steered":
                return self._steered(run.steered())
            case "children":
                return [each.runtime_id for each in await run.children()]
            case _:
                return await self._say(item)

    async def _say(self, item: Plain) -> object:
        run, name = self._run, item.name
        match item.verb:
            case "append":
                run.session.append(name)
            case "send":
                run.send(SINK, name, lane="steer" if item.number == 1 else "queue")
                self._entering.sent.append(name)
            case "set":
                run.state.set(name, name)
            case "emit":
                await run.emit(name)
            case "attach":
                return await run.session.attach(name.encode())
            case "back":
                if self._left is not None:
                    self._left = await run.session.fork(self._left)
            case "count":
                """What is given below is all that it asks for."""
            case _:
                return await self._end(item)
        return run.session.count

    async def _end(self, item: Plain) -> object:
        run, inputs = self._run, self._run.inputs
        match item.verb:
            case "answer":
                if len(inputs) > 1:
                    run.answer(inputs[1], item.name)
                return None
            case "reject":
                if len(inputs) > 2:  # noqa: PLR2004 - the third
                    run.reject(inputs[2], item.name)
                return None
            case _:
                consumed = inputs[-1:] if item.verb == "consume" and len(inputs) > 1 else ()
                return (await run.checkpoint(consumed)).sequence
