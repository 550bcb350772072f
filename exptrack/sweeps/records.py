"""What studies and sweeps return."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from exptrack.records import TrialState


@dataclass(frozen=True, slots=True)
class SweepTrial:
    """A trial of a sweep that has ended, and how the sweep stands then.

    `retried` says that its params are tried again; `tail` holds the last lines that the command of a failed
    trial wrote.
    """

    trial: TrialRecord
    best_number: int | None
    best_value: float | None
    retried: bool = False
    tail: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SweepReport:
    """What one call ran of a sweep.

    `counts` are its trials by state. `ended` says why no more began: ``done`` (there are as many as planned, or
    everything was tried), ``time``, ``stopped`` (somebody asked) or ``failure``.
    """

    study: str
    counts: dict[TrialState, int]
    ended: str
    best_number: int | None
    best_value: float | None


@dataclass(frozen=True, slots=True)
class TrialRecord:
    """One trial of a study.

    `values` has one for each objective, of a pruned trial the last it reported, and is empty where there is
    none. `reports` maps steps to the values reported there. `run_id` is the run it is, None before that starts
    or when that was deleted.
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
        """The value of the first (mostly the only) objective."""
        return self.values[0] if self.values else None

    @property
    def duration_s(self) -> float | None:
        """Seconds from start to end; None before the end."""
        if self.started_at is None or self.ended_at is None:
            return None
        return (self.ended_at - self.started_at).total_seconds()


@dataclass(frozen=True, slots=True)
class StudyInfo:
    """One study in a list. `counts` says how many trials there are in each state.

    `best_value` and `best_number` are of the best trial that met all constraints; None with several objectives.
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
        """How many there are, in whatever state."""
        return sum(self.counts.values())
