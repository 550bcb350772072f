"""Questions about runs: filters, lists, details, differences, rankings.

Invariants: every statement here answers from an index; a scan would be a defect, and the tests check
each plan. Statements are composed from fixed fragments only, and every value is bound. A run whose
process is known to be dead counts as interrupted, even before a writer has recorded it. NaN and the
infinities never win a ranking, and pruned trials enter none unless a filter speaks of them.
"""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

from exptrack.config.exp_config import config_from_snapshot, type_name
from exptrack.config.store import read_config, read_sources
from exptrack.database.connection import Connection, Row
from exptrack.errors import (
    AmbiguousRunError,
    InvalidTypeError,
    InvalidValueError,
    MetricNotFoundError,
    RunNotFoundError,
)
from exptrack.filters import (
    PRUNED,
    STATE_WORDS,
    And,
    Comparison,
    Condition,
    Field,
    Not,
    comparisons,
    parse_filter,
)
from exptrack.keypath import join_path
from exptrack.metrics.store import read_summaries
from exptrack.process import ProcessIdentity, is_alive
from exptrack.records import (
    Artifact,
    ArtifactUse,
    ConfigDifference,
    Event,
    MetricDifference,
    MetricSummary,
    Note,
    RunDetail,
    RunDiff,
    RunStatus,
    RunSummary,
    TrialState,
)
from exptrack.selection import FEW, NEWEST_FIRST, Compiler, Found, Fragment, Selection, check_names_exist
from exptrack.times import moment, utc_text
from exptrack.validation import check_direction, check_name, shown

RUN_COLUMNS = """
SELECT r.id, r.run_id, r.status, r.reason, r.traceback, r.name, r.group_name,
       (SELECT p.run_id FROM run AS p WHERE p.id = r.parent) AS parent_run_id,
       r.started_at, r.ended_at, r.heartbeat_at, r.duration_ms, r.config_hash, r.family,
       r.fingerprint, r.host, r.vcs_commit, r.vcs_dirty,
       y.name AS study, t.number AS trial_number, t.state AS trial_state
FROM run AS r
LEFT JOIN trial AS t ON t.id = (SELECT max(o.id) FROM trial AS o WHERE o.run = r.id)
LEFT JOIN study AS y ON y.id = t.study
"""
RUNS_BY_NUMBER = RUN_COLUMNS + "WHERE r.id IN (SELECT value FROM json_each(?))"
RUN_BY_ID = RUN_COLUMNS + "WHERE r.run_id = ?"
RUNS_BY_PREFIX = "SELECT run_id FROM run WHERE run_id >= ? AND run_id < ? ORDER BY run_id LIMIT 21"
OWNERS = "SELECT run, host_id, boot_id, pid, pid_started FROM run_owner ORDER BY run"
TAGS_OF = "SELECT t.run, t.tag FROM run_tag AS t WHERE t.run IN (SELECT value FROM json_each(?))"
LAST_VALUES_OF = """
SELECT s.run, n.name, s.last_value
FROM metric_series AS s JOIN metric_name AS n ON n.id = s.metric
WHERE s.run IN (SELECT value FROM json_each(?))
"""
NOTES_OF = "SELECT written_at, text FROM note WHERE run = ? ORDER BY seq"
EVENTS_OF = "SELECT seq, happened_at, kind, data FROM event WHERE run = ? ORDER BY seq"
ENVIRONMENT_OF = "SELECT * FROM run_environment WHERE run = ?"
ARTIFACTS_OF = """
SELECT r.run_id, a.name, a.version, a.kind, b.hash, b.size_bytes, a.is_text, a.media_type, a.step, a.metadata,
       a.created_at
FROM artifact AS a JOIN blob AS b ON b.id = a.blob JOIN run AS r ON r.id = a.run
WHERE a.run = ? ORDER BY a.name, a.version
"""
INPUTS_OF = """
SELECT r.run_id, i.from_run_id, i.name, i.version, i.hash, i.used_at
FROM run_input AS i JOIN run AS r ON r.id = i.run
WHERE i.run = ? ORDER BY i.seq
"""
METRIC_EXISTS = "SELECT 1 FROM metric_name WHERE name = ?"
METRIC_NAMES = "SELECT name FROM metric_name ORDER BY name LIMIT 10000"
# One statement per direction and value: an index holds each order, and the bounds keep NaN (NULL)
# and the infinities out. The older run wins a tie.
_BEST = """
SELECT r.run_id, s.{column} AS value
FROM {{source}} JOIN run AS r ON r.id = s.run
WHERE s.metric = (SELECT id FROM metric_name WHERE name = ?) AND s.completed = 1
  AND s.{column} BETWEEN -1.7976931348623157e308 AND 1.7976931348623157e308
  AND {{test}}
ORDER BY s.{column} {order}, s.run LIMIT ?
"""
RANKED_VALUES = ("last", "min", "max")
BEST: dict[tuple[str, str], str] = {
    (value, direction): _BEST.format(column=f"{value}_value", order=order)
    for value in RANKED_VALUES
    for direction, order in (("minimize", "ASC"), ("maximize", "DESC"))
}

_S = TypeVar("_S")
_P = ParamSpec("_P")


class _FromClassOrFilter(Generic[_P]):
    """A method that starts a filter when called on the class and narrows one when called on a filter."""

    def __init__(self, method: Callable[Concatenate[RunFilter, _P], RunFilter]) -> None:
        self._method = method
        self.__doc__ = method.__doc__

    def __get__(self, instance: RunFilter | None, owner: type[RunFilter]) -> Callable[_P, RunFilter]:
        start = owner() if instance is None else instance

        def narrow(*args: _P.args, **kwargs: _P.kwargs) -> RunFilter:
            return self._method(start, *args, **kwargs)

        narrow.__doc__ = self.__doc__
        return narrow


def _time_bound(value: datetime | str | None, what: str) -> str | None:
    """A bound as stored text; naive moments are UTC."""
    if value is None:
        return None
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise InvalidValueError(
                f"{what} must be an ISO date or time like '2026-01-31', not {shown(value)}"
            ) from None
    if not isinstance(value, datetime):
        raise InvalidTypeError(f"{what} must be a datetime or ISO text, not {shown(value)}")
    return utc_text(value.replace(tzinfo=UTC) if value.tzinfo is None else value)


def check_asked_status(status: object) -> str:
    """Return `status` as text if runs can be asked for by it: a RunStatus, or pruned."""
    known = STATE_WORDS["status"]
    if not isinstance(status, str) or status not in known:
        raise InvalidValueError(f"status must be one of {', '.join(known)}; not {shown(status)}")
    return str(status)


@dataclass(frozen=True, slots=True)
class RunFilter:
    """Which runs are meant; every condition must hold. Start with any method, then narrow.

    >>> failed_baselines = RunFilter.by_status("failed").by_tag("baseline", after="2026-01-01")
    >>> failed_baselines == RunFilter.by_tag("baseline", after="2026-01-01") & RunFilter.by_status("failed")
    True
    """

    statuses: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    group: str | None = None
    fingerprint: str | None = None
    started_after: str | None = None
    started_before: str | None = None

    @_FromClassOrFilter
    def all(self, after: datetime | str | None = None, before: datetime | str | None = None) -> RunFilter:
        """Every run, or those started at or after `after` and before `before`."""
        low, high = _time_bound(after, "after"), _time_bound(before, "before")
        return replace(
            self,
            started_after=max(filter(None, (self.started_after, low)), default=None),
            started_before=min(filter(None, (self.started_before, high)), default=None),
        )

    @_FromClassOrFilter
    def by_status(
        self,
        status: RunStatus | str,
        after: datetime | str | None = None,
        before: datetime | str | None = None,
    ) -> RunFilter:
        """Runs of one status, or ``"pruned"``: completed runs whose trial was given up early."""
        return replace(self, statuses=(*self.statuses, check_asked_status(status))).all(after, before)

    @_FromClassOrFilter
    def by_tag(
        self,
        tag: str,
        after: datetime | str | None = None,
        before: datetime | str | None = None,
    ) -> RunFilter:
        """Runs that carry a tag."""
        return replace(self, tags=(*self.tags, check_name(tag, "tag"))).all(after, before)

    @_FromClassOrFilter
    def by_group(self, group: str) -> RunFilter:
        """Runs of one group."""
        return replace(self, group=check_name(group, "group"))

    @_FromClassOrFilter
    def by_fingerprint(self, fingerprint: str) -> RunFilter:
        """Runs of the same experiment: have I run this already?"""
        return replace(self, fingerprint=check_name(fingerprint, "fingerprint"))

    def __and__(self, other: RunFilter) -> RunFilter:
        """Both filters at once."""
        if not isinstance(other, RunFilter):
            raise InvalidTypeError(f"a RunFilter combines with a RunFilter, not {shown(other)}")
        for mine, theirs in ((self.group, other.group), (self.fingerprint, other.fingerprint)):
            if mine and theirs and mine != theirs:
                raise InvalidValueError(f"no run is both {mine!r} and {theirs!r}")
        return replace(
            self,
            statuses=(*self.statuses, *other.statuses),
            tags=(*self.tags, *(tag for tag in other.tags if tag not in self.tags)),
            group=self.group or other.group,
            fingerprint=self.fingerprint or other.fingerprint,
        ).all(other.started_after, other.started_before)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RunFilter) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[Any, ...]:
        times = (self.started_after, self.started_before)
        return (frozenset(self.statuses), frozenset(self.tags), self.group, self.fingerprint, times)

    def condition(self) -> Condition:
        """The filter as a tree of conditions."""
        found: list[Condition] = [_compared("status", "=", status) for status in self.statuses]
        found += [_compared("tag", "=", tag) for tag in self.tags]
        for attribute, operator, value in (
            ("group", "=", self.group),
            ("fingerprint", "=", self.fingerprint),
            ("started", ">=", self.started_after),
            ("started", "<", self.started_before),
        ):
            if value is not None:
                found.append(_compared(attribute, operator, value))
        return And(tuple(found))


def _compared(attribute: str, operator: str, value: str) -> Comparison:
    return Comparison(Field("attribute", attribute), operator, (value,))


def resolve_run(connection: Connection, run_id: object) -> Row:
    """The row of the run with this id, or whose id alone begins so.

    Raises:
        RunNotFoundError: there is none.
        AmbiguousRunError: there are several.
    """
    wanted = check_name(getattr(run_id, "run_id", run_id), "run id").lower()
    row = connection.one(RUN_BY_ID, (wanted,))
    if row is None:
        found = connection.all(RUNS_BY_PREFIX, (wanted, wanted + "\U0010ffff"))
        if not found:
            raise RunNotFoundError(wanted, str(connection.path))
        if len(found) > 1:
            raise AmbiguousRunError(wanted, [match["run_id"] for match in found])
        row = connection.one(RUN_BY_ID, (found[0]["run_id"],))
        if row is None:
            raise RunNotFoundError(wanted, str(connection.path))
    return row


def owner_identity(row: Row) -> ProcessIdentity:
    """The process a ``run_owner`` row names."""
    return ProcessIdentity(row["host_id"], row["boot_id"], row["pid"], row["pid_started"])


def dead_runs(connection: Connection) -> list[int]:
    """Rows of runs that are marked running, on this host, by a process that is gone."""
    return [row["run"] for row in connection.all(OWNERS) if is_alive(owner_identity(row)) is False]


_run_and_name = itemgetter(0, 1)


def summaries(connection: Connection, rows: Sequence[Row], dead: Sequence[int]) -> list[RunSummary]:
    """Records of runs, with their tags and last metric values."""
    ids = json.dumps([row["id"] for row in rows])
    tags: dict[int, list[str]] = {}
    metrics: dict[int, dict[str, float]] = {}
    if rows:
        for run, tag in connection.fold(TAGS_OF, (ids,), list):
            tags.setdefault(run, []).append(tag)
        # Sorted here: in SQLite it takes as long as reading them.
        for run, name, value in sorted(connection.fold(LAST_VALUES_OF, (ids,), list), key=_run_and_name):
            metrics.setdefault(run, {})[name] = math.nan if value is None else value
    gone = frozenset(dead)
    return [
        RunSummary(
            run_id=row["run_id"],
            status=RunStatus.INTERRUPTED if row["id"] in gone else RunStatus(row["status"]),
            name=row["name"],
            group=row["group_name"],
            parent=row["parent_run_id"],
            started_at=moment(row["started_at"]),
            ended_at=moment(row["ended_at"]) if row["ended_at"] else None,
            heartbeat_at=moment(row["heartbeat_at"]),
            duration_s=row["duration_ms"] / 1000,
            reason=row["reason"],
            config_hash=row["config_hash"],
            family=row["family"],
            fingerprint=row["fingerprint"],
            host=row["host"],
            vcs_commit=row["vcs_commit"],
            vcs_dirty=None if row["vcs_dirty"] is None else bool(row["vcs_dirty"]),
            tags=tuple(tags.get(row["id"], ())),
            metrics=metrics.get(row["id"], {}),
            study=row["study"],
            trial_number=row["trial_number"],
            trial_state=None if row["trial_state"] is None else TrialState(row["trial_state"]),
        )
        for row in rows
    ]


def list_runs(
    connection: Connection, run_filter: RunFilter | None = None, limit: int | None = None
) -> list[RunSummary]:
    """The runs a filter admits, newest first."""
    wanted = RunFilter() if run_filter is None else run_filter
    if not isinstance(wanted, RunFilter):
        raise InvalidTypeError(f"list_runs takes a RunFilter, not {shown(run_filter)}")
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 0):
        raise InvalidValueError(f"limit must be a whole number from 0, not {shown(limit)}")
    dead = dead_runs(connection)
    found = Selection(connection, wanted.condition(), NEWEST_FIRST, dead).rows(limit)
    return summaries(connection, runs_in_order(connection, found), dead)


def runs_in_order(connection: Connection, found: Sequence[Found]) -> list[Row]:
    """The rows of selected runs, in their order; without those deleted meanwhile."""
    rows = connection.all(RUNS_BY_NUMBER, (json.dumps([one.run for one in found]),))
    by_number = {row["id"]: row for row in rows}
    return [by_number[one.run] for one in found if one.run in by_number]


def read_notes(connection: Connection, run: int) -> tuple[Note, ...]:
    """The notes of a run, oldest first."""
    return tuple(Note(moment(r["written_at"]), r["text"]) for r in connection.all(NOTES_OF, (run,)))


def read_events(connection: Connection, run: int) -> tuple[Event, ...]:
    """The log of a run, oldest first."""
    return tuple(
        Event(r["seq"], moment(r["happened_at"]), r["kind"], json.loads(r["data"]))
        for r in connection.all(EVENTS_OF, (run,))
    )


def read_artifacts(connection: Connection, run: int) -> tuple[Artifact, ...]:
    """Every version of every artifact of a run, by name."""
    return tuple(artifact_record(row) for row in connection.all(ARTIFACTS_OF, (run,)))


def read_inputs(connection: Connection, run: int) -> tuple[ArtifactUse, ...]:
    """The artifacts a run used, in the order of use."""
    return tuple(use_record(row) for row in connection.all(INPUTS_OF, (run,)))


def use_record(row: Row) -> ArtifactUse:
    """A row of INPUTS_OF as a record."""
    used_at = moment(row["used_at"])
    return ArtifactUse(row["run_id"], row["from_run_id"], row["name"], row["version"], row["hash"], used_at)


def artifact_record(row: Row) -> Artifact:
    """A row of ARTIFACTS_OF as a record."""
    return Artifact(
        run_id=row["run_id"],
        name=row["name"],
        version=row["version"],
        kind=row["kind"],
        hash=row["hash"],
        size_bytes=row["size_bytes"],
        is_text=bool(row["is_text"]),
        media_type=row["media_type"],
        step=row["step"],
        metadata=json.loads(row["metadata"]),
        created_at=moment(row["created_at"]),
    )


def _read_environment(connection: Connection, run: int) -> dict[str, Any]:
    row = connection.one(ENVIRONMENT_OF, (run,))
    if row is None:
        return {}
    found = {key: row[key] for key in row.keys() if key != "run"}  # noqa: SIM118 (a Row iterates values)
    for key in ("command", "system", "variables", "data_references"):
        found[key] = json.loads(found[key])
    return found


def show_run(connection: Connection, run_id: object) -> RunDetail:
    """Everything about one run."""
    row = resolve_run(connection, run_id)
    run = row["id"]
    return RunDetail(
        summary=summaries(connection, [row], dead_runs(connection))[0],
        config=config_from_snapshot(*read_config(connection, run)).values,
        notes=read_notes(connection, run),
        metrics=read_summaries(connection, [run])[run],
        artifacts=read_artifacts(connection, run),
        events=read_events(connection, run),
        environment=_read_environment(connection, run),
        traceback=row["traceback"],
        config_sources=read_sources(connection, run),
        inputs=read_inputs(connection, run),
    )


def _flat_config(connection: Connection, run: int) -> dict[str, Any]:
    flat: dict[str, Any] = {}

    def walk(path: str, value: Any) -> None:
        if isinstance(value, dict) and value:
            for key, item in value.items():
                walk(join_path(path, key), item)
        else:
            flat[path] = value

    tree = config_from_snapshot(*read_config(connection, run)).values
    if tree:
        walk("", tree)
    return flat


def diff_runs(connection: Connection, run_a: object, run_b: object) -> RunDiff:
    """What differs between two runs: config keys, and the metrics of either."""
    row_a, row_b = resolve_run(connection, run_a), resolve_run(connection, run_b)
    a, b = _flat_config(connection, row_a["id"]), _flat_config(connection, row_b["id"])
    differences: list[ConfigDifference] = []
    set_a, set_b = read_sources(connection, row_a["id"]), read_sources(connection, row_b["id"])
    for key in sorted(a.keys() | b.keys()):
        change = "added" if key not in a else "removed" if key not in b else "changed"
        if change != "changed" or type_name(a[key]) != type_name(b[key]) or repr(a[key]) != repr(b[key]):
            differences.append(
                ConfigDifference(key, change, a.get(key), b.get(key), set_a.get(key), set_b.get(key))
            )
    summaries_of = read_summaries(connection, [row_a["id"], row_b["id"]])
    metrics_a = {m.name: m for m in summaries_of[row_a["id"]]}
    metrics_b = {m.name: m for m in summaries_of[row_b["id"]]}
    metrics = tuple(
        _metric_difference(name, metrics_a.get(name), metrics_b.get(name))
        for name in sorted(metrics_a.keys() | metrics_b.keys())
    )
    return RunDiff(row_a["run_id"], row_b["run_id"], tuple(differences), metrics)


def _metric_difference(name: str, a: MetricSummary | None, b: MetricSummary | None) -> MetricDifference:
    return MetricDifference(
        name,
        last_a=a.last if a else None,
        last_b=b.last if b else None,
        min_a=a.min if a else None,
        min_b=b.min if b else None,
        max_a=a.max if a else None,
        max_b=b.max if b else None,
    )


def best_runs(
    connection: Connection,
    metric: str,
    direction: str,
    *,
    by: str = "last",
    limit: int = 1,
    where: str | Iterable[str] = (),
) -> list[tuple[RunSummary, float]]:
    """The completed runs with the best value of a metric, best first, with that value.

    `direction` is ``"minimize"`` or ``"maximize"``; `by` says which value of the run counts: ``"last"``,
    ``"min"`` or ``"max"``. `where` is a filter, or several. A run whose value is NaN or infinite is never among
    them, one of a pruned trial only where a filter speaks of that.

    Raises:
        MetricNotFoundError: no run has logged such a metric.
        FilterError: the filter is wrong.
    """
    name = check_name(metric, "metric")
    check_direction(direction)
    if not isinstance(by, str) or by not in RANKED_VALUES:
        raise InvalidValueError(f"by must be 'last', 'min' or 'max', not {shown(by)}")
    filters = {text: parse_filter(text) for text in ([where] if isinstance(where, str) else where)}
    for text, condition in filters.items():
        check_names_exist(connection, condition, text)
    if connection.value(METRIC_EXISTS, (name,)) is None:
        names = [row["name"] for row in connection.all(METRIC_NAMES)]
        raise MetricNotFoundError(name, str(connection.path), difflib.get_close_matches(name, names, n=3))
    conditions = tuple(filters.values())
    if not any(map(speaks_of_pruned, conditions)):
        conditions += (Not(_compared("status", "=", PRUNED)),)
    source, test = _narrowed(connection, And(conditions))
    sql = BEST[by, direction].format(source=source.sql, test=test.sql)
    found = connection.all(sql, (*source.values, name, *test.values, limit))
    rows = [resolve_run(connection, row["run_id"]) for row in found]
    records = summaries(connection, rows, ())
    return [(record, row["value"]) for record, row in zip(records, found, strict=True)]


def speaks_of_pruned(condition: Condition) -> bool:
    """Whether a filter says itself which trials it means; otherwise a ranking leaves pruned ones out."""
    return any(
        one.field.name == "trial.state" or (one.field.name == "status" and PRUNED in one.values)
        for one in comparisons(condition)
        if one.field.kind == "attribute"
    )


def _narrowed(connection: Connection, condition: And) -> tuple[Fragment, Fragment]:
    """From where a ranking reads, and what it asks of runs; where few can satisfy it, only from these."""
    compiler = Compiler(connection)  # of completed runs none is dead
    test = compiler.test(condition)
    asked = Fragment(f"({test.sql.format(id='r.id')})", test.values)
    candidates = compiler.candidates(condition)
    if candidates and compiler.count(candidates, FEW) <= FEW:
        union = " UNION ".join(part.sql for part in candidates)
        source = f"({union}) AS d CROSS JOIN metric_series AS s ON s.run = d.run"
        return Fragment(source, tuple(v for part in candidates for v in part.values)), asked
    return Fragment("metric_series AS s"), asked
