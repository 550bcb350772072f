"""Fixtures for the tests of Optuna's storage and its rows."""

from __future__ import annotations

from collections.abc import Iterator

import optuna
import pytest

from exptrack import Archive
from exptrack.sweeps.optuna_storage import OptunaStorage


@pytest.fixture
def storage(archive: Archive) -> OptunaStorage:
    return archive.optuna_storage()


@pytest.fixture
def quiet_optuna() -> Iterator[None]:
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield
    optuna.logging.set_verbosity(before)
