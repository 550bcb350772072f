"""Read from an archive what the view shows: which runs, some of their rows, and one run or several in detail.

Invariants: each function reads what is on the screen, or one number for each run, and changes nothing. All of
them may be called in any thread.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from exptrack import (
    Archive,
    Artifact,
    Buckets,
    Event,
    MetricSummary,
    RunChanges,
    RunComparison,
    RunConfig,
    RunEnvironment,
    RunHead,
    RunQuery,
    RunStatus,
    TrialState,
)
from exptrack.exporters.report_contents import plain_name
from exptrack.metric_order import is_system, rank_metric

FACTS = ("id", "name", "status", "started", "duration", "trial.state")
METRIC = "metrics."
FOUND_BY = ("name", "id", "group", "tag", "note")
MOST_METRICS = 1_000  # of a run
MOST_EVENTS = 500
MOST_ARTIFACTS = 1_000


class RunsQuestion(NamedTuple):
    """Which runs are listed, and in which order: a filter, a text that they hold, and fields to sort by."""

    where: str = ""
    find: str = ""
    order: str = ""

    def ask(self, archive: Archive) -> RunQuery:
        """Return the query for these runs.

        Raises:
            FilterError: the filter or the order is wrong.
        """
        query = archive.runs()
        if self.where.strip():
            query = query.where(self.where)
        if self.find:
            pattern = f"%{self.find}%"
            query = query.where(
                " or ".join(f"{name} like ?" for name in FOUND_BY), *(pattern for _ in FOUND_BY)
            )
        return query.order_by(self.order) if self.order.strip() else query


class ListedRun(NamedTuple):
    """A run in the list. `status` may be ``"pruned"``; `values` are those of the chosen fields."""

    row_id: int
    run_id: str
    name: str | None
    status: str
    started: datetime
    duration_s: float
    values: tuple[Any, ...]

    @property
    def label(self) -> str:
        """The name, or the id of a run without one."""
        return self.name or self.run_id

    @property
    def elapsed_s(self) -> float:
        """How long the run took, or has been running."""
        if self.status == RunStatus.RUNNING:
            return max(0.0, (datetime.now(UTC) - self.started).total_seconds())
        return self.duration_s


class FirstRuns(NamedTuple):
    """The first runs of a list, and how many there are in all."""

    total: int
    runs: list[ListedRun]


class RunMetrics(NamedTuple):
    """The metrics of some runs by name, those that tell most first; each maps run ids to summaries."""

    by_name: dict[str, dict[str, MetricSummary]]
    more: bool  # whether a run has more metrics than were read


# Many runs


def read_first(archive: Archive, question: RunsQuestion, fields: Sequence[str], size: int) -> FirstRuns:
    """Read the first `size` runs of a list, and count all.

    Raises:
        FilterError: the filter, the order or a field is wrong.
    """
    found = question.ask(archive).rows(_columns(fields), size=size)
    listed = zip(found.row_ids, found.rows, strict=True)
    return FirstRuns(found.total, [_list_run(row_id, row, fields) for row_id, row in listed])


def read_index(archive: Archive, question: RunsQuestion) -> array[int]:
    """Read the row ids of all runs of a list, in order."""
    return question.ask(archive).index()


def read_listed(archive: Archive, row_ids: Sequence[int], fields: Sequence[str]) -> list[ListedRun | None]:
    """Read runs of the list by their row ids; None for a run that is gone."""
    rows = archive.read_rows(row_ids, _columns(fields))
    return [
        None if row is None else _list_run(row_id, row, fields)
        for row_id, row in zip(row_ids, rows, strict=True)
    ]


def _columns(fields: Iterable[str]) -> list[str]:
    return list(dict.fromkeys((*FACTS, *fields)))


def _list_run(row_id: int, row: Mapping[str, Any], fields: Sequence[str]) -> ListedRun:
    run_id, name, status, started, duration_s, state = (row[fact] for fact in FACTS)
    if status == RunStatus.COMPLETED and state == TrialState.PRUNED:
        status = TrialState.PRUNED
    values = tuple(row[field] for field in fields)
    return ListedRun(row_id, run_id, name, str(status), started, duration_s, values)


def choose_metric_field(archive: Archive) -> str | None:
    """Return the field of the metric that tells most about the runs; None if none has a metric."""
    infos = [one for one in archive.fields() if one.kind == "metric"]
    own = [one for one in infos if not is_system(plain_name(one.name))]
    ranked = sorted(own, key=lambda one: rank_metric(plain_name(one.name), one.runs))
    return ranked[0].name if ranked else None


# One run or several


def read_metrics(archive: Archive, run_ids: Sequence[str], text: str = "") -> RunMetrics:
    """Read the summaries of the metrics of some runs; with `text` of those whose names hold it.

    Raises:
        RunNotFoundError: a run is gone.
    """
    by_name: dict[str, dict[str, MetricSummary]] = {}
    more = False
    for run_id in run_ids:
        page = archive.read_metrics(run_id, text=text, size=MOST_METRICS)
        more = more or page.after is not None
        for one in page.metrics:
            by_name.setdefault(one.name, {})[run_id] = one
    ranked = sorted(by_name, key=lambda name: rank_metric(name, len(by_name[name])))
    return RunMetrics({name: by_name[name] for name in ranked}, more)


def read_curves(
    archive: Archive,
    run_ids: Sequence[str],
    names: Sequence[str],
    *,
    buckets: int,
    by: str,
    window: tuple[float, float] | None,
) -> dict[tuple[str, str], Buckets]:
    """Read curves of runs by run id and metric, about `buckets` of each in the part of the axis that is shown.

    Raises:
        RunNotFoundError: a run is gone.
    """
    start, stop = window or (None, None)
    if window is not None and by == "step":
        start, stop = int(window[0]), int(window[1]) + 1
    found = archive.curves(run_ids, names, buckets=buckets, by=by, start=start, stop=stop)
    return {(one.run_id, one.name): one for one in found}


class RunPage(NamedTuple):
    """A run without its metrics: its head, its environment, and what changed since the run before it."""

    head: RunHead
    environment: RunEnvironment
    changes: RunChanges | None


def read_run(archive: Archive, run_id: str) -> RunPage:
    """Read a run without its metrics.

    Raises:
        RunNotFoundError: the run is gone.
    """
    return RunPage(archive.read_head(run_id), archive.read_environment(run_id), archive.what_changed(run_id))


def read_config(archive: Archive, run_ids: Sequence[str]) -> RunConfig | RunComparison:
    """Read the config of a run, or compare those of several.

    Raises:
        RunNotFoundError: a run is gone.
    """
    return archive.read_config(run_ids[0]) if len(run_ids) == 1 else archive.compare(run_ids)


def read_artifacts(archive: Archive, run_id: str) -> tuple[Artifact, ...]:
    """Read the artifacts of a run by name and version, up to a fixed number.

    Raises:
        RunNotFoundError: the run is gone.
    """
    return archive.read_artifacts(run_id, size=MOST_ARTIFACTS)


def read_events(archive: Archive, run_id: str) -> tuple[int, tuple[Event, ...]]:
    """Read the newest events of a run, and how many there are.

    Raises:
        RunNotFoundError: the run is gone.
    """
    start = max(0, archive.read_head(run_id).event_count - MOST_EVENTS)
    newest: deque[Event] = deque(maxlen=MOST_EVENTS)
    # The count of the head stops at a fixed number, so there may be more.
    while page := archive.read_events(run_id, start=start, size=MOST_EVENTS):
        newest.extend(page)
        start += len(page)
    return start, tuple(newest)
