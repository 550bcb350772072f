"""Read the artifacts and the inputs of a run as records."""

from __future__ import annotations

import json

from exptrack.database.connection import Connection, Row
from exptrack.database.damage import decoding_rows
from exptrack.records import Artifact, ArtifactUse
from exptrack.times import moment

# The fields of a record, without a FROM; the statements of `store` and `lineage` begin with them too.
ARTIFACT_COLUMNS = """
SELECT r.run_id, a.name, a.version, a.kind, b.hash, b.size_bytes, a.is_text, a.media_type, a.step, a.metadata,
       a.created_at
"""
USE_COLUMNS = """
SELECT r.run_id, i.from_run_id, i.name, i.version, i.hash, i.used_at
FROM run_input AS i JOIN run AS r ON r.id = i.run
"""
ARTIFACTS_OF = f"""{ARTIFACT_COLUMNS}
FROM artifact AS a JOIN blob AS b ON b.id = a.blob JOIN run AS r ON r.id = a.run
WHERE a.run = ? ORDER BY a.name, a.version
"""
INPUTS_OF = f"{USE_COLUMNS} WHERE i.run = ? ORDER BY i.seq"


@decoding_rows
def read_artifacts(connection: Connection, run: int) -> tuple[Artifact, ...]:
    """Read every version of every artifact of a run, by name."""
    return tuple(build_artifact(row) for row in connection.all(ARTIFACTS_OF, (run,)))


@decoding_rows
def read_inputs(connection: Connection, run: int) -> tuple[ArtifactUse, ...]:
    """Read the artifacts that a run used, in the order of use."""
    return tuple(build_use(row) for row in connection.all(INPUTS_OF, (run,)))


def build_artifact(row: Row) -> Artifact:
    """Turn a row with `ARTIFACT_COLUMNS` into a record."""
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
    )


def build_use(row: Row) -> ArtifactUse:
    """Turn a row of `USE_COLUMNS` into a record."""
    used_at = moment(row["used_at"])
    return ArtifactUse(row["run_id"], row["from_run_id"], row["name"], row["version"], row["hash"], used_at)
