"""Commands that ask further: rank by any field, draw metrics, watch them grow, add views for SQL."""

from __future__ import annotations

import difflib
import math
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

import click

from exptrack import Archive, MetricNotFoundError, RunStatus, RunSummary, Series, Tail, Update
from exptrack.cli.command import (
    complete_run,
    json_option,
    main,
    open_archive,
    print_csv,
    print_json,
    print_json_line,
    run_argument,
    say,
    where_option,
)

PLOT_ROWS = 12
PIPED_COLUMNS = 100
BUCKETS_A_COLUMN = 2
MOST_WATCHED = 50
MOST_LIVE_METRICS = 4
OF_THE_MACHINE = "system/"


@main.command()
@click.argument("field")
@click.option("--min", "least_first", is_flag=True, help="The least value comes first.")
@where_option
@click.option(
    "-n", "--limit", type=click.IntRange(min=1), default=10, show_default=True, help="At most so many."
)
@json_option
@click.pass_obj
def top(db: str | None, field: str, least_first: bool, where: Sequence[str], limit: int, as_json: bool) -> None:
    """Rank runs of every status by any field.

    The greatest value comes first; runs without a value, or with NaN, are left out.

    FIELD is as in 'ls': metrics.acc.max, config.lr, duration, ended, …

    Example: exptrack top metrics.acc.max --where "tag = baseline and config.lr < 0.1"
    """
    with open_archive(db) as archive:
        query = archive.runs()
        for one in where:
            query = query.where(one)
        found = []
        for run, values in query.order_by(field if least_first else f"-{field}").limit(limit).values(field):
            value = next(iter(values.values()))
            # What has no value comes last.
            if value in (None, ()) or (isinstance(value, float) and math.isnan(value)):
                break
            found.append((run, value))
    if as_json:
        print_json(list[Any], [{"run": run, "value": value} for run, value in found])
        return
    from exptrack.terminal import console as render

    if found:
        render.ranking(render.console(), field, found)
    else:
        click.echo(f"no such run has a value of {field}")


@main.command()
@run_argument()
@click.argument("metrics", nargs=-1, required=True)
@click.option(
    "--with", "others", metavar="RUN", multiple=True, shell_complete=complete_run, help="Another run beside it."
)
@click.option("--log", is_flag=True, help="A logarithmic scale.")
@click.option(
    "--by",
    type=click.Choice(["step", "time"]),
    default="step",
    show_default=True,
    help="What runs to the right.",
)
@click.option("--from", "start", type=int, metavar="STEP", help="From this step on.")
@click.option("--to", "stop", type=int, metavar="STEP", help="Up to this step, which is left out.")
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
        raise click.UsageError("say --csv or --json, not both")
    with open_archive(db) as archive:
        runs = list(dict.fromkeys(archive.get_run(one).run_id for one in (run, *others)))
        _require_metrics(archive, runs, metrics)
        if as_csv or as_json:
            found = [archive.series(one, metric, start=start, stop=stop) for metric in metrics for one in runs]
            _print_points(found, as_csv)
            return
        from exptrack.terminal import charts
        from exptrack.terminal import console as render

        out = render.console()
        width = out.width if out.is_terminal else PIPED_COLUMNS
        names = {one: archive.runs().where("id = ?", one).first() for one in runs}
        for position, metric in enumerate(metrics):
            lines = [
                charts.Line(
                    _label(names[one], one),
                    archive.series(one, metric, start=start, stop=stop, buckets=width * BUCKETS_A_COLUMN),
                )
                for one in runs
            ]
            if position:
                out.print()
            title = render.safe(metric)
            drawn = charts.chart(title, lines, width, PLOT_ROWS, log=log, by=by, colour=out.is_terminal)
            out.print(drawn)


def _label(record: RunSummary | None, run_id: str) -> str:
    from exptrack.terminal import console as render

    return render.safe(f"{run_id} {record.name}" if record is not None and record.name else run_id)


def _require_metrics(archive: Archive, runs: Sequence[str], metrics: Sequence[str]) -> None:
    """Refuse a metric that none of these runs has logged."""
    known = {metric.name for run in runs for metric in archive.show_run(run).metrics}
    for metric in metrics:
        if metric not in known:
            raise MetricNotFoundError(
                metric, f"run {', '.join(runs)}", difflib.get_close_matches(metric, known)
            )


def _print_points(found: Sequence[Series], as_csv: bool) -> None:
    if not as_csv:
        print_json(list[Any], [{"run_id": one.run_id, "metric": one.name, **one.lists()} for one in found])
        return
    points = (
        (one.run_id, one.name, *point) for one in found for point in zip(*one.lists().values(), strict=True)
    )
    print_csv(["run_id", "metric", "step", "value", "time_s"], points)


@main.command()
@run_argument("runs", nargs=-1)
@click.option("--metric", "metrics", multiple=True, help="Follow this metric (repeatable; default: a few).")
@click.option("--plot", is_flag=True, help="Draw the followed metrics under the table.")
@click.option(
    "--every",
    type=click.FloatRange(min=0.05),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="How often to look.",
)
@click.option("-n", "--looks", type=click.IntRange(min=1), help="Look so many times, then end.")
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
    """Watch runs while they log: those named, or all that are running. Ctrl-C ends it.

    With names it ends by itself when all of them have ended. Into a pipe, and with --json, it prints a line
    for each series that has grown.

    Example: exptrack watch --metric loss --plot
    """
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
    """The runs that are watched and what of their metrics was seen."""

    def __init__(self, archive: Archive, named: Sequence[str], metrics: Sequence[str]) -> None:
        self.archive = archive
        self.metrics = metrics
        self.records: list[RunSummary] = []
        self._named = named
        self._tails: dict[str, Tail] = {run: archive.tail(run, metrics or None) for run in named}

    def look(self) -> list[Update]:
        """Find out which runs there are and what is new in them."""
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
        """Whether nothing more can come of the runs that were named."""
        return bool(self._named) and all(run.status != RunStatus.RUNNING for run in self.records)


def _looks(watching: _Watching, every: float, looks: int | None) -> Iterator[list[Update]]:
    """What each look brings, until all has ended."""
    done = 0
    while True:
        ended = watching.ended and done > 0
        yield watching.look()
        done += 1
        if ended or done == looks:
            return
        time.sleep(every)


def _print_growth(watching: _Watching, every: float, looks: int | None, as_json: bool) -> None:
    from exptrack.terminal import console as render

    for updates in _looks(watching, every, looks):
        for update in updates:
            series = update.series
            points = series.lists()
            if as_json:
                facts = {"run_id": series.run_id, "metric": series.name, "replaces": update.replaces}
                print_json_line(facts | points)
            else:
                last = [points["step"][-1], render.number(points["value"][-1])]
                click.echo("\t".join(map(render.safe, (series.run_id, series.name, *last))))
        sys.stdout.flush()


def _draw_growth(watching: _Watching, every: float, looks: int | None, plot: bool) -> None:
    from rich.console import Group, RenderableType
    from rich.live import Live
    from rich.text import Text

    from exptrack.terminal import charts
    from exptrack.terminal import console as render

    out = render.console()
    cells: dict[tuple[str, str], str] = {}
    with Live(console=out, auto_refresh=False, vertical_overflow="crop") as screen:
        for updates in _looks(watching, every, looks):
            for update in updates:
                key = (update.series.run_id, update.series.name)
                course = watching.archive.series(*key, buckets=charts.SPARK_CHARS)
                last = update.series.lists()["value"][-1]
                cells[key] = f"{render.number(last)} {charts.sparkline(course)}"
            names = list(watching.metrics) or _shared(cells)
            parts: list[RenderableType] = [render.live(watching.records, names, cells)]
            if not watching.records:
                parts = [Text("no run is running", style="dim")]
            for name in names if plot else ():
                lines = [
                    charts.Line(
                        _label(run, run.run_id),
                        watching.archive.series(run, name, buckets=out.width * BUCKETS_A_COLUMN),
                    )
                    for run in watching.records
                    if (run.run_id, name) in cells
                ]
                if lines:
                    drawn = charts.chart(
                        render.safe(name), lines, out.width, PLOT_ROWS, log=False, by="step", colour=True
                    )
                    parts += [Text(), drawn]
            screen.update(Group(*parts), refresh=True)


def _shared(cells: dict[tuple[str, str], str]) -> list[str]:
    """The metrics that most runs have logged; those of the machine only where there are no others."""
    counted: dict[str, int] = {}
    for _run, name in cells:
        counted[name] = counted.get(name, 0) + 1
    ranked = sorted(counted, key=lambda name: (name.startswith(OF_THE_MACHINE), -counted[name], name))
    return ranked[:MOST_LIVE_METRICS]


@main.command()
@click.argument("name", required=False)
@click.argument("fields", nargs=-1, metavar="FIELD…")
@click.option("--list", "listing", is_flag=True, help="List the views that were added.")
@click.option("--drop", metavar="NAME", help="Remove the view NAME.")
@json_option
@click.pass_obj
def view(
    db: str | None, name: str | None, fields: Sequence[str], listing: bool, drop: str | None, as_json: bool
) -> None:
    """Add a view for SQL: a row for each run, a column for each FIELD.

    FIELD is as in 'ls'. Every SQLite client then reads the view NAME: the sqlite3 shell, Datasette, pandas.

    Example: exptrack view sweep config.lr config.seed metrics.acc.max
    """
    ways = [name is not None, listing, drop is not None]
    if sum(ways) != 1:
        raise click.UsageError("name a view with its fields, or say --list, or --drop NAME")
    if listing:
        with open_archive(db) as archive:
            found = archive.list_views()
        if as_json:
            print_json(list[Any], found)
            return
        from exptrack.terminal import console as render

        render.views(render.console(), found)
    elif drop is not None:
        with open_archive(db, writing=True) as archive:
            archive.drop_view(drop)
        say(as_json, {"dropped": drop}, f"dropped {drop}")
    else:
        if not fields:
            raise click.UsageError("name the fields that the view shall have")
        with open_archive(db, writing=True) as archive:
            made = archive.create_view(str(name), fields)
        facts = {"name": made.name, "columns": list(made.columns)}
        say(as_json, facts, f"view {made.name}: {', '.join(made.columns)}")
