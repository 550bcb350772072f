"""The command that opens the page of an archive in a browser."""

from __future__ import annotations

import os
import sys
import webbrowser

import click

from exptrack.cli.archive import file_argument
from exptrack.cli.main import DEFAULT, main, open_archive
from exptrack.extras import require


@main.command()
@file_argument
@click.option("--no-browser", is_flag=True, help="Print the address and open nothing.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    metavar="N",
    help="Use this port (default: the first free one from 7070; 0: any).",
)
@click.pass_obj
def ui(db: str | None, file: str | None, no_browser: bool, port: int | None) -> None:
    """Open a page on the archive in the browser: runs, curves, configs, artifacts.

    Only this machine can reach it, and only with the address printed. It goes on until ctrl-C.

    Example: exptrack ui lab.db
    """
    for module in ("starlette", "uvicorn"):
        require(module, "exptrack ui", "ui")
    from exptrack.web.server import PageServer

    path = file or db or DEFAULT
    # As every command does, this first stores what dead processes left. The page itself only reads.
    with open_archive(path) as archive:
        path = archive.path
    server = PageServer(path, port)
    click.echo(f"The page of {server.page.path} is at\n\n  {server.url}\n\nPress ctrl-C to stop.", err=True)
    if not no_browser and _has_display():
        webbrowser.open(server.url)
    server.run()


def _has_display() -> bool:
    """Whether a browser could show something; elsewhere a text browser would take the terminal."""
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
