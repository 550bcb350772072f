"""Change runs for the view: tags, notes, names, the trash.

Invariant: each change opens the archive for itself and closes it again, so the view holds no file open for
writing while it only looks.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence

from exptrack import Archive, ExptrackError, InvalidValueError, Run
from exptrack.terminal.console import format_count, format_size


def change_tags(path: str, run_ids: Sequence[str], text: str) -> str:
    """Add tags to runs, or remove those with a minus before them. Commits run by run; returns what was done.

    Words are separated by spaces; quotes keep a tag with spaces together.

    Raises:
        InvalidValueError: the text has no tag, or a quote that is not closed.
        ExptrackError: a run could not be changed. A note of the error says how many were changed before it.
    """
    try:
        words = shlex.split(text)
    except ValueError:
        raise InvalidValueError("a quote is not closed; close it, or write the tag without quotes") from None
    added = [word for word in words if not word.startswith("-")]
    removed = [word[1:] for word in words if word.startswith("-") and len(word) > 1]
    if not added and not removed:
        raise InvalidValueError("there is no tag; write some words, with a minus before those to remove")

    def change(run: Run) -> None:
        if added:
            run.add_tag(*added)
        if removed:
            run.remove_tag(*removed)

    _change_each(path, run_ids, change)
    done = [*(f"+{tag}" for tag in added), *(f"-{tag}" for tag in removed)]
    return f"{format_count(len(run_ids), 'run')}: {' '.join(done)}"


def add_note(path: str, run_ids: Sequence[str], text: str) -> str:
    """Add a note to runs. Commits run by run; returns what was done.

    Raises:
        ExptrackError: a run could not be changed. A note of the error says how many were changed before it.
    """
    _change_each(path, run_ids, lambda run: run.add_note(text))
    return f"noted on {format_count(len(run_ids), 'run')}"


def rename_run(path: str, run_id: str, name: str) -> str:
    """Give a run another name. Commits; returns what was done."""
    _change_each(path, [run_id], lambda run: run.rename(name))
    return f"{run_id} is called {name}"


def trash_runs(path: str, run_ids: Sequence[str]) -> str:
    """Move runs to the trash, all or none. Commits; returns what was done.

    Raises:
        RunBusyError: one of the runs is running.
    """
    with Archive(path, create=False) as archive:
        moved = archive.trash_run(*run_ids)
    return f"{format_count(len(moved), 'run')} moved to the trash; 'exptrack restore RUN' takes them out"


def delete_runs(path: str, run_ids: Sequence[str]) -> str:
    """Delete runs for good, all or none. Commits, power-safe; returns what was done.

    Raises:
        RunBusyError: one of the runs is running.
    """
    with Archive(path, create=False) as archive:
        report = archive.delete_run(*run_ids)
    freed = format_size(report.file_bytes)
    return f"{format_count(len(report.runs), 'run')} deleted; the file is {freed} smaller"


def _change_each(path: str, run_ids: Sequence[str], change: Callable[[Run], None]) -> None:
    with Archive(path, create=False) as archive:
        for done, run_id in enumerate(run_ids):
            try:
                change(archive.get_run(run_id))
            except ExptrackError as error:
                if done:
                    error.add_note(f"{done} of {format_count(len(run_ids), 'run')} are changed")
                raise
