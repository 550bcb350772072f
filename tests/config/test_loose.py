"""Loose configs: what a framework hands over becomes a config, whatever is in it, and what changed is told."""

from __future__ import annotations

import argparse
import datetime
import decimal
import enum
import functools
import json
import logging
import math
import sys
import threading
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from pydantic import BaseModel, ConfigDict, SecretStr

from exptrack import Archive, ExpConfig
from exptrack.config import loose, tree
from exptrack.config.tree import encode_canonical
from tests.effort import tries

loosely = ExpConfig.from_loose


class Level(enum.Enum):
    LOW = 1
    ODD = math.inf


class Mode(enum.StrEnum):
    FAST = "fast"


@dataclass
class Optim:
    lr: float = 0.1
    act: object = math.sin
    betas: tuple[float, float] = (0.9, 0.99)
    more: dict[str, Any] = field(default_factory=dict)


class Model(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)
    rate: float = 0.5
    token: SecretStr = SecretStr("hidden-value")
    thing: Any = None


class Plain:
    """An object as any library has them."""

    kind = "of the class"

    def __init__(self, **attributes: Any) -> None:
        self.__dict__.update(attributes)


class Slotted:
    __slots__ = ("_own", "empty", "width")

    def __init__(self) -> None:
        self.width, self._own = 3, 4


class Written(Plain):
    def to_dict(self) -> dict[str, Any]:
        return {"written": self.__dict__}


class Layer(Plain):
    def __call__(self) -> None: ...


class Tensor:
    """As torch's: the type has a shape, and numbers come by way of detach() and cpu()."""

    dtype = "torch.bfloat16"

    def __init__(self, values: list[float]) -> None:
        self._values = values

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self._values),)

    def detach(self) -> Tensor:
        return self

    cpu = detach

    def tolist(self) -> list[float]:
        return self._values


# Values with an exact form or one obvious text: stored, and not told.
EXACT: list[tuple[Any, Any]] = [
    (np.float32(0.1), 0.10000000149011612),
    (np.int64(3), 3),
    (np.bool_(True), True),
    (np.arange(3), [0, 1, 2]),
    (np.array(["a", "b"]), ["a", "b"]),
    (np.datetime64("2020-01-01T00:00:00.000000001"), "2020-01-01T00:00:00.000000001"),
    (Tensor([0.5, 1.5]), [0.5, 1.5]),
    (Level.LOW, 1),
    (Mode.FAST, "fast"),
    (Path("a") / "b", "a/b"),
    (datetime.date(2020, 1, 2), "2020-01-02"),
    ((1, [2, (3,)]), [1, [2, [3]]]),
    (argparse.Namespace(a=1, b=SimpleNamespace(c=None)), {"a": 1, "b": {"c": None}}),
    (Plain(a=1, _b=2, c=[True]), {"a": 1, "c": [True]}),
    (Written(a=1), {"written": {"a": 1}}),
    (Slotted(), {"width": 3}),
]
# Values that become another text: stored, and told.
TOLD: list[tuple[Any, Any]] = [
    (math.nan, "nan"),
    (-math.inf, "-inf"),
    (Level.ODD, "inf"),
    (np.float64("nan"), "nan"),
    (math.sin, "math.sin"),
    (len, "len"),
    (int, "int"),
    (Optim, f"{__name__}.Optim"),
    (Plain(a=1).__init__, f"{__name__}.Plain.__init__"),  # type: ignore[misc]
    (Layer(weights=[1.0]), f"{__name__}.Layer"),
    (functools.partial(max, 1), "functools.partial(<built-in function max>, 1)"),
    (np.dtype("float32"), "float32"),
    (np.float32, "numpy.float32"),
    (np.zeros((100, 100), "float32"), "ndarray float32[100, 100]"),
    (Tensor([0.0] * 1000), "Tensor bfloat16[1000]"),
    ({3, 1, 2}, [1, 2, 3]),
    (frozenset("ba"), ["a", "b"]),
    (decimal.Decimal("0.10"), "0.10"),
    (uuid.UUID(int=5), "00000000-0000-0000-0000-000000000005"),
    (datetime.timedelta(days=1), "1 day, 0:00:00"),
    (1 + 2j, "(1+2j)"),
    (b"ab", "b'ab'"),
    (2**63, "9223372036854775808"),
    (range(3), "range(0, 3)"),
    ("\ud800", "\\ud800"),
    (json, "json"),
    (object(), "<object object>"),
    (SecretStr("hidden-value"), "SecretStr('**********')"),
]


def test_what_has_a_form_is_stored_and_not_told() -> None:
    given_values = {str(place): value for place, (value, _stored) in enumerate(EXACT)}
    config = loosely({**given_values, "odd": math.nan})
    for place, (value, stored) in enumerate(EXACT):
        assert encode_canonical(config.values[str(place)]) == encode_canonical(stored), value
    assert config.loose_keys == ("odd",)


def test_what_has_none_becomes_text_and_is_told() -> None:
    config = loosely({str(place): value for place, (value, _stored) in enumerate(TOLD)})
    for place, (value, stored) in enumerate(TOLD):
        assert config.values[str(place)] == stored, value
    assert config.loose_keys == tuple(str(place) for place in range(len(TOLD)))


def test_an_exact_config_is_that_of_from_object() -> None:
    for thing in ({"a": {"b": [1, 2.5, None]}}, Optim(act=None), Model(), ExpConfig({"a": 1})):
        config = loosely(thing)
        assert (config, config.sources) == (same := ExpConfig.from_object(thing), same.sources)
        assert config.loose_keys == ()


def test_one_odd_value_changes_neither_the_others_nor_their_sources() -> None:
    config = loosely({"inner": Model(rate=0.7, thing=object()), "text": "x"})
    assert config.values == {
        "inner": {"rate": 0.7, "token": "SecretStr('**********')", "thing": "<object object>"},
        "text": "x",
    }
    assert config.loose_keys == ("inner.token", "inner.thing")
    optim = loosely(Optim(lr=0.2))
    assert optim.values == {"lr": 0.2, "act": "math.sin", "betas": [0.9, 0.99], "more": {}}
    assert {path: source.kind for path, source in optim.sources.items()} == {
        "lr": "code",
        "act": "default",
        "betas": "default",
        "more": "default",
    }
    assert optim.loose_keys == ("act",)


def test_keys_become_text_and_none_is_lost() -> None:
    config = loosely({1: "int", "1": "text", None: 0, False: 1, 2.5: 2, (1, 2): 3, Mode.FAST: 4, "x" * 2000: 5})
    assert config.values == {
        "1": "int",
        "1 (2)": "text",
        "null": 0,
        "false": 1,
        "2.5": 2,
        "(1, 2)": 3,
        "fast": 4,
        f"{'x' * 980}…": 5,
    }
    assert config.loose_keys == ("1", "1 (2)", "null", "false", '"2.5"', "(1, 2)", f"{'x' * 980}…")


def test_what_is_within_a_list_is_told_by_the_key_of_the_list() -> None:
    config = loosely({"layers": [{"act": len, "w": [math.nan, 1.0]}, Optim()], "n": 1})
    assert config.loose_keys == ("layers",)
    assert config.values["layers"][0] == {"act": "len", "w": ["nan", 1.0]}  # type: ignore[index]
    assert {leaf.key for leaf in config.leaves()} == {"layers", "n"}


def test_what_is_no_settings_at_all_is_one_value() -> None:
    assert loosely(None).values == {}
    assert loosely(5).values == {"value": 5}
    assert loosely([1, math.nan]).values == {"value": [1, "nan"]}
    assert loosely(len).values == {"value": "len"}
    assert [loosely(thing).loose_keys for thing in (5, [1], len)] == [("value",)] * 3


def test_references_of_omegaconf_stay_where_they_cannot_be_resolved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOSE_TOKEN", "of-the-environment")
    config = loosely(OmegaConf.create({"a": "???", "b": "${oc.env:LOOSE_TOKEN}", "c": "${nowhere}", "d": 1}))
    assert config.values == {"a": "???", "b": "${oc.env:LOOSE_TOKEN}", "c": "${nowhere}", "d": 1}


# Objects that would break a reader


def refuse(*_given: object) -> NoReturn:
    raise ValueError("not told")


class Refusing:
    __repr__ = __getattribute__ = __hash__ = __eq__ = __iter__ = refuse  # type: ignore[assignment]


class Liar:
    __class__ = property(refuse)  # type: ignore[assignment]


class Generous:
    """Has every attribute, and each has more."""

    def __getattr__(self, _name: str) -> Generous:
        return Generous()


class Growing:
    def to_dict(self) -> dict[str, Any]:
        return {"left": Growing(), "right": Growing()}


class Endless(Mapping[str, int]):
    def __getitem__(self, key: str) -> int:
        return 1

    def __iter__(self) -> Iterator[str]:
        return map(str, iter(int, 1))

    def __len__(self) -> int:
        return 10**9


class Torn(Mapping[str, Any]):
    def __len__(self) -> int:
        return 2

    def __iter__(self) -> Iterator[str]:
        yield "whole"
        refuse()

    def __getitem__(self, key: str) -> Any:
        return 7


class Gaps(Torn):
    def __iter__(self) -> Iterator[str]:
        return iter(["a", "b"])

    def __getitem__(self, key: str) -> Any:
        return refuse() if key == "a" else 8


class Text(str):
    __slots__ = ()
    __str__ = __repr__ = __hash__ = __len__ = __iter__ = encode = refuse  # type: ignore[assignment]


def nest(depth: int) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for _ in range(depth):
        nested = {"in": nested}
    return nested


CIRCLE: dict[str, Any] = {"a": 1}
CIRCLE["me"] = [CIRCLE]

HOSTILE: dict[str, Any] = {
    "refusing": Refusing(),
    "liar": Liar(),
    "generous": Generous(),
    "growing": Growing(),
    "endless": Endless(),
    "torn": Torn(),
    "gaps": Gaps(),
    "text": Text("x"),
    "deep": nest(20_000),
    "deep list": functools.reduce(lambda inner, _n: [inner], range(5_000), [1]),
    "circle": CIRCLE,
    "long": "x" * 10_000_000,
    "wide": list(range(300_000)),
    "many keys": dict.fromkeys(range(200000)),
    "long keys": {f"{n}{'k' * 2000}": n for n in range(6_000)},
    "huge int": 10**5000,
    "bytes": bytes(10_000_000),
    "logger": logging.getLogger("exptrack.loose"),
    "lock": threading.Lock(),
    "thread": threading.current_thread(),
    "frame": sys._getframe(),
    "modules": sys.modules,
    "error": ValueError("x"),
    "object array": np.array([Liar, {1: 2}], dtype=object),
    "structured": np.zeros(2, [("a", "f4"), ("b", "S3")]),
    "long double": np.longdouble(1) / 3,
    "masked": np.ma.masked_array([1.0, 2.0], [True, False]),
}


EXACT_YET = ("text", "long", "masked")  # what a config holds exactly


@pytest.mark.parametrize("name", HOSTILE)
def test_no_object_makes_it_raise_or_grow(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loose, "MAX_VALUES", 5_000)  # the same way with less to read
    monkeypatch.setattr(tree, "MAX_VALUES", 20_000)
    for thing in (HOSTILE[name], {"before": 1, "it": HOSTILE[name], "after": [2]}):
        config = loosely(thing)
        assert config.loose_keys or name in EXACT_YET
        assert len(config.canonical()) < 2 * loose.MAX_CHARS or name in EXACT_YET
        assert len(config.leaves()) <= 6_000
        if thing is not HOSTILE[name]:
            assert config.values["before"] == 1
            assert "it" in config.values
    json.loads(config.canonical())


def test_what_can_be_read_of_a_torn_object_stays() -> None:
    assert loosely({"it": Torn()}).values == {"it": {"whole": 7, "…": "<it cannot be read>"}}
    assert loosely({"it": Gaps()}).values == {"it": {"a": "<it cannot be read>", "b": 8}}
    circle = loosely(CIRCLE)
    assert circle.values == {"a": 1, "me": ["<dict…>"]}
    assert circle.loose_keys == ("me",)


def test_equal_settings_have_equal_hashes() -> None:
    def make() -> dict[str, Any]:
        return {"f": lambda x: x, "o": object(), "p": functools.partial(make, 1), "s": {"b", "a", 3, None}}

    assert loosely(make()) == loosely(make())


def test_ctrl_c_passes() -> None:
    class Interrupting:
        def to_dict(self) -> NoReturn:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        loosely({"it": Interrupting()})


SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.complex_numbers()
)
ANYTHING = st.recursive(
    SCALARS | st.sampled_from([len, Optim, Optim(), Torn(), Level.ODD, np.float16(3)]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=3) | st.integers() | st.none(), inner, max_size=4)
        | st.builds(lambda a: Plain(a=a), inner)
    ),
    max_leaves=12,
)


@settings(max_examples=tries(60), deadline=None)
@given(ANYTHING)
def test_everything_becomes_a_config_that_says_what_changed(thing: Any) -> None:
    config = loosely({"it": thing})
    try:
        exact = ExpConfig.from_object({"it": thing})
    except Exception:
        assert ExpConfig(config.values) == config
    else:
        assert (config, config.loose_keys) == (exact, exact.loose_keys)


def test_a_run_takes_a_loose_config_and_stores_it(archive: Archive) -> None:
    config = loosely(Optim(more={"rate": math.nan}))
    with archive.start_run(config) as run:
        pass
    stored = archive.show_run(run.run_id).config
    assert stored == config.values
    assert stored["more"] == {"rate": "nan"}
