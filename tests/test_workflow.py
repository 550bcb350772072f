"""The workflow of a user's script: start, log, store, end, resume, query."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import exptrack
from exptrack import Archive, ArtifactStore, ExpConfig, RunStatus


def test_a_run_records_config_tags_metrics_and_ends_completed(archive: Archive) -> None:
    run = archive.start_run({"optim": {"lr": 0.1}}, ["baseline"], name="first")
    assert run.status is RunStatus.RUNNING
    for step in range(3):
        run.log_metric("loss", 1 / (step + 1), step)
    run.log({"acc": 0.5, "f1": 0.4})
    run.add_note("looks fine")
    run.complete()
    detail = archive.show_run(run.run_id)
    assert detail.summary.status is RunStatus.COMPLETED
    assert detail.config == {"optim": {"lr": 0.1}}
    assert detail.summary.tags == ("baseline",)
    assert [note.text for note in detail.notes] == ["looks fine"]
    assert [(m.name, m.count, m.last, m.min, m.max) for m in detail.metrics] == [
        ("acc", 1, 0.5, 0.5, 0.5),
        ("f1", 1, 0.4, 0.4, 0.4),
        ("loss", 3, 1 / 3, 1 / 3, 1.0),
    ]
    assert [event.kind for event in detail.events] == ["start", "note", "end"]
    assert detail.summary.ended_at is not None
    assert detail.environment["python"].startswith(("CPython", "PyPy"))


def test_artifacts_come_back_as_they_were_and_are_stored_once(archive: Archive, tmp_path: Path) -> None:
    first, second = archive.start_run(), archive.start_run()
    weights = os.urandom(3_000_000)
    (tmp_path / "weights.bin").write_bytes(weights)
    digest = first.artifacts.register_checkpoint("model", tmp_path / "weights.bin", 7, {"acc": 0.9})
    again = second.artifacts.register_data("same", weights)
    words = first.artifacts.register_data("words", "to be\nor not\0 to be ü")
    assert digest == again
    assert first.artifacts.get_blob("model") == weights
    assert first.artifacts.get_blob("words") == "to be\nor not\0 to be ü"
    assert first.artifacts.get_blob(words) == "to be\nor not\0 to be ü"
    assert first.artifacts.get_blob("nothing") is None
    record = first.artifacts.get_artifact("model")
    assert record is not None
    assert (record.kind, record.step, record.metadata, record.version) == ("checkpoint", 7, {"acc": 0.9}, 1)
    assert first.artifacts.referenced_hashes() == {digest, words}
    assert archive.info().stored_bytes < 1.1 * len(weights)
    first.artifacts.register_data("words", "another")
    assert [(a.name, a.version) for a in first.artifacts.list_artifacts()] == [
        ("model", 1),
        ("words", 1),
        ("words", 2),
    ]
    assert first.artifacts.get_blob("words") == "another"
    assert first.artifacts.get_blob("words", version=1) == "to be\nor not\0 to be ü"
    for run in (first, second):
        run.complete()
    kept = archive.delete_run(first.run_id)
    assert second.artifacts.get_blob("same") == weights
    assert kept.blobs == 2  # both texts; the weights are the other run's too
    gone = archive.delete_run(second.run_id)
    assert gone.stored_bytes >= len(weights) * 0.99
    assert gone.file_bytes >= len(weights) * 0.99
    assert archive.gc_artifacts() == exptrack.GcReport(0, 0, 0, 0)


def test_configs_merge_deeply_and_the_overlay_wins(archive: Archive) -> None:
    base = ExpConfig({"model": {"depth": 3, "width": 64}, "seed": 1}, ["config.sdn"])
    merged = exptrack.merge_configs(base, {"model": {"depth": 5}, "layers": [1, 2]})
    assert merged.values == {"model": {"depth": 5, "width": 64}, "seed": 1, "layers": [1, 2]}
    run = archive.start_run(merged.with_override("model.width", "128"))
    assert run.config.get_int("model.width") == 128
    assert run.config.overrides == ("model.width=128",)
    assert archive.get_run(run.run_id).config == run.config
    run.complete()


def test_a_run_is_resumed_with_everything_it_had(archive: Archive) -> None:
    with pytest.raises(RuntimeError), archive.start_run({"lr": 0.1}, ["t"]) as run:
        run.log_metric("loss", 0.5, 10)
        raise RuntimeError("cable pulled")
    assert run.status is RunStatus.FAILED
    again = archive.resume_run(run.run_id[:-1])
    assert (again.run_id, again.config.values, again.tags) == (run.run_id, {"lr": 0.1}, ("t",))
    again.log_metric("loss", 0.4, 10)
    again.log_metric("loss", 0.3, 9)
    again.complete()
    assert [(p.step, p.value) for p in again.get_metric("loss")] == [(9, 0.3), (10, 0.5), (10, 0.4)]
    assert again.get_last_metric("loss").value == 0.3  # type: ignore[union-attr]
    summary = archive.show_run(run.run_id).summary
    assert (summary.status, summary.reason) == (RunStatus.COMPLETED, None)
    with pytest.raises(exptrack.RunFinishedError):
        again.log_metric("loss", 0.1)


def test_a_failed_run_keeps_reason_and_traceback_without_paths_of_the_machine(archive: Archive) -> None:
    with pytest.raises(ZeroDivisionError), archive.start_run() as run:
        1 / 0  # noqa: B018
    detail = archive.show_run(run.run_id)
    assert detail.summary.reason == "ZeroDivisionError: division by zero"
    assert detail.traceback is not None
    assert "test_workflow.py" in detail.traceback


def test_ctrl_c_interrupts(archive: Archive) -> None:
    with pytest.raises(KeyboardInterrupt), archive.start_run() as run:
        raise KeyboardInterrupt
    assert run.status is RunStatus.INTERRUPTED


def test_the_default_archive_needs_no_ceremony(tmp_path: Path) -> None:
    with exptrack.start_run({"lr": 0.1}, ["x"]) as run:
        run.log_metric("loss", 1.0)
    assert (tmp_path / "exptrack.db").exists()
    assert ArtifactStore.for_run(run.run_id).list_artifacts() == []
    exptrack.append_event(run.run_id, "milestone", {"epoch": 3})
    assert exptrack.read_events(run.run_id)[-1].data == {"epoch": 3}
    assert [r.run_id for r in exptrack.list_runs()] == [run.run_id]
    assert exptrack.show_run(run.run_id).summary.tags == ("x",)
    Archive.default().close()


def _script(body: str, db: Path) -> subprocess.Popen[str]:
    code = f"import exptrack, os, signal, sys, time\narchive = exptrack.Archive({str(db)!r})\n"
    return subprocess.Popen(
        [sys.executable, "-c", code + textwrap.dedent(body)], stdout=subprocess.PIPE, text=True
    )


@pytest.mark.skipif(os.name != "posix", reason="SIGTERM ends a Windows process at once")
def test_sigterm_interrupts_and_ends_with_143(tmp_path: Path) -> None:
    process = _script(
        """
        with archive.start_run() as run:
            run.log_metric("x", 1.0)
            print(run.run_id, flush=True)
            while True:  # a signal between the interpreter's last look and the sleep waits until the sleep ends
                time.sleep(0.05)
        """,
        tmp_path / "lab.db",
    )
    assert process.stdout is not None
    run_id = process.stdout.readline().strip()
    process.terminate()
    assert process.wait(30) == 143
    process.stdout.close()
    with Archive(tmp_path / "lab.db") as archive:
        summary = archive.show_run(run_id).summary
        assert (summary.status, summary.reason) == (RunStatus.INTERRUPTED, "terminated by SIGTERM")


def test_a_script_that_forgets_to_end_its_run_leaves_it_interrupted(tmp_path: Path) -> None:
    process = _script("print(archive.start_run().run_id)", tmp_path / "lab.db")
    out, _ = process.communicate(timeout=60)
    with Archive(tmp_path / "lab.db", mode="ro") as archive:
        summary = archive.show_run(out.strip()).summary
        assert summary.status is RunStatus.INTERRUPTED
        assert "without complete()" in (summary.reason or "")


def test_an_uncaught_error_outside_a_with_block_fails_the_run(tmp_path: Path) -> None:
    process = _script(
        "run = archive.start_run(); print(run.run_id); sys.stderr.close(); 1/0", tmp_path / "lab.db"
    )
    out, _ = process.communicate(timeout=60)
    with Archive(tmp_path / "lab.db", mode="ro") as archive:
        summary = archive.show_run(out.strip()).summary
        assert (summary.status, summary.reason) == (RunStatus.FAILED, "ZeroDivisionError: division by zero")
