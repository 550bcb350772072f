"""Prove the artifacts of a stranger's runs, but for the bytes of their chunks.

Invariants:

- The bytes are proved by their hashes while they are stored; see `Intake.put_packed`. A few bytes may unpack
  to a thousand times as many, again and again. So what all contents of a source unpack to is limited first.
- The files of a folder are those of its manifest: the manifest that its rows make has the hash of the artifact.
- A folder has no path that exptrack would not store.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from exptrack.artifacts.safe_paths import safe_parts
from exptrack.artifacts.store import ENTRIES_OF
from exptrack.artifacts.stored_blob import BLOB_FACTS
from exptrack.artifacts.stored_folder import MANIFEST_FORMAT
from exptrack.database.connection import Connection
from exptrack.database.failures import DAMAGE
from exptrack.errors import ExptrackError
from exptrack.records import FOLDER_TYPE

MOST_BYTES = 10 << 30  # that all contents of a small file unpack to
MOST_UNPACKED = 1000  # times the bytes of the file
MOST_CHUNKS = 2_000_000  # of one content: 500 GB, as exptrack cuts
ARTIFACTS_OF_RUNS = """
SELECT run, id, name, version, blob, hash, media_type FROM artifact
WHERE run IN (SELECT value FROM json_each(?)) AND blob IS NOT NULL ORDER BY id
"""
COUNT_CHUNKS = "SELECT count(*) FROM blob_chunk WHERE blob = ?"
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class ContentProof:
    """Proves the artifacts of one source; each content counts once."""

    def __init__(self, connection: Connection, file_bytes: int) -> None:
        self._connection = connection
        self._left = max(MOST_BYTES, MOST_UNPACKED * file_bytes)
        self._counted: dict[int, str | None] = {}

    def prove_runs(self, runs: Sequence[int]) -> dict[int, list[str]]:
        """Return what is wrong with the artifacts of each run, by row id: an empty list if they are sound."""
        return self._connection.reading(lambda: self._prove_runs(runs))

    def _prove_runs(self, runs: Sequence[int]) -> dict[int, list[str]]:
        found: dict[int, list[str]] = {run: [] for run in runs}
        rows = self._connection.iterate(ARTIFACTS_OF_RUNS, (json.dumps(list(runs)),))
        for run, artifact, name, version, blob, content, media_type in rows:
            try:
                problem = self._count(blob)
                if problem is None and media_type == FOLDER_TYPE:
                    problem = self._find_folder_problem(artifact, content)
            except (ExptrackError, *DAMAGE) as error:
                problem = f"it cannot be read: {error or type(error).__name__}"
            if problem is not None:
                found[run].append(f"its artifact {name!r} version {version} is damaged: {problem}")
        return found

    def _count(self, blob: int) -> str | None:
        """Count the bytes of a content; return what is wrong with it."""
        if blob not in self._counted:
            self._counted[blob] = self._find_size_problem(blob)
        return self._counted[blob]

    def _find_size_problem(self, blob: int) -> str | None:
        row = self._connection.one(BLOB_FACTS, (blob,))
        if row is None or row["list_sha256"] is None:
            return "its bytes are not in the file"
        if not 0 <= row["size_bytes"] <= self._left:
            return "it unpacks to more bytes than a file of this size may have"
        if self._connection.value(COUNT_CHUNKS, (blob,)) > MOST_CHUNKS:
            return f"it has more than {MOST_CHUNKS:,} chunks"
        self._left -= row["size_bytes"]
        return None

    def _find_folder_problem(self, artifact: int, content: str) -> str | None:
        manifest = hashlib.sha256(f"[{MANIFEST_FORMAT},[".encode())
        between = b""
        # Row by row, as a folder may have more files than memory has room for.
        for path, mode, blob, file_hash, size_bytes in self._connection.iterate(ENTRIES_OF, (artifact,)):
            safe_parts(path)
            if not 0 <= mode <= 0o777:
                return f"the mode of {path!r} is not a file mode"
            problem = None if blob is None else self._count(blob)
            if problem is not None:
                return f"{path!r}: {problem}"
            facts = [] if blob is None else [file_hash, size_bytes]
            manifest.update(between + _encode([path, mode, *facts]).encode())
            between = b","
        manifest.update(b"]]")
        return None if f"sha256:{manifest.hexdigest()}" == content else "its files are not the registered ones"
