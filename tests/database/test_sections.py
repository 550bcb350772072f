"""Changes run in a thread of their own: no exception thrown at the caller cuts one in two."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any

import pytest

from exptrack.database import sections
from exptrack.database.sections import SectionThread
from exptrack.threads import end_before_fork


@pytest.fixture
def section() -> SectionThread:
    return SectionThread()


def test_a_section_returns_and_raises_what_its_work_does(section: SectionThread) -> None:
    assert section.run(lambda: 42) == 42
    with pytest.raises(ZeroDivisionError):
        section.run(lambda: 1 // 0)
    assert section.run(lambda: 43) == 43


def test_sections_run_in_one_thread_in_the_order_of_their_calls(section: SectionThread) -> None:
    threads = {section.run(threading.get_ident) for _ in range(20)}
    assert len(threads) == 1
    assert threading.get_ident() not in threads


def test_a_call_inside_a_section_runs_in_place(section: SectionThread) -> None:
    assert section.run(lambda: section.run(threading.get_ident)) == section.run(threading.get_ident)
    assert section.run(lambda: section.is_here)
    assert not section.is_here


def test_callers_of_many_threads_each_get_their_own_result(section: SectionThread) -> None:
    results: dict[int, list[int]] = {}

    def work(number: int) -> None:
        results[number] = [section.run(lambda: number) for _ in range(100)]

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {number: [number] * 100 for number in range(8)}


def interrupt_after(delay_s: float) -> None:
    threading.Timer(delay_s, os.kill, (os.getpid(), signal.SIGINT)).start()


def test_ctrl_c_lets_a_change_under_way_end_whole(section: SectionThread) -> None:
    steps: list[str] = []

    def change() -> None:
        steps.append("begun")
        time.sleep(0.3)
        steps.append("ended")

    interrupt_after(0.1)
    with pytest.raises(KeyboardInterrupt):
        section.run(change)
    assert steps == ["begun", "ended"]
    assert section.run(lambda: 1) == 1


def test_ctrl_c_keeps_a_change_that_waits_its_turn_from_beginning(section: SectionThread) -> None:
    begun = threading.Event()
    other = threading.Thread(target=section.run, args=(lambda: (begun.set(), time.sleep(0.5)),))
    other.start()
    begun.wait()
    ran: list[int] = []
    interrupt_after(0.1)
    with pytest.raises(KeyboardInterrupt):
        section.run(lambda: ran.append(1))
    other.join()
    assert section.run(lambda: 2) == 2
    assert ran == []


def test_ctrl_c_stops_a_section_that_only_reads(section: SectionThread) -> None:
    stopped = threading.Event()
    interrupt_after(0.1)
    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        section.run(lambda: stopped.wait(4), stop=stopped.set)
    assert time.monotonic() - begun < 2


def test_a_section_learns_that_its_caller_has_given_up(section: SectionThread) -> None:
    seen: list[bool] = []

    def wait_for_a_lock() -> None:
        while not section.caller_has_given_up:
            time.sleep(0.01)
        seen.append(True)

    interrupt_after(0.1)
    with pytest.raises(KeyboardInterrupt):
        section.run(wait_for_a_lock)
    assert seen == [True]


def test_the_caller_of_a_change_that_waits_its_turn_is_free_at_once(
    section: SectionThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sections, "PATIENCE_S", 3600)
    busy, leave = threading.Event(), threading.Event()
    first = threading.Thread(target=section.run, args=(lambda: (busy.set(), leave.wait()),))
    first.start()
    busy.wait()
    ran: list[int] = []
    with pytest.raises(TimeoutError):
        section.run(lambda: ran.append(1), within_s=0)
    interrupt_after(0.1)
    with pytest.raises(KeyboardInterrupt):
        section.run(lambda: ran.append(2))
    leave.set()
    first.join()
    assert section.run(lambda: "next") == "next"
    assert ran == []


def test_a_section_begins_again_after_the_thread_has_ended(section: SectionThread) -> None:
    first = section.run(threading.get_ident), section.native_id
    assert section in sections.list_running()
    end_before_fork([section])
    assert not section.is_running
    assert section not in sections.list_running()
    assert section.run(lambda: section.is_here)
    assert (section.run(threading.get_ident), section.native_id) != first


def test_no_section_is_lost_while_the_thread_ends_again_and_again(section: SectionThread) -> None:
    """As the thread ends before each fork, while other threads queue their sections."""
    results: dict[int, list[int]] = {}

    def work(number: int) -> None:
        results[number] = [section.run(lambda turn=turn: turn) for turn in range(200)]  # type: ignore[misc]

    callers = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for caller in callers:
        caller.start()
    while any(caller.is_alive() for caller in callers):
        section.ask_to_end()
        time.sleep(0.0001)
    assert results == {number: list(range(200)) for number in range(4)}


# Interrupts at every place

# Where CPython looks for signals: after calls, at the begin of functions, at jumps back.
CHECKED = ("CALL", "RESUME", "JUMP_BACKWARD", "CALL_FUNCTION_EX")


def interrupt_at(place: int, work: Callable[[], Any]) -> bool:
    """Run `work` with a KeyboardInterrupt at the k-th place in sections.py; False where it has fewer places."""
    import dis

    left = place
    raised = False

    def local(frame: FrameType, event: str, _argument: object) -> Any:
        nonlocal left, raised
        if event == "opcode" and frame.f_code.co_filename.endswith("sections.py"):
            name = dis.opname[frame.f_code.co_code[frame.f_lasti]] if frame.f_lasti >= 0 else ""
            if name in CHECKED:
                if left == 0 and not raised:
                    raised = True
                    raise KeyboardInterrupt
                left -= 1
        return local

    def trace(frame: FrameType, _event: str, _argument: object) -> Any:
        frame.f_trace = local  # before the next: so Python 3.13 wants it
        frame.f_trace_opcodes = True
        return local

    sys._getframe().f_trace_opcodes = True  # Python 3.12 asks in settrace() whether any frame does
    sys.settrace(trace)
    try:
        work()
    except KeyboardInterrupt:
        pass
    finally:
        sys.settrace(None)
    return raised


def test_an_interrupt_at_any_place_of_the_caller_loses_no_change_half_way() -> None:
    place = 0
    while True:
        section = SectionThread()
        steps: list[int] = []

        def change(steps: list[int] = steps) -> None:
            steps.append(1)
            steps.append(2)

        if not interrupt_at(place, partial(section.run, change)):
            break
        assert section.run(lambda: "next") == "next"
        assert steps in ([], [1, 2])
        place += 1
    assert place > 5


def test_an_exception_thrown_at_the_caller_is_raised_there_and_the_change_ends(section: SectionThread) -> None:
    class Stop(Exception):
        pass

    ended = threading.Event()
    caught: list[BaseException] = []

    def call() -> None:
        try:
            section.run(lambda: (time.sleep(0.3), ended.set()))
            for _ in range(1000):
                time.sleep(0.001)
        except Stop as error:
            caught.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    time.sleep(0.1)
    assert thread.ident is not None
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(Stop))
    thread.join()
    assert ended.is_set()
    assert len(caught) == 1


def test_an_exception_that_comes_as_the_wait_ends_is_raised_at_once(
    section: SectionThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sections, "LOOK_S", 3600)  # the caller sees the exception only when the change is over
    monkeypatch.setattr(sections, "PATIENCE_S", 3600)
    working, go_on = threading.Event(), threading.Event()
    caught: list[BaseException] = []

    def call() -> None:
        try:
            section.run(lambda: (working.set(), go_on.wait()))
        except ZeroDivisionError as error:
            caught.append(error)

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    working.wait()
    assert thread.ident is not None
    error = ctypes.py_object(ZeroDivisionError)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), error)
    go_on.set()
    thread.join(60)
    assert not thread.is_alive()
    assert len(caught) == 1


def test_the_caller_leaves_a_change_that_takes_long_and_the_change_ends(
    section: SectionThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sections, "PATIENCE_S", 0.1)
    leave = threading.Event()
    steps: list[str] = []

    def change() -> None:
        steps.append("begun")
        leave.wait(20)
        steps.append("ended")

    interrupt_after(0.1)
    with pytest.raises(KeyboardInterrupt):
        section.run(change)
    assert steps == ["begun"]
    leave.set()
    assert section.run(lambda: "next") == "next"
    assert steps == ["begun", "ended"]
