"""Commands for runs: list, show, rank, tag, annotate, name, set attributes."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from exptrack import Archive, FilterError, RunStatus, RunSummary
from exptrack.cli.complete import (
    complete_attribute,
    complete_field,
    complete_fields,
    complete_group,
    complete_metric,
    complete_order,
    complete_tag,
    complete_words,
)
from exptrack.cli.documents import check_form, format_option, print_rows
from exptrack.cli.main import (
    json_option,
    limit_option,
    main,
    named_option,
    narrow,
    open_archive,
    run_argument,
    say_why_empty,
    where_option,
    yes_option,
)
from exptrack.cli.many import Choice, change_runs, split_words
from exptrack.cli.output import print_json, print_json_or_text
from exptrack.cli.shown import choose_metrics, list_differing, shorten_ids, system_option
from exptrack.directions import guess_direction

if TYPE_CHECKING:
    from exptrack import RunQuery


@main.command()
@click.option(
    "--status", type=click.Choice([*map(str, RunStatus), "pruned"]), help="Only runs with this status."
)
@click.option(
    "--tag",
    multiple=True,
    shell_complete=complete_tag,
    help="Only runs with this tag (repeatable: all must match).",
)
@click.option("--group", shell_complete=complete_group, help="Only runs in this group.")
@click.option("--after", metavar="WHEN", help="Only runs started at or after this ISO date or time (UTC).")
@click.option("--before", metavar="WHEN", help="Only runs started before this ISO date or time (UTC).")
@where_option
@click.option(
    "--order",
    metavar="FIELD[,…]",
    shell_complete=complete_order,
    help="Sort by these fields; -FIELD puts the greatest first.",
)
@click.option(
    "--columns",
    metavar="FIELD[,…]",
    shell_complete=complete_fields,
    help="Show these fields instead of the usual ones.",
)
@click.option(
    "-q", "--quiet", is_flag=True, help="Print ids only, one a line: of all runs, unless -n is given."
)
@system_option
@limit_option(20)
@format_option
@json_option
@click.pass_context
def ls(
    ctx: click.Context,
    status: str | None,
    tag: Sequence[str],
    group: str | None,
    after: str | None,
    before: str | None,
    where: Sequence[str],
    order: str | None,
    columns: str | None,
    quiet: bool,
    system: bool,
    limit: int,
    form: str | None,
    as_json: bool,
) -> None:
    """List runs, newest first.

    The columns are what the runs are ordered by, the objectives of their studies, metrics of validation and
    test data, then loss, accuracy and others. A short id may be given wherever a run is asked for.

    FIELD is config.KEY, attr.KEY, or metrics.NAME: the last value; also metrics.NAME.max, .min, .mean, …. Or it
    is one of name, status, tag, group, started, duration, commit, study, trial.number, trial.state and others.
    FILTER compares fields; docs/filters.md explains the syntax.

    A completed run of a pruned trial is shown as pruned; both --status completed and --status pruned find it.

    Example: exptrack ls --where "config.lr < 0.01 and not status = failed" --order -metrics.acc.max
    """
    check_form(form, as_json)
    if quiet and (as_json or form is not None or columns is not None):
        raise click.UsageError("-q prints ids only; leave out --json, --format and --columns")
    with open_archive(ctx.obj) as archive:
        query = archive.runs().started(after, before).tagged(*tag)
        if status is not None:
            query = query.with_status(status)
        if group is not None:
            query = query.in_group(group)
        query = narrow(query, where)
        if order is not None:
            query = query.order_by(order)
        if quiet:
            if ctx.get_parameter_source("limit") is not ParameterSource.DEFAULT:
                query = query.limit(limit)
            for row in query.to_dicts(["run_id"]):
                click.echo(row["run_id"])
            return
        query = query.limit(limit)
        fields = _list_order(order) if columns is None else columns
        if as_json:
            _print_listed(query, columns)
            return
        if form is not None:
            _print_listed_rows(form, archive, query, columns, fields, system=system)
            return
        from exptrack.terminal.console import open_console
        from exptrack.terminal.runs import print_fields, print_runs

        out = open_console()
        valued: list[tuple[RunSummary, dict[str, Any]]]
        valued = [(run, {}) for run in query] if columns is None and not fields else list(query.values(fields))
        found = [run for run, _values in valued]
        if not found and say_why_empty(query):
            return
        ids = shorten_ids(out, archive, (run.run_id for run in found))
        heads = list(valued[0][1]) if valued else []
        if columns is not None:
            print_fields(out, heads, [(run, list(values.values())) for run, values in valued], ids)
            return
        names = choose_metrics(archive, found, system=system)
        ordered = {head: [values[head] for _run, values in valued] for head in heads}
        nans = archive.nan_steps(query) if found else {}  # by the query: a run may have been deleted meanwhile
        print_runs(out, found, nans, metrics=names, ordered=ordered, ids=ids)


def _print_listed(query: RunQuery, columns: str | None) -> None:
    if columns is None:
        print_json(query.list())
    else:
        print_json([{"run_id": run.run_id, **values} for run, values in query.values(columns)])


def _print_listed_rows(
    form: str, archive: Archive, query: RunQuery, columns: str | None, fields: str, *, system: bool
) -> None:
    if columns is not None:
        valued = list(query.values(columns))
        heads = list(valued[0][1]) if valued else _split_fields(columns)
        print_rows(form, ["run", *heads], ([run.run_id, *values.values()] for run, values in valued))
        return
    found = list(query)
    table: dict[str, list[object]] = {
        "run": [run.run_id for run in found],
        "status": ["pruned" if run.is_pruned else run.status for run in found],
        "name": [run.name for run in found],
        "started": [run.started_at for run in found],
        "duration_s": [run.duration_s for run in found],
    }
    table |= {f"config.{key}": values for key, values in list_differing(archive, found).items()}
    for name in choose_metrics(archive, found, system=system):
        table[f"metrics.{name}"] = [run.metrics.get(name) for run in found]
    table["tags"] = [run.tags for run in found]
    print_rows(form, list(table), zip(*table.values(), strict=True))


def _list_order(order: str | None) -> str:
    """Return the fields of an order as columns: without the signs before them."""
    return ",".join(field.removeprefix("-") for field in _split_fields(order or ""))


def _split_fields(text: str) -> list[str]:
    """Split fields at commas outside of quotes."""
    return [part.strip() for part in re.findall(r'(?:"(?:[^"\\]|\\.)*"|[^,"])+', text)]


@main.command()
@run_argument()
@click.option("--rewound", is_flag=True, help="Show metrics that a rewinding of the run has hidden, too.")
@system_option
@json_option
@click.pass_obj
def show(db: str | None, run: str, rewound: bool, system: bool, as_json: bool) -> None:
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

        by_name = {metric.name: metric for metric in found.metrics}
        names = choose_metrics(archive, [found.summary], by_name, system=system)
        trends = {name: draw_sparkline(archive.series(run, name, buckets=SPARK_CHARS)) for name in names}
    print_detail(open_console(), found, trends, [by_name[name] for name in names])


@main.command()
@click.argument("metric", shell_complete=complete_metric)
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
@format_option
@json_option
@click.pass_obj
def best(
    db: str | None,
    metric: str,
    direction: str | None,
    by: str,
    limit: int,
    where: Sequence[str],
    form: str | None,
    as_json: bool,
) -> None:
    """Rank completed runs by a metric.

    The table shows the config keys in which they differ, too.

    Without --max and --min, the name of the metric tells whether less or more is better: less of a loss, more
    of an accuracy.

    METRIC is a name, or a field as in filters: loss, metrics.loss, metrics.loss.min. NaN and the infinities are
    left out. Of equal runs, the one stored first wins. Pruned trials are left out unless FILTER mentions
    trial.state or status = pruned. The last line says how many runs were left out.

    Example: exptrack best val_accuracy --max
    """
    check_form(form, as_json)
    told = direction is not None
    if direction is None:
        direction = _guess_direction(metric)
    with open_archive(db) as archive:
        found = archive.best_runs(metric, direction, by=by, limit=limit, where=where)
        left_out = archive.count_left_out(metric, where=where, statistic=by)
        if as_json:
            print_json([{"run": run, "value": value} for run, value in found])
            return
        differing = list_differing(archive, [run for run, _value in found])
        if form is not None:
            _print_ranked_rows(form, metric, found, differing)
            return
        from exptrack.terminal.comparison import print_left_out
        from exptrack.terminal.console import open_console
        from exptrack.terminal.runs import print_ranking

        if not found and say_why_empty(narrow(archive.runs(), where)):
            return
        out = open_console()
        ids = shorten_ids(out, archive, (run.run_id for run, _value in found))
    if found:
        print_ranking(out, metric, found, differing, ids)
    else:
        out.print(f"no completed run has a finite {metric}")
    print_left_out(out, left_out)
    if not told:
        end = "least" if direction == "minimize" else "greatest"
        out.print(f"the {end} value counts as the best, by the name of the metric")


def _guess_direction(metric: str) -> str:
    """Return the direction that the name of a metric tells."""
    direction = guess_direction(metric)
    if direction is None:
        raise click.UsageError(
            f"the name {metric!r} does not tell whether less or more is better; give --max or --min"
        )
    return direction


@main.command()
@click.argument("field", shell_complete=complete_field)
@click.option("--min", "least_first", is_flag=True, help="Put the least value first.")
@where_option
@limit_option(10)
@format_option
@json_option
@click.pass_obj
def top(
    db: str | None,
    field: str,
    least_first: bool,
    where: Sequence[str],
    limit: int,
    form: str | None,
    as_json: bool,
) -> None:
    """Rank runs of every status by any field.

    The table shows the config keys in which they differ, too.

    The greatest value comes first. Runs without a value, or with NaN, are left out.

    FIELD is as in 'exptrack ls': metrics.acc.max, config.lr, duration, ended, …. A metric may stand alone:
    acc.max.

    Example: exptrack top metrics.acc.max --where "tag = baseline and config.lr < 0.1"
    """
    check_form(form, as_json)
    with open_archive(db) as archive:
        query = narrow(archive.runs(), where)
        field = _name_field(archive, field)
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
        differing = list_differing(archive, [run for run, _value in found])
        differing.pop(field.removeprefix("config."), None)  # it has a column already
        if form is not None:
            _print_ranked_rows(form, field, found, differing)
            return
        from exptrack.terminal.console import open_console
        from exptrack.terminal.runs import print_ranking

        out = open_console()
        ids = shorten_ids(out, archive, (run.run_id for run, _value in found))
        if not found and say_why_empty(query):
            return
    if found:
        print_ranking(out, field, found, differing, ids)
    else:
        click.echo(f"no run has a value of {field}")


def _print_ranked_rows(
    form: str,
    field: str,
    found: Sequence[tuple[RunSummary, object]],
    differing: Mapping[str, Sequence[object]],
) -> None:
    heads = ["run", "name", field, *(f"config.{key}" for key in differing)]
    configs = zip(*differing.values(), strict=True) if differing else ((),) * len(found)
    ranked = zip(found, configs, strict=True)
    print_rows(form, heads, ([run.run_id, run.name, value, *config] for (run, value), config in ranked))


def _name_field(archive: Archive, text: str) -> str:
    """Return a field as filters write it: text that names none may be a metric."""
    try:
        archive.runs().order_by(text)
    except FilterError:
        wanted = f"metrics.{text}"
        offered = [one.text for one in archive.complete_field(wanted).completions]
        as_metric = next((one for one in offered if one.replace('"', "") == wanted), None)
        if as_metric is None:
            raise
        return as_metric
    return text


@main.command()
@click.argument(
    "words", nargs=-1, required=True, metavar="[RUN] TAG...", shell_complete=complete_words(complete_tag)
)
@click.option("--remove", is_flag=True, help="Remove the tags instead.")
@where_option
@named_option
@yes_option
@json_option
@click.pass_obj
def tag(
    db: str | None,
    words: Sequence[str],
    remove: bool,
    where: Sequence[str],
    named: Sequence[str],
    yes: bool,
    as_json: bool,
) -> None:
    """Add tags to a run, or remove them.

    With --where or --run, all words are tags, for every run that these choose. The command then asks first.

    Example: exptrack tag 1k3f baseline keep
    """
    choice = Choice(db, where, named, yes, as_json)
    run, tags = split_words(choice, words, "tags")
    if choice.is_given:
        shown = ", ".join(tags)
        if remove:
            change_runs(
                choice, f"Remove {shown} from", f"removed {shown} from", lambda query: query.untag(*tags)
            )
        else:
            change_runs(choice, f"Add {shown} to", f"added {shown} to", lambda query: query.tag(*tags))
        return
    with open_archive(db, writing=True) as archive:
        found = archive.get_run(run)
        change = found.remove_tag if remove else found.add_tag
        change(*tags)
        print_json_or_text(
            as_json, {"run_id": found.run_id, "tags": found.tags}, f"{found.run_id}: {', '.join(found.tags)}"
        )


@main.command()
@click.argument("words", nargs=-1, required=True, metavar="[RUN] TEXT", shell_complete=complete_words())
@where_option
@named_option
@yes_option
@json_option
@click.pass_obj
def note(
    db: str | None, words: Sequence[str], where: Sequence[str], named: Sequence[str], yes: bool, as_json: bool
) -> None:
    """Add a note to a run.

    With --where or --run, the only word is the text, for every run that these choose. The command then asks
    first.

    Example: exptrack note 1k3f "diverged after the learning rate went up"
    """
    choice = Choice(db, where, named, yes, as_json)
    run, texts = split_words(choice, words, "a text")
    if len(texts) != 1:
        raise click.UsageError("a note is one text; put it in quotes")
    text = texts[0]
    if choice.is_given:
        change_runs(choice, "Add the note to", "added the note to", lambda query: query.note(text))
        return
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
@click.argument(
    "words",
    nargs=-1,
    required=True,
    metavar="[RUN] KEY=VALUE…",
    shell_complete=complete_words(complete_attribute),
)
@click.option("--remove", is_flag=True, help="Delete the attributes instead; give their keys alone.")
@where_option
@named_option
@yes_option
@json_option
@click.pass_obj
def set_(
    db: str | None,
    words: Sequence[str],
    remove: bool,
    where: Sequence[str],
    named: Sequence[str],
    yes: bool,
    as_json: bool,
) -> None:
    """Set or delete attributes of a run, also after its end.

    With --where or --run, all words are attributes, for every run that these choose. The command then asks
    first.

    VALUE is read like that of an override: 3 is an int, 0.5 a float, true a bool, [1, 2] a list, null is null.
    All else is text. KEY='""' sets an empty text. 'exptrack ls --columns attr.KEY' shows an attribute.

    Example: exptrack set 1k3f reviewed=true score=0.93
    """
    choice = Choice(db, where, named, yes, as_json)
    run, attributes = split_words(choice, words, "KEY=VALUE")
    values = {} if remove else dict(map(read_assignment, attributes))
    if choice.is_given:
        if remove:
            _check_keys(attributes, ())
            shown = ", ".join(attributes)
            change_runs(
                choice, f"Delete {shown} of", f"deleted {shown} of", lambda query: query.unset(*attributes)
            )
        else:
            shown = ", ".join(values)
            change_runs(
                choice, f"Set {shown} of", f"set {shown} of", lambda query: query.set_attributes(values)
            )
        return
    with open_archive(db, writing=True) as archive:
        found = archive.get_run(run)
        if remove:
            _check_keys(attributes, found.attributes)
            for key in attributes:
                found.delete_attribute(key)
        else:
            found.set_attributes(values)
        held = found.attributes
    written = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in held.items()]
    said = ", ".join(written) or "no attributes"
    print_json_or_text(as_json, {"run_id": found.run_id, "attributes": held}, f"{found.run_id}: {said}")


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
    from exptrack.sdn import parse_override

    return key, parse_override(value)
