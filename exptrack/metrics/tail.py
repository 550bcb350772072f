"""Follow metrics while they grow: each read returns the points logged since the last read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

from exptrack.database.connection import Connection, Row, in_reading
from exptrack.database.damage import decoding_rows
from exptrack.errors import InvalidValueError, RunNotFoundError
from exptrack.metrics.series import Buffers, Series, collect_in_python, read_points
from exptrack.metrics.writer import drain_all
from exptrack.plain import short_repr
from exptrack.shown import shown
from exptrack.times import moment
from exptrack.validation import INT64_MAX, INT64_MIN, check_text

HEADS = """
SELECT r.run_id, r.started_at, s.id, s.count, s.last_time_ms, n.name
FROM run AS r
LEFT JOIN metric_series AS s ON s.run = r.id
LEFT JOIN metric_name AS n ON n.id = s.metric
WHERE r.run_id IN (SELECT value FROM json_each(:runs))
ORDER BY r.run_id, n.name
"""
LAST_KEY = "SELECT step, seq FROM metric_point WHERE series = ? ORDER BY step DESC, seq DESC LIMIT 1"
POINTS_AFTER = """
SELECT step, time_ms, value FROM metric_point
WHERE series = :series AND (step, seq) > (:step, :seq) ORDER BY step, seq
"""


@shown
class Update(NamedTuple):
    """New points of one series. If `replaces` is true, they are all its points: drop those read before."""

    series: Series
    replaces: bool


class Tail:
    """Reads new points of some runs' metrics, logged in this process or in another.

    Each `read` costs one query while nothing is new. Otherwise it reads the points after the largest step
    seen. If points were logged at or below that step (a resumed run, steps that repeat or go back), it reads
    that series again from the start. The update's `replaces` is then true.

    >>> from exptrack import Archive
    >>> with Archive(tmp_path / "lab.db") as archive, archive.start_run() as run:
    ...     tail = archive.tail(run, ["loss"])
    ...     run.log({"loss": 0.5}, step=0)
    ...     first = tail.read()
    ...     run.log({"loss": 0.4}, step=1)
    ...     [update.series.lists()["step"] for update in (*first, *tail.read(), *tail.read())]
    [[0], [1]]
    """

    def __init__(self, connection: Connection, run_ids: Sequence[str], names: Sequence[str] | None) -> None:
        self._connection = connection
        self._run_ids = run_ids
        self._wanted = json.dumps(list(run_ids))
        self._names = None if names is None else frozenset(names)
        # By series (run id and name): how many points were read, and the key of the last of them.
        self._seen: dict[tuple[str, str], tuple[int, int, int]] = {}

    def __repr__(self) -> str:
        what = "all metrics" if self._names is None else f"{len(self._names):,} metrics"
        return f"<Tail of {what} of {len(self._run_ids):,} runs>"

    @property
    def cursor(self) -> str:
        """What was read so far, as a line of ASCII: pass it to :meth:`exptrack.Archive.tail` to go on later."""
        return json.dumps([[*key, *seen] for key, seen in self._seen.items()], separators=(",", ":"))

    def go_to(self, cursor: object) -> None:
        """Go on where the tail was that gave this cursor.

        Raises:
            InvalidValueError: no tail gave this text.
        """
        text = check_text(cursor, "cursor")
        try:
            seen = {(run_id, name): (count, step, seq) for run_id, name, count, step, seq in json.loads(text)}
            is_sound = all(isinstance(word, str) for key in seen for word in key) and all(
                type(number) is int and INT64_MIN <= number <= INT64_MAX
                for numbers in seen.values()
                for number in numbers
            )
        except (ValueError, TypeError, RecursionError):
            is_sound = False
        if not is_sound:
            raise InvalidValueError(
                f"{short_repr(text)} is not the cursor of a tail; begin without one, or give one unchanged"
            )
        self._seen = seen

    @in_reading
    def skip(self) -> None:
        """Pass over every point logged so far; the next read returns only later ones.

        Raises:
            RunNotFoundError: a run has been deleted.
        """
        drain_all(self._connection.file)
        with self._connection.snapshot():
            for row in self._read_heads():
                self._note(row)

    @in_reading
    def read(self) -> list[Update]:
        """Return the new points of each series that has any; an empty list if nothing is new.

        Raises:
            RunNotFoundError: a run has been deleted.
        """
        drain_all(self._connection.file)
        updates = []
        # Read counts and points in one snapshot; otherwise a point logged in between would be read twice.
        with self._connection.snapshot():
            for row in self._read_heads():
                count, _step, _seq = self._seen.get((row["run_id"], row["name"]), (0, 0, 0))
                if row["count"] != count:
                    updates.append(self._update(row))
        return updates

    def _read_heads(self) -> list[Row]:
        """Read the series that are followed."""
        rows = self._connection.all(HEADS, {"runs": self._wanted})
        present = {row["run_id"] for row in rows}
        for run_id in self._run_ids:
            if run_id not in present:
                raise RunNotFoundError(run_id, str(self._connection.path))
        followed = [row for row in rows if row["id"] is not None]
        return [row for row in followed if self._names is None or row["name"] in self._names]

    def _note(self, row: Row) -> None:
        """Remember that all points of a series were seen."""
        last = self._connection.one(LAST_KEY, (row["id"],))
        self._seen[row["run_id"], row["name"]] = (row["count"], *last) if last else (0, 0, 0)

    @decoding_rows
    def _update(self, row: Row) -> Update:
        series, key = row["id"], (row["run_id"], row["name"])
        count, step, seq = self._seen.get(key, (0, 0, 0))
        buffers: Buffers | None = None
        if count:
            after = {"series": series, "step": step, "seq": seq}
            buffers = self._connection.fold(POINTS_AFTER, after, collect_in_python)
            if len(buffers[0]) != row["count"] - count:
                buffers = None
        replaces = buffers is None and count > 0
        if buffers is None:
            buffers = read_points(
                self._connection, series, row["count"], row["last_time_ms"], INT64_MIN, INT64_MAX
            )
        self._note(row)
        return Update(Series(*key, moment(row["started_at"]), *buffers), replaces)
