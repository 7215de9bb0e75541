"""An agent on the package `openai`, against a model server that fails, stalls, breaks off, and then answers.

    pip install '.[openai-agents]'                 # brings the package openai
    python examples/adapters/openai_agent.py       # serves a small model of its own; OPENAI_BASE_URL names another one

What to look at:

- The client retries nothing by itself (`max_retries=0`): the step does. Each failed attempt and the time of the next one are on
  disk, so attempts go on where the host is killed between two of them.
- A server that stalls raises nothing. `timeout_s` ends such an attempt; the request is cancelled on the program's own loop.
- What streams is emitted word by word, and can be followed while it comes. Words of an attempt that failed are in vain:
  `restarted` says after which position to drop them, so a page shows the answer once.
- The answer is in the conversation once, and a message that is handed over again under its key is not asked of the model again.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import openai

import tenure
import tenure.asyncio

MODEL: Final = os.environ.get("MODEL", "small")


# --- The agent ------------------------------------------------------------------------------------


@tenure.asyncio.on_loop
async def ask_model(history: list[Any]) -> str:
    """One request, streamed."""
    said = ""
    async with openai.AsyncOpenAI(max_retries=0) as client:
        stream = await client.chat.completions.create(model=MODEL, messages=history, stream=True)
        finished = False
        async for chunk in stream:
            for choice in chunk.choices:
                finished = finished or choice.finish_reason is not None
                if choice.delta.content:
                    tenure.emit(choice.delta.content)
                    said += choice.delta.content
    if not finished:
        raise ConnectionError("the answer broke off")  # a stream that ends early raises nothing by itself
    return said


async def chat(run: tenure.Run) -> str:
    """Answer a message, and keep both in the conversation."""
    history = await run.session.messages()
    for entry in run.inputs:
        history.append({"role": "user", "content": entry.payload})
    answer = await run.step("ask", ask_model, history, repeat="freely", attempts=5, backoff_s=0.1, timeout_s=2.0)
    for message in (*history[-len(run.inputs) :], {"role": "assistant", "content": answer}):
        run.session.append(message)
    return answer


# --- The program ----------------------------------------------------------------------------------


async def main(path: Path) -> None:
    """Ask one thing, twice under one key, and print what is seen meanwhile."""
    async with tenure.asyncio.open_supervisor(path, behaviours={"chat": chat}) as supervisor:
        alice = await supervisor.spawn("alice", "chat")
        ticket = await alice.accept("How do you do?", idempotency_key="mail-1")
        async for entry in alice.follow(ticket=ticket):
            print(f"  {entry.value!r}" if entry.kind == "data" else f"  {entry.kind}")
        for _ in range(2):
            again = await alice.accept("How do you do?", idempotency_key="mail-1")
            print(f"{(await again.wait_outcome()).result!r}, known: {again.deduplicated}")
        for message in await supervisor.read_session("alice"):
            print(f"{message['role']}: {message['content']}")


# --- A model server, for the demonstration --------------------------------------------------------


@contextmanager
def model_server() -> Iterator[str]:
    """A server of the one endpoint: it fails first, then stalls, then breaks off in the middle; later answers are whole."""
    failures = iter(["fails", "stalls", "breaks off"])
    closing = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        """One request."""

        def do_POST(self) -> None:
            """Answer it, or fail in the way whose turn it is."""
            bad = next(failures, None)
            self.rfile.read(int(self.headers["content-length"]))
            if bad == "fails":
                self.send_error(500)
                return
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.end_headers()
            for word in ("Well, ", "thank "):
                self.write(word)
            if bad == "stalls":
                closing.wait()  # and says nothing more
            elif bad is None:
                self.write("you.", last=True)

        def write(self, word: str, *, last: bool = False) -> None:
            """One chunk."""
            choice = {"index": 0, "delta": {"content": word}, "finish_reason": "stop" if last else None}
            chunk = {"id": "1", "object": "chat.completion.chunk", "created": 0, "model": MODEL, "choices": [choice]}
            self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode() + (b"data: [DONE]\n\n" if last else b""))

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its own name
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.05,))
        serving.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1"
        finally:
            closing.set()
            server.shutdown()
            serving.join()


if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="tenure-"))
    if "OPENAI_BASE_URL" in os.environ:
        asyncio.run(main(folder / "agents.db"))
    else:
        with model_server() as url:
            os.environ |= {"OPENAI_BASE_URL": url, "OPENAI_API_KEY": "none"}
            asyncio.run(main(folder / "agents.db"))
