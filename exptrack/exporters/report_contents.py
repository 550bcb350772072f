"""Choose what a report shows, and read it from an archive.

Invariants: all rows, curves and statistics are those of one moment. Every number comes from a public call as it
is. What is left out for its size is told in `left_out`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from exptrack import Archive, Artifact, Buckets, FieldInfo, MetricNotFoundError, RunQuery
from exptrack.directions import guess_direction
from exptrack.metric_order import is_system, rank_metric

MOST_LISTED = 1_000  # runs in the table
MOST_DRAWN = 50  # runs with curves, besides those that are best
MOST_METRICS = 10  # if the caller does not choose them
MOST_KEYS = 300  # config keys that are read
MOST_GROUPS = 100
BUCKETS = 200
MOST_NAMES = 8  # names of artifacts of a kind
MOST_OF_NAME = {"image": 12, "table": 4, "histogram": 6}  # runs whose artifact of one name is shown
STATUSES = ("completed", "running", "failed", "interrupted", "pruned")
FACTS = "run_id name status started duration reason tag trial.state".split()
STATISTICS = "last last_step min min_step max max_step count nan_count".split()
SEEDS = ("seed", "random_state", "rng")
_PART = re.compile(r'"((?:[^"\\]|\\.)*)"|([^."]+)')


class RunRow(NamedTuple):
    """One run of the table. `values` has its config by field, and `metrics` its statistics by metric."""

    run_id: str
    row_id: int
    name: str | None
    status: str
    started: datetime
    duration_s: float
    reason: str | None
    tags: tuple[str, ...]
    values: dict[str, Any]
    metrics: dict[str, MetricValues]


class MetricValues(NamedTuple):
    """What one run logged of a metric; least and greatest are None if every value is NaN."""

    last: float
    last_step: int
    min: float | None
    min_step: int | None
    max: float | None
    max_step: int | None
    count: int  # type: ignore[assignment]  # hides tuple.count
    nan_count: int


class MetricReport(NamedTuple):
    """One metric: the direction that is better (``min``, ``max`` or None), where that is from, its curves.

    `best` is the run with the best value, and that value; None if no completed run has a finite one.
    """

    name: str
    direction: str | None
    source: str
    curves: tuple[Buckets, ...]
    best: tuple[str, float] | None


class SeedGroup(NamedTuple):
    """Runs whose configs differ in the seed alone: number, mean and deviation of each metric's last value."""

    config: dict[str, Any]
    metrics: dict[str, tuple[int, float | None, float | None]]


class Contents(NamedTuple):
    """All that a report shows, but for the bytes of artifacts."""

    archive: str
    title: str
    where: tuple[str, ...]
    digest: str
    total: int
    runs: tuple[RunRow, ...]
    drawn: tuple[str, ...]
    statuses: dict[str, int]
    varying: tuple[str, ...]
    common: dict[str, Any]
    metrics: tuple[MetricReport, ...]
    seeds: tuple[str, ...]
    groups: tuple[SeedGroup, ...]
    artifacts: dict[str, tuple[Artifact, ...]]
    left_out: tuple[str, ...]


def read_contents(
    archive: Archive, where: Sequence[str], names: Sequence[str] | None, title: str | None
) -> Contents | None:
    """Read what a report shows, as of one moment; None if no run matches the filters.

    Raises:
        MetricNotFoundError: no run that matches has logged a metric of this name.
    """
    return archive.read_together(lambda: _Reader(archive, where).read(names, title))


class _Reader:
    def __init__(self, archive: Archive, where: Sequence[str]) -> None:
        self._archive = archive
        self._where = tuple(where)
        self._query: RunQuery = archive.runs()
        for one in where:
            self._query = self._query.where(one)
        self._left_out: list[str] = []

    def read(self, names: Sequence[str] | None, title: str | None) -> Contents | None:
        index = list(self._query.index())
        if not index:
            return None
        fields = self._query.fields()
        logged = {plain_name(one.name): one for one in fields if one.kind == "metric"}
        shown = self._choose_metrics(logged, names)
        keys = self._choose_keys([one for one in fields if one.kind == "config"])
        directions = self._find_directions(shown)
        best = {name: self._find_best(name, directions[name][0]) for name in shown}
        winners = dict.fromkeys(found[0] for found in best.values() if found is not None)
        runs = self._read_runs(index, list(winners), keys, [logged[name] for name in shown])
        drawn = self._choose_drawn(runs, winners)
        metrics = [
            MetricReport(name, *directions[name], self._read_curves(drawn, name), best[name]) for name in shown
        ]
        best_first = sorted(drawn, key=lambda run: run not in winners)
        varying, common = split_config(runs, keys)
        varying.sort(key=is_seed)
        seeds, groups = self._read_groups(len(index), varying, common, shown)
        return Contents(
            archive=re.split(r"[/\\]", self._archive.path)[-1],
            title=title or "",
            where=self._where,
            digest=self._archive.digest(),
            total=len(index),
            runs=tuple(runs),
            drawn=tuple(drawn),
            statuses=self._count_statuses(),
            varying=tuple(varying),
            common=common,
            metrics=tuple(metrics),
            seeds=seeds,
            groups=groups,
            artifacts={kind: self._find_artifacts(kind, best_first) for kind in MOST_OF_NAME},
            left_out=tuple(self._left_out),
        )

    # What is shown

    def _choose_metrics(self, logged: Mapping[str, FieldInfo], names: Sequence[str] | None) -> list[str]:
        if names is not None:
            for name in names:
                if name not in logged:
                    close = difflib.get_close_matches(name, logged, n=3)
                    raise MetricNotFoundError(name, "these runs", close)
            return list(dict.fromkeys(names))
        own = [name for name in logged if not is_system(name)]
        ranked = sorted(own, key=lambda name: rank_metric(name, logged[name].runs))
        if len(ranked) > MOST_METRICS:
            self._left_out.append(
                f"{MOST_METRICS} of {len(ranked):,} metrics are shown; --metrics NAME chooses others"
            )
        return ranked[:MOST_METRICS]

    def _choose_keys(self, fields: Sequence[FieldInfo]) -> list[str]:
        """Return the config keys that are read; those whose numbers differ come first if there are too many."""
        if len(fields) <= MOST_KEYS:
            return [one.name for one in fields]
        self._left_out.append(f"{MOST_KEYS} of {len(fields):,} config keys are read")
        kept = sorted(fields, key=lambda one: one.least == one.greatest and not one.others)[:MOST_KEYS]
        return sorted(one.name for one in kept)

    def _find_directions(self, names: Sequence[str]) -> dict[str, tuple[str | None, str]]:
        """Return the direction that is better for each metric, and where that is from."""
        asked = {
            metric: ("min" if direction == "minimize" else "max", f"study {study.name}")
            for study in self._archive.studies()
            for metric, direction in zip(study.metrics, study.directions, strict=True)
            if metric in names and self._has_runs_of(study.name)
        }
        return {name: asked.get(name) or (direction_of(name), "its name") for name in names}

    def _has_runs_of(self, study: str) -> bool:
        return self._query.where("study = ?", study).first() is not None

    def _find_best(self, name: str, direction: str | None) -> tuple[str, float] | None:
        if direction is None:
            return None
        word = {"min": "minimize", "max": "maximize"}[direction]
        ranked = self._archive.best_runs(name, word, by=direction, limit=1, where=self._where)
        return (ranked[0][0].run_id, ranked[0][1]) if ranked else None

    # Runs

    def _read_runs(
        self, index: list[int], winners: list[str], keys: Sequence[str], metrics: Sequence[FieldInfo]
    ) -> list[RunRow]:
        if len(index) > MOST_LISTED:
            self._left_out.append(
                f"{MOST_LISTED:,} of {len(index):,} runs are listed: the newest, and the best of each metric"
            )
            best = {self._archive.read_head(run).row_id for run in winners}
            newest = [run for run in index if run not in best][: MOST_LISTED - len(best)]
            kept = best.union(newest)
            index = [run for run in index if run in kept]
        statistics = [f"{one.name}.{statistic}" for one in metrics for statistic in STATISTICS]
        rows = self._archive.read_rows(index, [*FACTS, *keys, *statistics])
        return [
            _build_run(row_id, row, keys, metrics)
            for row_id, row in zip(index, rows, strict=True)
            if row is not None
        ]

    def _choose_drawn(self, runs: Sequence[RunRow], winners: Iterable[str]) -> list[str]:
        if len(runs) <= MOST_DRAWN:
            return [run.run_id for run in runs]
        self._left_out.append(
            f"Curves and artifacts are those of the {MOST_DRAWN} newest runs, and of the best of each metric"
        )
        newest = [run.run_id for run in runs[:MOST_DRAWN]]
        wanted = {*newest, *winners}
        return [run.run_id for run in runs if run.run_id in wanted]

    def _read_curves(self, drawn: Sequence[str], name: str) -> tuple[Buckets, ...]:
        return tuple(curve for curve in self._archive.curves(drawn, name, buckets=BUCKETS) if len(curve))

    def _count_statuses(self) -> dict[str, int]:
        counts = {word: self._query.with_status(word).count() for word in STATUSES}
        counts["completed"] -= counts["pruned"]
        return {word: count for word, count in counts.items() if count}

    # Seeds

    def _read_groups(
        self, total: int, varying: Sequence[str], common: Mapping[str, Any], metrics: Sequence[str]
    ) -> tuple[tuple[str, ...], tuple[SeedGroup, ...]]:
        seeds = tuple(key for key in varying if is_seed(key))
        others = [key for key in varying if key not in seeds] or list(common)[:1]
        if not seeds or not others:
            return (), ()
        if total > MOST_LISTED:
            self._left_out.append(f"Runs are not grouped over seeds, as there are more than {MOST_LISTED:,}")
            return (), ()
        groups: dict[str, SeedGroup] = {}
        for name in metrics:
            for found in self._archive.group_by(
                [plain_name(key) for key in others], name, where=self._where, statistic="last"
            ):
                group = groups.setdefault(repr(found.config), SeedGroup(found.config, {}))
                group.metrics[name] = found.finite, found.mean, found.std
        repeated = [one for one in groups.values() if any(count > 1 for count, *_ in one.metrics.values())]
        if len(repeated) > MOST_GROUPS:
            self._left_out.append(f"{MOST_GROUPS} of {len(repeated):,} groups of seeds are shown")
        return seeds, tuple(repeated[:MOST_GROUPS])

    # Artifacts

    def _find_artifacts(self, kind: str, runs: Sequence[str]) -> tuple[Artifact, ...]:
        """Return the newest version of each artifact of a kind, name by name, in the order of the runs."""
        most = MOST_OF_NAME[kind]
        names = [one.name for one in self._query.artifact_names(kind=kind)]
        if len(names) > MOST_NAMES:
            self._left_out.append(f"{kind.capitalize()}s of {MOST_NAMES} of {len(names):,} names are shown")
        found: list[Artifact] = []
        for name in names[:MOST_NAMES]:
            newest = [self._archive.artifacts(run).get_artifact(f"{name}:latest") for run in runs]
            held = [one for one in newest if one is not None and one.kind == kind]
            if len(held) > most:
                self._left_out.append(f"{name}: the {kind}s of {most} of {len(held)} runs are shown")
            found += held[:most]
        return tuple(found)


def _build_run(
    row_id: int, row: Mapping[str, Any], keys: Sequence[str], metrics: Sequence[FieldInfo]
) -> RunRow:
    held = {
        plain_name(one.name): MetricValues(*(row[f"{one.name}.{statistic}"] for statistic in STATISTICS))
        for one in metrics
        if row[f"{one.name}.count"]
    }
    pruned = row["status"] == "completed" and row["trial.state"] == "pruned"
    return RunRow(
        run_id=row["run_id"],
        row_id=row_id,
        name=row["name"],
        status="pruned" if pruned else str(row["status"]),
        started=row["started"],
        duration_s=row["duration"],
        reason=row["reason"],
        tags=tuple(row["tag"]),
        values={key: row[key] for key in keys},
        metrics=held,
    )


def plain_name(field: str) -> str:
    """Return the name of a metric or key without root and quotes: ``a.max`` of ``metrics."a.max"``."""
    parts = [
        found[2] if found[1] is None else re.sub(r"\\(.)", r"\1", found[1]) for found in _PART.finditer(field)
    ]
    return ".".join(parts[1:])


def split_config(runs: Sequence[RunRow], keys: Iterable[str]) -> tuple[list[str], dict[str, Any]]:
    """Return the keys in which runs differ, and the others with their value; 1 differs from 1.0."""
    varying, common = [], {}
    for key in keys:
        first = runs[0].values[key]
        if all(same_setting(run.values[key], first) for run in runs):
            common[key] = first
        else:
            varying.append(key)
    return varying, common


def same_setting(one: object, other: object) -> bool:
    """Whether two values of a config are of one type and equal; NaN equals itself."""
    return type(one) is type(other) and repr(one) == repr(other)


def direction_of(name: str) -> str | None:
    """Guess from a metric's name whether ``min`` or ``max`` values are better; else None."""
    return {"minimize": "min", "maximize": "max", None: None}[guess_direction(name)]


def is_seed(key: str) -> bool:
    """Whether a config key only makes a repetition differ."""
    last = plain_name(key).rpartition(".")[2].lower()
    return last.endswith(SEEDS) or last.endswith("seeds")
