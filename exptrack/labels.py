"""Choose the words that stand for runs in a table: their ids, or their names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from exptrack.validation import check_choice

LABELS = ("id", "name")
TAIL_CHARS = 4  # of an id: with them, two runs of a name differ but once in a million


def check_label(label: object) -> str:
    """Return by what runs are called: ``"id"`` or ``"name"``."""
    return check_choice(label, "label", LABELS)


def label_runs(names: Mapping[str, str | None], label: str = "name") -> dict[str, str]:
    """Return a label for each run id, no label twice.

    By ``"name"`` it is the name of the run. Runs that share a name get the end of their id with it, and a run
    without a name keeps its id.
    """
    if label == "id":
        return {run_id: run_id for run_id in names}
    shared = _find_shared(names.values())
    labels = {
        run_id: run_id if name is None else f"{name} …{run_id[-TAIL_CHARS:]}" if name in shared else name
        for run_id, name in names.items()
    }
    twice = _find_shared(labels.values())
    return {run_id: run_id if text in twice else text for run_id, text in labels.items()}


def _find_shared(words: Iterable[str | None]) -> set[str | None]:
    return {word for word, times in Counter(words).items() if times > 1}
