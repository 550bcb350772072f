"""A run that lets a training go on where a call of it fails: the error becomes a warning and an event.

Invariants:

- Only errors become warnings: ctrl-C, SIGTERM and every other ``BaseException`` pass.
- The start and the end of a run, and all that reads, raise as ever.
- Each kind of error is told once for each line of the program: by a warning, and by an event ``left_out``. The
  event at the end of the run has the number of calls that were left out.
- An event that cannot be stored is stored by the next call that fails, or at the end of the run.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from functools import wraps
from itertools import count
from types import FrameType
from typing import Any, Concatenate, ParamSpec, TypeVar

from exptrack.artifacts.store import ArtifactStore
from exptrack.capture.redaction import remove_secrets_and_paths
from exptrack.errors import ArchiveError, ExptrackError, warn
from exptrack.plain import describe_error
from exptrack.records import RunStatus
from exptrack.tracking.run import Run, unpickle_run

LEFT_OUT_EVENT = "left_out"
MAX_TOLD = 100  # kinds and places of one run; the later ones are only counted
_OWN_FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

_P = ParamSpec("_P")
_T = TypeVar("_T")
_S = TypeVar("_S")


class _Inside(threading.local):
    """Whether this thread is inside a call that is lenient: errors of the calls it makes reach it."""

    is_inside = False


_inside = _Inside()


class LeftOut:
    """Counts the calls of one run that failed, and tells of them. No lock: a fork may copy a held one."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._calls = count(1)
        self._count = self._told_count = 0
        self._told: set[tuple[str, str, str]] = set()
        self._waiting: list[dict[str, Any]] = []  # events that could not be stored yet

    def note(self, call: str, error: Exception) -> None:
        """Tell of a call that failed, once for each kind of error and place."""
        self._count = next(self._calls)
        place = _find_place(sys._getframe(2))
        kind = type(error).__name__
        if (call, kind, place) in self._told or len(self._told) >= MAX_TOLD:
            return
        self._told.add((call, kind, place))
        text = str(error) if isinstance(error, ExptrackError) else describe_error(error)
        message = remove_secrets_and_paths(text)
        warn(
            f"{call}() at {place} failed, and run {self._run.run_id} goes on without what it gave:"
            f" {kind}: {message}; this is said once"
        )
        self._waiting.append({"call": call, "error": kind, "message": message, "at": place})
        if not isinstance(error, ArchiveError):  # which would only be waited for once more
            self._store()

    def finish(self) -> None:
        """Store what waits, and the number of calls that were left out so far."""
        if self._count != self._told_count:
            self._told_count = self._count
            self._waiting.append({"calls": self._count})
        self._store()

    def _store(self) -> None:
        """Store the events that wait, as far as the archive takes them now."""
        while self._waiting:
            facts = self._waiting.pop(0)
            try:
                Run.append_event(self._run, LEFT_OUT_EVENT, facts)
            except ExptrackError:  # most often that for which the call failed; it was told
                self._waiting.insert(0, facts)
                return


def _find_place(frame: FrameType | None) -> str:
    """Return file and line of the program's call, without its folder."""
    while frame is not None and frame.f_code.co_filename.startswith(_OWN_FOLDER):
        frame = frame.f_back
    if frame is None:
        return "an unknown place"
    return f"{os.path.basename(frame.f_code.co_filename)}:{frame.f_lineno}"


def _leniently(
    call: Callable[Concatenate[_S, _P], _T], nothing: Callable[[], _T]
) -> Callable[Concatenate[_S, _P], _T]:
    """Return a method that does not raise: where it fails, it returns `nothing()`."""

    @wraps(call)
    def lenient(self: _S, /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        if _inside.is_inside:
            return call(self, *args, **kwargs)
        _inside.is_inside = True
        try:
            return call(self, *args, **kwargs)
        except Exception as error:
            self._left_out.note(call.__name__, error)  # type: ignore[attr-defined]
            return nothing()
        finally:
            _inside.is_inside = False

    return lenient


def _no_hash() -> str:
    return ""


def _nothing() -> None:
    return None


class LenientArtifacts(ArtifactStore):
    """The artifacts of a lenient run: what cannot be registered is left out, and its hash is empty."""

    _left_out: LeftOut

    register_data = _leniently(ArtifactStore.register_data, _no_hash)
    register_file = _leniently(ArtifactStore.register_file, _no_hash)
    register_checkpoint = _leniently(ArtifactStore.register_checkpoint, _no_hash)
    register_dir = _leniently(ArtifactStore.register_dir, _no_hash)
    set_alias = _leniently(ArtifactStore.set_alias, _nothing)
    remove_alias = _leniently(ArtifactStore.remove_alias, _nothing)
    describe = _leniently(ArtifactStore.describe, _nothing)


class LenientRun(Run):
    """A run started with ``on_error="warn"``: a call of the training loop that fails is left out."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._left_out = LeftOut(self)

    def __reduce__(self) -> tuple[Any, ...]:
        return unpickle_run, (self._connection, self.run_id, LenientRun)

    log_metric = _leniently(Run.log_metric, _nothing)
    log = _leniently(Run.log, _nothing)
    log_many = _leniently(Run.log_many, _nothing)
    log_rows = _leniently(Run.log_rows, bool)
    log_mixed = _leniently(Run.log_mixed, dict)
    log_image = _leniently(Run.log_image, _no_hash)
    log_text = _leniently(Run.log_text, _no_hash)
    log_table = _leniently(Run.log_table, _no_hash)
    log_histogram = _leniently(Run.log_histogram, _no_hash)
    add_tag = _leniently(Run.add_tag, _nothing)
    remove_tag = _leniently(Run.remove_tag, _nothing)
    add_note = _leniently(Run.add_note, _nothing)
    edit_note = _leniently(Run.edit_note, _nothing)
    remove_note = _leniently(Run.remove_note, _nothing)
    append_event = _leniently(Run.append_event, _nothing)
    set_attribute = _leniently(Run.set_attribute, _nothing)
    set_attributes = _leniently(Run.set_attributes, _nothing)
    delete_attribute = _leniently(Run.delete_attribute, _nothing)
    rename = _leniently(Run.rename, _nothing)
    set_group = _leniently(Run.set_group, _nothing)
    update_config = _leniently(Run.update_config, _nothing)
    flush = _leniently(Run.flush, _nothing)
    _beat_of_lease = _leniently(Run.beat, _nothing)

    def beat(self) -> None:
        """Store that the run is alive, as :meth:`Run.beat` does."""
        if self._pid:
            super().beat()  # for the thread of heartbeats, which tells of errors itself
        else:
            self._beat_of_lease()

    @property
    def artifacts(self) -> ArtifactStore:
        """The run's artifacts. What cannot be registered is left out."""
        store = LenientArtifacts(self._connection, self._run, self.run_id)
        store._left_out = self._left_out
        return store

    def _end(self, status: RunStatus, reason: str | None = None, traceback: str | None = None) -> None:
        self._left_out.finish()
        super()._end(status, reason, traceback)
