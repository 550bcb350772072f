"""Change every run that a command finds by --where or --run, once the user has agreed to their number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import click

from exptrack.cli.main import confirm, narrow, open_archive, say_why_empty
from exptrack.cli.output import print_json, show_status

if TYPE_CHECKING:
    from exptrack import ChangeReport, RunQuery


class Choice(NamedTuple):
    """What the options of a command say about the runs to change, and whether to ask."""

    db: str | None
    where: Sequence[str]
    runs: Sequence[str]
    yes: bool
    as_json: bool

    @property
    def is_given(self) -> bool:
        """Whether the options choose runs, so that the arguments name none."""
        return bool(self.where or self.runs)


def split_words(choice: Choice, words: Sequence[str], what: str) -> tuple[str, Sequence[str]]:
    """Return the run that comes first among the words, and the other words; "" if the options choose runs."""
    if choice.is_given:
        return "", words
    if len(words) < 2:
        raise click.UsageError(f"give a run and {what}; or choose runs by --where or --run")
    return words[0], words[1:]


def change_runs(
    choice: Choice, verb: str, past: str, change: Callable[[RunQuery], ChangeReport], *, end: str = ""
) -> None:
    """Ask whether to change the runs of a choice, change them and say how many were.

    `verb` and `past` stand before the number of runs, and `end` behind it.
    """
    from exptrack.terminal.console import format_count, format_size, safe

    for text in choice.where:
        if not text.strip():
            raise click.UsageError("the filter is empty; to choose every run, give --where 'exists id'")
    with open_archive(choice.db, writing=True) as archive:
        query = narrow(archive.runs(), choice.where)
        if choice.runs:
            query = query.only(*choice.runs)
        ids = [row["run_id"] for row in query.to_dicts(["run_id"])]
        if not ids and not choice.as_json and say_why_empty(query):
            return
        if ids:
            confirm(f"{verb} {format_count(len(ids), 'run')}{end}?", choice.yes)
        with show_status("changing runs"):
            # A run that began to match after the question was asked is not among these.
            report = change(query.only(*ids))
    report = report._replace(matched=len(ids))
    if choice.as_json:
        print_json(report)
        return
    if not ids:
        click.echo("no run matches")
        return
    left = len(ids) - report.changed
    rest = f"; {left:,} of {len(ids):,} needed no change, or no longer matched" if left else ""
    freed = f"; the file is {format_size(report.file_bytes)} smaller" if report.file_bytes else ""
    click.echo(safe(f"{past} {format_count(report.changed, 'run')}{end}{rest}{freed}"))
