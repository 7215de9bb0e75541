"""A console, and its pages that read. Each is a plain function; Starlette calls it in a thread, and it looks into the store."""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar, final
from urllib.parse import urlencode

from attrs import field, frozen
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from tenure.cli.command import labels_of
from tenure.cli.output import visible
from tenure.errors import InvalidInput, NotFound
from tenure.persistence.commits.upkept import BELOW_ALL
from tenure.persistence.model.labels import check_labels
from tenure.persistence.model.numbers import INT_LIMIT
from tenure.persistence.model.values import RuntimeState, check_runtime_id
from tenure.persistence.upkeep.inspect import Wanted
from tenure.supervisor.handles.schedule_terms import as_schedule

from . import reading
from .reading import ROWS, look
from .showing import content_of, environment, json_of
from .verbs import DONE, OF_LETTERS, OF_RUNTIMES, OF_SCHEDULES, VERBS

if TYPE_CHECKING:
    from tenure.persistence.upkeep.look import Look


T = TypeVar("T")

STATES: Final = [each.value for each in RuntimeState if each not in (RuntimeState.ATTACHED, RuntimeState.RUNNING)]
"""States as they are stored."""

_PAGES: Final = (
    ("/", "Overview", "o"),
    ("/runtimes", "Runtimes", "r"),
    ("/runs", "Runs", "u"),
    ("/dead-letters", "Dead letters", "d"),
    ("/schedules", "Schedules", "s"),
    ("/queue", "Queue", "q"),
)


SHORTEST_TOKEN: Final = 16
"""Fewest characters of a token."""


@final
@frozen(kw_only=True)
class Console:
    """What a console shows, to whom, and what it may do.

    Attributes:
        target: The store; see `open_store`.
        token: Those who have it see everything that is shown. At least 16 characters.
        allow_verbs: Whether it may do anything but read.
        content: Whether payloads, messages, results, state and output can be looked at.
        name: What stands before the name of its cookie, so that two consoles of one host keep theirs apart.
    """

    target: str
    token: str = field(repr=False)
    allow_verbs: bool = False
    content: bool = True
    name: str = "tenure"

    def __attrs_post_init__(self) -> None:
        """Refuse a token that could be guessed."""
        if len(self.token) < SHORTEST_TOKEN:
            raise InvalidInput(detail=f"it has at least {SHORTEST_TOKEN} characters", field="token")

    def derived(self, purpose: str) -> str:
        """A secret that follows from the token and leads to no other: of the cookie, of the forms."""
        return hmac.new(self.token.encode(), purpose.encode(), hashlib.sha256).hexdigest()


@final
class Pages:
    """Reads and renders."""

    def __init__(self, console: Console) -> None:
        """Bind to what is shown, and how."""
        self.console = console
        self._templates = environment()

    # Pages

    def overview(self, request: Request) -> Response:
        """Who hosts it, what is held, what has died, what runs for longest."""
        return self.show(request, "overview.html", found=self._look(reading.overview))

    def runtimes(self, request: Request) -> Response:
        """Runtimes by filters, a page at a time."""
        asked = request.query_params
        state, parent = asked.get("state") or None, asked.get("parent") or None
        if state is not None and state not in STATES:
            raise InvalidInput(detail=f"it is one of {', '.join(STATES)}", field="state")
        wanted = Wanted(
            kind=asked.get("kind") or None,
            state=None if state is None else RuntimeState(state),
            held=bool(asked.get("held")),
            parent=None if parent is None else check_runtime_id(parent),
            labels=check_labels(labels_of(asked.get("labels", "").split())),
        )
        lines = self._look(partial(reading.runtimes, wanted, asked.get("after", "")))
        more = self._more(request, after=lines[ROWS - 1].runtime_id) if len(lines) > ROWS else None
        return self.show(request, "runtimes.html", lines=lines[:ROWS], states=STATES, asked=dict(asked), more=more)

    def runtime(self, request: Request) -> Response:
        """One runtime: why it does not run, its timeline, its dead letters, its children, and what else is stored."""
        runtime_id = self._asked(request, "id")
        found = self._look(partial(reading.portrait, runtime_id))
        verbs = OF_RUNTIMES if self.console.allow_verbs else ()
        return self.show(
            request,
            "runtime.html",
            id=runtime_id,
            found=found,
            letters=[(runtime_id, each) for each in found.letters],
            facts=json_of(found.facts),
            verbs=verbs,
            letter_verbs=self._of_letters(),
        )

    def inputs(self, request: Request) -> Response:
        """All inputs of a runtime, those that have ended too."""
        runtime_id, after = self._asked(request, "id"), self._number(request, "after", BELOW_ALL)
        lines = self._look(partial(reading.inputs, runtime_id, after))
        more = self._more(request, after=lines[-1].admission) if lines else None
        return self.show(request, "inputs.html", id=runtime_id, lines=lines, more=more)

    def steps(self, request: Request) -> Response:
        """What a run has recorded."""
        runtime_id, after = self._asked(request, "id"), self._number(request, "after", 0)
        run, lines, last = self._look(partial(reading.steps, runtime_id, request.query_params.get("run"), after))
        more = self._more(request, after=last, run=run or "") if lines else None
        return self.show(request, "steps.html", id=runtime_id, run=run, lines=lines, more=more)

    def dead_letters(self, request: Request) -> Response:
        """The dead letters of all runtimes."""
        asked = request.query_params
        runtime, input_id = asked.get("after_runtime", ""), asked.get("after_input", "")
        letters, last = self._look(partial(reading.dead_letters, runtime, input_id, ROWS))
        more = None if last is None else self._more(request, after_runtime=last[0], after_input=last[1])
        return self.show(request, "dead_letters.html", letters=letters, more=more, verbs=self._of_letters())

    def runs(self, request: Request) -> Response:
        """Runs that have begun and have not ended, the oldest first."""
        last, lines = self._look(partial(reading.unfinished_runs, self._number(request, "after", 0)))
        return self.show(request, "runs.html", lines=lines, more=self._more(request, after=last) if lines else None)

    def schedules(self, request: Request) -> Response:
        """Inputs that come by a timetable."""
        found, last = self._look(partial(reading.schedule_page, self._number(request, "after", -1)))
        lines = [as_schedule(each) for each in found]
        return self.show(
            request, "schedules.html", lines=lines, more=None if last is None else self._more(request, after=last)
        )

    def schedule(self, request: Request) -> Response:
        """One schedule, and what became of its instants."""
        schedule_id = self._asked(request, "id")
        record, occurrences = self._look(partial(reading.schedule, schedule_id))
        payload = json_of(as_schedule(record).payload) if self.console.content else None
        verbs = OF_SCHEDULES if self.console.allow_verbs else ()
        return self.show(
            request,
            "schedule.html",
            id=schedule_id,
            found=as_schedule(record),
            occurrences=occurrences,
            payload=payload,
            verbs=verbs,
        )

    def queue(self, request: Request) -> Response:
        """Queued work, in its order."""
        session = request.query_params.get("session") or None
        last, lines = self._look(partial(reading.queue, session, self._number(request, "after", 0)))
        more = None if last is None else self._more(request, after=last)
        return self.show(request, "queue.html", lines=lines, session=session or "", more=more)

    # Content, on request alone

    def messages(self, request: Request) -> Response:
        """A conversation, first message to last."""
        runtime_id = self._content_of(request)
        found = self._look(partial(reading.messages, runtime_id))
        texts = [(f"message {number}", content_of(each)) for number, each in enumerate(found, start=1)]
        return self.show(request, "content.html", id=runtime_id, title="Conversation", texts=texts)

    def state(self, request: Request) -> Response:
        """What a runtime keeps between its runs."""
        runtime_id = self._content_of(request)
        texts = [(name, content_of(data)) for name, data in self._look(partial(reading.state, runtime_id))]
        return self.show(request, "content.html", id=runtime_id, title="State", texts=texts)

    def content(self, request: Request) -> Response:
        """Payload and result of an input, or result and error of an entry of a run."""
        runtime_id, asked = self._content_of(request), request.query_params
        if "input" in asked:
            line = self._look(partial(reading.input_content, runtime_id, asked["input"]))
            texts = [
                ("payload", content_of(line.payload)),
                ("result", content_of(line.result)),
                ("error", None if line.error is None else visible_lines(line.error)),
            ]
            return self.show(request, "content.html", id=runtime_id, title=f"Input {asked['input']}", texts=texts)
        run, place = self._asked(request, "run"), self._asked(request, "place")
        entry = self._look(partial(reading.entry_content, runtime_id, run, place))
        texts = [
            ("result", None if entry.bytes is None else json_of(entry.result)),
            ("error", None if entry.error is None else visible_lines(entry.error)),
        ]
        return self.show(request, "content.html", id=runtime_id, title=f"{entry.name} at {entry.place}", texts=texts)

    def output(self, request: Request) -> Response:
        """What a runtime emits, while it does; the page's script follows it."""
        return self.show(request, "output.html", id=self._content_of(request))

    # What is answered in place of a page

    def failed(self, request: Request, error: Exception) -> Response:
        """An error of the library: absent, wrong, or something to look at."""
        status = 404 if isinstance(error, NotFound) else 422 if isinstance(error, InvalidInput) else 503
        return self.show(request, "error.html", status, title=type(error).__name__, text=visible_lines(str(error)))

    def missing(self, request: Request, _: Exception) -> Response:
        """No such page, or not by this method."""
        return self.show(request, "error.html", 404, title="No such page", text="There is nothing under this address.")

    def refused(self, request: Request, text: str) -> Response:
        """A request that nothing was done for."""
        return self.show(request, "error.html", 403, title="Refused", text=text)

    def locked(self, request: Request, *, wrong: bool = False) -> Response:
        """Who has no token sees nothing."""
        return self.show(request, "locked.html", 401, wrong=wrong)

    # Parts of them

    def show(self, request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
        """Render a template."""
        done = DONE.get(request.query_params.get("done", ""), "")
        text = self._templates.get_template(template).render(
            console=self.console,
            store=os.path.basename(self.console.target),  # noqa: PTH119 - it may be a URL
            pages=_PAGES,
            path=request.scope["path"],
            form=self.console.derived("form"),
            done=done,
            query=urlencode,
            all_verbs=VERBS,
            **values,
        )
        return HTMLResponse(text, status_code=status)

    def _look(self, read: Callable[[Look], Awaitable[T]]) -> T:
        return look(self.console.target, read)

    def _content_of(self, request: Request) -> str:
        """Of which runtime content is asked for. Raises `InvalidInput` where none is shown."""
        if not self.console.content:
            raise InvalidInput(detail="this console shows no content; it was started with --no-content")
        return self._asked(request, "id")

    def _of_letters(self) -> tuple[str, ...]:
        return OF_LETTERS if self.console.allow_verbs else ()

    @staticmethod
    def _asked(request: Request, name: str) -> str:
        if not (found := request.query_params.get(name)):
            raise InvalidInput(detail="it is missing in the address", field=name)
        return found

    @staticmethod
    def _number(request: Request, name: str, default: int) -> int:
        try:
            number = int(request.query_params.get(name, default))
        except ValueError as exc:
            raise InvalidInput(detail="it is a whole number", field=name) from exc
        if not -INT_LIMIT <= number < INT_LIMIT:
            raise InvalidInput(detail="no page begins there", field=name)
        return number

    @staticmethod
    def _more(request: Request, **place: object) -> str:
        return f"{request.scope['path']}?{urlencode({**request.query_params, **place})}"


def visible_lines(text: str) -> str:
    """A text of several lines, with all that cannot be seen escaped."""
    return "\n".join(visible(line) for line in text.split("\n"))
