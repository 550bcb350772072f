"""The commands that take runs away: to the trash and back, or for good."""

from __future__ import annotations

from pathlib import Path

from tests.cli.calls import asked, call, ids


def test_runs_go_to_the_trash_and_come_back(lab: Path) -> None:
    failed, good, other = ids(lab)
    assert call(lab, "trash").stdout == "the trash is empty\n"
    refused = call(lab, "rm", "--trash", failed)
    assert refused.exit_code == 50
    assert "--yes" in refused.stderr
    assert call(lab, "rm", "--trash", "-y", failed, good).stdout == f"moved to the trash: {failed}, {good}\n"
    assert ids(lab) == [other]
    listed = call(lab, "trash").stdout
    assert failed in listed
    assert "[red]x[/red]" in listed
    assert [one["run"]["run_id"] for one in asked(lab, "trash")] == [failed, good]
    assert f"exptrack restore {good}" in " ".join(call(lab, "show", good).stdout.split())
    assert "2 ('exptrack trash' lists them)" in call(lab, "info").stdout
    assert call(lab, "tag", good, "new").exit_code == 47
    assert call(lab, "restore", good, failed).exit_code == 50
    assert call(lab, "restore", good).stdout == f"restored {good}\n"
    assert asked(lab, "rm", "--trash", "-y", good) == {"runs": [good]}
    assert asked(lab, "restore", good[:-1]) == {"runs": [good]}
    assert ids(lab) == [good, other]


def test_the_trash_is_emptied_on_demand(lab: Path) -> None:
    failed, good, other = ids(lab)
    call(lab, "rm", "--trash", "-y", failed, good)
    assert call(lab, "trash", "--older-than", "1d").exit_code == 50
    assert call(lab, "trash", "--empty").exit_code == 50
    kept = call(lab, "trash", "--empty", "--older-than", "1d", "-y").stdout
    assert kept.startswith("deleted no run; ")
    assert asked(lab, "trash", "--empty", "-y")["runs"] == [good, failed]
    assert ids(lab) == [other]
