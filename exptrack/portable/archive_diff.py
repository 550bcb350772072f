"""Compare two archives by what they say: what is in one and not in the other.

Equal runs cost no more than the rows of their digests. Points are compared through the seals of runs.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable
from typing import Any, NamedTuple

from exptrack.database.connection import Connection, in_reading
from exptrack.errors import ArchiveCorruptError
from exptrack.plain import read_path
from exptrack.portable.digest import (
    OF_GROUPS,
    OF_PAGE_VIEWS,
    OF_RUNS,
    OF_STUDIES,
    digest_content,
    read_content,
)
from exptrack.portable.foreign import look_at_source, open_source
from exptrack.shown import shown

POINTS_OF_RUNS = """
SELECT r.run_id, (SELECT coalesce(sum(s.count), 0) FROM metric_series AS s WHERE s.run = r.id) FROM run AS r
"""
STUDY_NAMES = "SELECT uid, name FROM study"
# What the rows of a digest tell, by their kind.
WORDS = {
    "run": "facts, config or metrics",
    "run_owner": "the process that writes it",
    "run_tag": "tags",
    "note": "notes",
    "event": "events",
    "run_input": "inputs",
    "artifact": "artifacts",
    "run_attribute": "attributes",
    "artifact_alias": "aliases",
    "run_ingest": "batches of rows",
}


@shown
class ArtifactRef(NamedTuple):
    """A version of an artifact, with the hash of its bytes."""

    run_id: str
    name: str
    version: int
    hash: str


@shown
class DifferingRun(NamedTuple):
    """A run of which two archives say different things: which things, and how many points each has."""

    run_id: str
    differs: tuple[str, ...]
    points_a: int
    points_b: int


@shown
class ArchiveDiff(NamedTuple):
    """What is in one of two archives and not in the other; `same` is true if their contents are equal."""

    a: str
    b: str
    digest_a: str
    digest_b: str
    runs_only_a: tuple[str, ...]
    runs_only_b: tuple[str, ...]
    runs_differ: tuple[DifferingRun, ...]
    artifacts_only_a: tuple[ArtifactRef, ...]
    artifacts_only_b: tuple[ArtifactRef, ...]
    studies_only_a: tuple[str, ...]
    studies_only_b: tuple[str, ...]
    studies_differ: tuple[str, ...]
    groups_differ: tuple[str, ...]
    page_views_differ: tuple[str, ...]

    @property
    def same(self) -> bool:
        """Whether both files have the same content."""
        return self.digest_a == self.digest_b


class _Content(NamedTuple):
    digest: str
    runs: dict[str, dict[str, set[tuple[Any, ...]]]]  # the rows of each kind, by run id
    groups: dict[str, set[tuple[Any, ...]]]
    page_views: dict[str, set[tuple[Any, ...]]]
    studies: dict[str, set[tuple[Any, ...]]]
    names: dict[str, str]  # of studies, by uid
    points: dict[str, int]


def diff_archives(a: str | os.PathLike[str], b: str | os.PathLike[str]) -> ArchiveDiff:
    """Compare the contents of two archives, whatever their row ids: what :meth:`Archive.merge` would do.

    Both are only read, may be in use, and need not be trusted.

    >>> from exptrack import Archive, diff_archives
    >>> with Archive(tmp_path / "a.db") as archive:
    ...     with archive.start_run() as run:
    ...         run.log({"loss": 0.5})
    ...     _ = archive.backup(tmp_path / "b.db")
    ...     archive.get_run(run).add_tag("paper")
    >>> [one.differs for one in diff_archives(tmp_path / "a.db", tmp_path / "b.db").runs_differ]
    [('tags', 'events')]

    Raises:
        ArchiveNotFoundError: one of the files does not exist.
        NotAnArchiveError: one of them is no archive.
        ArchiveTooNewError: it has a format that this exptrack cannot read.
        ArchiveCorruptError: it is damaged.
    """
    paths = read_path(a, "a"), read_path(b, "b")
    one, other = map(_look, paths)
    both = one.runs.keys() & other.runs.keys()
    return ArchiveDiff(
        *paths,
        one.digest,
        other.digest,
        tuple(sorted(one.runs.keys() - both)),
        tuple(sorted(other.runs.keys() - both)),
        tuple(
            DifferingRun(run_id, differs, one.points.get(run_id, 0), other.points.get(run_id, 0))
            for run_id in sorted(both)
            if (differs := _compare(one.runs[run_id], other.runs[run_id]))
        ),
        _subtract_artifacts(one, other),
        _subtract_artifacts(other, one),
        _name(one, one.studies.keys() - other.studies.keys()),
        _name(other, other.studies.keys() - one.studies.keys()),
        _name(one, _find_changed(one.studies, other.studies)),
        _find_different(one.groups, other.groups),
        _find_different(one.page_views, other.page_views),
    )


def _look(path: str) -> _Content:
    try:
        with look_at_source(path) as connection:
            return _read(connection)
    except ArchiveCorruptError:
        # Also of a sound file that takes more time or memory than a look may.
        with open_source(path) as source:
            return _read(source.connection)


@in_reading
def _read(connection: Connection) -> _Content:
    runs: defaultdict[str, dict[str, set[tuple[Any, ...]]]] = defaultdict(dict)
    for said, rows in read_content(connection, OF_RUNS):
        for run_id, *row in rows:
            runs[run_id].setdefault(said.kind, set()).add(tuple(row))
    groups: defaultdict[str, set[tuple[Any, ...]]] = defaultdict(set)
    studies: defaultdict[str, set[tuple[Any, ...]]] = defaultdict(set)
    page_views: defaultdict[str, set[tuple[Any, ...]]] = defaultdict(set)
    for part, found in ((OF_GROUPS, groups), (OF_STUDIES, studies), (OF_PAGE_VIEWS, page_views)):
        for said, rows in read_content(connection, part):
            for name, *row in rows:
                found[name].add((said.kind, *row))
    return _Content(
        digest_content(connection),
        runs,
        groups,
        page_views,
        studies,
        dict(connection.fold(STUDY_NAMES, (), list)),
        dict(connection.fold(POINTS_OF_RUNS, (), list)),
    )


def _compare(one: dict[str, set[tuple[Any, ...]]], other: dict[str, set[tuple[Any, ...]]]) -> tuple[str, ...]:
    return tuple(word for kind, word in WORDS.items() if one.get(kind) != other.get(kind))


def _find_changed(one: dict[str, set[tuple[Any, ...]]], other: dict[str, set[tuple[Any, ...]]]) -> set[str]:
    return {name for name in one.keys() & other.keys() if one[name] != other[name]}


def _find_different(
    one: dict[str, set[tuple[Any, ...]]], other: dict[str, set[tuple[Any, ...]]]
) -> tuple[str, ...]:
    """Return the names that only one of the two has, or of which they say different things."""
    return tuple(sorted((one.keys() ^ other.keys()) | _find_changed(one, other)))


def _subtract_artifacts(one: _Content, other: _Content) -> tuple[ArtifactRef, ...]:
    known = {(run_id, ref.name, ref.hash) for run_id in other.runs for ref in _list_artifacts(other, run_id)}
    found = (ref for run_id in one.runs for ref in _list_artifacts(one, run_id))
    return tuple(sorted(ref for ref in found if (ref.run_id, ref.name, ref.hash) not in known))


def _list_artifacts(content: _Content, run_id: str) -> Iterable[ArtifactRef]:
    """List the artifacts of a run that were not removed."""
    rows = content.runs[run_id].get("artifact", ())
    return (ArtifactRef(run_id, row[0], row[1], row[3]) for row in rows if row[-1] is None)


def _name(content: _Content, uids: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(content.names[uid] for uid in uids))
