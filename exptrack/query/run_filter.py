"""Filter runs in Python calls rather than in text: by status, tag, group, fingerprint and time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Concatenate, Generic, ParamSpec

from exptrack.errors import InvalidTypeError, InvalidValueError
from exptrack.plain import is_text, read_elements, short_repr
from exptrack.query.conditions import STATE_WORDS, And, Condition, compare_fact
from exptrack.records import RunStatus
from exptrack.shown import shown
from exptrack.times import is_moment, read_moment, utc_text
from exptrack.validation import check_choice, check_name

_P = ParamSpec("_P")


class _FromClassOrFilter(Generic[_P]):
    """Make a method that starts a filter when called on the class, and narrows a filter when called on it."""

    def __init__(self, method: Callable[Concatenate[RunFilter, _P], RunFilter]) -> None:
        self._method = method
        self.__doc__ = method.__doc__

    def __get__(self, instance: RunFilter | None, owner: type[RunFilter]) -> Callable[_P, RunFilter]:
        start = owner() if instance is None else instance

        def narrow(*args: _P.args, **kwargs: _P.kwargs) -> RunFilter:
            return self._method(start, *args, **kwargs)

        narrow.__doc__ = self.__doc__
        return narrow


@shown
@dataclass(frozen=True, slots=True)
class RunFilter:
    """A choice of runs; a run must meet every condition. Start with any method, then narrow with others.

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
        """Admit every run, or only those started at or after `after` and before `before`.

        A text without a time zone is UTC, a datetime without one is local time.
        """
        low, high = _check_time_bound(after, "after"), _check_time_bound(before, "before")
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
        """Admit runs of one status, or of ``"pruned"``: completed runs whose trial was stopped early."""
        return replace(self, statuses=(*self.statuses, check_filter_status(status))).all(after, before)

    @_FromClassOrFilter
    def by_tag(
        self,
        tag: str,
        after: datetime | str | None = None,
        before: datetime | str | None = None,
    ) -> RunFilter:
        """Admit runs that have a tag."""
        return replace(self, tags=(*self.tags, check_name(tag, "tag"))).all(after, before)

    @_FromClassOrFilter
    def by_group(self, group: str) -> RunFilter:
        """Admit runs of one group."""
        return replace(self, group=check_name(group, "group"))

    @_FromClassOrFilter
    def by_fingerprint(self, fingerprint: str) -> RunFilter:
        """Admit runs of the same experiment. Use it to see whether an experiment has run already."""
        return replace(self, fingerprint=check_name(fingerprint, "fingerprint"))

    def __and__(self, other: RunFilter) -> RunFilter:
        """Admit runs that both filters admit."""
        if not isinstance(other, RunFilter):
            raise InvalidTypeError(
                f"a RunFilter can be combined only with a RunFilter, not {short_repr(other)}"
            )
        for mine, theirs in ((self.group, other.group), (self.fingerprint, other.fingerprint)):
            if mine and theirs and mine != theirs:
                raise InvalidValueError(
                    f"no run has both {mine!r} and {theirs!r}; a run has one group and one fingerprint"
                )
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
        """Return the filter as a tree of conditions."""
        statuses = map(check_filter_status, read_elements(self.statuses, "statuses", like="('failed',)"))
        tags = (check_name(tag, "tag") for tag in read_elements(self.tags, "tags", like="('baseline',)"))
        found: list[Condition] = [compare_fact("status", "=", status) for status in statuses]
        found += [compare_fact("tag", "=", tag) for tag in tags]
        for fact, value in (("group", self.group), ("fingerprint", self.fingerprint)):
            if value is not None:
                found.append(compare_fact(fact, "=", check_name(value, fact)))
        after = _check_time_bound(self.started_after, "started_after")
        before = _check_time_bound(self.started_before, "started_before")
        for operator, bound in ((">=", after), ("<", before)):
            if bound is not None:
                found.append(compare_fact("started", operator, bound))
        return And(tuple(found))


def _check_time_bound(value: datetime | str | None, what: str) -> str | None:
    """Return a bound as the archive stores times; a text without a zone is UTC, a datetime local time."""
    if value is None:
        return None
    if is_text(value):
        try:
            read = datetime.fromisoformat(str.__str__(value))
            return utc_text(read.replace(tzinfo=UTC) if read.tzinfo is None else read)
        except (ValueError, OverflowError):
            raise InvalidValueError(
                f"{what} must be an ISO date or time like '2026-01-31', not {short_repr(value)}"
            ) from None
    if not is_moment(value):
        raise InvalidTypeError(f"{what} must be a datetime or ISO text, not {short_repr(value)}")
    return utc_text(read_moment(value, what))


def check_filter_status(status: object) -> str:
    """Return `status` as text if runs can be filtered by it: a RunStatus, or pruned."""
    return check_choice(status, "status", STATE_WORDS["status"])
    return str(status)
