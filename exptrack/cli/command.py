"""What the commands share: the group, the archive they open, their arguments and their JSON."""

from __future__ import annotations

import csv
import errno
import io
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from exptrack import (
    Archive,
    ArchiveIOError,
    ArchiveReadOnlyError,
    ArchiveTooNewError,
    ExptrackError,
    InvalidValueError,
    __version__,
)

INTERRUPTED_EXIT = 130
OUTPUT_FAILURES = (errno.ENOSPC, errno.EIO, errno.EDQUOT)
# What takes no longer needs no progress bar.
PATIENCE_S = 1.0

F = TypeVar("F", bound=Callable[..., Any])


class _Commands(click.Group):
    """Lists commands in the order of their definition, and turns errors into sentences."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
            return result
        except ExptrackError as error:
            from exptrack.terminal.console import safe

            # A message may quote what a file or argument holds: it does not get to steer the terminal.
            click.echo("\n".join(safe(line) for line in f"exptrack: {error}".split("\n")), err=True)
            ctx.exit(error.exit_code)
        except KeyboardInterrupt:
            ctx.exit(INTERRUPTED_EXIT)
        except BrokenPipeError:
            # Whoever read us (head, less) has seen enough.
            _drop_output()
            ctx.exit(0)
        except OSError as error:
            if error.filename is not None or error.errno not in OUTPUT_FAILURES:
                raise
            click.echo(f"exptrack: cannot write the output: {error.strerror}", err=True)
            _drop_output()
            ctx.exit(ArchiveIOError.exit_code)


def _drop_output() -> None:
    """Nothing more can be written; Python must not complain when it flushes at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--db", metavar="FILE", envvar="EXPTRACK_DB", help="The archive (default: exptrack.db here).")
@click.version_option(__version__, prog_name="exptrack")
@click.pass_context
def main(ctx: click.Context, db: str | None) -> None:
    """Ask and tend an archive: one SQLite file that holds experiments.

    A RUN is a run's id or the start of one, as long as it means a single run. Commands that print
    records take --json for programs; --help tells the details.

    \b
      exptrack demo                     make an archive from real training
      exptrack ls                       list its newest runs
      exptrack best accuracy --max      which run was best?
    """
    ctx.obj = db


def open_archive(db: str | None, *, writing: bool = False) -> Archive:
    """Open the archive a command works on; reading also works where nothing can be written."""
    try:
        return Archive(db, create=False)
    except (ArchiveReadOnlyError, ArchiveTooNewError):
        if writing:
            raise
        return Archive(db, mode="ro")


def complete_run(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    try:
        with open_archive(ctx.find_root().params.get("db")) as archive:
            found = archive.list_runs(limit=200)
    except ExptrackError:
        # A shell that completes words is no place for an error message.
        return []
    return [CompletionItem(r.run_id, help=r.name or "") for r in found if r.run_id.startswith(incomplete)]


def run_argument(name: str = "run", **options: Any) -> Callable[[F], F]:
    return click.argument(name, metavar=name.upper(), shell_complete=complete_run, **options)


where_option = click.option(
    "--where", metavar="FILTER", multiple=True, help="Only runs that satisfy it (repeatable: all of them)."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")


def print_json(kind: Any, value: object) -> None:
    from pydantic import ConfigDict, TypeAdapter

    # Records are plain dataclasses; NaN and the infinities become the texts JSON lacks numbers for.
    text = TypeAdapter(kind).dump_python(value, mode="python")
    click.echo(TypeAdapter(Any, config=ConfigDict(ser_json_inf_nan="strings")).dump_json(text, indent=2))


def print_json_line(value: dict[str, Any]) -> None:
    """One JSON document on a line of its own, for programs that read as it comes."""
    from pydantic import ConfigDict, TypeAdapter

    click.echo(TypeAdapter(Any, config=ConfigDict(ser_json_inf_nan="strings")).dump_json(value))


def print_csv(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(heads)
    writer.writerows(rows)
    # click.echo would take colour codes out of the words; a program gets them as they are.
    sys.stdout.write(out.getvalue())


def say(as_json: bool, facts: dict[str, Any], words: str) -> None:
    if as_json:
        print_json(dict[str, Any], facts)
        return
    from exptrack.terminal import console as render

    render.console().print(render.safe(words))


def ask(question: str, yes: bool) -> None:
    """Go on only if a person, or --yes, agrees."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise InvalidValueError("nobody can be asked here; --yes goes on without asking")
    click.confirm(question, abort=True, err=True)


@contextmanager
def progress(words: str) -> Iterator[Callable[[int, int], None] | None]:
    """A bar for what has a length, shown to people once it takes long; yields what to tell (done, total)."""
    with progress_of_parts() as update:
        yield None if update is None else lambda done, total: update(words, done, total)


@contextmanager
def progress_of_parts() -> Iterator[Callable[[str, int, int], None] | None]:
    """The same for what has several parts; yields what to tell (words, done, total)."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.progress import Progress

    from exptrack.terminal import console as render

    bar = Progress(console=render.console(stderr=True), transient=True)
    task, begun = bar.add_task("", total=None), time.monotonic()

    def update(words: str, done: int, total: int) -> None:
        if not bar.live.is_started and time.monotonic() - begun > PATIENCE_S:
            bar.start()
        bar.update(task, description=words, completed=done, total=total)

    try:
        yield update
    finally:
        bar.stop()


@contextmanager
def working(words: str) -> Iterator[None]:
    """A sign of life for people while something of unknown length is under way."""
    if not sys.stderr.isatty():
        yield
        return
    from exptrack.terminal import console as render

    with render.console(stderr=True).status(words):
        yield
