"""Compute the content digest of an archive: what the file says, whatever its row ids are.

Begin with `digest_content`. `read_content` returns the rows that it is taken over; two archives are compared by
them. ``docs/format.md`` has the recipe.

Invariants:

- A run enters by its seal, which covers facts, config and series. A run without a seal, such as a running one,
  enters by the seal computed now.
- Nothing enters that is local to a file: row ids, how a blob is cut, journals, SQL views, unused names. Neither
  does the order of events and notes: two copies of a run may have appended the same number.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any, NamedTuple

from exptrack.database.connection import Connection, in_reading
from exptrack.database.own_schema import has_table
from exptrack.hashed_lists import encode_list
from exptrack.runs.seal import checksum_run

DIGEST_FORMAT = 2


class Said(NamedTuple):
    """Rows of one kind that a file says of a run, group, study or page view. The first column names which.

    The kind is the name of a table.
    """

    kind: str
    query: str


UNSEALED_RUNS = "SELECT run_id, id FROM run WHERE checksum IS NULL"
OF_RUNS = (
    Said(
        "run",
        """
SELECT run_id, checksum, name, group_name, parent_run_id, external_id, deleted_at,
       CASE WHEN status = 'running' THEN heartbeat_at END
FROM run
""",
    ),
    Said(
        "run_owner",
        """
SELECT r.run_id, o.host_id, o.boot_id, o.pid, o.pid_started, o.lease_s
FROM run_owner AS o JOIN run AS r ON r.id = o.run
""",
    ),
    Said("run_tag", "SELECT r.run_id, t.tag, t.added_at FROM run_tag AS t JOIN run AS r ON r.id = t.run"),
    Said("note", "SELECT r.run_id, n.written_at, n.text FROM note AS n JOIN run AS r ON r.id = n.run"),
    Said(
        "event",
        "SELECT r.run_id, e.happened_at, e.kind, e.data, e.late FROM event AS e JOIN run AS r ON r.id = e.run",
    ),
    Said(
        "run_input",
        """
SELECT r.run_id, i.hash, i.from_run_id, i.name, i.version, i.used_at
FROM run_input AS i JOIN run AS r ON r.id = i.run
""",
    ),
    Said(
        "artifact",
        """
SELECT r.run_id, a.name, a.version, a.kind, a.hash, a.is_text, a.media_type, a.step, a.metadata, a.description,
       a.created_at, a.removed_at
FROM artifact AS a JOIN run AS r ON r.id = a.run
""",
    ),
    Said(
        "run_attribute",
        """
SELECT r.run_id, a.key, a.type, a.num, a.text, a.set_at FROM run_attribute AS a JOIN run AS r ON r.id = a.run
""",
    ),
    Said(
        "artifact_alias",
        """
SELECT r.run_id, a.name, a.alias, a.version, a.set_at FROM artifact_alias AS a JOIN run AS r ON r.id = a.run
""",
    ),
    Said(
        "run_ingest",
        """
SELECT r.run_id, i.source, i.sequence, i.stored_at FROM run_ingest AS i JOIN run AS r ON r.id = i.run
""",
    ),
)
OF_GROUPS = (
    Said("run_group", "SELECT name, created_at, changed_at, deleted_at FROM run_group"),
    Said(
        "run_group_attribute",
        """
SELECT g.name, a.key, a.type, a.num, a.text, a.set_at
FROM run_group_attribute AS a JOIN run_group AS g ON g.id = a.run_group
""",
    ),
)
# The rows of a trial that have an order have it by their ids, which differ between files.
OF_STUDIES = (
    Said("study", "SELECT uid, name, created_at, settings FROM study"),
    Said(
        "study_objective",
        """
SELECT s.uid, o.position, o.direction, o.metric FROM study_objective AS o JOIN study AS s ON s.id = o.study
""",
    ),
    Said(
        "study_attribute",
        "SELECT s.uid, a.scope, a.name, a.value FROM study_attribute AS a JOIN study AS s ON s.id = a.study",
    ),
    Said(
        "trial",
        """
SELECT s.uid, t.uid, t.number, t.state, t.run_id, t.started_at, t.ended_at, t.duration_ms,
       CASE WHEN t.state = 'running' THEN t.heartbeat_at END, t.reason, t.owner
FROM trial AS t JOIN study AS s ON s.id = t.study
""",
    ),
    Said(
        "trial_param",
        """
SELECT s.uid, t.uid, p.position, p.name, p.value, p.type, p.num, p.text, p.distribution
FROM trial_param AS p JOIN trial AS t ON t.id = p.trial JOIN study AS s ON s.id = t.study
""",
    ),
    Said(
        "trial_value",
        """
SELECT s.uid, t.uid, v.position, v.value
FROM trial_value AS v JOIN trial AS t ON t.id = v.trial JOIN study AS s ON s.id = t.study
""",
    ),
    Said(
        "trial_report",
        """
SELECT s.uid, t.uid, row_number() OVER (PARTITION BY p.trial ORDER BY p.id), p.step, p.value
FROM trial_report AS p JOIN trial AS t ON t.id = p.trial JOIN study AS s ON s.id = t.study
""",
    ),
    Said(
        "trial_attribute",
        """
SELECT s.uid, t.uid, row_number() OVER (PARTITION BY a.trial ORDER BY a.id), a.scope, a.name, a.value
FROM trial_attribute AS a JOIN trial AS t ON t.id = a.trial JOIN study AS s ON s.id = t.study
""",
    ),
)
# A table of a later format: a file that lacks it says the same as one in which it is empty.
OF_PAGE_VIEWS = (Said("page_view", "SELECT name, path, changed_at, deleted_at FROM page_view"),)
PARTS = (OF_RUNS, OF_GROUPS, OF_STUDIES, OF_PAGE_VIEWS)


@in_reading
def digest_content(connection: Connection) -> str:
    """Return the SHA-256 (hex) of what the file says; the same of every file that says the same.

    It trusts the seals of the runs. Only ``verify`` proves them.
    """
    lines = [
        encode_list((said.kind, *row))
        for part in PARTS
        for said, rows in read_content(connection, part)
        for row in rows
    ]
    digest = hashlib.sha256()
    for line in sorted(lines):
        digest.update(line + b"\n")
    return digest.hexdigest()


def read_content(
    connection: Connection, part: tuple[Said, ...]
) -> Iterator[tuple[Said, list[tuple[Any, ...]]]]:
    """Yield each kind of rows with all of them, without an order. Call inside a reading or a section."""
    for said in part:
        rows: list[tuple[Any, ...]] = []
        if part is not OF_PAGE_VIEWS or has_table(connection, said.kind):
            rows = connection.fold(said.query, (), list)
        if said.kind == "run":
            rows = _seal_now(connection, rows)
        yield said, rows


def _seal_now(connection: Connection, rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    unsealed: dict[str, int] = dict(connection.fold(UNSEALED_RUNS, (), list))
    if not unsealed:
        return rows
    return [
        (row[0], checksum_run(connection, unsealed[row[0]]), *row[2:]) if row[0] in unsealed else row
        for row in rows
    ]
