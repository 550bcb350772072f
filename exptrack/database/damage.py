"""Report rows that differ from what was stored, where they are made into records."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from exptrack.database.connection import _connection_of
from exptrack.database.failures import DAMAGE
from exptrack.errors import ArchiveCorruptError, ConfigError, ExptrackError, SdnError

SAID_CHARS = 200
_Subject = TypeVar("_Subject")
_P = ParamSpec("_P")
_T = TypeVar("_T")


def decoding_rows(
    function: Callable[Concatenate[_Subject, _P], _T],
) -> Callable[Concatenate[_Subject, _P], _T]:
    """Decorate a function that makes rows into records, and calls nothing of the user's.

    Its first argument is a connection, or has one as `_connection` or `connection`. A value that cannot be
    decoded (no date, no JSON, of another type) raises ArchiveCorruptError.
    """

    @wraps(function)
    def run(subject: _Subject, /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        with telling_damage(subject):
            return function(subject, *args, **kwargs)

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
        path = str(_connection_of(subject).path)
        said = (str(error) or type(error).__name__)[:SAID_CHARS]  # it may quote the whole value
        raise ArchiveCorruptError(
            f"{path} is damaged: it holds a value that was not stored so ({said});"
            " run 'exptrack verify' to see where",
            path=path,
        ) from error
