"""What the hooks call: record a config, a metric or a file with the run of this process.

Invariants:

- Nothing raises into the script. The first failure of a kind is a warning and an event; more of the kind are
  silent. With ``EXPTRACK_STRICT=1`` it raises, for tests.
- A forked worker records nothing: what it does is a part of what its parent does.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from exptrack.capture.paths import belongs_to_installation, find_main_script
from exptrack.capture.redaction import is_secret_name, remove_secrets_and_paths
from exptrack.config.exp_config import ExpConfig
from exptrack.config.growth import read_addition
from exptrack.errors import ExptrackError, RunFinishedError, warn
from exptrack.known_secrets import REDACTED, know_secret
from exptrack.plain import describe_error
from exptrack.records import ConfigSource
from exptrack.tracking.run import Run

STRICT_VARIABLE = "EXPTRACK_STRICT"
FAILED_EVENT = "hook_failed"
# Libraries that read the process's arguments for themselves, or by another hook.
FOREIGN = frozenset(["hydra", "_pytest", "unittest", "jsonargparse", "IPython", "exptrack", "fire", "tyro"])
HARMLESS = ("", "none", "true", "false", "null")


class Recorder:
    """Records with the run that `find_run` returns. It is asked at the first thing to record."""

    def __init__(self, find_run: Callable[[], Run], *, only_own_scripts: bool = False) -> None:
        self._find_run = find_run
        self._only_own_scripts = only_own_scripts
        self._runs: list[Run] = []  # the innermost last: a job of Hydra has its own
        self._pid = os.getpid()
        self._told: set[str] = set()
        self._inside = threading.local()
        self._arguments = [sys.argv[1:]]  # what counts as the arguments of this process

    @property
    def is_here(self) -> bool:
        """Whether this process records: it is no worker that was forked, and no launcher or tool."""
        if self._only_own_scripts:
            # Known only once Python has begun with its script.
            script = find_main_script()
            if script is not None and belongs_to_installation(script):
                return False
        return os.getpid() == self._pid

    @property
    def run(self) -> Run:
        """The run to record with."""
        if not self._runs:
            self._runs.append(self._find_run())
        return self._runs[-1]

    @contextmanager
    def recording_with(self, run: Run) -> Iterator[None]:
        """Record with another run inside the block."""
        first = self.run
        self._runs = [first, run]
        try:
            yield
        finally:
            self._runs = [first]

    @contextmanager
    def guarding(self, what: str) -> Iterator[None]:
        """Turn an error inside the block into a warning and an event, once for each `what`."""
        try:
            yield
        except Exception as error:
            if os.environ.get(STRICT_VARIABLE) == "1":
                raise
            if what not in self._told:
                self._told.add(what)
                said = remove_secrets_and_paths(describe_error(error))
                warn(f"what {what} did is not recorded whole: {said}; this is said once")
                with suppress(ExptrackError):  # it was told, and most often has the same reason
                    self.run.append_event(FAILED_EVENT, {"hook": what, "error": said})

    @contextmanager
    def alone(self, what: str) -> Iterator[bool]:
        """Tell whether the block is the outermost one of `what` in this thread, of a process that records."""
        depth = getattr(self._inside, what, 0)
        setattr(self._inside, what, depth + 1)
        try:
            yield depth == 0 and self.is_here
        finally:
            setattr(self._inside, what, depth)

    # Arguments

    def are_own_arguments(self, given: object) -> bool:
        """Whether a parser is given what this process was started with: None, or an equal list."""
        if given is None:
            return True
        words = list(given) if isinstance(given, (list, tuple)) else None
        return words is not None and (words == sys.argv[1:] or words in self._arguments)

    def note_rest(self, rest: object) -> None:
        """Note the arguments that one parser left to the next."""
        if isinstance(rest, list) and rest and rest not in self._arguments:
            self._arguments.append(list(rest))

    # What is recorded

    def record_config(self, values: Mapping[str, Any], defaults: Collection[str], source: str) -> None:
        """Add values to the run's config, in place of earlier ones. Commits.

        `defaults` are the keys that nobody has set; `source` names the library that tells of them.
        """
        for kind in ("default", "override"):
            part = {key: value for key, value in values.items() if (key in defaults) == (kind == "default")}
            if not part:
                continue
            addition = read_addition(ExpConfig.from_loose(_hide(part)), kind)
            sources = {
                key: ConfigSource(one.kind, source if one.kind == "default" else one.name, one.line)
                for key, one in addition.sources.items()
            }
            self.run._grow(addition._replace(sources=sources), allow_change=True)

    def record_point(self, name: str, value: object, step: object, time: float | None) -> None:
        """Log one value, also if the script has ended its run. Crash-safe."""
        at = _read_step(step)
        try:
            self.run.log_metric(name, value, at, time)
        except RunFinishedError:
            self.run.log_rows([(name, value, at, time)])


def _hide(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values with those hidden, here and in every text from now on, whose name is that of a secret."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            found[key] = _hide(value)
        elif isinstance(value, str) and is_secret_name(str(key)) and value.lower() not in HARMLESS:
            know_secret(value, REDACTED)
            found[key] = REDACTED
        else:
            found[key] = value
    return found


def _read_step(step: Any) -> int | None:
    """Return a step as a whole number; libraries have it as 3.0 or as a number of numpy."""
    if step is None:
        return None
    number = int(step)
    if number != step:
        raise ValueError(f"the step {step!r} is not a whole number")
    return number
