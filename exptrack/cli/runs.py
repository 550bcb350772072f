"""Commands for runs: list, show, rank, tag, annotate, name, set attributes."""

from __future__ import annotations

import json
import math
from collections.abc import Container, Sequence
from dataclasses import replace

import click

from exptrack import RunStatus
from exptrack.cli.main import (
    json_option,
    limit_option,
    main,
    open_archive,
    run_argument,
    where_option,
)
from exptrack.cli.output import print_json, print_json_or_text


@main.command()
@click.option(
    "--status", type=click.Choice([*map(str, RunStatus), "pruned"]), help="Only runs with this status."
)
@click.option("--tag", multiple=True, help="Only runs with this tag (repeatable: all must match).")
@click.option("--group", help="Only runs in this group.")
@click.option("--after", metavar="WHEN", help="Only runs started at or after this ISO date or time (UTC).")
@click.option("--before", metavar="WHEN", help="Only runs started before this ISO date or time (UTC).")
@where_option
@click.option("--order", metavar="FIELD[,…]", help="Sort by these fields; -FIELD puts the greatest first.")
@click.option("--columns", metavar="FIELD[,…]", help="Show these fields instead of the usual ones.")
@limit_option(20)
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

    FIELD is config.KEY, attr.KEY, or metrics.NAME: the last value; also metrics.NAME.max, .min, .mean, …. Or it
    is one of name, status, tag, group, started, duration, commit, study, trial.number, trial.state and others.
    FILTER compares fields; docs/filters.md explains the syntax.

    A completed run of a pruned trial is shown as pruned; both --status completed and --status pruned find it.

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
        print_json(found if columns is None else rows)
        return
    from exptrack.terminal.console import open_console
    from exptrack.terminal.runs import print_fields, print_runs

    if columns is None:
        print_runs(open_console(), found)
    else:
        heads = list(valued[0][1]) if valued else []
        print_fields(open_console(), heads, [(run, list(values.values())) for run, values in valued])


@main.command()
@run_argument()
@click.option("--rewound", is_flag=True, help="Show metrics that a rewinding of the run has hidden, too.")
@json_option
@click.pass_obj
def show(db: str | None, run: str, rewound: bool, as_json: bool) -> None:
    """Show everything about one run.

    A run that went on from an earlier step keeps what it had logged past that step; --rewound shows that too.

    Example: exptrack show 1k3
    """
    with open_archive(db) as archive:
        found = archive.show_run(run)
        if rewound:
            found = replace(found, metrics=(*found.metrics, *archive.list_rewound(run)))
        if as_json:
            print_json(found)
            return
        from exptrack.terminal.charts import SPARK_CHARS, draw_sparkline
        from exptrack.terminal.console import open_console
        from exptrack.terminal.runs import print_detail

        trends = {
            metric.name: draw_sparkline(archive.series(run, metric.name, buckets=SPARK_CHARS))
            for metric in found.metrics
        }
    print_detail(open_console(), found, trends)


@main.command()
@click.argument("metric")
@click.option("--max", "direction", flag_value="maximize", help="The greatest value is the best.")
@click.option("--min", "direction", flag_value="minimize", help="The least value is the best.")
@click.option(
    "--by",
    type=click.Choice(["last", "min", "max"]),
    default="last",
    show_default=True,
    help="Which value of a run to rank by.",
)
@limit_option(10)
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
    """Rank completed runs by a metric.

    NaN and the infinities are left out. Of equal runs, the one stored first wins. Pruned trials are left out
    unless FILTER mentions trial.state or status = pruned.

    Example: exptrack best val_accuracy --max
    """
    if direction is None:
        raise click.UsageError("give --max or --min")
    with open_archive(db) as archive:
        found = archive.best_runs(metric, direction, by=by, limit=limit, where=where)
    if as_json:
        print_json([{"run": run, "value": value} for run, value in found])
        return
    from exptrack.terminal.console import open_console
    from exptrack.terminal.runs import print_ranking

    if not found:
        click.echo(f"no completed run has a finite {metric}")
        return
    print_ranking(open_console(), metric, found)


@main.command()
@click.argument("field")
@click.option("--min", "least_first", is_flag=True, help="Put the least value first.")
@where_option
@limit_option(10)
@json_option
@click.pass_obj
def top(db: str | None, field: str, least_first: bool, where: Sequence[str], limit: int, as_json: bool) -> None:
    """Rank runs of every status by any field.

    The greatest value comes first. Runs without a value, or with NaN, are left out.

    FIELD is as in 'exptrack ls': metrics.acc.max, config.lr, duration, ended, …

    Example: exptrack top metrics.acc.max --where "tag = baseline and config.lr < 0.1"
    """
    with open_archive(db) as archive:
        query = archive.runs()
        for one in where:
            query = query.where(one)
        found = []
        for run, values in query.order_by(field if least_first else f"-{field}").limit(limit).values(field):
            value = next(iter(values.values()))
            # Runs without a value come last.
            if value in (None, ()) or (isinstance(value, float) and math.isnan(value)):
                break
            found.append((run, value))
    if as_json:
        print_json([{"run": run, "value": value} for run, value in found])
        return
    from exptrack.terminal.console import open_console
    from exptrack.terminal.runs import print_ranking

    if found:
        print_ranking(open_console(), field, found)
    else:
        click.echo(f"no run has a value of {field}")


@main.command()
@run_argument()
@click.argument("tags", nargs=-1, required=True)
@click.option("--remove", is_flag=True, help="Remove the tags instead.")
@json_option
@click.pass_obj
def tag(db: str | None, run: str, tags: Sequence[str], remove: bool, as_json: bool) -> None:
    """Add tags to a run, or remove them.

    Example: exptrack tag 1k3f baseline keep
    """
    with open_archive(db, writing=True) as archive:
        found = archive.get_run(run)
        change = found.remove_tag if remove else found.add_tag
        change(*tags)
        print_json_or_text(
            as_json, {"run_id": found.run_id, "tags": found.tags}, f"{found.run_id}: {', '.join(found.tags)}"
        )


@main.command()
@run_argument()
@click.argument("text")
@json_option
@click.pass_obj
def note(db: str | None, run: str, text: str, as_json: bool) -> None:
    """Add a note to a run.

    Example: exptrack note 1k3f "diverged after the learning rate went up"
    """
    with open_archive(db, writing=True) as archive:
        found = archive.get_run(run)
        found.add_note(text)
        count = len(found.notes)
    print_json_or_text(
        as_json, {"run_id": found.run_id, "notes": count}, f"{found.run_id}: {count} note{'s' * (count != 1)}"
    )


@main.command()
@run_argument()
@click.argument("name")
@json_option
@click.pass_obj
def rename(db: str | None, run: str, name: str, as_json: bool) -> None:
    """Give a run another name, also after its end.

    Example: exptrack rename 1k3f baseline-2
    """
    with open_archive(db, writing=True) as archive:
        found = archive.get_run(run)
        before = found.name
        found.rename(name)
        facts = {"run_id": found.run_id, "name": found.name, "before": before}
    print_json_or_text(as_json, facts, f"{facts['run_id']}: {facts['name']}")


@main.command("set")
@run_argument()
@click.argument("attributes", nargs=-1, required=True, metavar="KEY=VALUE…")
@click.option("--remove", is_flag=True, help="Delete the attributes instead; give their keys alone.")
@json_option
@click.pass_obj
def set_(db: str | None, run: str, attributes: Sequence[str], remove: bool, as_json: bool) -> None:
    """Set or delete attributes of a run, also after its end.

    VALUE is read like that of an override: 3 is an int, 0.5 a float, true a bool, [1, 2] a list, null is null.
    All else is text. KEY='""' sets an empty text. 'exptrack ls --columns attr.KEY' shows an attribute.

    Example: exptrack set 1k3f reviewed=true score=0.93
    """
    values = {} if remove else dict(map(read_assignment, attributes))
    with open_archive(db, writing=True) as archive:
        found = archive.get_run(run)
        if remove:
            _check_keys(attributes, found.attributes)
            for key in attributes:
                found.delete_attribute(key)
        else:
            found.set_attributes(values)
        held = found.attributes
    shown = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in held.items()]
    words = ", ".join(shown) or "no attributes"
    print_json_or_text(as_json, {"run_id": found.run_id, "attributes": held}, f"{found.run_id}: {words}")


def _check_keys(keys: Sequence[str], held: Container[str]) -> None:
    """Refuse KEY=VALUE where a key is deleted, unless there is a key that is written so."""
    for key in keys:
        if "=" in key and key not in held:
            raise click.UsageError(f"--remove takes keys alone; leave out the value of {key!r}")


def read_assignment(text: str) -> tuple[str, object]:
    """Return key and value of an attribute as the command line has it."""
    key, sign, value = text.partition("=")
    if not (key and sign and value):
        raise click.UsageError(
            f"{text!r} is not KEY=VALUE; to set an empty text give KEY='\"\"', to delete a key use --remove KEY"
        )
    from exptrack.sdn import parse_value

    return key, parse_value(value)
