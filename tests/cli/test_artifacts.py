"""`exptrack artifacts` and `exptrack lineage`: what they print, store, write and refuse."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from exptrack import Archive, Run
from tests.cli.artifact_lab import Lab
from tests.cli.calls import call, shell


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    made = Lab(tmp_path)
    yield made
    with Archive(made.db) as archive:
        assert archive.verify().problems == ()


def test_ls_lists_every_version_by_name(lab: Lab) -> None:
    shown = lab.call("artifacts", "ls", lab.run).stdout
    assert shown.count("samples/text") == 12
    assert "10.2 kB" in shown
    found = lab.json("artifacts", "ls", lab.run)
    assert [(a["name"], a["version"]) for a in found][:3] == [
        ("data", 1),
        ("model.bin", 1),
        ("samples/text", 1),
    ]
    assert found[1]["metadata"] == {"epochs": 12}
    with Archive(lab.db) as archive, archive.start_run() as empty:
        pass
    assert lab.call("artifacts", "ls", empty.run_id).stdout == "no artifacts\n"


def test_ls_files_lists_a_folder_and_refuses_what_is_none(lab: Lab) -> None:
    lines = lab.call("artifacts", "ls", lab.run, "--files", "data").stdout.splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["empty/", "run.sh", "train.csv"]
    assert (
        lab.json(
            "artifacts",
            "ls",
            lab.run,
            "--files",
            "data",
        )[0]["hash"]
        is None
    )
    assert len(lab.json("artifacts", "ls", lab.run, "--files", "data", "--version", "1")) == 3
    refused = lab.call("artifacts", "ls", lab.run, "--files", "model.bin")
    assert (refused.exit_code, refused.stdout) == (50, "")
    assert "not a folder" in refused.stderr
    assert lab.call("artifacts", "ls", lab.run, "--files", "data", "--version", "2").exit_code == 33
    assert lab.call("artifacts", "ls", lab.run, "--version", "1").exit_code == 2


def test_ls_of_an_empty_folder_says_so(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "void").mkdir()
    lab.call("artifacts", "put", lab.run, str(tmp_path / "void"))
    assert lab.call("artifacts", "ls", lab.run, "--files", "void").stdout == "an empty folder\n"


def test_get_tells_which_checkpoint_it_wrote(tmp_path: Path) -> None:
    db, weights = tmp_path / "lab.db", tmp_path / "weights"
    with Archive(db) as archive, archive.start_run() as run:
        for step, loss in ((0, 0.9), (24, 0.0523741), (30, 0.6)):
            weights.write_text(str(loss))
            run.log({"val_loss": loss}, step)
            run.artifacts.register_checkpoint("ckpt", weights, step)
    get, target = ("artifacts", "get", "latest", "ckpt"), str(tmp_path / "out")
    best = call(db, *get, "--best", "val_loss", "-o", target).stdout
    assert best == f"ckpt of step 24, version 2, val_loss 0.052374, written to {target}\n"
    worst = call(db, *get, "--best", "val_loss", "--max", "-o", target, "--overwrite").stdout
    assert worst == f"ckpt of step 0, version 1, val_loss 0.9, written to {target}\n"
    told = call(db, *get, "--step", "30", "-o", target, "--overwrite").stdout
    assert told == f"ckpt of step 30, version 3, written to {target}\n"


def test_get_writes_a_file_under_its_own_name_or_where_it_is_told(lab: Lab) -> None:
    content = bytes(range(256)) * 40
    assert lab.call("artifacts", "get", lab.run, "model.bin").stdout == "written to model.bin\n"
    assert Path("model.bin").read_bytes() == content
    assert lab.json("artifacts", "get", lab.run, "model.bin", "-o", "best.bin") == {"path": "best.bin"}
    assert Path("best.bin").read_bytes() == content
    lab.call("artifacts", "get", lab.run, "samples/text", "--version", "3")
    assert Path("text").read_text() == "sample 2\n"


def test_get_replaces_nothing_unasked(lab: Lab) -> None:
    Path("model.bin").write_text("mine")
    refused = lab.call("artifacts", "get", lab.run, "model.bin")
    assert refused.exit_code == 61
    assert Path("model.bin").read_text() == "mine"
    assert lab.call("artifacts", "get", lab.run, "model.bin", "--overwrite").exit_code == 0
    assert Path("model.bin").stat().st_size == 10240


def test_get_restores_a_folder_one_file_of_it_or_all(lab: Lab) -> None:
    assert lab.call("artifacts", "get", lab.run, "data", "-o", "here").exit_code == 0
    assert sorted(os.listdir("here")) == ["empty", "run.sh", "train.csv"]
    assert stat.S_IMODE(Path("here/run.sh").stat().st_mode) == 0o755
    lab.call("artifacts", "get", lab.run, "data", "--file", "train.csv", "-o", "one.csv")
    assert Path("one.csv").read_text() == "x\n1\n"
    assert lab.call("artifacts", "get", lab.run, "--all", "-o", "everything").exit_code == 0
    assert Path("everything/samples/text").read_text() == "sample 11\n"
    assert Path("everything/data/train.csv").exists()


def test_get_prints_bytes_as_they_are_into_a_pipe(lab: Lab) -> None:
    done = shell(lab.db, f"exptrack artifacts get {lab.run} model.bin -o - | sha256sum | cut -c1-64")
    digest = next(a["hash"] for a in lab.json("artifacts", "ls", lab.run) if a["name"] == "model.bin")
    assert done.stdout.strip() == digest.removeprefix("sha256:")
    assert done.stderr == ""
    done = shell(lab.db, f"exptrack artifacts get {lab.run} data --file train.csv -o -")
    assert done.stdout == "x\n1\n"


def test_get_shows_a_terminal_text_only(lab: Lab) -> None:
    """What a person asks to see cannot draw on the terminal; bytes that are no text are not thrown at it."""
    with Archive(lab.db) as archive:
        run = archive.get_run(lab.run)
        run.artifacts.register_data("hostile", "a\tb\nred \x1b[31m\n")
    Path("terminal.py").write_text(
        "import pty, sys\n"
        "program = [sys.executable, '-c', 'from exptrack.cli import main; main()', *sys.argv[1:]]\n"
        "sys.exit(pty.spawn(program) >> 8)\n"
    )
    get = f"{sys.executable} terminal.py --db {lab.db} artifacts get {lab.run}"
    shown = shell(lab.db, f"{get} hostile -o -")
    assert shown.stdout.splitlines() == ["a       b", "red \\x1b[31m"]
    refused = shell(lab.db, f"{get} model.bin -o -")
    assert refused.returncode == 50
    assert "is not text; write it with -o FILE" in refused.stdout


def test_get_of_what_is_not_there_is_a_sentence(lab: Lab) -> None:
    for words, code in (
        (("none",), 33),
        (("model.bin", "--version", "2"), 33),
        (("data", "--file", "none"), 33),
        (("model.bin", "--file", "none"), 33),
        (("data", "-o", "-"), 50),
        ((), 2),
        (("model.bin", "--all", "-o", "x"), 2),
        (("--all",), 2),
        (("--all", "-o", "-"), 2),
        (("--all", "-o", "x", "--version", "1"), 2),
        (("model.bin", "-o", "no/such/folder/x"), 61),
    ):
        result = lab.call("artifacts", "get", lab.run, *words)
        assert (result.exit_code, result.stdout) == (code, ""), words
        assert result.stderr
    told = lab.call("artifacts", "get", lab.run, "data", "-o", "-").stderr
    assert "--file" in told
    assert "open(" not in told, "a command speaks of its options, not of Python"
    assert not Path("x").exists()


def test_put_stores_a_file_a_folder_a_checkpoint_and_standard_input(lab: Lab, tmp_path: Path) -> None:
    Path("notes.txt").write_text("words")
    said = lab.json("artifacts", "put", lab.run, "notes.txt", "--meta", "a.b=3", "--meta", "who=me")
    assert (said["name"], said["version"]) == ("notes.txt", 1)
    assert "version 2" in lab.call("artifacts", "put", lab.run, "notes.txt").stdout
    lab.call("artifacts", "put", lab.run, str(tmp_path / "tree") + "/")
    lab.call("artifacts", "put", lab.run, "notes.txt", "--name", "w", "--step", "5")
    lab.call("artifacts", "put", lab.run, "-", "--name", "piped", input=b"a\0b")
    found = {(a["name"], a["version"]): a for a in lab.json("artifacts", "ls", lab.run)}
    assert found["notes.txt", 1]["metadata"] == {"a": {"b": 3}, "who": "me"}
    assert found["notes.txt", 1]["media_type"] == "text/plain"
    assert found["tree", 1]["kind"] == "folder"
    assert (found["w", 1]["kind"], found["w", 1]["step"]) == ("checkpoint", 5)
    assert lab.call("artifacts", "get", lab.run, "piped", "-o", "-").stdout_bytes == b"a\0b"


def test_put_refuses_wrong_input_and_stores_nothing(lab: Lab) -> None:
    Path("f").write_text("x")
    before = lab.json("artifacts", "ls", lab.run)
    for words, code in (
        (("none",), 50),
        (("f", "--meta", "novalue"), 50),
        (("f", "--meta", "=x"), 50),
        (("f", "--name", ""), 50),
        (("f", "--step", "1.5"), 2),
        (("f", "--step", str(2**63)), 50),
        (("-",), 2),
        (("-", "--name", "x", "--step", "1"), 2),
    ):
        result = lab.call("artifacts", "put", lab.run, *words)
        assert (result.exit_code, result.stdout) == (code, ""), words
    assert lab.call("artifacts", "put", "zzz", "f").exit_code == 31
    missing = lab.call("artifacts", "put", lab.run, "none").stderr
    assert missing == "exptrack: cannot read the file 'none' (No such file or directory); check the path\n"
    assert lab.json("artifacts", "ls", lab.run) == before


def test_rm_removes_a_version_or_all_and_says_what_came_back(lab: Lab) -> None:
    refused = lab.call("artifacts", "rm", lab.run, "model.bin")
    assert refused.exit_code == 50
    assert "--yes" in refused.stderr
    assert lab.call("artifacts", "rm", lab.run, "samples/text", "--version", "3", "-y").stdout.startswith(
        "removed versions: 3; the file is"
    )
    left = lab.call("artifacts", "rm", lab.run, "samples/text", "--yes").stdout
    assert left.startswith("removed versions: 1–2, 4–12; ")
    assert lab.json("artifacts", "rm", lab.run, "model.bin", "-y")["versions"] == [1]
    assert lab.call("artifacts", "rm", lab.run, "model.bin", "-y").exit_code == 33
    assert [a["name"] for a in lab.json("artifacts", "ls", lab.run)] == ["data"]


def test_rm_keeps_the_last_and_the_best(lab: Lab) -> None:
    rm = ("artifacts", "rm", lab.run, "samples/text", "-y")
    lab.call(*rm, "--keep-last", "1", "--keep-best", "2", "--by", "val_loss", "--min")
    steps = [a["step"] for a in lab.json("artifacts", "ls", lab.run) if a["name"] == "samples/text"]
    assert steps == [6, 7, 11]
    assert lab.call(*rm, "--keep-last", "9").stdout == "nothing to remove\n"


def test_rm_refuses_what_does_not_fit_together(lab: Lab) -> None:
    for words in (
        ("--version", "1", "--keep-last", "1"),
        ("--keep-best", "1"),
        ("--keep-best", "1", "--by", "val_loss"),
        ("--by", "val_loss", "--min"),
        ("--keep-last", "0"),
    ):
        result = lab.call("artifacts", "rm", lab.run, "samples/text", "-y", *words)
        assert result.exit_code == 2, words
    wrong = lab.call("artifacts", "rm", lab.run, "samples/text", "-y", "--keep-best", "1", "--by", "x", "--min")
    assert wrong.exit_code == 50
    assert len(lab.json("artifacts", "ls", lab.run)) == 14


def test_du_tells_what_is_a_runs_own_and_what_it_shares(lab: Lab) -> None:
    with Archive(lab.db) as archive, archive.start_run(name="copy") as copy:
        copy.artifacts.register_data("again", bytes(range(256)) * 40)
    found = {entry["run_id"]: entry for entry in lab.json("artifacts", "du")}
    assert found[copy.run_id]["shared_bytes"] == found[copy.run_id]["stored_bytes"] > 0
    assert 0 < found[lab.run]["shared_bytes"] < found[lab.run]["stored_bytes"]
    assert found[lab.user]["shared_bytes"] == 0
    assert len(lab.json("artifacts", "du", "-n", "1")) == 1
    shown = lab.call("artifacts", "du", "-n", "1").stdout
    assert "2 more runs" in shown
    assert "its own" in shown


def test_gc_says_when_there_is_nothing_to_collect(lab: Lab) -> None:
    lab.call("artifacts", "gc")
    assert lab.call("artifacts", "gc").stdout == "nothing to remove; the file is 0 B smaller\n"
    assert lab.json("artifacts", "gc") == {"blobs": 0, "chunks": 0, "stored_bytes": 0, "file_bytes": 0}


@pytest.mark.parametrize(
    "words",
    [("ls", "1k3"), ("get", "1k3", "x"), ("put", "1k3", "x"), ("rm", "1k3", "x", "-y"), ("du",), ("gc",)],
)
def test_a_missing_archive_is_an_error_and_stays_missing(tmp_path: Path, words: tuple[str, ...]) -> None:
    for extra in ((), ("--json",)):
        result = call(tmp_path / "none.db", "artifacts", *words, *extra)
        assert (result.exit_code, result.stdout) == (11, "")
    assert call(tmp_path / "none.db", "lineage", "1k3").exit_code == 11
    assert list(tmp_path.iterdir()) == []


def test_show_gives_a_name_one_line_however_many_versions_it_has(lab: Lab) -> None:
    shown = lab.call("show", lab.run).stdout
    line = next(line for line in shown.splitlines() if line.startswith("samples/text"))
    assert line.split()[1:7] == ["12", "text", "11", "10", "B", "12"]
    assert shown.count("samples/text") == 1
    assert "14 in a row, the last: name: data" in shown
    assert len(lab.json("show", lab.run)["artifacts"]) == 14


def test_show_shortens_hashes(lab: Lab) -> None:
    shown = lab.call("show", lab.user).stdout
    digest = lab.json("show", lab.user)["inputs"][0]["hash"]
    assert digest[:19] in shown
    assert digest[:20] not in shown


def test_hostile_names_are_shown_as_text_only(lab: Lab) -> None:
    name = "[red]x[/red] \u202ereversed"
    with Archive(lab.db) as archive:
        run = archive.get_run(lab.run)
        run.artifacts.register_data(name, b"x")
        with archive.start_run() as user:
            user.use_artifact(name)
    for words in (
        ("artifacts", "ls", lab.run),
        ("show", lab.run),
        ("lineage", lab.run),
        ("lineage", user.run_id),
    ):
        shown = lab.call(*words).stdout
        assert "[red]x[/red] \\u202ereversed" in shown, words
        assert "\u202e" not in shown


def test_lineage_draws_what_led_here_and_what_came_of_it(lab: Lab) -> None:
    shown = lab.call("lineage", lab.user).stdout
    assert f"run {lab.user} was made from" in shown
    assert "model.bin v1 sha256:" in shown
    assert f"of run {lab.run}" in shown
    assert "nothing recorded" in shown
    shown = lab.call("lineage", lab.run).stdout
    assert "no recorded input" in shown
    assert f"run {lab.user} used model.bin v1, made scores" in shown


def test_lineage_of_a_hash_names_its_makers_and_users(lab: Lab) -> None:
    digest = next(a["hash"] for a in lab.json("artifacts", "ls", lab.run) if a["name"] == "model.bin")
    for subject in (digest, digest[:19]):
        shown = lab.call("lineage", subject).stdout
        assert f"run {lab.run}" in shown
        assert f"run {lab.user} used model.bin v1" in shown
        assert lab.json("lineage", subject)["subject"] == digest
    for wrong, code in (("sha256:12", 50), ("sha256:000000", 33), ("zzz", 31), ("", 50)):
        assert lab.call("lineage", wrong).exit_code == code


def test_lineage_says_what_is_gone_and_ends_in_circles(lab: Lab) -> None:
    with Archive(lab.db) as archive:
        a, b = archive.start_run(), archive.start_run()
        a.artifacts.register_data("a", b"a")
        b.artifacts.register_data("b", b"b")
        a.use_artifact("b")
        b.use_artifact("a")
        a.complete()
        b.complete()
    shown = lab.call("lineage", a.run_id).stdout
    assert "(see above)" in shown
    lab.call("rm", lab.run, "-y")
    assert f"of run {lab.run}, since removed" in lab.call("lineage", lab.user).stdout


def test_each_run_is_followed_once_in_the_drawing(lab: Lab) -> None:
    """Two diamonds in a row have four ways to the end; the end is drawn twice at most."""
    with Archive(lab.db) as archive:

        def made(name: str, *inputs: str) -> Run:
            with archive.start_run() as run:
                for one in inputs:
                    run.use_artifact(one)
                run.artifacts.register_data(name, name.encode())
            return run

        top = made("top")
        made("l1", "top"), made("r1", "top")
        made("mid", "l1", "r1")
        made("l2", "mid"), made("r2", "mid")
        end = made("end", "l2", "r2")
    shown = lab.call("lineage", top.run_id).stdout
    assert shown.count(f"run {end.run_id} used") == 2
    assert lab.call("lineage", end.run_id).stdout.count(f"of run {top.run_id}") == 2


def test_alias_names_a_version_that_other_commands_take(lab: Lab, tmp_path: Path) -> None:
    assert "aliases" not in lab.call("artifacts", "ls", lab.run).stdout
    done = lab.call("artifacts", "alias", lab.run, "samples/text", "best", "--version", "7")
    assert done.stdout == f"{lab.run}: samples/text:best is version 7\n"
    assert lab.call("artifacts", "get", lab.run, "samples/text:best", "-o", "-").stdout == "sample 6\n"
    shown = lab.call("artifacts", "ls", lab.run).stdout
    assert "aliases" in shown
    assert "best" in shown
    assert "description" not in shown
    words = ("--kind", "model", "--alias", "best", "--alias", "prod", "--description", "the \x1b[31m one")
    (tmp_path / "w.bin").write_bytes(b"w")
    assert lab.json("artifacts", "put", lab.run, str(tmp_path / "w.bin"), *words)["version"] == 1
    (one,) = [a for a in lab.json("artifacts", "ls", lab.run) if a["name"] == "w.bin"]
    assert (one["kind"], one["aliases"], one["description"]) == ("model", ["best", "prod"], "the \x1b[31m one")
    assert "\\x1b[31m one" in lab.call("artifacts", "ls", lab.run).stdout
    gone = lab.json("artifacts", "alias", lab.run, "w.bin", "prod", "--remove")
    assert gone == {"run_id": lab.run, "name": "w.bin", "alias": "prod", "version": None}
    assert "name: w.bin; alias: prod; version: null" in lab.call("show", lab.run).stdout
    assert lab.json("artifacts", "alias", lab.run, "w.bin", "prod")["version"] == 1
    assert lab.call("artifacts", "alias", lab.run, "w.bin", "v1").exit_code == 50
    assert lab.call("artifacts", "alias", lab.run, "w.bin", "x", "--remove").exit_code == 33
    assert lab.call("artifacts", "alias", lab.run, "w.bin", "prod", "--remove", "--version", "1").exit_code == 2
