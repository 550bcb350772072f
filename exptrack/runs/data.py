"""Read the data that runs declare: names with references. A reference to files ends with a digest of them.

data/train.csv@sha256:9f86d081…    a file, or a folder of which all bytes were read
data/images@sizes:60303ae2…        too many bytes: a digest of the names and sizes of the files
s3://bucket/train                  no file of this machine: as it was given
"""

from __future__ import annotations

from collections.abc import Iterable

from exptrack.database.connection import Connection
from exptrack.database.damage import decoding_rows
from exptrack.named_tuples import NamedTuple
from exptrack.shown import shown

# Of a name and a reference, called j: where the digest begins, the reference before it, and what data is
# called.
_DIGEST_AT = "instr(j.value, '@sha256:') + instr(j.value, '@sizes:')"
_REFERENCE = f"CASE WHEN {_DIGEST_AT} THEN substr(j.value, 1, {_DIGEST_AT} - 1) ELSE j.value END"
DATA_WORDS = ", ".join(
    (
        "j.key",
        "j.value",
        _REFERENCE,
        f"substr(j.value, length({_REFERENCE}) + 2)",
        "j.key || '=' || j.value",
        f"j.key || '=' || {_REFERENCE}",
    )
)
DATA_OF_RUN = """
SELECT r.run_id, j.key, j.value
FROM run AS r CROSS JOIN run_environment AS e ON e.run = r.id, json_each(e.data_references) AS j
WHERE r.run_id = ?
"""
RUNS_OF_DATA = f"""
SELECT DISTINCT r.run_id, j.key, j.value
FROM run_environment AS e, json_each(e.data_references) AS j, json_each(json_array({DATA_WORDS})) AS w
CROSS JOIN run AS r ON r.id = e.run
WHERE length(e.data_references) > 2 AND w.value = ? AND r.deleted_at IS NULL
ORDER BY r.run_id, j.key
"""


@shown
class DeclaredData(NamedTuple):
    """Data that a run declared: its name, and the reference with the digest that the files had then."""

    run_id: str
    name: str
    reference: str


@decoding_rows
def read_data(connection: Connection, run_ids: Iterable[str]) -> tuple[DeclaredData, ...]:
    """Return the data that runs declared, run by run."""
    return tuple(DeclaredData(*row) for run_id in run_ids for row in connection.all(DATA_OF_RUN, (run_id,)))


@decoding_rows
def find_runs_of_data(connection: Connection, text: str) -> tuple[DeclaredData, ...]:
    """Return who declared data of this name or reference, with or without its digest, or of this digest."""
    return tuple(DeclaredData(*row) for row in connection.all(RUNS_OF_DATA, (text,)))
