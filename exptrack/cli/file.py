"""Commands about the file as a whole: SQL, facts, checks; and those that help a newcomer."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import click
from click.core import ParameterSource
from click.shell_completion import get_completion_class

from exptrack import Archive, ExportError, QueryError, SqlResult
from exptrack.cli.command import json_option, main, open_archive, print_csv, print_json, progress_of_parts
from exptrack.extras import require

DAMAGED_EXIT = 17
EXACT_INT = 2**53  # larger ones are not themselves as a float
DEMO_FILE = "exptrack-demo.db"


@main.command()
@click.argument("statement")
@click.option(
    "--max-rows", type=click.IntRange(min=1), default=1000, show_default=True, help="At most so many."
)
@click.option("--timeout", type=click.FloatRange(min=0.01), default=30.0, show_default=True, help="Seconds.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
@click.option("--parquet", metavar="FILE", help="Write Parquet to FILE; - prints it.")
@json_option
@click.pass_obj
def sql(
    db: str | None,
    statement: str,
    max_rows: int,
    timeout: float,
    as_csv: bool,
    parquet: str | None,
    as_json: bool,
) -> None:
    """Ask one SELECT over the views; nothing can be changed by it.

    The views: runs, configs, tags, notes, events, metrics, points, artifacts, artifact_files, inputs, lineage,
    run_storage, studies, trials, trial_params, and those added by 'exptrack view'. docs/schema.md explains each
    column.

    Example: exptrack sql "SELECT status, count(*) FROM runs GROUP BY status"
    """
    if as_csv + as_json + (parquet is not None) > 1:
        raise click.UsageError("say --csv, --json or --parquet, only one of them")
    with open_archive(db) as archive:
        result = archive.sql(statement, max_rows=max_rows, timeout_s=timeout)
    from exptrack.terminal import console as render

    if parquet is not None:
        _write_parquet(result, parquet)
    elif as_json:
        _require_distinct(result.columns)
        rows = [
            {c: v.hex() if isinstance(v, bytes) else v for c, v in zip(result.columns, row, strict=True)}
            for row in result.rows
        ]
        print_json(dict[str, Any], {"rows": rows, "truncated": result.truncated})
    elif as_csv:
        shown = ([v.hex() if isinstance(v, bytes) else v for v in row] for row in result.rows)
        print_csv(result.columns, shown)
    else:
        render.sql_result(render.console(), result)
    if result.truncated and (as_csv or as_json or parquet is not None):
        click.echo(f"exptrack: more than {max_rows:,} rows; --max-rows shows more", err=True)


def _require_distinct(columns: Sequence[str]) -> None:
    if len(set(columns)) < len(columns):
        raise QueryError("two columns have the same name; tell them apart with AS")


def _write_parquet(result: SqlResult, path: str) -> None:
    """Write rows as a Parquet file: whole or not at all."""
    pyarrow = require("pyarrow", "Parquet", "media")
    parquet = require("pyarrow.parquet", "Parquet", "media")
    _require_distinct(result.columns)
    cells = [[row[place] for row in result.rows] for place in range(len(result.columns))]
    table = pyarrow.table([_parquet_column(column) for column in cells], names=list(result.columns))
    written = io.BytesIO()
    parquet.write_table(table, written)
    if path == "-":
        sys.stdout.buffer.write(written.getvalue())
        return
    beside = f"{path}.writing"
    try:
        with open(beside, "wb") as file:
            file.write(written.getvalue())
        os.replace(beside, path)
    except OSError as error:
        with suppress(OSError):
            os.remove(beside)
        raise ExportError(f"cannot write {path}: {error.strerror}", path=path) from None
    click.echo(f"{len(result.rows):,} rows written to {path}", err=True)


def _parquet_column(values: Sequence[Any]) -> Any:
    """A column of one type: that of its values where they share one, else text."""
    import pyarrow

    kinds = {type(value) for value in values if value is not None}
    for kind, parquet_type in ((int, pyarrow.int64()), (float, pyarrow.float64()), (bytes, pyarrow.binary())):
        if kinds == {kind}:
            return pyarrow.array(values, parquet_type)
    exact = all(abs(value) <= EXACT_INT for value in values if isinstance(value, int))
    if kinds == {int, float} and exact:
        return pyarrow.array([None if value is None else float(value) for value in values], pyarrow.float64())
    texts = [
        value.hex() if isinstance(value, bytes) else None if value is None else str(value) for value in values
    ]
    return pyarrow.array(texts, pyarrow.string())


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
    from exptrack.terminal import console as render

    render.info(render.console(), found)


@main.command()
@json_option
@click.pass_obj
def verify(db: str | None, as_json: bool) -> None:
    """Check every checksum in the file.

    Exits with 17 if anything is damaged.

    Example: exptrack verify
    """
    from exptrack.terminal import console as render

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
    from exptrack.cli.demo import EPOCHS, METRIC, QUESTION, configs, run_demo
    from exptrack.terminal import console as render

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
