"""Commands for the archive file as a whole: its contents, and whether it is intact."""

from __future__ import annotations

import sys

import click

from exptrack.cli.main import json_option, main, open_archive
from exptrack.cli.output import print_json, show_progress_of_parts
from exptrack.cli.streams import keep_working

DAMAGED_EXIT = 17
file_argument = click.argument("file", required=False, type=click.Path())


@main.command()
@file_argument
@json_option
@click.pass_obj
def info(db: str | None, file: str | None, as_json: bool) -> None:
    """Show the contents of the file: runs, rows, sizes, versions.

    Example: exptrack info
    """
    with open_archive(db if file is None else file) as archive:
        found = archive.info()
    if as_json:
        print_json(found)
        return
    from exptrack.terminal.archive import print_info
    from exptrack.terminal.console import open_console

    print_info(open_console(), found)


@main.command()
@file_argument
@click.option(
    "--take-over",
    is_flag=True,
    help="Do so for processes of other hosts and containers too.",
)
@json_option
@click.pass_obj
def recover(db: str | None, file: str | None, take_over: bool, as_json: bool) -> None:
    """Store the points that dead processes left, and mark their runs.

    Every command does so for processes of this machine. --take-over does it also for processes of another host
    or of another container. Only you can know that these are dead.

    Example: exptrack recover --take-over lab.db
    """
    with open_archive(db if file is None else file, writing=True) as archive:
        report = archive.recover(take_over=take_over)
    if as_json:
        print_json(report)
        return
    from exptrack.terminal.archive import print_recovered
    from exptrack.terminal.console import open_console

    print_recovered(open_console(), report)


@main.command()
@file_argument
@json_option
@click.pass_obj
def verify(db: str | None, file: str | None, as_json: bool) -> None:
    """Check all data against its checksums.

    The exit code is 17 if anything is damaged.

    Example: exptrack verify backup.db
    """
    from exptrack.terminal.archive import print_verified
    from exptrack.terminal.console import open_console

    with open_archive(db if file is None else file) as archive, show_progress_of_parts() as update:
        found = archive.verify(update)
    with keep_working():  # a reader that leaves early does not turn damage into success
        if as_json:
            print_json(found)
        else:
            print_verified(open_console(), found)
        if not found.ok:
            sys.exit(DAMAGED_EXIT)
