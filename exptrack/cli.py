"""The command ``exptrack``: a thin face of the public API.

Invariants: reading commands never create a file. A user's mistake ends in one sentence on stderr and the
error's exit code, never in a traceback. ``--json`` prints one JSON document for programs; without
it, people get tables.
"""

from __future__ import annotations

import csv
import io
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem, get_completion_class

from exptrack import (
    Archive,
    ArchiveReadOnlyError,
    ArchiveTooNewError,
    ExptrackError,
    InvalidValueError,
    QueryError,
    RunFilter,
    RunStatus,
    __version__,
)

DAMAGED_EXIT = 17
INTERRUPTED_EXIT = 130
DEMO_FILE = "exptrack-demo.db"

_F = TypeVar("_F", bound=Callable[..., Any])


class _Commands(click.Group):
    """Lists commands in the order of their definition, and turns errors into sentences."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ExptrackError as error:
            from exptrack.render import safe

            # A message may quote what a file or argument holds: it does not get to steer the terminal.
            click.echo("\n".join(safe(line) for line in f"exptrack: {error}".split("\n")), err=True)
            ctx.exit(error.exit_code)
        except KeyboardInterrupt:
            ctx.exit(INTERRUPTED_EXIT)
        except BrokenPipeError:
            # Whoever read us (head, less) has seen enough; Python must not complain when it flushes.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(0)


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


def _archive(db: str | None, *, writing: bool = False) -> Archive:
    """Open the archive a command works on; reading also works where nothing can be written."""
    try:
        return Archive(db, create=False)
    except (ArchiveReadOnlyError, ArchiveTooNewError):
        if writing:
            raise
        return Archive(db, mode="ro")


def _complete_run(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    try:
        with _archive(ctx.find_root().params.get("db")) as archive:
            found = archive.list_runs(limit=200)
    except ExptrackError:
        # A shell that completes words is no place for an error message.
        return []
    return [CompletionItem(r.run_id, help=r.name or "") for r in found if r.run_id.startswith(incomplete)]


def _run_argument(name: str = "run", **options: Any) -> Callable[[_F], _F]:
    return click.argument(name, metavar=name.upper(), shell_complete=_complete_run, **options)


_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")


def _print_json(kind: Any, value: object) -> None:
    from pydantic import ConfigDict, TypeAdapter

    # Records are plain dataclasses; NaN and the infinities become the texts JSON lacks numbers for.
    text = TypeAdapter(kind).dump_python(value, mode="python")
    click.echo(TypeAdapter(Any, config=ConfigDict(ser_json_inf_nan="strings")).dump_json(text, indent=2))


@main.command()
@click.option("--status", type=click.Choice([str(s) for s in RunStatus]), help="Only runs of this status.")
@click.option("--tag", multiple=True, help="Only runs with this tag (repeatable: with all of them).")
@click.option("--group", help="Only runs of this group.")
@click.option("--after", metavar="WHEN", help="Only runs started at or after this ISO date or time (UTC).")
@click.option("--before", metavar="WHEN", help="Only runs started before it.")
@click.option(
    "-n", "--limit", type=click.IntRange(min=1), default=20, show_default=True, help="At most so many."
)
@_json_option
@click.pass_obj
def ls(
    db: str | None,
    status: str | None,
    tag: Sequence[str],
    group: str | None,
    after: str | None,
    before: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """List runs, newest first.

    Example: exptrack ls --status failed --after 2026-01-31
    """
    wanted = RunFilter.all(after, before)
    for one in tag:
        wanted = wanted.by_tag(one)
    if status is not None:
        wanted = wanted.by_status(status)
    if group is not None:
        wanted = wanted.by_group(group)
    with _archive(db) as archive:
        found = archive.list_runs(wanted, limit=limit)
    if as_json:
        _print_json(list[Any], found)
        return
    from exptrack import render

    render.runs(render.console(), found)


@main.command()
@_run_argument()
@_json_option
@click.pass_obj
def show(db: str | None, run: str, as_json: bool) -> None:
    """Show everything about one run.

    Example: exptrack show 1k3
    """
    with _archive(db) as archive:
        found = archive.show_run(run)
    if as_json:
        _print_json(Any, found)
        return
    from exptrack import render

    render.detail(render.console(), found)


@main.command()
@_run_argument("run_a")
@_run_argument("run_b")
@_json_option
@click.pass_obj
def diff(db: str | None, run_a: str, run_b: str, as_json: bool) -> None:
    """Show what differs between two runs, in config and metrics.

    Example: exptrack diff 1k3f 1k3g
    """
    with _archive(db) as archive:
        found = archive.diff_runs(run_a, run_b)
    if as_json:
        _print_json(Any, found)
        return
    from exptrack import render

    render.diff(render.console(), found)


@main.command()
@click.argument("metric")
@click.option("--max", "direction", flag_value="maximize", help="The greatest value is best.")
@click.option("--min", "direction", flag_value="minimize", help="The least value is best.")
@click.option(
    "--by",
    type=click.Choice(["last", "min", "max"]),
    default="last",
    show_default=True,
    help="Which value of a run counts.",
)
@click.option(
    "-n", "--limit", type=click.IntRange(min=1), default=10, show_default=True, help="At most so many."
)
@_json_option
@click.pass_obj
def best(db: str | None, metric: str, direction: str | None, by: str, limit: int, as_json: bool) -> None:
    """Rank the completed runs by a metric.

    Example: exptrack best val_accuracy --max
    """
    if direction is None:
        raise click.UsageError("say --max or --min")
    with _archive(db) as archive:
        found = archive.best_runs(metric, direction, by=by, limit=limit)
    if as_json:
        _print_json(list[Any], [{"run": run, "value": value} for run, value in found])
        return
    from exptrack import render

    if not found:
        click.echo(f"no completed run has a finite {metric}")
        return
    render.ranking(render.console(), metric, found)


@main.command()
@_run_argument()
@click.argument("tags", nargs=-1, required=True)
@click.option("--remove", is_flag=True, help="Take the tags away instead.")
@_json_option
@click.pass_obj
def tag(db: str | None, run: str, tags: Sequence[str], remove: bool, as_json: bool) -> None:
    """Tag a run, or take tags away.

    Example: exptrack tag 1k3f baseline keep
    """
    with _archive(db, writing=True) as archive:
        found = archive.get_run(run)
        for one in tags:
            if remove:
                found.remove_tag(one)
            else:
                found.add_tag(one)
        _say(as_json, {"run_id": found.run_id, "tags": found.tags}, f"{found.run_id}: {', '.join(found.tags)}")


def _say(as_json: bool, facts: dict[str, Any], words: str) -> None:
    if as_json:
        _print_json(dict[str, Any], facts)
        return
    from exptrack import render

    render.console().print(render.safe(words))


@main.command()
@_run_argument()
@click.argument("text")
@_json_option
@click.pass_obj
def note(db: str | None, run: str, text: str, as_json: bool) -> None:
    """Write a note on a run.

    Example: exptrack note 1k3f "diverged after the learning rate went up"
    """
    with _archive(db, writing=True) as archive:
        found = archive.get_run(run)
        found.add_note(text)
        count = len(found.notes)
    _say(as_json, {"run_id": found.run_id, "notes": count}, f"{found.run_id}: {count} note{'s' * (count != 1)}")


@main.command()
@_run_argument("runs", nargs=-1, required=True)
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@_json_option
@click.pass_obj
def rm(db: str | None, runs: Sequence[str], yes: bool, as_json: bool) -> None:
    """Delete runs with all they hold, and give the space back.

    Artifacts that other runs share stay. There is no way back.

    Example: exptrack rm 1k3f 1k3g
    """
    from exptrack import render

    with _archive(db, writing=True) as archive:
        found = [archive.get_run(run).run_id for run in runs]
        if not yes:
            if not sys.stdin.isatty():
                raise InvalidValueError("nobody can be asked here; --yes deletes without asking")
            click.confirm(f"Delete {', '.join(found)}?", abort=True, err=True)
        report = archive.delete_run(*found)
    words = f"deleted {', '.join(report.runs)}; the file is {render.size(report.file_bytes)} smaller"
    if as_json:
        _print_json(Any, report)
    else:
        click.echo(words)


@main.command()
@click.argument("statement")
@click.option(
    "--max-rows", type=click.IntRange(min=1), default=1000, show_default=True, help="At most so many."
)
@click.option("--timeout", type=click.FloatRange(min=0.01), default=30.0, show_default=True, help="Seconds.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
@_json_option
@click.pass_obj
def sql(db: str | None, statement: str, max_rows: int, timeout: float, as_csv: bool, as_json: bool) -> None:
    """Ask one SELECT over the views; nothing can be changed by it.

    The views: runs, configs, tags, notes, events, metrics, points, artifacts, run_storage, studies, trials.

    Example: exptrack sql "SELECT status, count(*) FROM runs GROUP BY status"
    """
    with _archive(db) as archive:
        result = archive.sql(statement, max_rows=max_rows, timeout_s=timeout)
    from exptrack import render

    if as_json:
        if len(set(result.columns)) < len(result.columns):
            raise QueryError("two columns have the same name; tell them apart with AS")
        rows = [
            {c: v.hex() if isinstance(v, bytes) else v for c, v in zip(result.columns, row, strict=True)}
            for row in result.rows
        ]
        _print_json(dict[str, Any], {"rows": rows, "truncated": result.truncated})
    elif as_csv:
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(result.columns)
        writer.writerows([v.hex() if isinstance(v, bytes) else v for v in row] for row in result.rows)
        # click.echo would take colour codes out of the words; a program gets them as they are.
        sys.stdout.write(out.getvalue())
    else:
        render.sql_result(render.console(), result)
    if result.truncated and (as_csv or as_json):
        click.echo(f"exptrack: more than {max_rows:,} rows; --max-rows shows more", err=True)


@main.command()
@_json_option
@click.pass_obj
def info(db: str | None, as_json: bool) -> None:
    """Tell what the file holds: runs, rows, sizes, versions.

    Example: exptrack info
    """
    with _archive(db) as archive:
        found = archive.info()
    if as_json:
        _print_json(Any, found)
        return
    from exptrack import render

    render.info(render.console(), found)


@main.command()
@_json_option
@click.pass_obj
def verify(db: str | None, as_json: bool) -> None:
    """Check every checksum in the file; exit with 17 if anything is damaged.

    Example: exptrack verify
    """
    from exptrack import render

    with _archive(db) as archive:
        if sys.stderr.isatty() and not as_json:
            from rich.progress import Progress

            with Progress(console=render.console(stderr=True), transient=True) as bar:
                task = bar.add_task("verifying runs", total=None)
                found = archive.verify(lambda done, total: bar.update(task, completed=done, total=total))
        else:
            found = archive.verify()
    if as_json:
        _print_json(Any, found)
    else:
        render.verified(render.console(), found)
    if not found.ok:
        sys.exit(DAMAGED_EXIT)


@main.command()
@click.argument("path", default=DEMO_FILE)
@_json_option
def demo(path: str, as_json: bool) -> None:
    """Train 14 real models on a real data set, record them, and ask which was best.

    Writes to PATH (exptrack-demo.db here), or adds to it. Needs scikit-learn: pip install
    'exptrack-archive[demo]'.

    Example: exptrack demo
    """
    from exptrack import render
    from exptrack.demo import METRIC, QUESTION, run_demo

    if as_json:
        _print_json(dict[str, Any], {"path": path, "runs": run_demo(path, lambda *_: None)})
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=render.console(stderr=True)) as bar:
        task = bar.add_task("training on handwritten digits", total=None)
        made = run_demo(path, lambda done, total, _name: bar.update(task, completed=done, total=total))
    out = render.console()
    with Archive(path) as archive:
        records = [record for record in archive.list_runs() if record.run_id in set(made)]
        _title(f"$ exptrack --db {path} ls")
        render.runs(out, records)
        found = archive.best_runs(METRIC, "maximize", limit=2)
        _title(f"$ exptrack --db {path} best {METRIC} --max -n 2")
        render.ranking(out, METRIC, found)
        _title(f"$ exptrack --db {path} diff {found[1][0].run_id} {found[0][0].run_id}")
        render.diff(out, archive.diff_runs(found[1][0].run_id, found[0][0].run_id))
        _title(f'$ exptrack --db {path} sql "{QUESTION}"')
        render.sql_result(out, archive.sql(QUESTION))
        size = render.size(archive.info().file_bytes)
        click.echo(f"\nEverything, the {len(records)} fitted models included, is in {archive.path} ({size}).")
        click.echo(f"Next: exptrack --db {path} show {found[0][0].run_id}")
        click.echo(f"      exptrack --db {path} ls --tag mlp")
        click.echo(f"      sqlite3 {path} 'SELECT * FROM runs'")


def _title(words: str) -> None:
    click.echo()
    click.secho(words, dim=True)


@main.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the script that makes a shell complete commands and run ids.

    Example: exptrack completion bash >> ~/.bashrc
    """
    kind = get_completion_class(shell)
    assert kind is not None, "click knows the shells it is asked for"
    click.echo(kind(main, {}, "exptrack", "_EXPTRACK_COMPLETE").source())
