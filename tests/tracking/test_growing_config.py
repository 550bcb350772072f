"""The config of a run grows in the file: by threads and processes at once, and after the run's end."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from exptrack import Archive, ConfigConflictError, InvalidTypeError, RunNotFoundError, RunTrashedError
from exptrack.capture.redaction import know_secrets_of_command
from exptrack.runs import lease

THREADS, PROCESSES, EACH = 16, 4, 75
WORKER = """
import sys, threading, exptrack

worker, threads, each = map(int, sys.argv[1:4])
with exptrack.Archive("lab.db") as archive:
    run = archive.get_run(sys.argv[4])
    print(flush=True)
    sys.stdin.readline()

    def add(thread):
        for place in range(thread, each, threads):
            run.update_config({f"p{worker}": {f"k{place}": place}})

    started = [threading.Thread(target=add, args=(thread,)) for thread in range(threads)]
    [one.start() for one in started]
    [one.join() for one in started]
"""


def test_threads_and_processes_lose_nothing_of_each_other(tmp_path: Path) -> None:
    with Archive(tmp_path / "lab.db") as archive, archive.start_run({"lr": 0.1}) as run:
        workers = [
            subprocess.Popen(
                [sys.executable, "-c", WORKER, str(one), str(THREADS), str(EACH), run.run_id],
                cwd=tmp_path,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for one in range(PROCESSES)
        ]
        for worker in workers:
            assert worker.stdout is not None
            worker.stdout.readline()
        for worker in workers:
            worker.communicate("\n", timeout=120)
        assert [worker.returncode for worker in workers] == [0] * PROCESSES
        wanted: dict[str, Any] = {"lr": 0.1}
        for worker_number in range(PROCESSES):
            wanted[f"p{worker_number}"] = {f"k{place}": place for place in range(EACH)}
        assert archive.show_run(run.run_id).config == wanted
        run.update_config({"lr": 0.1})
        assert run.config.values == wanted
        assert len([event for event in run.read_events() if event.kind == "config"]) == PROCESSES * EACH
    with Archive(tmp_path / "lab.db", mode="ro") as archive:
        assert archive.verify().problems == ()


def test_hash_family_fingerprint_and_event_follow(archive: Archive) -> None:
    run = archive.start_run({"lr": 0.1, "seed": 1})
    other = archive.start_run({"lr": 0.2, "seed": 1, "epochs": 3})
    run.update_config({"epochs": 3})
    run.update_config({"lr": 0.2}, allow_change=True)
    one, two = (archive.show_run(each).summary for each in (run, other))
    assert (one.config_hash, one.family, one.fingerprint) == (two.config_hash, two.family, two.fingerprint)
    facts = [event.data for event in run.read_events() if event.kind == "config"]
    assert [(each["added"], each["changed"]) for each in facts] == [(["epochs"], {}), ([], {"lr": 0.1})]
    assert facts[-1]["config_hash"] == one.config_hash
    run.update_config({"epochs": 3, "lr": 0.2})  # nothing new: no event
    assert len([event for event in run.read_events() if event.kind == "config"]) == 2
    assert [r.run_id for r in archive.runs().where("config.epochs = 3").order_by("id")] == [
        run.run_id,
        other.run_id,
    ]
    for each in (run, other):
        each.complete()
    assert archive.verify().problems == ()


def test_a_refused_change_stores_nothing(archive: Archive) -> None:
    with archive.start_run({"lr": 0.1}) as run:
        before = archive.show_run(run.run_id)
        with pytest.raises(ConfigConflictError):
            run.update_config({"new": 1, "lr": 0.2})
        with pytest.raises(InvalidTypeError):
            run.update_config({"new": 1}, allow_change=1)  # type: ignore[arg-type]
        assert archive.show_run(run.run_id) == before
        assert run.config.values == {"lr": 0.1}


@pytest.mark.parametrize("status", ["completed", "failed", "interrupted"])
def test_a_run_that_has_ended_is_sealed_again(archive: Archive, status: str) -> None:
    run = archive.start_run({"lr": 0.1})
    run.log({"loss": 0.5})
    run.finish(status, "enough")
    before = archive.show_run(run.run_id).summary
    handle = archive.get_run(run.run_id)
    handle.update_config({"test_batch": 8})
    after = archive.show_run(run.run_id)
    assert after.config == handle.config.values == {"lr": 0.1, "test_batch": 8}
    assert (after.summary.status, after.summary.ended_at) == (before.status, before.ended_at)
    assert archive.verify().problems == ()


def test_secrets_are_hidden_as_at_the_start(archive: Archive) -> None:
    know_secrets_of_command(["--password=hunter2-Zk3mQ9"])
    with archive.start_run() as run:
        run.update_config({"login": "me:hunter2-Zk3mQ9"})
        assert run.config.get("login") == "me:hunter2-Zk3mQ9"
    assert archive.show_run(run.run_id).config == {"login": "me:***"}


def test_a_handle_on_a_deleted_run_is_refused(archive: Archive) -> None:
    run = archive.start_run({"lr": 0.1})
    run.complete()
    archive.delete_run(run)
    with pytest.raises(RunNotFoundError):
        run.update_config({"x": 1})


def test_threads_of_one_handle_end_with_the_config_of_the_file(archive: Archive) -> None:
    with archive.start_run() as run:

        def add(place: int) -> None:
            run.update_config({f"k{place}": place})

        threads = [threading.Thread(target=add, args=(place,)) for place in range(32)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert run.config.values == archive.show_run(run.run_id).config == {f"k{n}": n for n in range(32)}


def test_a_run_in_the_trash_takes_none_and_one_with_a_lease_lives_on(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = archive.start_run({"lr": 0.1}, owner="lease", lease_s=3600)
    before = archive.show_run(run).summary.heartbeat_at
    monkeypatch.setattr(lease, "RENEWALS", 1_000_000_000)
    run.update_config({"epochs": 3})
    assert archive.show_run(run).summary.heartbeat_at > before
    run.complete()
    archive.trash_run(run)
    with pytest.raises(RunTrashedError):
        run.update_config({"late": 1})
    assert run.config.values == {"lr": 0.1, "epochs": 3}
