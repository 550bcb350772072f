"""The command that writes the code of a run, and prints how to run it again."""

from __future__ import annotations

import click

from exptrack.cli.main import FILE, json_option, main, open_archive, run_argument
from exptrack.cli.output import print_json

INCOMPLETE_EXIT = 1  # something of the code or the command is missing; the rest is written


@main.command()
@run_argument()
@click.argument("directory", metavar="[DIR]", required=False, type=FILE)
@click.option("--repository", metavar="FOLDER", help="Take the commit from this clone (default: this folder).")
@json_option
@click.pass_obj
def reproduce(db: str | None, run: str, directory: str | None, repository: str | None, as_json: bool) -> None:
    """Write the code of a run, and print how to run it again.

    DIR is a new folder (default: code- and the id of the run). The commit comes from the repository of this
    folder or of the archive. The changes to it, untracked texts and a script outside of git come from the
    archive. Nothing is run, and the repository stays as it is.

    If something is missing, the command says what, and ends with 1.

    Example: exptrack reproduce 1k3f again
    """
    with open_archive(db) as archive:
        chosen = directory or f"code-{archive.get_run(run).run_id}"
        found = archive.reproduce(run, chosen, repository=repository)
    if as_json:
        print_json(found)
    else:
        from exptrack.terminal.console import open_console
        from exptrack.terminal.reproduction import print_reproduction

        print_reproduction(open_console(), found, chosen)
    if found.missing:
        from exptrack.terminal.console import safe

        for sentence in found.missing:
            click.echo(f"exptrack: {safe(sentence)}", err=True)
        click.get_current_context().exit(INCOMPLETE_EXIT)
