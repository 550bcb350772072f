"""What the tests of analyses share."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, settings

from exptrack import Archive, Run
from tests.effort import tries

ROOMY = settings(
    deadline=None, max_examples=tries(30), suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def finished(archive: Archive, config: Any = None, *, name: str | None = None, **metrics: float) -> Run:
    with archive.start_run(config, name=name) as run:
        if metrics:
            run.log(metrics)
    return run
