"""What tests of stored levels share: levels of short series, and answers without any level."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest

from exptrack import Archive, Run
from exptrack.metrics import buckets, curves, level_builder, levels, series_seals, store, summary
from exptrack.portable import salvage_series

RISING = [(step, step / 2) for step in range(40)]


def let_short_series_have_levels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let series of four points have levels of up to eight buckets, collected and read in small parts."""
    for module in (level_builder, levels, series_seals, summary, buckets):
        monkeypatch.setattr(module, "LEVEL_POINTS", 4)
    for module in (levels, level_builder):
        monkeypatch.setattr(module, "MOST_BUCKETS", 8)
    monkeypatch.setattr(level_builder, "POINTS_A_BUCKET", 1)
    monkeypatch.setattr(level_builder, "STRIDES_A_BUCKET", 1)
    monkeypatch.setattr(levels, "BATCH", 3)
    for module in (store, salvage_series):
        monkeypatch.setattr(module, "CHECKSUM_BATCH", 3)
    monkeypatch.setattr(store, "COLLECTED_FROM", 4)
    monkeypatch.setattr(buckets, "MANY_BUCKETS", 2)


@contextmanager
def scanning() -> Iterator[None]:
    """Let no level answer in the block."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        for module in (curves, buckets):
            monkeypatch.setattr(module, "has_levels", lambda _connection: False)
        yield


def log(run: Run, points: list[tuple[int, float]]) -> None:
    """Log points, each as many milliseconds after the start as its step says."""
    for step, value in points:
        run.log({"y": value}, step, run.started_at + timedelta(milliseconds=max(step, 0)))


def rows_of(archive: Archive) -> list[tuple[str, int]]:
    """Return the axis and the width of each level in a file."""
    found: list[tuple[str, int]] = archive._connection.fold(
        "SELECT axis, width FROM metric_level ORDER BY series, axis", (), list
    )
    return found


def change(archive: Archive, sql: str, *parameters: object) -> None:
    """Change levels as a bug or damage would."""
    connection = archive._connection

    def work() -> None:
        with connection.transaction():
            connection.execute(sql, parameters)

    connection.section(work)
