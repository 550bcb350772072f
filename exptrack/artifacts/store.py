"""Artifacts: named, versioned bytes of a run, stored by content.

Invariants: registering makes name, bytes and event visible together, or nothing. A name registered again is a
new version and the old one stays; the number of a removed version is never given again. Text comes back as
text, bytes as bytes, a folder as its files. What is registered as a folder can be restored on every system.
"""

from __future__ import annotations

import io
import json
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TypeAlias, cast

from exptrack.artifacts.blobs import BlobStream, Intake, NewBlob, StoredBlob, collect_unused
from exptrack.artifacts.folders import (
    ByteCount,
    Progress,
    file_size,
    guessed_type,
    manifest_of,
    manifest_of_rows,
    opened,
    path_text,
    walk,
)
from exptrack.artifacts.listing import artifact_record, read_artifacts
from exptrack.artifacts.records import ArtifactFile, GcReport, RemovalReport, RunStorage
from exptrack.artifacts.restore import check_tree, safe_parts, write_file, write_tree
from exptrack.config.exp_config import ExpConfig
from exptrack.database.connection import Connection, Row
from exptrack.database.opening import default_connection
from exptrack.errors import (
    ArchiveCorruptError,
    ArtifactNotFoundError,
    InvalidValueError,
    RunNotFoundError,
)
from exptrack.metrics.writer import drain_all
from exptrack.records import FOLDER_TYPE, Artifact
from exptrack.runs.events import record_event
from exptrack.runs.lookup import resolve_run
from exptrack.times import utc_text
from exptrack.validation import check_direction, check_name, check_step, check_text, short_repr

FOLDER = "folder"
# A blob can be sound and yet not this artifact's: these make the checksum of its row.
CHECKED = "run_id name version kind hash is_text media_type step metadata created_at".split()
FILE_MODE, FOLDER_MODE = 0o644, 0o755  # of what was stored without a mode

RUN_EXISTS = "SELECT 1 FROM run WHERE id = ?"
NEXT_VERSION = "SELECT coalesce(max(version), 0) + 1 FROM artifact WHERE run = ? AND name = ?"
INSERT_ARTIFACT = """
INSERT INTO artifact
    (run, name, version, kind, blob, is_text, media_type, step, metadata, created_at, checksum)
VALUES (:run, :name, :version, :kind, :blob, :is_text, :media_type, :step, :metadata, :created_at, :checksum)
"""
INSERT_ENTRY = "INSERT INTO artifact_entry (artifact, path, mode, blob) VALUES (?, ?, ?, ?)"
ENTRIES_OF = """
SELECT e.path, e.mode, e.blob, b.hash, b.size_bytes
FROM artifact_entry AS e LEFT JOIN blob AS b ON b.id = e.blob
WHERE e.artifact = ? ORDER BY e.path
"""
TREE_BYTES = """
SELECT coalesce(sum(b.size_bytes), 0) FROM artifact_entry AS e JOIN blob AS b ON b.id = e.blob
WHERE e.artifact = ?
"""
_ARTIFACT = """
SELECT a.id, r.run_id, a.name, a.version, a.kind, b.hash, b.size_bytes, a.is_text, a.media_type, a.step,
       a.metadata, a.created_at, a.blob, a.checksum
"""
ONE_ARTIFACT = f"""{_ARTIFACT}
FROM artifact AS a LEFT JOIN blob AS b ON b.id = a.blob JOIN run AS r ON r.id = a.run
WHERE a.run = :run AND a.name = :name AND (:version IS NULL OR a.version = :version) AND a.blob IS NOT NULL
ORDER BY a.version DESC LIMIT 1
"""
ARTIFACT_BY_HASH = f"""{_ARTIFACT}
FROM blob AS b JOIN artifact AS a ON a.blob = b.id AND a.run = :run JOIN run AS r ON r.id = a.run
WHERE b.hash = :hash ORDER BY a.id DESC LIMIT 1
"""
HASHES_OF = """
SELECT DISTINCT b.hash FROM artifact AS a JOIN blob AS b ON b.id = a.blob WHERE a.run = ?
"""
VERSIONS_OF = """
SELECT id, version, step FROM artifact WHERE run = ? AND name = ? AND blob IS NOT NULL ORDER BY version
"""
VALUE_AT = """
SELECT p.value
FROM metric_point AS p JOIN metric_series AS s ON s.id = p.series JOIN metric_name AS n ON n.id = s.metric
WHERE s.run = ? AND n.name = ? AND p.step <= ?
ORDER BY p.step DESC, p.seq DESC LIMIT 1
"""
METRIC_OF_RUN = """
SELECT 1 FROM metric_series AS s JOIN metric_name AS n ON n.id = s.metric WHERE s.run = ? AND n.name = ?
"""
BLOBS_OF_ARTIFACT = """
SELECT blob FROM artifact WHERE id = :id AND blob IS NOT NULL
UNION
SELECT blob FROM artifact_entry WHERE artifact = :id AND blob IS NOT NULL
"""
DELETE_ENTRIES = "DELETE FROM artifact_entry WHERE artifact = ?"
REMOVE_ARTIFACT = "UPDATE artifact SET blob = NULL, removed_at = ? WHERE id = ?"
STORAGE = """
SELECT s.run_id, r.name, s.stored_bytes, s.shared_bytes,
       (SELECT count(*) FROM artifact AS a WHERE a.run = r.id AND a.blob IS NOT NULL) AS artifacts,
       (SELECT coalesce(sum(b.size_bytes), 0) FROM artifact AS a JOIN blob AS b ON b.id = a.blob
        WHERE a.run = r.id)
       + (SELECT coalesce(sum(b.size_bytes), 0)
          FROM artifact AS a JOIN artifact_entry AS e ON e.artifact = a.id JOIN blob AS b ON b.id = e.blob
          WHERE a.run = r.id) AS size_bytes
FROM run_storage AS s JOIN run AS r ON r.run_id = s.run_id
ORDER BY s.stored_bytes DESC, s.run_id
"""

_Entry: TypeAlias = tuple[str, int, Iterable[bytes] | None]  # path, mode, content of a file


class Registration(NamedTuple):
    """What is said of an artifact when it is registered."""

    name: str
    kind: str
    metadata: Mapping[str, Any] | None = None
    is_text: bool = False
    media_type: str | None = None
    step: int | None = None


class ArtifactStore:
    """The artifacts of one run.

    >>> from exptrack import Archive
    >>> with Archive(tmp_path / "lab.db") as archive:
    ...     run = archive.start_run()
    ...     digest = run.artifacts.register_data("words", "to be or not to be")
    ...     digest = run.artifacts.register_data("weights", bytes(1000), {"layers": 3})
    ...     with run.artifacts.open("weights") as file:
    ...         place = file.seek(990)
    ...         len(file.read()), run.artifacts.get_blob("words")
    (10, 'to be or not to be')
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

    # Registering

    def register_data(self, name: str, content: object, metadata: Mapping[str, Any] | None = None) -> str:
        """Store content under a name; return its hash (``sha256:…``). Commits.

        Text comes back as text. Bytes, a file opened for reading in binary mode and an iterable of bytes come
        back as bytes; the latter two are read once, with bounded memory.

        Raises:
            InvalidTypeError: it is none of these, or hands out something else than bytes.
        """
        check_name(name, "artifact name")
        if isinstance(content, str):
            data = check_text(content, f"artifact {name!r}").encode("utf-8")
            return self.register(Registration(name, "data", metadata, is_text=True), data)
        return self.register(Registration(name, "data", metadata), content)

    def register_file(
        self,
        name: str,
        path: str | os.PathLike[str],
        metadata: Mapping[str, Any] | None = None,
        *,
        progress: Progress | None = None,
    ) -> str:
        """Store a file's bytes under a name, reading it once with bounded memory; return the hash. Commits.

        `progress`, here and below, is called with the bytes done and the bytes in all.

        Raises:
            InvalidValueError: `path` cannot be read as a file.
        """
        with opened(path) as source:
            said = Registration(name, "file", metadata, media_type=guessed_type(path))
            return self.register(said, ByteCount(progress, file_size(source)).blocks(source))

    def register_checkpoint(
        self,
        name: str,
        path: str | os.PathLike[str],
        step: int,
        metadata: Mapping[str, Any] | None = None,
        *,
        progress: Progress | None = None,
    ) -> str:
        """Store a checkpoint, a file or a folder, with the step it was taken at; return the hash. Commits.

        :meth:`keep` removes the ones that are not needed any more.
        """
        said = Registration(name, "checkpoint", metadata, step=check_step(step))
        if Path(path_text(path)).is_dir():
            return self._register_folder(said, path, progress)
        with opened(path) as source:
            return self.register(said, ByteCount(progress, file_size(source)).blocks(source))

    def register_dir(
        self,
        name: str,
        path: str | os.PathLike[str],
        metadata: Mapping[str, Any] | None = None,
        *,
        progress: Progress | None = None,
    ) -> str:
        """Store a folder with all it holds under a name; return the hash of its manifest. Commits.

        Names, permission bits and empty folders are kept; equal files are stored once. A symbolic link is
        stored as what it leads to.

        Raises:
            InvalidValueError: a link leads nowhere or round in a circle, something is neither file nor folder,
                or a name cannot be restored on every system; nothing is registered.
        """
        return self._register_folder(Registration(name, FOLDER, metadata), path, progress)

    def register(self, said: Registration, content: object) -> str:
        """Store content as described; what the other methods come down to. Commits."""
        facts = self._checked(said)
        with Intake(self._connection) as intake:
            blob = intake.put(content)
            with intake.attaching():
                self._insert(said, facts, blob)
        return blob.hash

    def _register_folder(
        self, said: Registration, path: str | os.PathLike[str], progress: Progress | None
    ) -> str:
        facts = self._checked(said)
        found = list(walk(path_text(path)))
        check_tree([(entry.path, entry.source is None) for entry in found])
        count = ByteCount(progress, sum(entry.size_bytes for entry in found))
        with Intake(self._connection) as intake:
            blobs: list[NewBlob | None] = []
            for entry in found:
                if entry.source is None:
                    blobs.append(None)
                    continue
                with opened(entry.source) as source:
                    blobs.append(intake.put(count.blocks(source)))
            lines = [
                (entry.path, entry.mode, None if blob is None else (blob.hash, blob.size_bytes))
                for entry, blob in zip(found, blobs, strict=True)
            ]
            manifest = intake.put(manifest_of(lines))
            with intake.attaching():
                artifact = self._insert(said._replace(media_type=FOLDER_TYPE), facts, manifest)
                self._connection.execute_many(
                    INSERT_ENTRY,
                    [
                        (artifact, entry.path, entry.mode, None if blob is None else blob.id)
                        for entry, blob in zip(found, blobs, strict=True)
                    ],
                )
        return manifest.hash

    def _checked(self, said: Registration) -> str:
        """The metadata to store; asked before anything is read, so that nothing is read in vain."""
        check_name(said.name, "artifact name")
        facts = ExpConfig({} if said.metadata is None else said.metadata).canonical()
        self._require_run()
        return facts

    def _require_run(self) -> None:
        if self._connection.value(RUN_EXISTS, (self._run,)) is None:
            raise RunNotFoundError(self.run_id, str(self._connection.path))

    def _insert(self, said: Registration, facts: str, blob: NewBlob) -> int:
        self._require_run()
        version = self._connection.value(NEXT_VERSION, (self._run, said.name))
        row = {
            "run_id": self.run_id,
            "name": said.name,
            "version": version,
            "kind": said.kind,
            "hash": blob.hash,
            "is_text": int(said.is_text),
            "media_type": said.media_type,
            "step": said.step,
            "metadata": facts,
            "created_at": utc_text(),
        }
        values = {**row, "run": self._run, "blob": blob.id, "checksum": artifact_checksum(row)}
        artifact = self._connection.execute(INSERT_ARTIFACT, values).lastrowid
        assert artifact is not None
        data = {"name": said.name, "version": version, "hash": blob.hash}
        record_event(self._connection, self._run, "artifact", data)
        return artifact

    # Reading

    def _find(self, name: str, version: int | None) -> Row | None:
        checked = check_name(name, "artifact name")
        if version is not None:
            version = check_step(version)
        row = self._connection.one(ONE_ARTIFACT, {"run": self._run, "name": checked, "version": version})
        if row is None and version is None and checked.startswith("sha256:"):
            row = self._connection.one(ARTIFACT_BY_HASH, {"run": self._run, "hash": checked})
        if row is not None and artifact_checksum(row) != row["checksum"]:
            raise self._damaged(row, "what is said of it is not what was registered")
        return row

    def _damaged(self, row: Row, problem: str) -> ArchiveCorruptError:
        path = self._connection.path
        return ArchiveCorruptError(
            f"{self._named(row)} in {path} is damaged: {problem}; 'exptrack verify' tells what else is",
            path=str(path),
        )

    def _named(self, row: Row) -> str:
        return f"artifact {row['name']!r} version {row['version']} of run {self.run_id}"

    def _get(self, name: str, version: int | None) -> Row:
        row = self._find(name, version)
        if row is None:
            raise ArtifactNotFoundError(name, self.run_id, version)
        return row

    def _blob(self, row: Row) -> StoredBlob:
        return StoredBlob(self._connection, row["blob"], self._named(row))

    def get_artifact(self, name: str, version: int | None = None) -> Artifact | None:
        """The newest version under a name (or the one asked for), or None. Takes a hash as well.

        Raises:
            ArchiveCorruptError: what is said of it is not what was registered.
        """
        row = self._find(name, version)
        return None if row is None else artifact_record(row)

    def get_blob(self, name: str, version: int | None = None) -> str | bytes | None:
        """The content under a name or hash, text as text, or None; checked against its hash.

        Of a folder it is the manifest: JSON, as bytes.

        Raises:
            ArchiveCorruptError: what is stored is not what was registered.
        """
        with self._connection.snapshot():
            row = self._find(name, version)
            if row is None:
                return None
            content = b"".join(self._blob(row))
        return content.decode("utf-8") if row["is_text"] else content

    def get_table(self, name: str, version: int | None = None) -> dict[str, list[Any]]:
        """The columns of a table by name, as ``log_table`` stored it; of CSV each cell is text or None.

        Raises:
            ArtifactNotFoundError: the run has no such artifact.
            InvalidValueError: it is no table.
            MissingPackageError: it is Parquet, and neither pyarrow nor polars is installed.
            ArchiveCorruptError: what is stored is not what was registered.
        """
        from exptrack.media import decode_table

        with self._connection.snapshot():
            row = self._get(name, version)
            if row["kind"] != "table":
                raise InvalidValueError(f"artifact {name!r} is no table but of the kind {row['kind']}")
            data = b"".join(self._blob(row))
        return decode_table(data, row["media_type"])

    def open(self, name: str, version: int | None = None, *, file: str | None = None) -> BinaryIO:
        """The content as a binary file to read and seek in; only the chunks it needs are read, and checked.

        `file` is the path of a file inside an artifact that is a folder.

        Raises:
            ArtifactNotFoundError: the run has no such artifact, or it no such file.
            InvalidValueError: it is a folder and no `file` was named.
            ArchiveCorruptError: what is stored is not what was registered; reading may raise it too.
        """
        with self._connection.snapshot():
            row = self._get(name, version)
            if file is None:
                if row["media_type"] == FOLDER_TYPE:
                    raise InvalidValueError(
                        f"artifact {name!r} is a folder; name a file of it: open({name!r}, file=…)"
                    )
                blob = self._blob(row)
            else:
                blob = self._entry_blob(row, self._get_entry(row, file))
        return cast(BinaryIO, io.BufferedReader(BlobStream(blob)))

    def _entries(self, row: Row) -> list[Row]:
        """What a folder holds, by path, checked against its manifest; nothing for what is no folder."""
        if row["media_type"] != FOLDER_TYPE:
            return []
        entries = self._connection.all(ENTRIES_OF, (row["id"],))
        if b"".join(self._blob(row)) != manifest_of_rows(entries):
            raise self._damaged(row, "what the folder holds is not what was registered")
        return entries

    def _get_entry(self, row: Row, file: str) -> Row:
        checked = check_text(file, "file")
        for entry in self._entries(row):
            if entry["path"] == checked and entry["blob"] is not None:
                return entry
        raise ArtifactNotFoundError(f"{row['name']}/{file}", self.run_id, row["version"])

    def _entry_blob(self, row: Row, entry: Row) -> StoredBlob:
        return StoredBlob(self._connection, entry["blob"], f"{entry['path']} of {self._named(row)}")

    def list_files(self, name: str, version: int | None = None) -> list[ArtifactFile]:
        """What a folder holds, by path; empty for an artifact that is none.

        Raises:
            ArtifactNotFoundError: the run has no such artifact.
            ArchiveCorruptError: what is stored is not what was registered.
        """
        with self._connection.snapshot():
            entries = self._entries(self._get(name, version))
        return [ArtifactFile(e["path"], e["mode"], e["size_bytes"], e["hash"]) for e in entries]

    def list_artifacts(self) -> list[Artifact]:
        """Every version of every artifact of the run, by name."""
        return list(read_artifacts(self._connection, self._run))

    def referenced_hashes(self) -> set[str]:
        """The hashes of everything the run has registered."""
        return {row["hash"] for row in self._connection.all(HASHES_OF, (self._run,))}

    # Restoring

    def export(
        self,
        name: str,
        target: str | os.PathLike[str],
        version: int | None = None,
        *,
        file: str | None = None,
        overwrite: bool = False,
        progress: Progress | None = None,
    ) -> Path:
        """Write an artifact to a file, or a folder, and return where it is; whole or not at all.

        Every byte is checked on the way. In a `target` that is a folder it gets its own name (the last part of
        it). Nothing there is replaced unless `overwrite` says so, and a folder never is. `file` is the path of
        a file inside an artifact that is a folder: only that is written.

        Raises:
            ArtifactNotFoundError: the run has no such artifact.
            UnsafePathError: its name, or one inside, could lead out of the target or cannot be on some system.
            ExportError: the target exists, or cannot be written.
            ArchiveCorruptError: what is stored is not what was registered; the target is as it was.
        """
        place = Path(path_text(target))
        with self._connection.snapshot():
            row = self._get(name, version)
            entry = None if file is None else self._get_entry(row, file)
            if place.is_dir():
                place = place / safe_parts(row["name"] if entry is None else entry["path"])[-1]
            if entry is None and row["media_type"] == FOLDER_TYPE:
                write_tree(place, self._tree(row, ByteCount(progress, self._size_of(row))))
            else:
                blob = self._blob(row) if entry is None else self._entry_blob(row, entry)
                write_file(place, ByteCount(progress, blob.size_bytes).pieces(blob), overwrite=overwrite)
        return place

    def export_all(self, target: str | os.PathLike[str], *, progress: Progress | None = None) -> Path:
        """Write the newest version of every artifact, under its name, into a new folder; whole or not at all.

        Raises:
            UnsafePathError: a name could lead out of the folder, or two cannot be side by side on every system.
            ExportError: the target exists and is not an empty folder, or cannot be written.
            ArchiveCorruptError: what is stored is not what was registered.
        """
        place = Path(path_text(target))
        with self._connection.snapshot():
            newest = {artifact.name: artifact.version for artifact in self.list_artifacts()}
            rows = [self._get(name, version) for name, version in newest.items()]
            count = ByteCount(progress, sum(self._size_of(row) for row in rows))
            write_tree(place, (entry for row in rows for entry in self._under_its_name(row, count)))
        return place

    def _size_of(self, row: Row) -> int:
        if row["media_type"] != FOLDER_TYPE:
            return int(row["size_bytes"])
        return int(self._connection.value(TREE_BYTES, (row["id"],)))

    def _under_its_name(self, row: Row, count: ByteCount) -> Iterator[_Entry]:
        name = row["name"]
        if row["media_type"] != FOLDER_TYPE:
            yield name, FILE_MODE, count.pieces(self._blob(row))
            return
        yield name, FOLDER_MODE, None
        for path, mode, pieces in self._tree(row, count):
            yield f"{name}/{path}", mode, pieces

    def _tree(self, row: Row, count: ByteCount) -> Iterator[_Entry]:
        for entry in self._entries(row):
            is_folder = entry["blob"] is None
            pieces = None if is_folder else count.pieces(self._entry_blob(row, entry))
            yield entry["path"], entry["mode"], pieces

    # Removing

    def remove(self, name: str, version: int | None = None) -> RemovalReport:
        """Remove one version, or with `version` None all of them, and give the space back. Commits, power-safe.

        What other artifacts share stays. The log of the run tells of it.

        Raises:
            ArtifactNotFoundError: the run has no such artifact.
        """
        with self._connection.transaction(durable=True):
            self._require_run()
            rows = self._connection.all(VERSIONS_OF, (self._run, check_name(name, "artifact name")))
            chosen = [row for row in rows if version is None or row["version"] == check_step(version)]
            if not chosen:
                raise ArtifactNotFoundError(name, self.run_id, version)
            report = self._remove(name, chosen)
        return replace(report, file_bytes=self._connection.vacuum_free_pages())

    def keep(
        self,
        name: str,
        *,
        last: int | None = None,
        best: int | None = None,
        metric: str | None = None,
        direction: str | None = None,
    ) -> RemovalReport:
        """Keep the `last` so many versions, the `best` so many by a metric, or both; remove the others.

        `metric` and `direction` (``"minimize"`` or ``"maximize"``) say what is best: the value at the version's
        step, or the latest before it. NaN is worse than every number; of equal ones the newer is kept. Versions
        without a step have no such value and are never removed by `best` alone. Commits, power-safe.

        Raises:
            InvalidValueError: nothing is to be kept, or `best` without metric and direction.
            ArtifactNotFoundError: the run has no such artifact.
        """
        for what, count in (("last", last), ("best", best)):
            if count is not None and (isinstance(count, bool) or not isinstance(count, int) or count < 1):
                raise InvalidValueError(f"{what} must be a whole number from 1, not {short_repr(count)}")
        if last is None and best is None:
            raise InvalidValueError("say how many to keep: last=3, or best=3 with metric and direction")
        if (best is None) != (metric is None and direction is None) or (metric is None) != (direction is None):
            raise InvalidValueError("best goes with a metric and a direction, 'minimize' or 'maximize'")
        drain_all(self._connection.path)
        with self._connection.transaction(durable=True):
            rows = self._connection.all(VERSIONS_OF, (self._run, check_name(name, "artifact name")))
            if not rows:
                raise ArtifactNotFoundError(name, self.run_id)
            kept = {row["id"] for row in rows[-last:]} if last is not None else set()
            if best is not None and metric is not None:
                kept |= self._best(rows, best, metric, check_direction(direction))
            report = self._remove(name, [row for row in rows if row["id"] not in kept])
        return replace(report, file_bytes=self._connection.vacuum_free_pages())

    def _best(self, rows: list[Row], count: int, metric: str, direction: str) -> set[int]:
        checked = check_name(metric, "metric name")
        if self._connection.value(METRIC_OF_RUN, (self._run, checked)) is None:
            raise InvalidValueError(f"run {self.run_id} has not logged {metric!r}; nothing was removed")
        sign = -1.0 if direction == "maximize" else 1.0

        def rank(row: Row) -> tuple[bool, float, int]:
            value = self._connection.value(VALUE_AT, (self._run, checked, row["step"]))
            return (value is None, 0.0 if value is None else sign * value, -row["version"])

        ranked = sorted((row for row in rows if row["step"] is not None), key=rank)
        return {row["id"] for row in ranked[:count]} | {row["id"] for row in rows if row["step"] is None}

    def _remove(self, name: str, rows: list[Row]) -> RemovalReport:
        connection, now = self._connection, utc_text()
        blobs = [blob[0] for row in rows for blob in connection.all(BLOBS_OF_ARTIFACT, {"id": row["id"]})]
        for row in rows:
            connection.execute(DELETE_ENTRIES, (row["id"],))
            connection.execute(REMOVE_ARTIFACT, (now, row["id"]))
            facts = {"name": name, "version": row["version"]}
            record_event(connection, self._run, "artifact-removed", facts)
        removed = collect_unused(connection, blobs)
        versions = tuple(row["version"] for row in rows)
        return RemovalReport(name, versions, removed.blobs, removed.stored_bytes, 0)


def artifact_checksum(row: Row | Mapping[str, Any]) -> int:
    """CRC-32 over what was registered: each of `CHECKED`, as JSON."""
    text = json.dumps([row[key] for key in CHECKED], separators=(",", ":"))
    return zlib.crc32(text.encode("ascii"))


def gc_artifacts(connection: Connection) -> GcReport:
    """Remove what no artifact names any more and give the space back to the file system. Commits, power-safe.

    Raises:
        ArchiveCorruptError: something is named that is not there; nothing is deleted.
    """
    with connection.transaction(durable=True):
        removed = collect_unused(connection)
    return GcReport(*removed, connection.vacuum_free_pages())


def storage(connection: Connection) -> list[RunStorage]:
    """What the artifacts of each run take; see :meth:`exptrack.Archive.storage`."""
    return [
        RunStorage(
            row["run_id"],
            row["name"],
            row["artifacts"],
            row["size_bytes"],
            row["stored_bytes"],
            row["shared_bytes"],
        )
        for row in connection.all(STORAGE)
    ]
