"""What may change of a run, also after its end: name, group, notes and attributes."""

from __future__ import annotations

import math
import sqlite3
import threading
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from exptrack import (
    Archive,
    ArchiveCorruptError,
    InvalidTypeError,
    InvalidValueError,
    NotFoundError,
    RecordedRun,
    Run,
    RunNotFoundError,
    RunTrashedError,
)
from exptrack.capture.redaction import know_secrets_of_command
from exptrack.tracking import description


def events_of(run: Run, kind: str) -> list[dict[str, Any]]:
    return [event.data for event in run.read_events() if event.kind == kind]


def test_a_run_is_renamed_and_regrouped_also_after_its_end(archive: Archive) -> None:
    run = archive.start_run({"lr": 0.1}, name="first")
    assert (run.name, run.group) == ("first", None)
    run.rename("second")
    run.rename("second")
    run.complete()
    ended = archive.get_run(run)
    ended.rename("third")
    ended.set_group("sweep")
    ended.set_group("sweep")
    assert (run.name, run.group) == ("third", "sweep")
    assert events_of(run, "rename") == [
        {"name": "second", "before": "first"},
        {"name": "third", "before": "second"},
    ]
    summary = archive.show_run(run).summary
    assert (summary.name, summary.group, summary.status) == ("third", "sweep", "completed")
    assert [one.run_id for one in archive.runs().in_group("sweep").where("name = 'third'")] == [run.run_id]
    ended.set_group(None)
    ended.rename(None)
    assert (run.name, run.group) == (None, None)
    assert events_of(run, "group") == [
        {"group": "sweep", "before": None},
        {"group": None, "before": "sweep"},
    ]
    # The group stays, empty, and both events after the end say so.
    assert archive.sql("SELECT name, runs FROM groups").rows == (("sweep", 0),)
    late = archive.sql("SELECT count(*) FROM events WHERE late = 1 AND kind IN ('rename', 'group')").rows
    assert late == ((4,),)


def test_name_and_group_are_not_assigned(archive: Archive) -> None:
    with archive.start_run(name="kept") as run:
        with pytest.raises(AttributeError, match=r"call run\.rename\(name\)"):
            run.name = "other"
        with pytest.raises(AttributeError, match=r"call run\.set_group\(name\)"):
            run.group = "other"
        for call in (run.rename, run.set_group):
            for bad in ("", "a\nb", 5):
                with pytest.raises(InvalidValueError):
                    call(bad)  # type: ignore[arg-type]
        assert (run.name, run.group) == ("kept", None)


VALUES: dict[str, Any] = {
    "text": "adam",
    "looks like a number": "1e-4",
    "int": 3,
    "large": 2**53 + 1,
    "largest": 2**63 - 1,
    "float": 0.1,
    "whole": 3.0,
    "negative zero": -0.0,
    "tiny": 5e-324,
    "nan": math.nan,
    "inf": math.inf,
    "less": -math.inf,
    "true": True,
    "none": None,
    "list": [1, 2.0, "x", None, {"a": []}],
    "map": {"a": {}, "b": 1},
    "mlflow.source.name": "train.py",
}


def test_attributes_come_back_as_they_were_set(archive: Archive) -> None:
    with archive.start_run() as run:
        run.set_attributes(VALUES)
        assert repr(run.attributes) == repr(dict(sorted(VALUES.items())))
    assert repr(archive.show_run(run).attributes) == repr(dict(sorted(VALUES.items())))
    assert repr(archive.get_run(run).attributes["negative zero"]) == "-0.0"
    shown = dict(archive.sql("SELECT key, value FROM attributes").rows)
    assert shown["large"] == "9007199254740993"
    assert (shown["nan"], shown["true"], shown["none"], shown["list"]) == (
        "nan",
        "true",
        "null",
        '[1,2.0,"x",null,{"a":[]}]',
    )
    assert [event.kind for event in archive.read_events(run)] == ["start", "end"]


def test_attributes_of_numpy_are_what_they_hold(archive: Archive) -> None:
    import numpy

    with archive.start_run() as run:
        run.set_attribute("a", numpy.float32(0.5))
        run.set_attribute("b", numpy.int64(7))
        run.set_attribute("c", numpy.float32("nan"))
        run.set_attribute("d", numpy.array(-numpy.inf))
        run.set_attribute("e", numpy.bool_(True))
        assert repr(run.attributes) == "{'a': 0.5, 'b': 7, 'c': nan, 'd': -inf, 'e': True}"


def test_attributes_change_and_go_also_after_the_end(archive: Archive) -> None:
    with archive.start_run() as run:
        run.set_attribute("best", 0.5)
        run.set_attribute("best", "none")
    ended = archive.get_run(run)
    ended.set_attribute("reviewed", True)
    ended.set_attributes({})
    assert ended.attributes == {"best": "none", "reviewed": True}
    ended.delete_attribute("best")
    ended.delete_attribute("unknown")
    assert ended.attributes == {"reviewed": True}
    # A copy of the file learns of the deletion by the row that stays, of which views show nothing.
    connection = archive._connection
    kept = connection.all("SELECT key, type, num, text FROM run_attribute ORDER BY key")
    assert [tuple(row) for row in kept] == [("best", "removed", None, None), ("reviewed", "bool", None, "true")]
    assert archive.sql("SELECT key FROM attributes").rows == (("reviewed",),)
    ended.set_attribute("best", 1)
    assert ended.attributes == {"best": 1, "reviewed": True}


def test_an_attribute_is_never_older_than_the_value_that_it_replaces(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = iter(["2026-05-01 10:00:00.000000", "2026-05-01 09:00:00.000000", "2026-05-01 08:00:00.000000"])
    monkeypatch.setattr(description, "utc_text", lambda: next(times))
    with archive.start_run() as run:
        run.set_attributes({"score": 1})
        run.set_attributes({"score": 2})
    set_at = archive.sql("SELECT set_at FROM attributes").rows[0][0]
    assert set_at == "2026-05-01 10:00:00.000001"
    archive.get_run(run).delete_attribute("score")
    with closing(sqlite3.connect(archive.path)) as raw:
        row = raw.execute("SELECT type, set_at FROM run_attribute").fetchone()
    assert row == ("removed", "2026-05-01 10:00:00.000002")


def test_the_damaged_time_of_what_came_before_is_told(tmp_path: Path) -> None:
    with Archive(tmp_path / "damaged.db") as archive:
        with archive.start_run() as run:
            run.set_attributes({"score": 1})
        with closing(sqlite3.connect(archive.path)) as raw, raw:
            raw.execute("UPDATE event SET happened_at = 'soon'")
            raw.execute("UPDATE run_attribute SET set_at = 'soon'")
        for change in (lambda: run.add_tag("late"), lambda: run.set_attributes({"score": 2})):
            with pytest.raises(ArchiveCorruptError, match="soon"):
                change()


def test_what_is_wrong_of_attributes_is_refused_and_nothing_stored(archive: Archive) -> None:
    with archive.start_run() as run:
        for key, value in (
            ("", 1),
            ("a\x00b", 1),
            (5, 1),
            ("k", 2**63),
            ("k", object()),
            ("k", [math.nan]),
            ("k", {(1, 2): 2}),
            ("k", "\ud800"),
            ("k", b"bytes"),
        ):
            with pytest.raises(InvalidValueError):
                run.set_attribute(key, value)  # type: ignore[arg-type]
            with pytest.raises(InvalidValueError):
                run.set_attributes({"fine": 1, key: value})  # type: ignore[dict-item]
        with pytest.raises(InvalidTypeError):
            run.set_attributes([("k", 1)])  # type: ignore[arg-type]
        with pytest.raises(InvalidValueError):
            run.delete_attribute("")
        assert run.attributes == {}


def test_secrets_in_attributes_are_hidden(archive: Archive) -> None:
    know_secrets_of_command(["--password=hunter2-Zk3mQ9"])
    with archive.start_run() as run:
        run.set_attributes(
            {"url": "https://me:hunter2-Zk3mQ9@x", "deep": ["hunter2-Zk3mQ9"], "hunter2-Zk3mQ9": 1}
        )
        assert "hunter2" not in repr(run.attributes)
        run.delete_attribute("hunter2-Zk3mQ9")
        assert list(run.attributes) == ["deep", "url"]
        run.rename("hunter2-Zk3mQ9")
        assert "hunter2" not in str(run.name)


def test_threads_set_attributes_at_once(archive: Archive) -> None:
    with archive.start_run() as run:
        threads = [threading.Thread(target=run.set_attribute, args=(f"k{n:02}", n)) for n in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert run.attributes == {f"k{n:02}": n for n in range(16)}


def test_a_deleted_run_takes_none_of_it(archive: Archive) -> None:
    run = archive.start_run()
    run.complete()
    archive.delete_run(run)
    for call in (
        lambda: run.rename("x"),
        lambda: run.set_group("x"),
        lambda: run.set_attribute("x", 1),
        lambda: run.delete_attribute("x"),
        lambda: run.name,
        lambda: run.group,
    ):
        with pytest.raises(RunNotFoundError):
            call()
    assert archive.sql("SELECT * FROM groups").rows == ()


# Notes that change


def test_a_note_is_replaced_and_removed_also_after_the_end(archive: Archive) -> None:
    run = archive.start_run()
    for text in ("one", "two", "three"):
        run.add_note(text)
    run.remove_note(run.notes[1])
    assert [note.text for note in run.notes] == ["one", "three"]
    run.complete()
    first = run.notes[0]
    run.edit_note(first, "one, mended")
    assert [note.text for note in run.notes] == ["three", "one, mended"]
    assert run.notes[1].written_at > first.written_at
    run.edit_note(run.notes[1], "one")
    assert [note.text for note in archive.show_run(run).notes] == ["three", "one"]
    told = [event.data for event in run.read_events() if event.kind == "note"]
    assert [sorted(one) for one in told[3:]] == [
        ["removed"],
        ["characters", "replaces"],
        ["characters", "replaces"],
    ]
    assert not any("two" in str(one) for one in told)
    assert archive.runs().where("note = 'two'").count() == 0


def test_a_note_that_is_gone_cannot_be_changed(archive: Archive) -> None:
    with archive.start_run() as run:
        run.add_note("one")
        (note,) = run.notes
        run.remove_note(note)
        for change in (lambda: run.remove_note(note), lambda: run.edit_note(note, "two")):
            with pytest.raises(NotFoundError, match="read its notes again"):
                change()
        for wrong in ("one", 0, None):
            with pytest.raises(InvalidTypeError, match=r"run\.notes"):
                run.remove_note(wrong)  # type: ignore[arg-type]
        run.add_note("one")
        with pytest.raises(InvalidValueError, match="empty"):
            run.edit_note(run.notes[0], " ")
        assert [one.text for one in run.notes] == ["one"]
    archive.trash_run(run)
    with pytest.raises(RunTrashedError):
        run.remove_note(run.notes[0])


def test_a_note_that_was_recorded_twice_is_removed_at_once(archive: Archive) -> None:
    recorded = RecordedRun({}, datetime(2024, 1, 1, tzinfo=UTC), notes=["twice", "once", "twice"])
    run = archive.get_run(archive.record_runs([recorded])[0])
    run.remove_note(run.notes[0])
    assert [note.text for note in run.notes] == ["once"]


def test_no_merge_brings_a_note_back(archive: Archive, tmp_path: Path) -> None:
    with archive.start_run() as run:
        run.add_note("wrong")
        run.add_note("right")
    archive.extract(tmp_path / "copy.db", [run])
    with Archive(tmp_path / "copy.db") as copy:
        copy.get_run(run.run_id).add_note("of the copy")
    run.edit_note(run.notes[0], "mended")
    archive.merge(tmp_path / "copy.db")
    with Archive(tmp_path / "copy.db") as copy:
        copy.merge(archive.path)
        assert copy.digest() == archive.digest()
        assert copy.verify().problems == ()
        texts = [note.text for note in copy.get_run(run.run_id).notes]
    assert sorted(texts) == ["mended", "of the copy", "right"]
    assert [note.text for note in run.notes] == texts
