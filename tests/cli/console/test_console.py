"""The console over HTTP: who gets in, what each page has, that what agents say is text, and every verb."""

from __future__ import annotations

import html
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import trio

from tenure.cli.console.application import Console, application
from tenure.cli.console.verbs import VERBS
from tenure.errors import InvalidInput
from tests.cli.console.worlds import HOSTILE, SECRET, TOKEN, Served, host, served
from tests.cli.test_verb_commands import beside

pytestmark = [pytest.mark.slow, pytest.mark.process]

READING: Sequence[tuple[str, Mapping[str, str], str]] = (
    ("/", {}, "Overview"),
    ("/runtimes", {}, "ada"),
    ("/runtimes", {"held": "1"}, "doubt"),
    ("/runtimes", {"parent": "parent"}, "child"),
    ("/runtimes", {"kind": "worker", "state": "idle", "after": "parent"}, "waiting"),
    ("/runtimes", {"labels": "tier=gold"}, "tier=gold"),
    ("/runtime", {"id": "ada"}, "nothing waits in its inbox"),
    ("/runtime", {"id": "doubt"}, "may have run"),
    ("/runtime", {"id": "parent"}, "child"),
    ("/runtime", {"id": HOSTILE}, "nothing waits in its inbox"),
    ("/inputs", {"id": "dead"}, "abandoned"),
    ("/steps", {"id": "waiting"}, "look up"),
    ("/dead-letters", {}, "it failed"),
    ("/runs", {}, "waiting"),
    ("/schedules", {}, "0 3 * * * UTC"),
    ("/schedule", {"id": "nightly"}, "nightly"),
    ("/queue", {}, "ready"),
    ("/queue", {"session": "s"}, "ready"),
)
CONTENT = (("/messages", {"id": "ada"}), ("/state", {"id": "ada"}), ("/output", {"id": "ada"}))


@pytest.mark.parametrize(("path", "query", "has"), READING)
def test_each_page_has_what_it_is_for_and_nothing_of_an_agent_is_markup(
    console: Served, path: str, query: Mapping[str, str], has: str
) -> None:
    page = console.page(path, **query)

    assert has in page
    assert "<script>alert" not in page
    assert "<img" not in page
    assert "\u202e" not in page


def test_content_is_shown_where_it_is_asked_for_and_in_no_list(console: Served) -> None:
    shown = SECRET.replace("\u202e", "\\u202e")
    for path in ("/messages", "/state"):
        assert shown in html.unescape(console.page(path, id="ada"))
    for path, query, _ in READING:
        assert "in a payload" not in console.page(path, **query) or path == "/schedule"


def test_content_of_an_input_and_of_a_step(console: Served) -> None:
    letter = console.page("/inputs", id="dead").partition("/content?")[2].partition('"')[0]
    step = console.page("/steps", id="waiting").partition("/content?")[2].partition('"')[0]

    assert "boom" in console.ask(f"/content?{html.unescape(letter)}").text
    assert "second line" in console.ask(f"/content?{html.unescape(letter)}").text
    assert "in a payload" in console.ask(f"/content?{html.unescape(step)}").text


def test_without_content_there_is_none(reader: Served) -> None:
    for path, query in (*CONTENT, ("/content", {"id": "ada", "input": "x"}), ("/spoken", {"id": "ada"})):
        answer = reader.ask(f"{path}?id={query['id']}")
        assert answer.status == 422
        assert "no content" in answer.text
    assert "in a payload" not in reader.page("/schedule", id="nightly")
    assert "/content?" not in reader.page("/runtime", id="ada")


@pytest.mark.parametrize("path", ["/", "/runtime?id=ada", "/spoken?id=ada", "/confirm?verb=stop&id=ada", "/nowhere"])
@pytest.mark.parametrize("cookie", ["", "{name}=", "{name}=wrong", "{name}=" + TOKEN.replace(" ", "+")])
def test_who_has_no_token_sees_nothing(console: Served, path: str, cookie: str) -> None:
    stranger = Served(console.port)
    stranger.cookie = cookie.format(name=console.cookie.partition("=")[0])

    answer = stranger.ask(path)

    assert answer.status == 401
    assert "ada" not in answer.text.replace("/runtime?id=ada", "")


@pytest.mark.parametrize("host", ["elsewhere/static/", "elsewhere/static/?", "elsewhere/static/#", "["])
def test_a_host_that_is_named_like_an_open_page_opens_none(console: Served, host: str) -> None:
    assert Served(console.port).ask("/runtimes", host=host).status == 401


def test_a_path_is_judged_as_it_is_routed(console: Served) -> None:
    assert Served(console.port).ask("/sta%09tic/console.css").status == 401


def test_a_wrong_token_is_refused_and_a_right_one_goes_out_of_the_address(console: Served) -> None:
    stranger = Served(console.port)

    assert stranger.ask("/?token=wrong").status == 401
    assert stranger.ask("/login", {"token": "wrong"}).status == 401
    answer = stranger.ask("/runtimes?token=a+token+of+sixteen+or+more&kind=worker")
    typed = stranger.ask("/login", {"token": TOKEN})
    lured = stranger.ask("//elsewhere.example/?token=a+token+of+sixteen+or+more")

    assert answer.status == typed.status == 303
    assert answer.headers["location"] == "/runtimes?kind=worker"
    assert lured.headers["location"] == "/elsewhere.example/"
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= {
        part.strip() for part in answer.headers["set-cookie"].split(";")
    }
    assert TOKEN not in answer.headers["set-cookie"]


@pytest.mark.parametrize(
    ("headers", "form"),
    [
        ({"origin": "http://elsewhere.example"}, None),
        ({"origin": "null"}, None),
        ({"origin": ""}, None),
        ({"origin": "http://127.0.0.1:1"}, None),
        ({"origin": "http://["}, None),
        ({"content_type": "text/plain"}, None),
        ({"content_type": "multipart/form-data; boundary=x"}, None),
        ({}, {"form": "forged"}),
        ({}, {"form": ""}),
        ({}, {"extra" * 300_000: ""}),
    ],
)
def test_a_form_that_is_not_of_its_own_pages_does_nothing(
    console: Served, headers: dict[str, str], form: dict[str, str] | None
) -> None:
    secret = console.page("/confirm", verb="stop", id="ada").partition('name="form" value="')[2].partition('"')[0]
    sent = {"form": secret, "verb": "stop", "id": "ada"} | (form or {})

    answer = console.ask("/act", sent, **headers)

    assert answer.status == 403
    assert "Nothing was done" in answer.text
    assert state_of(console, "ada") == "idle"


def test_one_that_only_reads_has_no_verbs(reader: Served) -> None:
    assert "/confirm" not in reader.page("/runtime", id="ada")
    assert reader.ask("/confirm?verb=stop&id=ada").status == 404
    assert reader.ask("/act", {"form": "", "verb": "stop", "id": "ada"}).status == 403


def test_every_answer_has_the_headers_of_a_page_that_trusts_nobody(console: Served) -> None:
    for path in ("/", "/static/console.css", "/nowhere", "/runtime?id=nobody"):
        headers = console.ask(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert headers["referrer-policy"] == "same-origin"
        assert "server" not in headers


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("/runtime?id=nobody", 404),
        ("/runtime", 422),
        ("/runtime?id=" + "x" * 600, 422),
        ("/runtime?id=%00", 422),
        ("/runtimes?state=gone", 422),
        ("/runtimes?labels=gold", 422),
        ("/runs?after=x", 422),
        ("/inputs?id=ada&after=1e9", 422),
        (f"/inputs?id=ada&after={2**63}", 422),
        (f"/runs?after={-(2**63) - 1}", 422),
        ("/steps?id=ada&run=nobody", 404),
        ("/content?id=ada&input=nobody", 404),
        ("/content?id=ada&run=nobody&place=x", 404),
        ("/spoken?id=nobody", 404),
        ("/schedule?id=nobody", 404),
        ("/confirm?verb=erase-everything&id=ada", 422),
        ("/nowhere", 404),
        ("/static/../application.py", 404),
    ],
)
def test_what_is_not_there_and_what_is_wrong_are_told_apart(console: Served, address: str, status: int) -> None:
    assert console.ask(address).status == status


def test_a_store_that_has_gone_is_said_to_have(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput):
        Console(target="x", token="short")
    code = subprocess.run(
        [sys.executable, "-m", "tenure.cli", "console", str(tmp_path / "none.db")], capture_output=True, check=False
    )
    assert code.returncode == 3
    assert b"CannotOpen" in code.stderr


def test_another_address_than_loopback_wants_a_token(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TENURE_CONSOLE_TOKEN", raising=False)
    command = [sys.executable, "-m", "tenure.cli", "console", str(store), "--host", "0.0.0.0"]

    ended = subprocess.run(command, capture_output=True, check=False, timeout=60)

    assert ended.returncode == 2
    assert b"others reach 0.0.0.0" in ended.stderr


@pytest.mark.turns(2)
def test_pages_of_many_runtimes_lead_through_all_of_them(tmp_path: Path) -> None:
    path = tmp_path / "many.db"
    names = [f"runtime-{number:05}" for number in range(10_000)]

    async def main() -> None:
        async with host(path) as supervisor, trio.open_nursery() as nursery:
            limit = trio.CapacityLimiter(500)

            async def spawn(name: str) -> None:
                async with limit:
                    await supervisor.spawn(name, "worker")

            for name in names:
                nursery.start_soon(spawn, name)

    trio.run(main)
    with served(path) as many:
        many.let_in()
        found: list[str] = []
        address = "/runtimes"
        while address:
            page = many.ask(address).text
            found += [
                row.partition("<")[0]
                for row in page.split('class="id" href="/runtime?id=')[1:]
                for row in [row.partition(">")[2]]
            ]
            more = page.partition('<p class="next"><a href="')[2].partition('"')[0]
            address = html.unescape(more)
        assert found == names


# Verbs


def state_of(console: Served, runtime_id: str) -> str:
    page = console.page("/runtime", id=runtime_id)
    return page.partition('id="why"')[2].partition('class="badge')[2].partition(">")[2].partition("<")[0].strip()


def letters_of(console: Served) -> list[str]:
    page = console.page("/runtime", id="dead")
    return [each.partition("&")[0].partition('"')[0] for each in page.split("input=")[1:]]


def test_every_verb_does_what_it_says(console: Served, store: Path) -> None:
    seen: set[str] = set()

    def act(verb: str, runtime_id: str, **fields: str) -> None:
        answer = console.act(verb, runtime_id, **fields)
        assert answer.status == 303, answer.text
        assert VERBS[verb].done in console.ask(answer.headers["location"]).text
        seen.add(verb)

    def facts(*command: object) -> Any:
        return trio.run(beside, *command)

    act("accept", "ada", payload='"more"', key="one")
    assert facts("inbox", store, "ada")[0]["idempotency_key"] == "one"
    act("steer", "waiting", payload='"yes"')
    assert "steer" in [each["lane"] for each in facts("inbox", store, "waiting")]
    act("hold", "ada", note="because")
    assert "because" in console.page("/runtime", id="ada")
    act("end-hold", "ada")
    assert "because" not in console.page("/runtime", id="ada")
    place = facts("why", store, "doubt")["held"]["in_doubt"][0]["place"]
    act("settle", "doubt", place=place, result='"paid"')
    assert facts("why", store, "doubt")["held"] is None
    act("cancel", "cancelled")
    assert facts("why", store, "cancelled")["unfinished_inputs"] == 0
    act("retire", "parent")
    assert state_of(console, "parent") == "retired"
    act("recycle", "parent")
    assert state_of(console, "parent") == "idle"
    act("reset", "parent")
    act("stop", "parent")
    assert state_of(console, "parent") == "stopped"
    letter = facts("dead-letters", store, "dead")[0]["input_id"]
    act("retry", "dead", input=letter)
    assert facts("dead-letters", store, "dead") == []
    other = facts("dead-letters", store, "dead-2")[0]["input_id"]
    act("drop", "dead-2", input=other)
    assert facts("dead-letters", store, "dead-2") == []
    assert console.act("destroy", "parent").status == 422, "its id was not typed"
    assert state_of(console, "parent") == "stopped"
    act("destroy", "parent", typed="parent")
    assert state_of(console, "parent") == "destroyed"
    act("schedule-pause", "nightly")
    assert "paused" in console.page("/schedule", id="nightly").partition("<dl>")[2].partition("</dl>")[0]
    act("schedule-resume", "nightly")
    act("schedule-trigger", "nightly")
    assert "triggered" in console.page("/schedule", id="nightly")
    act("schedule-delete", "nightly")
    assert "nightly" not in console.page("/schedules")
    assert seen | {"resume"} == set(VERBS)


def test_a_verb_that_is_refused_says_why(console: Served) -> None:
    refused = console.act("resume", "child")
    wrong = console.act("accept", "child", payload="no json")

    assert refused.status in (303, 503)
    assert wrong.status == 422
    assert "not JSON" in wrong.text
    assert console.act("stop", "nobody").status == 404


def test_an_application_of_a_users_own_server() -> None:
    assert application(Console(target="agents.db", token=TOKEN)).routes


def test_what_an_agent_emits_is_followed_from_where_a_reader_was(store: Path, console: Served) -> None:
    async def say(payload: str) -> None:
        async with host(store) as supervisor:
            await (await supervisor.accept("speaker", payload, kind="worker")).wait_outcome()

    trio.run(say, "one")
    with console.following("speaker") as lines:
        events = next_events(lines, 3)
        trio.run(say, "two")
        more = next_events(lines, 3)
    with console.following("speaker", after=events[-1][0]) as lines:
        again = next_events(lines, 3)

    assert [fact["kind"] for _, fact in events] == ["begun", "data", "ended"]
    assert events[1][1]["value"] == '"looked up"'
    assert more == again
    assert more[0][0] > events[-1][0]


def next_events(lines: Iterator[str], count: int) -> list[tuple[str, dict[str, Any]]]:
    """So many events of a stream, each with its id."""
    found: list[tuple[str, dict[str, Any]]] = []
    name = ""
    while len(found) < count:
        field, _, value = next(lines).partition(": ")
        if field == "id":
            name = value
        elif field == "data":
            found.append((name, json.loads(value)))
    return found
