"""How records look in a terminal, and as plain text when nobody looks.

Invariants: words that come from an archive are shown as text only: no markup, and control characters escaped,
so a hostile name cannot draw on the terminal. Piped output is never cut and carries no colour.
"""

from __future__ import annotations

import json
import math
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from exptrack.keypath import join_path
from exptrack.records import Artifact, ArtifactUse, ConfigSource, Event, RunStatus, RunSummary, TrialState
from exptrack.terminal.ascii import spell_out

if TYPE_CHECKING:
    from exptrack import (
        ArchiveInfo,
        ArtifactFile,
        ConfigDifference,
        Lineage,
        MetricDifference,
        RunDetail,
        RunDiff,
        RunStorage,
        SqlResult,
        UserView,
        VerifyReport,
    )

STATUS_STYLES = {
    "running": "cyan",
    "completed": "green",
    "failed": "red",
    "interrupted": "yellow",
    "pruned": "magenta",
}
CHANGE_STYLES = {"added": "green", "removed": "red", "changed": "yellow"}
MOST_METRIC_COLUMNS = 4
PIPED_WIDTH = 100_000
LEAST_WRAPPED = 16  # a column of SQL is not made narrower than this
SHOWN_HASH_CHARS = len("sha256:") + 12
SHOWN_DIGITS = 16  # of a config's hash or a fingerprint
MOST_EVENTS_IN_A_ROW = 3  # of one kind; more of them share a line


def console(*, stderr: bool = False) -> Console:
    """A console that knows whether a person looks."""
    spell_out(sys.stderr if stderr else sys.stdout)
    made = Console(stderr=stderr, markup=False, highlight=False, emoji=False)
    return (
        made if made.is_terminal else Console(stderr=stderr, markup=False, highlight=False, width=PIPED_WIDTH)
    )


def safe(value: object) -> str:
    """Text whose control characters are written out."""
    text = str(value)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def number(value: float | None) -> str:
    """A metric value in five significant digits."""
    if value is None:
        return "–"
    return f"{value:.5g}" if math.isfinite(value) else str(value)


def duration(seconds: float) -> str:
    """Seconds as people say them."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} m" if hours else f"{minutes} m {rest:02} s"


def size(count: float) -> str:
    """Bytes in decimal units."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def ago(moment: datetime) -> str:
    """How long ago a moment was, or its date once that is clearer."""
    seconds = (datetime.now(UTC) - moment).total_seconds()
    for limit, unit, word in ((60, 1, "s"), (3600, 60, "min"), (86400, 3600, "h"), (7 * 86400, 86400, "d")):
        if 0 <= seconds < limit:
            return f"{int(seconds // unit)} {word} ago"
    return f"{moment:%Y-%m-%d %H:%M}"


def table(
    out: Console,
    columns: Sequence[tuple[str, str]],
    rows: Iterable[Sequence[object]],
    *,
    folded: str | None = None,
) -> None:
    """Print rows under (name, justification) columns; Text cells keep their style.

    Where there is no room, the long words of the column `folded` are folded, else those of all but the first:
    that is what people copy.
    """
    table = Table(
        box=SIMPLE_HEAD if out.is_terminal else None, pad_edge=False, header_style="bold", show_edge=False
    )
    for position, (name, justify) in enumerate(columns):
        table.add_column(
            Text(safe(name)),
            justify="right" if justify == "right" else "left",
            no_wrap=position == 0 if folded is None else name != folded,
            overflow="fold",
        )
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else Text(safe(cell)) for cell in row))
    out.print(table)


def status_text(run: RunSummary) -> Text:
    """The status of a run in its colour; of a trial that completed by being given up, that it was pruned."""
    status = str(TrialState.PRUNED) if run.is_pruned else str(run.status)
    return Text(status, style=STATUS_STYLES[status])


def heading(out: Console, words: str) -> None:
    """A line above what follows."""
    out.print()
    out.print(Text(words, style="bold"))


def runs(out: Console, records: Sequence[RunSummary]) -> None:
    """The table of runs, with the metrics most of them share."""
    if not records:
        out.print("no runs")
        return
    counted = Counter(name for record in records for name in record.metrics)
    metrics = sorted(sorted(counted), key=lambda name: -counted[name])[:MOST_METRIC_COLUMNS]
    columns: dict[str, tuple[str, Sequence[object]]] = {
        "run": ("left", [Text(r.run_id, style="bold") for r in records]),
        "status": ("left", [status_text(r) for r in records]),
        "name": ("left", [r.name or "" for r in records]),
        "started": ("left", [ago(r.started_at) for r in records]),
        "took": ("right", [duration(r.duration_s) for r in records]),
    }
    for name in metrics:
        shown = [number(r.metrics[name]) if name in r.metrics else "" for r in records]
        columns[f"metric {name}"] = ("right", shown)
    columns["tags"] = ("left", [", ".join(r.tags) for r in records])
    fitted(out, columns, (*(f"metric {name}" for name in metrics[:0:-1]), "tags", "took", "started", "name"))


def fitted(
    out: Console,
    columns: dict[str, tuple[str, Sequence[object]]],
    expendable: Iterable[str],
    *,
    folded: str | None = None,
) -> list[str]:
    """Print columns; a narrow terminal loses whole ones, the first of `expendable` first, rather than words.

    Return the names of what was lost.
    """
    kept = dict(columns)
    for least in expendable:
        if table_width(kept) <= out.width:
            break
        kept.pop(least, None)
    heads = [(title(head), justify) for head, (justify, _cells) in kept.items()]
    table(out, heads, zip(*(cells for _justify, cells in kept.values()), strict=True), folded=folded)
    return [name for name in columns if name not in kept]


def title(head: str) -> str:
    """What stands above a column, whose name may say of what kind it is so as to be no other's."""
    for kind in ("metric ", "param "):
        if head.startswith(kind):
            return head.removeprefix(kind)
    return head


def table_width(columns: dict[str, tuple[str, Sequence[object]]]) -> int:
    """How wide a table of these columns is, its padding and rules included."""
    widths = (
        max(len(title(head)), *(len(safe(cell)) for cell in cells))
        for head, (_justify, cells) in columns.items()
    )
    return sum(widths) + 3 * len(columns)


def columns(out: Console, heads: Sequence[str], found: Sequence[tuple[RunSummary, Sequence[object]]]) -> None:
    """A table of runs with the values of chosen fields."""
    if not found:
        out.print("no runs")
        return
    cells = [[run.run_id, *(str(field_value(run, value)) for value in values)] for run, values in found]
    names = ["run", *heads]
    if _too_wide(out, names, [names, *cells]):
        _records(out, names, cells)
        return
    numeric = [
        all(isinstance(values[place], (int, float, type(None))) for _run, values in found)
        for place in range(len(heads))
    ]
    heading = [(head, "right" if right else "left") for head, right in zip(heads, numeric, strict=True)]
    rows = (
        [Text(run.run_id, style="bold"), *(field_value(run, one) for one in values)] for run, values in found
    )
    table(out, [("run", "left"), *heading], rows)


def field_value(run: RunSummary, value: object) -> object:
    """The value of a field of a run as people read it."""
    if value is None or isinstance(value, RunStatus):
        return "" if value is None else status_text(run)
    if isinstance(value, float):
        return number(value)
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (bool, list, dict)) else value


def ranking(out: Console, metric: str, found: Sequence[tuple[RunSummary, object]]) -> None:
    """The best runs with the value that ranks them."""
    columns = [("run", "left"), (metric, "right"), ("name", "left"), ("started", "left"), ("tags", "left")]
    table(
        out,
        columns,
        (
            [
                Text(r.run_id, style="bold"),
                field_value(r, v),
                r.name or "",
                ago(r.started_at),
                ", ".join(r.tags),
            ]
            for r, v in found
        ),
    )


def live(records: Sequence[RunSummary], metrics: Sequence[str], cells: Mapping[tuple[str, str], str]) -> Table:
    """A table of runs that goes on changing: the last value of metrics and their courses."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold", show_edge=False)
    table.add_column("run", no_wrap=True)
    for head in ("status", "name", "started", *metrics):
        table.add_column(Text(safe(head)), overflow="fold")
    for r in records:
        values = [Text(safe(cells.get((r.run_id, name), ""))) for name in metrics]
        facts = [status_text(r), Text(safe(r.name or "")), Text(ago(r.started_at))]
        table.add_row(Text(r.run_id, style="bold"), *facts, *values)
    return table


def _flat(value: Any, path: str = "") -> Iterable[tuple[str, object]]:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _flat(item, join_path(path, key))
    elif path:
        yield path, value


def config(out: Console, values: dict[str, Any], sources: dict[str, ConfigSource]) -> None:
    """Every value of a config, with what set it where that was not the program itself."""
    told = {path: source for path, source in sources.items() if source.kind != "code"}
    columns = [("key", "left"), ("value", "left"), *([("set by", "left")] if told else [])]
    rows = ([path, value_text(value), told.get(path, "")][: len(columns)] for path, value in _flat(values))
    table(out, columns, rows)


def value_text(value: object) -> object:
    """A config value as people write it."""
    return "null" if value is None else json.dumps(value) if isinstance(value, bool) else value


def detail(out: Console, record: RunDetail, courses: Mapping[str, str]) -> None:
    """Everything about one run; `courses` has a line of bars for each metric."""
    head = record.summary
    pairs: list[tuple[str, object]] = [("run", head.run_id), ("status", head.status)]
    trial = f"#{head.trial_number} of study {head.study} ({head.trial_state})" if head.study else None
    pairs += [("trial", trial), ("name", head.name), ("group", head.group), ("parent", head.parent)]
    pairs += [("started", f"{head.started_at:%Y-%m-%d %H:%M:%S} UTC ({ago(head.started_at)})")]
    pairs += [("took", duration(head.duration_s)), ("tags", ", ".join(head.tags)), ("host", head.host)]
    dirty = " (with uncommitted changes)" if head.vcs_dirty else ""
    pairs += [("commit", f"{head.vcs_commit}{dirty}" if head.vcs_commit else None)]
    pairs += [("command", " ".join(record.environment.get("command", [])))]
    pairs += [("python", record.environment.get("python")), ("config hash", head.config_hash[:SHOWN_DIGITS])]
    pairs += [("fingerprint", head.fingerprint[:SHOWN_DIGITS]), ("reason", head.reason)]
    grid = Table.grid(padding=(0, 2))
    for key, value in pairs:
        if value:
            cell = status_text(head) if key == "status" else Text(safe(value))
            grid.add_row(Text(key, style="dim"), cell)
    out.print(grid)
    if record.config:
        heading(out, "Config")
        config(out, record.config, record.config_sources)
    if record.metrics:
        heading(out, "Metrics")
        columns = [
            ("metric", "left"),
            ("course", "left"),
            *((n, "right") for n in ("points", "last", "at step", "min", "max", "mean")),
        ]
        table(
            out,
            columns,
            (
                [
                    m.name,
                    courses.get(m.name, ""),
                    m.count,
                    number(m.last),
                    m.last_step,
                    number(m.min),
                    number(m.max),
                    number(m.mean),
                ]
                for m in record.metrics
            ),
        )
    if record.artifacts:
        heading(out, "Artifacts")
        newest = {a.name: a for a in sorted(record.artifacts, key=lambda a: a.version)}
        artifacts(out, list(newest.values()), Counter(a.name for a in record.artifacts))
    if record.inputs:
        heading(out, "Inputs")
        columns = [("name", "left"), ("version", "right"), ("from run", "left"), ("hash", "left")]
        table(out, columns, ([u.name, u.version, u.from_run, _short(u.hash)] for u in record.inputs))
    if record.notes:
        heading(out, "Notes")
        for note in record.notes:
            out.print(Text(f"{ago(note.written_at)}: {safe(note.text)}"))
    heading(out, "Events")
    table(
        out,
        [("when", "left"), ("what", "left"), ("data", "left")],
        _event_rows(record.events),
    )
    if record.traceback:
        heading(out, "Traceback")
        out.print(Text("\n".join(safe(line) for line in record.traceback.rstrip().split("\n"))))


def _event_rows(events: Iterable[Event]) -> Iterable[Sequence[object]]:
    """A line an event; of many of one kind in a row, as of an image a step, a line for all."""
    for kind, group in groupby(events, key=lambda e: e.kind):
        same = list(group)
        if len(same) > MOST_EVENTS_IN_A_ROW:
            yield ago(same[-1].happened_at), kind, f"{len(same):,} in a row, the last: {_event_facts(same[-1])}"
        else:
            yield from ((ago(e.happened_at), kind, _event_facts(e)) for e in same)


def _event_facts(event: Event) -> str:
    return ", ".join(f"{key}={_fact(key, value)}" for key, value in event.data.items() if value or value == 0)


def _fact(key: str, value: object) -> object:
    if key == "hash" and isinstance(value, str):
        return _short(value)
    return value[:SHOWN_DIGITS] if key == "config_hash" and isinstance(value, str) else value


def _short(digest: str) -> str:
    """Enough of a hash to name it."""
    return digest[:SHOWN_HASH_CHARS]


def spans(numbers: Iterable[int]) -> str:
    """Whole numbers, those in a row as a range: 1–3, 7."""
    parts: list[list[int]] = []
    for one in sorted(numbers):
        if parts and one == parts[-1][-1] + 1:
            parts[-1][1:] = [one]
        else:
            parts.append([one])
    return ", ".join("–".join(map(str, part)) for part in parts)


def artifacts(out: Console, records: Sequence[Artifact], versions: Mapping[str, int] | None = None) -> None:
    """Artifacts, a line each; with `versions`, the newest of each name, and how many it has, but no hash."""
    if not records:
        out.print("no artifacts")
        return
    columns: dict[str, tuple[str, Sequence[object]]] = {
        "name": ("left", [Text(safe(a.name), style="bold") for a in records]),
        "version" if versions is None else "newest": ("right", [a.version for a in records]),
        "kind": ("left", [a.kind for a in records]),
        "step": ("right", ["" if a.step is None else a.step for a in records]),
        "size": ("right", ["folder" if a.is_folder else size(a.size_bytes) for a in records]),
    }
    if versions is None:
        columns["hash"] = ("left", [_short(a.hash) for a in records])
    else:
        columns["versions"] = ("right", [versions[a.name] for a in records])
    columns["stored"] = ("left", [ago(a.created_at) for a in records])
    fitted(out, columns, ("stored", "hash", "kind"), folded="name")


def folder(out: Console, files: Sequence[ArtifactFile]) -> None:
    """What a folder holds."""
    if not files:
        out.print("an empty folder")
        return
    columns = [("path", "left"), ("mode", "right"), ("size", "right"), ("hash", "left")]
    table(
        out,
        columns,
        (
            [f.path, f"{f.mode:03o}", size(f.size_bytes), _short(f.hash)]
            if f.size_bytes is not None and f.hash is not None
            else [f"{f.path}/", f"{f.mode:03o}", "", ""]
            for f in files
        ),
    )


def storage(out: Console, records: Sequence[RunStorage], total: int, facts: ArchiveInfo) -> None:
    """What the artifacts of runs take."""
    if not records:
        out.print("no artifacts")
        return
    columns: dict[str, tuple[str, Sequence[object]]] = {
        "run": ("left", [Text(r.run_id, style="bold") for r in records]),
        "name": ("left", [r.name or "" for r in records]),
        "artifacts": ("right", [r.artifacts for r in records]),
        "content": ("right", [size(r.size_bytes) for r in records]),
        "stored": ("right", [size(r.stored_bytes) for r in records]),
        "its own": ("right", [size(r.stored_bytes - r.shared_bytes) for r in records]),
        "shared": ("right", [size(r.shared_bytes) for r in records]),
    }
    fitted(out, columns, ("artifacts", "stored", "content"), folded="name")
    more = f"; {total - len(records):,} runs more" if total > len(records) else ""
    words = f"in all {size(facts.stored_bytes)} of a file of {size(facts.file_bytes)}{more}"
    out.print(Text(words, style="dim"))


def lineage(out: Console, record: Lineage) -> None:
    """What led here, and what came of it, as two trees."""
    inputs: dict[str, list[ArtifactUse]] = {}
    for use in record.upstream:
        inputs.setdefault(use.run_id, []).append(use)
    uses: dict[str, list[ArtifactUse]] = {}
    for use in record.downstream:
        uses.setdefault(use.from_run, []).append(use)
    made: dict[str, list[str]] = {}
    for a in record.artifacts:
        made.setdefault(a.run_id, []).append(a.name)
    here = {(a.run_id, a.name, a.version) for a in record.artifacts}

    def origins(run_id: str) -> Iterable[tuple[str, str]]:
        for use in inputs.get(run_id, []):
            gone = "" if (use.from_run, use.name, use.version) in here else ", since removed"
            words = f"{safe(use.name)} v{use.version} {_short(use.hash)} of run {use.from_run}{gone}"
            yield words, use.from_run

    def outcomes(found: Iterable[ArtifactUse]) -> Iterable[tuple[str, str]]:
        used: dict[str, list[str]] = {}
        for use in found:
            used.setdefault(use.run_id, []).append(f"{safe(use.name)} v{use.version}")
        for run_id, names in used.items():
            results = ", ".join(safe(name) for name in dict.fromkeys(made.get(run_id, [])))
            yield f"run {run_id} used {', '.join(names)}, made {results or 'no artifact'}", run_id

    is_hash = record.subject.startswith("sha256:")
    if is_hash:
        makers = dict.fromkeys(a.run_id for a in record.artifacts if a.hash == record.subject)
        subject = _short(record.subject)
        above = Tree(Text(f"{subject} was made by", style="bold"))
        _grow(above, [(f"run {maker}", maker) for maker in makers], origins, subject)
        none = "no run that is still here"
        first = [use for use in record.downstream if use.hash == record.subject]
    else:
        subject = f"run {record.subject}"
        above = Tree(Text(f"{subject} was made from", style="bold"))
        _grow(above, origins(record.subject), origins, record.subject)
        none = "no recorded input"
        first = uses.get(record.subject, [])
    below = Tree(Text(f"made from {subject}", style="bold"))
    _grow(below, outcomes(first), lambda run_id: outcomes(uses.get(run_id, [])), record.subject)
    for tree, words in ((above, none), (below, "nothing recorded")):
        if not tree.children:
            tree.add(Text(words, style="dim"))
        out.print(tree)


def _grow(
    tree: Tree,
    first: Iterable[tuple[str, str]],
    onward: Callable[[str], Iterable[tuple[str, str]]],
    start: str,
) -> None:
    """Hang branches (words, run) under a tree and what follows from their runs under them, each run once."""
    seen = {start}
    # Not by recursion: a chain of runs may be longer than Python's stack.
    open_branches = [(tree, iter(first))]
    while open_branches:
        branch, edges = open_branches[-1]
        edge = next(edges, None)
        if edge is None:
            open_branches.pop()
            continue
        words, run_id = edge
        more = list(onward(run_id))
        if run_id in seen and more:
            branch.add(Text(f"{words} (see above)"))
        else:
            seen.add(run_id)
            open_branches.append((branch.add(Text(words)), iter(more)))


def diff(out: Console, record: RunDiff) -> None:
    """Two runs side by side."""
    if record.config:
        config_differences(out, record.run_a, record.run_b, record.config)
    else:
        out.print("the configs are equal")
    if record.metrics:
        out.print()
        metric_differences(out, record.run_a, record.run_b, record.metrics)


def config_differences(out: Console, a: str, b: str, found: Sequence[ConfigDifference]) -> None:
    """Config keys that differ between two runs, and what set them."""
    columns = [("config", "left"), (a, "left"), (b, "left"), ("", "left"), ("set by", "left")]
    rows = []
    for d in found:
        shown_a = "" if d.change == "added" else value_text(d.a)
        shown_b = "" if d.change == "removed" else value_text(d.b)
        told = (s for s in (d.source_a, d.source_b) if s is not None and s.kind != "code")
        setters = list(dict.fromkeys(map(str, told)))
        change = Text(d.change, style=CHANGE_STYLES[d.change])
        rows.append([d.key, shown_a, shown_b, change, " → ".join(setters)])
    table(out, columns, rows)


def metric_differences(out: Console, a: str, b: str, found: Sequence[MetricDifference]) -> None:
    """The last values of the metrics of two runs."""
    columns = [("metric (last)", "left"), (a, "right"), (b, "right"), ("difference", "right")]
    rows = (
        [
            m.name,
            number(m.last_a),
            number(m.last_b),
            "–" if m.last_a is None or m.last_b is None else f"{m.last_b - m.last_a:+.5g}",
        ]
        for m in found
    )
    table(out, columns, rows)


def sql_result(out: Console, result: SqlResult) -> None:
    """Rows of a query; where the terminal has no room for the columns, a line for each value."""
    cells = [[cell(value) for value in row] for row in result.rows]
    if cells and _too_wide(out, result.columns, cells):
        _records(out, result.columns, cells)
    else:
        _rows(out, result, cells)
    if result.truncated:
        out.print(Text(f"… more than {len(result.rows):,} rows; --max-rows shows more", style="dim"))


def _too_wide(out: Console, columns: Sequence[str], cells: Sequence[Sequence[str]]) -> bool:
    """Whether a table of these columns has no room in the terminal, long words folded."""
    first, *rest = (max(map(len, map(safe, column))) for column in zip(columns, *cells, strict=True))
    return first + sum(min(width, LEAST_WRAPPED) + 3 for width in rest) > out.width


def _rows(out: Console, result: SqlResult, cells: Sequence[Sequence[str]]) -> None:
    numeric = [
        bool(result.rows) and all(isinstance(row[i], (int, float, type(None))) for row in result.rows)
        for i in range(len(result.columns))
    ]
    columns = [
        (name, "right" if right else "left") for name, right in zip(result.columns, numeric, strict=True)
    ]
    table(out, columns, cells)


def _records(out: Console, columns: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    for position, row in enumerate(cells):
        if position:
            out.print()
        grid = Table.grid(padding=(0, 2))
        grid.add_column(no_wrap=True)
        grid.add_column(overflow="fold")
        for name, text in zip(columns, row, strict=True):
            grid.add_row(Text(safe(name), style="dim"), Text(safe(text)))
        out.print(grid)


def cell(value: object) -> str:
    """One value of a query as text."""
    if value is None:
        return ""
    return f"<{len(value):,} bytes>" if isinstance(value, bytes) else str(value)


def views(out: Console, found: Sequence[UserView]) -> None:
    """The views that were added to the file."""
    if not found:
        out.print("no views were added")
        return
    columns = [("view", "left"), ("columns", "left")]
    table(out, columns, ([Text(safe(v.name), style="bold"), ", ".join(v.columns)] for v in found))


def info(out: Console, record: ArchiveInfo) -> None:
    """What a file holds."""
    grid = Table.grid(padding=(0, 2))
    by_status = ", ".join(f"{count:,} {status}" for status, count in record.runs.items())
    pairs = [
        ("file", record.path),
        (
            "size",
            f"{size(record.file_bytes)}, of it free {size(record.free_bytes)}, log {size(record.wal_bytes)}",
        ),
        ("format", f"{record.format} (exptrack {record.library}, SQLite {record.sqlite})"),
        ("runs", f"{sum(record.runs.values()):,}" + (f" ({by_status})" if by_status else "")),
        (
            "metric points",
            f"{record.rows.get('metric_point', 0):,} in {record.rows.get('metric_series', 0):,} series",
        ),
        ("artifacts", f"{size(record.artifact_bytes)} stored in {size(record.stored_bytes)}"),
    ]
    if record.first_run and record.last_run:
        pairs.append(("from – to", f"{record.first_run:%Y-%m-%d %H:%M} – {record.last_run:%Y-%m-%d %H:%M} UTC"))
    for key, value in pairs:
        grid.add_row(Text(key, style="dim"), Text(safe(value)))
    out.print(grid)
    heading(out, "Rows")
    table(out, [("table", "left"), ("rows", "right")], ([k, f"{v:,}"] for k, v in record.rows.items() if v))


def verified(out: Console, record: VerifyReport) -> None:
    """What verify looked at and found."""
    looked = (
        f"{record.runs:,} runs, {record.points:,} points, {record.blobs:,} blobs in {record.chunks:,} chunks"
    )
    if record.ok:
        out.print(Text(f"sound: {looked}", style="green"))
        return
    out.print(Text(f"{len(record.problems)} problems in {looked}", style="red"))
    columns = [("part", "left"), ("where", "left"), ("problem", "left")]
    table(out, columns, ([p.part, p.where, p.message] for p in record.problems))
