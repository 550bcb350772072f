"""The demo trains real models offline, and says what it needs."""

from __future__ import annotations

import io
import sys
import warnings
from pathlib import Path

import pytest

from exptrack import Archive
from tests.cli.calls import call


def test_the_demo_trains_records_and_explains(tmp_path: Path) -> None:
    """One real demo: learning curves, verified archive, no pickles, and no warnings."""
    import numpy

    path = tmp_path / "demo.db"
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        result = call(path, "demo")
    assert [str(w.message) for w in heard if "sklearn" in str(w.filename)] == []
    assert result.exit_code == 0
    for word in ("best val_accuracy --max", "diff ", "SELECT", str(path), "Next:"):
        assert word in result.stdout
    assert "Warning" not in result.stderr
    with Archive(path) as archive:
        runs = archive.list_runs()
        assert len(runs) >= 12
        assert {run.group for run in runs} == {"digits"}
        assert len({run.family for run in runs}) < len(runs), "some configs differ by seed alone"
        best = archive.best_run("val_accuracy", "maximize")
        assert best is not None
        assert best.metrics["val_accuracy"] > 0.9
        (loss,) = [m for m in archive.show_run(best.run_id).metrics if m.name == "train_loss"]
        assert loss.count == 20
        assert loss.last < loss.first
        data = archive.artifacts(best.run_id).get_blob("model.npz")
        assert isinstance(data, bytes)
        with numpy.load(io.BytesIO(data), allow_pickle=False) as arrays:
            assert len(arrays.files) >= 2
        confusion = archive.artifacts(best.run_id).get_table("confusion")
        right = sum(int(confusion[f"taken for {digit}"][digit]) for digit in range(10))
        cells = [int(cell) for name, column in confusion.items() if name != "digit" for cell in column]
        assert right / sum(cells) == pytest.approx(best.metrics["val_accuracy"])
        assert "precision" in str(archive.artifacts(best.run_id).get_blob("report.txt"))
        assert archive.verify().problems == ()


def test_the_demo_without_scikit_learn_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("sklearn", "sklearn.datasets"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setenv("EXPTRACK_DB", "own.db")
    for words in ((), ("demo.db",)):
        result = call(None, "demo", "--json", *words)
        assert result.exit_code != 0
        assert "exptrack-archive[demo]" in result.stderr
    assert list(Path().iterdir()) == []
