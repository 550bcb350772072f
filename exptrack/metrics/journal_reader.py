"""Read the journal of a process that has died: every sound point, and what is damaged.

Invariants:

- A point is returned only if the check of its whole record agrees, under the name in a sound definition.
- Only the last record can be torn by a kill: its check, written last, is still zero. Anything else that does
  not verify is damage, and is counted.
- Points before the address `drained` are in the archive already. They are neither returned nor checked.
- A file that was made to deceive has valid checks too. So no value in it is believed that exptrack cannot have
  written, and the bytes that are checked are limited.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from exptrack.metrics.journal import CHECK, DEFINITION, IS_DEFINITION, seed_of
from exptrack.metrics.journal_file import (
    HEADER_BYTES,
    HEADER_SLOTS,
    MOST_SEGMENTS,
    PAGE,
    SEGMENT_BYTES,
    SEGMENT_SLOTS,
    SLOT,
    SUFFIX,
    Header,
    list_journals,
    read_journal,
    unpack_header,
)
from exptrack.metrics.journal_locks import is_family_alive
from exptrack.named_tuples import NamedTuple
from exptrack.process import ProcessIdentity, current_process, is_alive

_SLOT = struct.Struct("<QQqddQ")
GUESSES = 64  # of the epoch of a segment in which no definition is sound
PROBES = 256  # slots that a guess is tried on
MOST_CHECKED = 128 * SEGMENT_BYTES  # of a segment, as records may overlap in a file that was made to deceive
LATEST_MS = 1 << 62


class JournalPoint(NamedTuple):
    """A point as it was logged, read back from a journal."""

    run_id: str
    name: str
    step: int
    time_ms: int
    value: float


class Damage:
    """What could not be read in a journal: bytes that do not verify or are missing, points without a name.

    `end` is the address after the last sound record, known when all points are read.
    """

    def __init__(self) -> None:
        self.end = 0
        self.bad_bytes = 0
        self.missing_bytes = 0
        self.nameless = 0

    def __bool__(self) -> bool:
        return bool(self.bad_bytes or self.missing_bytes or self.nameless)

    def describe(self) -> str:
        """Say how much is damaged, for a warning."""
        parts = (
            (self.bad_bytes, f"{self.bad_bytes:,} bytes do not verify (a point has {SLOT})"),
            (self.missing_bytes, f"{self.missing_bytes:,} bytes are missing at its end"),
            (self.nameless, f"the names of {self.nameless:,} points do not verify"),
        )
        return ", ".join(text for count, text in parts if count)


def read_header(path: Path) -> Header | None:
    """Return the header of a journal, or None if the file has no sound one."""
    return unpack_header(read_journal(path, 2 * PAGE))


def is_stillborn(path: Path) -> bool:
    """Return whether a process, now dead, made this file and was killed before it wrote the header."""
    if any(read_journal(path, 2 * PAGE)):
        return False
    maker = path.name[: -len(SUFFIX)].rpartition(".")[2].split("-")
    me = current_process()
    if len(maker) != 3 or maker[0] != me.host_id[:8] or not maker[1].isdecimal():
        return False
    # A recycled pid cannot be recognised here: the file then waits until that process ends too.
    try:
        os.kill(int(maker[1]), 0)
    except (ProcessLookupError, OverflowError):
        return True
    except PermissionError:
        return False
    return False


def is_owner_alive(header: Header) -> bool | None:
    """Return whether the journal's process still runs; None if it belongs to another host."""
    return is_alive(header.owner)


def has_living_family(archive: Path, owner: ProcessIdentity) -> bool:
    """Whether a process lives that was forked from `owner`, which is gone, and shares a run of this archive."""
    mark = f"-{owner.pid}-"
    try:
        paths = [path for path in list_journals(archive) if mark in path.name]
        return any(_owner_of(path) == owner and is_family_alive(path) for path in paths)
    except (FileNotFoundError, PermissionError):
        return False  # a file vanished meanwhile, or may not be read
    except OSError:
        return True  # nothing can be read now: a run that cannot be looked at is not declared dead


def _owner_of(path: Path) -> ProcessIdentity | None:
    header = read_header(path)
    return None if header is None else header.owner


_ZEROS = bytes(1 << 16)


def _find_end(data: bytes) -> int:
    """Return where the zeros at the end begin. ``rstrip`` takes 4 ms for 1 MiB of zeros, and this 0.1 ms."""
    end = len(data)
    while end >= len(_ZEROS) and data[end - len(_ZEROS) : end] == _ZEROS:
        end -= len(_ZEROS)
    begin = max(0, end - len(_ZEROS))
    return begin + len(data[begin:end].rstrip(b"\0"))


class _Segment:
    """A segment of the file that is not all zeros: its first slot, its epoch, its definitions."""

    def __init__(self, first: int, data: bytes) -> None:
        self.first = first
        self.data = data
        self.epoch: int | None = None
        self.names: dict[int, tuple[str, str]] = {}
        self._checked = 0

    def find_definitions(self, nonce: int) -> None:
        """Read the sound definitions, and take the epoch from them."""
        # The highest bit of an index is in its last byte. A slice of bytes is faster than unpacking each slot.
        for at in (at for at, byte in enumerate(self.data[2 * CHECK.size - 1 :: SLOT]) if byte & 0x80):
            begin = at * SLOT
            _, index, size, epoch, run_id, _ = DEFINITION.unpack_from(self.data, begin)
            if self.count_slots(at, seed_of(epoch, nonce)):
                self.epoch = epoch
                name = self.data[begin + SLOT : begin + SLOT + size]
                with suppress(UnicodeDecodeError):
                    self.names[index ^ IS_DEFINITION] = run_id.decode("ascii"), name.decode()

    def guess_epoch(self, nonce: int, candidates: range) -> None:
        """Find the epoch whose seed some record verifies with, from the first slot on that is not zeros."""
        begin = (len(self.data) - len(self.data.lstrip(b"\0"))) // SLOT
        for epoch in candidates:
            seed = seed_of(epoch, nonce)
            if any(self.count_slots(at, seed) for at in range(begin, begin + PROBES)):
                self.epoch = epoch
                return

    def count_slots(self, at: int, seed: int) -> int:
        """Return how many slots the record at this place has; 0 if there is no valid record."""
        begin = at * SLOT
        if begin + SLOT > len(self.data):
            return 0
        place, _index, _step, _time, _value, check = _SLOT.unpack_from(self.data, begin)
        if place != self.first + at:
            return 0
        count: int = (check >> 32) or 1
        end = begin + count * SLOT
        if end > len(self.data) or self._checked > MOST_CHECKED:
            return 0
        self._checked += end - begin
        (expected,) = CHECK.unpack_from(self.data, end - CHECK.size)
        return count if zlib.crc32(self.data[begin : end - CHECK.size], seed) == expected else 0


def read_points(path: Path, header: Header, drained: int, damage: Damage) -> Iterator[JournalPoint]:
    """Yield every sound point from the address `drained` on, in the order of logging; add to `damage`."""
    data = read_journal(path, header.file_bytes)
    damage.missing_bytes += max(0, header.file_bytes - len(data))
    segments = []
    for number, begin in enumerate(range(HEADER_BYTES, header.file_bytes, SEGMENT_BYTES)):
        content = data[begin : begin + SEGMENT_BYTES]
        if _find_end(content):
            whole = content.ljust(SEGMENT_BYTES, b"\0")
            segments.append(_Segment(HEADER_SLOTS + number * SEGMENT_SLOTS, whole))
    names: dict[int, tuple[str, str]] = {}
    for one in segments:
        one.find_definitions(header.nonce)
        names |= one.names  # an index means the same series in every epoch
    known = [one.epoch for one in segments if one.epoch is not None]
    begun = min([drained // SEGMENT_SLOTS, *known])
    for one in segments:
        if one.epoch is None:
            # It may be an epoch that is drained: the writer was killed while it filled the segment with zeros.
            candidates = range(max(0, begun - MOST_SEGMENTS), max([begun, *known]) + GUESSES)
            one.guess_epoch(header.nonce, candidates)
        if one.epoch is None:
            damage.bad_bytes += len(one.data.strip(b"\0"))
    sound = sorted((one.epoch, one.first) for one in segments if one.epoch is not None)
    by_first = {one.first: one for one in segments}
    if sound:
        # Epochs begin one after the other, and those after the drained one were not freed.
        lost = set(range(drained // SEGMENT_SLOTS + 1, sound[-1][0])) - {epoch for epoch, _ in sound}
        unknown = len(segments) - len(sound)
        damage.bad_bytes += max(0, len(lost) - unknown) * SEGMENT_BYTES
    for epoch, first in sound:
        last = epoch == sound[-1][0]
        yield from _read_segment(by_first[first], epoch, header.nonce, drained, names, damage, last)


def _read_segment(
    segment: _Segment,
    epoch: int,
    nonce: int,
    drained: int,
    names: dict[int, tuple[str, str]],
    damage: Damage,
    last: bool,
) -> Iterator[JournalPoint]:
    seed = seed_of(epoch, nonce)
    at = sound_to = max(0, drained - epoch * SEGMENT_SLOTS)
    end = -(-_find_end(segment.data) // SLOT)
    while at < end:
        count = segment.count_slots(at, seed)
        if not count:
            at += 1
            continue
        damage.bad_bytes += (at - sound_to) * SLOT
        slots = segment.data[at * SLOT : (at + count) * SLOT]
        at += count
        sound_to = at
        if CHECK.unpack_from(slots, CHECK.size)[0] & IS_DEFINITION:
            continue
        for _place, index, step, time_ms, value, _check in _SLOT.iter_unpack(slots):
            known = names.get(index)
            if known is None:
                damage.nameless += 1
            elif not abs(time_ms) < LATEST_MS:  # NaN, for instance
                damage.bad_bytes += SLOT
            else:
                yield JournalPoint(*known, step, int(time_ms), value)
    damage.end = max(damage.end, epoch * SEGMENT_SLOTS + sound_to)
    damage.bad_bytes += _measure_rest(segment, sound_to, last)


def _measure_rest(segment: _Segment, at: int, last: bool) -> int:
    """Return how many bytes after the last sound record belong to one that does not verify."""
    begin = at * SLOT
    rest = segment.data[begin : _find_end(segment.data)]
    if not any(rest[:SLOT]):
        return 0  # no record: damage among zeros
    checks = [check for *_, check in _SLOT.iter_unpack(rest.ljust(-(-len(rest) // SLOT) * SLOT, b"\0"))]
    slots, first = checks[0] >> 32, checks[0] & 0xFFFFFFFF
    torn = last and not first and not any(checks[1:]) and len(checks) <= (slots or 1)
    return 0 if torn else len(rest)
