"""Answer questions about the points of metrics."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple

from starlette.responses import Response

from exptrack import Archive, InvalidValueError
from exptrack.web.api import Handler
from exptrack.web.curve_cache import CurveCache, PackedCurve
from exptrack.web.encoding import answer_bytes, join_curves, pack_curve
from exptrack.web.page import Page
from exptrack.web.question import Question

MAX_CURVES = 5_000
MAX_COUNTED = 50  # metrics of a question that the cache answers; to count more takes longer than it saves
METRICS = "metrics."

_Counts = dict[str, tuple[int | None, ...]]  # the points of each metric, by run
_Curves = dict[tuple[str, str], PackedCurve]  # by run and metric


class _Wanted(NamedTuple):
    """How curves are to be downsampled."""

    buckets: int
    by: str
    start: float | None
    stop: float | None
    width: float | None


def read_series(page: Page, question: Question) -> Response:
    """Read metrics of runs, downsampled to common buckets; the cache has those that were read before."""
    version = page.archive.data_version()
    runs, metrics = (list(dict.fromkeys(question.texts(name))) for name in ("runs", "metrics"))
    if len(runs) * len(metrics) > MAX_CURVES:
        raise InvalidValueError(
            f"{len(runs):,} runs with {len(metrics):,} metrics have too many curves; ask for fewer at a time"
        )
    wanted = _Wanted(
        question.whole("buckets", 400),
        question.text("by", "step"),
        question.number("start"),
        question.number("stop"),
        question.number("width"),
    )
    counts = _count_points(page.archive, runs, metrics, wanted.by)
    if counts is None:
        width, curves = _read(page.archive, runs, metrics, wanted)
    else:
        width, curves = _read_through(page.curves, page.archive, metrics, wanted, counts)
    described = [{"run": run, "metric": name, "size": one.size} for (run, name), one in curves.items()]
    packed = [one.content for one in curves.values()]
    return answer_bytes(join_curves(version, wanted.by, width, described, packed), version)


def _read(
    archive: Archive, runs: Sequence[str], metrics: Sequence[str], wanted: _Wanted
) -> tuple[float, _Curves]:
    """Return the width of the buckets, and the curves."""
    found = archive.curves(runs, metrics, **wanted._asdict())
    return found.width, {(one.run_id, one.name): PackedCurve(len(one), pack_curve(one)) for one in found}


def _read_through(
    cache: CurveCache, archive: Archive, metrics: Sequence[str], wanted: _Wanted, counts: _Counts
) -> tuple[float, _Curves]:
    """Return curves from the cache, after those that it lacks were read."""
    # The width that is asked for is the width of all. Else it follows from the points of all runs together.
    grid: Hashable = (wanted, tuple(counts.items())) if wanted.width is None else (wanted.by, wanted.width)
    width = cache.get_width(grid)

    def key_of(run: str, place: int) -> Hashable:
        return run, metrics[place], counts[run][place], counts[run][len(metrics) :], wanted[1:4], width

    kept = {
        (run, name): None if width is None else cache.get(key_of(run, place))
        for run in counts
        for place, name in enumerate(metrics)
    }
    missing = list(dict.fromkeys(run for (run, _), one in kept.items() if one is None))
    if missing or width is None:
        asked = wanted if width is None else wanted._replace(width=width)
        width, read = _read(archive, missing, metrics, asked)
        cache.put_width(grid, width)
        for run in missing:
            for place, name in enumerate(metrics):
                kept[run, name] = read[run, name]
                cache.put(key_of(run, place), read[run, name])
    return width, {one: curve for one, curve in kept.items() if curve is not None}


def _count_points(archive: Archive, runs: Sequence[str], metrics: Sequence[str], by: str) -> _Counts | None:
    """Count the points of metrics by run, and those of the metric that is the axis.

    Returns None for what the cache cannot know: the beginning of an id, a run in the trash, many metrics.
    """
    if not runs or not metrics or not all(metrics) or len(metrics) > MAX_COUNTED:
        return None
    axes = [] if by in ("step", "time") else [by, by.removeprefix(METRICS)]
    columns = [f"{METRICS}{_quote(name)}.count" for name in (*metrics, *filter(None, axes))]
    marks = ", ".join("?" for _ in runs)
    query = archive.runs().allow_unknown().where(f"id in ({marks})", *runs)
    rows = query.rows(["id", *dict.fromkeys(columns)], size=len(runs)).rows
    found = {row["id"]: tuple(row[column] for column in columns) for row in rows}
    return {run: found[run] for run in runs} if len(found) == len(runs) else None


def _quote(name: str) -> str:
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


HANDLERS: list[tuple[str, Handler]] = [("/api/series", read_series)]
