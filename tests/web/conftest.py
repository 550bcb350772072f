"""An archive that has something of everything, and a client that is let in to its page."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from exptrack import Archive, RecordedRun
from exptrack.web.page import Page
from exptrack.web.server import make_app
from tests.web.client import PORT, TOKEN, Client

BINARY = bytes(range(256)) * 8_000  # 2 MB, several chunks and pieces
TEXT = "größer\n" * 100


def fill(path: Path) -> str:
    """Make an archive that has something of everything; return the id of the run that has most."""
    with Archive(path) as archive:
        old = RecordedRun(
            {"lr": 1.0}, datetime(2024, 5, 1, tzinfo=UTC), 60, metrics={"loss": ([0, 1], [2.0, 1.0])}
        )
        archive.record_runs([old])
        for lr in (0.1, 0.01):
            with archive.start_run(
                {"lr": lr, "model": {"name": "net"}}, ["base"], name="small", group="g"
            ) as run:
                for step in range(40):
                    run.log({"loss": lr * step, "odd": math.nan if step % 3 else math.inf}, step)
        with archive.start_run({"lr": 0.5, "model": {"name": "größer"}}, ["x", "<b>"], name="big") as run:
            run.log_many("loss", range(2000), [1 / (step + 1) for step in range(2000)])
            run.add_note("seen")
            run.set_attribute("score", math.nan)
            run.artifacts.register_data("bytes", BINARY)
            run.artifacts.register_data("text.txt", TEXT)
            run.artifacts.register_data("text.txt", TEXT + "again")
            run.artifacts.register_data("a/b „c“\u202egnp.exe", b"<script>1</script>")
            run.artifacts.register_data("page.html", "<script>1</script>")
            run.log_table("table", {"a": [1, 2], "b": ["x", None]})
            folder = path.parent / "folder"
            folder.mkdir()
            (folder / "in.txt").write_bytes(b"inside")
            run.artifacts.register_dir("folder", folder)
        with archive.start_run({"lr": 7.0}, name="gone") as gone:
            pass
        archive.trash_run(gone)
        archive.save_page_view("größer", "/runs?where=config.lr+%3E+0.1")
        with archive.start_run({"lr": 0.5}) as other:
            other.use_artifact(f"{run.run_id}/bytes")
    return run.run_id


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """An archive that no test changes, and the id of the run that has most."""
    path = tmp_path_factory.mktemp("lab") / "lab.db"
    return path, fill(path)


@pytest.fixture
def main_run(made: tuple[Path, str]) -> str:
    return made[1]


@pytest.fixture(scope="module")
def lab(made: tuple[Path, str]) -> Iterator[Archive]:
    """The archive, as the public API shows it."""
    with Archive(made[0], mode="ro") as archive:
        yield archive


@pytest.fixture(scope="module")
def client(made: tuple[Path, str]) -> Iterator[Client]:
    page = Page(str(made[0]))
    yield Client(make_app(page, PORT, TOKEN))
    page.close()
