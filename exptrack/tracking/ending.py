"""Tell how the script ended, when the interpreter exits.

Invariant: an error counts only if it went up to the interpreter itself. Test runners and consoles inside a
script catch theirs in a frame of their own, and keep it.
"""

from __future__ import annotations

import sys
import threading
from contextlib import suppress
from types import FrameType

from exptrack.capture.redaction import escape_surrogates
from exptrack.plain import plain, short_repr

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


# Programs end with 128 and the number of the signal that stopped them: SIGINT and SIGTERM.
STOPPED = {130: "interrupted from the keyboard", 143: "terminated by SIGTERM"}

_last_exit: SystemExit | None = None
_told: list[BaseException | None] = []  # how the script ended, by the word of the program that executed it


def tell_end(error: BaseException | None) -> None:
    """Say how the script has ended: by an exception that is on its way to the interpreter, or by itself."""
    _told.append(error)


def find_ending_error() -> BaseException | None:
    """Return the exception that ended the script; None at a prompt, where no exception ends the interpreter.

    A prompt (IPython, a notebook, ``python -i``) keeps the error of whatever cell failed last, for ever.
    """
    if _told:
        return None if isinstance(_told[-1], SystemExit) else _told[-1]
    if _is_prompt():
        return None
    error: BaseException | None = getattr(sys, "last_exc", None) or getattr(sys, "last_value", None)
    return error if error is not None and _left_the_script(error) else None


def repeat_interrupt() -> None:
    """Let the interpreter end by the signal of a ctrl-C that nobody handled, as it was about to.

    It forgets the signal as soon as any text is executed, as the import of a dataclass does, and would then end
    by 1. Text that raises the same exception reminds it.
    """
    error = find_ending_error()
    trace = None if error is None else error.__traceback__
    # A console inside a script shows the same exception to the same hook, and goes on.
    has_left = bool(_told) or (trace is not None and trace.tb_frame.f_back is None)
    if type(error) is KeyboardInterrupt and has_left:
        with suppress(KeyboardInterrupt):
            exec("raise KeyboardInterrupt")


def _is_prompt() -> bool:
    return hasattr(sys, "ps1") or bool(sys.flags.interactive)


def _left_the_script(error: BaseException) -> bool:
    trace = error.__traceback__
    if trace is None:  # something has removed it; nothing speaks against the error
        return True
    outermost, script = trace.tb_frame, sys.modules.get("__main__")
    # `python -m` starts a module by a function of runpy.
    return outermost.f_globals is getattr(script, "__dict__", None) or (
        outermost.f_code.co_name == "_run_module_as_main"
    )


# sys.exit()


def watch_exits() -> None:
    """Notice each call of ``sys.exit`` from now on: Python keeps no trace of the exit that ends a script."""
    original = sys.exit
    if getattr(original, "is_watched_by_exptrack", False):
        return

    def watched_exit(*status: object) -> NoReturn:
        try:
            original(*status)  # type: ignore[arg-type]
        except SystemExit as error:
            note_exit(error)
            raise

    watched_exit.is_watched_by_exptrack = True  # type: ignore[attr-defined]
    watched_exit.__doc__ = original.__doc__
    sys.exit = watched_exit


def note_exit(error: SystemExit) -> None:
    """Remember an exit that may end the script. In another thread it ends that thread only."""
    global _last_exit
    if threading.current_thread() is threading.main_thread():
        _last_exit = error


def find_exit() -> SystemExit | None:
    """Return the exit that ended the script, if it was noticed."""
    if _told:
        return _told[-1] if isinstance(_told[-1], SystemExit) else None
    error = _last_exit
    if error is None or _is_prompt():
        return None
    trace = error.__traceback__
    if trace is None:  # no frame has caught it, not even to raise it again
        return error
    # The last frame that caught it is the outermost one. Before Python 3.12, frames that did not are left out.
    is_whole = sys.version_info >= (3, 12)
    return None if _has_returned(trace.tb_frame) or (is_whole and not _left_the_script(error)) else error


def _has_returned(frame: FrameType) -> bool:
    """Whether a frame went on after it caught an exception, up to its end."""
    import opcode

    last = frame.f_lasti
    return last >= 0 and opcode.opname[frame.f_code.co_code[last]].startswith("RETURN_")


def describe_exit(error: SystemExit) -> str:
    """Return the reason of a run that failed by an exit: its message, or its code.

    A message may name a file whose name is not UTF-8.
    """
    code = plain(error.code)
    return escape_surrogates(code) if type(code) is str else f"exit code {short_repr(code)}"


def find_stop(error: SystemExit) -> str | None:
    """Return the reason of a run that an exit interrupted: its code says that a signal stopped the script."""
    code = plain(error.code)
    return STOPPED.get(code) if type(code) is int else None


def has_failed(error: SystemExit) -> bool:
    """Whether an exit tells of a failure. Python ends with code 0 for None, 0 and False alone."""
    code = plain(error.code)
    return code is not None and not (type(code) in (int, bool) and code == 0)
