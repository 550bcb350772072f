"""What a merge reports."""

from __future__ import annotations

from typing import NamedTuple

from exptrack.shown import shown


@shown
class Fork(NamedTuple):
    """A part of the run `of` that went on by itself in a copy of its file, and is the run `run_id` now."""

    of: str
    run_id: str


@shown
class LeftOut(NamedTuple):
    """A thing that was not taken, and why. `what` is the id of a run, or says what else it is."""

    what: str
    reason: str


@shown
class MergedFile(NamedTuple):
    """What one file brought. Runs are named by their ids, studies by their names.

    `new` runs were not here before. `updated` ones went on, or something new is said of them. `forked` ones
    part from the copy that was here. `unchanged` counts the runs that the archive knew already. `renamed` has
    the old and new names of studies whose name another study has. `left_out` lists what was not taken.
    """

    path: str
    new: tuple[str, ...] = ()
    updated: tuple[str, ...] = ()
    forked: tuple[Fork, ...] = ()
    unchanged: int = 0
    studies: tuple[str, ...] = ()
    renamed: tuple[tuple[str, str], ...] = ()
    points: int = 0
    blobs: int = 0
    blob_bytes: int = 0
    left_out: tuple[LeftOut, ...] = ()


@shown
class MergeReport(NamedTuple):
    """What a merge did, or would do, file by file; `ok` is true if nothing was left out.

    `removed` lists the files of spools that the merge removed.
    """

    files: tuple[MergedFile, ...]
    dry_run: bool = False
    removed: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing was left out of any file."""
        return not any(one.left_out for one in self.files)
