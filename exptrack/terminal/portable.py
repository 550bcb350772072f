"""Print what merging and packing archives made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from exptrack.terminal.console import format_size, print_table, safe

if TYPE_CHECKING:
    from exptrack import MergedFile, MergeReport, PackReport, UnpackReport


def print_merged(out: Console, report: MergeReport) -> None:
    """Print what each file brought, or would bring, and what was left out."""
    would = "would bring " if report.dry_run else ""
    for one in report.files:
        out.print(Text(f"{safe(one.path)}: {would}{_describe(one)}"))
        for fork in one.forked:
            out.print(Text(f"  {safe(fork.run_id)} is a fork of {safe(fork.of)}: the run went on in two files"))
        for old, new in one.renamed:
            out.print(Text(f"  another study is named {safe(old)}; this one is named {safe(new)}"))
    left = [(one.path, *found) for one in report.files for found in one.left_out]
    if left:
        columns = [("file", "left"), ("left out", "left"), ("why", "left")]
        out.print(Text(f"{len(left):,} left out", style="red"))
        print_table(out, columns, ([safe(cell) for cell in row] for row in left))
    if not report.files:
        out.print(Text("nothing to merge: every file given is the archive itself"))


def print_packed(out: Console, report: PackReport) -> None:
    """Print what a packed file holds, and the digests by which a reader knows it."""
    out.print(Text(f"packed into {safe(report.path)}: {_sum_up(report)}", style="green"))
    out.print(Text(f"content {report.content}"))
    out.print(Text(f"SHA-256 {report.sha256}"))


def print_unpacked(out: Console, report: UnpackReport) -> None:
    """Print what an archive holds that was unpacked."""
    out.print(Text(f"the seal holds; unpacked into {safe(report.path)}: {_sum_up(report)}", style="green"))
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
        _count(len(one.updated), "run brought up to date", "runs brought up to date"),
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
