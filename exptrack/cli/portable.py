"""Commands that make one archive of another: a copy, a sealed file, or several merged into one."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import click

from exptrack import ArchiveNotFoundError, ExptrackError, NotFoundError
from exptrack.cli.main import (
    DAMAGED_EXIT,
    FILE,
    json_option,
    main,
    open_archive,
    run_argument,
    where_option,
)
from exptrack.cli.output import (
    print_json,
    print_json_or_text,
    show_progress,
    show_progress_of_parts,
    show_status,
)
from exptrack.cli.streams import keep_working

if TYPE_CHECKING:
    from exptrack import Archive

DIFFERS_EXIT = 1  # as of diff and cmp


@main.command()
@click.argument("out", type=FILE)
@json_option
@click.pass_obj
def snapshot(db: str | None, out: str, as_json: bool) -> None:
    """Copy the archive to the file OUT, also while runs write.

    OUT holds everything of one moment, in one file. Never copy an archive with cp while runs write: such a copy
    lacks what is in its -wal file.

    Example: exptrack snapshot backup.db
    """
    from exptrack.terminal.console import format_size, safe

    with open_archive(db) as archive, show_progress("copying") as update:
        report = archive.backup(out, progress=update)
    for journal in report.waiting:
        click.echo(f"exptrack: the points in {safe(journal)} are not in the copy", err=True)
    if as_json:
        print_json(report)
    else:
        click.echo(f"copied to {safe(out)} ({format_size(report.file_bytes)})")


@main.command()
@click.argument("out", type=FILE)
@click.option("--snapshot", "as_snapshot", is_flag=True, help="Take runs that are running as they are.")
@json_option
@click.pass_obj
def pack(db: str | None, out: str, as_snapshot: bool, as_json: bool) -> None:
    """Seal a copy of the archive in the new file OUT.

    OUT is to be published or sent. exptrack verifies all of it first, and never writes it again. Every SQLite
    program opens it, also on a read-only medium. 'exptrack verify OUT' proves that it is unchanged. 'exptrack
    unpack' makes an archive of it that can be written. Runs in the trash are in OUT too.

    The last line printed is the SHA-256 of the file. Send it by another way than the file.

    Example: exptrack pack paper.db
    """
    from exptrack.terminal.console import open_console, safe
    from exptrack.terminal.portable import print_packed

    with open_archive(db) as archive, show_progress_of_parts() as update:
        report = archive.pack(out, snapshot=as_snapshot, progress=update)
    for journal in report.waiting:
        click.echo(f"exptrack: the points in {safe(journal)} are not in the file", err=True)
    if as_json:
        print_json(report)
    else:
        print_packed(open_console(), report, out)


@main.command()
@click.argument("packed", type=FILE)
@click.argument("out", type=FILE)
@json_option
def unpack(packed: str, out: str, as_json: bool) -> None:
    """Make an archive of a sealed file.

    OUT is the new archive, which can be written. PACKED stays as it is. Its seal is proved first; if it does
    not hold, OUT is not made.

    Example: exptrack unpack paper.db lab.db
    """
    from exptrack import unpack as make_living
    from exptrack.terminal.console import open_console
    from exptrack.terminal.portable import print_unpacked

    with show_progress_of_parts() as update:
        report = make_living(packed, out, progress=update)
    if as_json:
        print_json(report)
    else:
        print_unpacked(open_console(), report, out)


@main.command()
@click.argument("out", type=FILE)
@click.argument("sources", nargs=-1, required=True, metavar="IN...", type=FILE)
@click.option("--dry-run", is_flag=True, help="Only say what the merge would do.")
@click.option("--remove", is_flag=True, help="Then remove merged files from a spool.")
@json_option
def merge(out: str, sources: tuple[str, ...], dry_run: bool, remove: bool, as_json: bool) -> None:
    """Bring runs and studies of other archives into OUT.

    The command makes OUT if it is missing. It does not change the files IN, which may be in use. You may merge
    a file again: that brings only what is new in it. A folder stands for the archives in it, such as a spool.

    --remove is for a folder that was a spool: it removes the files there of which OUT holds everything.

    The exit code is 17 if something was left out, because it is damaged or cannot be read.

    Example: exptrack merge all.db node1.db node2.db
    """
    from exptrack.terminal.console import open_console
    from exptrack.terminal.portable import print_merged

    if remove and not any(map(os.path.isdir, sources)):
        raise click.UsageError("--remove clears a spool; give its folder, not the files in it")
    with _open_target(out, dry_run) as archive, show_progress_of_parts() as update:
        report = archive.merge(*sources, dry_run=dry_run, remove=remove, progress=update)
    with keep_working():  # a reader that leaves early does not turn what was left out into success
        if as_json:
            print_json(report)
        else:
            print_merged(open_console(), report, out)
        if not report.ok:
            sys.exit(DAMAGED_EXIT)


@main.command()
@click.argument("out", type=FILE)
@run_argument("runs", nargs=-1)
@where_option
@click.option("--study", metavar="NAME", help="Take the study NAME and the runs of its trials.")
@click.option("--with-inputs", is_flag=True, help="Add the runs that made the artifacts which these used.")
@json_option
@click.pass_obj
def extract(
    db: str | None,
    out: str,
    runs: tuple[str, ...],
    where: tuple[str, ...],
    study: str | None,
    with_inputs: bool,
    as_json: bool,
) -> None:
    """Copy some runs to the new archive OUT.

    Name the RUNS, or find them by --where or --study. Their artifacts come along, and so does each study of
    which one of them is a trial. If no run matches, OUT is not made. The exit code is 17 if a run was left out
    because it is damaged.

    Example: exptrack extract paper.db --where "tag = 'paper'"
    """
    from exptrack.terminal.console import open_console
    from exptrack.terminal.portable import print_extracted

    if [bool(runs), bool(where), study is not None].count(True) != 1:
        raise click.UsageError("say which runs: name them, or give --where or --study; only one of these")
    with open_archive(db) as archive, show_progress("extracting") as update:
        report = archive.extract(
            out,
            runs or None,
            where=where or None,
            study=study,
            with_inputs=with_inputs,
            progress=update,
        )
    if not report.runs and not report.studies and report.ok:
        os.unlink(report.path)
        raise NotFoundError(f"no run matches, so {out} was not made; 'exptrack ls' takes the same filters")
    with keep_working():
        if as_json:
            print_json(report)
        else:
            print_extracted(open_console(), report, out)
        if not report.ok:
            sys.exit(DAMAGED_EXIT)


def _remove_if_empty(path: str) -> None:
    """Remove an archive that was only just made, if nothing came into it: its sources cannot be read."""
    from exptrack import Archive

    with Archive(path, create=False) as archive:
        rows = archive.info(count_rows=True).rows
    if not any(rows[table] for table in ("run", "run_group", "study", "page_view")):
        os.unlink(path)


@contextmanager
def _open_target(out: str, dry_run: bool) -> Iterator[Archive]:
    """Open the archive that others are merged into. A dry run does not make it: an empty one stands for it."""
    from exptrack import Archive

    if not dry_run:
        is_new = not os.path.lexists(out)
        try:
            with Archive(out) as archive:
                yield archive
        except ExptrackError:
            if is_new and os.path.lexists(out):
                _remove_if_empty(out)
            raise
    elif os.path.lexists(out):
        with open_archive(out) as archive:
            yield archive
    else:
        above = os.path.dirname(os.path.abspath(out))
        if not os.path.isdir(above):
            raise ArchiveNotFoundError(
                f"{os.path.abspath(out)} cannot be created: the folder {above} does not exist; create it first"
            )
        with TemporaryDirectory() as folder, Archive(os.path.join(folder, "empty.db")) as archive:
            yield archive


@main.command()
@click.argument("file", required=False, type=FILE)
@json_option
@click.pass_obj
def digest(db: str | None, file: str | None, as_json: bool) -> None:
    """Print the SHA-256 of the archive's content.

    Two archives with the same content have the same digest, however their files differ.

    Example: exptrack digest all.db
    """
    with open_archive(db if file is None else file) as archive:
        found = archive.digest()
    print_json_or_text(as_json, {"digest": found}, found)


@main.command("diff-archives")
@click.argument("a", type=FILE)
@click.argument("b", type=FILE)
@json_option
def diff_archives(a: str, b: str, as_json: bool) -> None:
    """Show what is in one of two archives and not in the other.

    That is what a merge would bring. Both files are only read. The exit code is 0 if their contents are equal,
    and 1 if they differ.

    Example: exptrack diff-archives mine.db theirs.db
    """
    import exptrack
    from exptrack.terminal.console import open_console
    from exptrack.terminal.portable import print_archive_diff

    with show_status("comparing"):
        found = exptrack.diff_archives(a, b)
    with keep_working():
        if as_json:
            print_json(found)
        else:
            print_archive_diff(open_console(), found)
        if not found.same:
            sys.exit(DIFFERS_EXIT)
