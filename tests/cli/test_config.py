"""``exptrack config``: what it prints, what it changes in a file and what it leaves alone."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from exptrack import sdn
from tests.cli.calls import call

TEXT = """\
# The base.
seed: 1        # of everything
optim:
    name: adam
    lr: 0.1    # high
tags: [a, b]
"""


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    (tmp_path / "configs/optim").mkdir(parents=True)
    (tmp_path / "config.sdn").write_text(TEXT)
    (tmp_path / "configs/optim/sgd.sdn").write_text("name: sgd\nmomentum: 0.9\n")
    return tmp_path


def call_config(*words: object) -> Result:
    return call(None, "config", *map(str, words))


def test_check_says_what_a_config_is_made_of(lab: Path) -> None:
    result = call_config("check", lab / "config.sdn", "optim=sgd")
    assert result.exit_code == 0
    assert "5 values from config.sdn, configs/optim/sgd.sdn" in result.stdout
    facts = json.loads(call_config("check", lab, "--json").stdout)
    assert (facts["values"], facts["files"], len(facts["hash"])) == (4, ["config.sdn"], 64)


def test_check_exits_with_the_code_of_what_is_wrong(lab: Path) -> None:
    (lab / "bad.sdn").write_text("a: 1\nb: [\n")
    bad = call_config("check", lab / "bad.sdn")
    assert bad.exit_code == 53
    assert bad.stderr.splitlines()[0] == "exptrack: bad.sdn, line 2, column 4: '[' is not closed"
    assert bad.stderr.splitlines()[2] == "     ^"
    for code, words in ((35, [lab / "none.sdn"]), (52, [lab, "x=${env:NO_SUCH_NAME}"]), (52, [lab, "word"])):
        result = call_config("check", *words)
        assert (result.exit_code, result.stdout) == (code, "")


def test_show_prints_each_value_with_what_set_it(lab: Path) -> None:
    lines = call_config("show", lab, "optim=sgd", "seed=2").stdout.splitlines()
    found = {line.split()[0]: line.strip().split(maxsplit=2)[1:] for line in lines if line.strip()}
    assert found["optim.lr"] == ["0.1", "config.sdn:5"]
    assert found["optim.momentum"] == ["0.9", "configs/optim/sgd.sdn:2"]
    assert found["seed"] == ["2", "override seed=2"]
    facts = json.loads(call_config("show", lab, "--json").stdout)
    assert facts["values"] == sdn.loads(TEXT)
    assert facts["sources"]["seed"] == {"kind": "file", "name": "config.sdn", "line": 2}
    assert sdn.loads(call_config("show", lab, "--sdn").stdout) == sdn.loads(TEXT)


def test_get_prints_one_value(lab: Path) -> None:
    for key, printed in (
        ("optim.lr", "0.1\n"),
        ("optim.name", "adam\n"),
        ("tags", '["a", "b"]\n'),
        ("optim", "name: adam\nlr: 0.1\n"),
    ):
        assert call_config("get", lab, key).stdout == printed
    assert json.loads(call_config("get", lab, "optim", "optim=sgd", "--json").stdout)["momentum"] == 0.9
    missing = call_config("get", lab, "optim.x")
    assert (missing.exit_code, missing.stdout) == (52, "")


def test_set_changes_one_value_and_nothing_else(lab: Path) -> None:
    path = lab / "config.sdn"
    path.chmod(0o640)
    result = call_config("set", path, "optim.lr=3e-4", "tags=[x y]", "optim.beta=0.9", "new.key=true")
    assert result.exit_code == 0, result.stderr
    assert path.read_text() == (
        "# The base.\nseed: 1        # of everything\noptim:\n    name: adam\n    lr: 0.0003    # high\n"
        '    beta: 0.9\ntags: ["x y"]\nnew:\n    key: true\n'
    )
    assert path.stat().st_mode & 0o777 == 0o640
    assert sorted(os.listdir(lab)) == ["config.sdn", "configs"]
    assert json.loads(call_config("set", lab, "seed=1", "--json").stdout) == {
        "set": {"seed": 1},
        "changed": False,
    }


@pytest.mark.parametrize(
    ("words", "code"), [(["seed.x=1"], 52), (["seed"], 52), (["=1"], 52), (["seed=[1"], 52), ([], 2)]
)
def test_set_refuses_and_leaves_the_file_alone(lab: Path, words: list[str], code: int) -> None:
    assert call_config("set", lab / "config.sdn", *words).exit_code == code
    assert (lab / "config.sdn").read_text() == TEXT
    (lab / "c.json").write_text("{}")
    assert call_config("set", lab / "c.json", "a=1").exit_code == 52
    assert call_config("set", lab / "none.sdn", "a=1").exit_code == 35
    (lab / "bad.sdn").write_text("a: [\n")
    bad = call_config("set", lab / "bad.sdn", "a=1")
    assert bad.exit_code == 53
    assert "bad.sdn, line 1" in bad.stderr


def test_set_follows_a_link_and_keeps_it(lab: Path) -> None:
    (lab / "link.sdn").symlink_to(lab / "config.sdn")
    assert call_config("set", lab / "link.sdn", "seed=5").exit_code == 0
    assert (lab / "link.sdn").is_symlink()
    assert sdn.load(lab / "config.sdn")["seed"] == 5


def test_fmt_prints_checks_and_writes_the_normal_form(lab: Path) -> None:
    path = lab / "x.sdn"
    path.write_text("a = 1\nb: {c: [1,\n 2]}\n")
    normal = "a: 1\nb:\n    c: [1, 2]\n"
    assert call_config("fmt", path).stdout == normal
    assert (call_config("fmt", path, "--check").exit_code, call_config("fmt", path, "--check").stdout) == (
        1,
        "",
    )
    assert json.loads(call_config("fmt", path, "--write", "--json").stdout) == {
        "normal": False,
        "written": True,
    }
    assert path.read_text() == normal
    assert call_config("fmt", path, "--check").exit_code == 0
    refused = call_config("fmt", lab / "config.sdn", "--write")
    assert refused.exit_code == 52
    assert "comments" in refused.stderr
    assert (lab / "config.sdn").read_text() == TEXT


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("c.sdn", "a:\n    b: [1, 2.0, null, x]\n"),
        ("c.json", '{"a": {"b": [1, 2.0, null, "x"]}}'),
        ("c.yaml", "a:\n  b: [1, 2.0, ~, x]\n"),
    ],
)
def test_convert_reads_every_notation_and_writes_sdn_and_json(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    expected: Any = {"a": {"b": [1, 2.0, None, "x"]}}
    assert json.loads(call_config("convert", tmp_path / name, "--to", "json").stdout) == expected
    out = tmp_path / "out.sdn"
    assert call_config("convert", tmp_path / name, "--to", "sdn", "-o", out).exit_code == 0
    assert sdn.load(out) == expected
    assert call_config("convert", tmp_path / name, "--to", "json", "-o", out).exit_code == 52
    assert sdn.load(out) == expected
    assert call_config("convert", tmp_path / name, "--to", "json", "-o", tmp_path / "no/out").exit_code == 52
    facts = json.loads(call_config("convert", tmp_path / name, "--to", "sdn", "--json").stdout)
    assert sdn.loads(facts["text"]) == expected


def test_words_of_a_hostile_config_do_not_steer_the_terminal(tmp_path: Path) -> None:
    (tmp_path / "config.sdn").write_text('"k\x1b[31m": "[red]v\x1b[2J"\n')
    shown = call_config("show", tmp_path).stdout
    assert "\x1b" not in shown
    assert "[red]v" in shown


@pytest.mark.skipif(os.name == "nt", reason="on Windows such a file takes its space")
@pytest.mark.parametrize("command", ["fmt", "check", "show"])
def test_a_huge_file_is_refused_without_reading_it_whole(tmp_path: Path, command: str) -> None:
    with open(tmp_path / "huge.sdn", "wb") as file:
        file.truncate(200 << 30)  # a hole that takes no space, and fits into no memory
    done = call_config(command, tmp_path / "huge.sdn")
    assert (done.exit_code, "larger than 1,048,576 bytes" in done.output) == (53, True), done.output


@pytest.mark.skipif(os.name == "nt", reason="Windows has no FIFOs in folders")
def test_a_fifo_in_the_place_of_a_chosen_config_is_refused(lab: Path) -> None:
    os.mkfifo(lab / "configs/optim/rms.sdn")
    (lab / "configs/optim/lost.sdn").symlink_to("nowhere.sdn")
    for name, code in (("rms", 52), ("lost", 35)):
        done = call_config("show", lab, f"optim={name}")
        assert (done.exit_code, f"{name}.sdn" in done.output) == (code, True), done.output
