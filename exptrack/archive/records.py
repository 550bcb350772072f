"""What calls about the whole archive return."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class DeleteReport:
    """What a deletion removed; `file_bytes` is by how much the file shrank."""

    runs: tuple[str, ...]
    blobs: int
    stored_bytes: int
    file_bytes: int


@dataclass(frozen=True, slots=True)
class SqlResult:
    """Rows of a query; `truncated` when the row cap cut them off."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    truncated: bool


@dataclass(frozen=True, slots=True)
class ArchiveInfo:
    """What a file holds. `rows` counts every table, `runs` the runs by status."""

    path: str
    format: int
    library: str
    sqlite: str
    file_bytes: int
    wal_bytes: int
    free_bytes: int
    runs: dict[str, int]
    rows: dict[str, int]
    artifact_bytes: int
    stored_bytes: int
    first_run: datetime | None
    last_run: datetime | None
