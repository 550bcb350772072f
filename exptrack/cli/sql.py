"""Commands for SQL: run a SELECT, and add views for it."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from typing import Any

import click

from exptrack import ExportError, QueryError, SqlResult, own_files
from exptrack.cli.documents import format_option, print_rows
from exptrack.cli.main import (
    FiniteRange,
    WholeRange,
    json_option,
    main,
    open_archive,
)
from exptrack.cli.output import print_json, print_json_or_text
from exptrack.extras import require
from exptrack.new_files import write_new_file
from exptrack.validation import EXACT_INT


@main.command()
@click.argument("statement")
@click.option(
    "--max-rows",
    type=WholeRange(min=1),
    default=1000,
    show_default=True,
    metavar="N",
    help="Show at most N rows.",
)
@click.option(
    "--timeout",
    type=FiniteRange(min=0.01),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="Give up after this time.",
)
@format_option
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV: --format csv.")
@click.option("--parquet", metavar="FILE", help="Write Parquet to the new FILE; - prints it.")
@click.option("--overwrite", is_flag=True, help="With --parquet: replace an existing file.")
@json_option
@click.pass_obj
def sql(
    db: str | None,
    statement: str,
    max_rows: int,
    timeout: float,
    form: str | None,
    as_csv: bool,
    parquet: str | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Run one SELECT over the views; it cannot change anything.

    Views of runs are runs, trash, groups, configs, attributes, tags, notes, events, metrics, points and
    point_times. Views of artifacts are artifacts, artifact_files, artifact_aliases, inputs, lineage and
    run_storage. Views of searches are studies, trials and trial_params. The view page_views has the named
    views of the page, and about describes the file. 'exptrack view' adds others. docs/schema.md explains every
    column.

    Example: exptrack sql "SELECT status, count(*) FROM runs GROUP BY status"
    """
    if (form is not None) + as_csv + as_json + (parquet is not None) > 1:
        raise click.UsageError("give only one of --format, --csv, --json and --parquet")
    form = "csv" if as_csv else form
    if overwrite and parquet is None:
        raise click.UsageError("--overwrite needs --parquet FILE")
    with open_archive(db) as archive:
        if parquet is not None:
            own_files.require_foreign(parquet)
        result = archive.sql(statement, max_rows=max_rows, timeout_s=timeout)
    from exptrack.terminal.archive import print_sql_result
    from exptrack.terminal.console import open_console

    if parquet is not None:
        _write_parquet(result, parquet, overwrite)
    elif as_json:
        _require_distinct(result.columns)
        rows = [
            {c: v.hex() if isinstance(v, bytes) else v for c, v in zip(result.columns, row, strict=True)}
            for row in result.rows
        ]
        print_json({"rows": rows, "truncated": result.truncated})
    elif form is not None:
        shown = ([v.hex() if isinstance(v, bytes) else v for v in row] for row in result.rows)
        print_rows(form, result.columns, shown)
    else:
        print_sql_result(open_console(), result)
    if result.truncated and (form is not None or as_json or parquet is not None):
        click.echo(f"exptrack: more than {max_rows:,} rows; give --max-rows to see more", err=True)


def _require_distinct(columns: Sequence[str]) -> None:
    if len(set(columns)) < len(columns):
        raise QueryError("two columns have the same name; rename one with AS")


def _write_parquet(result: SqlResult, path: str, overwrite: bool) -> None:
    """Write rows as a Parquet file, whole or not at all; an existing file is replaced with `overwrite` only."""
    from exptrack.terminal.console import safe

    pyarrow = require("pyarrow", "Parquet", "media")
    parquet = require("pyarrow.parquet", "Parquet", "media")
    _require_distinct(result.columns)
    cells = [[row[place] for row in result.rows] for place in range(len(result.columns))]
    table = pyarrow.table([_build_parquet_column(column) for column in cells], names=list(result.columns))
    written = io.BytesIO()
    parquet.write_table(table, written)
    if path == "-":
        sys.stdout.buffer.write(written.getvalue())
        return
    try:
        write_new_file(path, written.getvalue(), overwrite=overwrite)
    except FileExistsError:
        raise ExportError(
            f"cannot write {path}: it exists; choose another name, or give --overwrite", path=path
        ) from None
    except OSError as error:
        raise ExportError(f"cannot write {path}: {error.strerror}", path=path) from None
    click.echo(f"{len(result.rows):,} rows written to {safe(path)}", err=True)


def _build_parquet_column(values: Sequence[Any]) -> Any:
    """Build a column of the type that its values share, else of text."""
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
@click.argument("name", required=False)
@click.argument("fields", nargs=-1, metavar="[FIELD]...")
@click.option("--list", "listing", is_flag=True, help="List the added views.")
@click.option("--drop", metavar="NAME", help="Remove the added view NAME.")
@json_option
@click.pass_obj
def view(
    db: str | None, name: str | None, fields: Sequence[str], listing: bool, drop: str | None, as_json: bool
) -> None:
    """Add a view for SQL: a row per run, a column per FIELD.

    FIELD is as in 'exptrack ls'. Every SQLite client can read the view NAME: the sqlite3 shell, Datasette,
    pandas.

    Example: exptrack view sweep config.lr config.seed metrics.acc.max
    """
    ways = [name is not None, listing, drop is not None]
    if sum(ways) != 1:
        raise click.UsageError("give a name with fields, or --list, or --drop NAME")
    if listing:
        with open_archive(db) as archive:
            found = archive.list_views()
        if as_json:
            print_json(found)
            return
        from exptrack.terminal.archive import print_views
        from exptrack.terminal.console import open_console

        print_views(open_console(), found)
    elif drop is not None:
        with open_archive(db, writing=True) as archive:
            archive.drop_view(drop)
        print_json_or_text(as_json, {"dropped": drop}, f"dropped {drop}")
    else:
        if not fields:
            raise click.UsageError("the view has no fields; give at least one")
        with open_archive(db, writing=True) as archive:
            made = archive.create_view(str(name), fields)
        facts = {"name": made.name, "columns": list(made.columns)}
        print_json_or_text(as_json, facts, f"view {made.name}: {', '.join(made.columns)}")
