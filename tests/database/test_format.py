"""A file that was written once is read for good: released migrations never change, and old archives open."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from exptrack import Archive, ArchiveReadOnlyError, RunStatus
from exptrack.database import migrations
from tests.golden import write_dump

# The migrations that were released, by the SHA-256 of their text. Add a line for each new one; change none.
RELEASED = {
    "0001_create_archive.sql": "e1360e2026e3d8cc49b20a52a036002e3d29f634998eedd5157ff301ff2e637b",
    "0002_create_page_view.sql": "1be3697aeb068a369d74c38f8a79f5362018dcb28306e41abfbd95d5c9159819",
    "0003_create_metric_level.sql": "2c320af5c42151efc9a3efbd7d5ab580510ab1d6acbebaaca3a912435d47c47e",
}
DUMPS = sorted(write_dump.FOLDER.glob("*.sql"))


def test_no_released_migration_changes() -> None:
    found = {one.name: hashlib.sha256(one.text.encode()).hexdigest() for one in migrations.migrations()}
    assert found == RELEASED, "a change of the format is a new file in schema/"


def test_there_is_a_dump_of_the_first_release() -> None:
    assert write_dump.FOLDER / "0.2.0.sql" in DUMPS


@pytest.mark.parametrize("dumped", DUMPS, ids=lambda dumped: dumped.stem)
@pytest.mark.parametrize("mode", ["rw", "ro"])
def test_the_archive_of_a_release_is_read_and_sound(tmp_path: Path, dumped: Path, mode: str) -> None:
    path = tmp_path / "lab.db"
    write_dump.restore(dumped, path)
    with closing(sqlite3.connect(path)) as connection:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
    with Archive(path, mode=mode) as archive:
        assert archive.verify().problems == ()
        assert archive.info().format == (migrations.latest_version() if mode == "rw" else version)
        by_name = {run.name: run for run in archive.list_runs()}
        ended = archive.show_run(by_name["run 1"].run_id)
        assert ended.summary.status is RunStatus.COMPLETED
        assert ended.config.get("big") == 2**60 + 1
        assert archive.get_run(ended.summary.run_id).get_metric("loss")[3].value == 0.2
        assert archive.artifacts(ended.summary.run_id).get_blob("words") == "second version"
        assert [(one.name, one.best_number is not None) for one in archive.studies()] == [("widths", True)]
        assert {str(run.host) for run in by_name.values()} == {"node01"}


def test_a_dump_restores_what_was_dumped(tmp_path: Path) -> None:
    with Archive(tmp_path / "lab.db") as archive, archive.start_run({"lr": 0.1}) as run:
        run.log({"loss": float("inf")}, step=0)
    lines = list(write_dump.dump(tmp_path / "lab.db"))
    (tmp_path / "lab.sql").write_text("\n".join(lines), encoding="utf-8")
    write_dump.restore(tmp_path / "lab.sql", tmp_path / "again.db")
    assert list(write_dump.dump(tmp_path / "again.db")) == lines
    with Archive(tmp_path / "again.db") as archive:
        assert archive.verify().ok


def test_a_sealed_file_is_only_read(tmp_path: Path) -> None:
    path = tmp_path / "lab.db"
    with Archive(path) as archive, archive.start_run():
        pass
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = DELETE")
    connection.execute("INSERT INTO seal VALUES (1, 1, '0.2.0', '2026-01-01 00:00:00', '{}', '', '', 0)")
    connection.commit()
    connection.close()
    before = path.read_bytes()
    with pytest.raises(ArchiveReadOnlyError, match="is sealed"):
        Archive(path)
    with Archive(path, mode="ro") as archive:
        assert len(archive.list_runs()) == 1
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["lab.db"]
