"""A watch misses no change of a run, whichever handle or process makes it."""

from __future__ import annotations

from pathlib import Path

import pytest

from exptrack import Archive, ChangedRuns
from exptrack.query import run_watch

NOTHING = ChangedRuns((), (), ())


def test_a_watch_tells_each_change_once(tmp_path: Path) -> None:
    with Archive(tmp_path / "lab.db") as archive, Archive(tmp_path / "lab.db", mode="ro") as page:
        old = archive.start_run({"lr": 1})
        old.complete()
        watch = page.watch_runs()
        assert watch.read() == NOTHING
        assert not watch.read()
        run = archive.start_run({"lr": 2})
        first, second = reversed(page.runs().index())
        assert watch.read() == ChangedRuns((second,), (), ())
        for change in (
            lambda: run.add_tag("a"),
            lambda: run.add_note("b"),
            lambda: run.set_attribute("rating", 3),
            lambda: run.artifacts.register_data("words", "text"),
            lambda: (run.log({"loss": 0.5}), run.flush()),
            lambda: (run.log({"loss": 0.5}), run.flush()),
            lambda: run.append_event("seen"),
            run.complete,
        ):
            change()
            assert watch.read() == ChangedRuns((), (second,), ())
            assert watch.read() == NOTHING
        old.add_tag("later")
        run.add_tag("both")
        assert watch.read().changed == (first, second)
        archive.trash_run(run)
        assert watch.read() == ChangedRuns((), (), (second,))
        archive.restore_run(run)
        assert watch.read() == ChangedRuns((second,), (), ())
        archive.delete_run(old)
        assert watch.read().removed == (first,)
        assert page.read_rows([first, second], ["config.lr"]) == [None, {"config.lr": 2}]


def test_a_watch_tells_of_a_run_whose_process_has_died(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    with archive.start_run():
        (run,) = archive.runs().index()
        with Archive(archive.path, mode="ro") as page:
            watch = page.watch_runs()
            assert watch.read() == NOTHING
            monkeypatch.setattr(run_watch, "find_dead_runs", lambda connection: [run])
            assert watch.read() == ChangedRuns((), (run,), ())
            assert watch.read() == NOTHING
