"""Files with the name of a journal that a stranger made: nothing hangs, and nothing wrong is believed."""

from __future__ import annotations

import json
import os
import socket
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from exptrack import Archive
from exptrack.metrics.journal import CHECK, DEFINITION, IS_DEFINITION, seed_of
from exptrack.metrics.journal_file import (
    HEADER_BYTES,
    HEADER_SLOTS,
    MOST_SEGMENTS,
    PAGE,
    SEGMENT_BYTES,
    SLOT,
    Header,
    list_journals,
)
from exptrack.metrics.journal_reader import Damage, read_header, read_points
from exptrack.process import ProcessIdentity, current_process
from tests.metrics.points import killed
from tests.warm_python import run_code

NAME = "lab.db.deadbeef-999999-00000007.points"
HUGE = 20 << 30  # of holes
DEAD = current_process()._replace(pid=999_999, started="1")
posix = pytest.mark.skipif(os.name != "posix", reason="such files exist on POSIX only")


def sparse(path: Path, begin: bytes, size: int = HUGE) -> None:
    with open(path, "wb") as file:
        file.write(begin)
        file.truncate(size)


def bound(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        os.chdir(path.parent)
        one.bind(path.name)


MAKERS: dict[str, Callable[[Path], object]] = {
    "a FIFO": lambda path: os.mkfifo(path),
    "an endless device": lambda path: path.symlink_to("/dev/zero"),
    "a folder": lambda path: path.mkdir(),
    "a link to itself": lambda path: path.symlink_to(path),
    "a socket": bound,
    "holes": lambda path: sparse(path, b"garbage"),
    "holes behind a sound header": lambda path: sparse(path, of_archive(path).pack()),
}


def of_archive(path: Path) -> Header:
    with Archive(path.with_name("lab.db"), mode="ro") as archive:
        return Header(archive._connection.birth, DEAD, 7)


@posix
@pytest.mark.parametrize("kind", MAKERS)
def test_whatever_has_the_name_of_a_journal_is_passed_over(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process opens, within 3 GiB of memory; a call that waits for ever fails by the time limit."""
    monkeypatch.chdir(tmp_path)
    with Archive(tmp_path / "lab.db") as archive:
        archive.start_run().complete()
    MAKERS[kind](tmp_path / NAME)
    code = """
import resource, sys, exptrack
resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
with exptrack.Archive("lab.db") as archive:
    assert len(archive.list_runs()) == 1
    archive.info(), archive.recover(take_over=True)
    assert archive.verify().ok
    archive.backup("copy.db")
"""
    done = run_code(code)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr


def headed(text: bytes, path: Path) -> None:
    facts = struct.pack("<8sII", b"EXPTJRNL", 2, len(text))
    copy = facts + struct.pack("<I", zlib.crc32(facts + text)) + text
    path.write_bytes(copy.ljust(PAGE, b"\0") * 2 + bytes(PAGE))


FACTS: dict[str, Any] = {"archive": "x", "owner": list(DEAD), "nonce": 7, "segments": 2}


@pytest.mark.parametrize(
    "text",
    [
        b"[1, 2]",
        b"7",
        b"null",
        b"{{{",
        b"\xff\xfe",
        b"[" * 4000,
        b'{"a":' * 800,
        b"9" * 4000,
        b"[1, 2, 3, 4]",
        *(
            json.dumps(list({**FACTS, **change}.values())).encode()
            for change in (
                {"archive": 7},
                {"owner": "abcd"},
                {"owner": ["a", "b", 3]},
                {"owner": [*DEAD[:2], "x", "y"]},
                {"owner": [*DEAD[:2], 1 << 70, "y"]},
                {"owner": [*DEAD[:2], True, "y"]},
                {"owner": [None, [], 1, {}]},
                {"nonce": "x"},
                {"nonce": -1},
                {"nonce": 1 << 70},
                {"nonce": float("nan")},
                {"segments": 0.5},
                {"segments": -1},
                {"segments": MOST_SEGMENTS + 1},
                {"segments": 1 << 62},
            )
        ),
    ],
)
def test_a_header_that_no_process_wrote_is_none(tmp_path: Path, text: bytes) -> None:
    with Archive(tmp_path / "lab.db"):
        pass
    headed(text, tmp_path / NAME)
    assert read_header(tmp_path / NAME) is None
    with Archive(tmp_path / "lab.db") as archive:
        (waiting,) = archive.info().waiting
        assert waiting.path == str(tmp_path / NAME)


def points_of(path: Path, *slots: bytes) -> tuple[list[Any], Damage]:
    header = Header("x", DEAD, 7, 1)
    path.write_bytes(
        (header.pack().ljust(HEADER_BYTES, b"\0") + b"".join(slots)).ljust(header.file_bytes, b"\0")
    )
    damage = Damage()
    return list(read_points(path, header, 0, damage)), damage


def definition(at: int, index: int, run_id: bytes, name: bytes) -> bytes:
    first = DEFINITION.pack(HEADER_SLOTS + at, index | IS_DEFINITION, len(name), 0, run_id, 2 << 32)
    body = first + name.ljust(SLOT - 8, b"\0")
    return body + CHECK.pack(zlib.crc32(body, seed_of(0, 7)))


def point(at: int, index: int, time_ms: float) -> bytes:
    body = struct.pack("<QQqdd", HEADER_SLOTS + at, index, 5, time_ms, 1.0)
    return body + CHECK.pack(zlib.crc32(body, seed_of(0, 7)))


@pytest.mark.parametrize(("run_id", "name"), [(b"\xff" * 16, b"loss"), (b"a" * 16, b"\xff\xfe")])
def test_a_definition_that_is_no_text_is_damage(tmp_path: Path, run_id: bytes, name: bytes) -> None:
    found, damage = points_of(tmp_path / NAME, definition(0, 1, run_id, name), point(2, 1, 0.0))
    assert (found, damage.nameless) == ([], 1)


@pytest.mark.parametrize("time_ms", [float("nan"), float("inf"), -1e300, 2.0**63])
def test_a_time_that_is_none_is_damage(tmp_path: Path, time_ms: float) -> None:
    sound = definition(0, 1, b"a" * 16, b"loss")
    found, damage = points_of(tmp_path / NAME, sound, point(2, 1, 1e9), point(3, 1, time_ms))
    assert [one.time_ms for one in found] == [10**9]
    assert damage.bad_bytes == SLOT


def test_records_that_overlap_are_read_in_bounded_time(tmp_path: Path) -> None:
    """Every slot says that it begins a definition of as many slots as are left: 11 GB to check in a segment."""
    slots = SEGMENT_BYTES // SLOT
    forged = b"".join(
        DEFINITION.pack(HEADER_SLOTS + at, 1 | IS_DEFINITION, 4, 0, b"a" * 16, (slots - at) << 32)
        for at in range(slots)
    )
    checked_bytes: list[int] = []
    crc32 = zlib.crc32
    with pytest.MonkeyPatch.context() as counted:
        counted.setattr(
            zlib, "crc32", lambda data, *seed: checked_bytes.append(len(data)) or crc32(data, *seed)
        )
        found, damage = points_of(tmp_path / NAME, forged)
    assert found == []
    assert damage
    assert sum(checked_bytes) < 200 * SEGMENT_BYTES


@posix
def test_a_copy_that_is_kept_of_a_damaged_journal_follows_no_link(tmp_path: Path) -> None:
    """Its process cannot be seen and is declared dead: the journal is copied before its points are stored."""
    killed(tmp_path, "for step in range(100): run.log_metric('x', 1.0, step)")
    (journal,) = list_journals(tmp_path / "lab.db")
    header = read_header(journal)
    assert header is not None
    elsewhere = header._replace(owner=ProcessIdentity("elsewhere", "b", 5, "1"))
    journal.chmod(0o600)
    data = bytearray(journal.read_bytes())
    data[: 2 * PAGE] = elsewhere.pack()
    data[HEADER_BYTES + 20 * SLOT] ^= 1
    journal.write_bytes(data)
    precious = tmp_path / "precious"
    precious.write_text("precious")
    journal.with_name(f"{journal.name}.damaged").symlink_to(precious)
    with Archive(tmp_path / "lab.db") as archive:
        assert archive.recover(take_over=True).points == 99
    assert precious.read_text() == "precious"
