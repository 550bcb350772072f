"""The command that says what a report of a fault needs."""

from __future__ import annotations

import sys

import click

from exptrack import diagnose
from exptrack.cli.archive import file_argument
from exptrack.cli.main import json_option, main
from exptrack.cli.output import print_json

NOT_FIT = 1


@main.command()
@file_argument
@json_option
@click.pass_obj
def doctor(db: str | None, file: str | None, as_json: bool) -> None:
    """Show versions and packages, and try out the folder.

    It shows versions, packages, and where the archive is. Then it tries out in a folder of its own beside the
    archive whether files can be locked, mapped and synced there. The exit code is 1 if they cannot.

    Example: exptrack doctor
    """
    found = diagnose(db if file is None else file)
    if as_json:
        print_json(found)
    else:
        from exptrack.terminal.console import open_console
        from exptrack.terminal.diagnosis import print_diagnosis

        print_diagnosis(open_console(), found)
    if not found.ok:
        sys.exit(NOT_FIT)
