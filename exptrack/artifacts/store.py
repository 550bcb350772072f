"""The artifacts of one run: register content under a name, read it, write it to files.

Invariants: registering makes name, bytes and event visible together, or nothing. Registering a name again adds
a version; the old version stays. Text is read back as text, bytes as bytes, a folder as its files. A folder is
registered only if every system can restore it. Every read verifies the bytes it returns.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias, cast

from exptrack import own_files
from exptrack.artifacts.aliases import find_version, read_label
from exptrack.artifacts.blobs import Intake, NewBlob
from exptrack.artifacts.checkpoints import CheckpointChoice
from exptrack.artifacts.chunks import guard_content
from exptrack.artifacts.folder_intake import put_folder
from exptrack.artifacts.folders import (
    FOLDER,
    ByteCount,
    Progress,
    decode_path,
    file_size,
    guess_type,
    open_for_reading,
)
from exptrack.artifacts.listing import ARTIFACT_COLUMNS, complete_artifact, read_artifacts
from exptrack.artifacts.records import ArtifactFile
from exptrack.artifacts.registration import (
    Registration,
    artifact_checksum,
    check_registration,
    insert_artifact,
)
from exptrack.artifacts.restore import write_file, write_tree
from exptrack.artifacts.safe_paths import safe_parts
from exptrack.artifacts.stored_blob import BlobStream, StoredBlob, corrupt_error
from exptrack.artifacts.stored_folder import FOLDER_MODE, build_manifest_of_rows, insert_entries
from exptrack.artifacts.target_names import choose_paths
from exptrack.database.connection import Connection, Row, in_reading
from exptrack.database.damage import decoding_rows
from exptrack.database.opening import default_connection
from exptrack.errors import (
    ArchiveCorruptError,
    ArtifactNotFoundError,
    InvalidTypeError,
    InvalidValueError,
    warn,
)
from exptrack.listed import listed
from exptrack.plain import MAX_PATH_CHARS, is_text, short_repr
from exptrack.records import FOLDER_TYPE, Artifact
from exptrack.runs.lookup import resolve_run
from exptrack.shown import shown
from exptrack.times import read_time, utc_text
from exptrack.validation import check_flag, check_name, check_step, check_text, check_whole

if TYPE_CHECKING:
    from exptrack.markup.notebook import View
    from exptrack.media.thumbnails import Thumbnail

FILE_MODE = 0o644  # for artifacts that were stored without a mode

ENTRIES_OF = """
SELECT e.path, e.mode, e.blob, b.hash, b.size_bytes
FROM artifact_entry AS e LEFT JOIN blob AS b ON b.id = e.blob
WHERE e.artifact = ? ORDER BY e.path
"""
TREE_BYTES = """
SELECT coalesce(sum(b.size_bytes), 0) FROM artifact_entry AS e JOIN blob AS b ON b.id = e.blob
WHERE e.artifact = ?
"""
_COLUMNS = f"{ARTIFACT_COLUMNS}, a.id, a.blob, a.checksum"
ONE_ARTIFACT = f"""{_COLUMNS}
FROM artifact AS a LEFT JOIN blob AS b ON b.id = a.blob JOIN run AS r ON r.id = a.run
WHERE a.run = :run AND a.name = :name AND (:version IS NULL OR a.version = :version) AND a.blob IS NOT NULL
ORDER BY a.version DESC LIMIT 1
"""
ARTIFACT_BY_HASH = f"""{_COLUMNS}
FROM blob AS b JOIN artifact AS a ON a.blob = b.id AND a.run = :run JOIN run AS r ON r.id = a.run
WHERE b.hash = :hash ORDER BY a.id DESC LIMIT 1
"""
HASHES_OF = """
SELECT DISTINCT b.hash FROM artifact AS a JOIN blob AS b ON b.id = a.blob WHERE a.run = ?
"""

_Entry: TypeAlias = tuple[str, int, Iterable[bytes] | None]  # path, mode, content of a file


class ArtifactReader(io.BufferedReader):
    """The content of an artifact as a binary file, from :meth:`ArtifactStore.open`."""

    def __reduce_ex__(self, _protocol: object) -> str:
        raise InvalidTypeError(
            "an open artifact cannot be pickled or copied; hand over the store or the used artifact, and call"
            " open() in the other process"
        )


@shown
class ArtifactStore(CheckpointChoice):
    """The artifacts of one run: store content under a name, read it, restore it, remove it.

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

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickle, (self._connection, self.run_id)

    def __repr__(self) -> str:
        return f"<ArtifactStore of run {self.run_id}>"

    def _view(self) -> View:
        from exptrack.artifacts.pictures import draw_artifacts
        from exptrack.markup.notebook import View

        found = self.list_artifacts()
        return View(f"{len(found):,} artifacts of run {self.run_id}", draw_artifacts(self, found))

    @classmethod
    def for_run(cls, run_id: str) -> ArtifactStore:
        """Return the artifacts of a run of the default archive.

        Raises:
            RunNotFoundError: no run has this id.
            AmbiguousRunError: it means several runs.
        """
        connection = default_connection(create=False)
        row = resolve_run(connection, run_id)
        return cls(connection, row["id"], row["run_id"])

    # Registering

    def register_data(
        self,
        name: str,
        content: object,
        metadata: Mapping[str, Any] | None = None,
        *,
        kind: str = "data",
        aliases: Iterable[str] = (),
        description: str | None = None,
    ) -> str:
        """Store content under a name and return its hash (``sha256:…``). Commits.

        `content` is text, bytes, a file opened in binary mode or an iterable of bytes. Text is read back as
        text, everything else as bytes. A file or iterable is read once, with bounded memory.

        This and the methods below take a `kind`, which is any word, and a `description`. `aliases` such as
        ``["best"]`` move to the new version; see :meth:`set_alias`.

        Raises:
            InvalidTypeError: the content is of another type, or a file or iterable returns anything but bytes.
            OwnFileError: the file is the archive itself, or belongs to it or to another open archive.
        """
        name = check_name(name, "artifact name")
        said = Registration(name, kind, metadata, aliases=aliases, description=description)
        if is_text(content):
            data = check_text(content, f"artifact {name!r}").encode("utf-8")
            return self._register(said._replace(is_text=True), data)
        own_files.require_foreign_file(content)
        return self._register(said, guard_content(content))

    def register_file(
        self,
        name: str,
        path: str | os.PathLike[str],
        metadata: Mapping[str, Any] | None = None,
        *,
        kind: str = "file",
        aliases: Iterable[str] = (),
        description: str | None = None,
        progress: Progress | None = None,
    ) -> str:
        """Store a file's bytes under a name and return their hash. Commits.

        The file is read once, with bounded memory. This and the methods below call `progress` with the bytes
        done so far and the total.

        Raises:
            InvalidValueError: `path` is not a file, or cannot be read.
            OwnFileError: it is the archive itself, or belongs to it or to another open archive;
                :meth:`exptrack.Archive.backup` makes a copy that can be stored.
        """
        with open_for_reading(path) as source:
            said = Registration(name, kind, metadata, False, guess_type(path), None, aliases, description)
            return self._register(said, ByteCount(progress, file_size(source)).blocks(source))

    def register_checkpoint(
        self,
        name: str,
        path: str | os.PathLike[str],
        step: int,
        metadata: Mapping[str, Any] | None = None,
        *,
        kind: str = "checkpoint",
        aliases: Iterable[str] = (),
        description: str | None = None,
        progress: Progress | None = None,
    ) -> str:
        """Store a checkpoint, a file or a folder, together with its step, and return the hash. Commits.

        :meth:`keep` removes the checkpoints that are no longer needed.

        Raises:
            InvalidValueError: `path` cannot be read.
            OwnFileError: it is a file of an open archive.
        """
        said = Registration(name, kind, metadata, False, None, check_step(step), aliases, description)
        if os.path.isdir(decode_path(path)):
            return self._register_folder(said, path, progress)
        with open_for_reading(path) as source:
            return self._register(said, ByteCount(progress, file_size(source)).blocks(source))

    def register_dir(
        self,
        name: str,
        path: str | os.PathLike[str],
        metadata: Mapping[str, Any] | None = None,
        *,
        kind: str = FOLDER,
        aliases: Iterable[str] = (),
        description: str | None = None,
        progress: Progress | None = None,
    ) -> str:
        """Store a folder and everything in it under a name; return the hash of its manifest. Commits.

        Names, permission bits and empty folders are kept; equal files are stored once. Symbolic links are
        followed: the file or folder they point to is stored in their place. The files of an archive that is
        open in this process are left out, which a warning says once.

        Raises:
            InvalidValueError: a link points nowhere or to a folder above it, an entry is neither file nor
                folder, or a name cannot be restored on every system. Nothing is registered.
        """
        said = Registration(name, kind, metadata, aliases=aliases, description=description)
        return self._register_folder(said, path, progress)

    def _register(self, said: Registration, content: object, time: datetime | float | None = None) -> str:
        at = None if time is None else utc_text(read_time(time, "time"))
        said, metadata = self._check_registration(said)
        own_files.require_foreign_file(content)  # it would grow while it is read
        with Intake(self._connection) as intake:
            blob = intake.put(content)
            intake.attach(lambda: self._insert(said, metadata, blob, at))
        return blob.hash

    def _register_folder(
        self, said: Registration, path: str | os.PathLike[str], progress: Progress | None
    ) -> str:
        said, metadata = self._check_registration(said)
        with Intake(self._connection) as intake:
            folder = put_folder(intake, path, progress)

            def name_folder() -> None:
                artifact = self._insert(said._replace(media_type=FOLDER_TYPE), metadata, folder.manifest)
                insert_entries(self._connection, artifact, folder)

            intake.attach(name_folder)
        return folder.manifest.hash

    def _check_registration(self, said: Registration) -> tuple[Registration, str]:
        """Check the registration and the run. Call it before reading content, which may be large."""
        checked = check_registration(said)
        self._require_run(changeable=True)
        return checked

    def _insert(self, said: Registration, metadata: str, blob: NewBlob, at: str | None = None) -> int:
        self._require_run()
        return insert_artifact(self._connection, self._run, self.run_id, said, metadata, blob, at)

    # Reading

    @decoding_rows
    def _find(self, name: str, version: int | None) -> Row | None:
        checked = check_name(name, "artifact name")
        if version is not None:
            version = check_step(version)
        row = self._connection.one(ONE_ARTIFACT, {"run": self._run, "name": checked, "version": version})
        if row is None and version is None and checked.startswith("sha256:"):
            row = self._connection.one(ARTIFACT_BY_HASH, {"run": self._run, "hash": checked})
        if row is None:
            self._require_run()
        if row is None and version is None and (label := read_label(checked)) is not None:
            found, chosen = find_version(self._connection, self._run, label)
            if found:
                row = self._connection.one(
                    ONE_ARTIFACT, {"run": self._run, "name": label.name, "version": chosen}
                )
        if row is not None and artifact_checksum(row) != row["checksum"]:
            raise self._corrupt(row, "its metadata does not match its checksum")
        return row

    def _corrupt(self, row: Row, problem: str) -> ArchiveCorruptError:
        return corrupt_error(self._connection, self._describe(row), problem)

    def _describe(self, row: Row) -> str:
        return f"artifact {row['name']!r} version {row['version']} of run {self.run_id}"

    def _get(self, name: str, version: int | None) -> Row:
        row = self._find(name, version)
        if row is None:
            wanted = None if version is None else check_step(version)
            raise ArtifactNotFoundError(check_name(name, "artifact name"), self.run_id, wanted)
        return row

    def _open_blob(self, row: Row) -> StoredBlob:
        return StoredBlob(self._connection, row["blob"], self._describe(row))

    def get_artifact(self, name: str, version: int | None = None) -> Artifact | None:
        """Find the newest version under a name or hash, or the given version; None if there is none.

        Here and in the methods below, `name` may end with ``:v2``, ``:latest`` or an alias, as ``model:best``.

        Raises:
            ArchiveCorruptError: its metadata does not match its checksum.
        """
        row = self._find(name, version)
        return None if row is None else complete_artifact(self._connection, row)

    @in_reading
    def get_blob(self, name: str, version: int | None = None) -> str | bytes | None:
        """Read the content under a name or hash and verify it; None if there is none.

        Text is returned as text, everything else as bytes. For a folder this is its manifest: JSON, as bytes.

        Raises:
            ArchiveCorruptError: the stored content or metadata is damaged.
        """
        with self._connection.snapshot():
            row = self._find(name, version)
            if row is None:
                return None
            content = b"".join(self._open_blob(row))
        return content.decode("utf-8") if row["is_text"] else content

    @in_reading
    def get_table(self, name: str, version: int | None = None) -> dict[str, list[Any]]:
        """Read a table that ``log_table`` stored, as its columns by name. Cells of CSV are text or None.

        Raises:
            ArtifactNotFoundError: the run has no such artifact.
            InvalidValueError: the artifact is not a table.
            MissingPackageError: the table is Parquet, and neither pyarrow nor polars is installed.
            ArchiveCorruptError: the stored content or metadata is damaged.
        """
        from exptrack.media import decode_table

        with self._connection.snapshot():
            row = self._get(name, version)
            if row["kind"] != "table":
                raise InvalidValueError(
                    f"artifact {row['name']!r} is of kind {row['kind']}, not a table; read it with get_blob()"
                )
            data = b"".join(self._open_blob(row))
        return decode_table(data, row["media_type"])

    @in_reading
    def open(self, name: str, version: int | None = None, *, file: str | None = None) -> BinaryIO:
        """Open the content as a binary file that can seek. Reading loads and verifies only the chunks it needs.

        `file` is the path of a file inside an artifact that is a folder. Between two reads nothing of the
        archive stays in use, and another thread may go on reading. If the artifact is removed meanwhile, a read
        returns the same bytes as before, as far as they are still there, or raises NotFoundError.

        Raises:
            ArtifactNotFoundError: the run has no such artifact, or the folder no such file.
            InvalidValueError: the artifact is a folder and no `file` was named.
            ArchiveCorruptError: the stored content or metadata is damaged; reading may raise it too.
        """
        with self._connection.snapshot():
            row = self._get(name, version)
            if file is None:
                if row["media_type"] == FOLDER_TYPE:
                    raise InvalidValueError(
                        f"artifact {row['name']!r} is a folder; name a file in it: open(…, file=…)"
                    )
                blob = self._open_blob(row)
            else:
                blob = self._open_entry(row, self._get_entry(row, file))
        return cast(BinaryIO, ArtifactReader(BlobStream(blob)))

    def thumbnail(
        self, name: str, version: int | None = None, *, size: int = 256, file: str | None = None
    ) -> Thumbnail:
        """Make a picture of an image, at most `size` pixels wide and high; `file` is as in :meth:`open`.

        A smaller image keeps its size. Of several frames it takes the first.

        Raises:
            ArtifactNotFoundError: the run has no such artifact, or the folder no such file.
            InvalidValueError: it is no raster image, is damaged, or has more than 50 million pixels.
            MissingPackageError: Pillow is not installed.
            ArchiveCorruptError: the stored content or metadata is damaged.
        """
        from exptrack.media.thumbnails import MAX_SIZE, make_thumbnail

        size = check_whole(size, "size", 1, MAX_SIZE)
        with self.open(name, version, file=file) as source:
            return make_thumbnail(source, size, f"artifact {short_repr(name)}")

    @decoding_rows
    def _read_entries(self, row: Row) -> list[Row]:
        """Read the entries of a folder, by path, and verify them; an empty list if it is not a folder."""
        if row["media_type"] != FOLDER_TYPE:
            return []
        entries = self._connection.all(ENTRIES_OF, (row["id"],))
        if b"".join(self._open_blob(row)) != build_manifest_of_rows(entries):
            raise self._corrupt(row, "its files do not match its manifest")
        return entries

    def _get_entry(self, row: Row, file: str) -> Row:
        checked = check_text(file, "file", max_chars=MAX_PATH_CHARS)
        for entry in self._read_entries(row):
            if entry["path"] == checked and entry["blob"] is not None:
                return entry
        raise ArtifactNotFoundError(f"{row['name']}/{checked}", self.run_id, row["version"])

    def _open_entry(self, row: Row, entry: Row) -> StoredBlob:
        return StoredBlob(self._connection, entry["blob"], f"{entry['path']} of {self._describe(row)}")

    @listed
    @in_reading
    @decoding_rows
    def list_files(self, name: str, version: int | None = None) -> list[ArtifactFile]:
        """List the files and folders in a folder, by path; an empty list if the artifact is not a folder.

        Raises:
            ArtifactNotFoundError: the run has no such artifact.
            ArchiveCorruptError: the stored content or metadata is damaged.
        """
        with self._connection.snapshot():
            entries = self._read_entries(self._get(name, version))
        return [ArtifactFile(e["path"], e["mode"], e["size_bytes"], e["hash"]) for e in entries]

    @listed
    @decoding_rows
    def list_artifacts(self) -> list[Artifact]:
        """List every version of every artifact of the run, by name."""
        return list(read_artifacts(self._connection, self._run))

    def referenced_hashes(self) -> set[str]:
        """Return the hashes of all artifacts of the run."""
        return {row["hash"] for row in self._connection.all(HASHES_OF, (self._run,))}

    # Restoring

    @in_reading
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
        """Write an artifact to a file or a folder and return its path; it is written whole or not at all.

        Every byte is verified before it is written. If `target` is an existing folder, the artifact goes into
        it under the last part of its name. With `overwrite` an existing file is replaced; a folder never is.
        With `file`, the path of a file inside an artifact that is a folder, only that file is written.

        Raises:
            ArtifactNotFoundError: the run has no such artifact, or the folder no such file.
            UnsafePathError: a name could lead out of the target, or is not allowed on some system.
            ExportError: the target exists, or cannot be written.
            ArchiveCorruptError: the stored content or metadata is damaged; the target is unchanged.
        """
        place, overwrite = Path(decode_path(target)), check_flag(overwrite, "overwrite")
        with self._connection.snapshot():
            row = self._get(name, version)
            entry = None if file is None else self._get_entry(row, file)
            if os.path.isdir(place):
                place = place / safe_parts(row["name"] if entry is None else entry["path"])[-1]
            if entry is None and row["media_type"] == FOLDER_TYPE:
                write_tree(place, self._iter_tree(row, ByteCount(progress, self._count_bytes(row))))
            else:
                blob = self._open_blob(row) if entry is None else self._open_entry(row, entry)
                write_file(place, ByteCount(progress, blob.size_bytes).pieces(blob), overwrite=overwrite)
        return place

    @in_reading
    def export_all(self, target: str | os.PathLike[str], *, progress: Progress | None = None) -> Path:
        """Write the newest version of every artifact, under its name, into a new folder; all or nothing.

        A name that is unsafe on some system, or equal to another there, is replaced by a similar one:
        ``val:best`` becomes ``val_best``. A warning tells which.

        Raises:
            ExportError: the target exists and is not an empty folder, or cannot be written.
            ArchiveCorruptError: the stored content or metadata is damaged.
        """
        place = Path(decode_path(target))
        with self._connection.snapshot():
            newest = {artifact.name: artifact.version for artifact in self.list_artifacts()}
            paths = choose_paths(newest)
            rows = [self._get(name, version) for name, version in newest.items()]
            count = ByteCount(progress, sum(self._count_bytes(row) for row in rows))
            write_tree(
                place, (e for row in rows for e in self._iter_named_tree(row, paths[row["name"]], count))
            )
        changed = [f"{name!a} as {path!r}" for name, path in paths.items() if name != path]
        if changed:
            warn(f"not every system takes the names of all artifacts, so {place} holds {', '.join(changed)}")
        return place

    @decoding_rows
    def _count_bytes(self, row: Row) -> int:
        if row["media_type"] != FOLDER_TYPE:
            return int(row["size_bytes"])
        return int(self._connection.value(TREE_BYTES, (row["id"],)))

    def _iter_named_tree(self, row: Row, name: str, count: ByteCount) -> Iterator[_Entry]:
        if row["media_type"] != FOLDER_TYPE:
            yield name, FILE_MODE, count.pieces(self._open_blob(row))
            return
        yield name, FOLDER_MODE, None
        for path, mode, pieces in self._iter_tree(row, count):
            yield f"{name}/{path}", mode, pieces

    def _iter_tree(self, row: Row, count: ByteCount) -> Iterator[_Entry]:
        for entry in self._read_entries(row):
            is_folder = entry["blob"] is None
            pieces = None if is_folder else count.pieces(self._open_entry(row, entry))
            yield entry["path"], entry["mode"], pieces


def register_content(
    store: ArtifactStore, said: Registration, content: object, *, time: datetime | float | None = None
) -> str:
    """Store content that is not a folder, as `said` describes it, and return its hash. Commits.

    `time` is when it was registered, a datetime or seconds since 1970; the default is now.
    """
    return store._register(said, content, time)


def _unpickle(connection: Connection, run_id: str) -> ArtifactStore:
    return ArtifactStore(connection, resolve_run(connection, run_id)["id"], run_id)
