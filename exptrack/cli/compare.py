"""Commands that compare: runs side by side, a run with the run before it, groups, importance of config keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import click

from exptrack import Archive, ComparedMetric, MetricDifference, RunComparison
from exptrack.cli.complete import complete_key, complete_metric
from exptrack.cli.documents import check_form, format_option, print_rows
from exptrack.cli.main import (
    WholeRange,
    json_option,
    main,
    narrow,
    open_archive,
    run_argument,
    say_why_empty,
    where_option,
)
from exptrack.cli.output import print_json
from exptrack.cli.shown import MOST_COMPARED, choose_metrics, shorten_ids, system_option

statistic_option = click.option(
    "--by",
    "statistic",
    default="last",
    show_default=True,
    metavar="STATISTIC",
    help="Which value of a run counts: last, min, max, first, mean, …",
)


@main.command()
@run_argument("runs", nargs=-1)
@where_option
@click.option("--all", "all_keys", is_flag=True, help="Show equal config keys too.")
@system_option
@format_option
@json_option
@click.pass_obj
def compare(
    db: str | None,
    runs: Sequence[str],
    where: Sequence[str],
    all_keys: bool,
    system: bool,
    form: str | None,
    as_json: bool,
) -> None:
    """Show runs side by side: differing config keys, and metrics.

    Name the RUNS, or find them by --where (the newest 50).

    Example: exptrack compare 1k3f 1k3g 1k3h
    """
    check_form(form, as_json)
    if bool(runs) == bool(where):
        raise click.UsageError("name the runs, or give --where; not both")
    with open_archive(db) as archive:
        chosen: list[Any] = list(runs)
        if where:
            chosen = narrow(archive.runs(), where).limit(MOST_COMPARED).list()
        found = archive.compare(chosen, all_keys=all_keys) if chosen else RunComparison((), (), ())
        if as_json:
            print_json(found)
            return
        metrics = {metric.name: metric for metric in found.metrics}
        names = choose_metrics(archive, found.runs, metrics, system=system)
        if form is not None:
            _print_compared(form, found, [metrics[name] for name in names])
            return
        if not chosen:
            say_why_empty(narrow(archive.runs(), where))
            return
        from exptrack.terminal.comparison import print_comparison
        from exptrack.terminal.console import open_console

        out = open_console()
        ids = shorten_ids(out, archive, (run.run_id for run in found.runs))
    print_comparison(out, found, [metrics[name] for name in names], ids)


def _print_compared(form: str, found: RunComparison, metrics: Sequence[ComparedMetric]) -> None:
    """Print a row for each run: a table for a paper has few columns and many rows."""
    columns: dict[str, list[object]] = {
        "run": [run.run_id for run in found.runs],
        "name": [run.name for run in found.runs],
        "status": [run.status for run in found.runs],
    }
    columns |= {f"config.{key.key}": list(key.values) for key in found.config}
    columns |= {f"metrics.{one.name}": [s and s.last for s in one.summaries] for one in metrics}
    print_rows(form, list(columns), zip(*columns.values(), strict=True))


@main.command()
@run_argument("run_a")
@run_argument("run_b")
@system_option
@json_option
@click.pass_obj
def diff(db: str | None, run_a: str, run_b: str, system: bool, as_json: bool) -> None:
    """Show how two runs differ in config and metrics.

    Example: exptrack diff 1k3f 1k3g
    """
    with open_archive(db) as archive:
        found = archive.diff_runs(run_a, run_b)
        if as_json:
            print_json(found)
            return
        from exptrack.terminal.comparison import print_diff
        from exptrack.terminal.console import open_console

        out = open_console()
        metrics = _choose_differences(archive, (found.run_a, found.run_b), found.metrics, system)
        ids = shorten_ids(out, archive, (found.run_a, found.run_b))
    print_diff(out, found, metrics, ids)


def _choose_differences(
    archive: Archive, run_ids: Sequence[str], found: Sequence[MetricDifference], system: bool
) -> list[MetricDifference]:
    """Return the differences of metrics that are shown, the most telling metrics first."""
    by_name = {one.name: one for one in found}
    records = archive.runs().only(*run_ids).list()
    return [by_name[name] for name in choose_metrics(archive, records, by_name, system=system)]


@main.command()
@run_argument()
@system_option
@json_option
@click.pass_obj
def changes(db: str | None, run: str, system: bool, as_json: bool) -> None:
    """Show what changed in a run since the run before it.

    The run before it is the newest earlier run of the same script; if there is none, of the same name or group.

    Example: exptrack changes 1k3f
    """
    with open_archive(db) as archive:
        found = archive.what_changed(run)
        if as_json:
            print_json(found)
            return
        from exptrack.terminal.comparison import print_changes
        from exptrack.terminal.console import open_console

        if found is None:
            click.echo("there is no earlier run of the same script, name or group")
            return
        out = open_console()
        pair = (found.previous, found.run_id)
        metrics = _choose_differences(archive, pair, found.metrics, system)
        ids = shorten_ids(out, archive, pair)
    print_changes(out, found, metrics, ids)


@main.command()
@click.argument("metric", shell_complete=complete_metric)
@click.argument("keys", nargs=-1, required=True, shell_complete=complete_key)
@statistic_option
@where_option
@format_option
@json_option
@click.pass_obj
def groups(
    db: str | None,
    metric: str,
    keys: Sequence[str],
    statistic: str,
    where: Sequence[str],
    form: str | None,
    as_json: bool,
) -> None:
    """Group runs by config keys: mean and spread of a metric.

    Only completed runs count. Pruned trials are left out unless FILTER mentions trial.state or status = pruned.
    A column says how many of the runs of a group were left out; a group of such runs alone has no line.
    Group by all keys but the seed to see how much the seed matters.

    Example: exptrack groups val_accuracy model.kind optim.lr
    """
    check_form(form, as_json)
    with open_archive(db) as archive:
        found = archive.group_by(keys, metric, where=where, statistic=statistic)
        left_out = archive.count_left_out(metric, where=where, statistic=statistic)
        if not (found or as_json or form) and say_why_empty(narrow(archive.runs(), where)):
            return
    if as_json:
        print_json(found)
        return
    if form is not None:
        heads = [*keys, "runs", "mean", "std", "min", "max", "not_finite", "left_out"]
        rows = (
            [
                *map(one.config.get, keys),
                *(one.count, one.mean, one.std, one.min, one.max),
                *(one.nan_count + one.infinite_count, one.left_out.total),
            ]
            for one in found
        )
        print_rows(form, heads, rows)
        return
    from exptrack.terminal.comparison import print_groups, print_left_out
    from exptrack.terminal.console import open_console

    out = open_console()
    print_groups(out, keys, metric, found)
    print_left_out(out, replace(left_out, not_finite=0))


@main.command()
@click.argument("metric", shell_complete=complete_metric)
@click.option(
    "--method",
    type=click.Choice(["groups", "spearman", "forest"]),
    default="groups",
    show_default=True,
    help="groups see an optimum in between; spearman sees what rises or falls; forest needs scikit-learn.",
)
@click.option("--sample", type=WholeRange(3), metavar="N", help="Look at N of the runs at most.")
@statistic_option
@where_option
@json_option
@click.pass_obj
def importance(
    db: str | None,
    metric: str,
    method: str,
    sample: int | None,
    statistic: str,
    where: Sequence[str],
    as_json: bool,
) -> None:
    """Rank config keys by how much of a metric they explain.

    Only completed runs count. Pruned trials are left out unless FILTER mentions trial.state or status = pruned.

    Example: exptrack importance val_accuracy
    """
    with open_archive(db) as archive:
        found = archive.importance(metric, where=where, statistic=statistic, method=method, sample=sample)
        left_out = archive.count_left_out(metric, where=where, statistic=statistic)
        if not (found or as_json) and say_why_empty(narrow(archive.runs(), where)):
            return
    if as_json:
        print_json(found)
        return
    from exptrack.terminal.comparison import print_importances, print_left_out
    from exptrack.terminal.console import open_console

    out = open_console()
    print_importances(out, metric, found, method)
    print_left_out(out, left_out)
