"""The console in a real browser: every page, every verb, by keyboard alone, dark and light; and the screenshots of the docs.

TENURE_SCREENSHOTS=docs pytest -m browser tests/cli/console writes these anew.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trio

from tenure.cli.console.verbs import OF_LETTERS, OF_RUNTIMES, OF_SCHEDULES, VERBS
from tests.cli.console.worlds import HOSTILE, TOKEN, Served, host, served

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.slow, pytest.mark.process, pytest.mark.browser]

PATIENCE_MS = 60_000

PAGES = ("/", "/runtimes", "/runs", "/dead-letters", "/schedules", "/queue")
OF_ONE = ("/runtime", "/inputs", "/steps", "/messages", "/state", "/output")


@contextmanager
def tab(browser: Browser, console: Served, *, refused: bool = False, **options: Any) -> Generator[Page]:
    """A tab that is let in. What its pages complain of, or a script of an agent's that runs, fails the test.

    With `refused`, verbs may be: their pages have another status than 200.
    """
    complaints: list[str] = []
    context = browser.new_context(viewport={"width": 1280, "height": 720}, **options)
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.set_default_navigation_timeout(PATIENCE_MS)
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: complaints.append(f"a script ran: {dialog.message}"))
    page.goto(f"{console.origin}/?token={TOKEN.replace(' ', '+')}")
    assert page.url == f"{console.origin}/"
    yield page
    context.close()
    of_refusals = "Failed to load resource: the server responded with a status of"
    assert [each for each in complaints if not refused or of_refusals not in each] == []


def everything(page: Page, origin: str) -> Iterable[str]:
    """Each page, those of one runtime with a hostile id too; its text."""
    for path in PAGES:
        page.goto(origin + path)
        yield page.locator("main").inner_text()
    for path in OF_ONE:
        for runtime_id in ("ada", HOSTILE):
            page.goto(f"{origin}/runtimes")
            page.evaluate("([path, id]) => location.assign(`${path}?id=${encodeURIComponent(id)}`)", [path, runtime_id])
            page.wait_for_url(f"**{path}?*")
            yield page.locator("main").inner_text()
    page.goto(f"{origin}/schedule?id=nightly")
    yield page.locator("main").inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_is_shown_and_runs_no_script_of_an_agent(browser: Browser, console: Served, scheme: str) -> None:
    with tab(browser, console, color_scheme=scheme) as page:
        texts = [*everything(page, console.origin)]
        assert all(text.strip() for text in texts)
        assert any("<script>alert(1)</script>" in text for text in texts), "what an agent says is shown as it is"
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (sum(int(part) for part in ground[4:-1].split(",")[:3]) > 3 * 128) is (scheme == "light")


def test_the_keyboard_is_enough(browser: Browser, console: Served) -> None:
    with tab(browser, console) as page:
        page.keyboard.press("r")
        page.wait_for_url("**/runtimes")
        page.keyboard.press("j")
        page.keyboard.press("j")
        page.keyboard.press("k")
        page.keyboard.press("j")
        wanted = page.evaluate("document.activeElement.textContent")
        page.keyboard.press("Enter")
        page.wait_for_url("**/runtime?*")
        assert page.locator("h1").inner_text() == wanted
        page.keyboard.press("/")
        page.keyboard.type("parent")
        page.keyboard.press("Enter")
        page.wait_for_url("**/runtime?id=parent")
        reach(page, "Hold")
        page.keyboard.press("Enter")
        page.wait_for_url("**/confirm?*")
        reach(page, "note")
        page.keyboard.type("by keyboard")
        page.keyboard.press("Enter")
        page.wait_for_url(lambda url: url.endswith("done=hold"))
        assert "by keyboard" in page.locator("#why").inner_text()
        page.keyboard.press("l")
        assert page.locator("#live").get_attribute("aria-pressed") == "false"


def reach(page: Page, name: str) -> None:
    """By the tabulator to what has this text or this name; it is visible that it is there."""
    page.wait_for_load_state()
    for _ in range(100):
        page.keyboard.press("Tab")
        at = page.evaluate("[document.activeElement.textContent.trim(), document.activeElement.getAttribute('name')]")
        if name in at:
            assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
            return
    pytest.fail(f"no way to {name}")


def test_a_page_follows_what_happens(browser: Browser, store: Path, console: Served) -> None:
    async def say(payload: str) -> None:
        async with host(store) as supervisor:
            await (await supervisor.accept("news", payload, kind="worker")).wait_outcome()

    trio.run(say, "first")
    with tab(browser, console) as page, tab(browser, console) as other:
        page.goto(f"{console.origin}/output?id=news")
        page.get_by_text("looked up").wait_for()
        other.goto(f"{console.origin}/inputs?id=news")
        trio.run(say, "second")
        page.locator("#output li").nth(5).wait_for()
        other.locator("#lines tbody tr").nth(1).wait_for()
        assert page.get_by_text("looked up").count() == 2
        assert other.locator("#lines tbody tr").count() == 2


def test_a_page_says_since_when_it_is_not_up_to_date(browser: Browser, store: Path) -> None:
    with served(store) as console:
        context = browser.new_context()
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.goto(f"{console.origin}/?token={TOKEN.replace(' ', '+')}")
        assert page.locator("#live").inner_text() == "live"
        cookies: Any = context.cookies()
        context.clear_cookies()
        page.get_by_text("not up to date since").wait_for()
        context.add_cookies(cookies)
        page.get_by_text("live", exact=True).wait_for()
    late = page.get_by_text("not up to date since")
    late.wait_for()
    assert late.is_visible()
    context.close()


def test_every_verb_is_a_button(browser: Browser, store: Path) -> None:
    fields = {"payload": '"x"', "place": "main/1", "typed": "ada"}
    with served(store, "--allow-verbs") as console, tab(browser, console, refused=True) as page:
        shown: set[str] = set()
        for path, names in (("/runtime?id=ada", OF_RUNTIMES), ("/schedule?id=nightly", OF_SCHEDULES)):
            for name in names:
                page.goto(console.origin + path)
                page.locator(".verbs").get_by_text(VERBS[name].label, exact=True).click()
                page.locator("form.verb").wait_for()
                for field, value in fields.items():
                    if page.locator(f"form.verb #{field}").count():
                        page.fill(f"form.verb #{field}", value)
                page.locator("form.verb button").click()
                page.wait_for_url(lambda url: "/confirm" not in url)
                said = page.locator("[role=status], [role=alert]").inner_text()
                assert "Nothing was done" not in said, (name, said)
                shown.add(name)
        page.goto(f"{console.origin}/dead-letters")
        for name in OF_LETTERS:
            page.goto(f"{console.origin}/runtime?id={('dead', 'dead-2')[name == 'drop']}")
            page.locator("#letters").get_by_text(VERBS[name].label, exact=True).first.click()
            page.locator("form.verb button").click()
            page.wait_for_url(lambda url: "done=" in url)
            shown.add(name)
        assert shown == set(VERBS)


def test_who_has_no_token_types_it(browser: Browser, console: Served) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.goto(f"{console.origin}/runtimes")
    assert "ada" not in page.content()
    page.fill("#token", "wrong")
    page.keyboard.press("Enter")
    page.get_by_text("This is not the token").wait_for()
    page.fill("#token", TOKEN)
    page.keyboard.press("Enter")
    page.get_by_text("Overview", exact=True).first.wait_for()
    context.close()


def test_the_screenshots_of_the_docs(browser: Browser, console: Served, tmp_path: Path) -> None:
    folder = Path(os.environ.get("TENURE_SCREENSHOTS", tmp_path))
    for scheme, path, name in (
        ("light", "/", "console-overview.png"),
        ("dark", "/runtime?id=doubt", "console-runtime.png"),
    ):
        with tab(browser, console, color_scheme=scheme) as page:
            page.goto(console.origin + path)
            page.screenshot(path=folder / name)
            assert (folder / name).stat().st_size > 10_000
