"""The ids and the events of forks are those that docs/format.md tells, computed here without exptrack."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
import struct
from contextlib import closing
from pathlib import Path
from typing import Any

from exptrack import Archive

DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"
OWN_EVENTS = "SELECT happened_at, kind, data, late FROM event WHERE kind NOT IN ('end', 'fail') ORDER BY seq"
EVENTS = """
SELECT r.run_id, e.kind, e.happened_at FROM event AS e JOIN run AS r ON r.id = e.run ORDER BY e.run, e.seq
"""
FORKS = "SELECT data FROM event WHERE kind = 'fork'"


def encoded(value: Any) -> str:
    """A list that is hashed, as the page has it."""
    if isinstance(value, (list, tuple)):
        return f"[{','.join(map(encoded, value))}]"
    if isinstance(value, float):
        return f'"{struct.pack(">d", value).hex()}"'
    return json.dumps(value, ensure_ascii=False)


def fork_id(run_id: str, word: str) -> str:
    bits = int.from_bytes(hashlib.sha256(encoded([run_id, word]).encode()).digest(), "big") >> (256 - 35)
    return run_id[:9] + "".join(DIGITS[bits >> shift & 31] for shift in range(30, -1, -5))


def last_own_event(path: Path) -> str:
    """The list of the last own event of the one run in a file, whose events are its own or its end."""
    with closing(sqlite3.connect(path)) as connection:
        return encoded([*connection.execute(OWN_EVENTS).fetchall()[-1]])


def make_copies(folder: Path) -> tuple[str, list[Path]]:
    """Make three files with a copy of one run, which was killed; return its id and the files."""
    paths = [folder / f"{name}.db" for name in "abc"]
    with Archive(paths[0]) as archive, archive.start_run({"lr": 0.1, "deep": {"n": [1, None]}}) as run:
        run.log({"loss": 0.5, "acc": 0.25}, 0)
    for path in paths[1:]:
        shutil.copy(paths[0], path)
    return run.run_id, paths


def read_kinds(path: Path) -> dict[str, list[tuple[str, str]]]:
    """Return the kind and time of the events of each run in a file."""
    found: dict[str, list[tuple[str, str]]] = {}
    with closing(sqlite3.connect(path)) as connection:
        for run_id, kind, at in connection.execute(EVENTS):
            found.setdefault(run_id, []).append((kind, at))
    return found


def read_origins(path: Path) -> set[str]:
    """Return the runs that the forks in a file name."""
    with closing(sqlite3.connect(path)) as connection:
        return {json.loads(data)["of"] for (data,) in connection.execute(FORKS)}


def merge(out: Path, *paths: Path) -> None:
    with Archive(out) as archive:
        assert archive.merge(*paths).ok
        assert archive.verify().problems == ()


def test_a_fork_is_named_by_the_session_in_which_it_parts(tmp_path: Path) -> None:
    run_id, paths = make_copies(tmp_path)
    times = []
    for place, path in enumerate(paths):
        with Archive(path) as archive:
            for _ in range(1 + place):  # the last of them parts in its first session too
                with archive.resume_run(run_id) as run:
                    run.log({"loss": 0.1 * place})
        times.append(dict(reversed(read_kinds(path)[run_id]))["resume"])
    merge(tmp_path / "all.db", *reversed(paths))
    first, *others = sorted(times)
    found = read_kinds(tmp_path / "all.db")
    assert set(found) == {run_id, *(fork_id(run_id, time) for time in others)}
    assert dict(reversed(found[run_id]))["resume"] == first
    assert read_origins(tmp_path / "all.db") == {run_id}
    for time in others:
        kinds = found[fork_id(run_id, time)]
        assert kinds[kinds.index(("resume", time)) + 1] == ("fork", time)


def test_a_fork_of_equal_sessions_is_named_by_the_event_in_which_it_parts(tmp_path: Path) -> None:
    run_id, paths = make_copies(tmp_path)
    for number, path in enumerate(paths):
        with Archive(path) as archive:  # each gets points after its end, and an event that tells of them
            archive.get_run(run_id).log_rows([("loss", 0.1 * number, step) for step in range(number, 9)])
    merge(tmp_path / "all.db", *paths)
    # Equal sessions, all ended alike: more points come first.
    found = read_kinds(tmp_path / "all.db")
    assert set(found) == {run_id, *(fork_id(run_id, last_own_event(path)) for path in paths[1:])}
    assert read_origins(tmp_path / "all.db") == {run_id}
    for path in paths[1:]:
        kinds = found[fork_id(run_id, last_own_event(path))]
        assert kinds[:2] == [("start", kinds[0][1]), ("fork", kinds[0][1])]
