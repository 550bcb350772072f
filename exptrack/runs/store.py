"""Write the rows that a run begins with, its notes, its config and the events of its end.

Invariant: `insert_run` writes the rows of every run, whether it starts now or is recorded after its end.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime

from exptrack.capture.code import CodeVersion
from exptrack.capture.environment import Environment
from exptrack.config.exp_config import ExpConfig, family_of_leaves
from exptrack.config.store import (
    CONFIG_KIND,
    VALUES_KIND,
    RowIds,
    WrittenConfig,
    delete_config,
    insert_config,
    read_exp_config,
    read_source_ids,
    remove_unused_sources,
)
from exptrack.config.tree import encode_canonical
from exptrack.database.connection import Connection
from exptrack.database.row_sums import GatheredRows, hash_encoded, hash_row
from exptrack.errors import ExternalIdError, InvalidValueError
from exptrack.hashed_lists import encode_list
from exptrack.known_secrets import mask_secrets
from exptrack.named_tuples import NamedTuple
from exptrack.plain import is_mapping, is_path, read_elements, read_items, read_path
from exptrack.records import RunStatus
from exptrack.runs.events import record_event, time_of_event
from exptrack.runs.identity import compute_fingerprint
from exptrack.runs.row_sums import (
    ENVIRONMENT_KIND,
    RUN_KIND,
    TAG_KIND,
    add_to_run,
    begin_group_sum,
    changing_group,
    changing_origin,
    changing_run,
    sum_config,
)
from exptrack.times import utc_text
from exptrack.validation import check_name, check_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


INSERT_RUN = """
INSERT INTO run
    (run_id, status, reason, traceback, name, group_name, parent_run_id, external_id, started_at, ended_at,
     heartbeat_at, duration_ms, config_hash, family, fingerprint, host, vcs_commit, vcs_dirty)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
INSERT_ENVIRONMENT = """
INSERT INTO run_environment
    (run, python, platform, command, script, vcs_branch, vcs_remote, code_digest, system, variables,
     data_references)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
SET_GROUP = "UPDATE run SET group_name = ? WHERE id = ?"
INSERT_GROUP = """
INSERT INTO run_group (name, created_at, changed_at) VALUES (?1, ?2, ?2) ON CONFLICT (name) DO NOTHING
"""
DELETED_GROUP = "SELECT id FROM run_group WHERE name = ? AND deleted_at IS NOT NULL"
RESTORE_GROUP = "UPDATE run_group SET deleted_at = NULL, changed_at = ? WHERE id = ?"
INSERT_TAG = "INSERT INTO run_tag (run, tag, added_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
INSERT_NOTE = """
INSERT INTO note (run, seq, written_at, text)
VALUES (:run, (SELECT coalesce(max(seq) + 1, 0) FROM note WHERE run = :run), :at, :text)
"""
RUN_WITH_EXTERNAL_ID = "SELECT run_id FROM run WHERE external_id = ?"
DECLARED = "SELECT code_digest, data_references FROM run_environment WHERE run = ?"
SAVE_DATA = "UPDATE run_environment SET data_references = ? WHERE run = ?"
SAVE_ORIGIN = """
UPDATE run SET parent_run_id = coalesce(?, parent_run_id), external_id = coalesce(?, external_id) WHERE id = ?
"""
SAVE_IDENTITY = "UPDATE run SET config_hash = ?, family = ?, fingerprint = ? WHERE id = ?"
NOT_DELETED = None  # `deleted_at` of a new run


# Rows


class NewRun(NamedTuple):
    """Everything a run begins with; for a run recorded after its end, also how it ended."""

    config: ExpConfig
    tags: list[str]
    data: dict[str, str]
    name: str | None
    group: str | None
    parent: str | None
    code: CodeVersion
    environment: Environment
    started_at: datetime
    ended_at: datetime | None = None
    duration_ms: int = 0
    status: RunStatus = RunStatus.RUNNING
    reason: str | None = None
    traceback: str | None = None
    external_id: str | None = None


class WrittenRun(NamedTuple):
    """The row id of a run, and the encoded lists of its environment and config, which its seal covers too."""

    row_id: int
    environment: bytes
    config: WrittenConfig

    @property
    def lines(self) -> dict[str, bytes]:
        """The lists by the kinds of their rows."""
        return {
            ENVIRONMENT_KIND: self.environment,
            CONFIG_KIND: self.config.config,
            VALUES_KIND: self.config.values,
        }


def insert_run(
    connection: Connection,
    run_id: str,
    new: NewRun,
    gathered: GatheredRows,
    row_ids: RowIds | None = None,
) -> WrittenRun:
    """Write the row of a run, and put what else it begins with into `gathered`, for the caller to write.

    Call inside a transaction.
    """
    code, environment = new.code, new.environment
    began = utc_text(new.started_at)
    ended = None if new.ended_at is None else utc_text(new.ended_at)
    if new.external_id is not None:
        _require_free(connection, new.external_id)
    leaves = new.config.leaves()
    facts_of_run = (
        run_id,
        new.status,
        new.reason,
        new.traceback,
        new.name,
        new.group,
        new.parent,
        new.external_id,
        began,
        ended,
        ended or began,
        new.duration_ms,
        new.config.hash(),
        family_of_leaves(leaves),
        compute_fingerprint(new.config, code.digest, new.data),
        environment.host,
        code.commit,
        None if code.dirty is None else int(code.dirty),
    )
    run = connection.execute(INSERT_RUN, facts_of_run).lastrowid
    assert run is not None
    facts_of_environment = (
        environment.python,
        environment.platform,
        json.dumps(environment.command),
        code.script,
        code.branch,
        code.remote,
        code.digest,
        json.dumps(environment.system),
        json.dumps(environment.variables),
        encode_canonical(new.data),
    )
    gathered.put(INSERT_ENVIRONMENT, [(run, *facts_of_environment)])
    if new.group is not None:
        begin_group(connection, new.group, began)
    # The sums of the rows as they are written, which saves reading them back.
    rows = hash_row(RUN_KIND, (run, *facts_of_run, NOT_DELETED))
    written = WrittenRun(
        run,
        encode_list((ENVIRONMENT_KIND, *facts_of_environment)),
        insert_config(connection, run, new.config, row_ids, leaves, gathered),
    )
    rows += hash_encoded(written.environment) + written.config.sum
    if new.tags:
        gathered.put(INSERT_TAG, [(run, tag, began) for tag in new.tags])
        rows += sum(hash_row(TAG_KIND, (tag, began)) for tag in new.tags)
    facts: dict[str, Any] = {"name": new.name, "tags": new.tags, "config_hash": new.config.hash()}
    if code.problem is not None:
        facts["code_problem"] = code.problem
    record_event(connection, run, "start", facts, at=began, rows=rows, late=False, gathered=gathered)
    return written


def begin_group(connection: Connection, name: str, at: str) -> None:
    """Make the row of a group, or take it out of the trash. Call inside a transaction."""
    made = connection.execute(INSERT_GROUP, (name, at))
    if made.rowcount:
        assert made.lastrowid is not None
        begin_group_sum(connection, made.lastrowid)
        return
    group = connection.value(DELETED_GROUP, (name,))
    if group is not None:
        with changing_group(connection, group):
            connection.execute(RESTORE_GROUP, (at, group))


def replace_config(connection: Connection, run: int, config: ExpConfig) -> None:
    """Replace a run's config, and the hashes computed from it. Call inside a transaction."""
    before = sum_config(connection, run)
    sources = read_source_ids(connection, run)
    delete_config(connection, run)
    after = insert_config(connection, run, config).sum
    remove_unused_sources(connection, sources)
    declared = connection.one(DECLARED, (run,))
    digest, data = ("", {}) if declared is None else (declared[0], json.loads(declared[1]))
    identity = (config.hash(), config.family(), compute_fingerprint(config, digest, data))
    add_to_run(connection, run, after - before)
    with changing_run(connection, run):
        connection.execute(SAVE_IDENTITY, (*identity, run))


def save_origin(
    connection: Connection, run: int, *, parent: str | None, external_id: str | None, data: Mapping[str, str]
) -> None:
    """Give a live run the parent, external id and data that its script declares. Call inside a transaction.

    None, and a map without data, leave what the run has.

    Raises:
        ExternalIdError: another run has the external id.
    """
    if external_id is not None:
        _require_free(connection, external_id)
    with changing_origin(connection, run):
        connection.execute(SAVE_ORIGIN, (parent, external_id, run))
        if data:
            connection.execute(SAVE_DATA, (encode_canonical(dict(data)), run))
    if data:
        replace_config(connection, run, read_exp_config(connection, run))


def _require_free(connection: Connection, external_id: str) -> None:
    taken = connection.value(RUN_WITH_EXTERNAL_ID, (external_id,))
    if taken is not None:
        raise ExternalIdError(external_id, taken)


def insert_note(
    connection: Connection, run: int, text: str, at: str | None = None, *, late: bool | None = None
) -> None:
    """Write a note and its event. Call inside a transaction; `late` as in `record_event`."""
    at = time_of_event(connection, run) if at is None else at
    connection.execute(INSERT_NOTE, {"run": run, "at": at, "text": text})
    rows = hash_row("note", (at, text))
    record_event(connection, run, "note", {"characters": len(text)}, at=at, rows=rows, late=late)


def record_end(
    connection: Connection,
    run: int,
    status: RunStatus,
    reason: str | None,
    at: str | None = None,
    *,
    facts: Mapping[str, Any] | None = None,
    late: bool = False,
    gathered: GatheredRows | None = None,
) -> None:
    """Write the events of a run's end; `facts` are said of the end too. Call inside a transaction.

    `gathered` as in `record_event`.
    """
    if status is RunStatus.FAILED:
        record_event(connection, run, "fail", {"reason": reason}, at=at, late=late, gathered=gathered)
    said = {"status": status, "reason": reason, **(facts or {})}
    record_event(connection, run, "end", said, at=at, late=late, gathered=gathered)


# Checks of what a caller gives a run


def check_tags(tags: Iterable[str]) -> list[str]:
    """Return the tags, each once."""
    found = read_elements(tags, "tags", like="['baseline']")
    return list(dict.fromkeys(mask_secrets(check_name(tag, "tag")) for tag in found))


def check_data(data: object) -> dict[str, str]:
    """Return references to data by name. A reference without a name is its own name; a Path is one too."""
    if data is None:
        return {}
    if is_mapping(data):
        pairs = read_items(data, "data")
    else:
        several = read_elements(data, "data", like="{'train': 's3://bucket/train'}")
        pairs = [(_read_reference(item), item) for item in several]
    return {
        mask_secrets(check_name(k, "data name")): mask_secrets(check_text(_read_reference(v), "data reference"))
        for k, v in pairs
    }


def _read_reference(reference: object) -> object:
    return read_path(reference, "data reference") if is_path(reference) else reference


def check_note(text: object) -> str:
    """Return the text of a note."""
    checked = check_text(text, "note")
    if not checked.strip():
        raise InvalidValueError("the note is empty; give it some text")
    return mask_secrets(checked)


def check_optional_name(value: object, what: str) -> str | None:
    """Return a name, or None for None."""
    return None if value is None else mask_secrets(check_name(value, what))
