"""No text of an archive becomes script, markup or a request; it is seen as it was written."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from urllib.parse import quote, urlencode

import pytest

from exptrack.web.server import PageServer
from tests.web.browser.conftest import Open
from tests.web.browser.payloads import PAYLOADS, REVERSED, fill_with_payloads
from tests.web.browser.visits import TOO_FEW, Visit

# Elements and attributes that our own code never makes; shadow roots are searched too.
FIND_FOREIGN = """
() => {
    const found = [];
    const search = (root) => {
        for (const one of root.querySelectorAll("*")) {
            const names = one.getAttributeNames();
            if (names.includes("xss") || names.some((name) => name.startsWith("on"))
                || one.matches("iframe, object, embed, base, meta[http-equiv], math, form[action], template"))
                found.push(one.outerHTML.slice(0, 200));
            const address = one.getAttribute("href") ?? one.getAttribute("src") ?? "";
            if (/^\\s*(javascript|data|vbscript):/i.test(address) && !address.startsWith("data:image/"))
                found.push(one.outerHTML.slice(0, 200));
            if (one.shadowRoot) search(one.shadowRoot);
        }
    };
    search(document);
    if (window.hit !== undefined) found.push("a script ran");
    return found;
}
"""
SQL = "SELECT name, tag FROM runs JOIN tags USING (run_id)"
# An address on the archive, what must be pressed, and whether all payloads are in sight then.
RUN = "/run/{run}"
COLUMNS = ("run_id", "name", "tag", "group", "reason")
VIEWS = {
    "runs": (f"/runs?{urlencode({'columns': COLUMNS}, doseq=True)}", "", True),
    "run": (RUN, "", True),
    "run-config": (f"{RUN}?tab=config", "", True),
    "run-artifacts": (f"{RUN}?tab=artifacts", "", True),
    "run-table": (f"{RUN}?tab=artifacts", "main >> text=table.csv", True),
    "run-lineage": (f"{RUN}?tab=lineage", "", False),
    "run-events": (f"{RUN}?tab=events", "", False),
    "charts": ("/charts?runs={run}", "", False),
    "compare": ("/compare?runs={run}&runs={other}", "", False),
    "explore": ("/explore", "", False),
    "sweeps": ("/sweeps", "", True),
    "sweep": (f"/sweep/{quote(PAYLOADS[1] + ' 1', safe='')}", "", False),
    "media": ("/media", "", False),
    "sql": (f"/sql#{quote(SQL)}", "button.primary", True),
    "file": ("/file", "", False),
    "named-views": ("/file", "#named-views", True),
}


@pytest.fixture(scope="module")
def poisoned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[PageServer, list[str]]]:
    """A server on an archive of payloads, and the ids of its runs; the first has most of them."""
    path = tmp_path_factory.mktemp("payloads") / "lab.db"
    runs = fill_with_payloads(path)
    with PageServer(path, port=0) as server:
        yield server, runs


def sweep_with_the_pointer(visit: Visit) -> None:
    """Move over the whole view, so that whatever answers to a pointer does."""
    for y in range(20, 1200, 90):
        for x in (100, 400, 800, 1200):
            visit.page.mouse.move(x, y)


def find_unseen(visit: Visit, texts: Iterable[str]) -> list[str]:
    """Return the texts that the view does not show as they are, apart from white space."""
    shown = "".join(visit.page.inner_text("body").split())
    return [text for text in texts if "".join(text.split()) not in shown]


@pytest.mark.parametrize("name", VIEWS)
def test_no_view_takes_text_for_anything_else(
    name: str, open_window: Open, poisoned: tuple[PageServer, list[str]]
) -> None:
    server, runs = poisoned
    path, press, shows = VIEWS[name]
    visit = open_window(server, viewport={"width": 1400, "height": 3000 if shows else 1200})
    visit.allow(TOO_FEW)
    page = visit.open(path.format(run=runs[0], other=runs[1]), "main")
    if press:
        page.locator(press).first.click()
        visit.settle()
    sweep_with_the_pointer(visit)
    visit.settle()
    assert page.evaluate(FIND_FOREIGN) == []
    assert find_unseen(visit, PAYLOADS if shows else ()) == []
    assert REVERSED not in page.inner_text("body")


def test_names_and_reasons_of_runs_are_seen_as_they_were_written(
    open_window: Open, poisoned: tuple[PageServer, list[str]]
) -> None:
    server, runs = poisoned
    visit = open_window(server, viewport={"width": 1400, "height": 1200})
    page = visit.open(f"/run/{runs[1]}", "h1")
    for number, payload in enumerate(PAYLOADS):
        visit.wait_until("(run) => location.pathname.endsWith(run)", runs[1 + number])
        page.locator(f"h1 >> text={json.dumps(payload)}").wait_for()
        assert "".join(page.inner_text("main").split()).count("".join(payload.split())) >= 3, payload
        assert page.evaluate(FIND_FOREIGN) == []
        visit.settle()  # the key acts once the next run is known
        page.keyboard.press("]")


def test_a_view_that_takes_text_for_markup_would_be_caught(
    open_window: Open, poisoned: tuple[PageServer, list[str]]
) -> None:
    server, _ = poisoned
    visit = open_window(server)
    page = visit.open("/file", "main")
    assert page.evaluate(FIND_FOREIGN) == []
    caught = 0
    for payload in PAYLOADS:
        page.evaluate("(text) => { document.querySelector('main').innerHTML = text; }", payload)
        caught += page.evaluate(FIND_FOREIGN) != []
    # The others act in an attribute or a template, or are dropped by the parser.
    assert caught == sum("<" in payload and "<body" not in payload for payload in PAYLOADS)
    assert any("Content Security Policy" in problem for problem in visit.find_problems())
    visit.allow("")
