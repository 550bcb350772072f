"""Report rows that differ from what was stored, where they are made into records."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import cache, wraps
from itertools import chain
from types import NoneType

from exptrack.database.connection import _connection_of
from exptrack.database.failures import DAMAGE
from exptrack.errors import ArchiveCorruptError, ConfigError, ExptrackError, SdnError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Concatenate, ParamSpec, TypeVar

    _Subject = TypeVar("_Subject")
    _P = ParamSpec("_P")
    _T = TypeVar("_T")


SAID_CHARS = 200
# What a column can hold for a field of a record with this annotation. A whole number may be an integer.
TYPES: dict[str, tuple[type, ...]] = {
    "int": (int,),
    "float": (float, int),
    "str": (str,),
    "datetime": (datetime,),
}


def decoding_rows(
    function: Callable[Concatenate[_Subject, _P], _T],
) -> Callable[Concatenate[_Subject, _P], _T]:
    """Decorate a function that makes rows into records, and calls nothing of the user's.

    Its first argument is a connection, or has one as `_connection` or `connection`. A value that cannot be
    decoded (no date, no JSON, of another type) raises ArchiveCorruptError. So does a field of a returned record
    that is of another type than its class says: only a damaged file has texts where numbers should be.
    """

    @wraps(function)
    def run(subject: _Subject, /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        with telling_damage(subject):
            found = function(subject, *args, **kwargs)
            _require_types(found)
            return found

    return run


@contextmanager
def telling_damage(subject: object) -> Iterator[None]:
    """Make records of rows in the block, as a function with :func:`decoding_rows` does."""
    try:
        yield
    except (ConfigError, SdnError, *DAMAGE) as error:
        # Of the errors of exptrack, only those of a config can come from a row; the others blame the caller.
        if isinstance(error, ExptrackError) and not isinstance(error, (ConfigError, SdnError)):
            raise
        path = str(_connection_of(subject).place)
        said = (str(error) or type(error).__name__)[:SAID_CHARS]  # it may quote the whole value
        raise ArchiveCorruptError(
            f"{path} is damaged: it holds a value that was not stored so ({said});"
            " run 'exptrack verify' to see where",
            path=path,
        ) from error


def _require_types(found: Any) -> None:
    """Check the fields of a record, of records in a row, or of such rows in a dict.

    Raises:
        TypeError: a field is of another type than the class of the record says.
    """
    if isinstance(found, dict):
        rows = [value for value in found.values() if isinstance(value, (list, tuple))]
        found = list(chain.from_iterable(rows))
    elif hasattr(found, "_fields"):
        found = [found]
    if isinstance(found, (list, tuple)):
        kinds = set(map(type, found))
        if len(kinds) == 1 and hasattr(kind := kinds.pop(), "_fields"):
            _require_types_of(kind, found)


def _require_types_of(kind: Any, records: Iterable[tuple[Any, ...]]) -> None:
    columns = zip(*records, strict=True)
    for name, (allowed, is_dict), column in zip(kind._fields, _allowed_types(kind), columns, strict=True):
        values = chain.from_iterable(one.values() for one in column) if is_dict else column
        for one in set(map(type, values)) if allowed else ():
            if not issubclass(one, allowed):
                raise TypeError(f"{kind.__name__}.{name} is of type {one.__name__}")


@cache
def _allowed_types(kind: Any) -> tuple[tuple[tuple[type, ...], bool], ...]:
    """Return the types that each field may have, none for any; and whether its values in a dict have them."""
    found: list[tuple[tuple[type, ...], bool]] = []
    for name in kind._fields:
        annotation = kind.__annotations__[name]
        text = str(getattr(annotation, "__forward_arg__", annotation))
        inside = text.removeprefix("dict[str, ").removesuffix("]")
        words = inside.split(" | ")
        allowed = TYPES.get(words[0], ())
        found.append(((*allowed, NoneType) if allowed and words[1:] == ["None"] else allowed, inside != text))
    return tuple(found)
