"""News: what changes is told to those who watch it, and to nobody else."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from exptrack import Archive, ChangedRuns
from exptrack.tracking.heartbeat import _Heartbeat
from exptrack.web.live import Watcher, _Look
from exptrack.web.server import PageServer

WAIT_S = 30.0


class Stream:
    """An open stream of events, read like a browser does."""

    def __init__(self, server: PageServer, query: str = "", last_id: str | None = None) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=WAIT_S)
        headers = {"x-exptrack-token": server.token}
        if last_id is not None:
            headers["last-event-id"] = last_id
        self._connection.request("GET", f"/events{query}", headers=headers)
        self.answer = self._connection.getresponse()
        assert self.answer.status == 200

    def read(self, kind: str = "") -> tuple[str, Any, str]:
        """Return the next event of a kind, by default of any: its kind, data and id."""
        while True:
            found = {"id": ""}
            while line := self.answer.readline().decode().rstrip("\n"):
                name, _, text = line.partition(": ")
                found[name] = text
            if not found.get("event"):
                assert self.answer.fp is not None, "the stream has ended"
                continue
            if found["event"] == kind or not kind:
                return found["event"], json.loads(found["data"]), found["id"]

    def close(self) -> None:
        self._connection.close()


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Archive, PageServer]]:
    # A heartbeat is news of its run, and this process stores those of all its runs at any moment.
    monkeypatch.setattr(_Heartbeat, "beat_once", lambda _self: None)
    with Archive(tmp_path / "lab.db") as archive, PageServer(tmp_path / "lab.db", 0) as server:
        yield archive, server


def test_runs_that_come_change_and_go_are_told(lab: tuple[Archive, PageServer]) -> None:
    archive, server = lab
    stream = Stream(server, "?watch=runs")
    kind, first, first_id = stream.read()
    assert (kind, first) == ("version", {"version": first_id, "missed": False})
    run = archive.start_run()
    (row_id,) = archive.runs().index()
    assert stream.read("runs")[1] == {"added": [row_id], "changed": [], "removed": []}
    kind, data, event_id = stream.read()
    assert (kind, data) == ("version", {"version": event_id})
    assert event_id not in ("", first_id)
    run.add_tag("new")
    assert stream.read("runs")[1] == {"added": [], "changed": [row_id], "removed": []}
    run.complete()
    assert stream.read("runs")[1]["changed"] == [row_id]
    archive.trash_run(run)
    assert stream.read("runs")[1] == {"added": [], "changed": [], "removed": [row_id]}
    stream.close()


def test_points_of_watched_runs_are_told(lab: tuple[Archive, PageServer]) -> None:
    archive, server = lab
    watched, other = archive.start_run(), archive.start_run()
    stream = Stream(server, f"?points={watched.run_id}&points=none")
    stream.read("version")
    other.log({"loss": 1.0})
    other.flush()
    assert stream.read()[0] == "version"
    watched.log({"loss": 1.0})
    watched.flush()
    assert stream.read() == ("points", {"runs": [watched.run_id]}, "")
    stream.close()
    watched.complete()
    other.complete()


def test_a_browser_that_comes_back_is_told_whether_it_missed_something(lab: tuple[Archive, PageServer]) -> None:
    archive, server = lab
    stream = Stream(server)
    _, _, event_id = stream.read()
    again = Stream(server, last_id=event_id)
    assert again.read()[1] == {"version": event_id, "missed": False}
    again.close()
    archive.start_run().complete()
    while stream.read("version")[2] == event_id:
        pass
    late = Stream(server, last_id=event_id)
    assert late.read()[1]["missed"] is True
    for one in (stream, late):
        one.close()


def test_nothing_looks_while_nobody_watches(
    lab: tuple[Archive, PageServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, server = lab
    stream = Stream(server)
    stream.read()
    assert server.page.live.is_watched
    stream.close()
    end = time.monotonic() + WAIT_S
    while server.page.live.is_watched or server.page.live._task is not None:
        assert time.monotonic() < end
        time.sleep(0.01)
    looks = []
    monkeypatch.setattr(server.page.archive, "data_version", lambda: looks.append(1))
    time.sleep(1.1)
    assert looks == []


def test_the_end_of_the_server_ends_the_streams(tmp_path: Path) -> None:
    Archive(tmp_path / "lab.db").close()
    with PageServer(tmp_path / "lab.db", 0) as server:
        streams = [Stream(server, "?watch=runs") for _ in range(3)]
        for stream in streams:
            stream.read()
    for stream in streams:
        stream.answer.read()  # raises if the stream was cut
        assert stream.answer.isclosed()
        stream.close()


def test_an_archive_that_cannot_be_read_is_told(lab: tuple[Archive, PageServer], tmp_path: Path) -> None:
    archive, server = lab
    stream = Stream(server)
    stream.read()
    archive.close()
    server.page.archive.close()
    kind, data, event_id = stream.read()
    assert (kind, data["kind"], event_id) == ("problem", "ArchiveClosedError", "")
    assert "closed" in data["message"]
    stream.close()


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL")
def test_a_run_whose_process_was_killed_is_told(lab: tuple[Archive, PageServer]) -> None:
    _, server = lab
    code = f"""
import exptrack, time
run = exptrack.Archive({server.page.path!r}).start_run()
run.log({{"loss": 1.0}})
run.flush()
print(run.run_id, flush=True)
time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as script:
        assert script.stdout is not None
        run_id = script.stdout.readline().strip()
        stream = Stream(server, "?watch=runs")
        stream.read()
        script.kill()
        script.wait()
        (row_id,) = stream.read("runs")[1]["changed"]
    (row,) = server.page.archive.read_rows([row_id], ["id", "status"])
    assert row == {"id": run_id, "status": "interrupted"}
    stream.close()


def test_watching_changes_no_byte(tmp_path: Path) -> None:
    with Archive(tmp_path / "lab.db") as archive:
        archive.start_run().complete()
    before = (tmp_path / "lab.db").read_bytes()
    with PageServer(tmp_path / "lab.db", 0) as server:
        stream = Stream(server, "?watch=runs")
        stream.read()
        time.sleep(1.1)  # two looks
        stream.close()
    assert (tmp_path / "lab.db").read_bytes() == before
    assert [path.name for path in tmp_path.glob("lab.db*")] == ["lab.db"]


def test_what_a_slow_browser_missed_comes_as_one_event() -> None:
    watcher = Watcher(watches_runs=True)
    watcher.begin({1: "one", 2: "two"}, "v0")
    for version, runs in (
        ("v1", ChangedRuns((1, 3), (2,), ())),
        ("v2", ChangedRuns((), (1, 2), (3,))),
        ("v3", ChangedRuns((4,), (), (2,))),
        ("v4", ChangedRuns((2,), (), ())),
    ):
        watcher.note(_Look(version, runs))
    assert watcher.news.is_set()
    events = [line for line in watcher.take().decode().splitlines() if line]
    assert json.loads(events[1].removeprefix("data: ")) == {"added": [1, 2, 4], "changed": [], "removed": [3]}
    assert json.loads(events[3].removeprefix("data: ")) == {"runs": ["one", "two"]}
    assert events[4:] == ["id: v4", "event: version", 'data: {"version":"v4"}']
    assert not watcher.news.is_set()
    nothing = ChangedRuns((), (), ())
    watcher.note(_Look("v4", nothing))
    assert not watcher.news.is_set()
    watcher.note(_Look("v4", nothing, {"kind": "ArchiveLockedError", "message": "locked"}))
    assert watcher.take() == b'event: problem\ndata: {"kind":"ArchiveLockedError","message":"locked"}\n\n'
    watcher.note(_Look("v4", nothing, {"kind": "ArchiveLockedError", "message": "locked"}))
    assert not watcher.news.is_set()
    watcher.note(_Look("v4", nothing))
    assert watcher.take().startswith(b"id: v4\n")
