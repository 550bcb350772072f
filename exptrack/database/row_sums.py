"""Keep the sum of the hashes of rows beside them, by which ``verify`` tells of rows that changed outside.

Invariants:

- The hash of a row is that of a list: the kind of the row, then the values of its columns. The kind is the
  name of its table, or a word for what several tables tell together. ``docs/format.md`` has the recipe.
- A sum is taken modulo 2^64 and stored as a signed integer.
- A change of a row changes the sum by the difference of the hashes, in the same transaction. So a sum that
  damage has made wrong stays wrong, however much is written afterwards.
"""

from __future__ import annotations

import math
import sys
from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from exptrack.database.connection import Connection, Parameters
from exptrack.digests import sha256
from exptrack.hashed_lists import encode_list
from exptrack.named_tuples import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Literal


# A point adds its step, repetition, time and value, each times one of these odd numbers (digits of the golden
# ratio and of pi). A product with an odd number differs for every change of the other factor.
STEP, SEQ, TIME, VALUE = 0x9E3779B97F4A7C15, 0x3243F6A8885A308D, 0x313198A2E0370735, 0xA4093822299F31D1
# Several files add to the sum of a run: its seal, and the names of its metrics.
ADD_TO_RUN = "UPDATE run SET rows_sum = add_wrapping(rows_sum, ?) WHERE id = ?"
SEAL_KIND, METRIC_KIND = "run_seal", "metric"
_HALF, _WHOLE = 1 << 63, 1 << 64
_NEGATIVE_ZERO = array("d", [-0.0]).tobytes()
_WORDS_AT_ONCE = 1024
_EVERY_SECOND = int.from_bytes((bytes(8) + b"\xff" * 8) * (_WORDS_AT_ONCE // 2), "big")


class Rows(NamedTuple):
    """Rows that enter a sum: the word that begins their hashes, and the query of their columns.

    With `together`, all rows have one hash, of the list of them: cheaper where they are written at once.
    """

    kind: str
    query: str
    together: bool = False


class GatheredRows:
    """Rows of runs that begin in one transaction, to be written by one call for each statement.

    With them, what all of these rows add to the sums of the runs. :meth:`write` writes both, statement by
    statement in the order in which each was first used. Until then a query does not find them.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._rows: dict[str, list[Parameters]] = {}
        self._changes: dict[int, int] = {}

    def put(self, sql: str, rows: Iterable[Parameters]) -> None:
        """Let a statement be run for each of these rows."""
        self._rows.setdefault(sql, []).extend(rows)

    def add_to_run(self, run: int, change: int) -> None:
        """Add hashes of rows, as `hash_row` computes them, to the sum of a run."""
        self._changes[run] = self._changes.get(run, 0) + change

    def write(self) -> None:
        """Write what was gathered. Call inside the transaction."""
        for sql, rows in self._rows.items():
            self._connection.execute_many(sql, rows)
        changes = [(wrap_sum(change), run) for run, change in self._changes.items()]
        self._connection.execute_many(ADD_TO_RUN, changes)
        self._rows.clear()
        self._changes.clear()


def hash_row(kind: str, row: Iterable[Any]) -> int:
    """Return the hash of a row, a signed 64-bit integer."""
    return hash_encoded(encode_list((kind, *row)))


def hash_encoded(encoded: bytes) -> int:
    """Return the hash of a row whose list is encoded."""
    return int.from_bytes(sha256(encoded).digest()[:8], "big", signed=True)


def wrap_sum(total: int) -> int:
    """Return a sum modulo 2^64, as the signed integer that a column holds."""
    return (total + _HALF) % _WHOLE - _HALF


def encode_rows(connection: Connection, rows: Rows, parameters: Parameters) -> list[bytes]:
    """Return the lists, encoded, whose hashes are those of the rows that a query finds."""
    found: list[tuple[Any, ...]] = connection.fold(rows.query, parameters, list)
    if rows.together:
        return [encode_list((rows.kind, *found))]
    return [encode_list((rows.kind, *row)) for row in found]


def sum_rows(connection: Connection, rows: Rows, parameters: Parameters) -> int:
    """Return the sum of the hashes of the rows that a query finds, not wrapped."""
    return sum(map(hash_encoded, encode_rows(connection, rows, parameters)))


@contextmanager
def changing_rows(
    connection: Connection, save: str, owner: int, parts: Sequence[Rows], parameters: Parameters
) -> Iterator[None]:
    """Change rows in the block, and by them the sum of the row with the id `owner`. Call inside a transaction.

    `save` is a statement that adds its first parameter to the sum of the row whose id is the second.
    """
    before = sum(sum_rows(connection, rows, parameters) for rows in parts)
    yield
    change = sum(sum_rows(connection, rows, parameters) for rows in parts) - before
    if change:
        connection.execute(save, (wrap_sum(change), owner))


def sum_points(
    steps: Sequence[int], seqs: Sequence[int] | None, times_ms: Sequence[int], values: Sequence[float]
) -> int:
    """Return what points add to the sum of their series, not wrapped. Without `seqs`, no step repeats.

    A value enters by the bits of its double, as a signed integer; every NaN by the same bits.
    """
    return sum_columns(steps, seqs, times_ms, sum_words(pack_values(array("d", values)).tobytes()))


def pack_values(values: array[float]) -> array[float]:
    """Return values as SQLite has them: one NaN, and 0.0 for -0.0. The same array if they are so."""
    # A NaN, or infinities of both signs, make the sum NaN. Zeros side by side may look like -0.0.
    if math.isnan(sum(values)) or _NEGATIVE_ZERO in memoryview(values).tobytes():
        return array("d", [math.nan if value != value else value + 0.0 for value in values])
    return values


def sum_columns(steps: Iterable[int], seqs: Iterable[int] | None, times_ms: Iterable[int], bits: int) -> int:
    """Return what points add to the sum of their series, like `sum_points`; `bits` is the sum of their values.

    That is the sum of the bits of their doubles as integers, as `sum_words` has it.
    """
    total = STEP * sum(steps) + TIME * sum(times_ms) + VALUE * bits
    return total if seqs is None else total + SEQ * sum(seqs)


def sum_words(data: bytes, byteorder: Literal["little", "big"] = sys.byteorder) -> int:
    """Return the sum of integers of 8 bytes, which counts modulo 2^64: they are taken as unsigned.

    One large integer holds many of them, and is folded: 40 % of the time that making an integer of each takes.
    """
    total = 0
    for begin in range(0, len(data), 8 * _WORDS_AT_ONCE):
        part = data[begin : begin + 8 * _WORDS_AT_ONCE]
        whole = int.from_bytes(part, byteorder)
        # Two words become a field of 128 bits, which the sum of all cannot exceed.
        folded = (whole & _EVERY_SECOND) + (whole >> 64 & _EVERY_SECOND)
        fields = -(-len(part) // 16)
        while fields > 1:
            fields = (fields + 1) // 2
            folded = (folded >> 128 * fields) + (folded & (1 << 128 * fields) - 1)
        total += folded
    return total


assert array("d").itemsize == array("q").itemsize == 8, sys.platform
