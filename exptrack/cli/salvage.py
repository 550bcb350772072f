"""The command that saves what is sound of a damaged archive."""

from __future__ import annotations

import sys

import click

from exptrack.cli.main import DAMAGED_EXIT, FILE, json_option, main
from exptrack.cli.output import print_json, show_progress_of_parts
from exptrack.cli.streams import keep_working


@main.command()
@click.argument("damaged", metavar="IN", type=FILE)
@click.argument("out", type=FILE)
@click.option("--with", "others", multiple=True, metavar="OTHER", type=FILE, help="Another copy of IN.")
@click.option("--unproven", is_flag=True, help="Also what no checksum proves, in runs with the tag 'unproven'.")
@json_option
def salvage(damaged: str, out: str, others: tuple[str, ...], unproven: bool, as_json: bool) -> None:
    """Save what is sound of the damaged archive IN in OUT.

    IN is only read. OUT is a new archive, and everything in it is proved by its checksums. Runs of which
    something is missing become interrupted. If there is an older or damaged copy, --with fills what it can
    prove; it may be repeated.

    The exit code is 17 if anything is lost.

    Example: exptrack salvage damaged.db saved.db --with backup.db
    """
    import exptrack
    from exptrack.terminal.console import open_console
    from exptrack.terminal.salvage import print_salvaged

    with show_progress_of_parts() as update:
        report = exptrack.salvage(damaged, out, others=others, unproven=unproven, progress=update)
    with keep_working():  # a reader that leaves early does not turn a loss into success
        if as_json:
            print_json(report)
        else:
            print_salvaged(open_console(), report, out)
        if not report.ok:
            sys.exit(DAMAGED_EXIT)
