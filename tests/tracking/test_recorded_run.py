"""Runs of other trackers: names that hold across archives, what happened when, artifacts, and imports again."""

from __future__ import annotations

import hashlib
import io
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from exptrack import (
    Archive,
    ConflictError,
    ExternalIdError,
    InvalidTypeError,
    InvalidValueError,
    RecordedArtifact,
    RecordedRun,
    RunNotFoundError,
)
from exptrack.artifacts.registration import Registration
from exptrack.artifacts.store import register_content
from exptrack.capture.redaction import know_secrets_of_command
from exptrack.records import FOLDER_TYPE
from exptrack.runs.identity import derive_run_id
from exptrack.tracking import recording

BEGIN = datetime(2024, 5, 1, 12, 30, 15, 123456, tzinfo=UTC)
END = BEGIN + timedelta(seconds=100)


def after(seconds: float) -> datetime:
    return BEGIN + timedelta(seconds=seconds)


def record(archive: Archive, *records: RecordedRun, **options: Any) -> list[str]:
    return archive.record_runs(records, **options)


def full(tmp_path: Path) -> RecordedRun:
    """A run that says everything."""
    (tmp_path / "weights.json").write_text('{"w": 1}')
    return RecordedRun(
        {"lr": 0.1},
        BEGIN,
        100,
        "failed",
        "broke",
        tags=["plain", ("timed", after(30)), ("afterwards", after(500)), ("plain", after(40))],
        notes=["at the end", ("early", after(10).timestamp())],
        metrics={"loss": ([0, 1], [0.9, 0.4], [after(20), after(60)])},
        external_id="mlflow:0123",
        events=[("epoch", {"n": 1}, after(20)), ("import", {"left": ["traces"]}), ("resume", None, after(50))],
        attributes={"best": 0.4, "user": "ada", "nan": float("nan")},
        artifacts=[
            RecordedArtifact("notes", "two words", step=3, time=after(25), description="of a person"),
            RecordedArtifact("model", b"\x00" * 5000, kind="model", aliases=["best"], metadata={"layers": 2}),
            RecordedArtifact("model", path=tmp_path / "weights.json", time=after(70)),
            RecordedArtifact("late", iter([b"a", b"b"]), time=after(600), media_type="text/csv"),
        ],
        host="node",
        python="CPython 3.8",
        platform="Linux-5-x86_64",
        command=["train.py", "--lr", "0.1", "--password", "hunter2hunter2"],
        variables={"RANK": "0", "HF_TOKEN": "hf_abcdefghijklmnop"},
        system={"os": "Linux", "cpu_count": 8},
        script="train.py",
        commit="a" * 40,
        remote="https://user:pass@example.org/repo.git",
        code_digest="ab" * 32,
    )


def test_everything_that_a_record_says_is_stored_with_its_times(archive: Archive, tmp_path: Path) -> None:
    (run_id,) = record(archive, full(tmp_path))
    detail = archive.show_run(run_id)
    happened = [(event.kind, (event.happened_at - BEGIN).total_seconds()) for event in detail.events]
    assert happened == [
        ("start", 0),
        ("note", 10),
        ("epoch", 20),
        ("artifact", 25),
        ("tag", 30),
        ("resume", 50),
        ("artifact", 70),
        ("note", 100),
        ("import", 100),
        ("artifact", 100),
        ("alias", 100),
        ("fail", 100),
        ("end", 100),
        ("tag", 500),
        ("artifact", 600),
    ]
    assert [row[0] for row in archive.sql("SELECT late FROM event ORDER BY seq").rows] == [0] * 13 + [1] * 2
    assert [event.data for event in detail.events if event.kind in ("epoch", "import")] == [
        {"n": 1},
        {"left": ["traces"]},
    ]
    assert set(detail.summary.tags) == {"plain", "timed", "afterwards"}
    added = archive.sql("SELECT added_at FROM tags WHERE tag = 'plain'").rows
    assert added == ((BEGIN.strftime("%Y-%m-%d %H:%M:%S.%f"),),)
    assert [(note.text, note.written_at) for note in detail.notes] == [
        ("early", after(10)),
        ("at the end", END),
    ]
    attributes = archive.get_run(run_id).attributes
    assert (attributes["best"], attributes["user"], str(attributes["nan"])) == (0.4, "ada", "nan")
    found = {key: value for key, value in detail.environment.items() if value}
    assert found["platform"] == "Linux-5-x86_64"
    assert found["system"] == {"os": "Linux", "cpu_count": 8}
    assert found["variables"]["RANK"] == "0"
    assert found["code_digest"] == "ab" * 32
    assert "example.org/repo.git" in found["vcs_remote"]
    everything = repr(detail)
    assert not [word for word in ("hunter2", "hf_abc", "user:pass") if word in everything]


def test_artifacts_are_stored_as_if_they_had_been_registered(archive: Archive, tmp_path: Path) -> None:
    (run_id,) = record(archive, full(tmp_path))
    store = archive.artifacts(run_id)
    listed = [(a.name, a.version, a.kind, a.is_text, a.media_type, a.step) for a in store.list_artifacts()]
    assert listed == [
        ("late", 1, "data", False, "text/csv", None),
        ("model", 1, "file", False, "application/json", None),
        ("model", 2, "model", False, None, None),
        ("notes", 1, "data", True, None, 3),
    ]
    assert [store.get_blob(name) for name in ("late", "model:v1", "notes")] == [
        b"ab",
        b'{"w": 1}',
        "two words",
    ]
    best = store.get_artifact("model:best")
    assert best is not None
    assert (best.version, best.created_at, best.metadata) == (2, END, {"layers": 2})
    assert archive.find_artifact("model:best") == best
    with archive.start_run() as user:
        assert user.use_artifact("model:best").read() == b"\x00" * 5000


def test_a_folder_is_stored_as_register_dir_stores_it(archive: Archive, tmp_path: Path) -> None:
    (tmp_path / "tree" / "empty").mkdir(parents=True)
    (tmp_path / "tree" / "a.bin").write_bytes(b"a" * 5000)
    (tmp_path / "tree" / "b.txt").write_text("b")
    kept = RecordedArtifact("tree", path=tmp_path / "tree", aliases=["raw"], time=after(1))
    (run_id,) = record(archive, RecordedRun({}, BEGIN, artifacts=[kept]))
    with archive.start_run() as run:
        same = run.artifacts.register_dir("tree", tmp_path / "tree")
    store = archive.artifacts(run_id)
    found = store.get_artifact("tree:raw")
    assert found is not None
    assert (found.hash, found.kind, found.is_folder, found.created_at) == (same, "folder", True, after(1))
    assert store.list_files("tree") == run.artifacts.list_files("tree")
    assert (store.export("tree", tmp_path / "again") / "a.bin").read_bytes() == b"a" * 5000


def test_an_external_id_makes_the_same_run_id_in_every_archive(tmp_path: Path) -> None:
    found = set()
    for name in ("a.db", "b.db"):
        with Archive(tmp_path / name) as archive:
            found.update(record(archive, RecordedRun({}, BEGIN, external_id="wandb:lab/1")))
    (run_id,) = found
    digits = "0123456789abcdefghjkmnpqrstvwxyz"
    start = int(BEGIN.timestamp() * 1000)
    bits = int.from_bytes(hashlib.sha256(b"wandb:lab/1").digest(), "big") >> (256 - 35)
    expected = [digits[start >> 5 * n & 31] for n in range(8, -1, -1)]
    expected += [digits[bits >> 5 * n & 31] for n in range(6, -1, -1)]
    assert run_id == "".join(expected)
    assert derive_run_id(start, "wandb:lab/2") != run_id


def test_a_run_that_is_there_is_refused_or_passed_over(archive: Archive) -> None:
    first = RecordedRun({"n": 1}, BEGIN, external_id="x:1", artifacts=[RecordedArtifact("a", b"1" * 9000)])
    (run_id,) = record(archive, first)
    before = archive.sql("SELECT count(*) FROM event").rows
    again = RecordedRun({"n": 2}, BEGIN, external_id="x:1", artifacts=[RecordedArtifact("a", b"2" * 9000)])
    with pytest.raises(ExternalIdError) as caught:
        record(archive, RecordedRun({}, BEGIN), again)
    assert (caught.value.run_id, caught.value.external_id) == (run_id, "x:1")
    assert caught.value.__notes__ == ["in record 1 (from 0); only the first 0 are stored"]
    assert record(archive, again, known="skip") == [run_id]
    assert archive.sql("SELECT count(*) FROM event").rows == before
    assert archive._connection.value("SELECT count(*) FROM blob") == 1
    new = RecordedRun({}, BEGIN, external_id="x:2")
    assert record(archive, new, again, new, known="skip") == [
        derive_run_id(int(BEGIN.timestamp() * 1000), "x:2"),
        run_id,
        derive_run_id(int(BEGIN.timestamp() * 1000), "x:2"),
    ]
    assert archive.runs().count() == 2
    with pytest.raises(InvalidValueError, match="two records"):
        record(archive, *[RecordedRun({}, BEGIN, external_id="x:3")] * 2)
    with pytest.raises(InvalidValueError, match="known"):
        record(archive, known="replace")
    assert archive.runs().count() == 2


def test_a_run_that_another_process_stores_meanwhile_is_refused_or_passed_over(archive: Archive) -> None:
    def racing(external_id: str) -> Iterator[RecordedRun]:
        yield RecordedRun({"n": 1}, BEGIN, external_id=external_id)
        with Archive(archive.path) as other:
            record(other, RecordedRun({"n": 2}, BEGIN, external_id=external_id))

    with pytest.raises(ExternalIdError):
        archive.record_runs(racing("x:1"))
    (run_id,) = archive.record_runs(racing("x:2"), known="skip")
    assert archive.show_run(run_id).config == {"n": 2}


def test_what_other_processes_do_between_a_record_and_its_batch(archive: Archive) -> None:
    def started_meanwhile() -> Iterator[RecordedRun]:
        yield RecordedRun({}, BEGIN, external_id="x:1")
        yield RecordedRun({}, BEGIN, external_id="x:2", parent="x:1")
        archive.start_run(external_id="x:1").complete()

    parent, child = archive.record_runs(started_meanwhile(), known="skip")
    assert archive.show_run(child).summary.parent == parent == archive.find_run(external_id="x:1").run_id

    def deleted_meanwhile() -> Iterator[RecordedRun]:
        yield RecordedRun({}, BEGIN, external_id="x:1", artifacts=[RecordedArtifact("model", b"x")])
        archive.delete_run(parent)

    with pytest.raises(ConflictError, match="deleted"):
        archive.record_runs(deleted_meanwhile(), known="skip")
    (again,) = archive.record_runs(
        [RecordedRun({}, BEGIN, external_id="x:1", artifacts=[RecordedArtifact("model", b"x")])], known="skip"
    )
    assert archive.get_run(again).artifacts.get_blob("model") == b"x"


def test_names_that_are_one_without_their_secrets_are_refused(archive: Archive) -> None:
    know_secrets_of_command(["--password=hunter2-Zk3mQ9", "--password=hunter2-Vb8wX4"])
    both = ("hunter2-Zk3mQ9", "hunter2-Vb8wX4")
    for part in ({"metrics": dict.fromkeys(both, ([0], [0.5]))}, {"attributes": dict.fromkeys(both, 1)}):
        with pytest.raises(InvalidValueError, match="rename one"):
            archive.record_runs([RecordedRun({}, BEGIN, **part)])  # type: ignore[arg-type]
    with archive.start_run() as run:
        assert list(run.log_mixed(dict.fromkeys(both, 0.5))) == [both[1]]
    # Keys within one config or one event are told apart.
    shown = {"--password=***": 1, "--password=*** (2)": 2, "other": 3}
    values = {both[0]: 1, both[1]: 2, "other": 3}
    with archive.start_run({"plain": values}) as run:
        run.update_config(values)
        run.append_event("check", values)
    assert archive.get_run(run.run_id).config.values == {"plain": shown, **shown}
    assert [event.data for event in run.read_events() if event.kind == "check"] == [shown]
    assert archive.verify().ok


def test_an_id_that_another_run_has_is_told(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "derive_run_id", lambda _ms, _name: "0123456789abcdef")
    record(archive, RecordedRun({}, BEGIN, external_id="x:1"))
    with pytest.raises(ConflictError, match="0123456789abcdef"):
        record(archive, RecordedRun({}, BEGIN, external_id="x:2"))


def test_a_parent_may_be_named_by_its_external_id(archive: Archive) -> None:
    (top,) = record(archive, RecordedRun({}, BEGIN, external_id="x:top"))
    ids = record(
        archive,
        RecordedRun({}, BEGIN, external_id="x:middle", parent="x:top"),
        RecordedRun({}, BEGIN, parent="x:middle"),
        RecordedRun({}, BEGIN, parent=top[:12]),
    )
    assert [archive.show_run(run_id).summary.parent for run_id in ids] == [top, ids[0], top]
    with pytest.raises(RunNotFoundError):
        record(archive, RecordedRun({}, BEGIN, parent="x:other"))


def test_the_bytes_of_a_batch_that_fails_are_deleted(archive: Archive) -> None:
    big = [bytes([n]) * 3_000_000 for n in range(3)]

    def records() -> Iterator[RecordedRun]:
        for content in big:
            yield RecordedRun({}, BEGIN, artifacts=[RecordedArtifact("big", io.BytesIO(content))])
        yield RecordedRun({}, BEGIN, duration_s=-1)

    with pytest.raises(InvalidValueError):
        archive.record_runs(records())
    for table in ("run", "artifact", "blob", "chunk", "blob_writer"):
        assert archive._connection.value(f"SELECT count(*) FROM {table}") == 0, table


def test_artifacts_end_a_batch_by_their_bytes(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "BYTES_AT_ONCE", 5_000)
    stored = []

    def records() -> Iterator[RecordedRun]:
        for n in range(4):
            stored.append(archive.runs().count())
            yield RecordedRun({}, BEGIN, artifacts=[RecordedArtifact("a", bytes([n]) * 3_000)])

    ids = archive.record_runs(records())
    assert stored == [0, 0, 2, 2]
    assert [archive.artifacts(run_id).get_blob("a") for run_id in ids] == [bytes([n]) * 3_000 for n in range(4)]


WRONG: dict[str, tuple[dict[str, Any], type[Exception]]] = {
    "external id": ({"external_id": ""}, InvalidValueError),
    "event": ({"events": [("x",)]}, InvalidTypeError),
    "event kind": ({"events": [("", {})]}, InvalidValueError),
    "event data": ({"events": [("x", {"n": float("nan")})]}, InvalidValueError),
    "event time": ({"events": [("x", {}, "noon")]}, InvalidTypeError),
    "tag": ({"tags": [5]}, InvalidTypeError),
    "tag alone": ({"tags": [("x",)]}, InvalidTypeError),
    "tag time": ({"tags": [("x", "noon")]}, InvalidTypeError),
    "note": ({"notes": [(" ", BEGIN)]}, InvalidValueError),
    "attribute": ({"attributes": {"x": object()}}, InvalidValueError),
    "command": ({"command": "train.py"}, InvalidTypeError),
    "variables": ({"variables": {"X": 1}}, InvalidTypeError),
    "system": ({"system": {"x": object()}}, InvalidValueError),
    "remote": ({"remote": ""}, InvalidValueError),
    "digest": ({"code_digest": 5}, InvalidTypeError),
    "artifacts": ({"artifacts": ["x"]}, InvalidTypeError),
    "no content": ({"artifacts": [RecordedArtifact("a")]}, InvalidValueError),
    "both": ({"artifacts": [RecordedArtifact("a", b"x", path="y")]}, InvalidValueError),
    "no file": ({"artifacts": [RecordedArtifact("a", path="nowhere/x")]}, InvalidValueError),
    "content": ({"artifacts": [RecordedArtifact("a", 5)]}, InvalidTypeError),
    "surrogate": ({"artifacts": [RecordedArtifact("a", "\ud800")]}, InvalidValueError),
    "folder of bytes": (
        {"artifacts": [RecordedArtifact("a", b"x", media_type=FOLDER_TYPE)]},
        InvalidValueError,
    ),
    "alias": ({"artifacts": [RecordedArtifact("a", b"x", aliases=["latest"])]}, InvalidValueError),
    "artifact time": ({"artifacts": [RecordedArtifact("a", b"x", time="noon")]}, InvalidTypeError),  # type: ignore[arg-type]
}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    with Archive(tmp_path_factory.mktemp("wrong") / "lab.db") as opened:
        yield opened
        assert opened.verify().ok


@pytest.mark.parametrize("case", WRONG)
def test_a_record_that_is_wrong_stores_nothing(shared: Archive, case: str) -> None:
    words, error = WRONG[case]
    with pytest.raises(error) as caught:
        record(shared, RecordedRun({}, BEGIN, tags=["new"]), RecordedRun({}, BEGIN, **words))
    assert caught.value.__notes__ == ["in record 1 (from 0); only the first 0 are stored"]
    assert shared.runs().count() == 0
    assert shared._connection.value("SELECT count(*) FROM blob") == 0


KILLED = """
import os, signal, sys
from datetime import datetime
from exptrack import Archive, RecordedArtifact, RecordedRun
from exptrack.tracking import recording

recording.RUNS_AT_ONCE = 2

def records():
    for n in range(6):
        artifact = RecordedArtifact("a", bytes([n]) * 3_000_000)
        yield RecordedRun({"n": n}, datetime(2024, 1, 1), artifacts=[artifact])
        if n == 4:
            print(flush=True)
            os.kill(os.getpid(), signal.SIGKILL)

Archive(sys.argv[1]).record_runs(records())
"""


def test_a_kill_leaves_whole_runs_with_their_artifacts(tmp_path: Path) -> None:
    path = tmp_path / "lab.db"
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)])
    assert done.returncode == -signal.SIGKILL
    with Archive(path) as archive:
        assert archive.runs().count() == 4
        for run in archive.list_runs():
            n = archive.show_run(run.run_id).config["n"]
            assert archive.artifacts(run.run_id).get_blob("a") == bytes([n]) * 3_000_000  # type: ignore[list-item]
        archive.gc_artifacts()
        assert archive._connection.value("SELECT count(*) FROM blob") == 4
        assert archive.verify().ok


def test_a_store_registers_at_a_given_time(archive: Archive) -> None:
    with archive.start_run() as run:
        register_content(run.artifacts, Registration("old", "data"), b"x", time=BEGIN)
        register_content(run.artifacts, Registration("old", "data"), b"y", time=BEGIN.timestamp() + 1)
    assert [a.created_at for a in run.artifacts.list_artifacts()] == [BEGIN, after(1)]
    events = [event.happened_at for event in run.read_events() if event.kind == "artifact"]
    assert events == [BEGIN, after(1)]
