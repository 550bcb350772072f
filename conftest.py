"""Every test works in a folder of its own; none reads or leaves an archive elsewhere."""

from __future__ import annotations

import gc
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from exptrack import Archive, known_secrets
from tests.effort import EFFORT, keep_files_in_memory, leave_out, tries
from tests.faults.tools import tests_that_do_not_apply

# The tests start hundreds of interpreters. Half of the start is compiling, unless each keeps what it compiled.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# What the tests of code turn on again: otherwise each run of a test would hold what this machine has installed.
os.environ["EXPTRACK_KEEP_CODE"] = "no"

# Each worker has one core. Threads of linear algebra would wait for each other on it by spinning.
for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"):
    os.environ.setdefault(_name, "1")

keep_files_in_memory()

# What a property that names no number is tried; hypothesis itself has 100.
hypothesis.settings.register_profile(EFFORT, max_examples=tries(100))
hypothesis.settings.load_profile(EFFORT)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Keep what is collected out of the garbage collections: thousands of tests stay to the end."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.collect()
        gc.freeze()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what the effort leaves out, unless cases are asked for by their names."""
    if not config.option.keyword and not any("[" in one for one in config.args):
        items[:] = leave_out(items)


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, doctest_namespace: dict[str, object]) -> None:
    """The working folder is empty, the default archive is in it, and doctests know `tmp_path`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EXPTRACK_DB", raising=False)
    # What one test hides must not be hidden in the next.
    monkeypatch.setattr(known_secrets, "_known", {})
    monkeypatch.setattr(known_secrets, "_filled_in", {})
    import exptrack

    doctest_namespace["tmp_path"] = tmp_path
    for name in ("ExpConfig", "RunFilter", "merge_configs"):
        doctest_namespace[name] = getattr(exptrack, name)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name the tests that do not apply to this machine: they are not skipped, and not run either."""
    for name, tool in tests_that_do_not_apply().items():
        terminalreporter.write_line(f"tests/faults/{name} does not apply here: it needs {tool}")


@pytest.fixture(scope="session")
def new_archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a new archive."""
    path = tmp_path_factory.mktemp("new") / "lab.db"
    Archive(path).close()
    return path


@pytest.fixture
def archive(tmp_path: Path, new_archive: Path) -> Iterator[Archive]:
    """An archive without a run that must verify clean when the test is over.

    Its file is a copy, which opens for half the cost of a creation. `Archive` creates those of other tests.
    """
    shutil.copy(new_archive, tmp_path / "lab.db")
    with Archive(tmp_path / "lab.db") as opened:
        yield opened
        assert opened.verify().problems == ()
