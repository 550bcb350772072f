"""How comparisons look in a terminal: runs side by side, changes, groups, importances.

Invariant: as in ``render``, whose tables these are, words of an archive are shown as text only.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from exptrack.terminal.console import (
    CHANGE_STYLES,
    ago,
    config_differences,
    fitted,
    heading,
    metric_differences,
    number,
    safe,
    status_text,
    table,
    table_width,
    value_text,
)

if TYPE_CHECKING:
    from exptrack import FactDifference, Group, Importance, RunChanges, RunComparison

BAR_CHARS = 20


def comparison(out: Console, record: RunComparison) -> None:
    """Several runs: a column each or, where these have no room, a row each."""
    heads = [run.run_id for run in record.runs]
    facts: list[tuple[str, list[object]]] = [
        ("status", [status_text(run) for run in record.runs]),
        ("name", [run.name or "" for run in record.runs]),
        ("started", [ago(run.started_at) for run in record.runs]),
    ]
    for key in record.config:
        cells = [value_text(v) if here else "" for v, here in zip(key.values, key.present, strict=True)]
        facts.append((key.key, _coloured(cells) if key.differs else list(cells)))
    for metric in record.metrics:
        facts.append((metric.name, [number(one.last) if one else "" for one in metric.summaries]))
    rows: dict[str, tuple[str, Sequence[object]]] = {name: ("left", cells) for name, cells in facts}
    columns: dict[str, tuple[str, Sequence[object]]] = {"": ("left", list(rows))}
    for place, head in enumerate(heads):
        columns[head] = ("left", [cells[place] for _name, cells in facts])
    if not out.is_terminal or table_width(columns) <= out.width:
        table(out, [(name, "left") for name in columns], zip(*(c for _j, c in columns.values()), strict=True))
    else:
        metrics = [metric.name for metric in record.metrics]
        fitted(
            out,
            {"run": ("left", [Text(h, style="bold") for h in heads]), **rows},
            [*reversed(metrics[1:]), "started", "name", "status"],
        )
    if not any(key.differs for key in record.config):
        out.print(Text("the configs are equal", style="dim"))


def _coloured(cells: Sequence[object]) -> list[object]:
    """Each different value in a colour of its own, as far as they go."""
    palette = ("cyan", "yellow", "magenta", "green", "blue", "red")
    texts = [safe(cell) for cell in cells]
    places = {text: place for place, text in enumerate(dict.fromkeys(filter(None, texts)))}
    return [Text(text, style=palette[places[text] % len(palette)]) if text else "" for text in texts]


def changes(out: Console, record: RunChanges) -> None:
    """A run beside the one before it."""
    out.print(Text(f"{record.run_id} beside {record.previous}, the run before it of the same {record.because}"))
    facts: tuple[tuple[str, Sequence[FactDifference]], ...] = (
        ("Code", record.code),
        ("Data", record.data),
        ("Environment", record.environment),
    )
    if record.config:
        heading(out, "Config")
        config_differences(out, record.previous, record.run_id, record.config)
    for words, differences in facts:
        if differences:
            heading(out, words)
            columns = [("", "left"), (record.previous, "left"), (record.run_id, "left"), ("", "left")]
            table(out, columns, (_fact_row(one) for one in differences))
    if not record.config and not any(differences for _words, differences in facts):
        out.print("nothing that is recorded changed: config, code, data and environment are equal")
    if record.metrics:
        heading(out, "Metrics")
        metric_differences(out, record.previous, record.run_id, record.metrics)


def _fact_row(one: FactDifference) -> list[object]:
    shown_a = "" if one.change == "added" else value_text(one.a)
    shown_b = "" if one.change == "removed" else value_text(one.b)
    return [one.name, shown_a, shown_b, Text(one.change, style=CHANGE_STYLES[one.change])]


def groups(out: Console, keys: Iterable[str], metric: str, found: Sequence[Group]) -> None:
    """A row a group."""
    if not found:
        out.print(Text(f"no completed run has {metric}"))
        return
    names = list(keys)
    columns = [*((key, "left") for key in names), ("runs", "right"), ("mean", "right"), ("± std", "right")]
    columns += [("min", "right"), ("max", "right"), ("not finite", "right")]
    rows = (
        [
            *(value_text(group.config[key]) if key in group.config else "" for key in names),
            group.count,
            *(number(value) for value in (group.mean, group.std, group.min, group.max)),
            group.nan_count + group.infinite_count or "",
        ]
        for group in found
    )
    table(out, columns, rows)


def importances(out: Console, metric: str, found: Sequence[Importance]) -> None:
    """A bar a key."""
    if not found:
        out.print(Text(f"no config key varies over the runs that have {metric}"))
        return
    most = max(one.importance for one in found)
    columns = [("key", "left"), ("importance", "right"), ("", "left"), ("correlation", "right")]
    columns += [("values", "right"), ("runs", "right")]
    rows = (
        [
            one.key,
            number(one.importance),
            "█" * round(BAR_CHARS * max(one.importance, 0) / most if most > 0 else 0),
            "" if one.correlation is None else f"{one.correlation:+.2f}",
            one.values,
            one.runs,
        ]
        for one in found
    )
    table(out, columns, rows)
