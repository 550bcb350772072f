"""Commands for metrics: draw them, print their points, watch them grow."""

from __future__ import annotations

import difflib
import math
import sys
import time
from collections.abc import Iterator, Sequence

import click

from exptrack import Archive, MetricNotFoundError, RunStatus, RunSummary, Series, Tail, Update
from exptrack.cli.main import complete_run, json_option, main, open_archive, run_argument
from exptrack.cli.output import print_csv, print_json, print_json_line

BUCKETS_A_COLUMN = 2
MOST_WATCHED = 50
MOST_LIVE_METRICS = 4
MOST_SECONDS = 86_400  # between two looks
OF_THE_MACHINE = "system/"


@main.command()
@run_argument()
@click.argument("metrics", nargs=-1, required=True)
@click.option(
    "--with",
    "others",
    metavar="RUN",
    multiple=True,
    shell_complete=complete_run,
    help="Draw this run too (repeatable).",
)
@click.option("--log", is_flag=True, help="Use a logarithmic scale.")
@click.option(
    "--by",
    type=click.Choice(["step", "time"]),
    default="step",
    show_default=True,
    help="The horizontal axis: steps, or seconds since the start.",
)
@click.option("--from", "start", type=int, metavar="STEP", help="Begin at this step.")
@click.option("--to", "stop", type=int, metavar="STEP", help="Stop before this step.")
@click.option("--csv", "as_csv", is_flag=True, help="Print every point as CSV.")
@json_option
@click.pass_obj
def history(
    db: str | None,
    run: str,
    metrics: Sequence[str],
    others: Sequence[str],
    log: bool,
    by: str,
    start: int | None,
    stop: int | None,
    as_csv: bool,
    as_json: bool,
) -> None:
    """Draw metrics of runs, or print their points.

    Example: exptrack history 1k3f loss val_loss --with 1k3g --log
    """
    if as_csv and as_json:
        raise click.UsageError("give --csv or --json, not both")
    with open_archive(db) as archive:
        runs = list(dict.fromkeys(archive.get_run(one).run_id for one in (run, *others)))
        _require_metrics(archive, runs, metrics)
        if as_csv or as_json:
            found = [archive.series(one, metric, start=start, stop=stop) for metric in metrics for one in runs]
            _print_points(found, as_csv)
            return
        from exptrack.terminal.charts import Line, chart_width, draw_lines
        from exptrack.terminal.console import open_console, safe

        out = open_console()
        width = chart_width(out)
        names = {one: archive.runs().where("id = ?", one).first() for one in runs}
        for position, metric in enumerate(metrics):
            lines = [
                Line(
                    _label(names[one], one),
                    archive.series(one, metric, start=start, stop=stop, buckets=width * BUCKETS_A_COLUMN),
                )
                for one in runs
            ]
            if position:
                out.print()
            title = safe(metric)
            drawn = draw_lines(title, lines, width, log=log, by=by, colour=out.is_terminal)
            out.print(drawn)


def _label(record: RunSummary | None, run_id: str) -> str:
    from exptrack.terminal.console import safe

    return safe(f"{run_id} {record.name}" if record is not None and record.name else run_id)


def _require_metrics(archive: Archive, runs: Sequence[str], metrics: Sequence[str]) -> None:
    """Raise MetricNotFoundError for a metric that none of these runs has logged."""
    known = {metric.name for run in runs for metric in archive.show_run(run).metrics}
    for metric in metrics:
        if metric not in known:
            raise MetricNotFoundError(
                metric, f"run {', '.join(runs)}", difflib.get_close_matches(metric, known)
            )


def _print_points(found: Sequence[Series], as_csv: bool) -> None:
    if not as_csv:
        print_json([{"run_id": one.run_id, "metric": one.name, **one.lists()} for one in found])
        return
    points = (
        (one.run_id, one.name, *point) for one in found for point in zip(*one.lists().values(), strict=True)
    )
    print_csv(["run_id", "metric", "step", "value", "time_s"], points)


@main.command()
@run_argument("runs", nargs=-1)
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    help="Follow this metric (repeatable; default: the 4 that most runs share).",
)
@click.option("--plot", is_flag=True, help="Draw charts of the metrics under the table.")
@click.option(
    "--every",
    type=click.FloatRange(min=0.05, max=MOST_SECONDS),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="Seconds between two looks at the archive.",
)
@click.option("-n", "--looks", type=click.IntRange(min=1), metavar="N", help="Look N times, then end.")
@json_option
@click.pass_obj
def watch(
    db: str | None,
    runs: Sequence[str],
    metrics: Sequence[str],
    plot: bool,
    every: float,
    looks: int | None,
    as_json: bool,
) -> None:
    """Watch runs while they log, until Ctrl-C.

    Without RUNS it watches all running runs. With RUNS it ends when all of them have ended. Into a pipe or with
    --json, it prints a line for each metric that has grown.

    Example: exptrack watch --metric loss --plot
    """
    if math.isnan(every):  # no range leaves it out
        raise click.UsageError("--every needs a number of seconds, not nan")
    with open_archive(db) as archive:
        named = list(dict.fromkeys(archive.get_run(run).run_id for run in runs))
        watching = _Watching(archive, named, metrics)
        try:
            if as_json or not sys.stdout.isatty():
                _print_growth(watching, every, looks, as_json)
            else:
                _draw_growth(watching, every, looks, plot)
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
    def ended(self) -> bool:
        """True once all named runs have ended."""
        return bool(self._named) and all(run.status != RunStatus.RUNNING for run in self.records)


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
    from exptrack.terminal.console import format_number, safe

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
                last = [points["step"][-1], format_number(points["value"][-1])]
                click.echo("\t".join(map(safe, (series.run_id, series.name, *last))))
        sys.stdout.flush()


def _draw_growth(watching: _Watching, every: float, looks: int | None, plot: bool) -> None:
    from rich.console import Group, RenderableType
    from rich.live import Live
    from rich.text import Text

    from exptrack.terminal.charts import SPARK_CHARS, Line, draw_lines, draw_sparkline
    from exptrack.terminal.console import format_number, open_console, safe
    from exptrack.terminal.runs import build_live_table

    out = open_console()
    cells: dict[tuple[str, str], str] = {}
    with Live(console=out, auto_refresh=False, vertical_overflow="crop") as screen:
        for updates in _looks(watching, every, looks):
            for update in updates:
                key = (update.series.run_id, update.series.name)
                trend = watching.archive.series(*key, buckets=SPARK_CHARS)
                last = update.series.lists()["value"][-1]
                cells[key] = f"{format_number(last)} {draw_sparkline(trend)}"
            names = list(watching.metrics) or _most_shared(cells)
            parts: list[RenderableType] = [build_live_table(watching.records, names, cells)]
            if not watching.records:
                parts = [Text("no run is running", style="dim")]
            for name in names if plot else ():
                lines = [
                    Line(
                        _label(run, run.run_id),
                        watching.archive.series(run, name, buckets=out.width * BUCKETS_A_COLUMN),
                    )
                    for run in watching.records
                    if (run.run_id, name) in cells
                ]
                if lines:
                    drawn = draw_lines(safe(name), lines, out.width, log=False, by="step", colour=True)
                    parts += [Text(), drawn]
            screen.update(Group(*parts), refresh=True)


def _most_shared(cells: dict[tuple[str, str], str]) -> list[str]:
    """Return the metrics that most runs have logged, those of the machine last."""
    counted: dict[str, int] = {}
    for _run, name in cells:
        counted[name] = counted.get(name, 0) + 1
    ranked = sorted(counted, key=lambda name: (name.startswith(OF_THE_MACHINE), -counted[name], name))
    return ranked[:MOST_LIVE_METRICS]
