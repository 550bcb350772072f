"""Metrics come back from the file exactly as they went in."""

from __future__ import annotations

import math
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exptrack import Archive
from tests.effort import tries
from tests.strategies import NAMES

one_folder = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=tries(60)
)


STEPS = st.one_of(st.none(), st.integers(-5, 5), st.integers(-(2**63), 2**62))


@one_folder
@given(st.lists(st.tuples(STEPS, st.floats()), max_size=12), NAMES)
def test_metrics_come_back_as_they_were_with_their_summary(
    tmp_path: Path, points: list[tuple[int | None, float]], name: str
) -> None:
    """Repeated and decreasing steps, NaN and the infinities included; the last is the one logged last."""
    with Archive(tmp_path / "lab.db") as archive:
        run = archive.start_run()
        steps: list[int] = []
        for step, value in points:
            steps.append(step if step is not None else (max(steps) + 1 if steps else 0))
            run.log_metric(name, value, step)
        run.complete()
        pairs = zip(steps, (value for _, value in points), strict=True)
        expected = sorted(pairs, key=lambda pair: pair[0])
        found = [(point.step, point.value) for point in run.get_metric(name)]
        assert len(found) == len(expected)
        for (step, value), (step_found, value_found) in zip(expected, found, strict=True):
            assert step == step_found
            assert value == value_found or (math.isnan(value) and math.isnan(value_found))
        if points:
            last = run.get_last_metric(name)
            assert last is not None
            assert last.step == steps[-1]
            (summary,) = archive.show_run(run.run_id).metrics
            real = [value for _, value in points if not math.isnan(value)]
            assert (summary.count, summary.nan_count) == (len(points), len(points) - len(real))
            assert (summary.min, summary.max) == (min(real, default=None), max(real, default=None))
        assert archive.verify().problems == ()
