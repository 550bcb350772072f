"""Summaries are exact, however the points come into the file."""

from __future__ import annotations

import math
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exptrack import Archive
from tests.effort import tries

LOGGED = st.lists(
    st.tuples(
        st.sampled_from("ab"),
        st.none() | st.integers(-3, 3),
        st.floats(),
        st.sampled_from(["", "", "flush", "resume"]),
    ),
    max_size=30,
)


@settings(deadline=None, max_examples=tries(60), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(LOGGED)
def test_summaries_are_exact_however_the_points_are_drained(
    tmp_path: Path, logged: list[tuple[str, int | None, float, str]]
) -> None:
    with Archive(tmp_path / "lab.db") as archive:
        run = archive.start_run()
        expected: dict[str, list[tuple[int, float]]] = {}
        for name, step, value, then in logged:
            points = expected.setdefault(name, [])
            chosen = step if step is not None else max((s for s, _ in points), default=-1) + 1
            points.append((chosen, value))
            run.log_metric(name, value, step)
            if then == "flush":
                run.flush()
            elif then == "resume":
                run.interrupt("a pause")
                run = archive.resume_run(run.run_id)
        run.complete()
        found = {metric.name: metric for metric in archive.show_run(run.run_id).metrics}
        assert set(found) == set(expected)
        for name, points in expected.items():
            metric = found[name]
            finite = [(step, value) for step, value in points if not math.isnan(value)]
            low = min(finite, key=lambda p: p[1], default=(None, None))
            high = max(finite, key=lambda p: p[1], default=(None, None))
            assert (metric.count, metric.nan_count) == (len(points), len(points) - len(finite))
            assert (metric.first_step, metric.last_step) == (points[0][0], points[-1][0])
            assert repr((metric.first + 0.0, metric.last + 0.0)) == repr(
                (points[0][1] + 0.0, points[-1][1] + 0.0)
            )
            assert (metric.min_step, metric.min) == low
            assert (metric.max_step, metric.max) == high
        assert archive.verify().problems == ()
