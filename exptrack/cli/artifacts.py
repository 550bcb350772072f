"""Commands about artifacts: list, get, put, remove, retain, measure, collect; and what was made from what."""

from __future__ import annotations

import io
import os
import shutil
import sys
from typing import Any, BinaryIO

import click

from exptrack import ExpConfig, InvalidValueError
from exptrack.cli.command import (
    ask,
    complete_run,
    json_option,
    main,
    open_archive,
    print_json,
    progress,
    run_argument,
    say,
    working,
)

version_option = click.option("--version", type=click.IntRange(min=1), metavar="N", help="Only this version.")


@main.group()
def artifacts() -> None:
    """List, get, put and remove what runs have stored.

    NAME is the name an artifact was registered under; the same name registered again is a new version.
    """


@artifacts.command()
@run_argument()
@click.option("--files", "name", metavar="NAME", help="List what the folder NAME holds.")
@click.option("--version", type=click.IntRange(min=1), metavar="N", help="Of the folder this version.")
@json_option
@click.pass_obj
def ls(db: str | None, run: str, name: str | None, version: int | None, as_json: bool) -> None:
    """List a run's artifacts, every version, or the files of one.

    --files is for artifacts that are folders, and without --version lists the newest.

    Example: exptrack artifacts ls 1k3f
    """
    from exptrack.terminal import console as render

    if version is not None and name is None:
        raise click.UsageError("--version goes with --files")
    with open_archive(db) as archive:
        store = archive.artifacts(run)
        found: list[Any] = store.list_artifacts() if name is None else store.list_files(name, version)
        if name is not None and not found:
            folder = store.get_artifact(name, version)
            if folder is None or not folder.is_folder:
                raise InvalidValueError(f"artifact {name!r} of run {store.run_id} is no folder")
    if as_json:
        print_json(list[Any], found)
    elif name is None:
        render.artifacts(render.console(), found)
    else:
        render.folder(render.console(), found)


@artifacts.command()
@run_argument()
@click.argument("name", required=False)
@click.option("-o", "--output", metavar="PATH", help="Where to; - prints it (default: its name, here).")
@click.option("--file", metavar="PATH", help="Only this file of an artifact that is a folder.")
@click.option("--all", "everything", is_flag=True, help="Every artifact of the run, into the new folder -o.")
@click.option("--overwrite", is_flag=True, help="Replace a file that is there.")
@version_option
@json_option
@click.pass_obj
def get(
    db: str | None,
    run: str,
    name: str | None,
    output: str | None,
    file: str | None,
    everything: bool,
    overwrite: bool,
    version: int | None,
    as_json: bool,
) -> None:
    """Write an artifact to a file or folder, every byte checked.

    Example: exptrack artifacts get 1k3f model.npz -o best.npz
    """
    if everything != (name is None):
        raise click.UsageError("name one artifact, or say --all")
    if everything and (output in (None, "-") or version is not None or file is not None):
        raise click.UsageError("--all goes with -o FOLDER, and with neither --version nor --file")
    with open_archive(db) as archive, progress("writing") as update:
        store = archive.artifacts(run)
        if output == "-" and name is not None:
            folder = store.get_artifact(name, version) if file is None else None
            if folder is not None and folder.is_folder:
                raise InvalidValueError(f"artifact {name!r} is a folder; --file names a file of it to print")
            with store.open(name, version, file=file) as content:
                if sys.stdout.isatty():
                    _show(content, file or name)
                else:
                    shutil.copyfileobj(content, sys.stdout.buffer)
            return
        if name is None:
            place = store.export_all(str(output), progress=update)
        else:
            target = output or os.curdir
            place = store.export(name, target, version, file=file, overwrite=overwrite, progress=update)
    say(as_json, {"path": str(place)}, f"written to {place}")


def _show(content: BinaryIO, name: str) -> None:
    """Print text to a person; what else there may be does not get to steer the terminal."""
    from exptrack.terminal import console as render

    try:
        for line in io.TextIOWrapper(content, "utf-8"):
            click.echo(render.safe(line.rstrip("\n").expandtabs()))
    except UnicodeDecodeError:
        raise InvalidValueError(f"{name!r} is not text: -o FILE writes it, a pipe takes it") from None


@artifacts.command()
@run_argument()
@click.argument("path", type=click.Path())
@click.option("--name", help="The name to store it under (default: the last part of PATH).")
@click.option("--step", type=int, help="It is a checkpoint, taken at this step.")
@click.option("--meta", metavar="KEY=VALUE", multiple=True, help="A fact about it (repeatable).")
@json_option
@click.pass_obj
def put(
    db: str | None,
    run: str,
    path: str,
    name: str | None,
    step: int | None,
    meta: tuple[str, ...],
    as_json: bool,
) -> None:
    """Store a file or a folder with a run.

    The PATH - is standard input, which needs --name.

    Example: exptrack artifacts put 1k3f model.npz --meta epochs=20
    """
    facts = ExpConfig.empty()
    for one in meta:
        key, equals, value = one.partition("=")
        if not equals or not key:
            raise InvalidValueError(f"a fact is written key=value, not {one!r}")
        facts = facts.with_override(key, value)
    if path == "-" and (name is None or step is not None):
        raise click.UsageError("standard input needs --name, and is no checkpoint")
    stored = os.path.basename(os.path.abspath(path)) if name is None else name
    with open_archive(db, writing=True) as archive, progress("storing") as update:
        store = archive.artifacts(run)
        if path == "-":
            digest = store.register_data(stored, sys.stdin.buffer, facts.values)
        elif step is not None:
            digest = store.register_checkpoint(stored, path, step, facts.values, progress=update)
        elif os.path.isdir(path):
            digest = store.register_dir(stored, path, facts.values, progress=update)
        else:
            digest = store.register_file(stored, path, facts.values, progress=update)
        found = store.get_artifact(stored)
    assert found is not None, "it was registered just now"
    said = {"run_id": found.run_id, "name": stored, "version": found.version, "hash": digest}
    say(as_json, said, f"{found.run_id}: {stored} version {found.version}, {digest}")


@artifacts.command()
@run_argument()
@click.argument("name")
@version_option
@click.option("--keep-last", type=click.IntRange(min=1), metavar="N", help="Keep the newest N versions.")
@click.option("--keep-best", type=click.IntRange(min=1), metavar="N", help="Keep the N best by --by.")
@click.option("--by", metavar="METRIC", help="The metric, at a version's step, that says what is best.")
@click.option("--max", "direction", flag_value="maximize", help="Its greatest value is best.")
@click.option("--min", "direction", flag_value="minimize", help="Its least value is best.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@json_option
@click.pass_obj
def rm(
    db: str | None,
    run: str,
    name: str,
    version: int | None,
    keep_last: int | None,
    keep_best: int | None,
    by: str | None,
    direction: str | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Remove an artifact, or some of its versions.

    What other artifacts share stays; the space of the rest goes back to the file system. There is no way back.

    Example: exptrack artifacts rm 1k3f model.pt --keep-last 1 --keep-best 3 --by val_loss --min
    """
    from exptrack.terminal import console as render

    keeping = keep_last is not None or keep_best is not None
    if keeping and version is not None:
        raise click.UsageError("either --version, or what to keep")
    if (keep_best is None) != (by is None) or (by is None) != (direction is None):
        raise click.UsageError("--keep-best goes with --by METRIC and --max or --min")
    with open_archive(db, writing=True) as archive:
        store = archive.artifacts(run)
        what = name if version is None else f"{name} version {version}"
        question = f"Remove {'versions of ' * keeping}{what} of run {store.run_id}?"
        ask(question, yes)
        if keeping:
            report = store.keep(name, last=keep_last, best=keep_best, metric=by, direction=direction)
        else:
            report = store.remove(name, version)
    if as_json:
        print_json(Any, report)
        return
    if not report.versions:
        click.echo("nothing to remove")
        return
    gone, freed = render.spans(report.versions), render.size(report.file_bytes)
    click.echo(f"removed versions: {gone}; the file is {freed} smaller")


@artifacts.command()
@click.option(
    "-n", "--limit", type=click.IntRange(min=1), default=20, show_default=True, help="At most so many."
)
@json_option
@click.pass_obj
def du(db: str | None, limit: int, as_json: bool) -> None:
    """Show what the artifacts of each run take, and what they share.

    The largest first. What is stored is its own or shared with other runs; content is what it would take
    uncompressed and without sharing.

    Example: exptrack artifacts du
    """
    with open_archive(db) as archive:
        found, facts = archive.storage(), archive.info()
    if as_json:
        print_json(list[Any], found[:limit])
        return
    from exptrack.terminal import console as render

    render.storage(render.console(), found[:limit], len(found), facts)


@artifacts.command()
@json_option
@click.pass_obj
def gc(db: str | None, as_json: bool) -> None:
    """Collect what no artifact names any more; give the space back.

    Removing runs and artifacts does so by itself; this also finds what killed processes left. Space goes back
    by SQLite's incremental vacuum, a slice at a time beside other writers.

    Example: exptrack artifacts gc
    """
    from exptrack.terminal import console as render

    with open_archive(db, writing=True) as archive, working("collecting"):
        report = archive.gc_artifacts()
    if as_json:
        print_json(Any, report)
        return
    words = "nothing to collect"
    if report.blobs or report.chunks:
        words = (
            f"collected {report.blobs:,} blobs, {report.chunks:,} chunks, {render.size(report.stored_bytes)}"
        )
    click.echo(f"{words}; the file is {render.size(report.file_bytes)} smaller")


@main.command()
@click.argument("subject", metavar="RUN|HASH", shell_complete=complete_run)
@json_option
@click.pass_obj
def lineage(db: str | None, subject: str, as_json: bool) -> None:
    """Show what a run or artifact was made from, and what it led to.

    HASH is an artifact's hash, sha256:…, or its first digits.

    Example: exptrack lineage 1k3f
    """
    with open_archive(db) as archive:
        found = archive.lineage(subject)
    if as_json:
        print_json(Any, found)
        return
    from exptrack.terminal import console as render

    render.lineage(render.console(), found)
