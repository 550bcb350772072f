"""Answer questions about many runs: tables, fields, summaries."""

from __future__ import annotations

import os
from typing import Any

from starlette.responses import Response

from exptrack import __version__
from exptrack.web.api import Handler
from exptrack.web.encoding import answer_bytes, pack_row_ids
from exptrack.web.page import Page
from exptrack.web.question import Question

MAX_ROWS = 1_000
DEFAULT_COLUMNS = ("run_id", "name", "status", "started", "duration")


def describe_archive(page: Page, _question: Question) -> dict[str, Any]:
    """Name the archive and this server."""
    return {
        "path": page.path,
        "name": os.path.basename(page.path),
        "can_edit": page.can_edit,
        "runs": page.archive.runs().count(),
        "exptrack": __version__,
        "pid": os.getpid(),
    }


def list_rows(page: Page, question: Question) -> dict[str, Any]:
    """List columns of some runs, and count all."""
    columns = question.texts("columns") or DEFAULT_COLUMNS
    start, size = question.whole("start", 0), min(question.whole("size", 100), MAX_ROWS)
    found = question.runs(page.archive).rows(columns, start=start, size=size)
    return {"total": found.total, "row_ids": found.row_ids, "rows": found.rows}


def list_index(page: Page, question: Question) -> Response:
    """List the row ids of all runs, in order."""
    version = page.archive.data_version()
    return answer_bytes(pack_row_ids(question.runs(page.archive).index()), version)


def read_rows(page: Page, question: Question) -> dict[str, Any]:
    """Read columns of runs by their row ids."""
    ids = question.wholes("ids")[:MAX_ROWS]
    return {"rows": page.archive.read_rows(ids, question.texts("columns") or DEFAULT_COLUMNS)}


def list_fields(page: Page, question: Question) -> dict[str, Any]:
    """List the config keys, metrics and attributes of runs."""
    return {"fields": question.runs(page.archive).fields()}


def summarize_field(page: Page, question: Question) -> dict[str, Any]:
    """Summarize the values of one field."""
    bins, top = question.whole("bins", 20), question.whole("top", 10)
    return {"summary": question.runs(page.archive).summarize(question.require("field"), bins=bins, top=top)}


HANDLERS: list[tuple[str, Handler]] = [
    ("/api/archive", describe_archive),
    ("/api/runs", list_rows),
    ("/api/runs/index", list_index),
    ("/api/runs/rows", read_rows),
    ("/api/fields", list_fields),
    ("/api/summary", summarize_field),
]
