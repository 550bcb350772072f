"""Archives that were made to harm: none does, only sound runs are taken, and the report names the rest."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from exptrack import Archive
from tests.faults.wrong_values import sound
from tests.portable.hostile import contents, files, journals, rows, schemas, structure
from tests.portable.hostile.kinds import KINDS, LEFT_OUT, NOT_MERGED, REFUSED

MODULES = (files, structure, schemas, rows, contents, journals)  # each has registered its kinds

RUNS = 7  # in the archive of which all others are made
MOST_MIB = 300


def state(folder: Path) -> dict[str, tuple[int, ...]]:
    """What a write to any file of a folder would change."""
    found = {str(one): os.lstat(one) for one in [folder, *sorted(folder.rglob("*"))]}
    return {name: (s.st_mode, s.st_ino, s.st_size, s.st_mtime_ns, s.st_nlink) for name, s in found.items()}


@pytest.fixture(scope="module")
def outcomes(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, Any]]:
    """What became of each archive that a test of this session asks for, all offered to one process."""
    mine = [item for item in request.session.items if item.path == request.path]
    asked = {item.callspec.params["name"] for item in mine if hasattr(item, "callspec")}
    kinds = {name: kind for name, kind in KINDS.items() if name in asked} or KINDS
    top = tmp_path_factory.mktemp("hostile")
    (top / "precious").write_text("not to be touched")
    with Archive(top / "target") as archive, archive.start_run({"lr": 1}, name="own") as run:
        run.log({"loss": 1.0})
    offered = top / "offered"
    for number, one in enumerate(kinds.values()):
        folder = offered / f"{number:03}"
        folder.mkdir(parents=True)
        (folder / "before.db").write_bytes(sound().data)
        shutil.copyfile(folder / "before.db", folder / "lab.db")
        one.make(folder / "lab.db")
    before = {one.name: state(one) for one in offered.iterdir()}
    done = subprocess.run(
        [sys.executable, "-m", "tests.portable.hostile_runner", offered, top / "target"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "TMPDIR": str(top)},
    )
    results = {one["name"]: one for one in map(json.loads, done.stdout.splitlines())}
    assert len(results) == len(kinds), done.stderr
    assert (top / "precious").read_text() == "not to be touched"
    assert not list(top.glob("exptrack-*"))
    for folder, one in results.items():
        one["touched"] = state(offered / folder) != before[folder]
    return dict(zip(kinds, (results[f"{number:03}"] for number in range(len(kinds))), strict=True))


@pytest.mark.sampled(3)
@pytest.mark.parametrize("name", KINDS)
def test_a_hostile_archive_does_no_harm(outcomes: dict[str, dict[str, Any]], name: str) -> None:
    found, becomes = outcomes[name], KINDS[name].becomes
    merged = found["merge"]
    assert "mistake" not in repr(found), json.dumps(found, indent=1)
    assert not found["touched"]
    assert ("error" in found["read"]) == (becomes == REFUSED), found
    assert ("error" in merged) == (becomes in (REFUSED, NOT_MERGED)), found
    assert merged["problems"] == [], found
    if "error" in merged:
        assert merged["same"] or becomes == NOT_MERGED, found
        return
    assert len(merged["new"]) + len(merged["left_out"]) >= RUNS, found
    assert bool(merged["left_out"]) == (becomes == LEFT_OUT), found


def test_no_hostile_archive_takes_much_memory(outcomes: dict[str, dict[str, Any]]) -> None:
    peaks = {name: one["peak"] for name, one in outcomes.items()}
    assert max(peaks.values()) < MOST_MIB, peaks
