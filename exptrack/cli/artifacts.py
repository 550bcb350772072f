"""Commands for artifacts: list, get, put, name, remove, measure, clean up; trace their lineage."""

from __future__ import annotations

import io
import os
import shutil
import sys
from typing import Any, BinaryIO

import click

from exptrack import Artifact, ArtifactStore, ExpConfig, InvalidValueError
from exptrack.cli.complete import complete_artifact, complete_metric
from exptrack.cli.main import (
    FILE,
    WholeNumber,
    WholeRange,
    complete_run,
    confirm,
    json_option,
    limit_option,
    main,
    open_archive,
    run_argument,
    yes_option,
)
from exptrack.cli.output import print_json, print_json_or_text, show_progress, show_status
from exptrack.cli.shown import shorten_ids

max_option = click.option("--max", "direction", flag_value="maximize", help="The greatest value is the best.")
min_option = click.option("--min", "direction", flag_value="minimize", help="The least value is the best.")
version_option = click.option("--version", type=WholeRange(min=1), metavar="N", help="Only version N.")


@main.group()
def artifacts() -> None:
    """List, get, put and remove the artifacts of runs.

    NAME is the name under which an artifact was stored. Storing under the same name again adds a version. For
    reading, NAME may end with :v2, :latest or an alias, as model:best.
    """


@artifacts.command()
@run_argument()
@click.option(
    "--files",
    "name",
    metavar="NAME",
    shell_complete=complete_artifact,
    help="List the files in the folder NAME.",
)
@click.option("--version", type=WholeRange(min=1), metavar="N", help="With --files: version N of the folder.")
@click.option(
    "--by", "metric", metavar="METRIC", shell_complete=complete_metric, help="Judge checkpoints by this metric."
)
@max_option
@min_option
@json_option
@click.pass_obj
def ls(
    db: str | None,
    run: str,
    name: str | None,
    version: int | None,
    metric: str | None,
    direction: str | None,
    as_json: bool,
) -> None:
    """List all versions of a run's artifacts, or the files in a folder.

    A checkpoint shows the value of a metric at its step, and * marks the best of its name. The metric is one of
    validation data, if --by names no other.

    --files takes an artifact that is a folder. Without --version it lists the newest version.

    Example: exptrack artifacts ls 1k3f --by val_loss
    """
    from exptrack.terminal.artifacts import print_artifacts, print_folder
    from exptrack.terminal.console import open_console

    if version is not None and name is None:
        raise click.UsageError("--version needs --files")
    if name is not None and (metric is not None or direction is not None):
        raise click.UsageError("--files lists no checkpoints; leave out --by, --max and --min")
    if direction is not None and metric is None:
        raise click.UsageError("--max and --min need --by METRIC")
    with open_archive(db) as archive:
        store = archive.artifacts(run)
        found: list[Any] = store.list_artifacts() if name is None else store.list_files(name, version)
        judged = store.list_checkpoints(metric, direction) if name is None else None
        if name is not None and not found:
            folder = store.get_artifact(name, version)
            if folder is None or not folder.is_folder:
                raise InvalidValueError(
                    f"artifact {name!r} of run {store.run_id} is not a folder; omit --files"
                )
    if as_json:
        print_json(found if judged is None or metric is None else judged)
    elif name is None:
        print_artifacts(open_console(), found, judged=judged)
    else:
        print_folder(open_console(), found)


@artifacts.command()
@run_argument()
@click.argument("name", required=False, shell_complete=complete_artifact)
@click.option(
    "-o", "--output", metavar="PATH", help="Write to PATH; - prints it (default: its name, in this folder)."
)
@click.option("--file", metavar="PATH", help="Only this file of a folder.")
@click.option("--all", "everything", is_flag=True, help="Every artifact of the run, into the new folder -o.")
@click.option("--overwrite", is_flag=True, help="Replace an existing file.")
@version_option
@click.option("--step", type=WholeNumber(), metavar="N", help="The checkpoint of step N.")
@click.option(
    "--best",
    metavar="METRIC",
    shell_complete=complete_metric,
    help="The best checkpoint by this metric at its step.",
)
@max_option
@min_option
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
    step: int | None,
    best: str | None,
    direction: str | None,
    as_json: bool,
) -> None:
    """Write an artifact to a file or folder, and check every byte.

    --step and --best choose among the checkpoints of NAME. --max or --min is needed only if the name of the
    metric does not tell which value is better.

    Example: exptrack artifacts get 1k3f model.pt --best val_loss --min -o best.pt
    """
    choices = [one for one in (version, step, best) if one is not None]
    if len(choices) > 1:
        raise click.UsageError("give only one of --version, --step and --best")
    if direction is not None and best is None:
        raise click.UsageError("--max and --min need --best METRIC")
    if everything != (name is None):
        raise click.UsageError("give the NAME of one artifact, or --all")
    if everything and (output in (None, "-") or choices or file is not None):
        raise click.UsageError("--all needs -o FOLDER, and takes neither --version nor --file, --step, --best")
    if output == "-" and as_json:
        raise click.UsageError("-o - prints the artifact itself; leave out --json")
    with open_archive(db) as archive, show_progress("writing") as update:
        store = archive.artifacts(run)
        told = ""
        if name is not None and (step is not None or best is not None):
            chosen = store.get_checkpoint(name, step=step, best=best, direction=direction)
            version, told = chosen.version, f"{name} of step {chosen.step}, version {chosen.version}, "
            if best is not None:
                told += _tell_value(store, chosen, best, direction)
        if output == "-" and name is not None:
            folder = store.get_artifact(name, version) if file is None else None
            if folder is not None and folder.is_folder:
                raise InvalidValueError(f"artifact {name!r} is a folder; print one of its files with --file")
            with store.open(name, version, file=file) as content:
                if sys.stdout.isatty():
                    _print_text(content, file or name)
                else:
                    shutil.copyfileobj(content, sys.stdout.buffer)
            return
        if name is None:
            place = store.export_all(str(output), progress=update)
        else:
            target = output or os.curdir
            place = store.export(name, target, version, file=file, overwrite=overwrite, progress=update)
    print_json_or_text(as_json, {"path": str(place)}, f"{told}written to {place}")


def _tell_value(store: ArtifactStore, chosen: Artifact, metric: str, direction: str | None) -> str:
    """Say which value of a metric a checkpoint was chosen for."""
    from exptrack.terminal.console import format_number

    found = store.list_checkpoints(metric, direction).checkpoints
    values = {(one.artifact.name, one.artifact.version): one.value for one in found}
    return f"{metric} {format_number(values.get((chosen.name, chosen.version)))}, "


def _print_text(content: BinaryIO, name: str) -> None:
    """Print text to a terminal, with control characters escaped."""
    from exptrack.terminal.console import safe

    try:
        for line in io.TextIOWrapper(content, "utf-8"):
            click.echo(safe(line.rstrip("\n").expandtabs()))
    except UnicodeDecodeError:
        raise InvalidValueError(f"{name!r} is not text; write it with -o FILE, or pipe it") from None


@artifacts.command()
@run_argument()
@click.argument("path", type=FILE)
@click.option("--name", help="Store under this name (default: the last part of PATH).")
@click.option("--step", type=WholeNumber(), help="Store as the checkpoint of this step.")
@click.option("--meta", metavar="KEY=VALUE", multiple=True, help="Add this metadata (repeatable).")
@click.option("--kind", help="Store it as this kind, such as model.")
@click.option("--alias", "aliases", metavar="ALIAS", multiple=True, help="Move this alias to it (repeatable).")
@click.option("--description", help="Describe it.")
@json_option
@click.pass_obj
def put(
    db: str | None,
    run: str,
    path: str,
    name: str | None,
    step: int | None,
    meta: tuple[str, ...],
    kind: str | None,
    aliases: tuple[str, ...],
    description: str | None,
    as_json: bool,
) -> None:
    """Store a file or a folder with a run.

    PATH may be - for standard input, which needs --name.

    Example: exptrack artifacts put 1k3f model.npz --meta epochs=20
    """
    facts = ExpConfig.empty()
    for one in meta:
        key, equals, value = one.partition("=")
        if not equals or not key:
            raise InvalidValueError(f"metadata is written KEY=VALUE, not {one!r}")
        facts = facts.with_override(key, value)
    if path == "-" and (name is None or step is not None):
        raise click.UsageError("standard input needs --name, and does not go with --step")
    stored = os.path.basename(os.path.abspath(path)) if name is None else name
    said: dict[str, Any] = {"metadata": facts.values, "aliases": aliases, "description": description}
    if kind is not None:
        said["kind"] = kind
    with open_archive(db, writing=True) as archive, show_progress("storing") as update:
        store = archive.artifacts(run)
        if path == "-":
            digest = store.register_data(stored, _open_input(), **said)
        elif step is not None:
            digest = store.register_checkpoint(stored, path, step, **said, progress=update)
        elif os.path.isdir(path):
            digest = store.register_dir(stored, path, **said, progress=update)
        else:
            digest = store.register_file(stored, path, **said, progress=update)
        found = store.get_artifact(stored)
    assert found is not None, "it was registered just now"
    record = {"run_id": found.run_id, "name": stored, "version": found.version, "hash": digest}
    print_json_or_text(as_json, record, f"{found.run_id}: {stored} version {found.version}, {digest}")


def _open_input() -> BinaryIO:
    if sys.stdin is None:
        raise InvalidValueError("there is no standard input to read; give the PATH of a file")
    return sys.stdin.buffer


@artifacts.command()
@run_argument()
@click.argument("name", shell_complete=complete_artifact)
@click.argument("word", metavar="ALIAS")
@click.option("--version", type=WholeRange(min=1), metavar="N", help="Name version N (default: the newest).")
@click.option("--remove", is_flag=True, help="Remove the alias; the version stays.")
@json_option
@click.pass_obj
def alias(
    db: str | None, run: str, name: str, word: str, version: int | None, remove: bool, as_json: bool
) -> None:
    """Let an alias, such as best, name a version of an artifact.

    The alias moves to that version. NAME:ALIAS then stands for it in 'artifacts get' and in 'artifacts ls
    --files'.

    Example: exptrack artifacts alias 1k3f model best --version 3
    """
    if remove and version is not None:
        raise click.UsageError("--version does not go with --remove")
    with open_archive(db, writing=True) as archive:
        store = archive.artifacts(run)
        if remove:
            store.remove_alias(name, word)
            record: dict[str, Any] = {"run_id": store.run_id, "name": name, "alias": word, "version": None}
            print_json_or_text(as_json, record, f"{store.run_id}: {name}:{word} is removed")
            return
        store.set_alias(name, word, version)
        found = store.get_artifact(f"{name}:{word}")
    assert found is not None, "it was named just now"
    record = {"run_id": store.run_id, "name": name, "alias": word, "version": found.version}
    print_json_or_text(as_json, record, f"{store.run_id}: {name}:{word} is version {found.version}")


@artifacts.command()
@run_argument()
@click.argument("name", shell_complete=complete_artifact)
@version_option
@click.option("--keep-last", type=WholeRange(min=1), metavar="N", help="Keep the newest N versions.")
@click.option("--keep-best", type=WholeRange(min=1), metavar="N", help="Keep the N best versions; needs --by.")
@click.option(
    "--by", metavar="METRIC", shell_complete=complete_metric, help="Rank versions by this metric at their step."
)
@click.option("--max", "direction", flag_value="maximize", help="With --by: the greatest value is the best.")
@click.option("--min", "direction", flag_value="minimize", help="With --by: the least value is the best.")
@yes_option
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

    Bytes that other artifacts share stay; the space of the rest is freed. This cannot be undone.

    Example: exptrack artifacts rm 1k3f model.pt --keep-last 1 --keep-best 3 --by val_loss --min
    """
    from exptrack.terminal.artifacts import format_spans
    from exptrack.terminal.console import format_size

    keeping = keep_last is not None or keep_best is not None
    if keeping and version is not None:
        raise click.UsageError("--version does not go with --keep-last or --keep-best")
    if (keep_best is None) != (by is None) or (by is None) != (direction is None):
        raise click.UsageError("--keep-best needs --by METRIC and --max or --min")
    with open_archive(db, writing=True) as archive:
        store = archive.artifacts(run)
        what = name if version is None else f"{name} version {version}"
        question = f"Remove {'versions of ' * keeping}{what} of run {store.run_id}?"
        confirm(question, yes)
        if keeping:
            report = store.keep(name, last=keep_last, best=keep_best, metric=by, direction=direction)
        else:
            report = store.remove(name, version)
    if as_json:
        print_json(report)
        return
    if not report.versions:
        click.echo("nothing to remove")
        return
    gone, freed = format_spans(report.versions), format_size(report.file_bytes)
    click.echo(f"removed versions: {gone}; the file is {freed} smaller")


@artifacts.command()
@limit_option(20)
@json_option
@click.pass_obj
def du(db: str | None, limit: int, as_json: bool) -> None:
    """Show the space that the artifacts of each run take, largest first.

    Stored is the space in the file: the run's own, and shared with other runs. Content is the size without
    compression and sharing.

    Example: exptrack artifacts du
    """
    with open_archive(db) as archive:
        found, facts = archive.storage(), archive.info()
        if as_json:
            print_json(found[:limit])
            return
        from exptrack.terminal.artifacts import print_storage
        from exptrack.terminal.console import open_console

        out = open_console()
        ids = shorten_ids(out, archive, (one.run_id for one in found[:limit]))
    print_storage(out, found[:limit], len(found), facts, ids)


@artifacts.command()
@json_option
@click.pass_obj
def gc(db: str | None, as_json: bool) -> None:
    """Remove bytes that no artifact uses, and free the space.

    Deleting runs and artifacts already does this; gc also removes the bytes that killed processes left. The
    space is freed in slices (SQLite's incremental vacuum), so that other processes can write in between.

    Example: exptrack artifacts gc
    """
    from exptrack.terminal.console import format_size

    with open_archive(db, writing=True) as archive, show_status("removing unused bytes"):
        report = archive.gc_artifacts()
    if as_json:
        print_json(report)
        return
    words = "nothing to remove"
    if report.blobs or report.chunks:
        words = f"removed {report.blobs:,} blobs, {report.chunks:,} chunks, {format_size(report.stored_bytes)}"
    click.echo(f"{words}; the file is {format_size(report.file_bytes)} smaller")


@main.command()
@click.argument("subject", metavar="RUN|HASH|DATA", shell_complete=complete_run)
@json_option
@click.pass_obj
def lineage(db: str | None, subject: str, as_json: bool) -> None:
    """Trace a run, an artifact or data: origins and results.

    HASH is the hash of an artifact, sha256:…, or its first digits. DATA is the name or the path of data that
    runs declared, or the digest of its file.

    Example: exptrack lineage 1k3f
    """
    with open_archive(db) as archive:
        found = archive.lineage(subject)
    if as_json:
        print_json(found)
        return
    from exptrack.terminal.artifacts import print_lineage
    from exptrack.terminal.console import open_console

    print_lineage(open_console(), found)
