"""Commands that make other files out of the archive: a copy of it."""

from __future__ import annotations

import click

from exptrack.cli.main import json_option, main, open_archive
from exptrack.cli.output import print_json, show_progress


@main.command()
@click.argument("out", type=click.Path())
@json_option
@click.pass_obj
def snapshot(db: str | None, out: str, as_json: bool) -> None:
    """Copy the archive to the new file OUT, also while runs write.

    OUT holds everything of one moment, in one file. Never copy an archive with cp while runs write: such a copy
    lacks what is in its -wal file.

    Example: exptrack snapshot backup.db
    """
    from exptrack.terminal.console import format_size, safe

    with open_archive(db) as archive, show_progress("copying") as update:
        report = archive.backup(out, progress=update)
    for journal in report.waiting:
        click.echo(f"exptrack: the points in {safe(journal)} are not in the copy", err=True)
    if as_json:
        print_json(report)
    else:
        click.echo(f"copied to {safe(report.path)} ({format_size(report.file_bytes)})")
