"""Laying values over a stored config: what is added and changed, what set it, and what the program sees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from exptrack import ConfigConflictError, ConfigError, ExpConfig, InvalidValueError
from exptrack.config.growth import Growth, follow, grow, read_addition

BASE = {"lr": 0.1, "optim": {"name": "adam", "betas": [0.9, 0.99]}, "empty": {}}


def lay(values: object, *, allow_change: bool = False, source: str | None = None) -> Growth:
    return grow(ExpConfig(BASE), read_addition(values, source), allow_change=allow_change)


def test_maps_merge_and_equal_values_stay() -> None:
    growth = lay({"epochs": 3, "optim": {"name": "adam", "eps": 1e-8}, "empty": {"a": {}}, "lr": 0.1})
    assert growth.config.values == {
        "lr": 0.1,
        "optim": {"name": "adam", "betas": [0.9, 0.99], "eps": 1e-8},
        "empty": {"a": {}},
        "epochs": 3,
    }
    assert growth.added == ("epochs", "optim.eps", "empty.a")
    assert growth.changed == {}
    assert lay({"optim": {"betas": [0.9, 0.99]}, "empty": {}})[1:] == ((), {})


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({"lr": 1}, "lr"),
        ({"lr": True}, "lr"),
        ({"lr": None}, "lr"),
        ({"optim": {"betas": [0.9]}}, "optim.betas"),
        ({"optim": "adam"}, "optim"),
        ({"lr": {"start": 0.1}}, "lr"),
    ],
)
def test_another_value_is_refused_unless_it_is_allowed(values: dict[str, Any], key: str) -> None:
    with pytest.raises(ConfigConflictError) as caught:
        lay({"new": 1} | values)
    old: Any = ExpConfig(BASE).get(key)
    new = ExpConfig(values).get(key)
    assert (caught.value.key, caught.value.old, caught.value.new) == (key, old, new)
    assert all(repr(one) in str(caught.value) for one in (old, new))
    growth = lay({"new": 1} | values, allow_change=True)
    assert (growth.added, growth.changed) == (("new",), {key: old})
    assert growth.config.get(key) == new


def test_a_conflict_counts_the_other_keys() -> None:
    with pytest.raises(ConfigConflictError, match=r"lr has|has lr = 0.1, .*\(2 more differ\)"):
        lay({"lr": 1, "optim": {"name": "sgd", "betas": 0}})


def test_a_key_with_a_dot_is_one_key() -> None:
    growth = lay({"optim.name": "sgd"})
    assert growth.added == ('"optim.name"',)
    assert growth.config.values["optim"] == BASE["optim"]


def test_the_source_of_each_value_is_told() -> None:
    growth = lay({"lr": 0.1, "a": {"b": True, "c": "x"}, "t": "${env:HOME}"}, source="override")
    sources = {key: (one.kind, one.name) for key, one in growth.config.sources.items()}
    assert sources == {
        "lr": ("code", "dict"),
        "optim.name": ("code", "dict"),
        "optim.betas": ("code", "dict"),
        "empty": ("code", "dict"),
        "a.b": ("override", "a.b=true"),
        "a.c": ("override", "a.c=x"),
        "t": ("code", "dict"),  # else a resumed run would resolve the reference, which the program did not
    }
    assert growth.config.overrides == ("a.b=true", "a.c=x")
    assert lay({"e": 1}, source="default").config.source_of("e").kind == "default"
    assert lay({"lr": 1}, source="default", allow_change=True).config.source_of("lr").kind == "default"

    @dataclass
    class Settings:
        depth: int = 18
        width: int = 64

    found = lay(Settings(width=32)).config
    assert [str(found.source_of(key)) for key in ("depth", "width")] == ["default Settings", "code Settings"]
    with pytest.raises(InvalidValueError, match="source"):
        lay({"e": 1}, source="file")


def test_an_override_that_the_command_line_would_hide_is_hidden() -> None:
    config = lay({"api_token": "tok-Zk3mQ9x"}, source="override").config
    assert "tok-Zk3mQ9x" not in repr((config.stored_values, config.overrides, config.sources))
    assert config.stored_values["api_token"] == "***"


@pytest.mark.parametrize("values", [5, [1], {"x": {(1, 2): 2}}, {"x": object()}])
def test_what_a_config_cannot_hold_is_refused(values: object) -> None:
    with pytest.raises(ConfigError):
        lay(values)


def test_the_program_sees_its_values_and_the_file_their_references(monkeypatch: pytest.MonkeyPatch) -> None:
    from exptrack import ConfigSource

    monkeypatch.setenv("DATA_HOME", "/srv/data-1")
    monkeypatch.setenv("MORE_HOME", "/srv/data-2")
    in_file = {"path": ConfigSource("file", "config.sdn", 1)}
    seen = ExpConfig({"path": "${env:DATA_HOME}/a"}, sources=in_file).interpolate()
    given = ExpConfig({"more": "${env:MORE_HOME}"}, sources={"more": ConfigSource("file", "more.sdn", 1)})
    addition = read_addition(given)
    growth = grow(ExpConfig(seen.stored_values, sources=seen.sources), addition, allow_change=False)
    assert growth.config.stored_values == {"path": "${env:DATA_HOME}/a", "more": "${env:MORE_HOME}"}
    monkeypatch.delenv("DATA_HOME")
    now = follow(growth.config, addition, seen)
    assert now.values == {"path": "/srv/data-1/a", "more": "/srv/data-2"}
    assert now.stored_values == growth.config.stored_values
    assert now == growth.config
    # The value that the environment gave is known, so it is stored as its reference again.
    again = read_addition({"path": "/srv/data-1/a"})
    assert grow(growth.config, again, allow_change=False).changed == {}
