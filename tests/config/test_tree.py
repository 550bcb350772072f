"""Trees of plain values: one form for every value, whatever holds it, and a leaf gives back its value."""

from __future__ import annotations

import argparse
import collections
import datetime
import decimal
import enum
import fractions
import logging
import math
import subprocess
import sys
import types
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from omegaconf import OmegaConf
from pydantic import BaseModel, ConfigDict

import exptrack
from exptrack import Archive, ConfigError, ExpConfig
from exptrack.config import origin
from exptrack.config.tree import leaf_value, list_leaves
from tests.strategies import VALUES, exactly


class Kind(enum.Enum):
    ADAM = "adam"
    WHERE = Path("a/b")


class Level(enum.IntEnum):
    HIGH = 3


@dataclass
class Inner:
    depth: int = 50
    where: Path = Path("x")


@dataclass
class Holder:
    x: Any


class Model(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)
    x: Any


class Tensor:
    """As torch's: the type has a shape, and numbers come by way of detach() and cpu()."""

    dtype = "torch.float32"
    shape = (2,)

    def detach(self) -> Tensor:
        return self

    cpu = detach

    def tolist(self) -> list[float]:
        return [0.5, 1.5]


# What has an exact form, or one obvious text.
EXACT: list[tuple[Any, Any]] = [
    (Path("data") / "train", "data/train"),
    (PureWindowsPath(r"C:\data"), "C:/data"),
    (Kind.ADAM, "adam"),
    (Kind.WHERE, "a/b"),
    (Level.HIGH, 3),
    (datetime.date(2026, 1, 31), "2026-01-31"),
    (datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.UTC), "2026-01-31T12:00:00+00:00"),
    (datetime.time(12, 30), "12:30:00"),
    (Inner(18), {"depth": 18, "where": "x"}),
    (argparse.Namespace(lr=0.1, out=Path("o")), {"lr": 0.1, "out": "o"}),
    (types.SimpleNamespace(a=[Kind.ADAM]), {"a": ["adam"]}),
    (collections.OrderedDict(a=(1, 2)), {"a": [1, 2]}),
    (np.float32(0.5), 0.5),
    (np.int64(3), 3),
    (np.bool_(True), True),
    (np.str_("s"), "s"),
    (np.array(5), 5),
    (np.arange(4).reshape(2, 2), [[0, 1], [2, 3]]),
    (np.array(["2026-01-31"], "M8[D]"), ["2026-01-31"]),
    (np.datetime64("2026-01-31T00:00:00.000000001"), "2026-01-31T00:00:00.000000001"),
    (Tensor(), [0.5, 1.5]),
    (OmegaConf.create({"layers": [64, "${width}"], "width": 32}), {"layers": [64, 32], "width": 32}),
    (OmegaConf.create([64, 64]), [64, 64]),
    (ExpConfig({"optim": {"lr": 0.1}}).optim, {"lr": 0.1}),
]
# What is stored in its nearest form, and told.
TOLD: list[tuple[Any, Any]] = [
    ({3, 1, 20}, [1, 3, 20]),
    (frozenset({"b", "a", Path("c")}), ["a", "b", "c"]),
    ({1: "a", 2.5: "b", None: "c"}, {"1": "a", "2.5": "b", "null": "c"}),
    ({True: 1, False: 2}, {"true": 1, "false": 2}),
    ({Level.HIGH: "x", Kind.ADAM: "y"}, {"3": "x", "adam": "y"}),
]
# What only a config that says so takes.
INEXACT: list[tuple[Any, Any]] = [
    (math.nan, "nan"),
    (-math.inf, "-inf"),
    (np.float32("inf"), "inf"),
    ([1.0, math.nan], [1.0, "nan"]),
    (np.array([math.nan, 1.0]), ["nan", 1.0]),
    (np.zeros((100, 100), "f4"), "ndarray float32[100, 100]"),
    (decimal.Decimal("0.10"), "0.10"),
    (fractions.Fraction(1, 3), "1/3"),
    (uuid.UUID(int=5), "00000000-0000-0000-0000-000000000005"),
    (datetime.timedelta(minutes=90), "1:30:00"),
]
REFUSED: list[Any] = [
    len,
    int,
    object(),
    b"x",
    bytearray(b"x"),
    2**63,
    1 + 2j,
    range(3),
    "\ud800",
    np.void(b"x"),
]
REFUSED += [{(1, 2): 3}, {b"k": 1}, {1: "a", "1": "b"}, {"\ud800": 1}, {10**5000: 1}, Holder(len), [object()]]

SOURCES: dict[str, Callable[[Any], Any]] = {
    "dict": lambda value: {"x": value},
    "mapping": lambda value: collections.ChainMap({"x": value}),
    "namespace": lambda value: argparse.Namespace(x=value),
    "dataclass": Holder,
    "nested": lambda value: {"x": value, "y": {"z": [Holder(value)]}},
}


@given(value=VALUES)
def test_a_leaf_gives_back_its_value_exactly(value: Any) -> None:
    for leaf in list_leaves("k", {"only": value}):
        key = leaf.key.removeprefix("k.only")
        if not key:
            assert exactly(leaf_value(*leaf[1:])) == exactly(value)


@pytest.mark.parametrize("source", SOURCES)
def test_a_value_has_one_form_in_every_source(source: str) -> None:
    for place, (value, form) in enumerate(EXACT + TOLD + INEXACT):
        config = ExpConfig.from_object(SOURCES[source](value))
        assert bool(config.loose_keys) == (place >= len(EXACT)), value
        assert exactly(config["x"]) == exactly(form), value
        assert ExpConfig.from_loose(SOURCES[source](value)) == config
        if source == "nested":
            assert exactly(config["y.z[0].x"]) == exactly(form), value


def test_what_is_told_is_named_by_its_key() -> None:
    config = ExpConfig.from_object(
        {"a": {"b": math.nan, "c": {1: 2}}, "l": [1, [math.inf]], "s": {1}, "fine": 1}
    )
    assert config.loose_keys == ("a.b", "a.c.1", "l", "s")
    assert config.with_override("fine", 2).loose_keys == ()


@pytest.mark.parametrize("source", SOURCES)
def test_what_has_no_form_is_refused_with_its_path(source: str) -> None:
    for value in REFUSED:
        with pytest.raises(ConfigError, match=r"x|config key"):
            ExpConfig.from_object(SOURCES[source](value))
        if not isinstance(value, dict):
            with pytest.raises(ConfigError):
                ExpConfig.from_object(Model(x=Holder(value)))
    with pytest.raises(ConfigError, match="from_loose"):
        ExpConfig.from_object({"x": len})


def test_a_model_has_the_same_forms() -> None:
    class Settings(BaseModel):
        rate: float = math.nan
        names: set[str] = {"b", "a", "c"}
        kind: Kind = Kind.ADAM
        deep: dict[str, float] = {"x": math.inf}

    config = ExpConfig.from_object(Settings())
    assert config.values == {"rate": "nan", "names": ["a", "b", "c"], "kind": "adam", "deep": {"x": "inf"}}
    assert config.loose_keys == ("rate", "names", "deep.x")


@pytest.mark.parametrize(("value", "form"), EXACT + TOLD)
def test_every_call_that_takes_values_gives_them_the_same_form(archive: Archive, value: Any, form: Any) -> None:
    found = [ExpConfig({"x": value})["x"], ExpConfig({"y": 1}).with_override("x", [value])["x[0]"]]
    with archive.start_run({"a": 1}) as run:
        run.update_config({"x": value})
        run.append_event("saved", {"x": value})
        run.artifacts.register_data("w", b"1", {"x": value})
        run.set_attribute("x", value)
        (event,) = (event for event in run.read_events() if event.kind == "saved")
        artifact = run.artifacts.get_artifact("w")
        assert artifact is not None
        found += [run.config["x"], event.data["x"], artifact.metadata["x"], run.attributes["x"]]
    assert [exactly(one) for one in found] == [exactly(form)] * 6


@pytest.mark.parametrize(("value", "_form"), INEXACT)
def test_where_no_config_says_what_it_lost_nothing_is_lost(archive: Archive, value: Any, _form: Any) -> None:
    for call in (lambda: ExpConfig({"x": value}), lambda: ExpConfig({"x": 1}).with_override("x", value)):
        with pytest.raises(ConfigError, match="'x"):
            call()
    with archive.start_run() as run, pytest.raises(exptrack.InvalidValueError, match="x"):
        run.append_event("saved", {"x": value})


def test_it_is_said_once_for_the_same_keys(
    archive: Archive, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(origin, "_said", set())
    for _ in range(3):
        with archive.start_run({"rate": math.nan, "ids": {1: "a"}}) as run:
            pass
    assert run.config.loose_keys == ("rate", "ids.1")
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "'rate', 'ids.1'" in caplog.text
    archive.start_run(ExpConfig.from_loose({"other": math.nan})).complete()
    assert len(caplog.records) == 1
    with archive.start_run({"a": 1}) as run:
        run.update_config({"more": math.nan})
    assert "'more'" in caplog.records[-1].getMessage()


def test_settings_in_a_mapping_tell_their_defaults() -> None:
    config = ExpConfig.from_object({"net": Inner(18), "list": [Inner()], "plain": 1})
    assert {path: str(source) for path, source in config.sources.items()} == {
        "net.depth": "code Inner",
        "net.where": "default Inner",
        "list": "code dict",
        "plain": "code dict",
    }


def test_a_part_of_omegaconf_keeps_references_to_the_environment(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DB_PASSWORD", "kanarienvogel-9")
    whole = OmegaConf.create({"db": {"password": "${oc.env:DB_PASSWORD}", "user": "${name}"}, "name": "me"})
    for config in ({"db": whole.db, "n": 1}, argparse.Namespace(db=whole.db, n=1)):
        with archive.start_run(config) as run:
            assert run.config.values == {"db": {"password": "kanarienvogel-9", "user": "me"}, "n": 1}
            assert run.config.stored_values["db"] == {"password": "${oc.env:DB_PASSWORD}", "user": "me"}
    with archive.start_run(whole.db) as run:
        assert run.config["password"] == "kanarienvogel-9"
    assert all(b"kanarienvogel" not in file.read_bytes() for file in Path(archive.path).parent.iterdir())


def test_a_config_that_holds_itself_is_refused_whatever_holds_it() -> None:
    around = argparse.Namespace(a=1)
    around.me = [around]
    circle: dict[str, Any] = {"a": Path("x")}
    circle["me"] = circle
    for thing in (around, circle, {"x": circle}):
        with pytest.raises(ConfigError, match="nested deeper"):
            ExpConfig.from_object(thing)


def test_sets_have_one_order_in_every_process() -> None:
    code = "import exptrack; print(exptrack.ExpConfig({'s': {'b', 'a', 'c', 10, 9, (1, 2)}}).canonical())"
    found = {
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        for _ in range(4)
    }
    assert found == {'{"s":[9,10,[1,2],"a","b","c"]}\n'}


def test_a_plain_config_imports_nothing_for_it() -> None:
    code = (
        "import sys, exptrack; exptrack.ExpConfig.from_object({'a': [1, {'b': 'x'}]});"
        "print([name for name in ('exptrack.config.forms', 'exptrack.config.objects') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
