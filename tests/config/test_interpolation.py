"""References to keys and to the environment: what they stand for, and which are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from exptrack import ConfigError, ExpConfig, load_exp_config, load_sdn_config, merge_configs, sdn
from tests.strategies import exactly


def composed(tmp_path: Path, text: str, *overrides: str) -> ExpConfig:
    (tmp_path / "c").mkdir(exist_ok=True)
    (tmp_path / "c/config.sdn").write_text(text, encoding="utf-8", newline="")
    return load_exp_config(tmp_path / "c", overrides)


def test_references_are_resolved_nested_in_lists_and_with_their_types(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROOT", "/data")
    monkeypatch.setenv("WHICH", "lr")
    monkeypatch.delenv("NO_SUCH", raising=False)
    config = composed(
        tmp_path,
        "lr: 0.1\nn: 3\non: true\nnothing: null\nmap: {x: 1, y: [2]}\n"
        'a: "${config:lr}"\nb: ${config:n}\nc: ${config:on}\nd: ${config:nothing}\ne: ${config:map}\n'
        "f: lr=${config:lr} n=${config:n} ${config:on} ${config:nothing}\n"
        'g: ["${config:n}", {h: "${config:lr}"}, "${env:ROOT}/x"]\n'
        'i: "${config:${env:WHICH}}"\nj: ${config:map.y}\nk: ${env:NO_SUCH,fallback}\nl: ${env:NO_SUCH,}\n'
        "m: ${HOME} $${x} ${other:y} }\no: ${config:e.x}\n",
    )
    expected = {
        "lr": 0.1,
        "n": 3,
        "on": True,
        "nothing": None,
        "map": {"x": 1, "y": [2]},
        "a": 0.1,
        "b": 3,
        "c": True,
        "d": None,
        "e": {"x": 1, "y": [2]},
        "f": "lr=0.1 n=3 true null",
        "g": [3, {"h": 0.1}, "/data/x"],
        "i": 0.1,
        "j": [2],
        "k": "fallback",
        "l": "",
        "m": "${HOME} $${x} ${other:y} }",
        "o": 1,
    }
    assert exactly(config.values) == exactly(expected)
    stored = {"g": [3, {"h": 0.1}, "${env:ROOT}/x"], "i": "${config:${env:WHICH}}"}
    stored |= {"k": "${env:NO_SUCH,fallback}", "l": "${env:NO_SUCH,}"}
    assert exactly(config.stored_values) == exactly(expected | stored)
    assert sdn.loads(config.to_sdn()) == config.stored_values


def test_what_the_environment_holds_is_never_looked_at_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVIL", "${config:lr} ${env:HOME}")
    assert composed(tmp_path, "lr: 1\na: ${env:EVIL}").get("a") == "${config:lr} ${env:HOME}"


def test_a_large_config_may_have_references_too(tmp_path: Path) -> None:
    numbers = ",".join("7" * 150_000)
    config = composed(tmp_path, f"n: 1\na: [{numbers}]\nb: ${{config:n}}\n")
    assert (config.get("b"), config.get("a")) == (1, [7] * 150_000)


def test_a_variable_that_is_no_text_is_refused_without_being_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BROKEN", "secret\udcff")
    with pytest.raises(ConfigError, match="BROKEN is not UTF-8") as caught:
        composed(tmp_path, "a: ${env:BROKEN}")
    assert "secret" not in str(caught.value)
    monkeypatch.setenv("BROKEN", "secret")
    with pytest.raises(ConfigError, match="no key") as caught:
        composed(tmp_path, "a: ${config:${env:BROKEN}}")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: ${config:b}\nb: ${config:c}\nc: ${config:a}", "circle: a → b → c → a"),
        ("a: ${config:a}", "circle: a → a"),
        ("a: {b: ${config:a}}".replace("${config:a}", '"${config:a}"'), "circle: a.b → a"),
        ('a: [1, "${config:a}"]', "circle: a → a"),
        ("a: ${config:b.x}\nb: ${config:a}", "circle"),
        ('m: {x: "${config:n}"}\nn: ${config:m}', "circle"),
        ("a: ${config:nowhere}", "no key 'nowhere', which a refers to"),
        ("a: ${config:b}\nb: ${config:c.d}\nc: 1", r"no key 'c\.d', which a → b refers to"),
        ("a: ${env:NO_SUCH}", "NO_SUCH is not set; a needs it"),
        ("a: ${config:b}\nb: x${env:NO_SUCH}", "NO_SUCH is not set; a → b needs it"),
        ("a: ${config:b", "not closed"),
        ("a: ${env:}", "names nothing"),
        ("a: ${env:A B}", "no name of an environment"),
        ("a: x${config:m}\nm: {b: 1}", "map and can only stand alone"),
        ("a: x${config:m}\nm: [1]", "list and can only stand alone"),
        ("a: ${config:b..c}", "empty part"),
        ("a: " + "${config:" * 30 + "}" * 30, "nested deeper"),
        ("\n".join(f"a{n}: ${{config:a{n + 1}}}" for n in range(200)) + "\na200: 1", "in a row"),
        (
            "\n".join(f"a{n}: ${{config:a{n + 1}}}${{config:a{n + 1}}}" for n in range(40)) + "\na40: xx",
            "expand to too many values",
        ),
        (
            "\n".join(f'a{n}: ["${{config:a{n + 1}}}", "${{config:a{n + 1}}}"]' for n in range(25))
            + "\na25: 1",
            "expand to too many values",
        ),
    ],
)
def test_a_reference_that_leads_nowhere_or_in_a_circle_names_the_chain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, message: str
) -> None:
    monkeypatch.delenv("NO_SUCH", raising=False)
    with pytest.raises(ConfigError, match=message):
        composed(tmp_path, text)


def test_an_override_changes_what_refers_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORD", "first")
    config = composed(tmp_path, "lr: 0.1\nwarm: ${config:lr}\nword: ${env:WORD}\n", "lr=0.2")
    assert (config.get("warm"), config.get("word")) == (0.2, "first")
    monkeypatch.setenv("WORD", "second")
    later = config.with_override("lr", "0.5")
    assert (later.get("warm"), later.get("word"), later.get_text("lr")) == (0.5, "second", "0.5")
    merged = merge_configs(config, {"lr": 0.7, "raw": "${env:WORD}"})
    assert (merged.get("warm"), merged.get("raw")) == (0.7, "${env:WORD}"), "what code hands in is as it is"
    assert str(merged.source_of("lr")) == "code dict"
    assert str(merged.source_of("warm")) == "config.sdn:2"


def test_one_file_is_not_interpolated_until_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORD", "x")
    (tmp_path / "config.sdn").write_text("a: ${env:WORD}")
    config = load_sdn_config(tmp_path / "config.sdn")
    assert config.get("a") == "${env:WORD}"
    assert config.interpolate().get("a") == "x"
    assert config.interpolate().hash() == config.hash()


def test_the_hash_is_the_same_whatever_the_environment_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashes = set()
    for value in ("one", "two"):
        monkeypatch.setenv("WORD", value)
        config = composed(
            tmp_path, "w: ${env:WORD}\na: {lr: 1}\none: {b: 1}\ntwo: {b: 2}\nc: ${config:${env:WORD}.b}"
        )
        hashes.add(config.hash())
        assert config.get("c") == {"one": 1, "two": 2}[value]
    assert len(hashes) == 1
