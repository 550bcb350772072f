"""Archives that tests of commands and of what they print read.

Each is made once; a test gets a copy of the file, which it may change.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from exptrack import Archive
from tests.cli.calls import HOSTILE, MARKUP


def copied(made: Path, path: Path) -> Iterator[Path]:
    """Yield a copy of an archive, which must verify clean when the test is over."""
    shutil.copy(made, path)
    yield path
    with Archive(path) as archive:
        assert archive.verify().problems == ()


@pytest.fixture(scope="session")
def made_lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lab") / "lab.db"
    with Archive(path) as archive:
        for lr, acc in ((0.1, 0.8), (0.01, 0.9)):
            config = {"model": {"kind": "mlp"}, "optim": {"lr": lr}, "seed": 1}
            with archive.start_run(config, ["baseline"], name=f"lr{lr}", group="sweep") as run:
                for step in range(3):
                    run.log({"acc": acc - 0.1 * (2 - step), "loss": 1.0 - acc}, step)
                run.artifacts.register_data("weights.bin", b"w" * 4000)
        odd = archive.start_run({"note": HOSTILE}, ["odd"], name=MARKUP)
        with pytest.raises(ValueError, match="too hot"), odd as run:
            run.log({"loss": math.nan, "peak": math.inf}, 0)
            raise ValueError(f"too hot {HOSTILE}")
    return path


@pytest.fixture
def lab(made_lab: Path, tmp_path: Path) -> Iterator[Path]:
    """An archive with two completed runs, a failed one with NaN, and hostile words."""
    yield from copied(made_lab, tmp_path / "lab.db")


@pytest.fixture(scope="session")
def made_lr_lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lr_lab") / "lab.db"
    with Archive(path) as archive:
        for number, lr in enumerate((0.1, 0.01, 0.001)):
            config = {"lr": lr, "optim": {"amp": bool(number)}, "layers": [1, number], "big": 2**60 + number}
            with archive.start_run(config, ["base"] * bool(number), name=f"run{number}") as run:
                for step in range(40):
                    loss = math.nan if number == 2 and step >= 20 else (number + 1) / (step + 1)
                    run.log({"loss": loss, "val/acc": step / 100 + number / 10}, step)
        with pytest.raises(ValueError, match="hot"), archive.start_run({"lr": 7}, name=MARKUP) as run:
            run.log({MARKUP: 1.0, "val/acc": 0.99}, 0)
            raise ValueError("hot")
    return path


@pytest.fixture
def lr_lab(made_lr_lab: Path, tmp_path: Path) -> Iterator[Path]:
    """Three completed runs that differ in lr, the last of them diverging, and a failed one."""
    yield from copied(made_lr_lab, tmp_path / "lab.db")


@pytest.fixture(scope="session")
def made_seeds_lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("seeds_lab") / "lab.db"
    with Archive(path) as archive:
        for lr in (0.1, 0.01):
            for seed in range(3):
                config = {"lr": lr, "seed": seed, "same": "x"}
                with archive.start_run(config, ["t"], name=f"{lr}-{seed}", group="g") as run:
                    run.log({"acc": float("nan") if (lr, seed) == (0.1, 2) else 1 - lr - seed / 100}, 0)
    return path


@pytest.fixture
def seeds_lab(made_seeds_lab: Path, tmp_path: Path) -> Iterator[Path]:
    """Six completed runs: two learning rates with three seeds each; one value of the metric is NaN."""
    yield from copied(made_seeds_lab, tmp_path / "lab.db")
