"""A small archive that uses every table of the schema, finished and live, for tests that damage it."""

from __future__ import annotations

import math
import os
import sqlite3
from pathlib import Path
from unittest.mock import patch

import exptrack
from exptrack import Archive, Sampler
from exptrack.artifacts import blobs
from exptrack.metrics import levels, series_seals
from tests.portable.seals import seal_in_place

WORDS = "to be or not to be, that is the question\n" * 40


def build(path: Path) -> None:
    """Write the archive to `path`: a copy made while a run, a trial and an intake of bytes are under way."""
    folder = path.with_name("tree")
    (folder / "sub").mkdir(parents=True)
    (folder / "a.txt").write_text(WORDS)
    (folder / "sub" / "b.bin").write_bytes(bytes(range(256)) * 8)
    source = path.with_name("live.db")
    with Archive(source) as archive:
        previous = None
        for number in range(3):
            config = {"lr": 0.1 * (number + 1), "opt": {"name": "adam", "betas": [0.9, 0.99]}, "big": 2**60 + 1}
            words = {"name": f"run {number}", "group": "first", "parent": previous, "data": {"train": "s3://x"}}
            run = archive.start_run(config, ["smoke", f"tag{number}"], **words)  # type: ignore[arg-type]
            for step in range(12):
                run.log({"loss": 1.0 / (step + number + 1), "acc": 0.07 * step}, step)
            run.log({"loss": 0.123456789}, 3)
            run.add_note(f"the labels of epoch {number} are wrong")
            run.append_event("milestone", {"epoch": number, "words": ["a", "b"]})
            run.artifacts.register_data("words", WORDS[: 300 + number], {"lines": number})
            run.artifacts.register_data("weights", os.urandom(900))
            run.artifacts.register_dir("tree", folder)
            run.artifacts.set_alias("weights", "best")
            run.artifacts.describe("weights", "after the last epoch")
            run.set_attributes({"note": "slow", "best": 0.5, "steps": 2**60 + 1, "worst": math.nan, "gone": 1})
            run.delete_attribute("gone")
            run.log_rows([("loss", 0.25, 20), ("acc", 1.0, 20)], source="worker", sequence=number)
            run.log_table("rows", [{"truth": "cat", "n": 3}, {"truth": "dog", "n": 4}])
            if previous is not None:
                run.use_artifact(f"{previous.run_id}/words")
            if number == 1:
                run.artifacts.register_data("words", "second version")
                run.artifacts.remove("words", 1)
                run.remove_tag("smoke")
            run.fail("out of memory") if number == 2 else run.complete()
            previous = run
        archive.set_group_attribute("first", "owner", "ada")
        archive.create_group("empty")
        archive.trash_group("empty")
        study = archive.create_study("widths", "maximize", sampler=Sampler.random(seed=1), metric="acc")

        def objective(trial: exptrack.Trial) -> float:
            trial.suggest_choice("act", ["relu", "tanh"])
            value = trial.suggest_float("lr", 0.1, 1.0)
            trial.report(0, value)
            trial.report(1, value / 3)
            return value

        study.optimize(objective, n_trials=2)
        study.optuna_study.set_user_attr("owner", {"team": "vision"})
        open_trial = study.ask()
        open_trial.suggest_int("depth", 2, 9)
        open_trial.optuna_trial.set_user_attr("note", "slow")
        archive.set_group_attribute("first", "owner", "ada")
        archive.create_view("best", ["config.lr", "metrics.loss"])
        archive.save_page_view("failed", "/runs?where=status+%3D+failed")
        archive.save_page_view("curves", "/charts?metrics=loss")
        archive.delete_page_view("curves")
        with (
            patch.object(series_seals, "LEVEL_POINTS", 1000),
            patch.object(levels, "LEVEL_POINTS", 1000),
            archive.start_run(name="long") as long,
        ):
            long.log_many("x", range(1100), [0.5] * 1100)
        live = archive.start_run({"lr": 0.5, "live": True}, ["live"], name="still running")
        live.log({"loss": 0.987654321}, 0)
        live.log({"loss": 0.5}, 7)
        live.add_note("watch this one")
        live.flush()
        before, blobs.FLUSH_BYTES = blobs.FLUSH_BYTES, 1
        try:
            with blobs.Intake(archive._connection) as intake:
                intake.put(os.urandom(3000))
                _copy(source, path)
        finally:
            blobs.FLUSH_BYTES = before
        live.complete()
        study.tell(open_trial, 0.5)


def _copy(source: Path, path: Path) -> None:
    live, copy = sqlite3.connect(source), sqlite3.connect(path)
    live.backup(copy)
    live.close()
    copy.close()
    seal_in_place(path)  # else only a sealed file has a seal, and such a file has no live run


def tables(path: Path) -> dict[str, list[str]]:
    """The columns of every table of the file, sqlite_sequence included."""
    connection = sqlite3.connect(path)
    try:
        names = [row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        return {
            name: [row[1] for row in connection.execute(f"PRAGMA table_info({name})")] for name in sorted(names)
        }
    finally:
        connection.close()
