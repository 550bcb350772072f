"""The command ``watch``: show how far running runs are, and their metrics while they grow."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from exptrack import Archive, RunStatus, RunSummary, Tail, Update
from exptrack.cli.complete import complete_metric
from exptrack.cli.main import (
    FiniteRange,
    WholeRange,
    json_option,
    main,
    open_archive,
    run_argument,
)
from exptrack.cli.metrics import BUCKETS_A_COLUMN, label_run
from exptrack.cli.output import print_json_line
from exptrack.cli.shown import list_objectives, shorten_ids, system_option
from exptrack.metric_order import is_system, rank_metric

if TYPE_CHECKING:
    from exptrack.terminal.watching import Progress

MOST_WATCHED = 50
MOST_LIVE_METRICS = 4
MOST_SECONDS = 86_400  # between two looks
PACE_S = 60.0  # the speed is that of the last minute of points
MOST_PACE_POINTS = 500
# The last parts of config keys that say when a run ends.
STEP_KEYS = frozenset(
    "steps max_steps total_steps num_steps n_steps train_steps num_train_steps max_train_steps iterations"
    " max_iters num_iterations total_iterations".split()
)
EPOCH_KEYS = frozenset("epochs max_epochs num_epochs n_epochs total_epochs num_train_epochs".split())


@main.command()
@run_argument("runs", nargs=-1)
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    shell_complete=complete_metric,
    help="Follow this metric (repeatable; default: the 4 that tell most).",
)
@click.option("--plot", is_flag=True, help="Draw charts of the metrics under the table.")
@click.option(
    "--every",
    type=FiniteRange(min=0.05, max=MOST_SECONDS),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="Seconds between two looks at the archive.",
)
@click.option("-n", "--looks", type=WholeRange(min=1), metavar="N", help="Look N times, then end.")
@system_option
@json_option
@click.pass_obj
def watch(
    db: str | None,
    runs: Sequence[str],
    metrics: Sequence[str],
    plot: bool,
    every: float,
    looks: int | None,
    system: bool,
    as_json: bool,
) -> None:
    """Watch runs while they log, until Ctrl-C.

    Without RUNS it watches all running runs. With RUNS it ends when all of them have ended. Into a pipe or with
    --json, it prints a line for each metric that has grown.

    A terminal shows the step and the speed of each run. What is left is shown if the config tells the end, as
    max_steps or epochs do: by the steps, or by the metric epoch if there is one.

    Example: exptrack watch --metric loss --plot
    """
    with open_archive(db) as archive:
        named = list(dict.fromkeys(archive.get_run(run).run_id for run in runs))
        watching = _Watching(archive, named, metrics)
        try:
            if as_json or not sys.stdout.isatty():
                _print_growth(watching, every, looks, as_json)
            else:
                _draw_growth(watching, every, looks, plot=plot, system=system)
        except KeyboardInterrupt:
            return


class _Watching:
    """The watched runs, and how far their metrics have been read."""

    def __init__(self, archive: Archive, named: Sequence[str], metrics: Sequence[str]) -> None:
        self.archive = archive
        self.metrics = metrics
        self.records: list[RunSummary] = []
        self._named = named
        self._tails: dict[str, Tail] = {run: archive.tail(run, metrics or None) for run in named}

    def look(self) -> list[Update]:
        """Look for runs, and return what is new in their metrics."""
        if not self._named:
            running = self.archive.runs().with_status(RunStatus.RUNNING).limit(MOST_WATCHED)
            for run in running:
                if run.run_id not in self._tails:
                    self._tails[run.run_id] = self.archive.tail(run, self.metrics or None)
        updates = [update for tail in self._tails.values() for update in tail.read()]
        marks = ", ".join("?" * len(self._tails))
        self.records = self.archive.runs().where(f"id in ({marks})", *self._tails).list() if marks else []
        return updates

    @property
    def is_idle(self) -> bool:
        """Whether none of the runs is running."""
        return all(run.status != RunStatus.RUNNING for run in self.records)

    @property
    def ended(self) -> bool:
        """True once all named runs have ended."""
        return bool(self._named) and self.is_idle


def _looks(watching: _Watching, every: float, looks: int | None) -> Iterator[list[Update]]:
    """Yield the news of each look until all runs have ended, or after `looks` looks."""
    done = 0
    while True:
        ended = watching.ended and done > 0
        yield watching.look()
        done += 1
        if ended or done == looks:
            return
        time.sleep(every)


def _print_growth(watching: _Watching, every: float, looks: int | None, as_json: bool) -> None:
    from exptrack.terminal.console import format_metric, safe

    for look, updates in enumerate(_looks(watching, every, looks)):
        if not look and not watching.records and not as_json:
            click.echo("no run is running")
        for update in updates:
            series = update.series
            points = series.lists()
            if as_json:
                facts = {"run_id": series.run_id, "metric": series.name, "replaces": update.replaces}
                print_json_line(facts | points)
            else:
                last = [points["step"][-1], format_metric(series.name, points["value"][-1])]
                click.echo("\t".join(map(safe, (series.run_id, series.name, *last))))
        sys.stdout.flush()


# In a terminal


class Pace:
    """How far a run is and how fast it goes on, from the points that it logs."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._end_steps = find_end(config, STEP_KEYS)
        self._end_epochs = find_end(config, EPOCH_KEYS)
        self._step: int | None = None
        self._epoch: tuple[float, float] | None = None  # seconds since the start, and epochs that are done
        self._points: list[tuple[float, int]] = []  # seconds since the start, and step

    def take(self, name: str, points: Mapping[str, Sequence[Any]]) -> None:
        """Take in new points of a metric. Those of the machine have steps of their own."""
        if is_system(name):
            return
        steps, times = points["step"], points["time_s"]
        self._step = max(max(steps), self._step if self._step is not None else min(steps))
        if name.rpartition("/")[2] == "epoch" and math.isfinite(points["value"][-1]):
            self._epoch = times[-1], points["value"][-1]
        new = list(zip(times[-MOST_PACE_POINTS:], steps[-MOST_PACE_POINTS:], strict=True))
        kept = sorted({*self._points, *new})[-MOST_PACE_POINTS:]
        self._points = [one for one in kept if one[0] >= kept[-1][0] - PACE_S] or kept
        if len({step for _time, step in self._points}) < 2:
            self._points = kept[-2:]

    def read(self) -> Progress:
        """Return how far the run is."""
        from exptrack.terminal.watching import Progress

        if self._step is None:
            return Progress()
        (began, first), (ended, last) = self._points[0], self._points[-1]
        speed = (last - first) / (ended - began) if ended > began and last > first else None
        end = self._end_steps
        if end is None and self._epoch is None:
            end = self._end_epochs  # of a run that logs once in each epoch
        if end is not None and self._step >= end:
            return Progress(self._step, None, speed)
        left = (end - 1 - self._step) / speed if end is not None and speed else None
        if end is None and self._end_epochs is not None and self._epoch is not None and self._epoch[1] > 0:
            seconds, done = self._epoch
            left = seconds / done * max(self._end_epochs - done, 0)
        return Progress(self._step, end, speed, left)


def find_end(config: Mapping[str, Any], keys: Iterable[str]) -> int | None:
    """Return the value of the only config key whose last part is one of these, if it is a number of steps."""
    found = set()
    stack: list[Mapping[str, Any]] = [config]
    while stack:
        for key, value in stack.pop().items():
            if isinstance(value, Mapping):
                stack.append(value)
            elif key.lower() in keys and type(value) in (int, float) and 0 < value < 1e15:
                found.add(int(value))
    return found.pop() if len(found) == 1 else None


def _draw_growth(watching: _Watching, every: float, looks: int | None, *, plot: bool, system: bool) -> None:
    from rich.console import Group, RenderableType
    from rich.live import Live
    from rich.text import Text

    from exptrack.terminal.charts import SPARK_CHARS, Line, View, draw_lines, draw_sparkline
    from exptrack.terminal.console import format_metric, open_console, safe
    from exptrack.terminal.watching import build_live_table

    out, archive = open_console(), watching.archive
    cells: dict[tuple[str, str], str] = {}
    paces: dict[str, Pace] = {}
    ids: Mapping[str, str] = {}
    with Live(console=out, auto_refresh=False, vertical_overflow="crop") as screen:
        for updates in _looks(watching, every, looks):
            for update in updates:
                run_id, name = update.series.run_id, update.series.name
                points = update.series.lists()
                if run_id not in paces:
                    paces[run_id] = Pace(archive.read_config(run_id).config)
                paces[run_id].take(name, points)
                trend = archive.series(run_id, name, buckets=SPARK_CHARS)
                cells[run_id, name] = f"{format_metric(name, points['value'][-1])} {draw_sparkline(trend)}"
            ranked = list(watching.metrics) or _rank_metrics(archive, watching.records, cells, system)
            names = ranked if watching.metrics else ranked[:MOST_LIVE_METRICS]
            if {run.run_id for run in watching.records} != set(ids):
                ids = shorten_ids(out, archive, (run.run_id for run in watching.records))
            parts: list[RenderableType] = []
            if watching.records:
                progress = {run_id: pace.read() for run_id, pace in paces.items()}
                unlisted = len(ranked) - len(names)
                shown = watching.records, progress, names, cells, ids
                parts.append(build_live_table(out, *shown, unlisted=unlisted))
            if watching.is_idle:
                more = " any more" if watching.records else "; this waits for one, until Ctrl-C"
                parts.append(Text(f"no run is running{more}", style="dim"))
            for name in names if plot else ():
                lines = [
                    Line(
                        safe(label_run(run, ids)),
                        archive.series(run, name, buckets=out.width * BUCKETS_A_COLUMN),
                    )
                    for run in watching.records
                    if (run.run_id, name) in cells
                ]
                if lines:
                    parts += [Text(), draw_lines(safe(name), lines, out.width, view=View(), colour=True)]
            screen.update(Group(*parts), refresh=True)


def _rank_metrics(
    archive: Archive, records: Sequence[RunSummary], cells: Iterable[tuple[str, str]], system: bool
) -> list[str]:
    """Return the metrics that were logged, the most telling ones first."""
    counted: dict[str, int] = {}
    for _run, name in cells:
        counted[name] = counted.get(name, 0) + 1
    wanted = list_objectives(archive, records)
    own = [name for name in counted if system or not is_system(name)]
    return sorted(own, key=lambda name: rank_metric(name, counted[name], wanted))
