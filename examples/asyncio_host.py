"""A web server on asyncio, with durable agents.

    python examples/asyncio_host.py                             # serves, and is its own client
    python examples/asyncio_host.py --db a.db --serve 8080      # serves until Ctrl-C or SIGTERM
    curl localhost:8080/alice -d 'hello' -H 'Idempotency-Key: 1'
    curl localhost:8080/alice

What to look at:

- The program is plain asyncio: `asyncio.run`, streams, `asyncio.timeout`. The supervisor lives in its own thread; its
  verbs are awaited.
- `chat` is the same behaviour that a trio program would have. Its step `ask_model` is an asyncio function and runs on the
  program's own loop, where its clients live: that is what `on_loop` says.
- A request that comes twice under one key is answered twice and worked on once, also when the server was killed in between.
- A client that goes away, or a timeout, ends a wait and nothing else: the message is on disk, and the agent answers it.
"""

from __future__ import annotations

import asyncio
import json
import sys
from functools import partial
from pathlib import Path
from typing import Final, cast, final

import attrs
from scratch import database, parser

import tenure
import tenure.asyncio
from tenure.errors import Error

REPLY_S: Final = 30.0
"""How long a request waits for its agent's answer; the client may ask again under its key."""


# --- The agent ------------------------------------------------------------------------------------


@tenure.asyncio.on_loop
async def ask_model(text: str) -> str:
    """Stand in for a model with an asyncio client."""
    await asyncio.sleep(0.01)
    return f"You said: {text}"


async def chat(run: tenure.Run) -> None:
    """Answer a message, and keep both in the conversation."""
    for entry in run.inputs:
        reply = await run.step("ask", ask_model, entry.payload, repeat="freely")
        run.session.append({"user": entry.payload, "agent": reply})


# --- The server -----------------------------------------------------------------------------------


@final
@attrs.frozen(slots=True, kw_only=True)
class Request:
    """What this server reads of a request: enough for the example, and no HTTP server for the world."""

    method: str
    agent: str
    key: str | None
    body: str


async def read_request(reader: asyncio.StreamReader) -> Request:
    """Read one request."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    method, path, _ = head[0].split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(method=method, agent=path.strip("/"), key=headers.get("idempotency-key"), body=body.decode())


async def respond(supervisor: tenure.asyncio.Supervisor, request: Request) -> tuple[str, object]:
    """Do what a request asks; its status and its answer."""
    try:
        if request.method == "GET":
            return "200 OK", await supervisor.read_session(request.agent)
        # The agent may be new, or belong to another process on this file: this accepts for it all the same.
        ticket = await supervisor.accept(request.agent, request.body, kind="chat", idempotency_key=request.key)
        # From here on the message is safe, whatever becomes of this connection.
        async with asyncio.timeout(REPLY_S):
            outcome = await ticket.wait_outcome()
    except TimeoutError:
        return "202 Accepted", {"later": "ask again under the same key"}
    except Error as error:
        return "409 Conflict", {"error": type(error).__name__, "detail": str(error)}
    return "200 OK", {"outcome": outcome.phase, "known": ticket.deduplicated}


async def serve_client(
    supervisor: tenure.asyncio.Supervisor, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Serve one connection with one request."""
    try:
        status, answer = await respond(supervisor, await read_request(reader))
        body = json.dumps(answer).encode()
        head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        writer.write(f"{head}Connection: close\r\n\r\n".encode() + body)
        await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError, ValueError):
        return  # it went away, or spoke something else
    finally:
        writer.close()


async def host(path: Path, port: int | None) -> None:
    """Serve agents: until a person ends this, or, without a port, until the program has talked to itself."""
    async with tenure.asyncio.open_supervisor(path, behaviours={"chat": chat}) as supervisor:
        server = await asyncio.start_server(partial(serve_client, supervisor), "127.0.0.1", port or 0)
        async with server:
            bound = cast("int", server.sockets[0].getsockname()[1])
            if port is None:
                await talk(bound)
                print(f"commits: {(await supervisor.statistics()).commits}")
            else:
                print(f"serving on http://127.0.0.1:{bound}; end it with Ctrl-C", flush=True)
                await server.serve_forever()
    print("closed; what was accepted is on disk")


# --- A client, for the demonstration --------------------------------------------------------------


async def talk(port: int) -> None:
    """Send three messages, the last of them a second time, and read the conversation."""
    answers = await asyncio.gather(*(post(port, "alice", f"message {at}", f"key-{at}") for at in (1, 2, 3)))
    print(f"three messages at once: {answers}")
    print(f"the last one again: {await post(port, 'alice', 'message 3', 'key-3')}")
    print(f"its key with another message: {await post(port, 'alice', 'other', 'key-3')}")
    said = json.loads(await send(port, "GET /alice HTTP/1.1\r\n\r\n"))
    print(f"the conversation: {sorted(turn['agent'] for turn in said)}")


async def post(port: int, agent: str, text: str, key: str) -> object:
    """Post one message; the server's answer."""
    head = f"POST /{agent} HTTP/1.1\r\nIdempotency-Key: {key}\r\nContent-Length: {len(text)}\r\n\r\n"
    return json.loads(await send(port, head + text))


async def send(port: int, request: str) -> str:
    """Send one request; the body of the response."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request.encode())
    response = (await reader.read()).decode()
    writer.close()
    return response.partition("\r\n\r\n")[2]


def main() -> int:
    """Run the server; 130 when it was interrupted."""
    arguments = parser(__doc__)
    arguments.add_argument("--serve", type=int, metavar="PORT", help="serve until Ctrl-C (0 takes any free port)")
    given = arguments.parse_args()
    try:
        asyncio.run(host(database(given), cast("int | None", given.serve)))
    except KeyboardInterrupt:
        print("interrupted; what was accepted is on disk", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
