"""Read the artifacts and the inputs of a run as records."""

from __future__ import annotations

import json
from collections.abc import Iterable

from exptrack.database.connection import Connection, Row, in_reading
from exptrack.database.damage import decoding_rows
from exptrack.records import Artifact, ArtifactUse
from exptrack.times import moment

# The fields of a record, without a FROM; the statements of `store` and `lineage` begin with them too.
ARTIFACT_COLUMNS = """
SELECT r.run_id, a.name, a.version, a.kind, b.hash, b.size_bytes, a.is_text, a.media_type, a.step, a.metadata,
       a.created_at, a.description
"""
USE_COLUMNS = """
SELECT r.run_id, i.from_run_id, i.name, i.version, i.hash, i.used_at
FROM run_input AS i JOIN run AS r ON r.id = i.run
"""
ARTIFACTS_OF = f"""{ARTIFACT_COLUMNS}
FROM artifact AS a JOIN blob AS b ON b.id = a.blob JOIN run AS r ON r.id = a.run
WHERE a.run = ? ORDER BY a.name, a.version
"""
ALIASES_OF_RUN = """
SELECT name, version, alias FROM artifact_alias WHERE run = ? AND version IS NOT NULL ORDER BY name, alias
"""
ALIASES_OF_VERSION = """
SELECT x.alias FROM run AS r JOIN artifact_alias AS x ON x.run = r.id
WHERE r.run_id = ? AND x.name = ? AND x.version = ? ORDER BY x.alias
"""
INPUTS_OF = f"{USE_COLUMNS} WHERE i.run = ? ORDER BY i.seq"


@in_reading
@decoding_rows
def read_artifacts(connection: Connection, run: int) -> tuple[Artifact, ...]:
    """Read every version of every artifact of a run, by name."""
    with connection.snapshot():
        rows = connection.all(ARTIFACTS_OF, (run,))
        aliases: dict[tuple[str, int], list[str]] = {}
        for name, version, alias in connection.all(ALIASES_OF_RUN, (run,)) if rows else ():
            aliases.setdefault((name, version), []).append(alias)
    return tuple(build_artifact(row, aliases.get((row["name"], row["version"]), ())) for row in rows)


@decoding_rows
def read_inputs(connection: Connection, run: int) -> tuple[ArtifactUse, ...]:
    """Read the artifacts that a run used, in the order of use."""
    return tuple(build_use(row) for row in connection.all(INPUTS_OF, (run,)))


def complete_artifact(connection: Connection, row: Row) -> Artifact:
    """Turn a row with `ARTIFACT_COLUMNS` into a record, and look up its aliases."""
    named = (row["run_id"], row["name"], row["version"])
    return build_artifact(row, [alias for (alias,) in connection.all(ALIASES_OF_VERSION, named)])


def build_artifact(row: Row, aliases: Iterable[str]) -> Artifact:
    """Turn a row with `ARTIFACT_COLUMNS` into a record with these aliases."""
    return Artifact(
        run_id=row["run_id"],
        name=row["name"],
        version=row["version"],
        kind=row["kind"],
        hash=row["hash"],
        size_bytes=row["size_bytes"],
        is_text=bool(row["is_text"]),
        media_type=row["media_type"],
        step=row["step"],
        metadata=json.loads(row["metadata"]),
        created_at=moment(row["created_at"]),
        description=row["description"],
        aliases=tuple(aliases),
    )


def build_use(row: Row) -> ArtifactUse:
    """Turn a row of `USE_COLUMNS` into a record."""
    used_at = moment(row["used_at"])
    return ArtifactUse(row["run_id"], row["from_run_id"], row["name"], row["version"], row["hash"], used_at)
