"""The group of all commands, the errors they end in, the archive they open, and the arguments they share."""

from __future__ import annotations

import difflib
import math
import os
import sys
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem

from exptrack import (
    Archive,
    ArchiveCorruptError,
    ArchiveFullError,
    ArchiveIOError,
    ArchiveLockedError,
    ArchiveNotFoundError,
    ArchiveReadOnlyError,
    ArchiveTooNewError,
    ExptrackError,
    InvalidValueError,
    __version__,
)
from exptrack.cli.streams import OutputFailedError, prepare_streams
from exptrack.default_file import NAME, VARIABLE, describe_missing, find_default_file
from exptrack.plain import short_repr
from exptrack.termination import ended_by_sigterm

if TYPE_CHECKING:
    from exptrack import RunQuery

INTERRUPTED_EXIT = 130
DAMAGED_EXIT = ArchiveCorruptError.exit_code  # also where a command has gone on beside the damage
SPOOL = "EXPTRACK_SPOOL"
LEAST_LIKENESS = 0.7  # of a word and the command that may be meant
MOST_OFFERED = 200  # runs, where the shell completes one
COMPLETION = "_EXPTRACK_COMPLETE"  # set by a shell that asks for completions
# The file that defines each command; the help lists commands in this order.
HOMES = {
    "run": "run",
    "runs": "ls show best top tag note rename set",
    "trash": "rm restore trash",
    "metrics": "history",
    "watch": "watch",
    "compare": "compare diff changes groups importance",
    "sweep": "sweep",
    "artifacts": "artifacts lineage",
    "reproduce": "reproduce",
    "config": "config",
    "sql": "sql view",
    "archive": "info recover verify",
    "doctor": "doctor",
    "portable": "snapshot pack unpack merge extract digest diff-archives",
    "salvage": "salvage",
    "ui": "ui",
    "tui": "tui",
    "report": "report",
    "demo": "demo",
    "shells": "completion",
}
# What people type who know other tools, and the command that does it.
SYNONYMS = {
    **dict.fromkeys(("list", "runs"), "ls"),
    **dict.fromkeys(("delete", "del", "remove"), "rm"),
    **dict.fromkeys(("plot", "chart", "curves"), "history"),
    "mv": "rename",
    "query": "sql",
    "undelete": "restore",
}
ADVICE = {
    "export": "'extract' copies runs to an archive, 'report' makes a page, 'ls --format csv' prints a table",
    **dict.fromkeys(("find", "filter", "search"), "'ls --where FILTER' lists the runs that match"),
    "import": "'merge' brings other archives into one",
    "init": "'exptrack.start_run()' makes the archive of the first run",
    "log": "'history RUN' draws the metrics that a run has logged",
    "login": "an archive is a file, so there is nothing to log in to",
    "server": "'ui' opens the page of an archive",
}
READERS_WAIT_S = 2.0  # for a process that lets no other open the file; then a copy is read
# An archive that may still be read when one of these comes.
CANNOT_WRITE = (ArchiveReadOnlyError, ArchiveTooNewError, ArchiveFullError, ArchiveIOError, ArchiveLockedError)
# The library says what is wrong with a file, and in the same words for each command.
FILE = click.Path(readable=False)

F = TypeVar("F", bound=Callable[..., Any])
N = TypeVar("N", int, float)


class WholeNumber(click.types.IntParamType):
    """The type of an option that takes any whole number."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        return super().convert(_read(int, value, "a whole number", param), param, ctx)


class WholeRange(click.IntRange):
    """The type of an option that takes whole numbers of a range."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        return super().convert(_read(int, value, "a whole number", param), param, ctx)


class FiniteRange(click.FloatRange):
    """The type of an option that takes finite numbers of a range; no range refuses NaN."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number = _read(float, value, "a number", param)
        if not math.isfinite(number):
            self.fail(f"{short_repr(value)} is not a finite number", param, ctx)
        return super().convert(number, param, ctx)


def _read(kind: Callable[[Any], N], value: Any, words: str, param: click.Parameter | None) -> N:
    try:
        return kind(value)
    except ValueError:
        raise click.BadParameter(f"{short_repr(value)} is not {words}", param=param) from None


def _take_archive(ctx: click.Context, _parameter: click.Parameter, db: str | None) -> None:
    """Let the archive that stands behind a command count, rather than the one before it."""
    if db is not None:
        ctx.obj = db


class _Group(click.Group):
    """Gives each of its commands the option that names the archive."""

    def add_command(self, cmd: click.Command, name: str | None = None) -> None:
        place = click.Option(
            ["--db"],
            metavar="FILE",
            help="The archive.",
            hidden=True,
            expose_value=False,
            callback=_take_archive,
        )
        cmd.params.append(place)
        super().add_command(cmd, name)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return super().get_command(ctx, cmd_name) or super().get_command(ctx, SYNONYMS.get(cmd_name, ""))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if self.get_command(ctx, name) is None and not ctx.resilient_parsing:
            known = self.list_commands(ctx)
            close = difflib.get_close_matches(name, [*known, *SYNONYMS], n=1, cutoff=LEAST_LIKENESS)
            meant = [name for name in (SYNONYMS.get(one, one) for one in close) if name in known]
            advice = ADVICE.get(name) if ctx.parent is None else None
            if meant and advice is None:
                advice = f"did you mean {meant[0]!r}?"
            listed = f"'{ctx.command_path} --help' lists them"
            ctx.fail(f"there is no command {name!r}; {advice or listed}")
        return super().resolve_command(ctx, args)


_Group.group_class = _Group  # also of the groups in it


class _Commands(_Group):
    """Imports the file of a command once it is asked for, and prints errors as one sentence."""

    def load(self) -> MutableMapping[str, click.Command]:
        """Import every command; return them by name, in the order of `HOMES`."""
        for home in HOMES:
            import_module(f"exptrack.cli.{home}")
        return self.commands

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for names in HOMES.values() for name in names.split()]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        name = SYNONYMS.get(cmd_name, cmd_name)
        for home, names in HOMES.items():
            if name in names.split():
                import_module(f"exptrack.cli.{home}")
        return super().get_command(ctx, cmd_name)

    def main(self, *args: Any, **options: Any) -> Any:
        prepare_streams()
        if COMPLETION in os.environ:
            self.load()  # among the rest, what answers a shell
        try:
            with ended_by_sigterm():
                return super().main(*args, **options)
        except OutputFailedError as failure:
            if not failure.reader_has_left:
                click.echo(f"exptrack: {failure}", err=True)
            sys.exit(failure.exit_code)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
            return result
        except ExptrackError as error:
            from exptrack.terminal.console import safe

            # A message may quote a file or an argument, whose control characters must not reach the terminal.
            click.echo("\n".join(safe(line) for line in f"exptrack: {error}".split("\n")), err=True)
            ctx.exit(error.exit_code)
        except KeyboardInterrupt:
            ctx.exit(INTERRUPTED_EXIT)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--db",
    metavar="FILE",
    envvar=VARIABLE,
    help="The archive (default: the file that EXPTRACK_DB names, or exptrack.db in this folder or above it)."
    " It may also stand behind the command.",
)
@click.version_option(__version__, prog_name="exptrack")
@click.pass_context
def main(ctx: click.Context, db: str | None) -> None:
    """Query and maintain an archive: one SQLite file that holds experiments.

    RUN is a run: its id, or as many of its first or last characters as no other id has; its name, latest,
    best:METRIC or STUDY#NUMBER. Commands that print records take --json for programs. 'exptrack COMMAND --help'
    explains a command.

    \b
      exptrack demo                     train real models into a new archive
      exptrack ls                       list the newest runs
      exptrack best accuracy --max      rank runs by a metric
    """
    ctx.obj = db


def open_archive(db: str | None, *, writing: bool = False) -> Archive:
    """Open the archive of a command. For reading, one that cannot be written will do too.

    It may be read-only, newer, on a full disk, or locked by a process that was stopped. A command never makes
    an archive of its own in a spool.
    """
    db = db or find_default()
    try:
        return Archive(db, create=False) if writing else Archive(db, create=False, wait_s=READERS_WAIT_S)
    except CANNOT_WRITE:
        if writing:
            raise
        return Archive(db, mode="ro")


def find_default() -> str:
    """Return the default archive. Where a spool is set, runs never make one: say where they are.

    Raises:
        ArchiveNotFoundError: there is none; the message says where it was looked for.
    """
    place, spool = find_default_file(), os.environ.get(SPOOL)
    if os.path.lexists(place):
        return place
    problem = f"{describe_missing(place)}; --db names another one"
    if spool:
        problem = (
            f"there is no {NAME} in this folder or one above it, and {SPOOL} is set; bring its runs together by"
            f" 'exptrack merge OUT {spool}', and name OUT by --db"
        )
    raise ArchiveNotFoundError(problem, path=os.path.abspath(place))


def offering(
    find: Callable[[Archive, click.Context, str], Iterable[CompletionItem]],
) -> Callable[[click.Context, click.Parameter, str], list[CompletionItem]]:
    """Make a completion for the shell of a function that finds items in the archive.

    A shell prints and inserts what it is offered as it is, and takes a line end for the next offer. So a word
    with a control character is not offered.
    """

    def complete(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        try:
            # The groups that hold the command are not called, so none has told it the archive.
            with open_archive(ctx.obj or ctx.find_root().params.get("db")) as archive:
                found = list(find(archive, ctx, incomplete))
        except ExptrackError:
            # An error message would land in the command line that is being completed.
            return []
        return [
            _escape_help(item)
            for item in found
            if item.value.startswith(incomplete) and item.value.isprintable()
        ]

    return complete


def _escape_help(item: CompletionItem) -> CompletionItem:
    """Return an item whose help cannot draw on the terminal, as a table would show it."""
    if item.help is None or item.help.isprintable():
        return item
    # Not before it is needed: the shell waits for the import.
    from exptrack.terminal.console import safe

    return CompletionItem(item.value, type=item.type, help=safe(item.help))


@offering
def complete_run(archive: Archive, _ctx: click.Context, incomplete: str) -> Iterator[CompletionItem]:
    """Offer the newest runs: their short ids, or what begins as the word does of whole ids and names."""
    found = archive.runs().limit(MOST_OFFERED).to_dicts(["run_id", "name", "status"])
    short = archive.shorten_ids([row["run_id"] for row in found])
    for row in found:
        run_id, name = row["run_id"], row["name"] or ""
        yield CompletionItem(short[run_id], help=name or row["status"])
        if incomplete:
            yield CompletionItem(run_id, help=name or row["status"])
            yield CompletionItem(name, help=f"{short[run_id]}, {row['status']}")
    if incomplete:
        yield CompletionItem("latest", help="the run that started last")


def run_argument(name: str = "run", **options: Any) -> Callable[[F], F]:
    """Declare an argument that is a run; the shell completes it."""
    several = "..." if options.get("nargs") == -1 else ""
    metavar = (
        f"{name.upper()}{several}" if not several or options.get("required") else f"[{name.upper()}]{several}"
    )
    return click.argument(name, metavar=metavar, shell_complete=complete_run, **options)


def limit_option(default: int) -> Callable[[F], F]:
    """Declare the option that limits how many records a command shows."""
    return click.option(
        "-n",
        "--limit",
        type=WholeRange(min=1),
        default=default,
        show_default=True,
        metavar="N",
        help="Show at most N.",
    )


where_option = click.option(
    "--where", metavar="FILTER", multiple=True, help="Only runs that match FILTER (repeatable: all must match)."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
named_option = click.option(
    "--run",
    "named",
    metavar="RUN",
    multiple=True,
    shell_complete=complete_run,
    help="Choose RUN (repeatable): an id, a name, or what else means a run.",
)
yes_option = click.option("-y", "--yes", is_flag=True, help="Do not ask.")


def narrow(query: RunQuery, where: Iterable[str]) -> RunQuery:
    """Return a query for the runs that match every one of these filters. Each is read by itself."""
    for one in where:
        query = query.where(one)
    return query


def say_why_empty(query: RunQuery) -> bool:
    """Print why a query has no run, if it has none; whether it has none."""
    why = query.explain_empty()
    if why is None:
        return False
    from exptrack.terminal.console import safe

    click.echo(safe(why))
    return True


def can_ask() -> bool:
    """Whether there is a terminal on which the user can answer."""
    return sys.stdin is not None and sys.stdin.isatty()


def confirm(question: str, yes: bool) -> None:
    """Ask a question and abort the command unless the user agrees; `yes` agrees without asking."""
    if yes:
        return
    if not can_ask():
        raise InvalidValueError(
            "there is no terminal to ask for confirmation; give --yes to go on without a question"
        )
    from exptrack.terminal.console import safe

    click.confirm(safe(question), abort=True, err=True)
