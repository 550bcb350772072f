"""The command ``history``: draw metrics of runs in the terminal or as a picture, or print their points."""

from __future__ import annotations

import difflib
import math
import os
from collections.abc import Mapping, Sequence

import click

from exptrack import (
    Archive,
    ExportError,
    InvalidValueError,
    MetricNotFoundError,
    MetricSummary,
    RunSummary,
    Series,
)
from exptrack.cli.complete import complete_metric, complete_words
from exptrack.cli.main import (
    FILE,
    FiniteRange,
    WholeNumber,
    complete_run,
    json_option,
    limit_option,
    main,
    narrow,
    open_archive,
    say_why_empty,
    where_option,
)
from exptrack.cli.output import print_csv, print_json
from exptrack.cli.shown import choose_metrics, read_ranking, shorten_ids, system_option
from exptrack.directions import guess_direction

BUCKETS_A_COLUMN = 2
BUCKETS_OF_PICTURE = 400
MAIN_METRICS = 4  # that are drawn if none is named
MOST_NAMED = 5  # of the metrics that are not drawn


@main.command()
@click.argument("words", nargs=-1, metavar="[RUN] [METRICS]...", shell_complete=complete_words(complete_metric))
@click.option(
    "--best",
    "ranking",
    metavar="METRIC",
    shell_complete=complete_metric,
    help="Draw the best runs by METRIC, METRIC:min or METRIC:max, instead of RUN.",
)
@where_option
@limit_option(5)
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
@click.option("--from", "start", type=WholeNumber(), metavar="STEP", help="Begin at this step.")
@click.option("--to", "stop", type=WholeNumber(), metavar="STEP", help="Stop before this step.")
@click.option(
    "--smooth",
    type=FiniteRange(min=0),
    default=0.0,
    metavar="LENGTH",
    help="Draw means over about LENGTH steps, or seconds with --by time.",
)
@click.option("--y", "span", metavar="MIN:MAX", help="Draw values from MIN to MAX only.")
@system_option
@click.option("-o", "--output", type=FILE, metavar="FILE", help="Write a picture: FILE.svg or FILE.png.")
@click.option("--overwrite", is_flag=True, help="Replace an existing FILE.")
@click.option("--csv", "as_csv", is_flag=True, help="Print every point as CSV.")
@json_option
@click.pass_obj
def history(
    db: str | None,
    words: Sequence[str],
    ranking: str | None,
    where: Sequence[str],
    limit: int,
    others: Sequence[str],
    log: bool,
    by: str,
    start: int | None,
    stop: int | None,
    smooth: float,
    span: str | None,
    system: bool,
    output: str | None,
    overwrite: bool,
    as_csv: bool,
    as_json: bool,
) -> None:
    """Draw metrics of runs, or print their points.

    RUN may be left out: --best METRIC draws the best runs, and --where FILTER the newest that match, each at
    most N (-n). Both draw the best that match.

    Without METRICS it draws the four that tell most: objectives of studies, validation and test, loss and
    accuracy. With --csv or --json it then prints all. The legend has the best value, if the name of the metric
    tells whether less or more is better.

    A smoothed line is a mean whose memory fades with the distance, as on the page. A PNG needs the extra plot.

    Example: exptrack history 1k3f loss val_loss --with 1k3g --log -o curves.svg

    Example: exptrack history --best val_loss -n 5 val_loss
    """
    if as_csv + as_json + (output is not None) > 1:
        raise click.UsageError("give only one of --csv, --json and -o")
    y = None if span is None else _read_span(span, log)
    if output is not None:
        _check_output(output, overwrite)
    if ranking is None and not where and not words:
        raise click.UsageError("name a RUN, or give --best METRIC or --where FILTER")
    with open_archive(db) as archive:
        if ranking is None and not where:
            chosen, metrics = [words[0]], words[1:]
        else:
            chosen, metrics = _choose_runs(archive, ranking, where, limit), words
        found = {one.summary.run_id: one for one in map(archive.show_run, (*chosen, *others))}
        if not found:
            if as_csv or as_json:
                _print_points([], as_csv)
            elif not say_why_empty(narrow(archive.runs(), where)):
                click.echo(f"no completed run has a finite {ranking}")
            return
        runs = [one.summary for one in found.values()]
        summaries = {run_id: {one.name: one for one in detail.metrics} for run_id, detail in found.items()}
        known = list(dict.fromkeys(name for of_run in summaries.values() for name in of_run))
        main_ones = choose_metrics(archive, runs, known, system=system)
        if not set(metrics) <= set(known):
            for run_id, of_run in summaries.items():
                of_run.update((one.name, one) for one in archive.list_rewound(run_id))
        _require_metrics(summaries, metrics)
        if as_csv or as_json:
            wanted = metrics or sorted(main_ones)
            series = [
                archive.series(run_id, metric, start=start, stop=stop)
                for metric in wanted
                for run_id in found
                if metrics or metric in summaries[run_id]
            ]
            _print_points(series, as_csv)
            return
        shown = list(metrics) or main_ones[:MAIN_METRICS]
        charts = _Charts(archive, runs, summaries, (start, stop))
        if output is not None:
            charts.write(shown, output, by=by, log=log, smooth=smooth, y=y, overwrite=overwrite)
        else:
            charts.draw(shown, by=by, log=log, smooth=smooth, y=y)
            _say_what_else(main_ones[MAIN_METRICS:] if not metrics else [], known=bool(known))


def _choose_runs(archive: Archive, ranking: str | None, where: Sequence[str], limit: int) -> list[str]:
    """Return the ids of the best runs, or of the newest, that match a filter."""
    if ranking is None:
        return [run.run_id for run in narrow(archive.runs(), where).limit(limit)]
    metric, direction = read_ranking(ranking)
    return [run.run_id for run, _value in archive.best_runs(metric, direction, limit=limit, where=where)]


def _read_span(text: str, log: bool) -> tuple[float, float]:
    """Read the range of an axis as the command line has it."""
    low, sign, high = text.partition(":")
    try:
        found = float(low), float(high)
    except ValueError:
        found = (math.nan, math.nan)
    if not sign or not all(map(math.isfinite, found)) or not found[0] < found[1]:
        raise click.UsageError(f"--y takes MIN:MAX, two numbers of which the first is less, not {text!r}")
    if log and found[0] <= 0:
        raise click.UsageError(f"a logarithmic scale begins above 0, not at {low}; give --y MIN:MAX so")
    return found


def _check_output(path: str, overwrite: bool) -> None:
    from exptrack.exporters.plot import FORMATS
    from exptrack.extras import require

    kind = os.path.splitext(path)[1].lower()
    if kind not in FORMATS:
        raise click.UsageError(f"a picture ends with {' or '.join(FORMATS)}, not with {kind or 'nothing'}")
    if kind == ".png":
        require("resvg_py", "a picture as PNG", "plot")
    if os.path.lexists(path) and not overwrite:
        raise ExportError(f"cannot write {path}: it exists; give --overwrite, or another name", path=path)


class _Charts:
    """Some runs whose metrics are drawn, in a range of steps."""

    def __init__(
        self,
        archive: Archive,
        runs: Sequence[RunSummary],
        summaries: Mapping[str, Mapping[str, MetricSummary]],
        steps: tuple[int | None, int | None],
    ) -> None:
        self._archive = archive
        self._runs = runs
        self._summaries = summaries
        self._start, self._stop = steps

    def draw(
        self, metrics: Sequence[str], *, by: str, log: bool, smooth: float, y: tuple[float, float] | None
    ) -> None:
        """Draw a chart for each metric in the terminal."""
        from exptrack.terminal.charts import Line, View, chart_width, draw_lines
        from exptrack.terminal.console import open_console, safe

        out = open_console()
        width = chart_width(out)
        ids = shorten_ids(out, self._archive, (run.run_id for run in self._runs))
        view = View(by, log, smooth, y)
        unit = "steps" if by == "step" else "s"
        for position, metric in enumerate(metrics):
            lines = [
                Line(
                    safe(label_run(run, ids)),
                    self._archive.series(
                        run.run_id,
                        metric,
                        start=self._start,
                        stop=self._stop,
                        buckets=width * BUCKETS_A_COLUMN,
                    ),
                    self._describe(run.run_id, metric),
                )
                for run in self._runs
            ]
            if position:
                out.print()
            title = safe(f"{metric}, smoothed over {smooth:g} {unit}" if smooth else metric)
            out.print(draw_lines(title, lines, width, view=view, colour=out.is_terminal))

    def _describe(self, run_id: str, metric: str) -> str:
        """Say what the best and the last value of a metric are; nothing about a part of the steps."""
        one = self._summaries[run_id].get(metric)
        if one is None or self._start is not None or self._stop is not None:
            return ""
        return describe_values(one)

    def write(
        self,
        metrics: Sequence[str],
        path: str,
        *,
        by: str,
        log: bool,
        smooth: float,
        y: tuple[float, float] | None,
        overwrite: bool,
    ) -> None:
        """Write a picture with a chart for each metric."""
        from exptrack.exporters.plot import Panel, convert_to_png, draw_plot
        from exptrack.markup.chart import View
        from exptrack.new_files import write_new_file
        from exptrack.terminal.console import format_count, format_size, open_console, safe

        if not metrics:
            raise InvalidValueError(f"run {self._runs[0].run_id} has no metrics, so {path} was not made")
        panels = [
            Panel(
                metric,
                [
                    self._archive.series(
                        run.run_id, metric, start=self._start, stop=self._stop, buckets=BUCKETS_OF_PICTURE
                    )
                    for run in self._runs
                ],
            )
            for metric in metrics
        ]
        labels = {run.run_id: run.name or run.run_id for run in self._runs}
        if len(set(labels.values())) < len(labels):
            labels = {run.run_id: label_run(run, {}) for run in self._runs}
        picture = draw_plot(panels, labels, View(by, smooth, log or None, y))
        if path.lower().endswith(".png"):
            picture = convert_to_png(picture)
        try:
            write_new_file(path, picture, overwrite=overwrite)
        except OSError as error:
            raise ExportError(
                f"cannot write {path}: {error.strerror}; choose another place", path=path
            ) from None
        told = f"{format_count(len(panels), 'chart')} of {format_count(len(self._runs), 'run')}"
        open_console().print(safe(f"{told} written to {path} ({format_size(len(picture))})"))


def label_run(run: RunSummary, ids: Mapping[str, str]) -> str:
    """Return the name of a run with its id, or the id alone; short, if `ids` has a short one."""
    short = ids.get(run.run_id, run.run_id)
    return f"{run.name} ({short})" if run.name else short


def describe_values(one: MetricSummary) -> str:
    """Say what the best value of a metric is, if its name tells what is better, and the last one."""
    from exptrack.terminal.console import format_metric

    last = f"last {format_metric(one.name, one.last)}"
    direction = guess_direction(one.name)
    best, step = (one.min, one.min_step) if direction == "minimize" else (one.max, one.max_step)
    if best is None or not math.isfinite(best):
        return last
    if direction is None:
        return f"{format_metric(one.name, one.min)} to {format_metric(one.name, one.max)}, {last}"
    return f"best {format_metric(one.name, best)} at step {step:,}, {last}"


def _say_what_else(names: Sequence[str], *, known: bool) -> None:
    from exptrack.terminal.console import format_count, safe

    if not known:
        click.echo("the run has no metrics")
    elif names:
        more = ", …" if len(names) > MOST_NAMED else ""
        listed = ", ".join(map(safe, names[:MOST_NAMED]))
        click.echo(f"\n{format_count(len(names), 'more metric')}, drawn if you name them: {listed}{more}")


def _require_metrics(summaries: Mapping[str, Mapping[str, MetricSummary]], metrics: Sequence[str]) -> None:
    """Raise MetricNotFoundError for a metric that none of these runs has logged."""
    known = {name for of_run in summaries.values() for name in of_run}
    for metric in metrics:
        if metric not in known:
            raise MetricNotFoundError(
                metric, f"run {', '.join(summaries)}", difflib.get_close_matches(metric, known)
            )


def _print_points(found: Sequence[Series], as_csv: bool) -> None:
    if not as_csv:
        print_json([{"run_id": one.run_id, "metric": one.name, **one.lists()} for one in found])
        return
    points = (
        (one.run_id, one.name, *point) for one in found for point in zip(*one.lists().values(), strict=True)
    )
    print_csv(["run_id", "metric", "step", "value", "time_s"], points)
