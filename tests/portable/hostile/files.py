"""Files that are no archives, or have something else beside them."""

from __future__ import annotations

import os
import random
import socket
import struct
from pathlib import Path

from tests.portable.hostile.kinds import REFUSED, TAKEN, edit, kind, page_bytes_of, patch


@kind("an empty file", REFUSED)
def _(path: Path) -> None:
    os.truncate(path, 0)


@kind("a text file", REFUSED)
def _(path: Path) -> None:
    path.write_text("step,loss\n0,1.0\n" * 1000)


@kind("noise, as if encrypted", REFUSED)
def _(path: Path) -> None:
    path.write_bytes(random.Random(1).randbytes(100_000))


@kind("noise behind our header", REFUSED)
def _(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100] + random.Random(1).randbytes(100_000))


@kind("a header alone", REFUSED)
def _(path: Path) -> None:
    os.truncate(path, 100)


@kind("a file that is cut in the middle", REFUSED)
def _(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


@kind("a database of another program", REFUSED)
def _(path: Path) -> None:
    path.unlink()
    edit(path, "CREATE TABLE bookmark (url TEXT)")


@kind("a database without a table, under our number", REFUSED)
def _(path: Path) -> None:
    path.unlink()
    edit(path, f"PRAGMA application_id = {0x45585054}; PRAGMA user_version = 1; VACUUM")


@kind("nothing", REFUSED)
def _(path: Path) -> None:
    path.unlink()


@kind("a FIFO", REFUSED, posix=True)
def _(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@kind("a link to a FIFO", REFUSED, posix=True)
def _(path: Path) -> None:
    path.unlink()
    os.mkfifo(path.with_name("pipe"))
    path.symlink_to("pipe")


@kind("a link to an endless device", REFUSED, posix=True)
def _(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


@kind("a circle of links", REFUSED, posix=True)
def _(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.with_name("other"))
    path.with_name("other").symlink_to(path)


@kind("a socket", REFUSED, posix=True)
def _(path: Path) -> None:
    path.unlink()
    with socket.socket(socket.AF_UNIX) as one:
        here = os.getcwd()
        os.chdir(path.parent)
        one.bind(path.name)
        os.chdir(here)


@kind("a FIFO in the place of the -wal", REFUSED, posix=True)
def _(path: Path) -> None:
    os.mkfifo(f"{path}-wal")


@kind("a link in the place of the -wal", REFUSED, posix=True)
def _(path: Path) -> None:
    Path(f"{path}-wal").symlink_to("/etc/passwd")


@kind("noise in the -wal", TAKEN)
def _(path: Path) -> None:
    Path(f"{path}-wal").write_bytes(random.Random(2).randbytes(40_000))


@kind("a journal that names a file to be deleted", REFUSED)
def _(path: Path) -> None:
    victim = os.fsencode(path.parent.parent / "precious")
    head = bytes.fromhex("d9d505f920a163d7") + struct.pack(">IIIII", 0, 1, 5, 512, 4096)
    name = struct.pack(">I", 1) + victim + struct.pack(">II", len(victim), sum(victim))
    Path(f"{path}-journal").write_bytes(head.ljust(512, b"\0") + name + bytes.fromhex("d9d505f920a163d7"))


@kind("a journal of noise", TAKEN)
def _(path: Path) -> None:
    Path(f"{path}-journal").write_bytes(random.Random(3).randbytes(10_000))


@kind("a journal that cuts the file to one page", REFUSED)
def _(path: Path) -> None:
    head = bytes.fromhex("d9d505f920a163d7") + struct.pack(">IIIII", 0, 1, 1, 512, page_bytes_of(path))
    Path(f"{path}-journal").write_bytes(head.ljust(512, b"\0"))


def write_wal(path: Path, frames: list[tuple[int, int, bytes]]) -> None:
    """Write a log of frames: page, pages after the commit, content; with checksums that agree."""
    size = page_bytes_of(path)
    patch(path, 18, b"\2\2")
    head = struct.pack(">IIIIII", 0x377F0682, 3007000, size, 0, 7, 9)

    def checksum(data: bytes, state: tuple[int, int]) -> tuple[int, int]:
        one, two = state
        for first, second in struct.iter_unpack("<II", data):
            one = (one + first + two) & 0xFFFFFFFF
            two = (two + second + one) & 0xFFFFFFFF
        return one, two

    state = checksum(head, (0, 0))
    out = head + struct.pack(">II", *state)
    for page, pages, content in frames:
        begin = struct.pack(">II", page, pages)
        state = checksum(begin + content, state)
        out += begin + struct.pack(">IIII", 7, 9, *state) + content
    Path(f"{path}-wal").write_bytes(out)


@kind("a -wal that claims the last page there can be", REFUSED)
def _(path: Path) -> None:
    write_wal(path, [(0xFFFFFFFD, 0xFFFFFFFD, bytes(page_bytes_of(path)))])


@kind("a -wal of zeros for the first page", REFUSED)
def _(path: Path) -> None:
    size = page_bytes_of(path)
    write_wal(path, [(1, path.stat().st_size // size, bytes(size))])


@kind("a file of holes that claims a terabyte", REFUSED, posix=True)
def _(path: Path) -> None:
    pages = (1 << 40) // page_bytes_of(path)
    patch(path, 28, struct.pack(">I", pages))
    os.truncate(path, 1 << 40)
