"""Report rows that differ from what was stored, where they are made into records."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from exptrack.database.connection import _connection_of
from exptrack.database.failures import DAMAGE
from exptrack.errors import ArchiveCorruptError, ExptrackError

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
        try:
            return function(subject, *args, **kwargs)
        except ExptrackError:
            raise
        except DAMAGE as error:
            path = str(_connection_of(subject).path)
            raise ArchiveCorruptError(
                f"{path} is damaged: it holds a value that was not stored so ({error or type(error).__name__});"
                " run 'exptrack verify' to see where",
                path=path,
            ) from error

    return run
