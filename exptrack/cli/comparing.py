"""Commands that compare: runs side by side, a run with the one before, groups over seeds, what matters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from exptrack.cli.command import json_option, main, open_archive, print_json, run_argument, where_option

MOST_COMPARED = 50

statistic_option = click.option(
    "--by",
    "statistic",
    default="last",
    show_default=True,
    metavar="WHICH",
    help="Which value of a run counts: last, min, max, first, mean, …",
)


def _joined(where: Sequence[str]) -> str | None:
    """Several filters as one."""
    return " and ".join(f"({one})" for one in where) or None


@main.command()
@run_argument("runs", nargs=-1)
@where_option
@click.option("--all", "all_keys", is_flag=True, help="Show the config keys that are equal too.")
@json_option
@click.pass_obj
def compare(db: str | None, runs: Sequence[str], where: Sequence[str], all_keys: bool, as_json: bool) -> None:
    """Put runs side by side: what differs, and every metric.

    RUNS are named, or found by --where (the newest 50).

    Example: exptrack compare 1k3f 1k3g 1k3h
    """
    if bool(runs) == bool(where):
        raise click.UsageError("name runs, or find them by --where")
    with open_archive(db) as archive:
        chosen: list[Any] = list(runs)
        if where:
            chosen = archive.runs().where(_joined(where) or "").limit(MOST_COMPARED).list()
        if not chosen:
            click.echo("no such run")
            return
        found = archive.compare(chosen, all_keys=all_keys)
    if as_json:
        print_json(Any, found)
        return
    from exptrack.terminal import comparison as sidebyside
    from exptrack.terminal import console as render

    sidebyside.comparison(render.console(), found)


@main.command()
@run_argument()
@json_option
@click.pass_obj
def changes(db: str | None, run: str, as_json: bool) -> None:
    """Show what is different in a run since the one before it.

    That is the last earlier run of the same script; failing that, of the same name or group.

    Example: exptrack changes 1k3f
    """
    with open_archive(db) as archive:
        found = archive.what_changed(run)
    if as_json:
        print_json(Any, found)
        return
    from exptrack.terminal import comparison as sidebyside
    from exptrack.terminal import console as render

    if found is None:
        click.echo("there is no earlier run of the same script, name or group")
        return
    sidebyside.changes(render.console(), found)


@main.command()
@click.argument("metric")
@click.argument("keys", nargs=-1, required=True)
@statistic_option
@where_option
@json_option
@click.pass_obj
def groups(
    db: str | None, metric: str, keys: Sequence[str], statistic: str, where: Sequence[str], as_json: bool
) -> None:
    """Group runs by config keys: mean and spread of a metric.

    Only completed runs count; pruned trials, where a FILTER speaks of trial.state or of status = pruned. Group
    by all keys but the seed to see what the seed changes.

    Example: exptrack groups val_accuracy model.kind optim.lr
    """
    with open_archive(db) as archive:
        found = archive.group_by(keys, metric, where=_joined(where), statistic=statistic)
    if as_json:
        print_json(list[Any], found)
        return
    from exptrack.terminal import comparison as sidebyside
    from exptrack.terminal import console as render

    sidebyside.groups(render.console(), keys, metric, found)


@main.command()
@click.argument("metric")
@click.option(
    "--method",
    type=click.Choice(["spearman", "forest"]),
    default="spearman",
    show_default=True,
    help="Each key alone, by ranks; or a random forest (needs scikit-learn).",
)
@statistic_option
@where_option
@json_option
@click.pass_obj
def importance(
    db: str | None, metric: str, method: str, statistic: str, where: Sequence[str], as_json: bool
) -> None:
    """Tell how much each config key explains of a metric.

    Only completed runs count; pruned trials, where a FILTER speaks of trial.state or of status = pruned.

    Example: exptrack importance val_accuracy
    """
    with open_archive(db) as archive:
        found = archive.importance(metric, where=_joined(where), statistic=statistic, method=method)
    if as_json:
        print_json(list[Any], found)
        return
    from exptrack.terminal import comparison as sidebyside
    from exptrack.terminal import console as render

    sidebyside.importances(render.console(), metric, found)
