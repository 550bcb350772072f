"""Answer questions that compare runs: side by side, by groups, and which keys matter."""

from __future__ import annotations

from typing import Any

from exptrack.web.api import Handler
from exptrack.web.page import Page
from exptrack.web.question import Question

SAMPLE = 2_000  # runs tell as much as 100,000 do, in half a second instead of many


def compare_runs(page: Page, question: Question) -> dict[str, Any]:
    """Compare runs side by side."""
    return {"comparison": page.archive.compare(question.texts("runs"), all_keys=question.flag("all"))}


def group_runs(page: Page, question: Question) -> dict[str, Any]:
    """Group runs by config keys, with the mean and spread of a metric."""
    groups = page.archive.group_by(
        question.texts("keys"),
        question.require("metric"),
        where=question.texts("where"),
        statistic=question.text("by", "last"),
    )
    return {"groups": groups}


def rank_keys(page: Page, question: Question) -> dict[str, Any]:
    """Rank config keys by how much of a metric they explain, over a sample of the runs; 0 takes all."""
    ranked = page.archive.importance(
        question.require("metric"),
        where=question.texts("where"),
        statistic=question.text("by", "last"),
        method=question.text("method", "groups"),
        sample=question.whole("sample", SAMPLE) or None,
    )
    return {"importance": ranked}


HANDLERS: list[tuple[str, Handler]] = [
    ("/api/compare", compare_runs),
    ("/api/groups", group_runs),
    ("/api/importance", rank_keys),
]
