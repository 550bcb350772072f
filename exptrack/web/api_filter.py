"""Help to write filters and columns: what is wrong, and what could stand at the cursor.

Places in a text count as browsers count them: in units of UTF-16.
"""

from __future__ import annotations

from typing import Any

from exptrack import FilterHelp
from exptrack.web.api import Handler
from exptrack.web.encoding import count_units
from exptrack.web.page import Page
from exptrack.web.question import Question


def complete_filter(page: Page, question: Question) -> dict[str, Any]:
    """Help to write a filter."""
    text = question.text("text")
    return _write(text, page.archive.complete_filter(text, _read_cursor(question, text)))


def complete_field(page: Page, question: Question) -> dict[str, Any]:
    """Help to write one field, several columns or an order."""
    text = question.text("text")
    among = question.texts("among") or ("fact", "config", "metric", "attribute")
    kind = question.text("kind", "field")
    found = page.archive.complete_field(text, _read_cursor(question, text), kind=kind, among=among)
    return _write(text, found)


def _read_cursor(question: Question, text: str) -> int | None:
    units = question.whole("cursor", -1)
    if units < 0:
        return None
    return len(text.encode("utf-16-le", "surrogatepass")[: 2 * units].decode("utf-16-le", "replace"))


def _write(text: str, found: FilterHelp) -> dict[str, Any]:
    problem = None
    if found.problem is not None:
        problem = {"message": found.problem, "position": count_units(text, found.position or 0)}
    completions = [
        {
            "text": one.text,
            "kind": one.kind,
            "from": count_units(text, one.start),
            "to": count_units(text, one.end),
        }
        for one in found.completions
    ]
    return {"problem": problem, "completions": completions}


HANDLERS: list[tuple[str, Handler]] = [
    ("/api/filter", complete_filter),
    ("/api/complete-field", complete_field),
]
