"""Find a run by its id or by what a person says of it, and read summaries and notes of runs."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence

from exptrack.database.connection import Connection, Parameters, Row
from exptrack.database.damage import decoding_rows
from exptrack.errors import AmbiguousRunError, RunNotFoundError
from exptrack.known_secrets import mask_secrets
from exptrack.metrics.store import IS_SHOWN
from exptrack.plain import attribute, is_text
from exptrack.records import Note, RunStatus, RunSummary, TrialState
from exptrack.times import moment, moments
from exptrack.validation import check_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

RUN_COLUMNS = """
SELECT r.id, r.run_id, r.status, r.reason, r.traceback, r.name, r.group_name, r.parent_run_id, r.external_id,
       r.deleted_at, r.started_at, r.ended_at, r.heartbeat_at, r.duration_ms, r.config_hash, r.family,
       r.fingerprint, r.host, r.vcs_commit, r.vcs_dirty,
       y.name AS study, t.number AS trial_number, t.state AS trial_state
FROM run AS r
LEFT JOIN trial AS t ON t.id = (SELECT max(o.id) FROM trial AS o WHERE o.run_id = r.run_id)
LEFT JOIN study AS y ON y.id = t.study
"""
RUNS_BY_ROW_ID = RUN_COLUMNS + "WHERE r.id IN (SELECT value FROM json_each(?))"
RUN_BY_ID = RUN_COLUMNS + "WHERE r.run_id = ?"
RUN_BY_EXTERNAL_ID = RUN_COLUMNS + "WHERE r.external_id = ?"
# Of all runs, the tables are read as they lie in the file, without a search for each run.
ALL_TAGS = "SELECT t.run, t.tag FROM run_tag AS t"
TAGS_OF = f"{ALL_TAGS} WHERE t.run IN (SELECT value FROM json_each(?))"
ALL_LAST_VALUES = "SELECT run, metric, last_value FROM metric_series"
LAST_VALUES_OF = f"{ALL_LAST_VALUES} WHERE run IN (SELECT value FROM json_each(?))"
SHOWN_NAMES = f"""
SELECT n.id, n.name FROM metric_name AS n
WHERE n.id IN (SELECT value FROM json_each(?)) AND {IS_SHOWN}
"""
NOTES_OF = "SELECT written_at, text FROM note WHERE run = ? ORDER BY seq"
STATUSES = {str(status): status for status in RunStatus}


def id_of(run: object) -> object:
    """Return the id of a run or of a record of one; anything else as it is."""
    return run if is_text(run) else attribute(run, "run_id", run)


def read_runs(connection: Connection, runs: Sequence[int]) -> list[Row]:
    """Return the rows of these runs; one that was deleted meanwhile is left out."""
    return connection.all(RUNS_BY_ROW_ID, (json.dumps(list(runs)),))


def resolve_run(connection: Connection, run_id: object, *, trash_first: bool = False) -> Row:
    """Return the row of the run with this id, or of the only run that the text means; see `references`.

    A run in the trash is found only if no other run is meant; with `trash_first`, vice versa.

    Raises:
        RunNotFoundError: it means no run.
        AmbiguousRunError: it means several runs.
        MetricNotFoundError: it means the best run by a metric that no run has logged.
        InvalidValueError: it means the best run, and does not tell whether less or more is better.
    """
    wanted = check_name(id_of(run_id), "run id")
    row = connection.one(RUN_BY_ID, (wanted.lower(),))
    if row is None:
        from exptrack.runs.references import describe_runs, find_meant, suggest_runs

        found = find_meant(connection, wanted, trash_first=trash_first)
        if len(found.run_ids) > 1:
            lines = describe_runs(connection, found.run_ids)
            raise AmbiguousRunError(wanted, found.run_ids, lines, is_name=found.is_name)
        if found.run_ids:
            row = connection.one(RUN_BY_ID, (found.run_ids[0],))
        if row is None:
            raise RunNotFoundError(wanted, connection.file, suggest_runs(connection, wanted))
    return row


def find_by_external_id(connection: Connection, external_id: object) -> Row:
    """Return the row of the run with this external id.

    Raises:
        RunNotFoundError: no run has it.
    """
    wanted = mask_secrets(check_name(external_id, "external id"))
    row = connection.one(RUN_BY_EXTERNAL_ID, (wanted,))
    if row is None:
        raise RunNotFoundError(wanted, connection.file, is_external=True)
    return row


@decoding_rows
def summarize_runs(
    connection: Connection,
    rows: Sequence[Sequence[Any]],
    dead: Sequence[int],
    *,
    with_metrics: bool = True,
    of_all: bool = False,
) -> list[RunSummary]:
    """Return a summary of each row of `RUN_COLUMNS`, with tags and last metric values.

    `dead` are the row ids of runs whose process is gone; they are shown as interrupted. `of_all` says that the
    rows are those of all runs, or of all but a few.
    """
    if not rows:
        return []
    # By columns: a column is turned into values faster than each row is taken apart.
    (
        runs, run_ids, statuses, reasons, _tracebacks, names, groups, parents, external_ids, _deleted, starts,
        ends, heartbeats, durations_ms, config_hashes, families, fingerprints, hosts, commits, dirty,
        studies, trial_numbers, trial_states,
    ) = zip(*rows, strict=True)  # fmt: skip
    tags: dict[int, list[str]] = {}
    wanted: Parameters = () if of_all else (json.dumps(runs),)
    for run, tag in connection.fold(ALL_TAGS if of_all else TAGS_OF, wanted, list):
        tags.setdefault(run, []).append(tag)
    metrics = read_last_values(connection, None if of_all else runs) if with_metrics else {}
    gone = frozenset(dead)
    found = map(
        RunSummary,
        run_ids,
        [
            RunStatus.INTERRUPTED if run in gone else STATUSES[status]
            for run, status in zip(runs, statuses, strict=True)
        ],
        names,
        groups,
        parents,
        moments(starts),
        moments(ends),
        moments(heartbeats),
        [milliseconds / 1000 for milliseconds in durations_ms],
        reasons,
        config_hashes,
        families,
        fingerprints,
        hosts,
        commits,
        [None if one is None else bool(one) for one in dirty],
        [tuple(tags.get(run, ())) for run in runs],
        [metrics.get(run) or {} for run in runs],
        studies,
        trial_numbers,
        [None if state is None else TrialState(state) for state in trial_states],
        external_ids,
    )
    return list(found)


@decoding_rows
def read_last_values(connection: Connection, runs: Sequence[int] | None) -> dict[int, dict[str, float]]:
    """Return the last value of each metric of these runs, or of all, by row id and name."""

    def take(rows: Iterator[tuple[int, int, float | None]]) -> dict[int, dict[int, float]]:
        by_run: dict[int, dict[int, float]] = {}
        before, values = None, dict[int, float]()
        for run, metric, value in rows:  # those of a run follow one another
            if run != before:
                before, values = run, by_run.setdefault(run, {})
            values[metric] = math.nan if value is None else value
        return by_run

    wanted: Parameters = () if runs is None else (json.dumps(list(runs)),)
    by_run = connection.fold(ALL_LAST_VALUES if runs is None else LAST_VALUES_OF, wanted, take)
    metrics = json.dumps(list(set().union(*by_run.values())))
    names = dict(connection.fold(SHOWN_NAMES, (metrics,), list))
    # Most runs have the same metrics as others, so their order is found once.
    orders: dict[tuple[int, ...], list[tuple[str, int]]] = {}
    found: dict[int, dict[str, float]] = {}
    for run, values in by_run.items():
        held = tuple(values)
        order = orders.get(held)
        if order is None:
            order = orders[held] = sorted((names[metric], metric) for metric in held if metric in names)
        if order:
            found[run] = {name: values[metric] for name, metric in order}
    return found


@decoding_rows
def read_notes(connection: Connection, run: int) -> tuple[Note, ...]:
    """Return the notes of a run, oldest first."""
    return tuple(Note(moment(r["written_at"]), r["text"]) for r in connection.all(NOTES_OF, (run,)))
