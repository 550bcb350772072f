"""Optuna's storage over an archive: Optuna's own conformance suite, and what it does not ask."""

from __future__ import annotations

import pytest
from optuna.testing.pytest_storages import StorageTestCase

from exptrack import Archive
from exptrack.optunastorage import OptunaStorage


@pytest.fixture
def storage(archive: Archive) -> OptunaStorage:
    return archive.optuna_storage()


class TestOptunasOwnSuite(StorageTestCase):
    """Every test of Optuna's for its storages, none left out."""
