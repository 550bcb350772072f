"""The records that studies and sweeps return."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from shlex import quote
from typing import Any

from exptrack.records import TrialState
from exptrack.shown import shown


@shown
@dataclass(frozen=True, slots=True)
class SweepTrial:
    """A trial of a sweep that has just ended, and the best trial of the sweep so far.

    `retried` is true if its params are tried again. `tail` holds the last lines that the command of a failed
    trial wrote.
    """

    trial: TrialRecord
    best_number: int | None
    best_value: float | None
    retried: bool = False
    tail: tuple[str, ...] = ()


@shown
@dataclass(frozen=True, slots=True)
class SweepReport:
    """The trials of a sweep that one call ran.

    `counts` are these trials by state. `ended` is the reason why no more began: ``done`` (as many as planned,
    or every combination was tried), ``time``, ``stopped`` (by a user or another process), ``failure`` (one, as
    asked) or ``failing`` (the first trials all failed in the same way). Then `reason` is that of the last of
    them, and `tail` holds the last lines that its command wrote.
    """

    study: str
    counts: dict[TrialState, int]
    ended: str
    best_number: int | None
    best_value: float | None
    reason: str | None = None
    tail: tuple[str, ...] = ()


@shown
@dataclass(frozen=True, slots=True)
class TrialRecord:
    """One trial of a study.

    `values` holds a value for each objective; that of a pruned trial is the last it reported. It is empty for a
    trial without a value. `reports` maps each step to the value reported there. `run_id` names the trial's run;
    it is None before the run starts and after the run was deleted.
    """

    number: int
    state: TrialState
    values: tuple[float, ...]
    params: dict[str, Any]
    reports: dict[int, float]
    run_id: str | None
    started_at: datetime | None
    ended_at: datetime | None
    reason: str | None

    @property
    def value(self) -> float | None:
        """The value of the first objective, which is usually the only one; None if there is none."""
        return self.values[0] if self.values else None

    @property
    def duration_s(self) -> float | None:
        """Seconds from start to end; None before the end."""
        if self.started_at is None or self.ended_at is None:
            return None
        return (self.ended_at - self.started_at).total_seconds()

    def _as_row(self) -> dict[str, Any]:
        values = {"value": self.value} if len(self.values) < 2 else {"values": self.values}
        params = {f"params.{name}": value for name, value in self.params.items()}
        facts = {"duration_s": self.duration_s, "reason": self.reason, "run_id": self.run_id}
        return {"number": self.number, "state": self.state, **values, **params, **facts}


@shown
@dataclass(frozen=True, slots=True)
class StudyInfo:
    """One study in a list. `counts` is the number of its trials in each state.

    `best_value` and `best_number` belong to the best trial that met all constraints. They are None if no trial
    did, and for a study with several objectives.
    """

    name: str
    created_at: datetime
    directions: tuple[str, ...]
    metrics: tuple[str | None, ...]
    counts: dict[TrialState, int]
    best_value: float | None
    best_number: int | None
    settings: dict[str, Any]

    @property
    def trials(self) -> int:
        """The count of all trials, whatever their state."""
        return sum(self.counts.values())


def describe_unseen(study: str, numbers: Sequence[int]) -> str:
    """Say which trials may run on another machine or be dead, and what to do about the dead."""
    which = f"trial{'s' * (len(numbers) > 1)} {', '.join(map(str, numbers))}"
    return (
        f"{which} of study {study!r} ran in a process that cannot be seen from here, and may be running still;"
        f" if it is dead, `exptrack sweep resume {quote(study)} --retry --take-over` repeats what it left"
    )
