"""Decide how a trial of a sweep ends: by its run, by what it reported, and by how its command ended.

Invariants: a value comes from the archive, never from what the command printed. A trial whose sweep was killed
keeps the value of its run, if that run completed. Nothing here changes the archive or needs Optuna.
"""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from exptrack.database.connection import Connection
from exptrack.database.damage import decoding_rows
from exptrack.metrics.store import read_summaries
from exptrack.records import RunStatus
from exptrack.runs.events import read_events
from exptrack.tracking.child_output import last_lines
from exptrack.tracking.run import PRUNE_EVENT

if TYPE_CHECKING:
    from exptrack.tracking.child_process import Ended

PRUNE_MARK = "exptrack:should_prune"  # of a trial that was told to give up: the last step reported before

RUN_OF_TRIAL = "SELECT r.id FROM trial AS t JOIN run AS r ON r.run_id = t.run_id WHERE t.id = ?"
RUN_ENDING = "SELECT status, reason FROM run WHERE id = ?"
REPORTS_OF_TRIAL = "SELECT step, value FROM trial_report WHERE trial = ? ORDER BY id"
MARK_OF_TRIAL = "SELECT value FROM trial_attribute WHERE trial = ? AND scope = 'system' AND name = ?"


class Verdict(NamedTuple):
    """How a trial ends: with a value, as pruned, or failed with a reason; `diverged` if its value is NaN."""

    value: float | None = None
    pruned: bool = False
    reason: str | None = None
    diverged: bool = False


def find_run(connection: Connection, trial: int) -> int | None:
    """Return the row id of the run that a trial is joined to; None if there is none."""
    run = connection.value(RUN_OF_TRIAL, (trial,))
    return None if run is None else int(run)


@decoding_rows
def read_reports(connection: Connection, trial: int) -> dict[int, float]:
    """Read what a trial reported: the value at each step."""
    return {
        step: math.nan if value is None else value for step, value in connection.all(REPORTS_OF_TRIAL, (trial,))
    }


def judge_command(
    connection: Connection, settings: Mapping[str, Any], trial: int, ended: Ended, ending: str | None
) -> Verdict:
    """Decide how a trial ends whose command has ended.

    `settings` are those of the plan, `trial` is a row id. `ending` is why the sweep ends its commands, or None.
    """
    run, reports = find_run(connection, trial), read_reports(connection, trial)
    row = None if run is None else connection.one(RUN_ENDING, (run,))
    if not ended.killed and _gave_up(connection, trial, run, reports):
        return Verdict(pruned=True)
    if ended.returncode == 0 and (row is None or row["status"] == RunStatus.COMPLETED):
        return _read_value(connection, settings, run, reports)
    if ending is not None:
        return Verdict(reason=ending)
    if ended.returncode == 0 and row is not None:
        return Verdict(reason=_describe_ending(row["status"], row["reason"]))
    what = row["reason"] if row is not None and row["status"] == RunStatus.FAILED else None
    return Verdict(reason=f"{ended.words}: {what or last_lines(ended.errors)}".rstrip(": "))


def judge_left(connection: Connection, settings: Mapping[str, Any] | None, trial: int) -> Verdict | None:
    """Decide how a trial ends whose sweep was killed; None unless its run completed all the same.

    `settings` are those of the plan; a study without a plan has None.
    """
    run = None if settings is None else find_run(connection, trial)
    row = None if run is None else connection.one(RUN_ENDING, (run,))
    if settings is None or row is None or row["status"] != RunStatus.COMPLETED:
        return None
    reports = read_reports(connection, trial)
    if _gave_up(connection, trial, run, reports):
        return Verdict(pruned=True)
    return _read_value(connection, settings, run, reports)


def last_report(connection: Connection, trial: int) -> list[float]:
    """Return the value of a pruned trial: its last report, unless that is NaN or there is none."""
    reports = read_reports(connection, trial)
    last = reports[max(reports)] if reports else math.nan
    return [] if math.isnan(last) else [last]


@decoding_rows
def _gave_up(connection: Connection, trial: int, run: int | None, reports: Mapping[int, float]) -> bool:
    """Return whether the command ended because it was told to give up: it reported nothing after that."""
    for (mark,) in connection.all(MARK_OF_TRIAL, (trial, PRUNE_MARK)):
        if json.loads(mark) == max(reports, default=None):
            return True
    return run is not None and any(event.kind == PRUNE_EVENT for event in read_events(connection, run))


@decoding_rows
def _read_value(
    connection: Connection, settings: Mapping[str, Any], run: int | None, reports: Mapping[int, float]
) -> Verdict:
    """Read the trial's value from its run, or else from its reports."""
    metric, reduce = settings["metric"], settings["reduce"]
    summaries = () if run is None else read_summaries(connection, [run])[run]
    logged = {summary.name: summary for summary in summaries}
    value: float | None = None
    if metric in logged:
        summary = logged[metric]
        value = {"last": summary.last, "min": summary.min, "max": summary.max}[reduce]
        value = math.nan if value is None else value
    elif reports:
        comparable = [one for one in reports.values() if not math.isnan(one)] or [math.nan]
        value = {"last": reports[max(reports)], "min": min(comparable), "max": max(comparable)}[reduce]
    if value is None:
        if run is None:
            return Verdict(reason=f"it started no run (exptrack.start_run) that logs {metric}")
        close = difflib.get_close_matches(metric, logged)
        others = f"; did it mean {close[0]}?" if close else f", only {', '.join(logged)}" if logged else ""
        return Verdict(reason=f"its run logged no {metric}{others}")
    if math.isnan(value):
        return Verdict(reason=f"{metric} is NaN, which cannot be compared", diverged=True)
    return Verdict(value=value)


def _describe_ending(status: str, reason: str | None) -> str:
    """Say why a run that did not complete leaves its trial without a value, although the command succeeded."""
    if reason:
        return f"its run is {status}: {reason}"
    words = "failed without a reason" if status == RunStatus.FAILED else f"is {status}"
    return f"its run {words}: the script did not call complete() or fail()"
