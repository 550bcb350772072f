"""What was made from what: the artifacts a run used, who made them, and what was made with them.

Invariants: a use names the artifact by run, name, version and content, so that it stays said when the artifact,
or the run that made it, is gone. A use is recorded once. Following it never loops, however runs use each other.
"""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from exptrack.artifacts.listing import artifact_record, read_artifacts, read_inputs, use_record
from exptrack.artifacts.records import Lineage
from exptrack.artifacts.store import ArtifactStore
from exptrack.database.connection import Connection
from exptrack.errors import AmbiguousHashError, ArtifactNotFoundError, InvalidTypeError, InvalidValueError
from exptrack.records import Artifact, ArtifactUse
from exptrack.runs.events import record_event
from exptrack.runs.lookup import resolve_run
from exptrack.times import utc_text
from exptrack.validation import check_name, short_repr

_FROM = """
SELECT r.run_id, a.name, a.version, a.kind, b.hash, b.size_bytes, a.is_text, a.media_type, a.step, a.metadata,
       a.created_at
"""
NEWEST_OF_NAME = f"""{_FROM}
FROM artifact AS a JOIN blob AS b ON b.id = a.blob JOIN run AS r ON r.id = a.run
WHERE a.name = :name AND a.blob IS NOT NULL AND (:version IS NULL OR a.version = :version)
ORDER BY a.created_at DESC, a.id DESC LIMIT 1
"""
ONE_OF_RUN = f"""{_FROM}
FROM artifact AS a JOIN blob AS b ON b.id = a.blob JOIN run AS r ON r.id = a.run
WHERE a.run = :run AND a.name = :name AND (:version IS NULL OR a.version = :version)
ORDER BY a.version DESC LIMIT 1
"""
BY_HASH = f"""{_FROM}
FROM blob AS b JOIN artifact AS a ON a.blob = b.id JOIN run AS r ON r.id = a.run
WHERE b.hash >= :begin AND b.hash < :end ORDER BY a.created_at, a.id
"""
USES_OF_HASH = """
SELECT r.run_id, i.from_run_id, i.name, i.version, i.hash, i.used_at
FROM run_input AS i JOIN run AS r ON r.id = i.run
WHERE i.hash >= :begin AND i.hash < :end ORDER BY i.used_at, i.run, i.seq
"""
USES_OF_RUN = """
SELECT r.run_id, i.from_run_id, i.name, i.version, i.hash, i.used_at
FROM run_input AS i JOIN run AS r ON r.id = i.run
WHERE i.from_run_id = ? ORDER BY i.used_at, i.run, i.seq
"""
RUN_NUMBER = "SELECT id FROM run WHERE run_id = ?"
INSERT_INPUT = """
INSERT INTO run_input (run, seq, hash, from_run_id, name, version, used_at)
VALUES (:run, (SELECT coalesce(max(seq) + 1, 0) FROM run_input WHERE run = :run), :hash, :from_run, :name,
        :version, :at)
ON CONFLICT DO NOTHING
"""

_REFERENCE = re.compile(r"(?s)(?P<name>.+?)(?::(?:v(?P<version>[0-9]{1,18})|latest))?")
LEAST_HASH_CHARS = len("sha256:") + 6
HASH_END = "g"  # sorts after every hex digit


@dataclass(frozen=True, slots=True)
class UsedArtifact:
    """An artifact that a run uses: what it is, and its content."""

    artifact: Artifact
    _store: ArtifactStore

    def read(self) -> str | bytes:
        """The content, text as text; see :meth:`ArtifactStore.get_blob`."""
        found = self._store.get_blob(self.artifact.name, self.artifact.version)
        if found is None:
            raise ArtifactNotFoundError(self.artifact.name, self.artifact.run_id, self.artifact.version)
        return found

    def open(self, *, file: str | None = None) -> BinaryIO:
        """The content as a binary file; see :meth:`ArtifactStore.open`."""
        return self._store.open(self.artifact.name, self.artifact.version, file=file)

    def export(self, target: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Write it to a file or folder; see :meth:`ArtifactStore.export`."""
        return self._store.export(self.artifact.name, target, self.artifact.version, overwrite=overwrite)


def find_artifact(connection: Connection, reference: object) -> Artifact:
    """The artifact that a reference means; see :meth:`exptrack.Run.use_artifact`.

    Raises:
        ArtifactNotFoundError: there is none.
        RunNotFoundError, AmbiguousRunError: its run is unknown, or could be several.
    """
    if isinstance(reference, Artifact):
        return _of_run(connection, reference.run_id, reference.name, reference.version)
    if not isinstance(reference, str):
        raise InvalidTypeError(
            f"an artifact is named by its record, hash, name or RUN/NAME, not {short_repr(reference)}"
        )
    text = check_name(reference, "artifact")
    if text.startswith("sha256:"):
        found = registrations(connection, text)
        if not found:
            raise ArtifactNotFoundError(text, "")
        return found[0]
    match = _REFERENCE.fullmatch(text)
    assert match is not None, "a name is not empty"
    version = None if match["version"] is None else int(match["version"])
    # A name may hold slashes and colons of its own: as a whole it comes first, in the archive as in a run.
    for name, number in ((text, None), (match["name"], version)):
        row = connection.one(NEWEST_OF_NAME, {"name": name, "version": number})
        if row is not None:
            return artifact_record(row)
    run_id, slash, whole = text.partition("/")
    if not slash or not run_id or not whole:
        raise ArtifactNotFoundError(text, "")
    run = resolve_run(connection, run_id)
    row = connection.one(ONE_OF_RUN, {"run": run["id"], "name": whole, "version": None})
    if row is not None:
        return artifact_record(row)
    return _of_run(connection, run_id, match["name"].partition("/")[2], version)


def _of_run(connection: Connection, run_id: str, name: str, version: int | None) -> Artifact:
    run = resolve_run(connection, run_id)
    row = connection.one(ONE_OF_RUN, {"run": run["id"], "name": name, "version": version})
    if row is None:
        raise ArtifactNotFoundError(name, run["run_id"], version)
    return artifact_record(row)


def registrations(connection: Connection, hash_or_prefix: str) -> list[Artifact]:
    """Every artifact whose content has this hash, the oldest first; six hex digits and more are enough.

    Raises:
        InvalidValueError: fewer.
        AmbiguousHashError: several contents begin so.
    """
    rows = connection.all(BY_HASH, _hash_range(hash_or_prefix))
    hashes = list(dict.fromkeys(row["hash"] for row in rows))
    if len(hashes) > 1:
        raise AmbiguousHashError(hash_or_prefix, hashes)
    return [artifact_record(row) for row in rows]


def _hash_range(text: str) -> dict[str, str]:
    if len(text) < LEAST_HASH_CHARS:
        raise InvalidValueError(f"{short_repr(text)} is too short for a hash; give six digits or more")
    return {"begin": text.lower(), "end": text.lower() + HASH_END}


def use_artifact(connection: Connection, run: int, reference: object) -> UsedArtifact:
    """Record that a run uses an artifact; see :meth:`exptrack.Run.use_artifact`."""
    with connection.transaction():
        found = find_artifact(connection, reference)
        facts = {"hash": found.hash, "from_run": found.run_id, "name": found.name, "version": found.version}
        if connection.execute(INSERT_INPUT, {**facts, "run": run, "at": utc_text()}).rowcount:
            record_event(connection, run, "use", facts)
    origin = resolve_run(connection, found.run_id)
    return UsedArtifact(found, ArtifactStore(connection, origin["id"], origin["run_id"]))


def lineage(connection: Connection, subject: object) -> Lineage:
    """What led to a run or an artifact, and what was made from it; see :meth:`exptrack.Archive.lineage`."""
    with connection.snapshot():
        if isinstance(subject, Artifact) or (isinstance(subject, str) and subject.startswith("sha256:")):
            text = subject.hash if isinstance(subject, Artifact) else check_name(subject, "hash")
            made = registrations(connection, text)
            uses = [use_record(row) for row in connection.all(USES_OF_HASH, _hash_range(text))]
            hashes = list(dict.fromkeys([*(a.hash for a in made), *(u.hash for u in uses)]))
            if not hashes:
                raise ArtifactNotFoundError(text, "")
            if len(hashes) > 1:  # some contents are remembered by their uses alone
                raise AmbiguousHashError(text, hashes)
            name = hashes[0]
            makers = [artifact.run_id for artifact in made]
        else:
            name = resolve_run(connection, subject)["run_id"]
            makers = [name]
            uses = _uses_of(connection, name)
        upstream = _followed(
            [use for maker in makers for use in _inputs(connection, maker)],
            lambda use: _inputs(connection, use.from_run),
        )
        downstream = _followed(uses, lambda use: _uses_of(connection, use.run_id))
        involved = dict.fromkeys([*makers, *(u.from_run for u in upstream), *(u.run_id for u in downstream)])
        artifacts = tuple(a for run_id in involved for a in _made_by(connection, run_id))
    return Lineage(name, tuple(upstream), tuple(downstream), artifacts)


def _followed(
    first: Iterable[ArtifactUse], onward: Callable[[ArtifactUse], Iterable[ArtifactUse]]
) -> list[ArtifactUse]:
    """These uses and all that follow from them, the nearest first, each once."""
    found: dict[ArtifactUse, None] = {}
    waiting = deque(first)
    while waiting:
        use = waiting.popleft()
        if use not in found:
            found[use] = None
            waiting.extend(onward(use))
    return list(found)


def _inputs(connection: Connection, run_id: str) -> tuple[ArtifactUse, ...]:
    run = connection.value(RUN_NUMBER, (run_id,))
    return () if run is None else read_inputs(connection, run)


def _uses_of(connection: Connection, run_id: str) -> list[ArtifactUse]:
    return [use_record(row) for row in connection.all(USES_OF_RUN, (run_id,))]


def _made_by(connection: Connection, run_id: str) -> tuple[Artifact, ...]:
    run = connection.value(RUN_NUMBER, (run_id,))
    return () if run is None else read_artifacts(connection, run)
