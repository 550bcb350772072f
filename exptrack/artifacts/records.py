"""What artifacts, their removal and their collection return."""

from __future__ import annotations

from dataclasses import dataclass

from exptrack.records import Artifact, ArtifactUse


@dataclass(frozen=True, slots=True)
class ArtifactFile:
    """One thing in a folder: a file, or a folder, which has neither `size_bytes` nor `hash`."""

    path: str
    mode: int
    size_bytes: int | None
    hash: str | None


@dataclass(frozen=True, slots=True)
class Lineage:
    """What a run or an artifact (a hash) came from, and what came of it.

    `upstream` and `downstream` are uses, the nearest first; `artifacts` are those of every run among them.
    """

    subject: str
    upstream: tuple[ArtifactUse, ...]
    downstream: tuple[ArtifactUse, ...]
    artifacts: tuple[Artifact, ...]


@dataclass(frozen=True, slots=True)
class RemovalReport:
    """Which versions of an artifact were removed; `file_bytes` is by how much the file shrank."""

    name: str
    versions: tuple[int, ...]
    blobs: int
    stored_bytes: int
    file_bytes: int


@dataclass(frozen=True, slots=True)
class RunStorage:
    """What a run's artifacts take in the file, each chunk once; `shared_bytes` of it other runs use too."""

    run_id: str
    name: str | None
    artifacts: int
    size_bytes: int
    stored_bytes: int
    shared_bytes: int


@dataclass(frozen=True, slots=True)
class GcReport:
    """What ``gc_artifacts`` removed; `file_bytes` is by how much the file shrank."""

    blobs: int
    chunks: int
    stored_bytes: int
    file_bytes: int
