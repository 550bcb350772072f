"""An extracted file holds the runs that were chosen with all that belongs to them, or it is not there."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest

from exptrack import (
    Archive,
    ExportError,
    ExptrackError,
    FilterError,
    InvalidValueError,
    OwnFileError,
    RunNotFoundError,
    Sampler,
    StudyNotFoundError,
    diff_archives,
)
from exptrack.artifacts import drafts
from tests.changes import altering

MINE = "lab.db"


class Lab(NamedTuple):
    """An archive with runs of every kind, by name: their ids."""

    path: Path
    ids: dict[str, str]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    path = tmp_path_factory.mktemp("extract") / MINE
    ids = {}
    with Archive(path) as archive:
        for name, used in (("data", None), ("model", "data"), ("paper", "model"), ("other", None)):
            with archive.start_run({"lr": 0.1, name: 1}, [name], name=name, group=f"group of {name}") as run:
                run.log({"loss": 0.5, f"loss_{name}": 0.25}, 0)
                run.artifacts.register_data("file", name.encode() * 1000, aliases=["best"])
                run.set_attribute("reviewed", True)
                run.add_note(f"a note on {name}")
                if used is not None:
                    run.use_artifact(f"{ids[used]}/file")
            ids[name] = run.run_id
        archive.set_group_attribute("group of paper", "owner", "ada")
        archive.set_group_attribute("group of other", "owner", "bob")
        study = archive.create_study("widths", sampler=Sampler.random(seed=1))
        study.optimize(lambda trial: trial.suggest_float("lr", 0.1, 1.0), n_trials=3)
        archive.create_study("empty")
        ids["trial"] = study.trials[0].run_id or ""
        gone = archive.start_run({"lr": 9.0}, ["paper"], name="gone")
        gone.complete()
        archive.trash_run(gone.run_id)
        ids["gone"] = gone.run_id
        archive.create_view("rates", ["config.lr", "metrics.loss"])
        archive.create_view("others", ["config.other", "metrics.loss_other"])
    return Lab(path, ids)


@pytest.fixture
def source(lab: Lab) -> Iterator[Archive]:
    """The archive, which stays as it is, whatever is extracted from it."""
    with Archive(lab.path) as archive:
        before = archive.digest()
        yield archive
        assert archive.digest() == before


def run_ids(path: Path) -> set[str]:
    with Archive(path, mode="ro") as archive:
        return {run.run_id for run in (*archive.list_runs(), *(one.run for one in archive.list_trash()))}


def test_a_run_comes_with_all_that_belongs_to_it(source: Archive, lab: Lab, tmp_path: Path) -> None:
    out = tmp_path / "out.db"
    seen: list[tuple[int, int]] = []
    report = source.extract(out, [lab.ids["paper"]], progress=lambda *how: seen.append(how))
    assert report == (str(out), out.stat().st_size, (lab.ids["paper"],), (), 2, 1, ())
    assert report.ok
    assert seen == [(1, 1)]
    with Archive(out, mode="ro") as archive:
        assert archive.verify().problems == ()
        assert [(group.name, group.attributes) for group in archive.list_groups()] == [
            ("group of paper", {"owner": "ada"})
        ]
        run = archive.get_run(lab.ids["paper"])
        assert run.artifacts.get_blob("file") == b"paper" * 1000
        assert run.attributes == {"reviewed": True}
        assert [note.text for note in run.notes] == ["a note on paper"]
        assert [one.from_run for one in run.inputs] == [lab.ids["model"]]
        rows = archive.info(count_rows=True).rows
        assert (rows["config_key"], rows["metric_name"], rows["blob"]) == (2, 2, 1), "nothing of other runs"
    assert os.listdir(tmp_path) == ["out.db"]
    assert out.read_bytes()[18:20] == b"\1\1", "any program opens it, also from a read-only medium"
    if os.name == "posix":
        assert out.stat().st_mode & 0o777 == os.stat(source.path).st_mode & 0o777
    assert source.merge(out).files[0].unchanged == 1


def test_any_choice_merged_back_changes_nothing(source: Archive, lab: Lab, tmp_path: Path) -> None:
    for place, words in enumerate(
        (
            {"where": "tag = paper or tag = other"},
            {"where": "config.lr < 1"},
            {"study": "widths"},
            {"study": "empty"},
            {"runs": [lab.ids["gone"], lab.ids["data"][:12]]},
            {"runs": []},
        )
    ):
        out = tmp_path / f"{place}.db"
        assert source.extract(out, **words).ok  # type: ignore[arg-type]
        found = diff_archives(lab.path, out)
        assert (found.runs_only_b, found.runs_differ, found.studies_only_b, found.studies_differ) == ((),) * 4
        assert found.artifacts_only_b == ()
        (merged,) = source.merge(out).files
        assert merged == (str(out), (), (), (), len(run_ids(out)), (), (), 0, 0, 0, ())


def test_inputs_come_with_those_that_made_what_they_used(source: Archive, lab: Lab, tmp_path: Path) -> None:
    report = source.extract(tmp_path / "out.db", where="tag = paper", with_inputs=True)
    assert set(report.runs) == {lab.ids[name] for name in ("paper", "model", "data")}
    assert report.blobs == 3


def test_a_study_comes_with_all_its_trials_whichever_run_was_chosen(
    source: Archive, lab: Lab, tmp_path: Path
) -> None:
    for name, words, runs in (("study", {"study": "widths"}, 3), ("trial", {"runs": [lab.ids["trial"]]}, 1)):
        report = source.extract(tmp_path / f"{name}.db", **words)  # type: ignore[arg-type]
        assert (report.studies, len(report.runs)) == (("widths",), runs)
        with Archive(tmp_path / f"{name}.db", mode="ro") as archive:
            assert len(archive.study_results("widths").trials) == 3
            assert archive.verify().problems == ()


def test_views_come_if_their_fields_do(source: Archive, lab: Lab, tmp_path: Path) -> None:
    for name, views in (("paper", {"rates"}), ("other", {"rates", "others"})):
        source.extract(tmp_path / f"{name}.db", [lab.ids[name]])
        with Archive(tmp_path / f"{name}.db", mode="ro") as archive:
            assert {view.name for view in archive.list_views()} == views
            assert archive.sql("SELECT count(*) FROM rates").rows == ((1,),)


def test_runs_in_the_trash_come_only_by_their_ids(source: Archive, lab: Lab, tmp_path: Path) -> None:
    source.extract(tmp_path / "where.db", where="name = gone")
    source.extract(tmp_path / "id.db", [lab.ids["gone"]])
    assert run_ids(tmp_path / "where.db") == set()
    assert run_ids(tmp_path / "id.db") == {lab.ids["gone"]}
    with Archive(tmp_path / "id.db", mode="ro") as archive:
        assert len(archive.list_trash()) == 1


def test_what_cannot_be_extracted_leaves_nothing(source: Archive, lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "taken.db").write_text("kept")
    (tmp_path / "log.db-wal").write_text("kept")
    out, one = tmp_path / "out.db", [lab.ids["paper"]]
    before = sorted(os.listdir(tmp_path))
    for error, words in (
        (ExportError, {"out": tmp_path / "taken.db", "runs": one}),
        (ExportError, {"out": tmp_path / "log.db", "runs": one}),
        (ExportError, {"out": tmp_path / "missing" / "out.db", "runs": one}),
        (OwnFileError, {"out": lab.path, "runs": one}),
        (OwnFileError, {"out": f"{lab.path}-wal", "runs": one}),
        (InvalidValueError, {"out": out}),
        (InvalidValueError, {"out": out, "runs": one, "where": "tag = paper"}),
        (InvalidValueError, {"out": out, "where": "tag = paper", "study": "widths"}),
        (RunNotFoundError, {"out": out, "runs": ["no run"]}),
        (StudyNotFoundError, {"out": out, "study": "no study"}),
        (FilterError, {"out": out, "where": "tag ="}),
    ):
        with pytest.raises(error):
            source.extract(**words)  # type: ignore[arg-type]

    def stop(_done: int, _total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        source.extract(out, one, progress=stop)
    assert sorted(os.listdir(tmp_path)) == before
    assert (tmp_path / "taken.db").read_text() == "kept"


def test_a_damaged_run_is_left_out_and_told(lab: Lab, tmp_path: Path) -> None:
    shutil.copy(lab.path, tmp_path / MINE)
    chunk = "(SELECT c.chunk FROM blob_chunk AS c JOIN artifact AS a ON a.blob = c.blob WHERE a.run = {})"
    with Archive(tmp_path / MINE) as archive:
        connection = archive._connection
        with altering(connection):
            connection.execute("UPDATE artifact SET metadata = '{\"n\":1}' WHERE run = 1")
            flipped = "UPDATE chunk_data SET data = zeroblob(length(data)) WHERE chunk IN " + chunk.format(2)
            connection.execute(flipped)
        report = archive.extract(tmp_path / "out.db", where="tag = paper", with_inputs=True)
    assert not report.ok
    assert report.runs == (lab.ids["paper"],)
    reasons = {one.what: one.reason for one in report.left_out}
    assert set(reasons) == {lab.ids["data"], lab.ids["model"]}
    assert reasons[lab.ids["data"]] == "the artifact 'file' does not match its checksum"
    assert "is damaged: bytes 0 and after" in reasons[lab.ids["model"]]
    with Archive(tmp_path / "out.db", mode="ro") as archive:
        assert archive.verify().problems == ()
        assert run_ids(tmp_path / "out.db") == {lab.ids["paper"]}


def test_a_running_run_comes_as_it_is_with_the_points_of_its_journal(tmp_path: Path) -> None:
    with Archive(tmp_path / MINE) as archive:
        run = archive.start_run({"lr": 0.1})
        for step in range(100):
            run.log({"loss": 1 / (step + 1)}, step)
        report = archive.extract(tmp_path / "first.db", [run.run_id])
        assert report.points == 100
        run.log({"loss": 0.0}, 100)
        run.complete()
        archive.extract(tmp_path / "second.db", [run.run_id])
    with Archive(tmp_path / "first.db", mode="ro") as first:
        assert [one.status for one in first.list_runs()] == ["running"]
        assert first.verify().problems == ()
    with Archive(tmp_path / "first.db") as first:  # its process lives, and does not write this file
        assert [one.status for one in first.list_runs()] == ["running"]
        assert first.merge(tmp_path / "second.db").files[0].updated == (run.run_id,)
        assert [one.status for one in first.list_runs()] == ["completed"]
        assert len(first.get_run(run.run_id).get_metric("loss")) == 101
        assert first.verify().problems == ()


def test_runs_that_other_threads_write_meanwhile_come_at_one_moment(tmp_path: Path) -> None:
    with Archive(tmp_path / MINE) as archive:
        over = threading.Event()

        def work() -> None:
            with archive.start_run() as run:
                while not over.is_set():
                    run.log({"a": 1.0, "b": 2.0})

        threads = [threading.Thread(target=work) for _ in range(2)]
        for thread in threads:
            thread.start()
        try:
            for place in range(2):
                assert archive.extract(tmp_path / f"{place}.db", where="status = running").ok
        finally:
            over.set()
            for thread in threads:
                thread.join()
    for place in range(2):
        with Archive(tmp_path / f"{place}.db", mode="ro") as part:
            assert part.verify().problems == ()


def test_a_file_opened_for_reading_is_a_source_too(lab: Lab, tmp_path: Path) -> None:
    with Archive(lab.path) as archive:
        archive.pack(tmp_path / "packed.db")
    with closing(Archive(tmp_path / "packed.db", mode="ro")) as packed:
        assert packed.extract(tmp_path / "out.db", where="tag = paper").runs == (lab.ids["paper"],)


LIMITED = """
import resource, signal, sys, exptrack
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
archive = exptrack.Archive(sys.argv[1], mode="ro")
for kilobytes in map(int, sys.argv[3:]):
    resource.setrlimit(resource.RLIMIT_FSIZE, (kilobytes * 1000, resource.RLIM_INFINITY))
    try:
        archive.extract(sys.argv[2], where="not tag = none")
    except exptrack.ArchiveError as error:
        print(error.path == sys.argv[2])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no limits of files here")
def test_a_file_that_may_not_grow_to_its_size_is_not_made(tmp_path: Path) -> None:
    """Also if all of it would be in the write-ahead log, and only the copying from there fails."""
    with Archive(tmp_path / "lab.db") as archive:
        for _ in range(3):
            with archive.start_run() as run:
                run.artifacts.register_data("weights", os.urandom(3_000_000))
        whole = archive.extract(tmp_path / "whole.db", where="not tag = none").file_bytes // 1000
    words = [sys.executable, "-c", LIMITED, str(tmp_path / "lab.db"), str(tmp_path / "out.db")]
    limits = [str(limit) for limit in (whole // 2, whole * 8 // 10, whole - 100)]
    done = subprocess.run([*words, *limits], capture_output=True, text=True)
    assert (done.stdout.split(), done.stderr) == (["True"] * 3, "")
    assert sorted(os.listdir(tmp_path)) == ["lab.db", "whole.db"]


KILLED = """
import os, signal, sys
from exptrack import Archive
archive = Archive(sys.argv[1], mode="ro")
archive.extract(sys.argv[2], where="config.lr < 1", progress=lambda *_: os.kill(os.getpid(), signal.SIGKILL))
"""


@pytest.mark.skipif(drafts.fcntl is None, reason="the system has no locks that end with a process")
def test_a_kill_leaves_a_draft_which_the_next_extract_removes(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    killed = subprocess.run([sys.executable, "-c", KILLED, lab.path, tmp_path / "out" / "out.db"])
    assert killed.returncode == -signal.SIGKILL
    left = sorted((tmp_path / "out").iterdir())
    assert {path.name.partition("-")[0] for path in left} == {".exptrack"}
    left.append(Path(f"{left[0]}-wal"))  # as an older exptrack left it
    left[-1].touch()
    for path in left:
        os.utime(path, (1, 1))
    with Archive(lab.path, mode="ro") as archive:
        archive.extract(tmp_path / "out" / "out.db", where="tag = paper")
    assert os.listdir(tmp_path / "out") == ["out.db"]
    with pytest.raises(ExptrackError):
        Archive(left[0], mode="ro")
