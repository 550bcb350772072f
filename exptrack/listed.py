"""Let a call return its records in a list that notebooks show as a table."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, ParamSpec, TypeVar, overload

    from exptrack.record_lists import RecordList, RecordTuple

    _P = ParamSpec("_P")
    _T = TypeVar("_T")

if TYPE_CHECKING:

    @overload
    def listed(function: Callable[_P, list[_T]]) -> Callable[_P, RecordList[_T]]: ...
    @overload
    def listed(function: Callable[_P, tuple[_T, ...]]) -> Callable[_P, RecordTuple[_T]]: ...


def listed(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a call that returns a list or a tuple of records."""

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        from exptrack.record_lists import RecordList, RecordTuple

        found = function(*args, **kwargs)
        return RecordTuple(found) if isinstance(found, tuple) else RecordList(found)

    return call
