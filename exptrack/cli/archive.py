"""Commands for the archive file as a whole: its contents, and whether it is intact."""

from __future__ import annotations

import os
import sys

import click

from exptrack import InvalidValueError
from exptrack.cli.main import DAMAGED_EXIT, FILE, json_option, main, open_archive
from exptrack.cli.output import print_json, show_progress_of_parts
from exptrack.cli.streams import keep_working

JOURNAL_NAMES = (".points", ".points.damaged", ".points.unclaimed")
JOURNAL_MAGIC = b"EXPTJRNL"
file_argument = click.argument("file", required=False, type=FILE)


@main.command()
@file_argument
@json_option
@click.pass_obj
def info(db: str | None, file: str | None, as_json: bool) -> None:
    """Show the contents of the file: runs, rows, sizes, versions.

    Example: exptrack info
    """
    with open_archive(db if file is None else file) as archive:
        found = archive.info(count_rows=True)
    if as_json:
        print_json(found)
        return
    from exptrack.terminal.archive import print_info
    from exptrack.terminal.console import open_console

    print_info(open_console(), found)


@main.command()
@click.argument("files", nargs=-1, metavar="[FILE] [JOURNAL]", type=FILE)
@click.option(
    "--take-over",
    is_flag=True,
    help="Do so for processes of other hosts and containers too.",
)
@json_option
@click.pass_obj
def recover(db: str | None, files: tuple[str, ...], take_over: bool, as_json: bool) -> None:
    """Store points that dead processes left; mark their runs.

    Every command does so for processes of this machine. --take-over does it also for processes of another host
    or of another container. Only you can know that these are dead.

    JOURNAL is one journal, in any folder and of any name. If it is given, only its points are stored.

    Example: exptrack recover --take-over lab.db
    """
    journals = [file for file in files if _is_journal(file)]
    archives = [file for file in files if file not in journals]
    if len(files) > 2 or len(journals) > 1:
        raise click.UsageError("give one archive and one journal at most; call the command again for others")
    if len(archives) > 1:
        raise InvalidValueError(f"{archives[1]} is not a journal; give a file that ends in .points")
    with open_archive(archives[0] if archives else db, writing=True) as archive:
        report = archive.recover(*journals, take_over=take_over)
    if as_json:
        print_json(report)
        return
    from exptrack.terminal.archive import print_recovered
    from exptrack.terminal.console import open_console

    print_recovered(open_console(), report)


def _is_journal(path: str) -> bool:
    """Whether a file is named like a journal, or begins like one."""
    if path.endswith(JOURNAL_NAMES):
        return True
    if not os.path.isfile(path):
        return False
    try:
        with open(path, "rb") as file:
            return file.read(len(JOURNAL_MAGIC)) == JOURNAL_MAGIC
    except OSError:
        return False  # opening it as an archive tells why


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
