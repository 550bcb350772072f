"""An artifact whose bytes are damaged is an error, or an answer without an end: never a whole file."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from exptrack import Archive
from exptrack.web.page import Page
from exptrack.web.server import make_app
from tests.web.client import PORT, TOKEN, Client

# Of the size that random bytes keep: nothing in them repeats, so no chunk is stored twice.
CONTENT = random.Random(5).randbytes(3_000_000)


@pytest.fixture
def damaged(tmp_path: Path) -> Iterator[tuple[Client, str]]:
    """A page on an archive in which the first chunk of one artifact and the last of another are damaged."""
    path = tmp_path / "lab.db"
    with Archive(path) as archive, archive.start_run() as run:
        run.artifacts.register_data("at first", CONTENT[:1000])
        run.artifacts.register_data("at last", CONTENT[1000:])
    for choose in ("min", "max"):
        with sqlite3.connect(path) as connection:
            connection.execute(
                "UPDATE chunk_data SET data = zeroblob(length(data))"
                f" WHERE chunk = (SELECT {choose}(chunk) FROM chunk_data)"
            )
        connection.close()
    page = Page(str(path))
    yield Client(make_app(page, PORT, TOKEN)), run.run_id
    page.close()


def test_damage_in_the_first_piece_is_an_error_of_its_own(damaged: tuple[Client, str]) -> None:
    client, run = damaged
    answer = client.get(f"/artifact/{run}/1/at first")
    assert (answer.status, answer.kind) == (500, "ArchiveCorruptError")
    assert "content-disposition" not in answer.headers
    assert client.get("/api/artifact-text", run=run, name="at first", version=1).kind == "ArchiveCorruptError"


def test_damage_further_on_leaves_the_answer_without_an_end(
    damaged: tuple[Client, str], capsys: pytest.CaptureFixture[str]
) -> None:
    client, run = damaged
    answer = client.get(f"/artifact/{run}/1/at last")
    assert answer.status == 200
    assert 0 < len(answer.content) < int(answer.headers["content-length"])
    assert CONTENT[1000:].startswith(answer.content)
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith("exptrack: an artifact could not be sent to its end: ")
