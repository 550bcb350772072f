"""The ten questions: a bare sqlite3 connection gets the right answer, from an index."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import pytest

from exptrack import Archive

QUESTIONS = Path(__file__).parent.parent / "schema" / "questions.sql"

# Counting tags or bytes over the whole archive reads a whole covering index, or the artifacts.
ALLOWED_SCANS = {
    "newest_runs": {"SCAN r USING INDEX run_by_start"},
    "tags_counted": {"SCAN t USING COVERING INDEX run_tag_by_tag"},
    "artifact_bytes": {
        "SCAN a USING COVERING INDEX artifact_by_blob",
        "SCAN e USING COVERING INDEX artifact_entry_by_blob",
        "SCAN d",
        "SCAN u",
    },
}


def questions() -> dict[str, str]:
    """Each query of the file by name, its comment line left out."""
    found = {}
    for block in QUESTIONS.read_text(encoding="utf-8").split("-- name: ")[1:]:
        name, _, rest = block.partition("\n")
        found[name] = rest.partition("\n")[2].strip()
    return found


@pytest.fixture
def answers(archive: Archive) -> dict[str, str]:
    ids: dict[str, str] = {}
    for seed in (1, 2, 3):
        config = {"lr": 0.001, "optimizer": "adam", "seed": seed}
        with archive.start_run(config, ["adam"], name=f"adam{seed}") as run:
            for step in range(4):
                run.log({"acc": 0.5 + 0.1 * seed + step / 100}, step)
            run.artifacts.register_data("shared", "x" * 5000)
        ids[f"adam{seed}"] = run.run_id
    with archive.start_run({"lr": 0.1, "optimizer": "sgd", "seed": 1}, ["sgd"], name="sgd") as run:
        run.log({"acc": float("nan")}, 0)
        run.artifacts.register_data("own", "y" * 5000)
    ids["sgd"] = run.run_id
    broken = archive.start_run(name="broken")
    broken.fail("out of memory")
    ids["broken"] = broken.run_id
    return ids


def ask(archive: Archive, name: str, **values: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(archive.path)
    try:
        return connection.execute(questions()[name], values).fetchall()
    finally:
        connection.close()


def test_there_are_ten() -> None:
    assert len(questions()) == 10


def test_each_question_is_answered(archive: Archive, answers: dict[str, str]) -> None:
    newest = ask(archive, "newest_runs")
    assert [row[2] for row in newest] == ["broken", "sgd", "adam3", "adam2", "adam1"]
    assert [row[1] for row in newest][:2] == ["failed", "completed"]
    best = ask(archive, "best_runs", metric="acc")
    assert [row[0] for row in best] == [answers["adam3"], answers["adam2"], answers["adam1"]]
    found = {row[0] for row in ask(archive, "runs_by_config")}
    assert found == {answers[name] for name in ("adam1", "adam2", "adam3")}
    curve = ask(archive, "learning_curve", run=answers["adam1"], metric="acc")
    assert [row[:2] for row in curve] == [(step, 0.5 + 0.1 + step / 100) for step in range(4)]
    difference = ask(archive, "config_difference", run=answers["adam1"], other=answers["sgd"])
    assert difference == [("lr", "0.001", "0.1"), ("optimizer", "adam", "sgd")]
    ((runs, mean, spread),) = ask(archive, "spread_over_seeds", run=answers["adam2"], metric="acc")
    assert (runs, round(mean, 9), round(spread, 9)) == (3, 0.73, 0.2)  # type: ignore[arg-type]
    assert ask(archive, "tags_counted") == [("adam", 3), ("sgd", 1)]
    digest = archive.artifacts(answers["adam1"]).list_artifacts()[0].hash
    assert len(ask(archive, "artifact_holders", hash=digest)) == 3
    sizes = {row[0]: row[1:] for row in ask(archive, "artifact_bytes")}
    stored, shared = sizes[answers["adam1"]]
    assert stored == shared
    assert sizes[answers["sgd"]][1] == 0
    assert [row[1::2] for row in ask(archive, "failed_this_week")] == [("broken", "out of memory")]


@pytest.mark.parametrize("name", questions())
def test_each_question_is_answered_from_an_index(archive: Archive, name: str) -> None:
    sql = questions()[name]
    values = dict.fromkeys(re.findall(r":(\w+)", sql), "x")
    connection = sqlite3.connect(archive.path)
    try:
        plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", values)]
    finally:
        connection.close()
    assert {step for step in plan if step.startswith("SCAN")} <= ALLOWED_SCANS.get(name, set())
