"""What set each key is stored with the run, shown, compared and asked for in SQL; no secret is stored."""

from __future__ import annotations

import os
import pickle
import re
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings

from exptrack import Archive, ConfigError, ConfigSource, ExpConfig, load_exp_config
from exptrack.cli import main
from tests.config.secrets_of_the_environment import CANARY, secret_config
from tests.effort import tries
from tests.strategies import CONFIGS, exactly

PAGE = Path(__file__).parents[2] / "docs" / "configs.md"
EXPLAIN = "This statement shows the source of each"


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    folder = tmp_path / "lab"
    (folder / "configs/model").mkdir(parents=True)
    (folder / "config.sdn").write_text(
        "seed: 1\nmodel:\n    name: mlp\noptim:\n    lr: 0.1\n    warm: ${config:optim.lr}\n"
    )
    (folder / "configs/model/deep.sdn").write_text("name: deep\nlayers: 9\n")
    return folder


def test_sources_come_back_with_the_run_and_in_every_view_of_it(archive: Archive, lab: Path) -> None:
    config = load_exp_config(lab, ["model=deep", "optim.lr=0.5"])
    with archive.start_run(config) as run:
        pass
    expected = {
        "seed": ConfigSource("file", "config.sdn", 1),
        "model.name": ConfigSource("file", "configs/model/deep.sdn", 1),
        "model.layers": ConfigSource("file", "configs/model/deep.sdn", 2),
        "optim.lr": ConfigSource("override", "optim.lr=0.5"),
        "optim.warm": ConfigSource("file", "config.sdn", 6),
    }
    assert config.sources == archive.get_run(run.run_id).config.sources == expected
    assert archive.show_run(run.run_id).config_sources == expected
    asked = archive.sql("SELECT key, source_kind, source_name, source_line FROM configs ORDER BY key").rows
    assert {key: ConfigSource(*rest) for key, *rest in asked} == expected
    assert archive.sql("SELECT num FROM configs WHERE key = 'optim.warm'").rows == ((0.5,),)
    shown = CliRunner().invoke(main, ["--db", archive.path, "show", run.run_id]).stdout
    for words in ("set by", "configs/model/deep.sdn:2", "override optim.lr=0.5", "config.sdn:6"):
        assert words in shown


@settings(max_examples=tries(40), deadline=None)
@given(CONFIGS)
def test_a_config_comes_back_from_an_archive_exactly(tree: dict[str, Any]) -> None:
    """By get_run, resume_run and show_run, and leaf by leaf in the view `configs`."""
    config = ExpConfig(tree, ["base.sdn"], ["k=1"])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "lab.db"
        with Archive(path) as archive:
            run = archive.start_run(config)
            run.complete()
        with Archive(path) as archive:
            read = archive.get_run(run.run_id).config
            assert exactly(read.values) == exactly(config.values)
            assert (read.source_files, read.overrides) == (config.source_files, config.overrides)
            assert read.hash() == archive.show_run(run.run_id).summary.config_hash == config.hash()
            assert exactly(archive.show_run(run.run_id).config) == exactly(config.values)
            resumed = archive.resume_run(run.run_id)
            assert exactly(resumed.config.values) == exactly(config.values)
            resumed.complete()
        connection = sqlite3.connect(path)
        found = connection.execute("SELECT key, type, num, text, value FROM configs").fetchall()
        connection.close()
    rows = {key: rest for key, *rest in found}
    assert len(rows) == len(found)
    assert rows.keys() == {leaf.key for leaf in config.leaves()}
    for key, (kind, num, text, value) in rows.items():
        original = config[key]
        if isinstance(original, bool):
            assert (kind, num, text) == ("bool", None, "true" if original else "false")
        elif isinstance(original, int):
            assert (kind, num, int(value)) == ("int", float(original), original)
        elif isinstance(original, float):
            assert (kind, num) == ("float", original)
            assert exactly(float(value)) == exactly(original)
        elif isinstance(original, str):
            assert (kind, num, text, value) == ("text", None, original, original)
        elif original is None:
            assert (kind, num, text, value) == ("null", None, None, "null")
        else:
            assert kind == ("list" if isinstance(original, list) else "map")


def test_a_difference_names_what_set_both_sides(archive: Archive, lab: Path) -> None:
    ids = []
    for overrides in ([], ["optim.lr=0.5", "model=deep"]):
        with archive.start_run(load_exp_config(lab, overrides)) as run:
            ids.append(run.run_id)
    found = {d.key: (str(d.source_a), str(d.source_b)) for d in archive.diff_runs(*ids).config}
    assert found == {
        "optim.lr": ("config.sdn:5", "override optim.lr=0.5"),
        "optim.warm": ("config.sdn:6", "config.sdn:6"),
        "model.name": ("config.sdn:3", "configs/model/deep.sdn:1"),
        "model.layers": ("None", "configs/model/deep.sdn:2"),
    }
    shown = CliRunner().invoke(main, ["--db", archive.path, "diff", *ids]).stdout
    assert "config.sdn:5 → override optim.lr=0.5" in shown
    # The same in one query, as the page of configs prints it.
    block = re.search(re.escape(EXPLAIN) + r".*?```sql\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert block is not None
    connection = sqlite3.connect(archive.path)
    try:
        values = {"run": ids[0], "other": ids[1]}
        rows = connection.execute(block[1], values).fetchall()
        plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {block[1]}", values)]
    finally:
        connection.close()
    assert ("optim.lr", "0.1", "0.5", "config.sdn:5", "optim.lr=0.5") in rows
    assert {row[0] for row in rows} == found.keys()
    assert [step for step in plan if step.startswith("SCAN")] == []


def test_a_source_that_changed_in_the_file_is_found(archive: Archive, lab: Path, tmp_path: Path) -> None:
    with archive.start_run(load_exp_config(lab)) as run:
        pass
    copy_ = tmp_path / "copy.db"
    connection = sqlite3.connect(archive.path)
    connection.execute("VACUUM INTO ?", (str(copy_),))
    connection.close()
    connection = sqlite3.connect(copy_)
    connection.execute("UPDATE config_source SET line = 99 WHERE line = 5")
    connection.commit()
    connection.close()
    with Archive(copy_) as damaged:
        assert {(p.part, p.where) for p in damaged.verify().problems} == {("run", run.run_id)}


def test_runs_share_their_keys_and_sources(archive: Archive, lab: Path) -> None:
    for seed in range(20):
        archive.start_run(load_exp_config(lab, [f"seed={seed % 2}"])).complete()
    rows = archive.info(count_rows=True).rows
    assert (rows["config_key"], rows["config_source"]) == (4, 5)


def test_deleting_a_run_takes_the_sources_only_it_named(archive: Archive, lab: Path) -> None:
    kept = archive.start_run(load_exp_config(lab))
    kept.complete()
    gone = archive.start_run(load_exp_config(lab, ["seed=77", "optim.lr=0.77"]))
    gone.complete()
    assert archive.info(count_rows=True).rows["config_source"] == 6
    archive.delete_run(gone)
    assert archive.info(count_rows=True).rows["config_source"] == 4
    assert len(archive.show_run(kept.run_id).config_sources) == 4


# Secrets


def files_of(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_no_resolved_secret_reaches_any_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the archive, its WAL nor what the commands print, though the program saw it all along."""
    monkeypatch.setenv("CANARY", CANARY)
    config = secret_config(tmp_path)
    assert config.get("token") == config.get("again") == config.get("extra") == CANARY
    assert config.get("list") == [CANARY, f"https://u:{CANARY}@host/x"]
    outside = [config.to_sdn(), config.canonical(), repr(config), str(config.sources), str(config.overrides)]
    with Archive(tmp_path / "lab.db") as archive:
        run = archive.start_run(config)
        assert run.config.get("token") == CANARY
        with pytest.raises(RuntimeError), run:
            raise RuntimeError(f"401 for {run.config.get('url')}: {[run.config.get('token')]}")
        failed = archive.start_run(config)
        failed.fail(f"refused {CANARY}")
        read = archive.get_run(run.run_id)
        assert read.config.get("token") == "${env:CANARY}", "reading an archive looks at no environment"
        outside.append(str(archive.show_run(run.run_id)))
        outside += [str(archive.diff_runs(run, failed)), str(archive.sql("SELECT * FROM configs"))]
        assert "${env:CANARY}" in str(archive.show_run(run.run_id).traceback)
        assert archive.show_run(failed.run_id).summary.reason == "refused ${env:CANARY}"
        for words in (["show", run.run_id], ["show", run.run_id, "--json"], ["ls", "--json"]):
            outside.append(CliRunner().invoke(main, ["--db", archive.path, *words]).output)
        for words in (["show"], ["show", "--json"], ["show", "--sdn"], ["check"]):
            outside.append(
                CliRunner().invoke(main, ["config", words[0], str(tmp_path / "c"), *words[1:]]).output
            )
        raw = [path.read_bytes() for path in files_of(tmp_path)]
        assert any(b"${env:CANARY}" in data for data in raw)
    raw += [path.read_bytes() for path in files_of(tmp_path)]
    raw += [pickle.dumps(config), *(text.encode() for text in outside)]
    assert [data for data in raw if CANARY.encode() in data] == []


@pytest.mark.parametrize(
    "secret", [f"postgres://lab:pw@{CANARY}/x", f"password=a {CANARY}", f"/root/a/{CANARY}"]
)
def test_a_secret_with_a_part_that_is_hidden_anyway_is_hidden_whole(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, secret: str
) -> None:
    monkeypatch.setenv("CANARY", secret)
    config = secret_config(tmp_path)
    with pytest.raises(RuntimeError), archive.start_run(config) as run:
        raise RuntimeError(f"refused: {secret}")
    shown = archive.show_run(run.run_id)
    assert CANARY not in f"{shown.summary.reason}{shown.traceback}"
    assert "${env:CANARY}" in str(shown.summary.reason)


def test_a_config_of_code_shows_no_secret_that_another_one_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANARY", CANARY)
    told = secret_config(tmp_path)
    again = ExpConfig({"mine": [CANARY, 1], **told.values})
    for text in (str(again), repr(again), again.to_sdn()):
        assert CANARY not in text
        assert "${env:CANARY}" in text
    assert again["mine"] == [CANARY, 1], "the program sees what it gave"


def test_a_killed_run_leaves_no_secret_in_the_wal(tmp_path: Path) -> None:
    (tmp_path / "config.sdn").write_text("token: ${env:CANARY}\n")
    code = (
        "import exptrack, os, signal\n"
        "run = exptrack.start_run(exptrack.load_exp_config('.', ['+again=${env:CANARY}']))\n"
        "assert len(run.config.get('again')) > 9\n"
        "run.log({'x': 1.0})\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    environment = os.environ | {"CANARY": CANARY}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True)
    assert done.returncode == -9, done.stderr
    found = {path.name: path.read_bytes() for path in files_of(tmp_path)}
    assert "exptrack.db-wal" in found
    assert b"${env:CANARY}" in b"".join(found.values())
    assert [name for name, data in found.items() if CANARY.encode() in data] == []


def test_a_resumed_run_sees_the_environment_it_is_resumed_in(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANARY", CANARY)
    run = archive.start_run(secret_config(tmp_path))
    run.interrupt("for now")
    monkeypatch.setenv("CANARY", "another value")
    resumed = archive.resume_run(run.run_id)
    assert resumed.config.get("again") == "another value"
    assert resumed.config.hash() == run.config.hash()
    resumed.interrupt("again")
    monkeypatch.delenv("CANARY")
    resumed = archive.resume_run(run.run_id)
    resumed.add_tag("still possible")
    with pytest.raises(ConfigError, match="CANARY is not set; again needs it"):
        resumed.config.get("token")
    resumed.complete()


def test_a_run_whose_stored_config_cannot_be_resolved_is_not_half_resumed(archive: Archive) -> None:
    """As in a file that somebody else wrote: the error comes before anything is changed."""
    source = ConfigSource("file", "config.sdn", 1)
    run = archive.start_run(ExpConfig({"a": "x"}, sources={"a": source}))
    run.complete()
    connection = sqlite3.connect(archive.path)
    snapshot = ExpConfig({"a": "${config:nowhere}"}).canonical()
    connection.execute("UPDATE run_config SET snapshot = ?", (snapshot,))
    connection.commit()
    with pytest.raises(ConfigError, match="no key 'nowhere'"):
        archive.resume_run(run.run_id)
    assert archive.show_run(run.run_id).summary.status == "completed"
    connection.execute("UPDATE run_config SET snapshot = ?", (run.config.canonical(),))
    connection.commit()
    connection.close()


def test_what_code_hands_in_is_never_taken_for_a_reference(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANARY", CANARY)
    values = {"prompt": "${env:CANARY} ${config:nowhere} ${env:"}
    run = archive.start_run(values)
    assert run.config.values == values
    run.complete()
    resumed = archive.resume_run(run.run_id)
    assert resumed.config.values == values
    resumed.complete()
