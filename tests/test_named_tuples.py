"""Named tuples are as those of ``typing`` in all that can be seen of them, but for the form of annotations."""

from __future__ import annotations

import copy
import inspect
import pickle
import pydoc
import re
import typing
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from exptrack import named_tuples


class Own(named_tuples.NamedTuple):
    """A record."""

    name: str
    size: int | None = None
    more: tuple[int, ...] = ()

    @property
    def double(self) -> int:
        """Twice the size."""
        return 2 * (self.size or 0)


class Theirs(typing.NamedTuple):
    """A record."""

    name: str
    size: int | None = None
    more: tuple[int, ...] = ()

    @property
    def double(self) -> int:
        """Twice the size."""
        return 2 * (self.size or 0)


BOTH = pytest.mark.parametrize("kind", [Own, Theirs])


def outcome(call: Any) -> object:
    """What a call returns, or how it fails; the name of the class left out."""
    try:
        found = call()
    except Exception as error:
        return type(error), str(error).replace("Theirs", "Own")
    return re.sub(r"ForwardRef\(('[^']*')\)", r"\1", str(found)).replace("Theirs", "Own")


@pytest.mark.parametrize(
    "call",
    [
        lambda kind: kind("a"),
        lambda kind: kind("a", 1, (2,)),
        lambda kind: kind(name="a", more=(1,)),
        lambda kind: kind(),
        lambda kind: kind("a", 1, (), 4),
        lambda kind: kind("a", color=1),
        lambda kind: kind("a")._replace(size=3),
        lambda kind: kind("a")._replace(color=3),
        lambda kind: kind("a")._asdict(),
        lambda kind: kind._make(["a", 1, ()]),
        lambda kind: kind._make(["a"]),
        lambda kind: kind("a", 4).double,
        lambda kind: kind("a", 4).size,
        lambda kind: setattr(kind("a"), "size", 1),
        lambda kind: setattr(kind("a"), "color", 1),
        lambda kind: kind("a", 1) == ("a", 1, ()),
        lambda kind: hash(kind("a", 1)) == hash(("a", 1, ())),
        lambda kind: (kind._fields, kind._field_defaults, kind.__match_args__, kind.__doc__, kind.__slots__),
        lambda kind: (kind.__annotations__, kind.__mro__[1:], type(kind), kind.__module__, kind.size.__doc__),
        lambda kind: inspect.signature(kind),
        lambda kind: inspect.signature(kind.__new__),
        lambda kind: kind.__new__.__qualname__,
        lambda kind: kind.__new__.__doc__,
        lambda kind: copy.copy(kind("a", 1)),
        lambda kind: copy.deepcopy(kind("a", 1, (2,))),
        lambda kind: pickle.loads(pickle.dumps(kind("a", 1))),
    ],
)
def test_a_call_does_as_with_typing(call: Any) -> None:
    assert outcome(lambda: call(Own)) == outcome(lambda: call(Theirs))


@BOTH
def test_fields_match_in_patterns(kind: Any) -> None:
    match kind("a", 5):
        case kind(name, size):
            assert (name, size) == ("a", 5)


def test_the_signature_is_there_before_the_first_object() -> None:
    class Fresh(named_tuples.NamedTuple):
        name: str
        size: int = 4

    assert str(inspect.signature(Fresh)) == "(name: 'str', size: 'int' = 4)"


def test_help_names_the_arguments_before_the_first_object() -> None:
    class Fresh(named_tuples.NamedTuple):
        """A record."""

        name: str
        size: int = 4

    text = pydoc.plain(pydoc.render_doc(Fresh))
    assert "name: 'str', size: 'int' = 4" in text
    assert "A record." in text


def test_a_class_without_fields_and_one_that_is_derived_work() -> None:
    class Empty(named_tuples.NamedTuple):
        """Nothing."""

    class Derived(Own):
        def __new__(cls, name: str) -> Derived:
            return super().__new__(cls, name, 7)

    assert (Empty(), Empty._fields) == ((), ())
    assert Derived("a") == ("a", 7, ())
    assert repr(Derived("a")) == "Derived(name='a', size=7, more=())"


def test_threads_that_make_the_first_object_at_once_all_make_one() -> None:
    for _ in range(50):

        class Fresh(named_tuples.NamedTuple):
            name: str

        with ThreadPoolExecutor(4) as threads:
            assert list(threads.map(Fresh, "abcd")) == [("a",), ("b",), ("c",), ("d",)]
