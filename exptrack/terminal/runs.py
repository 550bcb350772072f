"""Print runs: lists, rankings, chosen fields, and one run in detail."""

from __future__ import annotations

import json
import math
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from exptrack.amounts import format_duration
from exptrack.keypath import join_path
from exptrack.records import ConfigSource, Event, MetricSummary, RunStatus, RunSummary, TrialState
from exptrack.terminal.artifacts import print_artifacts, shorten_digest, shorten_hash
from exptrack.terminal.console import (
    Columns,
    format_age,
    format_count,
    format_metric,
    format_setting,
    format_settings,
    measure_table,
    print_fitted,
    print_heading,
    print_table,
    safe,
    shorten,
)

if TYPE_CHECKING:
    from exptrack import RunDetail, TrashedRun

STATUS_STYLES = {
    "running": "cyan",
    "completed": "green",
    "failed": "red",
    "interrupted": "yellow",
    "pruned": "magenta",
}
MOST_METRIC_COLUMNS = 8
LEAST_METRIC_COLUMNS = 2  # for which tags are left out
SHOWN_FACTS = ("run_id", "id", "status", "name", "started", "duration", "tag")  # a list of runs has them anyway
MOST_EVENTS_IN_A_ROW = 3  # of one kind; more of them share a line
DURATIONS = ("duration", "duration_s")
FRESH_S = 60.0  # two heartbeats; a process that is silent for longer may have ended
SHOWN_DIGITS = 16  # of a config's hash or a fingerprint


def print_runs(
    out: Console,
    records: Sequence[RunSummary],
    nan_steps: Mapping[str, Mapping[str, int]] | None = None,
    *,
    metrics: Sequence[str],
    ordered: Mapping[str, Sequence[object]] | None = None,
    ids: Mapping[str, str] | None = None,
) -> None:
    """Print runs in a table, with the first of `metrics`.

    `nan_steps` has the metrics that are or were NaN, with the first step of that, by run. `ordered` has the
    values of the fields that put the runs in order. `ids` has short ids by run id; without it, ids are whole.
    """
    if not records:
        out.print("no runs")
        return
    columns: Columns = {
        "run": ("left", [Text(shorten(r.run_id, ids), style="bold") for r in records]),
        "status": ("whole", [style_status(r) for r in records]),
        "name": ("left", [r.name or "" for r in records]),
        "started": ("whole", [format_age(r.started_at) for r in records]),
        "took": ("right", [format_duration(_elapsed_s(r)) for r in records]),
    }
    asked = {field: values for field, values in (ordered or {}).items() if field not in SHOWN_FACTS}
    for field, values in asked.items():
        shown = [format_field(r, value) for r, value in zip(records, values, strict=True)]
        columns[_name_column(field)] = ("right" if _are_numbers(values) else "left", shown)
    others = [name for name in metrics if f"metric {name}" not in columns]
    for name in others[:MOST_METRIC_COLUMNS]:
        cells = [format_metric(name, r.metrics[name]) if name in r.metrics else "" for r in records]
        columns[f"metric {name}"] = ("right", cells)
    if nan_steps:
        columns["NaN"] = ("left", [_tell_nans(r, nan_steps.get(r.run_id, {})) for r in records])
        if measure_table(columns, "name") > out.width:  # which metrics they are, `show` tells
            steps = [min(nan_steps.get(r.run_id, {}).values(), default=None) for r in records]
            columns["NaN"] = ("whole", ["" if step is None else f"step {step:,}" for step in steps])
    if any(r.tags for r in records):
        columns["tags"] = ("left", [", ".join(r.tags) for r in records])
    heads = [f"metric {name}" for name in others[:MOST_METRIC_COLUMNS]]
    few = 1 if asked else LEAST_METRIC_COLUMNS
    print_fitted(
        out,
        columns,
        (*heads[: few - 1 : -1], "tags", "took", *heads[few - 1 : 0 : -1], "started", "name"),
        folded="name",
        option="--columns",
        unlisted=len(others[MOST_METRIC_COLUMNS:]),
    )


def _name_column(field: str) -> str:
    """Return the name of the column of a field that puts runs in order."""
    root, _dot, rest = field.partition(".")
    return {"metrics": f"metric {rest}", "config": f"param {rest}"}.get(root, field)


def _are_numbers(values: Iterable[object]) -> bool:
    return all(isinstance(value, (int, float, type(None))) for value in values)


def _tell_nans(record: RunSummary, steps: Mapping[str, int]) -> str:
    """Say which metric was NaN first, and whether others were."""
    if not steps:
        return ""
    name = min(steps, key=lambda one: (steps[one], one))
    others = f", {len(steps) - 1} more" if len(steps) > 1 else ""
    return f"{name} {format_nan(record.metrics.get(name, 0.0), steps[name])}{others}"


def format_nan(last: float, step: int | None) -> str:
    """Say from which step on a metric is NaN, or at which it was first if it is not any more."""
    if step is None:
        return ""
    return f"{'from' if math.isnan(last) else 'at'} step {step:,}"


def _elapsed_s(record: RunSummary) -> float:
    """How long a run took. The stored duration of a running run is that of its last heartbeat."""
    since_s = (datetime.now(UTC) - record.heartbeat_at).total_seconds()
    if record.status is RunStatus.RUNNING and 0 < since_s < FRESH_S:
        return record.duration_s + since_s
    return record.duration_s


def print_fields(
    out: Console,
    heads: Sequence[str],
    found: Sequence[tuple[RunSummary, Sequence[object]]],
    ids: Mapping[str, str] | None = None,
) -> None:
    """Print runs with the values of the chosen fields `heads`."""
    if not found:
        out.print("no runs")
        return
    columns = [("run", "left")]
    for place, head in enumerate(heads):
        numeric = _are_numbers(values[place] for _run, values in found)
        whole = all(isinstance(values[place], (datetime, RunStatus)) for _run, values in found)
        columns.append((head, "right" if numeric else "whole" if whole else "left"))
    rows = (
        [
            Text(shorten(run.run_id, ids), style="bold"),
            *(format_field(run, value, head) for head, value in zip(heads, values, strict=True)),
        ]
        for run, values in found
    )
    print_table(out, columns, rows)


def print_ranking(
    out: Console,
    metric: str,
    found: Sequence[tuple[RunSummary, object]],
    configs: Mapping[str, Sequence[object]],
    ids: Mapping[str, str] | None = None,
) -> None:
    """Print runs in the given order, each with the value that ranks it and its values of `configs`, by key."""
    columns: Columns = {
        "run": ("left", [Text(shorten(r.run_id, ids), style="bold") for r, _value in found]),
        f"metric {metric}": ("right", [format_field(r, value, metric) for r, value in found]),
        "name": ("left", [r.name or "" for r, _value in found]),
    }
    for key, values in configs.items():
        cells = format_settings(values)
        columns[f"param {key}"] = ("right" if _are_numbers(values) else "left", cells)
    columns["started"] = ("whole", [format_age(r.started_at) for r, _value in found])
    if any(r.tags for r, _value in found):
        columns["tags"] = ("left", [", ".join(r.tags) for r, _value in found])
    params = [f"param {key}" for key in configs]
    print_fitted(out, columns, ("tags", "started", *reversed(params)), folded="name")


def print_trash(out: Console, found: Sequence[TrashedRun], ids: Mapping[str, str] | None = None) -> None:
    """Print the runs in the trash."""
    if not found:
        out.print("the trash is empty")
        return
    columns: Columns = {
        "run": ("left", [Text(shorten(one.run.run_id, ids), style="bold") for one in found]),
        "status": ("whole", [style_status(one.run) for one in found]),
        "name": ("left", [one.run.name or "" for one in found]),
        "group": ("left", [one.run.group or "" for one in found]),
        "started": ("whole", [format_age(one.run.started_at) for one in found]),
        "moved here": ("whole", [format_age(one.deleted_at) for one in found]),
    }
    print_fitted(out, columns, ("group", "started"), folded="name")


# One run


def print_detail(
    out: Console, record: RunDetail, trends: Mapping[str, str], metrics: Sequence[MetricSummary]
) -> None:
    """Print everything about one run: `metrics` in their order; `trends` maps each to its line of bars."""
    head = record.summary
    pairs: list[tuple[str, object]] = [("run", head.run_id), ("status", head.status)]
    if record.deleted_at is not None:
        moved = f"moved there {format_age(record.deleted_at)}; 'exptrack restore {head.run_id}' takes it out"
        pairs += [("in the trash", moved)]
    trial = f"#{head.trial_number} of study {head.study} ({head.trial_state})" if head.study else None
    pairs += [("trial", trial), ("name", head.name), ("group", head.group), ("parent", head.parent)]
    pairs += [("external id", head.external_id)]
    pairs += [("started", f"{head.started_at:%Y-%m-%d %H:%M:%S} UTC ({format_age(head.started_at)})")]
    pairs += [("took", format_duration(_elapsed_s(head))), ("tags", ", ".join(head.tags)), ("host", head.host)]
    dirty = " (with uncommitted changes)" if head.vcs_dirty else ""
    pairs += [("commit", f"{head.vcs_commit}{dirty}" if head.vcs_commit else None)]
    pairs += [("command", shlex.join(record.environment.get("command", [])))]
    pairs += [("python", record.environment.get("python")), ("config hash", head.config_hash[:SHOWN_DIGITS])]
    pairs += [("fingerprint", head.fingerprint[:SHOWN_DIGITS]), ("reason", head.reason)]
    grid = Table.grid(padding=(0, 2))
    for key, value in pairs:
        if value:
            cell = style_status(head) if key == "status" else Text(safe(value))
            grid.add_row(Text(key, style="dim"), cell)
    out.print(grid)
    if record.config:
        print_heading(out, "Config")
        print_config(out, record.config, record.config_sources)
    data: dict[str, str] = record.environment.get("data_references", {})
    if data:
        print_heading(out, "Data")
        print_table(
            out, [("name", "left"), ("reference", "left")], ([k, shorten_digest(v)] for k, v in data.items())
        )
    if record.attributes:
        print_heading(out, "Attributes")
        rows = ([key, format_setting(value)] for key, value in record.attributes.items())
        print_table(out, [("key", "left"), ("value", "left")], rows)
    if record.metrics:
        print_heading(out, "Metrics")
        _print_summaries(out, metrics, trends, record.nan_steps)
        print_hidden_metrics(out, len(record.metrics) - len(metrics))
    if record.artifacts:
        print_heading(out, "Artifacts")
        newest = {a.name: a for a in sorted(record.artifacts, key=lambda a: a.version)}
        print_artifacts(out, list(newest.values()), Counter(a.name for a in record.artifacts))
    if record.inputs:
        print_heading(out, "Inputs")
        columns = [("name", "left"), ("version", "right"), ("from run", "left"), ("hash", "left")]
        print_table(
            out, columns, ([u.name, u.version, u.from_run, shorten_hash(u.hash)] for u in record.inputs)
        )
    if record.notes:
        print_heading(out, "Notes")
        for note in record.notes:
            out.print(Text(f"{format_age(note.written_at)}: {safe(note.text)}"))
    print_heading(out, "Events")
    print_events(out, record.events)
    if record.traceback:
        print_heading(out, "Traceback")
        out.print(Text("\n".join(safe(line) for line in record.traceback.rstrip().split("\n"))))


def _print_summaries(
    out: Console, found: Sequence[MetricSummary], trends: Mapping[str, str], nan_steps: Mapping[str, int]
) -> None:
    if not found:
        return
    columns: Columns = {
        "metric": ("left", [Text(safe(m.name)) for m in found]),
        "trend": ("whole", [trends.get(m.name, "") for m in found]),
        "points": ("right", [f"{m.count:,}" for m in found]),
        "last": ("right", [format_metric(m.name, m.last) for m in found]),
        "at step": ("right", [m.last_step for m in found]),
        "min": ("right", [format_metric(m.name, m.min) for m in found]),
        "max": ("right", [format_metric(m.name, m.max) for m in found]),
        "mean": ("right", [format_metric(m.name, m.mean) for m in found]),
    }
    if nan_steps:
        columns["NaN"] = ("whole", [format_nan(m.last, nan_steps.get(m.name)) for m in found])
    print_fitted(out, columns, ("mean", "points", "at step"), folded="metric")


def print_hidden_metrics(out: Console, count: int) -> None:
    """Say how many metrics of the machine are not shown; nothing if all are."""
    if count:
        out.print(Text(f"{format_count(count, 'system metric')} not shown: --system", style="dim"))


def print_events(out: Console, events: Iterable[Event]) -> None:
    """Print the events of a run, oldest first."""
    print_table(out, [("when", "left"), ("what", "left"), ("data", "left")], _event_rows(events))


def _event_rows(events: Iterable[Event]) -> Iterable[Sequence[object]]:
    """Yield a line for each event, or one line for many consecutive events of one kind."""
    for kind, group in groupby(events, key=lambda e: e.kind):
        same = list(group)
        if len(same) > MOST_EVENTS_IN_A_ROW:
            yield (
                format_age(same[-1].happened_at),
                kind,
                f"{len(same):,} in a row, the last: {_event_facts(same[-1])}",
            )
        else:
            yield from ((format_age(e.happened_at), kind, _event_facts(e)) for e in same)


def _event_facts(event: Event) -> str:
    data = event.data
    if "before" in data or "alias" in data:  # null says that there was no name, or that the alias is removed
        data = {key: format_setting(value) for key, value in data.items()}
    return "; ".join(f"{key}: {_fact(key, value)}" for key, value in data.items() if value or value == 0)


def _fact(key: str, value: object) -> object:
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return ", ".join(value)
    if key == "hash" and isinstance(value, str):
        return shorten_hash(value)
    return value[:SHOWN_DIGITS] if key == "config_hash" and isinstance(value, str) else value


def print_config(out: Console, values: dict[str, Any], sources: dict[str, ConfigSource]) -> None:
    """Print every value of a config, and what set it unless the program itself did."""
    told = {path: source for path, source in sources.items() if source.kind != "code"}
    columns = [("key", "left"), ("value", "left"), *([("set by", "left")] if told else [])]
    rows = ([path, format_setting(value), told.get(path, "")][: len(columns)] for path, value in _flat(values))
    print_table(out, columns, rows)


def _flat(value: Any, path: str = "") -> Iterable[tuple[str, object]]:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _flat(item, join_path(path, key))
    elif path:
        yield path, value


# Cells


def style_status(run: RunSummary) -> Text:
    """Return the status of a run in its colour; a completed run of a pruned trial is ``pruned``."""
    status = str(TrialState.PRUNED) if run.is_pruned else str(run.status)
    return Text(status, style=STATUS_STYLES[status])


def format_field(run: RunSummary, value: object, field: str = "") -> object:
    """Format the value of a field of a run, with its unit if the name of the field tells it."""
    if value is None or isinstance(value, RunStatus):
        return "" if value is None else style_status(run)
    if isinstance(value, float):
        is_metric = not field.startswith(("config.", "params.", "attr."))
        return format_duration(value) if field in DURATIONS else format_metric(field * is_metric, value)
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (bool, list, dict)) else value
