"""The command counts what fails and names the seed that repeats it; the judge sees each failure."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from exptrack import Archive
from tests.faults import tools
from tests.faults.__main__ import find_kinds, main, run_kinds
from tests.faults.deeds import Deeds
from tests.faults.judge import judge
from tests.faults.ledger import Ledger
from tests.faults.tally import Tally

FAKE = """
import os, time
from tests.faults import tools
from tests.faults.tally import Tally
LONGEST_S = 3.0
def run(tries, seed):
    tally = Tally(tries=1)
    if seed == 2:
        tally.blame("lost", "a point")
    if seed == 3:
        os._exit(9)
    if seed == 4:
        time.sleep(60)
    return tally
"""


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    (tmp_path / "fake_kind.py").write_text(FAKE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    yield "fake_kind"
    sys.modules.pop("fake_kind", None)


def last_row(said: str, kind: str) -> list[int]:
    return [
        int(word) for word in [line for line in said.splitlines() if line.startswith(kind)][-1].split()[1:6]
    ]


@pytest.mark.parametrize(
    ("seed", "expected"),
    [(1, [1, 0, 0, 0, 0]), (2, [1, 1, 0, 0, 0]), (3, [1, 0, 0, 1, 0]), (4, [1, 0, 0, 0, 1])],
)
def test_a_try_is_repeated_by_its_seed_and_counted(
    fake: str, seed: int, expected: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    code = run_kinds([fake], 60, seed)
    said = capsys.readouterr().out
    assert last_row(said, fake) == expected
    assert code == (expected[1:] != [0, 0, 0, 0])
    assert (f"--seed {seed}]" in said) == bool(code)


def test_nothing_tried_is_no_success(fake: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_kinds([fake], 0) == 1
    assert run_kinds([], 60) == 1


def test_every_kind_is_known_by_its_file() -> None:
    assert {"system_calls", "files", "signals", "crowd"} <= set(find_kinds())
    assert "tally" not in find_kinds()
    with pytest.raises(SystemExit):
        main(["--only", "tally"])


def lose_a_tag(path: Path) -> None:
    with Archive(path) as archive:
        archive.get_run(archive.list_runs()[0].run_id).remove_tag("t3")


def store_a_point_twice(path: Path) -> None:
    with Archive(path) as archive, archive.resume_run(archive.list_runs()[0].run_id) as run:
        run.log({"loss": 2 / 7}, 2)


def store_another_value(path: Path) -> None:
    with Archive(path) as archive, archive.resume_run(archive.list_runs()[0].run_id) as run:
        run.artifacts.remove("a4")
        run.artifacts.register_data("a4", b"other")


def remove_the_run(path: Path) -> None:
    with Archive(path) as archive:
        archive.delete_run(archive.list_runs()[0].run_id)


@pytest.mark.parametrize(
    ("damage", "failure"),
    [
        (Path.exists, None),
        (lose_a_tag, "lost"),
        (store_a_point_twice, "doubled"),
        (store_another_value, "unreported"),
        (remove_the_run, "lost"),
    ],
)
def test_the_judge_sees_what_is_not_as_acknowledged(
    tmp_path: Path, damage: Callable[[Path], None], failure: str | None
) -> None:
    path = tmp_path / "lab.db"
    with Archive(path) as archive:
        deeds = Deeds(archive, Ledger(tmp_path / "one.ledger"))
        for deed in (deeds.start, deeds.log, deeds.tag, lambda: deeds.put(1_000), deeds.complete):
            deed()
    damage(path)
    tally = Tally()
    judge(path, [tmp_path / "one.ledger"], tally)
    assert [name for name in ("lost", "doubled", "unreported", "hung") if getattr(tally, name)] == (
        [] if failure is None else [failure]
    )


def test_what_was_not_acknowledged_may_be_there_or_not(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "one.ledger")
    with Archive(tmp_path / "lab.db") as archive:
        deeds = Deeds(archive, ledger)
        deeds.start()
        ledger.will({f"tag {deeds.name}/never": "there", f"tag {deeds.name}/begun": None})
        deeds.complete()
    tally = Tally()
    judge(tmp_path / "lab.db", [tmp_path / "one.ledger"], tally)
    assert tally.failures == 0


def test_an_error_without_a_type_is_unreported(tmp_path: Path) -> None:
    def fail() -> None:
        raise OSError("no")

    with Archive(tmp_path / "lab.db") as archive:
        Deeds(archive, Ledger(tmp_path / "one.ledger")).act({}, fail)
    tally = Tally()
    judge(tmp_path / "lab.db", [tmp_path / "one.ledger"], tally)
    assert tally.unreported == 1


def test_a_kind_without_its_tool_is_left_out_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.faults.tools.shutil.which", lambda _tool: None)
    monkeypatch.setattr("tests.faults.tools.sys.platform", "linux")
    with_strace = ("merge_kills", "packing", "system_calls")
    on_linux = {"test_clocks.py": "faketime", **{f"test_{kind}.py": "strace" for kind in with_strace}}
    assert tools.tests_that_do_not_apply() == on_linux
    monkeypatch.setattr("tests.faults.tools.sys.platform", "darwin")
    assert tools.tests_that_do_not_apply() == dict.fromkeys([*on_linux, "test_files.py"], "Linux")
