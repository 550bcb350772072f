"""Find the runs that a person means: by name, by place in time, by rank, by trial, by either end of an id.

Invariant: a run id always means its run. Otherwise the words below come first, then names, then parts of ids.

    latest, latest~1, …              the run that started last, the one before it, …
    best:METRIC                      the completed run with the best last value
    best:METRIC:min, best:METRIC:max the same where the name of the metric does not tell what is better
    STUDY#34                         the run of a trial
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import NamedTuple

from exptrack.database.connection import Connection, Row
from exptrack.database.damage import decoding_rows
from exptrack.directions import guess_direction
from exptrack.errors import InvalidValueError, MetricNotFoundError

LATEST = re.compile(r"latest(?:~(\d{1,9}))?", re.ASCII)
BEST = re.compile(r"best:(.+?)(?::(min|max))?", re.DOTALL)
TRIAL = re.compile(r"(.+)#(\d{1,18})", re.DOTALL | re.ASCII)

NEWEST = """
SELECT run_id FROM run WHERE deleted_at IS NULL ORDER BY started_at DESC, id DESC LIMIT 1 OFFSET ?
"""
RUN_OF_TRIAL = """
SELECT t.run_id FROM trial AS t JOIN study AS y ON y.id = t.study WHERE y.name = ? AND t.number = ?
"""
# Of equal runs, the one stored first wins, as in a ranking. The bounds exclude infinities and NaN (NULL).
_BEST_BY_LAST = """
SELECT r.run_id FROM metric_series AS s JOIN run AS r ON r.id = s.run
WHERE s.metric = ? AND s.completed = 1
  AND s.last_value BETWEEN -1.7976931348623157e308 AND 1.7976931348623157e308
  AND r.deleted_at IS NULL
  AND NOT EXISTS (SELECT 1 FROM trial AS t WHERE t.run_id = r.run_id AND t.state = 'pruned')
ORDER BY s.last_value {order}, s.run LIMIT 1
"""
LEAST_LAST_VALUE = _BEST_BY_LAST.format(order="ASC")
GREATEST_LAST_VALUE = _BEST_BY_LAST.format(order="DESC")
METRIC_BY_NAME = "SELECT id FROM metric_name WHERE name = ?"
_BY_NAME = """
SELECT run_id FROM run WHERE name = ? AND deleted_at IS {state} ORDER BY started_at DESC LIMIT 21
"""
_BY_PREFIX = """
SELECT run_id FROM run WHERE run_id >= ? AND run_id < ? AND deleted_at IS {state} ORDER BY run_id LIMIT 21
"""
_BY_SUFFIX = """
SELECT run_id FROM run WHERE substr(run_id, -length(?1)) = ?1 AND deleted_at IS {state} ORDER BY run_id LIMIT 21
"""
RUNS_BY_NAME = _BY_NAME.format(state="NULL")
RUNS_BY_PREFIX = _BY_PREFIX.format(state="NULL")
RUNS_BY_SUFFIX = _BY_SUFFIX.format(state="NULL")
TRASHED_BY_NAME = _BY_NAME.format(state="NOT NULL")
TRASHED_BY_PREFIX = _BY_PREFIX.format(state="NOT NULL")
TRASHED_BY_SUFFIX = _BY_SUFFIX.format(state="NOT NULL")

LEAST_SHOWN = 4  # characters of the end of an id
IDS_ENDING_SO = (
    f"SELECT run_id FROM run WHERE substr(run_id, -{LEAST_SHOWN}) IN (SELECT value FROM json_each(?))"
)
HAS_ANOTHER_MEANING = """
SELECT EXISTS (SELECT 1 FROM run WHERE name = ?1)
    OR EXISTS (SELECT 1 FROM run WHERE run_id >= ?1 AND run_id < ?1 || char(1114111))
"""

FACTS_OF = """
SELECT run_id, substr(started_at, 1, 16) AS started, substr(name, 1, 60) AS name
FROM run WHERE run_id IN (SELECT value FROM json_each(?))
"""
NEWEST_NAMES = """
SELECT run_id, name FROM run WHERE deleted_at IS NULL ORDER BY started_at DESC, id DESC LIMIT 500
"""
# Ids of one day begin alike, so that even those which mean other runs are similar.
LEAST_LIKENESS_OF_IDS = 0.85
MOST_TO_COMPARE = 200  # characters: longer names take too long to compare


class Found(NamedTuple):
    """The ids of the runs that a text may mean, at most 21, and how it names them."""

    run_ids: list[str]
    is_name: bool = False


def find_meant(connection: Connection, wanted: str, *, trash_first: bool) -> Found:
    """Find the runs that `wanted`, which is no whole run id, may mean; the trash counts if nothing else does.

    With `trash_first`, the trash comes first.

    Raises:
        InvalidValueError: `best:METRIC` does not tell whether less or more is better.
        MetricNotFoundError: no run has logged the metric of `best:METRIC`.
    """
    said = _find_said(connection, wanted)
    if said is not None:
        return Found(said)
    lower = wanted.lower()
    bounds = (lower, lower + "\U0010ffff")
    for is_name, values, queries in (
        (True, (wanted,), (RUNS_BY_NAME, TRASHED_BY_NAME)),
        (False, bounds, (RUNS_BY_PREFIX, TRASHED_BY_PREFIX)),
        (False, (lower,), (RUNS_BY_SUFFIX, TRASHED_BY_SUFFIX)),
    ):
        for sql in reversed(queries) if trash_first else queries:
            if found := connection.all(sql, values):
                return Found([row["run_id"] for row in found], is_name)
    return Found([])


def _find_said(connection: Connection, wanted: str) -> list[str] | None:
    """Return what the words for a run mean, or None if `wanted` has none of them."""
    if latest := LATEST.fullmatch(wanted):
        return _list_id(connection.one(NEWEST, (int(latest[1] or 0),)))
    if best := BEST.fullmatch(wanted):
        return _find_best(connection, best[1], best[2])
    trial = TRIAL.fullmatch(wanted)
    if trial is None:
        return None
    row = connection.one(RUN_OF_TRIAL, (trial[1], int(trial[2])))
    return None if row is None or row["run_id"] is None else [row["run_id"]]


def _find_best(connection: Connection, metric: str, end: str | None) -> list[str]:
    named = connection.one(METRIC_BY_NAME, (metric,))
    if named is None:
        raise MetricNotFoundError(metric, str(connection.path))
    direction = {"min": "minimize", "max": "maximize", None: guess_direction(metric)}[end]
    if direction is None:
        raise InvalidValueError(
            f"the name of metric {metric!r} does not tell whether less or more is better; "
            f"say 'best:{metric}:min' or 'best:{metric}:max'"
        )
    sql = LEAST_LAST_VALUE if direction == "minimize" else GREATEST_LAST_VALUE
    return _list_id(connection.one(sql, (named["id"],)))


def _list_id(row: Row | None) -> list[str]:
    return [] if row is None else [row["run_id"]]


@decoding_rows
def shorten_ids(connection: Connection, run_ids: Sequence[str]) -> dict[str, str]:
    """Return the shortest end of each id, of four characters or more, that means this run and no other.

    An end that is a name, or the beginning of an id, has another meaning; so has one of a run in the trash.
    """
    ends = sorted({run_id[-LEAST_SHOWN:] for run_id in run_ids})
    alike: dict[str, list[str]] = {}
    for row in connection.all(IDS_ENDING_SO, (json.dumps(ends),)):
        alike.setdefault(row["run_id"][-LEAST_SHOWN:], []).append(row["run_id"])
    found = {}
    for run_id in run_ids:
        others = [one for one in alike.get(run_id[-LEAST_SHOWN:], ()) if one != run_id]
        found[run_id] = next(
            (
                end
                for end in (run_id[-count:] for count in range(LEAST_SHOWN, len(run_id)))
                if not any(one.endswith(end) for one in others)
                and not connection.value(HAS_ANOTHER_MEANING, (end,))
            ),
            run_id,
        )
    return found


@decoding_rows
def describe_runs(connection: Connection, run_ids: Sequence[str]) -> list[str]:
    """Return a line for each of these runs, with its id, its start (UTC) and its name, in their order."""
    rows = {row["run_id"]: row for row in connection.all(FACTS_OF, (json.dumps(list(run_ids)),))}
    found = [rows[run_id] for run_id in run_ids if run_id in rows]
    return [f"{row['run_id']}  {row['started']}  {row['name'] or ''}".rstrip() for row in found]


@decoding_rows
def suggest_runs(connection: Connection, wanted: str) -> list[str]:
    """Return up to three names or ids, of the 500 newest runs, that are most similar to `wanted`."""
    from difflib import get_close_matches

    if len(wanted) > MOST_TO_COMPARE or LATEST.fullmatch(wanted):
        return []
    rows = connection.all(NEWEST_NAMES)
    names = [row["name"] for row in rows if row["name"] and len(row["name"]) <= MOST_TO_COMPARE]
    known = list(dict.fromkeys(names))
    close = get_close_matches(wanted, known)
    if close:
        return close
    ids = [row["run_id"] for row in rows]
    return get_close_matches(wanted.lower(), ids, cutoff=LEAST_LIKENESS_OF_IDS)
