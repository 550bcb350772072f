"""Raise KeyboardInterrupt at the k-th place of a call where CPython looks for signals."""

from __future__ import annotations

import dis
import os
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import exptrack

PACKAGE = os.path.dirname(os.path.abspath(exptrack.__file__)) + os.sep
# CPython runs signal handlers at the end of these, so an interrupt is raised at the opcode that follows one.
CHECKED = frozenset(
    opcode for name, opcode in dis.opmap.items() if name.startswith(("CALL", "RESUME", "JUMP_BACKWARD"))
)


def _is_ours(frame: FrameType) -> bool:
    return frame.f_code.co_filename.startswith(PACKAGE)


def _is_finalizing(frame: FrameType | None) -> bool:
    """Whether the collector has called this, for an object of any test: an exception there reaches nobody."""
    while frame is not None and _is_ours(frame):
        if frame.f_code.co_name == "__del__":
            return True
        frame = frame.f_back
    return False


def interrupt_at(place: int, call: Callable[[], Any]) -> bool:
    """Run `call`, interrupted at its k-th place inside exptrack; return whether it has that many places.

    Only the calling thread is interrupted, as by ctrl-C.
    """
    left = place
    raised = False

    def trace(frame: FrameType, _event: str, _argument: object) -> Any:
        if not _is_ours(frame) or _is_finalizing(frame):
            return None
        code, checked = frame.f_code.co_code, False

        def trace_opcodes(frame: FrameType, event: str, _argument: object) -> Any:
            nonlocal left, raised, checked
            if event == "opcode" and not raised:
                if checked:
                    if left == 0:
                        raised = True
                        raise KeyboardInterrupt
                    left -= 1
                checked = code[frame.f_lasti] in CHECKED
            return trace_opcodes

        frame.f_trace = trace_opcodes  # before the next: so Python 3.13 wants it
        frame.f_trace_opcodes = True
        return trace_opcodes

    before = sys.gettrace()
    sys._getframe().f_trace_opcodes = True  # Python 3.12 asks in settrace() whether any frame does
    sys.settrace(trace)
    try:
        call()
    except KeyboardInterrupt:
        assert raised
    finally:
        sys.settrace(before)
    return raised
