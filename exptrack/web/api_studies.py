"""Answer questions about studies and sweeps."""

from __future__ import annotations

from typing import Any

from exptrack.web.api import Handler
from exptrack.web.page import Page
from exptrack.web.question import Question


def list_studies(page: Page, _question: Question) -> dict[str, Any]:
    """List the studies, the newest first."""
    return {"studies": page.archive.studies()}


def show_study(page: Page, question: Question) -> dict[str, Any]:
    """Show a study: its space, trials, and the best value after each trial."""
    found = page.archive.study_results(question.part("name"))
    return {
        "study": found.info,
        "metrics": found.metrics,
        "params": found.params,
        "trials": found.trials,
        "best": [trial.number for trial in found.best_trials],
        "history": found.history().to_dicts(),
        "space": found.space().to_dicts(),
        "infeasible": found.infeasible,
        "unseen": found.describe_unseen(),
    }


def rank_params(page: Page, question: Question) -> dict[str, Any]:
    """Rank the params of a study by their importance."""
    study = page.archive.study_results(question.require("name"))
    metric = question.text("metric") or None
    return {"importances": study.importances(question.text("method") or None, metric=metric).to_dicts()}


HANDLERS: list[tuple[str, Handler]] = [
    ("/api/sweeps", list_studies),
    ("/api/sweep/{name:path}", show_study),
    ("/api/sweep-importances", rank_params),
]
