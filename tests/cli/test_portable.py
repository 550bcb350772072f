"""The command that copies a live archive."""

from __future__ import annotations

import json
from pathlib import Path

from exptrack import Archive, ExportError, OwnFileError
from tests.cli.calls import call


def test_snapshot_copies_the_archive_and_says_where(lab: Path, tmp_path: Path) -> None:
    place = tmp_path / "copy.db"
    told = call(lab, "snapshot", str(place))
    assert told.exit_code == 0
    assert told.stdout.startswith(f"copied to {place} (")
    with Archive(lab, mode="ro") as archive, Archive(place, mode="ro") as copy:
        assert copy.verify().ok
        assert copy.info().rows == archive.info().rows


def test_snapshot_prints_json(lab: Path, tmp_path: Path) -> None:
    place = tmp_path / "copy.db"
    facts = json.loads(call(lab, "snapshot", str(place), "--json").stdout)
    assert facts == {"path": str(place), "file_bytes": place.stat().st_size, "waiting": []}


def test_snapshot_replaces_nothing(lab: Path, tmp_path: Path) -> None:
    place = tmp_path / "copy.db"
    place.write_text("kept")
    assert call(lab, "snapshot", str(place)).exit_code == ExportError.exit_code
    assert place.read_text() == "kept"
    assert call(lab, "snapshot", str(lab)).exit_code == OwnFileError.exit_code
    absent = call(tmp_path / "absent.db", "snapshot", str(tmp_path / "new.db"))
    assert absent.exit_code == 11
    assert not (tmp_path / "new.db").exists()
