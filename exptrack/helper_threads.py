"""Let one more thread do pieces of work while the caller goes on."""

from __future__ import annotations

import _thread
import threading
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from typing import Generic, ParamSpec, TypeVar

TURN_S = 0.2  # a signal that another thread receives does not wake one that waits; it is seen at the next turn
_P = ParamSpec("_P")
_T = TypeVar("_T")


class Outcome(Generic[_T]):
    """What a piece of work will return or raise.

    It waits on a bare lock: a ``Future`` has a lock of its own, which an interrupt can leave held.
    """

    __slots__ = ("_error", "_over", "_result")

    def __init__(self) -> None:
        self._over = _thread.allocate_lock()
        self._over.acquire()
        self._error: BaseException | None = None

    def settle(self, work: Callable[[], _T]) -> None:
        """Call `work` and keep what it returns or raises."""
        try:
            self._result = work()
        except BaseException as error:  # whatever it is, whoever asks for the result gets it
            self._error = error
        self._over.release()

    @property
    def is_over(self) -> bool:
        """Whether :meth:`result` returns at once."""
        return not self._over.locked()

    def result(self) -> _T:
        """Wait for the work; return what it returned, or raise what it raised."""
        while not self._over.acquire(timeout=TURN_S):
            pass
        self._over.release()
        if self._error is not None:
            raise self._error
        return self._result


class Helper:
    """One more thread, which does pieces of work in their order while a ``with`` block lasts.

    ``ThreadPoolExecutor`` refuses work once the main thread has ended; the program's other threads go on then.
    Where the system has no room for a thread, :meth:`submit` does the work itself.
    """

    def __init__(self, name: str) -> None:
        self._tasks: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread: threading.Thread | None = threading.Thread(target=self._run, name=name, daemon=True)
        self._leaves_out = False

    def __enter__(self) -> Helper:
        assert self._thread is not None
        try:
            self._thread.start()
        except RuntimeError:
            self._thread = None
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        """Wait until all work is done; after an exception, only until the piece under way is."""
        self._leaves_out = error is not None
        if self._thread is not None:
            self._tasks.put(None)
            self._thread.join()

    def submit(self, work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> Outcome[_T]:
        """Let the thread call `work` with these arguments; return what will have its result."""
        outcome = Outcome[_T]()
        settle = partial(outcome.settle, partial(work, *args, **kwargs))
        if self._thread is None:
            settle()
        else:
            self._tasks.put(settle)
        return outcome

    def _run(self) -> None:
        while (task := self._tasks.get()) is not None:
            if not self._leaves_out:
                task()
            del task  # with the bytes it worked on, while this waits for the next one
