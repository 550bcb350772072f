"""Work prepared in a thread: in order, each item once, and never after an error or an interrupt."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from exptrack import threads
from exptrack.portable.ahead import ITEMS_AHEAD, Ahead


def steps(count: int, seen: list[str]) -> Iterator[int | None]:
    for number in range(count):
        yield None
        seen.append(threading.current_thread().name)
        yield number


def take_all(ahead: Ahead[int]) -> list[int]:
    found = []
    while (item := ahead.take()) is not None:
        found.append(item)
    return found


def wait_until_full(seen: list[str]) -> None:
    deadline = time.monotonic() + 30
    while len(seen) < ITEMS_AHEAD:
        assert time.monotonic() < deadline
        time.sleep(0.001)


def names_of_workers() -> list[str]:
    return [one.name for one in threading.enumerate() if one.name == "exptrack-ahead"]


def test_the_caller_prepares_what_it_takes() -> None:
    seen: list[str] = []
    with Ahead(steps(5, seen)) as ahead:
        assert take_all(ahead) == [0, 1, 2, 3, 4]
        assert ahead.take() is None
    assert set(seen) == {threading.current_thread().name}


def test_the_thread_prepares_meanwhile_and_not_too_far() -> None:
    seen: list[str] = []
    with Ahead(steps(20, seen)) as ahead:
        with ahead.meanwhile():
            wait_until_full(seen)
        assert set(seen) == {"exptrack-ahead"}
        assert len(seen) == ITEMS_AHEAD
        assert take_all(ahead) == list(range(20))
        with ahead.meanwhile():
            assert ahead.take() is None
    assert names_of_workers() == []
    assert not any("ahead" in repr(one) for one in threads.list_workers())


def test_an_error_of_the_thread_is_raised_by_each_later_take() -> None:
    failed = threading.Event()

    def fail() -> Iterator[int | None]:
        yield 1
        failed.set()
        raise ValueError("damaged")

    with Ahead(fail()) as ahead:
        with ahead.meanwhile():
            assert failed.wait(30)
        assert ahead.take() == 1
        for _ in range(2):
            with pytest.raises(ValueError, match="damaged"):
                ahead.take()
    assert names_of_workers() == []


def test_an_interrupt_of_the_caller_ends_the_thread() -> None:
    seen: list[str] = []
    with pytest.raises(KeyboardInterrupt), Ahead(steps(20, seen)) as ahead, ahead.meanwhile():
        wait_until_full(seen)
        raise KeyboardInterrupt
    assert names_of_workers() == []

    def interrupt() -> Iterator[int | None]:
        yield None
        raise KeyboardInterrupt

    with Ahead(interrupt()) as ahead:
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                ahead.take()


def test_no_room_for_a_thread_loses_time_only(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    with Ahead(steps(3, seen)) as ahead:
        with monkeypatch.context() as patch:
            patch.setattr(threads.Worker, "begin", lambda _self: False)
            with ahead.meanwhile():
                assert ahead.take() == 0
        assert take_all(ahead) == [1, 2]
    assert set(seen) == {threading.current_thread().name}
