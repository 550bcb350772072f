"""Fixtures that the tests of metrics share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from exptrack import Archive
from exptrack.metrics import journal as journal_module
from exptrack.metrics import writer as writer_module


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """The writer thread never drains by itself: what is stored was drained for a reason the test gives."""
    monkeypatch.setattr(writer_module, "DRAIN_S", 3600.0)
    monkeypatch.setattr(journal_module, "BATCH_SLOTS", 1 << 40)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    """One archive for all the examples of a property; each starts runs of its own."""
    with Archive(tmp_path_factory.mktemp("series") / "lab.db") as opened:
        yield opened
        assert opened.verify().problems == ()
