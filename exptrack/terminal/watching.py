"""Draw the table that ``watch`` redraws: how far runs are, how fast they go on, and their metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from rich.console import Console, RenderableType
from rich.text import Text

from exptrack.amounts import format_duration
from exptrack.records import RunStatus, RunSummary
from exptrack.terminal.console import Columns, build_fitted, format_age, shorten
from exptrack.terminal.runs import style_status


class Progress(NamedTuple):
    """How far a run is: its greatest step, that of its end, steps in a second, and seconds to its end.

    What is not known is None.
    """

    step: int | None = None
    end: int | None = None
    speed: float | None = None
    left_s: float | None = None


def build_live_table(
    out: Console,
    records: Sequence[RunSummary],
    progress: Mapping[str, Progress],
    metrics: Sequence[str],
    cells: Mapping[tuple[str, str], str],
    ids: Mapping[str, str] | None = None,
    *,
    unlisted: int = 0,
) -> RenderableType:
    """Build the table; `cells` holds what to show for (run id, metric).

    `unlisted` counts metrics that have no column.
    """
    told = [progress.get(r.run_id, Progress()) for r in records]
    columns: Columns = {
        "run": ("left", [Text(shorten(r.run_id, ids), style="bold") for r in records]),
        "status": ("whole", [style_status(r) for r in records]),
        "name": ("left", [r.name or "" for r in records]),
        "started": ("whole", [format_age(r.started_at) for r in records]),
        "step": ("right", [_write_step(one) for one in told]),
        "speed": ("right", [_write_speed(one, r) for one, r in zip(told, records, strict=True)]),
        "left": ("right", [_write_left(one, r) for one, r in zip(told, records, strict=True)]),
    }
    for name in metrics:
        columns[f"metric {name}"] = ("whole", [cells.get((r.run_id, name), "") for r in records])
    heads = [f"metric {name}" for name in metrics]
    expendable = ("started", *heads[:0:-1], "status", "speed", "name", "left", "step")
    return build_fitted(out, columns, expendable, folded="name", option="--metric NAME", unlisted=unlisted)


def _write_step(one: Progress) -> str:
    if one.step is None:
        return ""
    return f"{one.step:,}" if one.end is None else f"{one.step:,} of {one.end:,}"


def _write_speed(one: Progress, run: RunSummary) -> str:
    if not one.speed or run.status != RunStatus.RUNNING:
        return ""
    return f"{one.speed:.3g}/s" if one.speed >= 1 else f"{1 / one.speed:.3g} s/step"


def _write_left(one: Progress, run: RunSummary) -> str:
    if run.status != RunStatus.RUNNING or one.left_s is None:
        return ""
    return f"~{format_duration(max(one.left_s, 1.0))}"
