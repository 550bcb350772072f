"""Fixtures for the tests of Optuna's storage and its rows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest

from exptrack import Archive
from exptrack.sweeps.optuna_storage import OptunaStorage


@pytest.fixture(autouse=True)
def _no_descriptors_left(tmp_path: Path) -> Iterator[None]:
    """Delete the archive. While the file exists, this process keeps a descriptor of it to show that it lives.

    Hundreds of them would be listed whenever a later test opens an archive.
    """
    yield
    (tmp_path / "lab.db").unlink(missing_ok=True)


@pytest.fixture
def storage(archive: Archive) -> OptunaStorage:
    return archive.optuna_storage()


@pytest.fixture
def quiet_optuna() -> Iterator[None]:
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield
    optuna.logging.set_verbosity(before)
