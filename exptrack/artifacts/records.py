"""Records that the calls on artifacts return."""

from __future__ import annotations

from dataclasses import dataclass

from exptrack.records import Artifact, ArtifactUse
from exptrack.runs.data import DeclaredData
from exptrack.shown import shown


@shown
@dataclass(frozen=True, slots=True)
class ArtifactFile:
    """A file or a folder inside an artifact that is a folder; a folder has no `size_bytes` and no `hash`."""

    path: str
    mode: int
    size_bytes: int | None
    hash: str | None


@shown
@dataclass(frozen=True, slots=True)
class Lineage:
    """The uses of artifacts that led to a run, an artifact or a use of data, and those that followed from it.

    `subject` is a run id, a hash, or the name or reference of data. `upstream` and `downstream` list uses, the
    nearest first. `artifacts` lists the artifacts of every run among them. `data` is what the subject and the
    runs before it declared as data; if the subject is data, it is who declared it.
    """

    subject: str
    upstream: tuple[ArtifactUse, ...]
    downstream: tuple[ArtifactUse, ...]
    artifacts: tuple[Artifact, ...]
    data: tuple[DeclaredData, ...] = ()


@shown
@dataclass(frozen=True, slots=True)
class RemovalReport:
    """The versions of an artifact that a call removed; the file shrank by `file_bytes`."""

    name: str
    versions: tuple[int, ...]
    blobs: int
    stored_bytes: int
    file_bytes: int


@shown
@dataclass(frozen=True, slots=True)
class RunStorage:
    """The space that a run's artifacts take in the file.

    `stored_bytes` counts each chunk once. Other runs use `shared_bytes` of them too.
    """

    run_id: str
    name: str | None
    artifacts: int
    size_bytes: int
    stored_bytes: int
    shared_bytes: int


@shown
@dataclass(frozen=True, slots=True)
class GcReport:
    """The bytes that ``gc_artifacts`` removed; the file shrank by `file_bytes`."""

    blobs: int
    chunks: int
    stored_bytes: int
    file_bytes: int
