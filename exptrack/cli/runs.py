"""Commands about runs: list, show, compare, rank, tag, annotate, delete."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from exptrack import RunStatus
from exptrack.cli.command import (
    ask,
    json_option,
    main,
    open_archive,
    print_json,
    run_argument,
    say,
    where_option,
    working,
)


@main.command()
@click.option("--status", type=click.Choice([*map(str, RunStatus), "pruned"]), help="Only runs of this status.")
@click.option("--tag", multiple=True, help="Only runs with this tag (repeatable: with all of them).")
@click.option("--group", help="Only runs of this group.")
@click.option("--after", metavar="WHEN", help="Only runs started at or after this ISO date or time (UTC).")
@click.option("--before", metavar="WHEN", help="Only runs started before it.")
@where_option
@click.option("--order", metavar="FIELD[,…]", help="By these fields; a minus sign before one: greatest first.")
@click.option("--columns", metavar="FIELD[,…]", help="Show these fields.")
@click.option(
    "-n", "--limit", type=click.IntRange(min=1), default=20, show_default=True, help="At most so many."
)
@json_option
@click.pass_obj
def ls(
    db: str | None,
    status: str | None,
    tag: Sequence[str],
    group: str | None,
    after: str | None,
    before: str | None,
    where: Sequence[str],
    order: str | None,
    columns: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """List runs, newest first.

    A FIELD is config.KEY, metrics.NAME (its last value, or metrics.NAME.max, .min, .mean, …), or name, status,
    tag, group, started, duration, commit, study, trial.number, trial.state and others. A FILTER compares
    fields: docs/filters.md tells how.

    A run that completed as a pruned trial is shown as pruned; --status finds it by either word.

    Example: exptrack ls --where "config.lr < 0.01 and not status = failed" --order -metrics.acc.max
    """
    with open_archive(db) as archive:
        query = archive.runs().started(after, before).tagged(*tag)
        if status is not None:
            query = query.with_status(status)
        if group is not None:
            query = query.in_group(group)
        for one in where:
            query = query.where(one)
        if order is not None:
            query = query.order_by(order)
        query = query.limit(limit)
        valued = [] if columns is None else list(query.values(columns))
        found = query.list() if columns is None else []
    if as_json:
        rows = [{"run_id": run.run_id, **values} for run, values in valued]
        print_json(list[Any], found if columns is None else rows)
        return
    from exptrack.terminal import console as render

    if columns is None:
        render.runs(render.console(), found)
    else:
        heads = list(valued[0][1]) if valued else []
        render.columns(render.console(), heads, [(run, list(values.values())) for run, values in valued])


@main.command()
@run_argument()
@json_option
@click.pass_obj
def show(db: str | None, run: str, as_json: bool) -> None:
    """Show everything about one run.

    Example: exptrack show 1k3
    """
    with open_archive(db) as archive:
        found = archive.show_run(run)
        if as_json:
            print_json(Any, found)
            return
        from exptrack.terminal import charts
        from exptrack.terminal import console as render

        courses = {
            metric.name: charts.sparkline(archive.series(run, metric.name, buckets=charts.SPARK_CHARS))
            for metric in found.metrics
        }
    render.detail(render.console(), found, courses)


@main.command()
@run_argument("run_a")
@run_argument("run_b")
@json_option
@click.pass_obj
def diff(db: str | None, run_a: str, run_b: str, as_json: bool) -> None:
    """Show what differs between two runs, in config and metrics.

    Example: exptrack diff 1k3f 1k3g
    """
    with open_archive(db) as archive:
        found = archive.diff_runs(run_a, run_b)
    if as_json:
        print_json(Any, found)
        return
    from exptrack.terminal import console as render

    render.diff(render.console(), found)


@main.command()
@click.argument("metric")
@click.option("--max", "direction", flag_value="maximize", help="The greatest value is best.")
@click.option("--min", "direction", flag_value="minimize", help="The least value is best.")
@click.option(
    "--by",
    type=click.Choice(["last", "min", "max"]),
    default="last",
    show_default=True,
    help="Which value of a run counts.",
)
@click.option(
    "-n", "--limit", type=click.IntRange(min=1), default=10, show_default=True, help="At most so many."
)
@where_option
@json_option
@click.pass_obj
def best(
    db: str | None,
    metric: str,
    direction: str | None,
    by: str,
    limit: int,
    where: Sequence[str],
    as_json: bool,
) -> None:
    """Rank the completed runs by a metric.

    NaN and the infinities never win; the older run wins a tie. Pruned trials are left out, unless a FILTER
    speaks of trial.state or of status = pruned.

    Example: exptrack best val_accuracy --max
    """
    if direction is None:
        raise click.UsageError("say --max or --min")
    with open_archive(db) as archive:
        found = archive.best_runs(metric, direction, by=by, limit=limit, where=where)
    if as_json:
        print_json(list[Any], [{"run": run, "value": value} for run, value in found])
        return
    from exptrack.terminal import console as render

    if not found:
        click.echo(f"no completed run has a finite {metric}")
        return
    render.ranking(render.console(), metric, found)


@main.command()
@run_argument()
@click.argument("tags", nargs=-1, required=True)
@click.option("--remove", is_flag=True, help="Take the tags away instead.")
@json_option
@click.pass_obj
def tag(db: str | None, run: str, tags: Sequence[str], remove: bool, as_json: bool) -> None:
    """Tag a run, or take tags away.

    Example: exptrack tag 1k3f baseline keep
    """
    with open_archive(db, writing=True) as archive:
        found = archive.get_run(run)
        change = found.remove_tag if remove else found.add_tag
        change(*tags)
        say(as_json, {"run_id": found.run_id, "tags": found.tags}, f"{found.run_id}: {', '.join(found.tags)}")


@main.command()
@run_argument()
@click.argument("text")
@json_option
@click.pass_obj
def note(db: str | None, run: str, text: str, as_json: bool) -> None:
    """Write a note on a run.

    Example: exptrack note 1k3f "diverged after the learning rate went up"
    """
    with open_archive(db, writing=True) as archive:
        found = archive.get_run(run)
        found.add_note(text)
        count = len(found.notes)
    say(as_json, {"run_id": found.run_id, "notes": count}, f"{found.run_id}: {count} note{'s' * (count != 1)}")


@main.command()
@run_argument("runs", nargs=-1, required=True)
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@json_option
@click.pass_obj
def rm(db: str | None, runs: Sequence[str], yes: bool, as_json: bool) -> None:
    """Delete runs with all they hold, and give the space back.

    Artifacts that other runs share stay. There is no way back.

    Example: exptrack rm 1k3f 1k3g
    """
    from exptrack.terminal import console as render

    with open_archive(db, writing=True) as archive:
        found = [archive.get_run(run).run_id for run in runs]
        ask(f"Delete {', '.join(found)}?", yes)
        with working("deleting"):
            report = archive.delete_run(*found)
    words = f"deleted {', '.join(report.runs)}; the file is {render.size(report.file_bytes)} smaller"
    if as_json:
        print_json(Any, report)
    else:
        click.echo(words)
