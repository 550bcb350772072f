"""The command that shows an archive on the whole terminal."""

from __future__ import annotations

import os
import sys

import click

from exptrack import InvalidValueError
from exptrack.cli.archive import file_argument
from exptrack.cli.main import find_default, main
from exptrack.cli.ui import prepare_view
from exptrack.extras import require


@main.command()
@file_argument
@click.pass_context
def tui(ctx: click.Context, file: str | None) -> None:
    """Show an archive on the whole terminal.

    The runs are on the left, with a filter above them. On the right are the curves, config, metrics, artifacts
    and events of the chosen run. Marked runs are drawn over one another. All of it changes while training goes
    on.

    It needs no mouse, and works over ssh from 60 columns and 16 lines on. '?' shows the keys, 'q' ends it.

    Example: exptrack tui lab.db
    """
    if not all(
        stream is not None and stream.isatty() for stream in (sys.__stdin__, sys.__stdout__, sys.__stderr__)
    ):
        raise InvalidValueError(
            "exptrack tui needs a terminal for its input and output; 'exptrack ls' needs none"
        )
    if os.environ.get("TERM", "") == "dumb":
        raise InvalidValueError("this terminal (TERM=dumb) cannot be drawn on; 'exptrack ls' prints lines")
    require("textual", "exptrack tui", "tui")
    from exptrack.tui.session import run_view

    path, can_edit = prepare_view((ctx.obj or find_default()) if file is None else file)
    ctx.exit(run_view(path, can_edit=can_edit))
