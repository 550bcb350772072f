"""The command that saves what is sound of a damaged archive."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from exptrack import Archive, ExportError
from exptrack.database.layout import known_layouts
from tests.cli.calls import call

PAGE = 4096


def test_salvage_says_what_came_back_and_what_is_missing(lab: Path, tmp_path: Path) -> None:
    damaged, out = tmp_path / "damaged.db", tmp_path / "out.db"
    shutil.copyfile(lab, damaged)
    told = call(lab, "salvage", str(damaged), str(out))
    assert told.exit_code == 0
    assert told.stdout.startswith("nothing is lost: ")
    with Archive(lab, mode="ro") as archive, Archive(out, mode="ro") as saved:
        assert saved.digest() == archive.digest()
    with open(damaged, "r+b") as file:
        file.seek((known_layouts()[0]["event"].root - 1) * PAGE)
        file.write(bytes(PAGE))
    assert call(lab, "salvage", str(damaged), str(out)).exit_code == ExportError.exit_code
    told = call(lab, "salvage", str(damaged), str(tmp_path / "second.db"))
    assert told.exit_code == 17
    assert "what is missing" in told.stdout
    assert "its events" in told.stdout
    assert "1 page of the table event: damaged" in told.stdout


def test_salvage_takes_other_copies_and_prints_json(lab: Path, tmp_path: Path) -> None:
    damaged, out = tmp_path / "damaged.db", tmp_path / "out.db"
    shutil.copyfile(lab, damaged)
    with open(damaged, "r+b") as file:
        file.seek((known_layouts()[0]["event"].root - 1) * PAGE)
        file.write(bytes(PAGE))
    told = call(lab, "salvage", str(damaged), str(out), "--with", str(lab), "--json")
    facts = json.loads(told.stdout)
    assert (facts["path"], facts["out"]) == (str(damaged), str(out))
    assert facts["runs"]
    assert [run["missing"] for run in facts["runs"]] == [[]] * len(facts["runs"])
    unproven = call(lab, "salvage", str(damaged), str(tmp_path / "more.db"), "--unproven")
    assert unproven.exit_code == 17
    assert "with the tag 'unproven': do not trust them" in unproven.stdout
