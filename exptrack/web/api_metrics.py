"""Answer questions about the points of metrics."""

from __future__ import annotations

from starlette.responses import Response

from exptrack.web.api import Handler
from exptrack.web.encoding import answer_bytes, pack_curves
from exptrack.web.page import Page
from exptrack.web.question import Question


def read_series(page: Page, question: Question) -> Response:
    """Read metrics of runs, downsampled to common buckets."""
    archive = page.archive
    version = archive.data_version()
    curves = archive.curves(
        question.texts("runs"),
        question.texts("metrics"),
        buckets=question.whole("buckets", 400),
        width=question.number("width"),
        by=question.text("by", "step"),
        start=question.number("start"),
        stop=question.number("stop"),
    )
    return answer_bytes(pack_curves(version, curves), version)


HANDLERS: list[tuple[str, Handler]] = [("/api/series", read_series)]
