"""Ctrl-C at any place of a call stores nothing twice, loses nothing acknowledged and leaves no lock behind."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from exptrack import Archive, Run
from tests.faults.interrupts import interrupt_at


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    with Archive(tmp_path / "lab.db") as opened:
        yield opened
        assert opened.verify().problems == ()


def require_free(archive: Archive) -> None:
    """Another program can begin to write at once: no transaction and no lock was left."""
    other = sqlite3.connect(archive.path, timeout=5, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    other.execute("ROLLBACK")
    other.close()


def sweep(archive: Archive, call: Callable[[int], object], step: int = 1) -> int:
    """Interrupt `call` at every `step`-th place; return how often.

    The archive is open in this thread before. An interrupt at the very moment of opening leaves a connection to
    the collector, which closes it; newer Pythons warn of that.
    """
    archive._connection.value("SELECT 1")
    for turn in count():
        if not interrupt_at(turn * step, lambda number=turn: call(number)):  # type: ignore[misc]
            return turn
        require_free(archive)
    raise AssertionError


def test_tags_are_there_whole_or_not_at_all(archive: Archive) -> None:
    run = archive.start_run()
    turns = sweep(archive, lambda turn: run.add_tag(f"a{turn}", f"b{turn}"))
    assert turns > 10
    tags = set(run.tags)
    assert {tag[1:] for tag in tags if tag[0] == "a"} == {tag[1:] for tag in tags if tag[0] == "b"}
    tagged = [event.data["tag"] for event in run.read_events() if event.kind == "tag"]
    assert sorted(tagged) == sorted(tags)
    run.complete()


def test_configs_and_attributes_are_there_whole_or_not_at_all(archive: Archive) -> None:
    run = archive.start_run()

    def change(turn: int) -> None:
        run.update_config({f"a{turn}": turn, f"b{turn}": turn})
        run.set_attributes({f"a{turn}": turn, f"b{turn}": turn})
        run.set_group(f"g{turn}")

    turns = sweep(archive, change, step=7)
    assert turns > 10
    detail = archive.show_run(run)
    told = {key for event in detail.events if event.kind == "config" for key in event.data["added"]}
    assert told == set(detail.config)
    for found in (detail.config, detail.attributes):
        assert {key[1:] for key in found if key[0] == "a"} == {key[1:] for key in found if key[0] == "b"}
    assert run.group in {event.data["group"] for event in detail.events if event.kind == "group"}
    run.update_config({"last": 1})
    assert run.config.values == archive.show_run(run).config
    run.complete()


def test_flushed_points_are_stored_once(archive: Archive) -> None:
    run = archive.start_run()
    logged = []

    def log_and_flush(turn: int) -> None:
        run.log_metric("x", float(turn), turn)
        logged.append(turn)
        run.flush()

    assert sweep(archive, log_and_flush) > 20
    run.flush()
    stored = [point.step for point in run.get_metric("x")]
    assert len(stored) == len(set(stored))
    assert set(logged) <= set(stored)
    run.complete()


def test_artifacts_are_there_whole_or_not_at_all(archive: Archive) -> None:
    run = archive.start_run()
    assert sweep(archive, lambda turn: run.artifacts.register_data(f"a{turn}", b"x" * 1000), step=3) > 20
    for artifact in run.artifacts.list_artifacts():
        assert run.artifacts.get_blob(artifact.name) == b"x" * 1000
    run.complete()


def test_a_run_ends_once_or_goes_on(archive: Archive) -> None:
    runs: list[Run] = []

    def begin_and_end(turn: int) -> None:
        run = archive.start_run(name=f"run {turn}")
        runs.append(run)
        run.log_metric("x", 1.0)
        run.complete()

    assert sweep(archive, begin_and_end, step=17) > 10
    for run in runs:
        if run.status == "running":
            run.complete()
        assert [point.value for point in run.get_metric("x")] in ([1.0], [])


def test_readings_leave_no_snapshot_behind(archive: Archive) -> None:
    for number in range(3):
        with archive.start_run({"lr": number}) as run:
            run.log({"x": 1.0})
    first, second, _third = archive.list_runs()

    def read(_turn: int) -> None:
        archive.show_run(first.run_id)
        archive.compare([first.run_id, second.run_id])

    assert sweep(archive, read, step=13) > 10
    archive._connection.checkpoint()
    assert archive.show_run(first.run_id).summary.run_id == first.run_id
