"""Filters, records, tables, frames and rankings know which trial a run is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from exptrack import Archive, FilterError, InvalidValueError, RunFilter, RunStatus, RunSummary
from exptrack.cli import main
from exptrack.records import TrialState
from exptrack.runs.identity import new_run_id
from exptrack.terminal.console import open_console
from exptrack.terminal.runs import STATUS_STYLES
from exptrack.terminal.watching import build_live_table
from tests.changes import altering

NOW = "2026-01-01 00:00:00.000000"
FACTS = ["study", "trial.number", "trial.state"]


def make_study(archive: Archive, name: str) -> None:
    with altering(archive._connection):
        archive._connection.execute(
            "INSERT INTO study (uid, name, created_at, settings) VALUES (?, ?, ?, '{}')",
            (new_run_id(), name, NOW),
        )


def make_trial(archive: Archive, run_id: str | None, study: str, number: int, state: str) -> None:
    with altering(archive._connection):
        archive._connection.execute(
            """
            INSERT INTO trial (uid, study, number, state, run_id, ended_at)
            VALUES (?, (SELECT id FROM study WHERE name = ?), ?, ?, ?, ?)
            """,
            (
                new_run_id(),
                study,
                number,
                state,
                run_id,
                NOW if state in ("complete", "pruned", "fail") else None,
            ),
        )


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Archive]:
    """A study of three runs, its pruned one with the least loss; one of a failed run; a run of no study."""
    with Archive(tmp_path / "lab.db") as archive:
        make_study(archive, "digits")
        make_study(archive, "letters")
        for number in (0, 1, 2):
            make_trial(archive, None, "letters", number, "waiting")
        for number, (study, state) in enumerate(
            [
                ("digits", "complete"),
                ("digits", "pruned"),
                ("digits", "complete"),
                ("letters", "fail"),
                (None, None),
            ]
        ):
            run = archive.start_run({"lr": number, "half": number // 2}, name=f"run{number}")
            run.log({"loss": [0.5, 0.1, 0.4, 0.3, 0.2][number]})
            if state == "fail":
                run.fail("too hot")
            else:
                run.complete()
            if study is not None and state is not None:
                make_trial(archive, run.run_id, study, number, state)
        make_trial(archive, None, "letters", 4, "waiting")
        yield archive
        assert archive.verify().ok


def found(lab: Archive, text: str, *values: object) -> list[str | None]:
    return [run.name for run in lab.runs().where(text, *values).order_by("name")]


def named(lab: Archive, name: str) -> RunSummary:
    (run,) = lab.runs().where("name = ?", name)
    return run


def call(lab: Archive, *words: str) -> str:
    result = CliRunner().invoke(main, ["--db", str(lab.path), *words])
    assert result.exit_code == 0, result.output
    return result.stdout


def asked(lab: Archive, *words: str) -> Any:
    return json.loads(call(lab, *words, "--json"))


# Filters


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("study = digits", "012"),
        ("study != digits", "3"),
        ("not study = digits", "34"),
        ("study like 'L%'", "3"),
        ("study in (digits, letters)", "0123"),
        ("study not in (digits, other)", "3"),
        ("study is null", "4"),
        ("exists study", "0123"),
        ("STUDY_NAME = 'letters'", "3"),
        ("study = Digits", ""),
        ("trial.number = 2", "2"),
        ("trial.number >= 1 and study = digits", "12"),
        ("trial.number < 1.5", "01"),
        ("trial.number in (0, 3, 9)", "03"),
        ("trial.number is null", "4"),
        ("trial_number != 1", "023"),
        ("Trial.Number > -inf", "0123"),
        ("trial.state = COMPLETE", "02"),
        ("trial.state = waiting", ""),
        ("trial.state != complete", "13"),
        ("trial.state in (fail, pruned)", "13"),
        ("trial_state is not null", "0123"),
        ("not trial.state = complete", "134"),
        ("status = pruned", "1"),
        ("status = PRUNED or status = failed", "13"),
        ("status = completed", "0124"),
        ("status = completed and not status = pruned", "024"),
        ("status != pruned", "0234"),
        ("status != completed", "3"),
        ("status in (pruned, failed)", "13"),
        ("status not in (pruned, failed)", "024"),
    ],
)
def test_filters_find_runs_by_their_trial(lab: Archive, text: str, expected: str) -> None:
    assert found(lab, text) == [f"run{number}" for number in expected]
    assert lab.runs().where(text).count() == len(expected)


@pytest.mark.parametrize(
    ("text", "position", "words"),
    [
        (
            "trial.state = prund",
            14,
            "a trial.state is one of waiting, running, complete, pruned, fail; did you mean pruned?",
        ),
        ("trial.state = completed", 14, "did you mean complete?"),
        ("trial.state = 1", 14, "a trial.state is one of"),
        ("trial.state < pruned", 12, "< cannot be used with trial.state"),
        ("trial.state like 'p%'", 12, "it is not text"),
        ("trial.number = one", 15, "trial.number is a number"),
        ("trial.number like '1'", 13, "it is not text"),
        ("status = prune", 9, "running, completed, failed, interrupted, pruned; did you mean pruned?"),
        ("studdy = digits", 0, "did you mean study?"),
        ("trial.stat = pruned", 0, "did you mean trial.state?"),
        ("trail.number = 1", 0, "did you mean trial.number?"),
        ("trial_numbr = 1", 0, "did you mean trial_number?"),
        ("trial = 1", 0, "did you mean trial.number or trial.state?"),
        ("trial.zzzzzzzzzzzzzz = 1", 0, "did you mean trial.number or trial.state?"),
    ],
)
def test_what_is_misspelt_of_trials_is_told_with_what_was_meant(
    text: str, position: int, words: str, lab: Archive
) -> None:
    with pytest.raises(FilterError) as caught:
        lab.runs().where(text)
    assert words in str(caught.value)
    assert caught.value.position == position


def test_runs_are_ordered_by_study_and_number_those_of_none_last(lab: Archive) -> None:
    names = [run.name for run in lab.runs().order_by("-study", "-trial.number")]
    assert names == ["run3", "run2", "run1", "run0", "run4"]
    assert [run.name for run in lab.runs().order_by("trial.state").limit(2)] == ["run2", "run0"]


def test_a_run_that_was_tried_again_has_the_facts_of_its_newest_trial(lab: Archive) -> None:
    run_id = named(lab, "run1").run_id
    make_trial(lab, run_id, "letters", 5, "complete")
    run = named(lab, "run1")
    assert (run.study, run.trial_number, run.trial_state) == ("letters", 5, "complete")
    assert found(lab, "study = digits") == ["run0", "run2"]
    assert found(lab, "study > 'a'") == ["run0", "run1", "run2", "run3"]
    assert found(lab, "status = pruned") == found(lab, "trial.state = pruned") == []
    assert [row["study"] for row in lab.runs().where("name = run1").to_dicts(["study"])] == ["letters"]


def test_a_run_that_did_not_complete_is_no_pruned_one(lab: Archive) -> None:
    run = lab.start_run(name="late")
    make_trial(lab, run.run_id, "digits", 3, "pruned")
    assert not named(lab, "late").is_pruned
    assert "late" not in found(lab, "status = pruned")
    assert "late" in found(lab, "trial.state = pruned")
    run.complete()
    assert named(lab, "late").is_pruned
    assert "late" in found(lab, "status = pruned")


def test_what_is_pruned_is_found_while_another_run_is_dead(
    lab: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = lab.start_run(name="live")
    number = lab._connection.value("SELECT id FROM run WHERE run_id = ?", (live.run_id,))
    monkeypatch.setattr("exptrack.query.run_query.find_dead_runs", lambda connection: [number])
    assert found(lab, "status = pruned") == ["run1"]
    assert found(lab, "status in (pruned, interrupted)") == ["live", "run1"]
    assert found(lab, "status != pruned and status != completed") == ["live", "run3"]
    live.complete()


def test_filters_by_call_take_pruned_as_a_status(lab: Archive) -> None:
    assert [run.name for run in lab.list_runs(RunFilter.by_status("pruned"))] == ["run1"]
    both = RunFilter.by_status("pruned") & RunFilter.by_status(RunStatus.COMPLETED)
    assert [run.name for run in lab.list_runs(both)] == ["run1"]
    assert [run.name for run in lab.runs().with_status("pruned", "failed")] == ["run3", "run1"]
    assert len(lab.list_runs(RunFilter.by_status("completed"))) == 4
    for wrong in ("prune", 1, None):
        with pytest.raises(InvalidValueError, match="running, completed, failed, interrupted, pruned"):
            RunFilter.by_status(wrong)  # type: ignore[arg-type]


def test_a_run_cannot_end_as_pruned_by_its_status(lab: Archive) -> None:
    run = lab.start_run()
    with pytest.raises(InvalidValueError, match="status"):
        run.finish("pruned")
    run.complete()


# Records and frames


def test_summaries_and_details_tell_the_trial(lab: Archive) -> None:
    pruned, none = named(lab, "run1"), named(lab, "run4")
    assert (pruned.study, pruned.trial_number, pruned.trial_state) == ("digits", 1, TrialState.PRUNED)
    assert (pruned.status, pruned.is_pruned) == (RunStatus.COMPLETED, True)
    assert (none.study, none.trial_number, none.trial_state, none.is_pruned) == (None, None, None, False)
    assert lab.show_run(pruned.run_id).summary == pruned
    assert lab.compare([pruned.run_id, none.run_id]).runs == (pruned, none)
    assert pruned in lab.list_runs()


def test_a_deleted_study_leaves_runs_that_are_no_trials(lab: Archive) -> None:
    with altering(lab._connection):
        lab._connection.execute("DELETE FROM study")
    assert {run.study for run in lab.runs()} == {None}
    assert lab.runs().where("study is null").count() == 5


def test_frames_have_the_columns_of_trials_where_a_run_is_one(lab: Archive) -> None:
    (row,) = lab.runs().where("name = run4").to_dicts()
    assert not {*FACTS} & {*row}
    rows = {row["name"]: row for row in lab.runs().to_dicts()}
    assert [rows["run1"][name] for name in FACTS] == ["digits", 1, "pruned"]
    assert [rows["run4"][name] for name in FACTS] == [None, None, None]
    assert rows["run1"]["status"] == "completed"
    assert lab.runs().where("name = run4").to_dicts(FACTS) == [dict.fromkeys(FACTS)]
    query = lab.runs().order_by("name")
    frame, wide = query.to_pandas(), query.to_polars()
    assert [str(frame[name].dtype) for name in FACTS] == ["string", "Int64", "string"]
    assert frame["trial.number"].isna().tolist() == [False, False, False, False, True]
    assert wide["trial.number"].to_list() == [0, 1, 2, 3, None]
    assert wide["trial.state"].to_list() == ["complete", "pruned", "complete", "fail", None]


def test_values_are_typed(lab: Archive) -> None:
    ((_run, values),) = lab.runs().where("name = run1").values("study, trial.number, trial_state, status")
    assert values == {"study": "digits", "trial.number": 1, "trial_state": "pruned", "status": "completed"}
    assert isinstance(values["trial_state"], TrialState)


def test_a_view_of_ones_own_has_columns_of_trials(lab: Archive) -> None:
    lab.create_view("tried", FACTS)
    rows = lab.sql('SELECT study, "trial.number", "trial.state" FROM tried ORDER BY name').rows
    assert rows[1] == ("digits", 1, "pruned")
    assert rows[4] == (None, None, None)


# Rankings


def test_rankings_leave_pruned_trials_out_unless_a_filter_speaks_of_them(lab: Archive) -> None:
    def best(*where: str) -> list[str | None]:
        return [run.name for run, _value in lab.best_runs("loss", "minimize", where=where)]

    assert best() == ["run4", "run2", "run0"]
    assert best("study = digits") == ["run2", "run0"]
    assert best("status = completed", "study = digits") == ["run2", "run0"]
    assert best("config.lr < 9") == ["run4", "run2", "run0"]
    assert best("status = pruned") == best("trial.state = pruned") == ["run1"]
    assert best("study = digits", "trial.state in (complete, pruned)") == ["run1", "run2", "run0"]
    assert best("status in (completed, pruned)") == ["run1", "run4", "run2", "run0"]
    assert best("trial.state is not null and study = digits") == ["run1", "run2", "run0"]
    assert best("not trial.state = pruned") == ["run4", "run2", "run0"]
    first = lab.best_run("loss", "minimize")
    assert first is not None
    assert first.name == "run4"


def test_groups_and_importances_leave_pruned_trials_out_unless_a_filter_speaks_of_them(lab: Archive) -> None:
    assert [group.count for group in lab.group_by("half", "loss")] == [1, 1, 1]
    assert [group.count for group in lab.group_by("half", "loss", where="study = digits")] == [1, 1]
    spoken = lab.group_by("half", "loss", where="study = digits and trial.state in (complete, pruned)")
    assert [group.count for group in spoken] == [2, 1]
    assert lab.importance("loss")[0].runs == 3
    assert lab.importance("loss", where="status in (completed, pruned)")[0].runs == 4


# What people see


def test_tables_show_a_pruned_run_as_pruned(lab: Archive) -> None:
    def status_of(text: str, name: str) -> str:
        (line,) = [line for line in text.splitlines() if name in line]
        (word,) = re.findall(r"\b(?:completed|pruned|failed)\b", line)
        return str(word)

    for words in (("ls",), ("ls", "--columns", "name,status")):
        text = call(lab, *words)
        assert status_of(text, "run1") == "pruned"
        assert status_of(text, "run2") == status_of(text, "run4") == "completed"
    pruned, whole = named(lab, "run1").run_id, named(lab, "run2").run_id
    (line,) = [line for line in call(lab, "compare", pruned, whole).splitlines() if line.startswith("status")]
    assert line.split() == ["status", "pruned", "completed"]
    (line,) = [line for line in call(lab, "top", "status").splitlines() if "run1" in line]
    assert line.split()[1] == "pruned"


def test_a_live_table_shows_a_pruned_run_as_pruned(lab: Archive) -> None:
    out = open_console()
    with out.capture() as capture:
        out.print(build_live_table(out, [named(lab, "run1"), named(lab, "run0")], {}, [], {}))
    lines = [line.split() for line in capture.get().splitlines() if "run0" in line or "run1" in line]
    assert [words[1:3] for words in lines] == [["pruned", "run1"], ["completed", "run0"]]


def test_every_status_a_person_sees_has_a_colour_of_its_own() -> None:
    assert set(STATUS_STYLES) == {*RunStatus, "pruned"}
    assert len(set(STATUS_STYLES.values())) == 5


def test_show_names_study_number_and_state(lab: Archive) -> None:
    text = call(lab, "show", named(lab, "run1").run_id)
    assert re.search(r"^status +pruned *$", text, re.MULTILINE)
    assert re.search(r"^trial +#1 of study digits \(pruned\) *$", text, re.MULTILINE)
    assert not re.search(r"^trial\b", call(lab, "show", named(lab, "run4").run_id), re.MULTILINE)


def test_ls_finds_pruned_runs_by_either_word(lab: Archive) -> None:
    assert [run["name"] for run in asked(lab, "ls", "--status", "pruned")] == ["run1"]
    assert [run["name"] for run in asked(lab, "ls", "--status", "completed")] == [
        "run4",
        "run2",
        "run1",
        "run0",
    ]


def test_json_carries_the_trial(lab: Archive) -> None:
    facts = ("status", "study", "trial_number", "trial_state")
    (pruned,) = asked(lab, "ls", "--where", "name = run1")
    assert [pruned[fact] for fact in facts] == ["completed", "digits", 1, "pruned"]
    assert asked(lab, "show", pruned["run_id"])["summary"] == pruned
    (none,) = asked(lab, "ls", "--where", "name = run4")
    assert [none[fact] for fact in facts] == ["completed", None, None, None]
    assert asked(lab, "ls", "--columns", ",".join(FACTS), "--where", "name = run1") == [
        {"run_id": pruned["run_id"], "study": "digits", "trial.number": 1, "trial.state": "pruned"}
    ]
    (best,) = asked(lab, "best", "loss", "--min", "--where", "status = pruned")
    assert best["run"] == pruned


def test_the_name_of_a_study_cannot_draw_on_the_terminal(lab: Archive) -> None:
    hostile = "[red]x[/red]\x1b[31m"
    make_study(lab, hostile)
    make_trial(lab, named(lab, "run4").run_id, hostile, 0, "complete")
    text = call(lab, "show", named(lab, "run4").run_id)
    assert "#0 of study [red]x[/red]\\x1b[31m (complete)" in text
    assert found(lab, "study = ?", hostile) == ["run4"]
