"""A live run and its artifacts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from exptrack import Archive, ArtifactStore, Run


@pytest.fixture
def run(archive: Archive) -> Iterator[Run]:
    with archive.start_run() as started:
        yield started


@pytest.fixture
def store(run: Run) -> ArtifactStore:
    return run.artifacts
