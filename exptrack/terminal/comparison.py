"""Print comparisons: two runs, several runs, a run and the run before it, groups, importances."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from exptrack.terminal.artifacts import shorten_digest
from exptrack.terminal.console import (
    GAP_CHARS,
    LEAST_WRAPPED,
    Columns,
    format_age,
    format_metric,
    format_number,
    format_setting,
    format_settings,
    measure_table,
    print_fitted,
    print_heading,
    print_table,
    safe,
    shorten,
)
from exptrack.terminal.runs import print_hidden_metrics, style_status

if TYPE_CHECKING:
    from exptrack import (
        ComparedMetric,
        ConfigDifference,
        FactDifference,
        Group,
        Importance,
        MetricDifference,
        RunChanges,
        RunComparison,
        RunDiff,
        RunsLeftOut,
    )

CHANGE_STYLES = {"added": "green", "removed": "red", "changed": "yellow"}
PALETTE = ("cyan", "yellow", "magenta", "green", "blue", "red")
BAR_CHARS = 20


def print_diff(
    out: Console, record: RunDiff, metrics: Sequence[MetricDifference], ids: Mapping[str, str] | None = None
) -> None:
    """Print the differences between two runs: in config, and in `metrics`, in their order."""
    if record.config:
        print_config_differences(out, record.run_a, record.run_b, record.config, ids)
    else:
        out.print("the configs are equal")
    if record.metrics:
        out.print()
        print_metric_differences(out, record.run_a, record.run_b, metrics, ids)
        print_hidden_metrics(out, len(record.metrics) - len(metrics))


def print_comparison(
    out: Console,
    record: RunComparison,
    metrics: Sequence[ComparedMetric] | None = None,
    ids: Mapping[str, str] | None = None,
) -> None:
    """Print several runs with a column for each, or with a row for each if the columns do not fit.

    `metrics` are those that are shown, in their order; by default all.
    """
    shown = record.metrics if metrics is None else metrics
    heads = [shorten(run.run_id, ids) for run in record.runs]
    facts: Columns = {
        "status": ("whole", [style_status(run) for run in record.runs]),
        "name": ("left", [run.name or "" for run in record.runs]),
        "started": ("whole", [format_age(run.started_at) for run in record.runs]),
    }
    names = Counter([*facts, *(key.key for key in record.config), *(metric.name for metric in shown)])
    for key in record.config:
        cells = [format_setting(v) if here else "" for v, here in zip(key.values, key.present, strict=True)]
        name = f"config.{key.key}" if names[key.key] > 1 else key.key
        is_number = all(type(value) in (int, float) for value in key.values)
        justify = "right" if is_number else "left"
        facts[name] = (justify, _colour_by_value(cells) if key.differs else list(cells))
    told: list[str] = []
    for metric in shown:
        told.append(f"metrics.{metric.name}" if names[metric.name] > 1 else metric.name)
        values = [format_metric(metric.name, one.last) if one else "" for one in metric.summaries]
        facts[told[-1]] = ("right", values)
    columns: Columns = {"": ("left", list(facts))}
    for place, head in enumerate(heads):
        columns[head] = ("left", [cells[place] for _justify, cells in facts.values()])
    if not out.is_terminal or _fits(out, columns):
        print_fitted(out, columns, ())
    else:
        ends: Columns = {"run": ("left", [Text(head, style="bold") for head in heads]), **facts}
        print_fitted(out, ends, [*reversed(told[1:]), "started", "name", "status"], folded="name")
    print_hidden_metrics(out, len(record.metrics) - len(shown))
    if not any(key.differs for key in record.config):
        out.print(Text("the configs are equal", style="dim"))


def _fits(out: Console, columns: Columns) -> bool:
    """Return whether a column for each run has room, with long words folded."""
    (names, *runs) = (measure_table({head: column}) for head, column in columns.items())
    return names + sum(GAP_CHARS + min(width, LEAST_WRAPPED) for width in runs) <= out.width


def _colour_by_value(cells: Sequence[object]) -> list[object]:
    """Colour equal values alike and different values differently, as far as the colours go."""
    texts = [safe(cell) for cell in cells]
    places = {text: place for place, text in enumerate(dict.fromkeys(filter(None, texts)))}
    return [Text(text, style=PALETTE[places[text] % len(PALETTE)]) if text else "" for text in texts]


def print_changes(
    out: Console, record: RunChanges, metrics: Sequence[MetricDifference], ids: Mapping[str, str] | None = None
) -> None:
    """Print the differences between a run and the run before it; `metrics` in their order."""
    before, after = shorten(record.previous, ids), shorten(record.run_id, ids)
    out.print(Text(f"{after} compared with {before}, the run before it of the same {record.because}"))
    facts: tuple[tuple[str, Sequence[FactDifference]], ...] = (
        ("Code", record.code),
        ("Data", record.data),
        ("Environment", record.environment),
    )
    if record.config:
        print_heading(out, "Config")
        print_config_differences(out, record.previous, record.run_id, record.config, ids)
    for words, differences in facts:
        if differences:
            print_heading(out, words)
            columns = [("", "left"), (before, "left"), (after, "left"), ("", "whole")]
            print_table(out, columns, (_fact_row(one) for one in differences))
    if not record.config and not any(differences for _words, differences in facts):
        out.print("nothing that is recorded changed: config, code, data and environment are equal")
    if record.metrics:
        print_heading(out, "Metrics")
        print_metric_differences(out, record.previous, record.run_id, metrics, ids)
        print_hidden_metrics(out, len(record.metrics) - len(metrics))


def _fact_row(one: FactDifference) -> list[object]:
    shown_a = "" if one.change == "added" else _write_fact(one.name, one.a)
    shown_b = "" if one.change == "removed" else _write_fact(one.name, one.b)
    return [one.name, shown_a, shown_b, Text(one.change, style=CHANGE_STYLES[one.change])]


def _write_fact(name: str, value: object) -> str:
    if name == "command" and isinstance(value, list):
        return shlex.join(map(str, value))
    return shorten_digest(str(format_setting(value)))


def print_config_differences(
    out: Console, a: str, b: str, found: Sequence[ConfigDifference], ids: Mapping[str, str] | None = None
) -> None:
    """Print the config keys that differ between two runs, and what set them."""
    columns = [("config", "left"), (shorten(a, ids), "left"), (shorten(b, ids), "left"), ("", "whole")]
    columns.append(("set by", "left"))
    rows = []
    for d in found:
        shown_a = "" if d.change == "added" else format_setting(d.a)
        shown_b = "" if d.change == "removed" else format_setting(d.b)
        told = (s for s in (d.source_a, d.source_b) if s is not None and s.kind != "code")
        setters = list(dict.fromkeys(map(str, told)))
        change = Text(d.change, style=CHANGE_STYLES[d.change])
        rows.append([d.key, shown_a, shown_b, change, " → ".join(setters)])
    print_table(out, columns, rows)


def print_metric_differences(
    out: Console, a: str, b: str, found: Sequence[MetricDifference], ids: Mapping[str, str] | None = None
) -> None:
    """Print the last values of the metrics of two runs."""
    columns = [("metric (last)", "left"), (shorten(a, ids), "right"), (shorten(b, ids), "right")]
    columns.append(("difference", "right"))
    rows = (
        [m.name, format_metric(m.name, m.last_a), format_metric(m.name, m.last_b), _write_difference(m)]
        for m in found
    )
    if found:
        print_table(out, columns, rows, folded="metric (last)")


def _write_difference(one: MetricDifference) -> str:
    if one.last_a is None or one.last_b is None:
        return "–"
    difference = one.last_b - one.last_a
    return f"{'+' * (difference >= 0)}{format_metric(one.name, difference)}"


def print_groups(out: Console, keys: Iterable[str], metric: str, found: Sequence[Group]) -> None:
    """Print a row for each group."""
    if not found:
        out.print(Text(f"no completed run has {metric}"))
        return
    names = list(keys)
    columns = [*((key, "left") for key in names), ("runs", "right"), ("mean", "right"), ("± std", "right")]
    odd = any(group.nan_count or group.infinite_count for group in found)
    columns += [("min", "right"), ("max", "right"), *[("not finite", "right")] * odd]
    lost = any(group.left_out.total for group in found)
    columns += [("left out", "left")] * lost
    settings = {key: format_settings(group.config.get(key, "") for group in found) for key in names}
    rows = (
        [
            *(settings[key][place] for key in names),
            group.count,
            *(format_number(value) for value in (group.mean, group.std, group.min, group.max)),
            *[group.nan_count + group.infinite_count or ""] * odd,
            *[str(group.left_out) if group.left_out.total else ""] * lost,
        ]
        for place, group in enumerate(found)
    )
    print_table(out, columns, rows)


def print_left_out(out: Console, left_out: RunsLeftOut) -> None:
    """Say how many runs were left out, and why; nothing if none was."""
    if left_out.total:
        out.print(Text(f"left out: {left_out}", style="dim"))


def print_importances(out: Console, metric: str, found: Sequence[Importance], method: str) -> None:
    """Print each key with its importance as a bar, by the method that was asked for."""
    if not found:
        out.print(Text(f"no config key varies over the runs that have {metric}"))
        return
    out.print(Text(f"importance for {metric}, by {method}", style="bold"))
    most = max(one.importance for one in found)
    signed = any(one.correlation is not None for one in found)
    columns = [("key", "left"), ("importance", "right"), ("", "whole"), *[("correlation", "right")] * signed]
    columns += [("values", "right"), ("runs", "right")]
    rows = (
        [
            one.key,
            format_number(one.importance),
            "█" * round(BAR_CHARS * max(one.importance, 0) / most if most > 0 else 0),
            *["" if one.correlation is None else f"{one.correlation:+.2f}"] * signed,
            one.values,
            one.runs,
        ]
        for one in found
    )
    print_table(out, columns, rows)
