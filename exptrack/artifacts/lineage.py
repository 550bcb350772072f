"""Record which artifacts a run used, and trace what led to a run or artifact and what came from it.

Invariants: a use records run, name, version and content hash of the artifact, so it outlives the artifact and
the run that made it. A use is recorded once. Following uses always ends, even where runs use each other's
artifacts in a circle.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from exptrack.artifacts.aliases import Label, find_version, read_label
from exptrack.artifacts.listing import (
    ARTIFACT_COLUMNS,
    USE_COLUMNS,
    build_artifact,
    build_use,
    complete_artifact,
    read_artifacts,
    read_inputs,
)
from exptrack.artifacts.records import Lineage
from exptrack.artifacts.store import ArtifactStore
from exptrack.database.connection import Connection, Row, in_reading, in_section
from exptrack.database.damage import decoding_rows
from exptrack.database.row_sums import hash_row
from exptrack.errors import (
    AmbiguousHashError,
    ArtifactNotFoundError,
    InvalidTypeError,
    InvalidValueError,
    RunNotFoundError,
)
from exptrack.plain import is_text, plain, short_repr
from exptrack.records import Artifact, ArtifactUse
from exptrack.runs.data import DeclaredData, find_runs_of_data, read_data
from exptrack.runs.events import record_event, time_of_event
from exptrack.runs.lookup import resolve_run
from exptrack.shown import shown
from exptrack.validation import check_name, check_step

if TYPE_CHECKING:
    from exptrack.markup.notebook import View

LEAST_HASH_CHARS = len("sha256:") + 6
HASH_END = "g"  # sorts after every hex digit

NEWEST_OF_NAME = f"""{ARTIFACT_COLUMNS}
FROM artifact AS a JOIN blob AS b ON b.id = a.blob JOIN run AS r ON r.id = a.run
WHERE a.name = :name AND a.blob IS NOT NULL AND (:version IS NULL OR a.version = :version)
  AND r.deleted_at IS NULL
ORDER BY a.created_at DESC, a.id DESC LIMIT 1
"""
ONE_OF_RUN = f"""{ARTIFACT_COLUMNS}
FROM artifact AS a JOIN blob AS b ON b.id = a.blob JOIN run AS r ON r.id = a.run
WHERE a.run = :run AND a.name = :name AND (:version IS NULL OR a.version = :version)
ORDER BY a.version DESC LIMIT 1
"""
NEWEST_OF_ALIAS = f"""{ARTIFACT_COLUMNS}
FROM artifact_alias AS x JOIN run AS r ON r.id = x.run
JOIN artifact AS a ON a.run = x.run AND a.name = x.name AND a.version = x.version
JOIN blob AS b ON b.id = a.blob
WHERE x.name = :name AND x.alias = :alias AND x.version IS NOT NULL AND r.deleted_at IS NULL
ORDER BY x.set_at DESC, x.run DESC LIMIT 1
"""
BY_HASH = f"""{ARTIFACT_COLUMNS}
FROM blob AS b JOIN artifact AS a ON a.blob = b.id JOIN run AS r ON r.id = a.run
WHERE b.hash >= :begin AND b.hash < :end AND r.deleted_at IS NULL ORDER BY a.created_at, a.id
"""
ALIASES_OF_HASH = """
SELECT r.run_id, x.name, x.version, x.alias
FROM blob AS b JOIN artifact AS a ON a.blob = b.id JOIN run AS r ON r.id = a.run
JOIN artifact_alias AS x ON x.run = a.run AND x.name = a.name AND x.version = a.version
WHERE b.hash >= :begin AND b.hash < :end AND r.deleted_at IS NULL ORDER BY x.alias
"""
USES_OF_HASH = f"""{USE_COLUMNS}
WHERE i.hash >= :begin AND i.hash < :end AND r.deleted_at IS NULL ORDER BY i.used_at, i.run, i.seq
"""
USES_OF_RUN = f"{USE_COLUMNS} WHERE i.from_run_id = ? AND r.deleted_at IS NULL ORDER BY i.used_at, i.run, i.seq"
RUN_NUMBER = "SELECT id FROM run WHERE run_id = ?"
INSERT_INPUT = """
INSERT INTO run_input (run, seq, hash, from_run_id, name, version, used_at)
VALUES (:run, (SELECT coalesce(max(seq) + 1, 0) FROM run_input WHERE run = :run), :hash, :from_run, :name,
        :version, :at)
ON CONFLICT DO NOTHING
"""


@shown
@dataclass(frozen=True, slots=True)
class UsedArtifact:
    """An artifact that a run uses: its record, and methods that read its content."""

    artifact: Artifact
    _store: ArtifactStore

    def read(self) -> str | bytes:
        """Read the content, text as text; see :meth:`ArtifactStore.get_blob`."""
        found = self._store.get_blob(self.artifact.name, self.artifact.version)
        if found is None:
            raise ArtifactNotFoundError(self.artifact.name, self.artifact.run_id, self.artifact.version)
        return found

    def open(self, *, file: str | None = None) -> BinaryIO:
        """Open the content as a binary file; see :meth:`ArtifactStore.open`."""
        return self._store.open(self.artifact.name, self.artifact.version, file=file)

    def export(self, target: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Write the artifact to a file or folder; see :meth:`ArtifactStore.export`."""
        return self._store.export(self.artifact.name, target, self.artifact.version, overwrite=overwrite)

    def _view(self) -> View:
        from exptrack.artifacts.pictures import draw_pictures
        from exptrack.markup.notebook import view_record

        one = self.artifact
        pictures = draw_pictures(self._store, [one]) if (one.media_type or "").startswith("image/") else []
        view = view_record(one, title=f"{one.name} of run {one.run_id}")
        return view._replace(parts=[*pictures, *view.parts])


@in_reading
@decoding_rows
def find_artifact(connection: Connection, reference: object) -> Artifact:
    """Find the artifact that a reference names; see :meth:`exptrack.Run.use_artifact`.

    Raises:
        ArtifactNotFoundError: no artifact fits the reference.
        AmbiguousHashError: the hashes of several contents begin with it.
        RunNotFoundError: no run has the id in the reference.
        AmbiguousRunError: it means several runs.
    """
    if type(reference) is Artifact:
        name = check_name(reference.name, "artifact name")
        return _get_of_run(connection, reference.run_id, name, check_step(reference.version))
    if not is_text(reference):
        raise InvalidTypeError(
            f"{short_repr(reference)} does not name an artifact; give its record, hash, name or RUN/NAME"
        )
    text = check_name(reference, "artifact")
    if text.startswith("sha256:"):
        found = list_registrations(connection, text)
        if not found:
            raise ArtifactNotFoundError(text, "")
        return found[0]
    # A name may contain slashes and colons. So the whole text is tried as a name first, here and within a run.
    for label in (Label(text, None, None), read_label(text)):
        row = None if label is None else _find_in_archive(connection, label)
        if row is not None:
            return complete_artifact(connection, row)
    run_id, slash, whole = text.partition("/")
    if not slash or not run_id or not whole:
        raise ArtifactNotFoundError(text, "")
    run = resolve_run(connection, run_id)
    row = connection.one(ONE_OF_RUN, {"run": run["id"], "name": whole, "version": None})
    if row is None and (label := read_label(whole)) is not None:
        known, version = find_version(connection, run["id"], label)
        if known:
            return _get_of_run(connection, run_id, label.name, version)
    if row is None:
        raise ArtifactNotFoundError(whole, run["run_id"])
    return complete_artifact(connection, row)


def _find_in_archive(connection: Connection, label: Label) -> Row | None:
    """Return the newest artifact with a name and version, or the one that got its alias last."""
    if label.alias is not None:
        return connection.one(NEWEST_OF_ALIAS, {"name": label.name, "alias": label.alias})
    return connection.one(NEWEST_OF_NAME, {"name": label.name, "version": label.version})


def _get_of_run(connection: Connection, run_id: str, name: str, version: int | None) -> Artifact:
    run = resolve_run(connection, run_id)
    row = connection.one(ONE_OF_RUN, {"run": run["id"], "name": name, "version": version})
    if row is None:
        raise ArtifactNotFoundError(name, run["run_id"], version)
    return complete_artifact(connection, row)


@in_reading
@decoding_rows
def list_registrations(connection: Connection, hash_or_prefix: str) -> list[Artifact]:
    """List the artifacts whose content has this hash, the oldest first. Six hex digits of it are enough.

    Raises:
        InvalidValueError: fewer than six digits are given.
        AmbiguousHashError: the hashes of several contents begin with them.
    """
    wanted = _hash_range(hash_or_prefix)
    with connection.snapshot():
        rows = connection.all(BY_HASH, wanted)
        aliases: dict[tuple[str, str, int], list[str]] = {}
        for run_id, name, version, alias in connection.all(ALIASES_OF_HASH, wanted):
            aliases.setdefault((run_id, name, version), []).append(alias)
    hashes = list(dict.fromkeys(row["hash"] for row in rows))
    if len(hashes) > 1:
        raise AmbiguousHashError(hash_or_prefix, hashes)
    return [build_artifact(row, aliases.get((row["run_id"], row["name"], row["version"]), ())) for row in rows]


def _hash_range(text: str) -> dict[str, str]:
    if len(text) < LEAST_HASH_CHARS:
        raise InvalidValueError(f"{short_repr(text)} is too short for a hash; give at least six digits")
    return {"begin": text.lower(), "end": text.lower() + HASH_END}


@in_section
def use_artifact(
    connection: Connection, run: int, reference: object, require_run: Callable[[], object]
) -> UsedArtifact:
    """Record that a run uses an artifact; see :meth:`exptrack.Run.use_artifact`.

    `require_run` raises if the run is deleted.
    """
    with connection.transaction():
        require_run()
        found = find_artifact(connection, reference)
        facts = {"hash": found.hash, "from_run": found.run_id, "name": found.name, "version": found.version}
        now = time_of_event(connection, run)
        if connection.execute(INSERT_INPUT, {**facts, "run": run, "at": now}).rowcount:
            rows = hash_row("run_input", (*facts.values(), now))
            record_event(connection, run, "use", facts, at=now, rows=rows)
        origin = resolve_run(connection, found.run_id)
    return UsedArtifact(found, ArtifactStore(connection, origin["id"], origin["run_id"]))


@in_reading
@decoding_rows
def trace_lineage(connection: Connection, subject: object) -> Lineage:
    """Follow the uses before and after a run or artifact; see :meth:`exptrack.Archive.lineage`."""
    with connection.snapshot():
        subject = subject.hash if type(subject) is Artifact else plain(subject)
        declared: tuple[DeclaredData, ...] = ()
        if isinstance(subject, str) and subject.startswith("sha256:"):
            text = check_name(subject, "hash")
            made = list_registrations(connection, text)
            uses = [build_use(row) for row in connection.all(USES_OF_HASH, _hash_range(text))]
            hashes = list(dict.fromkeys([*(a.hash for a in made), *(u.hash for u in uses)]))
            if len(hashes) > 1:  # removed artifacts leave only their uses
                raise AmbiguousHashError(text, hashes)
            name = hashes[0] if hashes else text
            makers = [artifact.run_id for artifact in made]
            if not hashes:
                declared = find_runs_of_data(connection, text)
                if not declared:
                    raise ArtifactNotFoundError(text, "")
        else:
            try:
                name = resolve_run(connection, subject)["run_id"]
            except RunNotFoundError:
                name = check_name(subject, "data")
                declared = find_runs_of_data(connection, name)
                if not declared:
                    raise
                makers, uses = [], []
            else:
                makers = [name]
                uses = _read_uses_of(connection, name)
        if declared:
            uses = [use for one in declared for use in _read_uses_of(connection, one.run_id)]
        upstream = _follow(
            [use for maker in makers for use in _read_inputs_of(connection, maker)],
            lambda use: _read_inputs_of(connection, use.from_run),
        )
        downstream = _follow(uses, lambda use: _read_uses_of(connection, use.run_id))
        origins = dict.fromkeys([*makers, *(u.from_run for u in upstream)])
        declared = declared or read_data(connection, origins)
        users = (one.run_id for one in declared)
        involved = dict.fromkeys([*origins, *users, *(u.run_id for u in downstream)])
        artifacts = tuple(a for run_id in involved for a in _read_artifacts_of(connection, run_id))
    return Lineage(name, tuple(upstream), tuple(downstream), artifacts, declared)


def _follow(
    first: Iterable[ArtifactUse], onward: Callable[[ArtifactUse], Iterable[ArtifactUse]]
) -> list[ArtifactUse]:
    """List these uses and all that follow from them, the nearest first, each once."""
    found: dict[ArtifactUse, None] = {}
    waiting = deque(first)
    while waiting:
        use = waiting.popleft()
        if use not in found:
            found[use] = None
            waiting.extend(onward(use))
    return list(found)


def _read_inputs_of(connection: Connection, run_id: str) -> tuple[ArtifactUse, ...]:
    run = connection.value(RUN_NUMBER, (run_id,))
    return () if run is None else read_inputs(connection, run)


def _read_uses_of(connection: Connection, run_id: str) -> list[ArtifactUse]:
    return [build_use(row) for row in connection.all(USES_OF_RUN, (run_id,))]


def _read_artifacts_of(connection: Connection, run_id: str) -> tuple[Artifact, ...]:
    run = connection.value(RUN_NUMBER, (run_id,))
    return () if run is None else read_artifacts(connection, run)
