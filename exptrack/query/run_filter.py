"""Filter runs by status, tag, group, fingerprint and time, in Python."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

from exptrack.errors import (
    InvalidTypeError,
    InvalidValueError,
)
from exptrack.query.conditions import STATE_WORDS, And, Comparison, Condition, Field
from exptrack.records import RunStatus
from exptrack.times import utc_text
from exptrack.validation import check_name, short_repr

_S = TypeVar("_S")
_P = ParamSpec("_P")


class _FromClassOrFilter(Generic[_P]):
    """A method that starts a filter when called on the class and narrows one when called on a filter."""

    def __init__(self, method: Callable[Concatenate[RunFilter, _P], RunFilter]) -> None:
        self._method = method
        self.__doc__ = method.__doc__

    def __get__(self, instance: RunFilter | None, owner: type[RunFilter]) -> Callable[_P, RunFilter]:
        start = owner() if instance is None else instance

        def narrow(*args: _P.args, **kwargs: _P.kwargs) -> RunFilter:
            return self._method(start, *args, **kwargs)

        narrow.__doc__ = self.__doc__
        return narrow


def _time_bound(value: datetime | str | None, what: str) -> str | None:
    """A bound as stored text; naive moments are UTC."""
    if value is None:
        return None
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise InvalidValueError(
                f"{what} must be an ISO date or time like '2026-01-31', not {short_repr(value)}"
            ) from None
    if not isinstance(value, datetime):
        raise InvalidTypeError(f"{what} must be a datetime or ISO text, not {short_repr(value)}")
    return utc_text(value.replace(tzinfo=UTC) if value.tzinfo is None else value)


def check_asked_status(status: object) -> str:
    """Return `status` as text if runs can be asked for by it: a RunStatus, or pruned."""
    known = STATE_WORDS["status"]
    if not isinstance(status, str) or status not in known:
        raise InvalidValueError(f"status must be one of {', '.join(known)}; not {short_repr(status)}")
    return str(status)


@dataclass(frozen=True, slots=True)
class RunFilter:
    """Which runs are meant; every condition must hold. Start with any method, then narrow.

    >>> failed_baselines = RunFilter.by_status("failed").by_tag("baseline", after="2026-01-01")
    >>> failed_baselines == RunFilter.by_tag("baseline", after="2026-01-01") & RunFilter.by_status("failed")
    True
    """

    statuses: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    group: str | None = None
    fingerprint: str | None = None
    started_after: str | None = None
    started_before: str | None = None

    @_FromClassOrFilter
    def all(self, after: datetime | str | None = None, before: datetime | str | None = None) -> RunFilter:
        """Every run, or those started at or after `after` and before `before`."""
        low, high = _time_bound(after, "after"), _time_bound(before, "before")
        return replace(
            self,
            started_after=max(filter(None, (self.started_after, low)), default=None),
            started_before=min(filter(None, (self.started_before, high)), default=None),
        )

    @_FromClassOrFilter
    def by_status(
        self,
        status: RunStatus | str,
        after: datetime | str | None = None,
        before: datetime | str | None = None,
    ) -> RunFilter:
        """Runs of one status, or ``"pruned"``: completed runs whose trial was given up early."""
        return replace(self, statuses=(*self.statuses, check_asked_status(status))).all(after, before)

    @_FromClassOrFilter
    def by_tag(
        self,
        tag: str,
        after: datetime | str | None = None,
        before: datetime | str | None = None,
    ) -> RunFilter:
        """Runs that carry a tag."""
        return replace(self, tags=(*self.tags, check_name(tag, "tag"))).all(after, before)

    @_FromClassOrFilter
    def by_group(self, group: str) -> RunFilter:
        """Runs of one group."""
        return replace(self, group=check_name(group, "group"))

    @_FromClassOrFilter
    def by_fingerprint(self, fingerprint: str) -> RunFilter:
        """Runs of the same experiment: have I run this already?"""
        return replace(self, fingerprint=check_name(fingerprint, "fingerprint"))

    def __and__(self, other: RunFilter) -> RunFilter:
        """Both filters at once."""
        if not isinstance(other, RunFilter):
            raise InvalidTypeError(f"a RunFilter combines with a RunFilter, not {short_repr(other)}")
        for mine, theirs in ((self.group, other.group), (self.fingerprint, other.fingerprint)):
            if mine and theirs and mine != theirs:
                raise InvalidValueError(f"no run is both {mine!r} and {theirs!r}")
        return replace(
            self,
            statuses=(*self.statuses, *other.statuses),
            tags=(*self.tags, *(tag for tag in other.tags if tag not in self.tags)),
            group=self.group or other.group,
            fingerprint=self.fingerprint or other.fingerprint,
        ).all(other.started_after, other.started_before)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RunFilter) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[Any, ...]:
        times = (self.started_after, self.started_before)
        return (frozenset(self.statuses), frozenset(self.tags), self.group, self.fingerprint, times)

    def condition(self) -> Condition:
        """The filter as a tree of conditions."""
        found: list[Condition] = [_compared("status", "=", status) for status in self.statuses]
        found += [_compared("tag", "=", tag) for tag in self.tags]
        for attribute, operator, value in (
            ("group", "=", self.group),
            ("fingerprint", "=", self.fingerprint),
            ("started", ">=", self.started_after),
            ("started", "<", self.started_before),
        ):
            if value is not None:
                found.append(_compared(attribute, operator, value))
        return And(tuple(found))


def _compared(attribute: str, operator: str, value: str) -> Comparison:
    return Comparison(Field("attribute", attribute), operator, (value,))
