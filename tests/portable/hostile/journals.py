"""Journals beside an archive that no process of it wrote."""

from __future__ import annotations

import os
import random
import struct
import zlib
from pathlib import Path
from typing import Any

from exptrack.database.connection import Connection
from exptrack.metrics.journal import CHECK, DEFINITION, IS_DEFINITION, seed_of
from exptrack.metrics.journal_file import HEADER_BYTES, HEADER_SLOTS, PAGE, SLOT, Header
from exptrack.process import current_process
from tests.portable.hostile.kinds import LEFT_OUT, TAKEN, kind, patch, program


def journal(
    path: Path, owner: Any = None, archive: str | None = None, **points: tuple[str, int, float, float]
) -> Path:
    """Write a journal of these points: run id, step, time, value, by metric."""
    with Connection(path, "immutable") as lab:
        birth = lab.birth
    header = Header(archive or birth, owner or current_process()._replace(pid=999_999, started="1"), 7)
    seed = seed_of(0, 7)
    data = b""
    for index, (name, (run_id, step, time_ms, value)) in enumerate(points.items()):
        place = HEADER_SLOTS + len(data) // SLOT
        text = name.encode().ljust(40, b"\0")
        begin = DEFINITION.pack(place, index | IS_DEFINITION, len(name.encode()), 0, run_id.encode(), 2 << 32)
        record = begin + text
        data += record + CHECK.pack(zlib.crc32(record, seed))
        point = struct.pack("<QQqdd", place + 2, index, step, time_ms, value)
        data += point + CHECK.pack(zlib.crc32(point, seed))
    place = Path(f"{path}.deadbeef-999999-00000007.points")
    with open(place, "wb") as file:
        file.write(header.pack())
        file.seek(HEADER_BYTES)
        file.write(data)
        file.truncate(header.file_bytes)
    return place


def running_id(path: Path) -> str:
    with program(path) as raw:
        return str(raw.execute("SELECT run_id FROM run WHERE status = 'running'").fetchone()[0])


@kind("a journal with names and times that cannot be", TAKEN)
def _(path: Path) -> None:
    run_id = running_id(path)
    journal(
        path, **{"\x1b[2J": (run_id, 1, 1.0, 1.0), "late": (run_id, 1, 1e300, 1.0), "": (run_id, 1, 1.0, 1.0)}
    )


@kind("a journal of another archive", LEFT_OUT)
def _(path: Path) -> None:
    journal(path, archive="2020-01-01 00:00:00.000000 " + "ab" * 32, loss=(running_id(path), 99, 1.0, 1.0))


@kind("a journal that is a FIFO", TAKEN, posix=True)
def _(path: Path) -> None:
    os.mkfifo(f"{path}.deadbeef-999999-00000007.points")


@kind("a journal that is a link", TAKEN, posix=True)
def _(path: Path) -> None:
    Path(f"{path}.deadbeef-999999-00000007.points").symlink_to("/dev/zero")


@kind("a journal of holes that claims 20 GB", TAKEN, posix=True)
def _(path: Path) -> None:
    os.truncate(journal(path, loss=(running_id(path), 99, 1.0, 1.0)), 20 << 30)


@kind("a journal with a header of noise", LEFT_OUT)
def _(path: Path) -> None:
    patch(journal(path, loss=(running_id(path), 99, 1.0, 1.0)), 0, random.Random(4).randbytes(2 * PAGE))
