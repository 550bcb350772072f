"""Commands about the file as a whole: SQL, facts, checks; and those that help a newcomer."""

from __future__ import annotations

import csv
import io
import sys
from typing import Any

import click
from click.core import ParameterSource
from click.shell_completion import get_completion_class

from exptrack import Archive, QueryError
from exptrack.cli.command import json_option, main, open_archive, print_json, progress_of_parts

DAMAGED_EXIT = 17
DEMO_FILE = "exptrack-demo.db"


@main.command()
@click.argument("statement")
@click.option(
    "--max-rows", type=click.IntRange(min=1), default=1000, show_default=True, help="At most so many."
)
@click.option("--timeout", type=click.FloatRange(min=0.01), default=30.0, show_default=True, help="Seconds.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
@json_option
@click.pass_obj
def sql(db: str | None, statement: str, max_rows: int, timeout: float, as_csv: bool, as_json: bool) -> None:
    """Ask one SELECT over the views; nothing can be changed by it.

    The views: runs, configs, tags, notes, events, metrics, points, artifacts, artifact_files, inputs, lineage,
    run_storage, studies, trials.

    Example: exptrack sql "SELECT status, count(*) FROM runs GROUP BY status"
    """
    if as_csv and as_json:
        raise click.UsageError("say --csv or --json, not both")
    with open_archive(db) as archive:
        result = archive.sql(statement, max_rows=max_rows, timeout_s=timeout)
    from exptrack import render

    if as_json:
        if len(set(result.columns)) < len(result.columns):
            raise QueryError("two columns have the same name; tell them apart with AS")
        rows = [
            {c: v.hex() if isinstance(v, bytes) else v for c, v in zip(result.columns, row, strict=True)}
            for row in result.rows
        ]
        print_json(dict[str, Any], {"rows": rows, "truncated": result.truncated})
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
@json_option
@click.pass_obj
def info(db: str | None, as_json: bool) -> None:
    """Tell what the file holds: runs, rows, sizes, versions.

    Example: exptrack info
    """
    with open_archive(db) as archive:
        found = archive.info()
    if as_json:
        print_json(Any, found)
        return
    from exptrack import render

    render.info(render.console(), found)


@main.command()
@json_option
@click.pass_obj
def verify(db: str | None, as_json: bool) -> None:
    """Check every checksum in the file.

    Exits with 17 if anything is damaged.

    Example: exptrack verify
    """
    from exptrack import render

    with open_archive(db) as archive, progress_of_parts() as update:
        found = archive.verify(update)
    if as_json:
        print_json(Any, found)
    else:
        render.verified(render.console(), found)
    if not found.ok:
        sys.exit(DAMAGED_EXIT)


@main.command()
@click.argument("path", required=False)
@json_option
@click.pass_context
def demo(ctx: click.Context, path: str | None, as_json: bool) -> None:
    """Train 14 real models, record them, and ask which was best.

    The data are scikit-learn's handwritten digits. Writes to PATH (else to --db, else to exptrack-demo.db
    here), or adds to it. Needs scikit-learn: pip install 'exptrack-archive[demo]'.

    Example: exptrack demo
    """
    from exptrack import render
    from exptrack.demo import EPOCHS, METRIC, QUESTION, configs, run_demo

    if path is None:
        # An archive that only the environment names is the user's own: no place for a demonstration.
        said = ctx.find_root().get_parameter_source("db") is ParameterSource.COMMANDLINE
        path = ctx.obj if said else DEMO_FILE
    if as_json:
        print_json(dict[str, Any], {"path": path, "runs": run_demo(path, lambda *_: None)})
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=render.console(stderr=True)) as bar:
        task = bar.add_task("training on handwritten digits", total=len(configs()) * EPOCHS)
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
        click.echo(f"      exptrack --db {path} artifacts get {found[0][0].run_id} report.txt -o -")
        click.echo(f"      exptrack --db {path} ls --tag mlp")
        click.echo(f"      sqlite3 {path} 'SELECT * FROM runs'")


def _title(words: str) -> None:
    click.echo()
    click.secho(words, dim=True)


@main.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the script by which a shell completes run ids.

    Example: exptrack completion bash >> ~/.bashrc
    """
    kind = get_completion_class(shell)
    assert kind is not None, "click knows the shells it is asked for"
    click.echo(kind(main, {}, "exptrack", "_EXPTRACK_COMPLETE").source())
