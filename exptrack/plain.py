"""Turn what a caller gives into values of Python's own types, before anything else looks at it.

A class that derives from ``str`` or ``int`` may show, compare, hash and encode itself as something else. Any
object may raise any exception when Python asks it something. So every public call hands its arguments to this
file or to `validation`, and works with the plain values that it gets back.

Invariants:

- Text and numbers come back as what they equal: a ``class Metric(str, Enum)`` whose value is "loss" is "loss".
  The methods of Python's own types are called, never those of the caller's class.
- An ``Exception`` that a caller's object raises becomes an InvalidValueError, and is its cause.
  KeyboardInterrupt, SystemExit and all else that is no ``Exception`` passes.
- An argument of many elements is read once. An endless one is refused, except by :func:`iter_any`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from types import TracebackType

from exptrack.errors import ExptrackError, InvalidTypeError, InvalidValueError
from exptrack.known_secrets import mask_secrets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import PurePath
    from typing import Any, TypeGuard


SHOWN_CHARS = 40
SHOWN_PATH_CHARS = 1_000
MAX_PATH_CHARS = 32_767
MAX_ELEMENTS = 1_000_000  # tags, names, ids: no archive has more


def is_text(value: object) -> TypeGuard[str]:
    """Whether a value is text. Unlike ``isinstance``, this does not ask the value."""
    return issubclass(type(value), str)


def is_path(value: object) -> TypeGuard[PurePath]:
    """Whether `value` is a path of ``pathlib``. There is none before something has imported that."""
    pathlib = sys.modules.get("pathlib")
    return pathlib is not None and isinstance(value, pathlib.PurePath)


def is_whole(value: object) -> TypeGuard[int]:
    """Whether a value is an ``int`` and no ``bool``."""
    return issubclass(type(value), int) and type(value) is not bool


def plain(value: Any) -> Any:
    """Return text, a number or bytes as Python's own type; any other value as it is."""
    kind = type(value)
    if kind in _OWN or not issubclass(kind, _BASES):
        return value
    if issubclass(kind, str):
        return str.__str__(value)
    if issubclass(kind, int):
        return int.__int__(value)
    if issubclass(kind, float):
        return float.__float__(value)
    return bytes(memoryview(value))


def plain_scalar(value: object, what: str) -> Any:
    """Return a scalar of numpy, or of a library like it, as Python's own type; any other value as `plain` does.

    Raises:
        InvalidValueError: the value raises as it is read.
    """
    found = plain(value)
    kind = type(found)
    if kind in _OWN or not (hasattr(kind, "dtype") and hasattr(kind, "item")):
        return found
    with reading(what):
        return found if tuple(found.shape) else plain(found.item())


_BASES = (str, int, float, bytes)
_NOT_LISTS = (str, bytes, bytearray, memoryview)
_OWN = {*_BASES, bool, type(None), list, dict, tuple}


def short_repr(value: object) -> str:
    """Return ``repr(value)`` without known secrets, cut to 40 characters: it fits into one line of an error.

    A value that cannot be shown is described by its type.
    """
    try:
        text = str.__str__(repr(plain(value)))
    except Exception:  # an int of thousands of digits, a list nested too deep, an object of the caller's
        text = f"<{type(value).__name__} that cannot be shown>"
    # Before the cut, since no mask recognises a short part of a secret.
    text = mask_secrets(text)
    text = text if len(text) <= SHOWN_CHARS else text[:SHOWN_CHARS] + "…"
    return text.encode("utf-8", "backslashreplace").decode()


def short_path(path: str) -> str:
    """Return a path in quotes for a message: whole, unless it is longer than any that is in use."""
    if len(path) > SHOWN_PATH_CHARS:
        return short_repr(path)
    return mask_secrets(repr(path)).encode("utf-8", "backslashreplace").decode()


class reading:  # reads as a phrase: with reading("a tag")
    """Turn an error that a caller's object raises in this block into an InvalidValueError.

    A TypeError becomes an InvalidTypeError, and with `kind` every error becomes one of that class. The errors
    of exptrack pass.
    """

    __slots__ = ("_kind", "_what")

    def __init__(self, what: str, kind: type[InvalidValueError] | None = None) -> None:
        self._what = what
        self._kind = kind

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        if isinstance(error, Exception) and not isinstance(error, ExptrackError):
            default = InvalidTypeError if isinstance(error, TypeError) else InvalidValueError
            name, text = type(error).__name__, describe_error(error)
            raise (self._kind or default)(
                f"{self._what} cannot be read: {name}: {text}; give plain values"
            ) from error


def describe_error(error: BaseException) -> str:
    """Return the message of an error that the caller's code raised, as one short line."""
    try:
        text = str.__str__(str(error))
    except Exception:
        return "an error without a message"
    return short_repr(text)[1:-1] if len(text) > 200 or not text.isprintable() else text


def iter_any(values: object, what: str) -> Iterator[Any]:
    """Iterate over a list or anything else with elements, however many there are.

    Raises:
        InvalidTypeError: it cannot be iterated over.
        InvalidValueError: it raises as it is read.
    """
    with reading(what):
        if issubclass(type(values), _NOT_LISTS) or not isinstance(values, Iterable):
            raise InvalidTypeError(f"{what} must be a list, not {type(values).__name__} {short_repr(values)}")
        elements = iter(values)
    while True:
        with reading(what):
            try:
                one = next(elements)
            except StopIteration:
                return
        yield one


def is_iterable(value: object) -> bool:
    """Whether a value says that it can be iterated over."""
    try:
        return isinstance(value, Iterable)
    except Exception:
        return False


def is_mapping(value: object) -> bool:
    """Whether a value is a mapping, as far as it can tell."""
    try:
        return isinstance(value, Mapping)
    except Exception:
        return False


def read_elements(values: object, what: str, *, like: str = "", most: int = MAX_ELEMENTS) -> list[Any]:
    """Return the elements of a list, or of anything else that can be iterated over. Text is refused.

    `like` is an example for the message of the error.

    Raises:
        InvalidTypeError: it is text or bytes, or cannot be iterated over.
        InvalidValueError: it raises as it is read, or has more than `most` elements.
    """
    kind = type(values)
    if type(values) is list or type(values) is tuple:
        _require_at_most(most, len(values), what)
        return [*values]
    with reading(what):
        if issubclass(kind, _NOT_LISTS) or not isinstance(values, Iterable):
            example = f", like {like}" if like else ""
            raise InvalidTypeError(f"{what} must be a list{example}, not {kind.__name__} {short_repr(values)}")
        return list(_count_up_to(iter(values), what, most))


def _count_up_to(values: Iterator[Any], what: str, most: int) -> Iterator[Any]:
    for count, value in enumerate(values, 1):
        _require_at_most(most, count, what)
        yield value


def _require_at_most(most: int, count: int, what: str) -> None:
    if count > most:
        raise InvalidValueError(f"{what} must have at most {most:,} elements; give fewer")


def read_names(value: object, what: str, *, like: str = "") -> list[Any]:
    """Return the elements as :func:`read_elements` does; a single text need not be in a list."""
    return [value] if is_text(value) else read_elements(value, what, like=like)


def read_items(values: object, what: str) -> list[tuple[Any, Any]]:
    """Return the keys and values of a mapping.

    Raises:
        InvalidTypeError: it is no mapping.
        InvalidValueError: it raises as it is read.
    """
    if type(values) is dict:
        return list(values.items())
    with reading(what):
        if not isinstance(values, Mapping):
            raise InvalidTypeError(
                f"{what} must be a mapping, not {type(values).__name__} {short_repr(values)}"
            )
        return [(key, value) for key, value in _count_up_to(iter(values.items()), what, MAX_ELEMENTS)]


def read_path(path: object, what: str = "path") -> str:
    """Return a path as text.

    Raises:
        InvalidTypeError: it is neither text nor a ``Path``.
        InvalidValueError: no file can have this path.
    """
    text: object = path
    if not is_text(path):
        with reading(what):
            if not isinstance(path, os.PathLike):
                raise InvalidTypeError(f"{what} must be text or a Path, not {type(path).__name__}")
            text = os.fspath(path)
            text = os.fsdecode(text) if isinstance(text, bytes) else text
    assert is_text(text)
    whole = str.__str__(text)
    if len(whole) > MAX_PATH_CHARS:
        raise InvalidValueError(
            f"{what} {short_repr(whole)} has {len(whole):,} characters, more than any system takes; shorten it"
        )
    if "\0" in whole:
        raise InvalidValueError(f"{what} {short_repr(whole)} contains a NUL character; remove it")
    try:
        os.fsencode(whole)
    except UnicodeEncodeError:
        raise InvalidValueError(
            f"{what} {short_repr(whole)} contains a lone surrogate, which no file name has; remove it"
        ) from None
    return whole


def attribute(value: object, name: str, default: Any = None) -> Any:
    """Return an attribute of a caller's object, or the default if it has none or cannot tell."""
    try:
        return getattr(value, name, default)
    except Exception:
        return default
