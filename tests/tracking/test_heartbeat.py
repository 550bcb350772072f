"""The thread that stores heartbeats warns once while they cannot be stored, and again after one that could."""

from __future__ import annotations

from pathlib import Path

import pytest

from exptrack import Archive, ArchiveLockedError
from exptrack.tracking import heartbeat


def test_heartbeats_that_fail_one_after_another_are_one_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    outcomes = iter([False, False, False, True, False, False])

    beats: list[bool] = []

    def beat() -> None:
        beats.append(next(outcomes))
        if not beats[-1]:
            raise ArchiveLockedError("the archive is locked")

    with Archive(tmp_path / "lab.db") as archive, archive.start_run() as run:
        monkeypatch.setattr(heartbeat, "LIVE", {run})
        monkeypatch.setattr(run, "beat", beat)
        heart = heartbeat._Heartbeat()
        for _ in range(6):
            heart.beat_once()
        monkeypatch.undo()
    told = [message for message in caplog.messages if f"the heartbeat of run {run.run_id}" in message]
    assert (len(told), len(beats)) == (2, 6)
