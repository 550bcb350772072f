"""Reading a journal: whole records and nothing else; damage to any byte is told or changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from exptrack import Archive
from exptrack.metrics.journal import Journal
from exptrack.metrics.journal_file import HEADER_BYTES, PAGE, SEGMENT_BYTES, SEGMENT_SLOTS, SLOT
from exptrack.metrics.journal_reader import Damage, JournalPoint, read_header, read_points
from exptrack.tracking.run import Run


@pytest.fixture
def logged(archive: Archive, quiet: None) -> Iterator[tuple[Run, Journal]]:
    """A run with a single record, one of three values, and a single one again, in its journal only."""
    run = archive.start_run()
    run.log_metric("a", 1.0)
    run.log({"a": 2.0, "b": 2.0, "c": 2.0})
    run.log_metric("a", 3.0)
    assert isinstance(run._journal, Journal)
    yield run, run._journal
    run.complete()


GROUP = [("a", 2.0), ("b", 2.0), ("c", 2.0)]
ALL = [("a", 1.0), *GROUP, ("a", 3.0)]


def left(path: Path, drained: int = 0) -> tuple[list[tuple[str, float]], Damage]:
    header = read_header(path)
    assert header is not None
    damage = Damage()
    points: list[JournalPoint] = list(read_points(path, header, drained, damage))
    return [(point.name, point.value) for point in points], damage


@contextmanager
def flipped(path: Path, place: int, bits: int) -> Iterator[None]:
    """Within it, some bits of one byte of the file are others."""
    with open(path, "r+b", buffering=0) as file:
        file.seek(place)
        sound = file.read(1)
        file.seek(place)
        file.write(bytes([sound[0] ^ bits]))
        yield
        file.seek(place)
        file.write(sound)


def test_a_damaged_record_is_told_and_its_neighbours_are_there(
    logged: tuple[Run, Journal], tmp_path: Path
) -> None:
    """Every byte of a group of three is damaged in turn: the group is gone as a whole, nothing else is."""
    _, journal = logged
    whole = Path(journal.path).read_bytes()
    copy = tmp_path / "copy.points"
    copy.write_bytes(whole)
    found, damage = left(copy)
    assert (found, bool(damage)) == (ALL, False)
    assert left(copy, 3)[0] == [*GROUP, ("a", 3.0)]
    begin = (journal.at - 4) * SLOT
    for place in range(begin, begin + 3 * SLOT):
        with flipped(copy, place, 0x55):
            found, damage = left(copy)
        assert (found, damage.bad_bytes) == ([("a", 1.0), ("a", 3.0)], 3 * SLOT)


@pytest.mark.parametrize("zeros", [1, SLOT, 1000 * SLOT + 20, SEGMENT_BYTES // 2 + 4, SEGMENT_BYTES - SLOT - 3])
def test_a_kill_while_a_drained_segment_is_emptied_is_no_damage(
    archive: Archive, quiet: None, tmp_path: Path, zeros: int
) -> None:
    run = archive.start_run()
    journal = run._journal
    assert isinstance(journal, Journal)
    for step in range(SEGMENT_SLOTS + 100):
        run.log_metric("a", float(step), step)
    assert journal.epoch == 1
    drained = SEGMENT_SLOTS + 10
    content = bytearray(Path(journal.path).read_bytes())
    content[HEADER_BYTES : HEADER_BYTES + zeros] = bytes(zeros)
    copy = tmp_path / "copy.points"
    copy.write_bytes(content)
    found, damage = left(copy, drained)
    assert not damage, damage.describe()
    assert found == left(Path(journal.path), drained)[0]
    assert found[-1] == ("a", SEGMENT_SLOTS + 99.0)
    run.complete()


def test_each_flipped_bit_changes_nothing_or_is_told(logged: tuple[Run, Journal], tmp_path: Path) -> None:
    """All bytes of the points and of the definitions, and some of the zeros after them."""
    _, journal = logged
    copy = tmp_path / "copy.points"
    copy.write_bytes(Path(journal.path).read_bytes())
    end = HEADER_BYTES + SEGMENT_BYTES
    places = [
        *range(HEADER_BYTES, (journal.at + 1) * SLOT),
        *range((journal.at + 1) * SLOT, end, 50_001),
        *range(end, copy.stat().st_size, 100_003),
    ]
    silent = 0
    for number, place in enumerate(places):
        with flipped(copy, place, 1 << number % 8):
            found, damage = left(copy)
        assert found == ALL or damage, place
        assert set(found) <= set(ALL), place
        silent += not damage
    assert 0 < silent < len(places)


def test_a_flipped_bit_of_a_header_is_made_good_by_its_copy(
    logged: tuple[Run, Journal], tmp_path: Path
) -> None:
    """All bytes that a copy of the header uses, and more: the header is read as it was, and so the points."""
    _, journal = logged
    copy = tmp_path / "copy.points"
    copy.write_bytes(Path(journal.path).read_bytes())
    header = read_header(copy)
    assert header is not None
    for number, place in enumerate(place for place in range(2 * PAGE) if place % PAGE < 250):
        with flipped(copy, place, 1 << number % 8):
            assert read_header(copy) == header, place
            if not number % 25:
                found, damage = left(copy)
                assert (found, bool(damage)) == (ALL, False), place


def test_a_torn_last_record_is_not_told(logged: tuple[Run, Journal], tmp_path: Path) -> None:
    """A kill leaves the beginning of the last record, without its check."""
    run, journal = logged
    copy = tmp_path / "copy.points"
    for values in ({"a": 4.0}, {"a": 4.0, "b": 5.0, "c": 6.0}):
        before = journal.at
        copy.write_bytes(Path(journal.path).read_bytes())
        run.log(values)
        record = Path(journal.path).read_bytes()[before * SLOT : journal.at * SLOT]
        with open(copy, "r+b", buffering=0) as file:
            file.seek(before * SLOT)
            for size in range(len(record) - 8):
                found, damage = left(copy)
                assert (found[:5], bool(damage)) == (ALL, False), size
                file.write(record[size : size + 1])


@pytest.mark.parametrize("size", [0, 100, PAGE, 2 * PAGE, HEADER_BYTES, HEADER_BYTES + 3 * SLOT, 2_000_000])
def test_a_lost_end_is_told(logged: tuple[Run, Journal], tmp_path: Path, size: int) -> None:
    _, journal = logged
    copy = tmp_path / "copy.points"
    copy.write_bytes(Path(journal.path).read_bytes()[:size])
    if read_header(copy) is None:
        assert size < PAGE
        return
    found, damage = left(copy)
    assert damage.missing_bytes == journal.file.header.file_bytes - size
    assert set(found) <= set(ALL)
    assert found == ALL or size < 2_000_000


def test_the_definitions_of_other_epochs_name_the_points_of_a_damaged_one(
    archive: Archive, quiet: None, tmp_path: Path
) -> None:
    run = archive.start_run()
    assert run._writer is not None
    run._writer.stop()
    journal, count = run._writer.journal, SEGMENT_SLOTS + 100
    for step in range(count):
        run.log_metric("x", float(step), step)
    assert journal.epoch == 1
    damaged = bytearray(Path(journal.path).read_bytes())
    damaged[HEADER_BYTES + 60] ^= 1
    copy = tmp_path / "copy.points"
    copy.write_bytes(damaged)
    found, damage = left(copy)
    assert [value for _, value in found] == list(range(count))
    assert damage.bad_bytes == 2 * SLOT
    run.complete()


def test_an_epoch_that_is_gone_is_told(archive: Archive, quiet: None, tmp_path: Path) -> None:
    run = archive.start_run()
    assert run._writer is not None
    run._writer.stop()
    with run._writer.journal.lock:
        pass
    step = 0
    while run._writer.journal.epoch < 2:
        with run._writer.journal.lock:
            run._writer.journal.make_room(SEGMENT_SLOTS, grow=True)
        run.log_metric("x", float(step), step)
        step += 1
    damaged = bytearray(Path(run._writer.journal.path).read_bytes())
    begin = HEADER_BYTES + SEGMENT_BYTES
    damaged[begin : begin + SEGMENT_BYTES] = bytes(SEGMENT_BYTES)
    copy = tmp_path / "copy.points"
    copy.write_bytes(damaged)
    found, damage = left(copy)
    assert len(found) < step
    assert damage.bad_bytes == SEGMENT_BYTES
    run.complete()


def test_what_an_earlier_epoch_left_is_not_taken_again(archive: Archive, quiet: None) -> None:
    run = archive.start_run()
    step = 0
    while run._journal.epoch < 3:
        run.log_metric("x", float(step), step)
        step += 1
    assert isinstance(run._journal, Journal)
    journal = run._journal
    found, damage = left(Path(journal.path), journal.drained)
    assert [int(value) for _, value in found] == list(range(step - len(found), step))
    assert not damage
    assert len(found) < 2 * SEGMENT_SLOTS
    assert left(Path(journal.path), journal.address)[0] == []
    run.complete()
