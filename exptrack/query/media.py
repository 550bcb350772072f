"""Find the artifacts of many runs by name, kind and step: as a list, or as a grid of runs and steps.

Invariants: a removed version is never found. Runs come in the order of their query, and are looked at no
further than a page reaches, except to count those that have the artifact.
"""

from __future__ import annotations

import json
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from exptrack.artifacts.listing import ARTIFACT_COLUMNS, build_artifact
from exptrack.database.connection import Connection
from exptrack.database.damage import decoding_rows
from exptrack.query.fields import OF_RUNS
from exptrack.records import Artifact
from exptrack.shown import shown

CHUNK_RUNS = 500  # looked at by one statement
MOST_NAMES = 10_000
SHOWN_STEPS = 10  # of a grid whose steps the caller does not choose

# Of all runs: an index has the names, and the newest version of each tells the rest.
ALL_NAMES = """
WITH RECURSIVE names (name) AS (
    SELECT min(name) FROM artifact WHERE blob IS NOT NULL
    UNION ALL
    SELECT (SELECT min(a.name) FROM artifact AS a WHERE a.blob IS NOT NULL AND a.name > names.name)
    FROM names WHERE names.name IS NOT NULL LIMIT :most
)
SELECT n.name, newest.kind, newest.media_type,
       (SELECT count(*) FROM artifact AS a WHERE a.name = n.name AND a.blob IS NOT NULL)
FROM names AS n CROSS JOIN artifact AS newest ON newest.id = (
    SELECT a.id FROM artifact AS a WHERE a.name = n.name AND a.blob IS NOT NULL
    ORDER BY a.created_at DESC LIMIT 1
)
"""
# SQLite takes the columns of the row that has the maximum.
NAMES_OF_RUNS = f"""
SELECT name, kind, media_type, count(*), max(created_at)
FROM artifact WHERE run {OF_RUNS} AND blob IS NOT NULL GROUP BY name ORDER BY name LIMIT :most
"""
_OF_KIND = "blob IS NOT NULL AND (:kind IS NULL OR kind = :kind)"
RUNS_WITH = f"""
SELECT j.value FROM json_each(:runs) AS j
WHERE EXISTS (SELECT 1 FROM artifact AS a WHERE a.run = j.value AND a.name = :name AND {_OF_KIND})
"""
VERSIONS = f"""
SELECT id, run, name, step, version FROM artifact
WHERE run {OF_RUNS} AND {_OF_KIND} AND (:step IS NULL OR step = :step)
"""
VERSIONS_OF_NAME = f"{VERSIONS} AND name = :name"
ARTIFACTS = f"""
{ARTIFACT_COLUMNS}, a.id, a.run
FROM artifact AS a JOIN blob AS b ON b.id = a.blob JOIN run AS r ON r.id = a.run
WHERE a.id IN (SELECT value FROM json_each(?))
"""
ALIASES = """
SELECT a.id, x.alias
FROM artifact AS a JOIN artifact_alias AS x ON x.run = a.run AND x.name = a.name AND x.version = a.version
WHERE a.id IN (SELECT value FROM json_each(?)) ORDER BY x.alias
"""


@shown
class ArtifactName(NamedTuple):
    """A name under which runs have artifacts: how many versions, and the kind and type of the newest."""

    name: str
    kind: str
    media_type: str | None
    versions: int


@shown
class ArtifactGrid(NamedTuple):
    """Artifacts of one name, by run and step.

    `total` is the number of all runs that have it. `row_ids` are the runs of this page, in order, and `cells`
    has a list for each, with an artifact or None for each of `steps`. `all_steps` are the steps at which these
    runs have it; None stands for no step.
    """

    name: str
    total: int
    row_ids: array[int]
    steps: tuple[int | None, ...]
    all_steps: tuple[int | None, ...]
    cells: list[list[Artifact | None]]


class _Version(NamedTuple):
    id: int
    run: int
    name: str
    step: int | None
    version: int


@decoding_rows
def read_names(connection: Connection, runs: Sequence[int] | None, kind: str | None) -> list[ArtifactName]:
    """Read the names of the artifacts of these runs, or of all, in alphabetical order."""
    if runs is None:
        rows = connection.all(ALL_NAMES, {"most": MOST_NAMES})
    else:
        rows = connection.all(NAMES_OF_RUNS, {"runs": json.dumps(list(runs)), "most": MOST_NAMES})
    return [ArtifactName(*tuple(row)[:4]) for row in rows if kind is None or row["kind"] == kind]


@decoding_rows
def read_page(
    connection: Connection,
    runs: Sequence[int],
    name: str | None,
    kind: str | None,
    step: int | None,
    start: int,
    size: int,
) -> list[Artifact]:
    """Read `size` artifacts from place `start` on: by run, name, step and version."""
    found: list[int] = []
    skipped = 0
    for version in _iter_versions(connection, runs, name, kind, step):
        if len(found) == size:
            break
        if skipped < start:
            skipped += 1
        else:
            found.append(version.id)
    by_id = _read_records(connection, found)
    return [by_id[one] for one in found]


def _iter_versions(
    connection: Connection, runs: Sequence[int], name: str | None, kind: str | None, step: int | None
) -> Iterator[_Version]:
    sql = VERSIONS if name is None else VERSIONS_OF_NAME
    asked = {"kind": kind, "step": step} | ({} if name is None else {"name": name})
    for begin in range(0, len(runs), CHUNK_RUNS):
        chunk = list(runs[begin : begin + CHUNK_RUNS])
        of_run: dict[int, list[_Version]] = {}
        for row in connection.fold(sql, {**asked, "runs": json.dumps(chunk)}, list):
            of_run.setdefault(row[1], []).append(_Version(*row))
        for run in chunk:
            yield from sorted(of_run.get(run, ()), key=lambda one: (one.name, *_place(one)))


def _place(one: _Version) -> tuple[bool, int, int]:
    """Return what orders the versions of a name: those without a step come first."""
    return (one.step is not None, one.step or 0, one.version)


@decoding_rows
def read_grid(
    connection: Connection,
    runs: Sequence[int],
    name: str,
    kind: str | None,
    steps: Sequence[int] | None,
    start: int,
    size: int,
) -> ArtifactGrid:
    """Read the artifacts of one name of `size` runs from place `start` on."""
    asked = {"runs": json.dumps(list(runs)), "name": name, "kind": kind}
    having = {row[0] for row in connection.fold(RUNS_WITH, asked, list)}
    ordered = [run for run in runs if run in having]
    page = array("q", ordered[start : start + size])
    of_run: dict[int, list[_Version]] = {run: [] for run in page}
    for one in _iter_versions(connection, page, name, kind, None):
        of_run[one.run].append(one)
    found = {one.step for versions in of_run.values() for one in versions}
    all_steps = tuple(sorted(found, key=lambda step: (step is not None, step or 0)))
    columns = _spread(all_steps) if steps is None else tuple(steps)
    chosen = [[_choose(of_run[run], step) for step in columns] for run in page]
    records = _read_records(connection, {one for row in chosen for one in row if one is not None})
    cells = [[None if one is None else records[one] for one in row] for row in chosen]
    return ArtifactGrid(name, len(ordered), page, columns, all_steps, cells)


def _spread(steps: tuple[int | None, ...]) -> tuple[int | None, ...]:
    """Choose some steps, the first and the last among them, at equal distances in the list."""
    if len(steps) <= SHOWN_STEPS:
        return steps
    return tuple(steps[round(n * (len(steps) - 1) / (SHOWN_STEPS - 1))] for n in range(SHOWN_STEPS))


def _choose(versions: Sequence[_Version], step: int | None) -> int | None:
    """Return the row id of the last version up to a step, or of the last without a step."""
    with_step = [one for one in versions if (one.step is None) == (step is None)]
    place = bisect_right(with_step, step or 0, key=lambda one: one.step or 0)
    return with_step[place - 1].id if place else None


def _read_records(connection: Connection, ids: Iterable[int]) -> dict[int, Artifact]:
    wanted = (json.dumps(list(ids)),)
    aliases: dict[int, list[str]] = {}
    for artifact, alias in connection.all(ALIASES, wanted):
        aliases.setdefault(artifact, []).append(alias)
    return {
        row["id"]: build_artifact(row, aliases.get(row["id"], ())) for row in connection.all(ARTIFACTS, wanted)
    }
