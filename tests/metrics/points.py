"""Points and journals that the tests of metrics share: logged, killed, read back."""

from __future__ import annotations

import math
import signal
import textwrap
from pathlib import Path

from hypothesis import strategies as st

from exptrack import Archive, Run
from tests.strategies import INT64
from tests.warm_python import run_code

VALUES = st.one_of(
    st.sampled_from([math.nan, math.inf, -math.inf, 0.0]), st.floats(allow_nan=True, allow_infinity=True)
)
# Mostly close together, so that steps repeat and go back; sometimes as far apart as they can be.
STEPS = st.one_of(st.integers(-3, 30), st.integers(-3, 30), INT64)
POINTS = st.lists(st.tuples(STEPS, VALUES), min_size=1, max_size=40)


def logged(archive: Archive, points: list[tuple[int, float]], name: str = "loss") -> Run:
    run = archive.start_run()
    for step, value in points:
        run.log({name: value}, step)
    return run


def values_of(run: Run, name: str) -> list[tuple[int, float]]:
    return [(point.step, point.value) for point in run.get_metric(name)]


def same(a: list[float], b: list[float]) -> bool:
    """Equal, NaN included."""
    return len(a) == len(b) and all(x == y or (x != x and y != y) for x, y in zip(a, b, strict=True))


def journals(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.points*"))


def killed(folder: Path, body: str, name: str = "lab.db") -> None:
    """Run a script that logs into an archive in `folder` and then kills itself."""
    code = f"""
import os, signal, sys, exptrack
archive = exptrack.Archive({str(folder / name)!r})
run = archive.start_run()
{textwrap.dedent(body)}
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = run_code(code)
    assert (done.returncode, done.stderr) == (-signal.SIGKILL, "")
