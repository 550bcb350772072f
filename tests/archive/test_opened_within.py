"""The script opens and closes a file of the archive at each point of each change; nothing is lost by it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from exptrack import Archive
from exptrack.database.hold import HAS_OPEN_FILE_LOCKS

pytestmark = pytest.mark.skipif(not HAS_OPEN_FILE_LOCKS, reason="the system has no open-file locks")

VISIT = """
import sqlite3, sys
visitor = sqlite3.connect(sys.argv[1])
print(*(row[0] for row in visitor.execute("SELECT tag FROM tags ORDER BY tag")))
visitor.close()
"""


def by_its_path(path: Path) -> str:
    return str(path)


def by_a_symbolic_link(path: Path) -> str:
    link = path.with_name(f"link-to-{path.name}")
    if not link.is_symlink():
        link.symlink_to(path.name)
    return str(link)


def by_a_hard_link(path: Path) -> str:
    link = path.with_name(f"second-{path.name}")
    if not link.exists():
        os.link(path, link)
    return str(link)


def by_a_relative_path(path: Path) -> str:
    return os.path.relpath(path)


def by_proc(path: Path) -> str:
    return f"/proc/self/root{path}"


NAMES = [by_its_path, by_a_symbolic_link, by_a_hard_link, by_a_relative_path, by_proc]


def tags_seen_elsewhere(path: Path) -> str:
    """Read the tags in another process, which folds the WAL as it leaves, if no lock keeps it from that."""
    done = subprocess.run([sys.executable, "-c", VISIT, str(path)], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def on_each_statement(archive: Archive, act: Callable[[str], None]) -> None:
    """Call `act` with each statement of the connections that are open and of those opened from now on."""
    connection = archive._connection
    connection.trace = act
    for handle in list(connection._handles):
        if handle.raw is not None:
            handle.raw.set_trace_callback(act)


@pytest.mark.parametrize("end", ["", "-wal", "-shm"])
@pytest.mark.parametrize("name", NAMES)
def test_a_file_opened_at_each_point_of_each_change(
    tmp_path: Path, name: Callable[[Path], str], end: str
) -> None:
    path = tmp_path / "lab.db"
    archive = Archive(path)
    run = archive.start_run()
    points: list[str] = []
    busy = [False]

    def open_and_close(statement: str) -> None:
        # Without the write lock, which the -shm carries, a change is made again: so it is dropped once a call.
        if end == "-shm" and busy[0]:
            return
        busy[0] = busy[0] or statement.startswith(("INSERT", "UPDATE", "DELETE", "COMMIT"))
        points.append(statement)
        with open(name(Path(f"{path}{end}")), "rb") as file:
            file.read(1)

    on_each_statement(archive, open_and_close)
    changes: list[Callable[[], object]] = [
        lambda: run.add_tag("a"),
        lambda: run.log_many("x", values=[1.0, 2.0], steps=None),
        lambda: run.artifacts.register_data("weights", b"w" * 300_000),
        lambda: run.add_tag("b"),
        lambda: (run.log({"y": 1.0}), run.flush()),
        run.complete,
    ]
    expected = ["", "a", "a", "a", "a b", "a b", "a b"]
    for change, seen in zip(changes, expected[1:], strict=True):
        busy[0] = False
        change()
        assert tags_seen_elsewhere(path) == seen
    assert any(statement.startswith("BEGIN IMMEDIATE") for statement in points)
    archive.close()
    with Archive(path) as again:
        assert again.verify().problems == ()
        found = again.get_run(run.run_id)
        assert [point.value for point in found.get_metric("x")] == [1.0, 2.0]
        assert [point.value for point in found.get_metric("y")] == [1.0]
        assert found.artifacts.get_blob("weights") == b"w" * 300_000
