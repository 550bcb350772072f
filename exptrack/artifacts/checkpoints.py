"""Choose a checkpoint by its step, or by the value of a metric there.

Invariant: a checkpoint is judged by the value of the metric at its step, or by the latest value before it. NaN
is worse than every number; of equal values the newer version is the best. `keep` judges in the same way.
"""

from __future__ import annotations

import json
import math
from typing import NamedTuple

from exptrack.artifacts.listing import read_artifacts
from exptrack.artifacts.retention import Retention
from exptrack.database.connection import in_reading
from exptrack.directions import guess_direction, split_words
from exptrack.errors import ArtifactNotFoundError, InvalidValueError
from exptrack.metrics.store import IS_SHOWN, nan_if_null
from exptrack.metrics.writer import drain_all
from exptrack.plain import short_repr
from exptrack.records import Artifact
from exptrack.runs.events import REWIND_EVENT
from exptrack.shown import shown
from exptrack.times import moment
from exptrack.validation import check_direction, check_name, check_step

# The steps come as JSON: one query for all checkpoints of a run.
VALUES_AT = """
SELECT w.value AS step, p.value, p.step IS NOT NULL AS found
FROM json_each(:steps) AS w
LEFT JOIN metric_point AS p ON p.series = :series AND (p.step, p.seq) = (
    SELECT q.step, q.seq FROM metric_point AS q WHERE q.series = :series AND q.step <= w.value
    ORDER BY q.step DESC, q.seq DESC LIMIT 1
)
"""
SERIES_OF_METRIC = """
SELECT s.id FROM metric_series AS s JOIN metric_name AS n ON n.id = s.metric WHERE s.run = ? AND n.name = ?
"""
METRICS_OF_RUN = f"""
SELECT n.name FROM metric_series AS s JOIN metric_name AS n ON n.id = s.metric
WHERE s.run = ? AND {IS_SHOWN} ORDER BY n.name
"""
REWINDS_OF_RUN = f"SELECT happened_at, data FROM event WHERE run = ? AND kind = '{REWIND_EVENT}' ORDER BY seq"
# The words of names, the most telling first.
HELD_OUT = (frozenset(["val", "valid", "validation", "dev", "eval"]), frozenset(["test"]))


@shown
class Checkpoint(NamedTuple):
    """A version of an artifact that has a step, and the value of a metric there.

    `value` is None if the metric has no value up to that step. `is_best` marks the best version of its name.
    """

    artifact: Artifact
    value: float | None
    is_best: bool


@shown
class CheckpointList(NamedTuple):
    """The checkpoints of a run, judged by a metric; None if the run has no metric to judge them by."""

    metric: str | None
    direction: str | None
    checkpoints: tuple[Checkpoint, ...]


class CheckpointChoice(Retention):
    """The part of :class:`ArtifactStore` that chooses among the checkpoints of a run."""

    def list_checkpoints(self, metric: str | None = None, direction: str | None = None) -> CheckpointList:
        """List every version that has a step, with the value of a metric there, and mark the best of each name.

        Left out are those past a step from which the run went on later, by ``resume_run(…, from_step=…)``.

        A version is judged by the metric's value at its step, or by the latest value before it. Without a
        `metric`, it is one whose name tells whether less or more is better: of validation data first, then of
        test data. `direction` is ``"minimize"`` or ``"maximize"``; the default is what the name tells.

        >>> from exptrack import Archive
        >>> (tmp_path / "w").write_bytes(b"weights")
        7
        >>> with Archive(tmp_path / "lab.db") as archive, archive.start_run() as run:
        ...     for step, loss in enumerate([0.9, 0.4, 0.6]):
        ...         run.log({"val_loss": loss}, step)
        ...         digest = run.artifacts.register_checkpoint("model", tmp_path / "w", step)
        ...     found = run.artifacts.list_checkpoints()
        ...     found.metric, [(one.artifact.step, one.value, one.is_best) for one in found.checkpoints]
        ('val_loss', [(0, 0.9, False), (1, 0.4, True), (2, 0.6, False)])

        Raises:
            InvalidValueError: the run has not logged the metric, or its name does not tell the direction.
        """
        drain_all(self._connection.file)
        return self._judge(metric, direction)

    @in_reading
    def _judge(self, metric: str | None, direction: str | None) -> CheckpointList:
        with self._connection.snapshot():
            made = self._read_checkpoints()
            chosen = self._choose_metric() if metric is None else check_name(metric, "metric name")
            if chosen is None:
                return CheckpointList(None, None, tuple(Checkpoint(one, None, False) for one in made))
            towards = self._choose_direction(chosen, direction)
            values = self._read_values(chosen, made)
        best: dict[str, tuple[float, int]] = {}
        sign = 1.0 if towards == "minimize" else -1.0
        for one in made:
            value = values[one.step]
            if value is not None and not math.isnan(value):
                rank = sign * value, -one.version
                best[one.name] = min(rank, best.get(one.name, rank))
        winners = {(name, -version) for name, (_value, version) in best.items()}
        return CheckpointList(
            chosen,
            towards,
            tuple(Checkpoint(one, values[one.step], (one.name, one.version) in winners) for one in made),
        )

    def get_checkpoint(
        self,
        name: str,
        *,
        step: int | None = None,
        best: str | None = None,
        direction: str | None = None,
    ) -> Artifact:
        """Return one checkpoint of a name: the newest of a `step`, or the `best` by a metric.

        `direction` is ``"minimize"`` or ``"maximize"``; the default is what the metric's name tells.

        Raises:
            ArtifactNotFoundError: the run has no such checkpoint; for a step, the error names the others.
            InvalidValueError: neither `step` nor `best` is given, or both; or the run has not logged the
                metric, or its name does not tell the direction.
        """
        checked = check_name(name, "artifact name")
        if (step is None) == (best is None):
            raise InvalidValueError("a checkpoint is chosen by its step or by a metric; give step=…, or best=…")
        if step is not None:
            wanted = check_step(step)
            made = [one for one in self._read_checkpoints() if one.name == checked]
            found = [one for one in made if one.step == wanted]
            if found:
                return found[-1]
            steps = ", ".join(str(one.step) for one in made)
            at = f"{checked} of step {wanted}" + (f" (there are {steps})" if steps else "")
            raise ArtifactNotFoundError(at, self.run_id)
        listed = self.list_checkpoints(best, direction)
        for one in listed.checkpoints:
            if one.is_best and one.artifact.name == checked:
                return one.artifact
        raise ArtifactNotFoundError(f"{checked} with a value of {best} at its step", self.run_id)

    @in_reading
    def _read_checkpoints(self) -> list[Artifact]:
        """Return the versions that have a step, without those past a step from which the run went on later."""
        with self._connection.snapshot():
            rows = self._connection.all(REWINDS_OF_RUN, (self._run,))
            made = read_artifacts(self._connection, self._run)
        rewinds = [(moment(at), json.loads(data).get("from_step")) for at, data in rows]
        # An event of the caller's own may have the name, and any data.
        known = [(at, step) for at, step in rewinds if isinstance(step, int)]
        return [
            one
            for one in made
            if one.step is not None and not any(one.created_at <= at and one.step > step for at, step in known)
        ]

    def _choose_metric(self) -> str | None:
        """Return the metric by which checkpoints are judged if none is named."""
        rows = self._connection.all(METRICS_OF_RUN, (self._run,))
        names = [name for (name,) in rows if guess_direction(name) is not None]

        def rank(name: str) -> tuple[int, str]:
            words = set(split_words(name))
            place = next((n for n, some in enumerate(HELD_OUT) if words & some), len(HELD_OUT))
            return place, name

        return min(names, key=rank, default=None)

    def _choose_direction(self, metric: str, direction: str | None) -> str:
        if direction is not None:
            return check_direction(direction)
        guessed = guess_direction(metric)
        if guessed is None:
            raise InvalidValueError(
                f"the name {short_repr(metric)} does not tell whether less or more is better; say 'minimize' or"
                " 'maximize'"
            )
        return guessed

    def _read_values(self, metric: str, made: list[Artifact]) -> dict[int | None, float | None]:
        series = self._connection.value(SERIES_OF_METRIC, (self._run, metric))
        if series is None:
            raise InvalidValueError(
                f"run {self.run_id} has not logged {short_repr(metric)}; name a metric it logged"
            )
        steps = json.dumps(sorted({one.step for one in made if one.step is not None}))
        rows = self._connection.all(VALUES_AT, {"steps": steps, "series": series})
        return {row["step"]: nan_if_null(row["value"]) if row["found"] else None for row in rows}
