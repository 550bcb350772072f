"""YAML is read as plain data; words on which its readers disagree, tags and bombs are refused."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from exptrack import ConfigError, load_sdn_config
from tests.strategies import exactly


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("c.yaml", "a: 1\nb:\n  c: 1\n  c: 2", "line 4, column 3: the key 'c' appears twice"),
        ("c.yaml", "a: yes", "disagree about yes"),
        ("c.yaml", "a: Off", "disagree"),
        ("c.yaml", "a: 010", "disagree"),
        ("c.yaml", "a: 12:30:45", "disagree"),
        ("c.yaml", "a: 1_000", "disagree"),
        ("c.yaml", "a: .nan", "no number"),
        ("c.yaml", "a: -.inf", "no number"),
        ("c.yaml", "1: a", "not text"),
        ("c.yaml", "true: a", "not text"),
        ("c.yaml", "[a]: 1", "key is text"),
        ("c.yaml", "- 1", "map of names"),
        ("c.yaml", "text", "map of names"),
        ("c.yaml", "a: !!python/object/apply:os.system [echo]", "tag"),
        ("c.yaml", "a: !!binary aGk=", "tag"),
        ("c.yaml", "a: !x 1", "tag"),
        ("c.yaml", "a: &x [*x]", "anchored"),
        ("c.yaml", "a: *x", "anchored|undefined|alias"),
        ("c.yaml", "a: 1\n---\nb: 2", "one document"),
        ("c.yaml", "a: [1\nb: 2", r"line 2, column 2: did not find expected|line 2, column 1: expected"),
        ("c.yaml", "a: b: c", "line 1, column 5: mapping values are not allowed"),
        ("c.yaml", "a: \x00", "c.yaml: "),
        ("c.yaml", "<<: 1", "merges maps"),
        ("c.yaml", "a: &k x\n*k : 1", "alias"),
        pytest.param("c.yaml", "a: " + "[" * 200, "deeper", id="c.yaml-text40-deeper"),
        pytest.param("c.yaml", "a: " + "9" * 5000, "digits", id="c.yaml-text41-digits"),
        pytest.param(
            "c.yaml",
            "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]\n"
            + "".join(f"a{n + 1}: &a{n + 1} [{', '.join([f'*a{n}'] * 9)}]\n" for n in range(9)),
            "aliases unfolded",
            id="c.yaml-text42-aliases unfolded",
        ),
    ],
)
def test_what_other_notations_cannot_say_exactly_is_refused(
    tmp_path: Path, name: str, text: str | bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError, match=message) as caught:
        load_sdn_config(tmp_path / name)
    assert name in str(caught.value)


def test_yaml_merges_and_repeats_and_keeps_text(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(
        "d: &d {x: 1, y: 2}\na:\n  <<: *d\n  y: 3\nb: {<<: [{x: 5}, *d], z: 0}\nq: 'yes'\nt: 2.1.0\n"
        "e: 1e-3\no: 0o17\n'<<': 1\nl: |\n  two\n  lines\n"
    )
    assert exactly(load_sdn_config(tmp_path / "c.yaml").values) == exactly(
        {
            "d": {"x": 1, "y": 2},
            "a": {"y": 3, "x": 1},
            "b": {"z": 0, "x": 5, "y": 2},
            "q": "yes",
            "t": "2.1.0",
            "e": 0.001,
            "o": 15,
            "<<": 1,
            "l": "two\nlines\n",
        }
    )


def test_yaml_without_its_library_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    (tmp_path / "c.yaml").write_text("a: 1")
    with pytest.raises(ConfigError, match=r"exptrack-archive\[yaml\]"):
        load_sdn_config(tmp_path / "c.yaml")
