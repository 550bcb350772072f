"""What a salvage found: for each run what came back, and what is lost and why."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from exptrack.shown import shown


@shown
@dataclass(frozen=True, slots=True)
class SalvagedRun:
    """A run of a damaged archive as it is in the new one. `missing` says in words what of it is not there.

    `points` is how many points it has, `from_journals` how many of these were in a journal only. `sealed` tells
    that its seal holds: facts, config and points are all as they were at its end. `unproven` tells that the run
    has what nothing proves. `unproven_points` counts points that were read and left out for want of a proof.
    """

    run_id: str
    status: str
    points: int
    sealed: bool
    missing: tuple[str, ...] = ()
    unproven: bool = False
    from_journals: int = 0
    unproven_points: int = 0

    @property
    def whole(self) -> bool:
        """Whether nothing of the run is missing."""
        return not self.missing


@shown
@dataclass(frozen=True, slots=True)
class SalvageReport:
    """What came out of a damaged archive.

    `runs` lists every run in `out`. `lost` says in words what is lost besides: rows that no run in `out` owns,
    groups, studies, journals. `points` and `artifacts` count what `out` holds.
    """

    path: str
    out: str
    file_bytes: int
    runs: tuple[SalvagedRun, ...]
    points: int
    artifacts: int
    lost: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether everything came back whole."""
        return not self.lost and all(run.whole for run in self.runs)


class Findings:
    """Collects what is missing: by the row id of the run, by the uid of the study, and besides."""

    def __init__(self) -> None:
        self.of_run: dict[int, list[str]] = {}
        self.of_study: dict[str, list[str]] = {}
        self.others: list[str] = []
        self.points_left_out: Counter[int] = Counter()  # by the row id of the run

    def miss(self, run: int, what: str) -> None:
        """Note that something of a run is missing."""
        self.of_run.setdefault(run, []).append(what)

    def leave_out_points(self, run: int, count: int) -> None:
        """Note that points of a run were read, and are left out as nothing proves them."""
        self.points_left_out[run] += count

    def forget_run(self, run: int) -> None:
        """Forget what was missing of a run that another copy replaces."""
        self.of_run.pop(run, None)
        self.points_left_out.pop(run, None)

    def lost(self) -> tuple[str, ...]:
        """Return what is lost besides that of runs."""
        return (*(what for one in self.of_study.values() for what in one), *self.others)

    def missing_of(self, run: int) -> tuple[str, ...]:
        return tuple(self.of_run.get(run, ()))


def count_of(number: int, noun: str) -> str:
    """Return a number with its noun, as in "1 point" and "2 points"."""
    many = f"{noun}es" if noun.endswith("s") else f"{noun}s"
    return f"{number:,} {noun if number == 1 else many}"
