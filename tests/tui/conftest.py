"""An archive with runs of every status, long curves, NaN and hostile words."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from exptrack import Archive, RecordedRun
from tests.cli.calls import HOSTILE, MARKUP
from tests.cli.labs import copied

RUNS = 8
BEGAN = datetime(2026, 1, 2, tzinfo=UTC)


def make_run(number: int) -> RecordedRun:
    """A run that was logged; a larger number has a smaller learning rate and learns better."""
    steps = range(0, 2000, 10)
    times = [(BEGAN + timedelta(hours=number, seconds=step)).timestamp() for step in steps]
    config = {"optim": {"lr": 0.1 / 2**number, "name": "adam"}, "seed": number % 2}
    return RecordedRun(
        config,
        BEGAN + timedelta(hours=number),
        600.0 + number,
        name=f"net-{number}",
        tags=["even" if number % 2 == 0 else "odd"],
        notes=[f"note of {number}"],
        metrics={
            "val/accuracy": (steps, [1 - math.exp(-step * (number + 1) / 4000) for step in steps], times),
            "train/loss": (steps, [math.exp(-step * (number + 1) / 4000) + 0.01 for step in steps], times),
            "lr": (steps, [0.1 / 2**number] * len(steps), times),
            "system/cpu": (steps, [50.0] * len(steps), times),
        },
    )


@pytest.fixture(scope="session")
def made_lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tui") / "lab.db"
    with Archive(path) as archive:
        archive.record_runs(make_run(number) for number in range(RUNS))
        odd = archive.start_run({"note": HOSTILE}, ["odd"], name=MARKUP)
        with pytest.raises(ValueError, match="too hot"), odd as run:
            run.log({"val/accuracy": math.nan, "peak": math.inf}, 0)
            run.add_note(HOSTILE)
            run.set_attribute("odd", HOSTILE)
            run.artifacts.register_data("weights [b]x[/b] 日本語", b"w" * 4000)
            raise ValueError(f"too hot {HOSTILE}")
    return path


@pytest.fixture
def lab(made_lab: Path, tmp_path: Path) -> Iterator[Path]:
    """An archive that a test may change."""
    yield from copied(made_lab, tmp_path / "lab.db")
