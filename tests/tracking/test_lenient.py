"""on_error="warn": a call of the training loop that fails is left out, the archive says so. Ctrl-C passes."""

from __future__ import annotations

import inspect
import logging
import pickle
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import exptrack
from exptrack import Archive, ArchiveLockedError, InvalidTypeError, InvalidValueError, Run, RunFinishedError
from exptrack.artifacts.store import ArtifactStore
from exptrack.tracking import lenient
from exptrack.tracking.lenient import LenientArtifacts, LenientRun


def left_out(run: Run) -> list[dict[str, Any]]:
    return [dict(event.data) for event in run.read_events() if event.kind == "left_out"]


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


# A call of each method with what it refuses, and what it returns instead of its result.
CALLS: dict[str, tuple[tuple[Any, ...], Any]] = {
    "log_metric": (("loss", "x"), None),
    "log": (({"loss": "x"},), None),
    "log_many": (("loss", None, ["x"]), None),
    "log_rows": ([[("loss", "x")]], False),
    "log_mixed": ((5,), {}),
    "log_image": (("image", 5), ""),
    "log_text": (("text", 5), ""),
    "log_table": (("table", 5), ""),
    "log_histogram": (("histogram", "x"), ""),
    "add_tag": ((5,), None),
    "remove_tag": ((5,), None),
    "add_note": ((5,), None),
    "edit_note": ((5, "x"), None),
    "remove_note": ((5,), None),
    "append_event": ((5,), None),
    "set_attribute": (("a", object()), None),
    "set_attributes": ((5,), None),
    "delete_attribute": ((5,), None),
    "rename": ((5,), None),
    "set_group": ((5,), None),
    "update_config": ((5,), None),
    "flush": (("too many",), None),
}
ARTIFACT_CALLS: dict[str, tuple[tuple[Any, ...], Any]] = {
    "register_data": (("a", 5), ""),
    "register_file": (("a", "nowhere"), ""),
    "register_checkpoint": (("a", "nowhere", 1), ""),
    "register_dir": (("a", "nowhere"), ""),
    "set_alias": (("none", "best"), None),
    "remove_alias": ((5, "best"), None),
    "describe": (("none", "x"), None),
}
# What no training loop calls, what ends the run, and what reads.
NOT_LENIENT = {"use_artifact", "finish", "complete", "fail", "interrupt", "activate", "beat"}
READS = {"get_metric", "get_last_metric", "series", "read_events"}


def test_every_public_call_of_a_run_is_lenient_or_said_not_to_be() -> None:
    methods = {name for name, _ in inspect.getmembers(Run, inspect.isfunction) if not name.startswith("_")}
    assert methods == CALLS.keys() | NOT_LENIENT | READS
    own = {name for name in vars(LenientArtifacts) if not name.startswith("_")}
    assert own == ARTIFACT_CALLS.keys()
    writes = {
        name
        for name, _ in inspect.getmembers(ArtifactStore, inspect.isfunction)
        if name.startswith("register_")
    }
    assert writes <= own


def test_a_call_that_fails_warns_once_and_leaves_an_event(
    archive: Archive, caplog: pytest.LogCaptureFixture
) -> None:
    for holder, calls in (("run", CALLS), ("artifacts", ARTIFACT_CALLS)):
        for name, (arguments, nothing) in calls.items():
            with archive.start_run() as plain, pytest.raises((exptrack.ExptrackError, TypeError)):
                getattr(plain if holder == "run" else plain.artifacts, name)(*arguments)
            caplog.clear()
            with archive.start_run(on_error="warn") as run:
                run.log({"fine": 1.0})
                for _ in range(3):
                    assert getattr(run if holder == "run" else run.artifacts, name)(*arguments) == nothing, name
                run.log({"fine": 2.0})
            first, last = left_out(run)
            assert (first["call"], last) == (name, {"calls": 3})
            assert first["at"].startswith("test_lenient.py:")
            (message,) = warnings_of(caplog)
            assert name in message
            assert run.run_id in message
            assert first["at"] in message
            assert [point.value for point in run.get_metric("fine")] == [1.0, 2.0]
            assert run.status == "completed"
    assert archive.verify().problems == ()


def test_each_kind_and_place_is_told_once(archive: Archive, caplog: pytest.LogCaptureFixture) -> None:
    with archive.start_run(on_error="warn") as run:
        for step in range(4):
            run.log({"loss": "x"}, step)
            run.log({"loss": 10**400}, step)
            run.log({"loss": "x"}, step)
            run.log({"loss": step % 2 and "x"}, step)
    told = left_out(run)
    kinds = ["InvalidTypeError", "InvalidValueError", "InvalidTypeError", "InvalidTypeError", None]
    assert [one.get("error") for one in told] == kinds
    assert told[-1] == {"calls": 14}
    assert len({one.get("at") for one in told[:-1]}) == 4
    assert len(warnings_of(caplog)) == 4
    assert len(run.get_metric("loss")) == 2


def test_a_call_within_a_lenient_call_raises_into_it(
    archive: Archive, caplog: pytest.LogCaptureFixture
) -> None:
    with archive.start_run(on_error="warn") as run:
        left = run.log_mixed({"loss": 1.0, "odd": object()})
        run.log({"loss": "x"})
    assert list(left) == ["odd"]
    assert [one.get("call") for one in left_out(run)] == ["log", None]
    assert [point.value for point in run.get_metric("loss")] == [1.0]


def test_ctrl_c_and_exits_pass(archive: Archive) -> None:
    class Stops:
        def __init__(self, error: BaseException) -> None:
            self._error = error

        def __float__(self) -> float:
            raise self._error

    for error, status in ((KeyboardInterrupt(), "interrupted"), (SystemExit(3), "failed")):
        with pytest.raises(type(error)), archive.start_run(on_error="warn") as run:
            run.log({"loss": Stops(error)})
        assert run.status == status
        assert left_out(run) == []
    with archive.start_run(on_error="warn") as run:
        run.log({"loss": Stops(ValueError("odd"))})
    assert left_out(run)[0]["call"] == "log"


def test_start_and_end_and_reading_raise(archive: Archive) -> None:
    with pytest.raises(exptrack.ConfigError):
        archive.start_run({"a": object()}, on_error="warn")
    run = archive.start_run(on_error="warn")
    with pytest.raises(InvalidTypeError):
        run.get_metric(5)  # type: ignore[arg-type]
    with pytest.raises(InvalidValueError):
        run.finish("well")
    run.complete()
    with pytest.raises(RunFinishedError):
        run.complete()
    run.log({"late": 1.0})
    assert [one["error"] for one in left_out(run)] == ["RunFinishedError"]
    assert archive.verify().problems == ()


@pytest.mark.parametrize("wrong", ["ignore", "", 1, True])
def test_what_becomes_of_errors_is_one_of_two(
    archive: Archive, wrong: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InvalidValueError, match="on_error must be one of raise, warn"):
        archive.start_run(on_error=wrong)
    monkeypatch.setenv("EXPTRACK_ON_ERROR", "ignore")
    with pytest.raises(InvalidValueError, match="EXPTRACK_ON_ERROR must be one of raise, warn"):
        archive.start_run()
    assert archive.list_runs() == []


def test_the_environment_decides_where_the_call_does_not(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, argument, is_lenient in (
        ("warn", None, True),
        ("warn", "raise", False),
        ("raise", "warn", True),
        ("raise", None, False),
        ("", None, False),
    ):
        monkeypatch.setenv("EXPTRACK_ON_ERROR", variable)
        run = archive.start_run(on_error=argument)
        assert isinstance(run, LenientRun) == is_lenient
        run.complete()
        again = archive.resume_run(run, on_error=argument)
        assert isinstance(again, LenientRun) == is_lenient
        again.log({"loss": 1.0})
        again.complete()
    monkeypatch.setenv("EXPTRACK_ON_ERROR", "warn")
    with exptrack.start_run() as run:
        run.log({"loss": "x"})
    leased = archive.start_run(owner="lease", lease_s=60.0)
    leased.log({"loss": "x"})
    leased.beat()
    leased.complete()
    assert [len(left_out(one)) for one in (run, leased)] == [2, 2]


def test_what_cannot_be_told_now_is_told_later(
    archive: Archive, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = archive.start_run(on_error="warn")
    run.flush()
    blocker = sqlite3.connect(archive.path, isolation_level=None, timeout=0)
    blocker.execute("BEGIN IMMEDIATE")
    monkeypatch.setattr(archive._connection, "busy_wait_s", 0.2)
    run.add_tag("late")
    run.log({"loss": 1.0})
    monkeypatch.undo()
    assert left_out(run) == []
    blocker.execute("ROLLBACK")
    blocker.close()
    assert sum("add_tag" in message for message in warnings_of(caplog)) == 1
    run.log({"loss": "x"})
    assert [one["error"] for one in left_out(run)] == [ArchiveLockedError.__name__, "InvalidTypeError"]
    run.complete()
    assert [point.value for point in run.get_metric("loss")] == [1.0]
    assert archive.verify().problems == ()


def test_no_secret_and_no_folder_is_told(
    archive: Archive, caplog: pytest.LogCaptureFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DB_PASSWORD", "kanarienvogel-7")
    (tmp_path / "config.sdn").write_text('password: "${env:DB_PASSWORD}"\n')
    with archive.start_run(exptrack.load_exp_config(tmp_path), on_error="warn") as run:
        run.log({"loss": run.config["password"]})
        run.artifacts.register_file("a", Path.home() / "nowhere")
    assert "kanarienvogel" not in repr(left_out(run)) + caplog.text
    assert str(Path.home()) not in repr(left_out(run))


def test_endless_places_are_counted_and_not_told(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lenient, "MAX_TOLD", 3)
    with archive.start_run(on_error="warn") as run:
        for n in range(10):
            exec(compile("\n" * n + "run.log({'loss': 'x'})", "made.py", "exec"), {"run": run})
    assert [one.get("at") for one in left_out(run)] == ["made.py:1", "made.py:2", "made.py:3", None]
    assert left_out(run)[-1] == {"calls": 10}


def test_a_copy_for_another_process_is_lenient_too(archive: Archive) -> None:
    run = archive.start_run(on_error="warn")
    copied = pickle.loads(pickle.dumps(run))
    copied.log({"loss": "x"})
    copied.log({"loss": np.array([0.5])})
    run.complete()
    assert isinstance(copied, LenientRun)
    assert len(left_out(run)) == 1
    assert [point.value for point in run.get_metric("loss")] == [0.5]


def test_a_run_that_raises_loads_none_of_this(tmp_path: Path) -> None:
    code = (
        "import sys, exptrack; exptrack.start_run().complete();"
        "print('exptrack.tracking.lenient' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stdout == "False\n"
