"""Which runs are marked, and the colour and letter of each.

Invariant: a run keeps its colour and its letter as long as it is marked.
"""

from __future__ import annotations

from typing import NamedTuple

from exptrack.terminal.charts import COLOURS, LETTERS

STYLES = (*COLOURS, *(f"bright_{colour}" for colour in COLOURS))
MOST_MARKS = len(STYLES)


class Mark(NamedTuple):
    """A marked run: its row id, its id, what it is called, and its number among the colours."""

    row_id: int
    run_id: str
    label: str
    place: int

    @property
    def style(self) -> str:
        """The colour of its curve."""
        return STYLES[self.place]

    @property
    def letter(self) -> str:
        """The letter that stands for it where there is no colour."""
        return LETTERS[self.place]


class Marks:
    """The marked runs, in the order of marking."""

    def __init__(self) -> None:
        self._by_row: dict[int, Mark] = {}

    def __len__(self) -> int:
        return len(self._by_row)

    def __contains__(self, row_id: object) -> bool:
        return row_id in self._by_row

    @property
    def all(self) -> list[Mark]:
        """The marks, in the order of marking."""
        return list(self._by_row.values())

    def get(self, row_id: int) -> Mark | None:
        """Return the mark of a run; None if it has none."""
        return self._by_row.get(row_id)

    def add(self, row_id: int, run_id: str, label: str) -> bool:
        """Mark a run, and tell whether it is marked now: there are no more marks than colours."""
        if row_id not in self._by_row:
            taken = {mark.place for mark in self._by_row.values()}
            free = next((place for place in range(MOST_MARKS) if place not in taken), None)
            if free is None:
                return False
            self._by_row[row_id] = Mark(row_id, run_id, label, free)
        return True

    def remove(self, row_id: int) -> None:
        """Take the mark off a run, if it has one."""
        self._by_row.pop(row_id, None)

    def clear(self) -> None:
        """Take off all marks."""
        self._by_row.clear()
