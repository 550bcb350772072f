"""Tell which runs have changed since the last look.

Each run has a sum of the hashes of all its rows, which every change of the run changes. Its points are not in
it, so those of running runs are counted. A look compares these with the ones before.

Invariant: no change is missed, whichever process makes it, and however many lie between two looks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from exptrack.database.connection import Connection, in_reading
from exptrack.runs.ownership import find_dead_runs
from exptrack.shown import shown

SUMS = "SELECT id, rows_sum FROM run WHERE deleted_at IS NULL"
POINTS_OF_RUNNING = """
SELECT s.run, sum(s.count) FROM run AS r JOIN metric_series AS s ON s.run = r.id
WHERE r.status = 'running' GROUP BY s.run
"""


@shown
class ChangedRuns(NamedTuple):
    """The row ids of runs that are new, that have changed, and that are gone or in the trash."""

    added: tuple[int, ...]
    changed: tuple[int, ...]
    removed: tuple[int, ...]

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.removed)


class _State(NamedTuple):
    sums: dict[int, int]
    points: dict[int, int]
    dead: frozenset[int]


class RunWatch:
    """Tells which runs have changed, in this process or another, since the last :meth:`read`.

    A change is anything that a run shows: its status, tags, notes, events, artifacts, attributes, points and
    heartbeat, and that its process has died. Nothing is read while the file does not change; otherwise a look
    takes about 10 ms for 20,000 runs.

    >>> from exptrack import Archive
    >>> with Archive(tmp_path / "lab.db") as archive:
    ...     watch = archive.watch_runs()
    ...     run = archive.start_run()
    ...     first = watch.read()
    ...     run.add_tag("seen")
    ...     second = watch.read()
    ...     run.complete()
    >>> len(first.added), second.changed == first.added, second.removed
    (1, True, ())
    """

    def __init__(self, connection: Connection, settle: Callable[[], None]) -> None:
        self._connection = connection
        self._settle = settle
        settle()
        self._version = connection.read_version()
        self._state = self._read_state()

    def __repr__(self) -> str:
        return f"<RunWatch of {len(self._state.sums):,} runs in {self._connection.path.name}>"

    def read(self) -> ChangedRuns:
        """Return what has changed since the last call, or since the watch was made."""
        self._settle()
        # Read before the runs, so that a change in between is seen at the next look.
        version = self._connection.read_version()
        if version == self._version and frozenset(find_dead_runs(self._connection)) == self._state.dead:
            return ChangedRuns((), (), ())
        before, self._state, self._version = self._state, self._read_state(), version
        now = self._state
        differ = {run for run, rows_sum in now.sums.items() if before.sums.get(run, rows_sum) != rows_sum}
        differ |= {run for run, points in now.points.items() if before.points.get(run, 0) != points}
        differ |= now.dead ^ before.dead
        added = now.sums.keys() - before.sums.keys()
        removed = before.sums.keys() - now.sums.keys()
        return ChangedRuns(
            tuple(sorted(added)), tuple(sorted(differ & now.sums.keys() - added)), tuple(sorted(removed))
        )

    @in_reading
    def _read_state(self) -> _State:
        sums = dict(self._connection.fold(SUMS, (), list))
        points = dict(self._connection.fold(POINTS_OF_RUNNING, (), list))
        return _State(sums, points, frozenset(find_dead_runs(self._connection)))
