"""Print what merging and packing archives made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from exptrack.terminal.console import format_size, print_heading, print_table, safe

if TYPE_CHECKING:
    from exptrack import (
        ArchiveDiff,
        ExtractReport,
        LeftOut,
        MergedFile,
        MergeReport,
        PackReport,
        UnpackReport,
    )

MOST_NAMED = 20


def print_merged(out: Console, report: MergeReport, target: str) -> None:
    """Print what each file brought to the archive that the user calls `target`, and what was left out.

    Of many files only those with news are named.
    """
    are_many = len(report.files) > MOST_NAMED
    would = "would bring " if report.dry_run else ""
    shown = [
        one for one in report.files if _brought(one) or (not are_many and (one.unchanged or not one.left_out))
    ]
    for one in shown[:MOST_NAMED]:
        out.print(Text(f"{safe(one.path)}: {would}{_describe(one)}"))
        for fork in one.forked:
            out.print(Text(f"  {safe(fork.run_id)} is a fork of {safe(fork.of)}: the run went on in two files"))
        for old, new in one.renamed:
            out.print(Text(f"  the study {safe(old)} is now named {safe(new)}: an older one has its name"))
    _print_rest(out, len(shown))
    if are_many:
        _print_sum(out, report)
    _print_left_out(out, [(one.path, left) for one in report.files for left in one.left_out])
    if report.removed:
        out.print(Text(f"removed {_count(len(report.removed), 'merged file')} from the spool"))
    if not report.files:
        out.print(Text(f"nothing to merge: there is no archive besides {safe(target)}"))


def _print_sum(out: Console, report: MergeReport) -> None:
    """Print what many files brought together. For a trial run, several of them may bring the same points."""
    files = report.files
    parts = [
        _count(len({run_id for one in files for run_id in one.new}), "new run"),
        _count(len({run_id for one in files for run_id in one.updated}), "updated run"),
        _count(len({fork.run_id for one in files for fork in one.forked}), "fork"),
        _count(0 if report.dry_run else sum(one.points for one in files), "point"),
    ]
    said = ", ".join(part for part in parts if part) or "nothing new"
    out.print(Text(f"{len(files):,} files in all: {said}"))


def _brought(one: MergedFile) -> bool:
    """Whether a file brought something, or would."""
    return any((one.new, one.updated, one.forked, one.studies, one.renamed, one.points, one.blobs))


def print_extracted(out: Console, report: ExtractReport, path: str) -> None:
    """Print what the file holds that the user calls `path`, and which runs were left out."""
    parts = (
        _count(len(report.runs), "run") or "no run",
        _count(len(report.studies), "study", "studies"),
        _count(report.points, "point"),
        _count(report.blobs, "blob"),
    )
    said = ", ".join(part for part in parts if part)
    out.print(Text(f"extracted {said} to {safe(path)} ({format_size(report.file_bytes)})"))
    _print_left_out(out, [("", one) for one in report.left_out])


def print_archive_diff(out: Console, record: ArchiveDiff) -> None:
    """Print what is in one of two archives and not in the other."""
    if record.same:
        out.print(Text(f"both have the same content: digest {record.digest_a}", style="green"))
        return
    for path, runs, artifacts, studies in (
        (record.a, record.runs_only_a, record.artifacts_only_a, record.studies_only_a),
        (record.b, record.runs_only_b, record.artifacts_only_b, record.studies_only_b),
    ):
        counts = (
            _count(len(runs), "run"),
            _count(len(artifacts), "artifact"),
            _count(len(studies), "study", "studies"),
        )
        out.print(Text(f"only in {safe(path)}: {', '.join(one for one in counts if one) or 'nothing'}"))
        rows = [f"run {run_id}" for run_id in runs]
        rows += [f"artifact {one.name} version {one.version} of {one.run_id}" for one in artifacts]
        rows += [f"study {name}" for name in studies]
        _print_listed(out, rows)
    if record.runs_differ:
        print_heading(out, "In both, and different")
        columns = [("run", "left"), ("points in A", "right"), ("in B", "right"), ("what differs", "left")]
        rows_of_runs = [
            [safe(one.run_id), f"{one.points_a:,}", f"{one.points_b:,}", "; ".join(one.differs)]
            for one in record.runs_differ[:MOST_NAMED]
        ]
        print_table(out, columns, rows_of_runs)
        _print_rest(out, len(record.runs_differ))
    _print_listed(out, [f"study {name} differs" for name in record.studies_differ], indent="")
    _print_listed(out, [f"group {name} differs" for name in record.groups_differ], indent="")
    _print_listed(out, [f"view of the page {name} differs" for name in record.page_views_differ], indent="")


def _print_listed(out: Console, rows: Sequence[str], *, indent: str = "  ") -> None:
    for row in rows[:MOST_NAMED]:
        out.print(Text(f"{indent}{safe(row)}"))
    _print_rest(out, len(rows))


def _print_rest(out: Console, count: int) -> None:
    if count > MOST_NAMED:
        out.print(Text(f"  and {count - MOST_NAMED:,} more: --json lists them"))


def _print_left_out(out: Console, left: Sequence[tuple[str, LeftOut]]) -> None:
    """Print what was left out, with its file or "", and why."""
    if not left:
        return
    out.print(Text(f"{len(left):,} left out:", style="red"))
    for path, one in left:
        if one.what == "archive":  # the reason names it
            out.print(Text(f"  {safe(one.reason)}"))
        else:
            of = f"{one.what} of {path}" if path else one.what
            out.print(Text(f"  {safe(of)}: {safe(one.reason)}"))


def print_packed(out: Console, report: PackReport, path: str) -> None:
    """Print what the packed file `path` holds, and the digests by which a reader knows it."""
    out.print(Text(f"packed into {safe(path)}: {_sum_up(report)}", style="green"))
    out.print(Text(f"content {report.content}"))
    out.print(Text(f"SHA-256 {report.sha256}"))


def print_unpacked(out: Console, report: UnpackReport, path: str) -> None:
    """Print what the unpacked archive `path` holds."""
    out.print(Text(f"the seal holds; unpacked into {safe(path)}: {_sum_up(report)}", style="green"))
    out.print(Text(f"content {report.content}"))


def _sum_up(report: PackReport | UnpackReport) -> str:
    held = (
        _count(report.runs, "run") or "no runs",
        _count(report.points, "point"),
        _count(report.blobs, "blob"),
    )
    return f"{', '.join(part for part in held if part)} ({format_size(report.file_bytes)})"


def _describe(one: MergedFile) -> str:
    parts = [
        _count(len(one.new), "new run"),
        _count(len(one.updated), "updated run"),
        _count(len(one.forked), "fork"),
        _count(len(one.studies), "study", "studies"),
        _count(one.points, "point"),
        f"{_count(one.blobs, 'blob')} ({format_size(one.blob_bytes)})" if one.blobs else "",
    ]
    said = ", ".join(part for part in parts if part) or "nothing new"
    return f"{said}; {one.unchanged:,} unchanged" if one.unchanged else said


def _count(number: int, word: str, plural: str | None = None) -> str:
    """Return a number with its word; nothing for zero."""
    if not number:
        return ""
    return f"{number:,} {word if number == 1 else plural or word + 's'}"
