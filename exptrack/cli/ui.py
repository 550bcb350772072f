"""The command that opens the page of an archive in a browser."""

from __future__ import annotations

import os
import socket
import sys
import webbrowser

import click

from exptrack import Archive, ArchiveLockedError
from exptrack.cli.archive import file_argument
from exptrack.cli.main import (
    CANNOT_WRITE,
    FILE,
    READERS_WAIT_S,
    WholeRange,
    find_default,
    json_option,
    main,
    open_archive,
    where_option,
)
from exptrack.cli.output import print_json, show_progress_of_parts
from exptrack.extras import require
from exptrack.open_pages import OpenPage, announce_page, find_page
from exptrack.times import seconds_of

ANSWER_S = 2.0
NICENESS = 10  # a process of the usual priority weighs nine times as much when cores are short


@main.command()
@file_argument
@click.option("--no-browser", is_flag=True, help="Print the address and open nothing.")
@click.option(
    "--port",
    type=WholeRange(0, 65535),
    metavar="N",
    help="Use this port (default: the first free one from 7070; 0: any free one).",
)
@click.option("--idle", metavar="TIME", help="End once no browser has asked for this long, like 30min.")
@click.option("--export", "out", type=FILE, metavar="OUT", help="Write the page as the new file OUT instead.")
@where_option
@json_option
@click.pass_obj
def ui(
    db: str | None,
    file: str | None,
    no_browser: bool,
    port: int | None,
    idle: str | None,
    out: str | None,
    where: tuple[str, ...],
    as_json: bool,
) -> None:
    """Open a page on the archive in the browser.

    It shows runs, curves, configs, sweeps and artifacts, also while training goes on. Only you on this machine
    can open it, by the address that is printed. Ctrl-C ends it. If a page is open on the archive already, the
    command prints its address and ends.

    With --export, the page becomes one file. It opens by a double click, and needs neither a server nor a
    network. It has the archive inside, packed, or the runs that match --where. An archive of more than 64 MiB
    stays outside: the page asks for it.

    Example: exptrack ui lab.db
    """
    if out is not None:
        if no_browser or port is not None or idle is not None:
            raise click.UsageError("--export serves nothing; leave out --no-browser, --port and --idle")
        _export(db if file is None else file, out, where, as_json)
        return
    if where:
        raise click.UsageError("--where needs --export; the page has a filter of its own")
    for module in ("starlette", "uvicorn"):
        require(module, "exptrack ui", "ui")
    from exptrack.web.security import write_login
    from exptrack.web.server import PageServer

    idle_s = None if idle is None else seconds_of(idle, "--idle")
    path, can_edit = prepare_view((db or find_default()) if file is None else file)
    other = find_page(path)
    if other is not None and _answers(other):
        url = write_login(other.origin, other.token)
        _tell(as_json, f"The page of {path} is open already:", url, path, other.process.pid)
        _open_browser(url, no_browser)
        return
    server = PageServer(path, port, can_edit=can_edit, idle_s=idle_s)
    try:
        with announce_page(path, server.origin, server.token):
            _tell(as_json, f"The page of {path}, until ctrl-C:", server.url, path, os.getpid())
            _open_browser(server.url, no_browser)
            _give_way()  # after the browser has started, which would inherit it
            server.serve()
    finally:
        server.close()


def _give_way() -> None:
    """Let training on this machine come before the page, where the system has priorities of POSIX."""
    if hasattr(os, "nice"):
        os.nice(max(0, NICENESS - os.nice(0)))


def _export(db: str | None, out: str, where: tuple[str, ...], as_json: bool) -> None:
    """Write the page as a file, and tell how large it is."""
    from exptrack.web.export import write_page

    with open_archive(db) as archive, show_progress_of_parts() as update:
        made = write_page(archive, out, where=where or None, progress=update)
    if as_json:
        print_json(made)
        return
    from exptrack.terminal.console import format_count, format_size, safe

    held = format_size(made.archive_bytes)
    click.echo(safe(f"{format_count(made.runs, 'run')} written to {out} ({format_size(made.file_bytes)})"))
    if not made.inside:
        click.echo(f"The packed archive has {held}, too much to be inside. The page asks for it: make it by")
        click.echo("'exptrack pack', or by 'exptrack extract' for some of the runs.")


def prepare_view(path: str) -> tuple[str, bool]:
    """Return the whole path of an archive, and whether it can be changed.

    As every command does, this stores what dead processes left. The view of it then only reads.
    """
    try:
        with Archive(path, create=False, wait_s=READERS_WAIT_S) as archive:
            return archive.path, True
    except CANNOT_WRITE as error:
        with Archive(path, mode="ro") as archive:
            return archive.path, isinstance(error, ArchiveLockedError)


def _tell(as_json: bool, words: str, url: str, path: str, pid: int) -> None:
    """Print the address of a page, for a program or for a person."""
    if as_json:
        print_json({"url": url, "path": path, "pid": pid})
    else:
        from exptrack.terminal.console import safe

        click.echo(f"{safe(words)}\n\n  {url}\n")
    sys.stdout.flush()


def _answers(page: OpenPage) -> bool:
    """Whether a page takes connections: its process may be about to end."""
    host, _, port = page.origin.removeprefix("http://").rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=ANSWER_S).close()
    except (OSError, ValueError):
        return False
    return True


def _open_browser(url: str, no_browser: bool) -> None:
    """Open the address, unless no browser can be shown: a text browser would take the terminal."""
    names = ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY")
    if not no_browser and (sys.platform in ("win32", "darwin") or any(map(os.environ.get, names))):
        webbrowser.open(url)
