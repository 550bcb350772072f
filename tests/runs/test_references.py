"""A run is found by what a person says of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from exptrack import (
    AmbiguousRunError,
    Archive,
    InvalidValueError,
    MetricNotFoundError,
    RecordedRun,
    RunNotFoundError,
    Study,
)
from tests.changes import altering

BEGIN = datetime(2026, 1, 1)


def record(number: int, name: str, status: str = "completed", **metrics: float) -> RecordedRun:
    points = {metric: ([0], [value]) for metric, value in metrics.items()}
    return RecordedRun({}, BEGIN + timedelta(days=number), name=name, status=status, metrics=points)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    """Metrics whose names tell what is better, or do not; a name of two runs; a run in the trash."""
    with Archive(tmp_path_factory.mktemp("references") / "lab.db") as archive:
        archive.record_runs(
            [
                record(0, "one", **{"val/loss": 0.5, "acc": 0.7, "a:b": 1.0, "max": 1.0}),
                record(1, "two", **{"val/loss": 0.2, "acc": 0.9, "a:b": 2.0, "max": 2.0}),
                record(2, "twin", **{"val/loss": float("nan"), "acc": float("inf"), "loss:min": 3.0}),
                record(3, "twin", "failed", acc=0.99, **{"val/loss": 0.0}),
                record(4, "gone", acc=0.999),
                record(5, "last", acc=0.1),
            ]
        )
        archive.trash_run("gone")
        study = Study.create("lr#1", "maximize", archive=archive)
        study.optimize(lambda trial: trial.suggest_float("x", 0, 1), 2)
        archive.record_runs([record(300_000, "latest")])
        yield archive
        assert archive.verify().problems == ()


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("one", "one"),
        ("latest", "latest"),
        ("latest~0", "latest"),
        ("best:val/loss", "two"),
        ("best:val/loss:max", "one"),
        ("best:acc", "two"),
        ("best:acc:min", "last"),
        ("best:a:b:min", "one"),
        ("best:max:max", "two"),
        ("best:loss:min:min", "twin"),
        ("gone", "gone"),
    ],
)
def test_a_run_is_meant_by_its_name_its_place_in_time_or_its_rank(lab: Archive, said: str, name: str) -> None:
    assert lab.show_run(said).summary.name == name


def test_runs_before_the_last_one_are_counted_by_their_start(lab: Archive) -> None:
    by_start = [run.run_id for run in lab.runs().order_by("-started")]
    found = [lab.show_run(f"latest~{back}").summary.run_id for back in range(len(by_start))]
    assert found == by_start
    with pytest.raises(RunNotFoundError, match=f"latest~{len(by_start)}"):
        lab.show_run(f"latest~{len(by_start)}")


def test_a_trial_is_meant_by_its_study_and_number(lab: Archive) -> None:
    for number in range(2):
        found = lab.show_run(f"lr#1#{number}").summary
        assert (found.study, found.trial_number) == ("lr#1", number)
    with pytest.raises(RunNotFoundError):
        lab.show_run("lr#1#2")


def test_either_end_of_an_id_is_enough_and_a_name_comes_first(lab: Archive, tmp_path: Path) -> None:
    runs = lab.list_runs()
    for run in runs:
        for text in (run.run_id, run.run_id.upper(), run.run_id[:-1], run.run_id[1:], run.run_id[-12:]):
            assert lab.show_run(text).summary == run
    with pytest.raises(AmbiguousRunError, match=r"run id .* more characters") as caught:
        lab.show_run("1")
    assert len(caught.value.candidates) > 1
    with Archive(tmp_path / "lab.db") as archive:
        first = archive.start_run()
        first.complete()
        with archive.start_run(name=first.run_id[:6]) as second:
            pass
        assert archive.show_run(first.run_id[:6]).summary.run_id == second.run_id
        second.rename(first.run_id)
        assert archive.show_run(first.run_id).summary.run_id == first.run_id


def test_a_name_of_several_runs_lists_them(lab: Archive) -> None:
    twins = [run.run_id for run in lab.runs().where("name = twin").order_by("-started")]
    with pytest.raises(AmbiguousRunError, match=r"run name 'twin' is ambiguous .*ids") as caught:
        lab.show_run("twin")
    assert caught.value.candidates == tuple(twins)
    head, *lines = str(caught.value).splitlines()
    assert head == "run name 'twin' is ambiguous (2 runs); give one of these ids:"
    assert lines == [f"  {twins[0]}  2026-01-04 00:00  twin", f"  {twins[1]}  2026-01-03 00:00  twin"]


def test_a_long_list_of_candidates_is_cut(tmp_path: Path) -> None:
    with Archive(tmp_path / "lab.db") as archive:
        made = archive.record_runs(record(number, "n" * 70) for number in range(25))
        for count, head, last in ((25, "more than 20", "  and more"), (15, "15", "  and 5 more")):
            archive.delete_run(*made[count:])
            with pytest.raises(AmbiguousRunError, match=rf"\({head} runs\)") as caught:
                archive.show_run("n" * 70)
            assert str(caught.value).splitlines()[-1] == last
            assert len(str(caught.value).splitlines()) == 12
            assert (
                str(caught.value).splitlines()[1]
                == f"  {made[count - 1]}  2026-01-{count:02} 00:00  {'n' * 60}"
            )
        with pytest.raises(AmbiguousRunError) as unnamed:
            archive.show_run(made[0][:2])
        assert f"\n  {made[0]}  2026-01-01 00:00  nnn" in str(unnamed.value)


def test_a_misspelled_name_or_id_is_suggested(lab: Archive) -> None:
    runs = lab.list_runs()
    wrong = runs[0].run_id[:8] + ("0" if runs[0].run_id[8] != "0" else "1") + runs[0].run_id[9:]
    for said, close in (
        ("twni", "twin"),
        ("onee", "one"),
        (wrong, runs[0].run_id),
        (wrong.upper(), runs[0].run_id),
    ):
        with pytest.raises(RunNotFoundError, match="did you mean") as caught:
            lab.show_run(said)
        assert close in caught.value.suggestions, said
    for said in ("gnoe", "zzzz", "latest~1000", "x" * 1000):
        with pytest.raises(RunNotFoundError, match="'exptrack ls' lists the runs") as caught:
            lab.show_run(said)
        assert caught.value.suggestions == (), said


def test_what_is_best_must_be_known(lab: Archive) -> None:
    with pytest.raises(InvalidValueError, match="best:a:b:min' or 'best:a:b:max"):
        lab.show_run("best:a:b")
    with pytest.raises(MetricNotFoundError, match="nothing"):
        lab.show_run("best:nothing")
    with pytest.raises(RunNotFoundError, match="best:"):
        lab.show_run("best:")


def test_a_run_in_the_trash_is_meant_where_it_is_sought(tmp_path: Path) -> None:
    with Archive(tmp_path / "lab.db") as archive:
        archive.record_runs([record(0, "same"), record(1, "same")])
        older, newer = archive.list_runs()[::-1]
        archive.trash_run(newer)
        assert archive.show_run("same").summary == older
        archive.restore_run("same")
        assert len(archive.list_runs()) == 2
        with pytest.raises(AmbiguousRunError):
            archive.show_run("same")


def test_a_short_id_means_its_run_alone(tmp_path: Path) -> None:
    """Ends that are alike, a name that is an end, and one that begins an id, make an id longer."""
    with Archive(tmp_path / "lab.db") as archive:
        archive.record_runs([RecordedRun({}, BEGIN + timedelta(seconds=number)) for number in range(5)])
        ids = [run.run_id for run in archive.list_runs()]
        with altering(archive._connection):
            for run_id, end in zip(
                ids, ("aaaabcde", "zaaabcde", "qqqqqqqq", "00001111", "wwwwwwww"), strict=True
            ):
                new = f"1m8k7000{end}"
                archive._connection.execute("UPDATE run SET run_id = ? WHERE run_id = ?", (new, run_id))
            archive._connection.execute("UPDATE run SET run_id = '1111700000000000' WHERE run_id LIKE '%wwww'")
            archive._connection.execute("UPDATE run SET name = 'qqqq' WHERE run_id LIKE '%1111'")
        found = archive.shorten_ids(archive.runs())
        assert {run_id[8:]: short for run_id, short in found.items()} == {
            "aaaabcde": "aaaabcde",
            "zaaabcde": "zaaabcde",
            "qqqqqqqq": "qqqqq",
            "00001111": "01111",
            "00000000": "0000",
        }
        for run_id, short in found.items():
            assert archive.get_run(short).run_id == run_id
        archive.trash_run("1111700000000000")
        assert archive.shorten_ids("1m8k700000001111") == {"1m8k700000001111": "01111"}, "the trash counts"
        assert archive.shorten_ids([]) == {}
        with pytest.raises(RunNotFoundError):
            archive.shorten_ids(["nosuch"])
