"""These reading calls show the archive of one moment, whatever is written while they read."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from exptrack import Archive, InvalidTypeError, Run
from tests.changes import trace

READINGS: dict[str, Callable[[Archive, list[str]], object]] = {
    "diff_runs": lambda archive, runs: archive.diff_runs(*runs),
    "group_by": lambda archive, _: archive.group_by("loss", "loss"),
    "verify": lambda archive, _: archive.verify().problems,
}


@pytest.mark.parametrize("name", READINGS)
def test_a_change_amid_a_call_is_in_all_of_its_answer_or_in_none(tmp_path: Path, name: str) -> None:
    """Another archive object changes a run before the k-th statement of the call, for every third k."""
    for number in count(0, 3):
        path = tmp_path / f"{number}.db"
        with Archive(path) as writer, Archive(path) as reader:
            runs = []
            for loss in (0.5, 0.4):
                with writer.start_run({"loss": loss}, name=f"run {loss}") as run:
                    run.log({"loss": loss})
                runs.append(run.run_id)
            read = READINGS[name]
            before = repr(read(reader, runs))
            left = [number]

            def change(_statement: str, left: list[int] = left, run_id: str = runs[0]) -> None:
                left[0] -= 1
                if left[0] == -1:
                    with writer.resume_run(run_id) as run:
                        run.add_tag("late")
                        run.add_note("late")
                        run.log({"loss": 0.1})

            trace(reader._connection, change)
            found = repr(read(reader, runs))
            trace(reader._connection, None)
            if left[0] >= 0:
                assert number > 0
                return
            assert found in (before, repr(read(reader, runs)))


OF_A_QUERY: dict[str, Callable[[Archive], int]] = {
    "curves": lambda archive: len(list(archive.curves(archive.runs(), "loss"))),
    "compare": lambda archive: len(archive.compare(archive.runs()).runs),
}


@pytest.mark.parametrize("name", OF_A_QUERY)
def test_the_runs_of_a_query_are_those_of_the_moment_of_the_answer(tmp_path: Path, name: str) -> None:
    """Another archive object deletes one of two runs before the k-th statement of a call that takes a query."""
    with Archive(tmp_path / "lab.db") as writer, Archive(tmp_path / "lab.db") as reader:
        with writer.start_run() as run:
            run.log({"loss": 0.5})
        for number in count(0, 2):
            with writer.start_run() as other:
                other.log({"loss": 0.4})
            left = [number]

            def change(_statement: str, left: list[int] = left, other: Run = other) -> None:
                left[0] -= 1
                if left[0] == -1:
                    writer.delete_run(other)

            trace(reader._connection, change)
            found = OF_A_QUERY[name](reader)
            trace(reader._connection, None)
            if left[0] >= 0:
                assert number > 2
                assert found == 2
                return
            assert found in (1, 2)


def test_calls_read_together_see_no_change_between_them(tmp_path: Path) -> None:
    with Archive(tmp_path / "lab.db") as archive, Archive(tmp_path / "lab.db") as writer:
        run = writer.start_run()

        def read() -> list[object]:
            found: list[object] = []
            for value in (1.0, 2.0):
                found.append((archive.list_runs()[0].metrics, archive.runs().tagged("late").count()))
                run.log({"loss": value})
                run.flush()
                run.add_tag("late")
            return found

        assert archive.read_together(read) == [({}, 0), ({}, 0)]
        assert archive.read_together(lambda: archive.read_together(archive.list_runs))[0].metrics == {
            "loss": 2.0
        }
        run.complete()


def test_what_a_function_raises_passes_and_the_archive_goes_on(tmp_path: Path) -> None:
    with Archive(tmp_path / "lab.db") as archive:
        archive.start_run().complete()
        with pytest.raises(ZeroDivisionError):
            archive.read_together(lambda: archive.runs().count() / 0)
        with pytest.raises(InvalidTypeError, match="read must be a function, not None"):
            archive.read_together(None)  # type: ignore[arg-type]
        with pytest.raises(InvalidTypeError, match="read must be a function, not int"):
            archive.read_together(1)  # type: ignore[arg-type]
        archive.start_run().complete()
        assert archive.read_together(archive.runs().count) == 2
