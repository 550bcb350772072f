"""Values that no call expects: each is made anew for each call, as some can be read only once.

The classes lie about what they are, or raise wherever Python asks them something. `LIE` is what a lying text
shows instead of the text that it equals: it must never get into a file.
"""

from __future__ import annotations

import collections
import decimal
import enum
import fractions
import itertools
import os
import pathlib
import socket
import types
import unittest.mock
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from pathlib import Path
from typing import Any

import numpy as np

LIE = "LIE-that-a-text-tells"
DEPTH = 5_000
HUGE = 10 * 1024 * 1024
# The methods that Python itself calls on a value. No test depends on their order.
HOOKS = (
    "__repr__ __str__ __format__ __float__ __int__ __index__ __iter__ __len__ __hash__ __eq__ __lt__ __bool__"
    " __fspath__ __contains__ __getitem__ __array__ __buffer__ __call__ __enter__ __bytes__ __round__"
).split()


class Metric(enum.StrEnum):
    """A text that Python shows as it is."""

    LOSS = "loss"


class Name(str, enum.Enum):  # noqa: UP042  # Python shows it as Name.LOSS
    """A text that Python shows by another name."""

    LOSS = "loss"


class Liar(str):
    """A text that shows itself, compares and encodes as another."""

    __slots__ = ()

    def _lie(self, *_args: object) -> str:
        return LIE

    __str__ = __repr__ = __format__ = strip = lower = _lie  # type: ignore[assignment]

    def encode(self, *_args: object, **_words: object) -> bytes:
        return LIE.encode()

    def isprintable(self) -> bool:
        return True


class LoneLiar(str):
    """A harmless text that shows itself as one that cannot be stored."""

    __slots__ = ()

    def __str__(self) -> str:
        return "\ud800"

    __repr__ = __str__


class EqualToAll(str):
    """A text that says it equals everything."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = str.__hash__

    def __len__(self) -> int:
        return 1


class BigInt(int):
    """A number that shows and converts itself as another."""

    def __index__(self) -> int:
        return 2**70

    __int__ = __index__

    def __repr__(self) -> str:
        return LIE

    __str__ = __repr__


class OddFloat(float):
    """A number that converts itself to another."""

    def __float__(self) -> float:
        raise OverflowError("no float")

    def __repr__(self) -> str:
        return LIE

    __str__ = __repr__


class ChangingDict(dict[Any, Any]):
    """A dict that another thread changes while it is read."""

    def items(self) -> Any:
        yield "a", 1
        raise RuntimeError("dictionary changed size during iteration")

    def __iter__(self) -> Iterator[Any]:
        raise RuntimeError("dictionary changed size during iteration")

    def keys(self) -> Any:
        raise RuntimeError("dictionary changed size during iteration")


class ChangingList(list[Any]):
    """A list that breaks while it is read."""

    def __iter__(self) -> Iterator[Any]:
        yield 1
        raise RuntimeError("the list changed")

    def __len__(self) -> int:
        raise ZeroDivisionError("no length")


class BrokenMapping(Mapping[Any, Any]):
    """A mapping that names a key that it does not have."""

    def __iter__(self) -> Iterator[Any]:
        return iter(["a"])

    def __getitem__(self, key: Any) -> Any:
        raise AttributeError("no value")

    def __len__(self) -> int:
        return 1


class NoZone(tzinfo):
    """A time zone that does not know its offset."""

    def utcoffset(self, _when: datetime | None) -> timedelta:
        raise RuntimeError("no offset")


class LostPath(os.PathLike[str]):
    """A path that leads nowhere."""

    def __fspath__(self) -> str:
        raise RuntimeError("no path")


class WrongPath(os.PathLike[str]):
    """A path that is no text."""

    def __fspath__(self) -> str:
        return 5  # type: ignore[return-value]


class LyingPath(pathlib.PurePosixPath):
    """A path whose parts raise."""

    def __fspath__(self) -> str:
        raise ZeroDivisionError("no path")


def raising(error: Callable[[], BaseException], *names: str, base: type = object) -> type:
    """Return a class whose instances raise the error when Python asks them one of these things."""

    def hook(_self: object, *_args: object, **_words: object) -> Any:
        Raised.count += 1
        raise error()

    return type("Hostile", (base,), dict.fromkeys(names, hook))


class Raised:
    """How often a value of :func:`raising` was asked and raised."""

    count = 0


class HasNoAttributes:
    """An object that raises when it is asked for an attribute that it lacks."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(f"no {name}")


class HasEverything:
    """An object that has every attribute, none of which is what it should be."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *_args, **_words: self


class ActsAsText:
    """An object that says it is a text, and has no method of one."""

    __class__ = str  # type: ignore[assignment]


class NoArray:
    """An array that cannot be read."""

    dtype = np.dtype(float)
    shape = (3,)
    ndim = 1

    def __len__(self) -> int:
        return 3

    def __iter__(self) -> Iterator[float]:
        raise MemoryError("the device is gone")

    def tolist(self) -> Any:
        raise OSError("the device is gone")

    item = numpy = cpu = detach = to_numpy = tolist

    def __getitem__(self, _key: object) -> Any:
        raise OSError("the device is gone")


def nested_list(depth: int = DEPTH) -> list[Any]:
    whole: list[Any] = []
    for _ in range(depth):
        whole = [whole]
    return whole


def nested_dict(depth: int = DEPTH) -> dict[str, Any]:
    whole: dict[str, Any] = {}
    for _ in range(depth):
        whole = {"a": whole}
    return whole


def own_list() -> list[Any]:
    whole: list[Any] = [1]
    whole.append(whole)
    return whole


def own_dict() -> dict[str, Any]:
    whole: dict[str, Any] = {"a": 1}
    whole["self"] = whole
    return whole


def breaking(*first: Any) -> Iterator[Any]:
    """Give some elements, then raise."""
    yield from first
    raise OSError("the device is gone")


def special_files(folder: Path) -> dict[str, Path]:
    """Make a file of each special kind in the folder; return the paths that no call may open and wait for."""
    folder.mkdir(exist_ok=True)
    found = {"folder": folder, "absent": folder / "absent" / "file", "null device": Path(os.devnull)}
    if os.name == "posix":
        found["fifo"] = folder / "fifo"
        os.mkfifo(found["fifo"])
        found["socket"] = folder / "socket"
        with socket.socket(socket.AF_UNIX) as one:
            here = os.open(".", os.O_RDONLY)
            try:
                os.chdir(folder)  # the whole path may be too long for a socket
                one.bind("socket")
            finally:
                os.fchdir(here)
                os.close(here)
        found["dangling link"] = folder / "dangling"
        found["dangling link"].symlink_to(folder / "nothing")
        found["link to itself"] = folder / "loop"
        found["link to itself"].symlink_to("loop")
        found["link to a fifo"] = folder / "link"
        found["link to a fifo"].symlink_to("fifo")
        found["zeros"], found["random bytes"] = Path("/dev/zero"), Path("/dev/urandom")
        if os.path.exists("/proc/self/mem"):
            found["memory"] = Path("/proc/self/mem")
    return found


FAR = datetime.max.replace(tzinfo=timezone(-timedelta(hours=1)))
EARLY = datetime.min.replace(tzinfo=timezone(timedelta(hours=1)))

VALUES: dict[str, Callable[[], Any]] = {
    "None": lambda: None,
    "True": lambda: True,
    "False": lambda: False,
    "0": lambda: 0,
    "-1": lambda: -1,
    "2^31": lambda: 2**31,
    "2^53 + 1": lambda: 2**53 + 1,
    "2^63 - 1": lambda: 2**63 - 1,
    "2^63": lambda: 2**63,
    "-2^63 - 1": lambda: -(2**63) - 1,
    "10^400": lambda: 10**400,
    "-10^400": lambda: -(10**400),
    "10^5000": lambda: 10**5000,
    "0.5": lambda: 0.5,
    "NaN": lambda: float("nan"),
    "inf": lambda: float("inf"),
    "-inf": lambda: float("-inf"),
    "1e308": lambda: 1e308,
    "Decimal 1e400": lambda: decimal.Decimal("1e400"),
    "Decimal sNaN": lambda: decimal.Decimal("sNaN"),
    "Fraction": lambda: fractions.Fraction(10**400, 3),
    "complex": lambda: 1j,
    "empty text": lambda: "",
    "blank": lambda: " ",
    "NUL": lambda: "a\0b",
    "surrogate": lambda: "\ud800",
    "10 MB": lambda: "x" * HUGE,
    "path upwards": lambda: "../../x",
    "root": lambda: "/",
    "option": lambda: "--x",
    "percent": lambda: "%s%n{0}{x!r}",
    "SQL": lambda: "x\"]'); DROP TABLE run; --",
    "steering": lambda: "\x1b[2J\x9b31m\u202e",
    "word": lambda: "loss",
    "deep text": lambda: "[" * 100_000,
    "StrEnum": lambda: Metric.LOSS,
    "str and Enum": lambda: Name.LOSS,
    "liar": lambda: Liar("loss"),
    "lone liar": lambda: LoneLiar("loss"),
    "equal to all": lambda: EqualToAll("loss"),
    "surrogate liar": lambda: Liar("\ud800"),
    "other int": lambda: BigInt(3),
    "other float": lambda: OddFloat(0.5),
    "numpy text": lambda: np.str_("loss"),
    "numpy NaN": lambda: np.float64("nan"),
    "numpy int": lambda: np.uint64(2**63),
    "numpy bool": lambda: np.bool_(True),
    "NaT": lambda: np.datetime64("NaT"),
    "numpy time": lambda: np.datetime64("2024-01-01"),
    "numpy void": lambda: np.void(b"abc"),
    "empty array": lambda: np.array([]),
    "matrix": lambda: np.zeros((2, 3)),
    "point": lambda: np.array(0.5),
    "objects": lambda: np.array([object(), None, "x"], dtype=object),
    "bytes": lambda: b"\xff\0",
    "empty bytes": lambda: b"",
    "bytearray": lambda: bytearray(b"abc"),
    "released view": lambda: _released(),
    "empty list": list,
    "list": lambda: ["loss", 1, None],
    "deep list": nested_list,
    "list of itself": own_list,
    "tuple": lambda: ("a", "b"),
    "empty dict": dict,
    "dict": lambda: {"a": 1},
    "deep dict": nested_dict,
    "dict of itself": own_dict,
    "dict of ints": lambda: {1: 2, None: 3},
    "dict of nasty keys": lambda: {"\ud800": 1, "a\0": 2, "": 3, Name.LOSS: 4},
    "dict of objects": lambda: {"a": object()},
    "dict of 2^70": lambda: {"a": 2**70, "b": float("nan"), "c": b"x"},
    "changing dict": lambda: ChangingDict(a=1),
    "changing list": lambda: ChangingList([1, 2]),
    "broken mapping": BrokenMapping,
    "ordered dict": lambda: collections.OrderedDict(a=1),
    "default dict": lambda: collections.defaultdict(list),
    "namespace": lambda: types.SimpleNamespace(a=own_list()),
    "set": lambda: {"a", 1},
    "mock": unittest.mock.MagicMock,
    "generator": lambda: (one for one in ("a", "b")),
    "empty generator": lambda: iter(()),
    "breaking generator": lambda: breaking("a", "b"),
    "breaking numbers": lambda: breaking(1, 2),
    "long range": lambda: range(10**18),
    "endless texts": lambda: itertools.repeat("a"),
    "endless numbers": lambda: itertools.count(),
    "object": object,
    "class": lambda: dict,
    "function": lambda: id,
    "module": lambda: os,
    "no attributes": HasNoAttributes,
    "every attribute": HasEverything,
    "acts as text": ActsAsText,
    "no array": NoArray,
    "far time": lambda: FAR,
    "early time": lambda: EARLY,
    "naive time": lambda: datetime(2024, 1, 1),
    "time": lambda: datetime(2024, 1, 1, tzinfo=UTC),
    "lost time": lambda: datetime(2024, 1, 1, tzinfo=NoZone()),
    "date": lambda: date(2024, 1, 1),
    "span": lambda: timedelta.max,
    "path with NUL": lambda: Path("a\0b"),
    "lost path": LostPath,
    "wrong path": WrongPath,
    "lying path": lambda: LyingPath("x"),
    "error": lambda: ValueError("\ud800"),
}
for _name in HOOKS:
    VALUES[f"bad {_name}"] = lambda name=_name: raising(lambda: RuntimeError("hostile"), name)()  # type: ignore[misc]
for _base in (str, int, float, list, dict, bytes):
    VALUES[f"bad {_base.__name__}"] = lambda base=_base: raising(  # type: ignore[misc]
        lambda: ZeroDivisionError("hostile"), "__repr__", "__str__", "__format__", "__eq__", base=base
    )()
    VALUES[f"unhashable {_base.__name__}"] = lambda base=_base: raising(  # type: ignore[misc]
        lambda: ZeroDivisionError("hostile"), "__hash__", "__len__", "__iter__", "__bool__", base=base
    )()
VALUES["exits"] = lambda: raising(SystemExit, *HOOKS)()
VALUES["dict that exits"] = lambda: raising(SystemExit, "items", "__iter__", "keys", base=dict)(a=1)
VALUES["text that exits"] = lambda: raising(SystemExit, "__repr__", "__str__", "__eq__", base=str)("loss")


def _released() -> memoryview:
    view = memoryview(b"abc")
    view.release()
    return view
