"""Commands that take runs away: to the trash and back, or for good."""

from __future__ import annotations

from collections.abc import Sequence

import click

from exptrack import DeleteReport
from exptrack.cli.main import (
    confirm,
    json_option,
    main,
    named_option,
    open_archive,
    run_argument,
    where_option,
    yes_option,
)
from exptrack.cli.many import Choice, change_runs
from exptrack.cli.output import print_json, print_json_or_text, show_status
from exptrack.cli.shown import shorten_ids


@main.command()
@run_argument("runs", nargs=-1)
@click.option("--trash", is_flag=True, help="Move them to the trash; 'exptrack restore' takes them out.")
@where_option
@named_option
@yes_option
@json_option
@click.pass_obj
def rm(
    db: str | None,
    runs: Sequence[str],
    trash: bool,
    where: Sequence[str],
    named: Sequence[str],
    yes: bool,
    as_json: bool,
) -> None:
    """Delete runs with everything they hold, and free the space.

    Artifacts that other runs share stay. This cannot be undone, unless --trash is given.

    Name the RUNS, or find them by --where. Of runs that are named beside --where, only those that match go.

    Example: exptrack rm 1k3f 1k3g
    """
    choice = Choice(db, where, (*runs, *named), yes, as_json)
    if not choice.is_given:
        raise click.UsageError("name the runs, or give --where")
    if where:
        if trash:
            change_runs(choice, "Move", "moved", lambda query: query.trash(), end=" to the trash")
        else:
            change_runs(choice, "Delete", "deleted", lambda query: query.delete())
        return
    _remove_named(choice, trash)


def _remove_named(choice: Choice, trash: bool) -> None:
    """Delete runs by their names, also those in the trash."""
    db, _where, runs, yes, as_json = choice
    with open_archive(db, writing=True) as archive:
        found = [archive.get_run(run).run_id for run in runs]
        if trash:
            confirm(f"Move {', '.join(found)} to the trash?", yes)
            moved = archive.trash_run(*found)
            print_json_or_text(as_json, {"runs": moved}, f"moved to the trash: {', '.join(moved)}")
            return
        confirm(f"Delete {', '.join(found)}?", yes)
        with show_status("deleting"):
            report = archive.delete_run(*found)
    _print_deleted(report, as_json)


@main.command()
@run_argument("runs", nargs=-1, required=True)
@yes_option
@json_option
@click.pass_obj
def restore(db: str | None, runs: Sequence[str], yes: bool, as_json: bool) -> None:
    """Take runs out of the trash.

    Example: exptrack restore 1k3f
    """
    with open_archive(db, writing=True) as archive:
        if len(runs) > 1:
            confirm(f"Restore {', '.join(runs)}?", yes)
        found = archive.restore_run(*runs)
    print_json_or_text(as_json, {"runs": found}, f"restored {', '.join(found)}")


@main.command()
@click.option("--empty", is_flag=True, help="Delete the runs in the trash.")
@click.option(
    "--older-than",
    metavar="AGE",
    help="With --empty: only those moved there longer ago than AGE, as 30d or 12h.",
)
@yes_option
@json_option
@click.pass_obj
def trash(db: str | None, empty: bool, older_than: str | None, yes: bool, as_json: bool) -> None:
    """List the runs in the trash, or delete them.

    Example: exptrack trash --empty --older-than 30d
    """
    if older_than is not None and not empty:
        raise click.UsageError("--older-than needs --empty")
    with open_archive(db, writing=empty) as archive:
        if empty:
            count = archive.info().trashed
            which = "all" if older_than is None else f"those moved there more than {older_than} ago"
            confirm(f"The trash holds {count:,} run{'s' * (count != 1)}. Delete {which}?", yes)
            with show_status("deleting"):
                report = archive.empty_trash(older_than=older_than)
            _print_deleted(report, as_json)
            return
        found = archive.list_trash()
        if as_json:
            print_json(found)
            return
        from exptrack.terminal.console import open_console
        from exptrack.terminal.runs import print_trash

        out = open_console()
        ids = shorten_ids(out, archive, (one.run.run_id for one in found))
    print_trash(out, found, ids)


def _print_deleted(report: DeleteReport, as_json: bool) -> None:
    from exptrack.terminal.console import format_size, safe

    if as_json:
        print_json(report)
        return
    which = ", ".join(report.runs) or "no run"
    click.echo(safe(f"deleted {which}; the file is {format_size(report.file_bytes)} smaller"))
