"""Commands that change every run that --where or --run chooses: they count, ask, and change no other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from exptrack import Archive
from exptrack.cli import many
from tests.cli.calls import asked, call, ids


def tags(lab: Path) -> list[tuple[str, ...]]:
    """The tags of the runs, newest first: failed, lr 0.01, lr 0.1."""
    return [tuple(run["tags"]) for run in asked(lab, "ls")]


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The questions that are asked in a terminal; each is answered with yes."""
    asked_: list[str] = []

    def agree(question: str, yes: bool) -> None:
        asked_.append(question)

    monkeypatch.setattr(many, "confirm", agree)
    return asked_


def test_without_a_terminal_nothing_is_changed_unless_yes_is_given(lab: Path) -> None:
    for words in (["tag", "x"], ["note", "text"], ["set", "a=1"], ["rm"], ["rm", "--trash"]):
        for which in (["--where", "exists id"], ["--run", "latest", "--run", "latest~1"]):
            refused = call(lab, *words, *which)
            assert (refused.exit_code, "give --yes to go on" in refused.stderr) == (50, True), words
    assert len(ids(lab)) == 3
    assert tags(lab) == [("odd",), ("baseline",), ("baseline",)]
    assert [asked(lab, "show", run)["attributes"] for run in ids(lab)] == [{}] * 3
    assert call(lab, "tag", "x", "--where", "exists id", "--yes").stdout == "added x to 3 runs\n"


def test_the_question_has_the_number_of_runs(lab: Path, answers: list[str]) -> None:
    commands = {
        "Add x, y to 2 runs?": ["tag", "x", "y", "--where", "tag = baseline"],
        "Remove y from 1 run?": ["tag", "--remove", "y", "--where", "config.optim.lr < 0.05"],
        "Add the note to 3 runs?": ["note", "a text", "--where", "exists id"],
        "Set a, b.c of 1 run?": ["set", "a=1", "b.c=x", "--run", "latest~1"],
        "Delete a of 3 runs?": ["set", "--remove", "a", "--where", "exists id"],
        "Move 1 run to the trash?": ["rm", "--trash", "--where", "status = failed"],
        "Delete 2 runs?": ["rm", "--where", "tag = x"],
    }
    said = [call(lab, *words).stdout for words in commands.values()]
    assert answers == list(commands)
    assert said[:-1] == [
        "added x, y to 2 runs\n",
        "removed y from 1 run\n",
        "added the note to 3 runs\n",
        "set a, b.c of 1 run\n",
        "deleted a of 1 run; 2 of 3 needed no change, or no longer matched\n",
        "moved 1 run to the trash\n",
    ]
    assert said[-1].startswith("deleted 2 runs")
    assert ids(lab) == []
    with Archive(lab) as archive:
        (one,) = archive.list_trash()
        assert [note.text for note in archive.get_run(one.run).notes] == ["a text"]


def test_the_runs_that_were_counted_are_those_that_change(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the question waits for an answer, a run begins to match and another one matches no more."""
    failed, good, _other = ids(lab)

    def change(question: str, yes: bool) -> None:
        assert question == "Delete 2 runs?"
        with Archive(lab) as archive:
            archive.get_run(good).remove_tag("baseline")
            archive.get_run(failed).add_tag("baseline")

    monkeypatch.setattr(many, "confirm", change)
    told = call(lab, "rm", "--where", "tag = baseline").stdout
    assert told.startswith("deleted 1 run; 1 of 2 needed no change, or no longer matched")
    assert ids(lab) == [failed, good]


def test_json_tells_what_changed(lab: Path) -> None:
    _failed, good, other = ids(lab)
    report = asked(lab, "tag", "new", "--where", "tag = baseline", "-y")
    assert report == {"matched": 2, "changed": 2, "runs": [good, other], "stored_bytes": 0, "file_bytes": 0}
    assert asked(lab, "tag", "new", "--run", good, "-y")["changed"] == 0
    assert asked(lab, "rm", "--where", "status = running", "-y")["matched"] == 0
    nothing = call(lab, "rm", "--where", "status = running").stdout
    assert nothing.startswith("no run satisfies status = 'running'"), "nothing to ask"


def test_named_runs_and_filters_together_choose_those_that_fit_both(lab: Path) -> None:
    failed, good, other = ids(lab)
    call(lab, "tag", "x", "--run", failed, "--run", good, "--where", "tag = baseline", "-y")
    assert tags(lab) == [("odd",), ("baseline", "x"), ("baseline",)]
    assert asked(lab, "rm", failed, good, "--where", "tag = odd", "-y")["runs"] == [failed]
    assert asked(lab, "rm", "--run", good, "-y")["runs"] == [good]
    assert ids(lab) == [other]


def test_what_is_wrong_is_refused_before_anything_changes(lab: Path) -> None:
    good = ids(lab)[1]
    cases: dict[str, tuple[int, list[str]]] = {
        "the filter is empty": (2, ["rm", "--where", " ", "-y"]),
        "give a run and tags": (2, ["tag", good]),
        "give a run and a text": (2, ["note", good]),
        "put it in quotes": (2, ["note", good, "two", "words"]),
        "a note is one text": (2, ["note", "--run", good, "two", "words", "-y"]),
        "give a run and KEY=VALUE": (2, ["set", "a=1"]),
        "is not KEY=VALUE": (2, ["set", "--run", good, "a", "-y"]),
        "takes keys alone": (2, ["set", "--remove", "--run", good, "a=1", "-y"]),
        "name the runs, or give --where": (2, ["rm", "-y"]),
        "did you mean": (56, ["rm", "--where", "config.optim.lrr = 1", "-y"]),
        "expected": (56, ["tag", "x", "--where", "tag = baseline)", "-y"]),
        "there is no run": (31, ["tag", "x", "--run", "nothing", "-y"]),
        "is empty": (50, ["tag", "", "--where", "exists id", "-y"]),
    }
    for words, (code, command) in cases.items():
        refused = call(lab, *command)
        assert (refused.exit_code, words in refused.stderr) == (code, True), (command, refused.stderr)
    assert tags(lab) == [("odd",), ("baseline",), ("baseline",)]


def test_a_running_run_keeps_rm_from_deleting(lab: Path) -> None:
    with Archive(lab) as archive:
        live = archive.start_run()
        refused = call(lab, "rm", "--where", "exists id", "-y")
        assert (refused.exit_code, "status != running" in refused.stderr) == (42, True)
        assert len(ids(lab)) == 4
        live.complete()


def test_ls_prints_ids_only(lab: Path) -> None:
    everything = ids(lab)
    assert call(lab, "ls", "-q").stdout.split() == everything
    assert call(lab, "ls", "--quiet", "-n", "1").stdout == f"{everything[0]}\n"
    assert call(lab, "ls", "-q", "--where", "tag = baseline", "--order", "started").stdout.split() == [
        everything[2],
        everything[1],
    ]
    assert call(lab, "ls", "-q", "--where", "tag = nobody").stdout == ""
    for words in (["--json"], ["--columns", "name"]):
        assert call(lab, "ls", "-q", *words).exit_code == 2
    with Archive(lab) as archive:
        for _ in range(25):
            archive.start_run().complete()
    assert len(call(lab, "ls", "-q").stdout.split()) == 28, "also those beyond the usual 20"


# Several filters

WHERE: dict[str, Any] = {
    "ls": ["ls"],
    "best": ["best", "acc", "--max"],
    "top": ["top", "metrics.acc"],
    "compare": ["compare"],
    "groups": ["groups", "acc", "optim.lr"],
    "importance": ["importance", "acc"],
    "extract": ["extract", "new.db"],
    "report": ["report", "new.html"],
    "ui": ["ui", "--export", "new.html"],
    "tag": ["tag", "x", "-y"],
    "note": ["note", "x", "-y"],
    "set": ["set", "x=1", "-y"],
    "rm": ["rm", "-y"],
}


@pytest.mark.parametrize("name", WHERE)
def test_a_parenthesis_of_one_filter_does_not_end_in_the_next(lab: Path, name: str) -> None:
    split = call(lab, *WHERE[name], "--where", "tag = baseline) or (status = failed", "--where", "exists id")
    assert split.exit_code == 56, split.stdout
    half = call(lab, *WHERE[name], "--where", "(tag = baseline", "--where", "exists id)")
    assert half.exit_code == 56, half.stdout
    assert len(ids(lab)) == 3
    assert list(Path().glob("new*")) == []


@pytest.mark.parametrize("name", ["ls", "best", "top", "groups", "tag"])
def test_an_or_of_one_filter_does_not_reach_into_the_next(lab: Path, name: str) -> None:
    """``a or b`` and ``c`` is not ``a or (b and c)``."""
    _failed, good, _other = ids(lab)
    chosen = ["--where", "tag = baseline or tag = odd", "--where", "config.optim.lr < 0.05"]
    found = asked(lab, *WHERE[name], *chosen)
    shown = {
        "ls": lambda: [one["run_id"] for one in found],
        "best": lambda: [one["run"]["run_id"] for one in found],
        "top": lambda: [one["run"]["run_id"] for one in found],
        "groups": lambda: found[0]["run_ids"] if len(found) == 1 else found,
        "tag": lambda: found["runs"],
    }[name]()
    assert shown == [good]
