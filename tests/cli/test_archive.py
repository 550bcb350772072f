"""The commands for the file as a whole: what it holds, and whether it is intact."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

from exptrack import Archive
from tests.cli.calls import call


def test_info_counts_what_is_there(lab: Path, tmp_path: Path) -> None:
    assert json.loads(call(lab, "info", "--json").stdout)["runs"] == {"completed": 2, "failed": 1}
    assert str(lab) in call(lab, "info").stdout
    assert "sealed" not in call(lab, "info").stdout
    assert call(lab, "pack", str(tmp_path / "packed.db")).exit_code == 0
    assert "'exptrack verify' proves the seal" in call(tmp_path / "packed.db", "info").stdout


def test_verify_is_silent_about_nothing_and_exits_17_on_damage(lab: Path, tmp_path: Path) -> None:
    assert call(lab, "verify").exit_code == 0
    damaged = tmp_path / "damaged.db"
    with sqlite3.connect(lab) as source, sqlite3.connect(damaged) as copy:
        source.backup(copy)
        copy.execute("UPDATE metric_point SET value = 0.123 WHERE value > 0.5 AND value < 1")
    source.close()
    copy.commit()
    copy.close()
    result = call(damaged, "verify")
    assert result.exit_code == 17
    assert "problem" in result.stdout
    as_json = call(damaged, "verify", "--json")
    assert as_json.exit_code == 17
    assert json.loads(as_json.stdout)["problems"]


def test_a_file_may_be_named_after_the_command(lab: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty.db"
    Archive(empty).close()
    for words in (["info", str(lab)], ["verify", str(lab)], ["recover", str(lab)]):
        assert call(lab, *words).stdout == call(empty, *words).stdout
    assert call(empty, "verify", "").exit_code != 0, "an empty name is no archive, and not the default"
