"""Artifacts: named, versioned bytes of a run, stored by content.

Invariants: registering is one transaction: the bytes, the name and the event, or nothing. A name
registered again is a new version and the old one stays. Text comes back as text, bytes as bytes.
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from exptrack.blobs import collect_unused, iter_blob, put_blob
from exptrack.checks import check_name, check_step, check_text, shown
from exptrack.config import ExpConfig
from exptrack.connection import Connection, Row
from exptrack.default import default_connection
from exptrack.errors import InvalidTypeError, InvalidValueError, RunNotFoundError
from exptrack.events import record_event
from exptrack.migrations import utc_text
from exptrack.query import artifact_record, read_artifacts, resolve_run
from exptrack.records import Artifact, GcReport

RUN_EXISTS = "SELECT 1 FROM run WHERE id = ?"
NEXT_VERSION = "SELECT coalesce(max(version), 0) + 1 FROM artifact WHERE run = ? AND name = ?"
INSERT_ARTIFACT = """
INSERT INTO artifact (run, name, version, kind, blob, is_text, step, metadata, created_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
ONE_ARTIFACT = """
SELECT a.name, a.version, a.kind, b.hash, b.size_bytes, a.is_text, a.step, a.metadata, a.created_at, a.blob
FROM artifact AS a JOIN blob AS b ON b.id = a.blob
WHERE a.run = :run AND a.name = :name AND (:version IS NULL OR a.version = :version)
ORDER BY a.version DESC LIMIT 1
"""
ARTIFACT_BY_HASH = """
SELECT a.name, a.version, a.kind, b.hash, b.size_bytes, a.is_text, a.step, a.metadata, a.created_at, a.blob
FROM blob AS b JOIN artifact AS a ON a.blob = b.id AND a.run = :run
WHERE b.hash = :hash ORDER BY a.id DESC LIMIT 1
"""
HASHES_OF = """
SELECT DISTINCT b.hash FROM artifact AS a JOIN blob AS b ON b.id = a.blob WHERE a.run = ?
"""


class ArtifactStore:
    """The artifacts of one run.

    >>> from exptrack import Archive
    >>> with Archive(tmp_path / "lab.db") as archive:
    ...     run = archive.start_run()
    ...     store = run.artifacts
    ...     digest = store.register_data("words", "to be or not to be")
    ...     store.get_blob("words")
    'to be or not to be'
    """

    def __init__(self, connection: Connection, run: int, run_id: str) -> None:
        self._connection = connection
        self._run = run
        self.run_id = run_id

    @classmethod
    def for_run(cls, run_id: str) -> ArtifactStore:
        """The artifacts of a run of the default archive.

        Raises:
            RunNotFoundError: it has no such run.
        """
        connection = default_connection()
        row = resolve_run(connection, run_id)
        return cls(connection, row["id"], row["run_id"])

    def register_data(
        self,
        name: str,
        content: str | bytes | bytearray | memoryview,
        metadata: Mapping[str, Any] | None = None,
    ) -> str:
        """Store text or bytes under a name; return the content hash (``sha256:…``). Commits."""
        check_name(name, "artifact name")
        if isinstance(content, str):
            source = check_text(content, f"artifact {name!r}").encode("utf-8")
        elif isinstance(content, (bytes, bytearray, memoryview)):
            source = bytes(content)
        else:
            raise InvalidTypeError(f"an artifact is text or bytes, not {shown(content)}")
        is_text = isinstance(content, str)
        return self._register(name, "data", io.BytesIO(source), metadata, is_text=is_text)

    def register_file(
        self, name: str, path: str | os.PathLike[str], metadata: Mapping[str, Any] | None = None
    ) -> str:
        """Store a file's bytes under a name, reading it once with bounded memory; return the hash. Commits.

        Raises:
            InvalidValueError: `path` cannot be read as a file.
        """
        with _opened(path) as source:
            return self._register(name, "file", source, metadata)

    def register_checkpoint(
        self,
        name: str,
        path: str | os.PathLike[str],
        step: int,
        metadata: Mapping[str, Any] | None = None,
    ) -> str:
        """Store a checkpoint file with the step it was taken at; return the hash. Commits."""
        with _opened(path) as source:
            return self._register(name, "checkpoint", source, metadata, step=check_step(step))

    def _register(
        self,
        name: str,
        kind: str,
        source: BinaryIO,
        metadata: Mapping[str, Any] | None,
        *,
        is_text: bool = False,
        step: int | None = None,
    ) -> str:
        checked = check_name(name, "artifact name")
        facts = ExpConfig({} if metadata is None else metadata).canonical()
        with self._connection.transaction():
            if self._connection.value(RUN_EXISTS, (self._run,)) is None:
                raise RunNotFoundError(self.run_id, str(self._connection.path))
            blob = put_blob(self._connection, source)
            version = self._connection.value(NEXT_VERSION, (self._run, checked))
            self._connection.execute(
                INSERT_ARTIFACT,
                (self._run, checked, version, kind, blob.id, is_text, step, facts, utc_text()),
            )
            data = {"name": checked, "version": version, "hash": blob.hash}
            record_event(self._connection, self._run, "artifact", data)
        return blob.hash

    def _find(self, name: str, version: int | None) -> Row | None:
        checked = check_name(name, "artifact name")
        if version is not None:
            version = check_step(version)
        row = self._connection.one(ONE_ARTIFACT, {"run": self._run, "name": checked, "version": version})
        if row is None and version is None and checked.startswith("sha256:"):
            row = self._connection.one(ARTIFACT_BY_HASH, {"run": self._run, "hash": checked})
        return row

    def get_artifact(self, name: str, version: int | None = None) -> Artifact | None:
        """The newest version under a name (or the one asked for), or None. Takes a hash as well."""
        row = self._find(name, version)
        return None if row is None else artifact_record(row)

    def get_blob(self, name: str, version: int | None = None) -> str | bytes | None:
        """The content under a name or hash, text as text, or None; checked against its hash.

        Raises:
            ArchiveCorruptError: what is stored is not what was registered.
        """
        row = self._find(name, version)
        if row is None:
            return None
        content = b"".join(iter_blob(self._connection, row["blob"]))
        return content.decode("utf-8") if row["is_text"] else content

    def list_artifacts(self) -> list[Artifact]:
        """Every version of every artifact of the run, by name."""
        return list(read_artifacts(self._connection, self._run))

    def referenced_hashes(self) -> set[str]:
        """The hashes of everything the run has registered."""
        return {row["hash"] for row in self._connection.all(HASHES_OF, (self._run,))}


def _opened(path: str | os.PathLike[str]) -> BinaryIO:
    try:
        return Path(path).open("rb")
    except TypeError:
        raise InvalidTypeError(f"a path is text or a Path, not {shown(path)}") from None
    except (OSError, ValueError) as error:
        raise InvalidValueError(f"cannot read the file {shown(os.fspath(path))}: {error}") from None


def gc_artifacts(connection: Connection) -> GcReport:
    """Remove what no artifact names any more and give the space back to the file system. Commits."""
    with connection.transaction(durable=True):
        removed = collect_unused(connection)
    return GcReport(*removed, connection.vacuum_free_pages())
