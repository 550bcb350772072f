"""Prove what a stranger's file says of its runs, before any of it is stored.

Everything of a run but its points and bytes is proved here: each row by the checksums of the run, and each
value by the rules that the calls of exptrack keep. Checksums alone prove nothing of a file that was made to
harm, as every program can compute them.

Invariants:

- The rows of many runs are read by one statement for each table, row by row, and none is kept. So a file with a
  thousand million rows needs no more memory than one with ten.
- JSON is parsed only if it is short or has few parts, and nests no deeper than a config may.
- Nothing of the file enters what this process knows: no secret, no name.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, TypeAlias

from exptrack.artifacts.registration import CHECKED, artifact_checksum
from exptrack.config.exp_config import CANONICAL_VERSION
from exptrack.config.tree import check_values, encode_canonical, list_leaves, sha256_text
from exptrack.database.connection import Connection
from exptrack.database.failures import DAMAGE
from exptrack.database.row_sums import METRIC_KIND, SEAL_KIND
from exptrack.errors import ExptrackError
from exptrack.hashed_lists import encode_list
from exptrack.portable.stranger_values import (
    RowsProof,
    check_attribute,
    check_optional_text,
    check_texts,
    check_time,
    first_bits,
    is_content_hash,
    is_digest,
    is_family,
    is_run_id,
    parse_json,
    require,
)
from exptrack.records import RunStatus
from exptrack.runs.events import checksum_event
from exptrack.validation import check_name

Row: TypeAlias = tuple[Any, ...]

_AMONG = "IN (SELECT value FROM json_each(?))"
RUNS = f"""
SELECT id, checksum, rows_sum, id, run_id, status, reason, traceback, name, group_name, parent_run_id,
       external_id, started_at, ended_at, heartbeat_at, duration_ms, config_hash, family, fingerprint, host,
       vcs_commit, vcs_dirty, deleted_at
FROM run WHERE id {_AMONG}
"""
ENVIRONMENTS = f"""
SELECT run, python, platform, command, script, vcs_branch, vcs_remote, code_digest, system, variables,
       data_references
FROM run_environment WHERE run {_AMONG}
"""
CONFIGS = f"SELECT run, format, snapshot, source_files, overrides FROM run_config WHERE run {_AMONG}"
LEAVES = f"""
SELECT v.run, k.key, v.type, v.num, v.text, s.kind, s.name, s.line
FROM config_value AS v
JOIN config_key AS k ON k.id = v.key
LEFT JOIN config_source AS s ON s.id = v.source
WHERE v.run {_AMONG} ORDER BY v.run, k.key
"""
OWNERS = f"SELECT run, host_id, boot_id, pid, pid_started, lease_s FROM run_owner WHERE run {_AMONG}"
TAGS = f"SELECT run, tag, added_at FROM run_tag WHERE run {_AMONG}"
NOTES = f"SELECT run, seq, written_at, text FROM note WHERE run {_AMONG} ORDER BY run, seq"
EVENTS = f"""
SELECT run, seq, checksum, happened_at, kind, data, late FROM event WHERE run {_AMONG} ORDER BY run, seq
"""
INPUTS = f"""
SELECT run, seq, hash, from_run_id, name, version, used_at FROM run_input WHERE run {_AMONG} ORDER BY run, seq
"""
ARTIFACTS = f"""
SELECT a.run, a.checksum, b.hash, a.id, a.name, a.version, a.kind, a.blob, a.hash, a.is_text, a.media_type,
       a.step, a.metadata, a.description, a.created_at, a.removed_at
FROM artifact AS a LEFT JOIN blob AS b ON b.id = a.blob WHERE a.run {_AMONG}
"""
ATTRIBUTES = f"SELECT run, key, type, num, text, set_at FROM run_attribute WHERE run {_AMONG}"
ALIASES = f"SELECT run, name, alias, version, set_at FROM artifact_alias WHERE run {_AMONG}"
INGESTS = f"SELECT run, source, sequence, stored_at FROM run_ingest WHERE run {_AMONG}"
SERIES = f"""
SELECT s.run, n.name, s.count, s.nan_count, s.first_step, s.first_value, s.last_step, s.last_value,
       s.last_time_ms, s.top_step, s.min_step, s.min_value, s.max_step, s.max_value, s.value_sum, s.completed,
       s.checksum
FROM metric_series AS s JOIN metric_name AS n ON n.id = s.metric WHERE s.run {_AMONG} ORDER BY s.run, n.name
"""


def prove_runs(connection: Connection, runs: Sequence[int]) -> dict[int, list[str]]:
    """Return what is wrong with each of these runs, by row id: an empty list for a sound one.

    Points and the bytes of artifacts are not read. Give up to some hundred row ids at once.
    """
    try:
        return connection.reading(lambda: _Proof(connection, runs).run())
    except DAMAGE as error:
        if len(runs) == 1:
            return {runs[0]: [f"it cannot be read: {error or type(error).__name__}"]}
    # One value that cannot be read ends the statement that reads them all.
    return {run: problems for one in runs for run, problems in prove_runs(connection, [one]).items()}


class _Run(RowsProof):
    """What is known so far of one run."""

    __slots__ = (
        "config_hash",
        "events",
        "has_config",
        "has_environment",
        "has_owner",
        "inputs",
        "leaves",
        "leaves_hash",
        "notes",
        "run_id",
        "seal",
        "status",
        "stored_seal",
    )

    def __init__(self) -> None:
        super().__init__()
        self.run_id = self.status = self.config_hash = ""
        self.stored_seal: str | None = None
        self.events = self.inputs = self.notes = 0
        self.has_config = self.has_environment = self.has_owner = False
        self.seal = hashlib.sha256()
        self.leaves: Iterator[Row] = iter(())
        self.leaves_hash = hashlib.sha256()

    def add_sealed(self, encoded: bytes) -> None:
        """Add a list to the sum and to the seal."""
        self.add(encoded)
        self.seal.update(encoded + b"\n")

    def add_leaf(self, piece: bytes) -> None:
        """Add a piece of the list of all leaves to the seal and to its own hash."""
        self.leaves_hash.update(piece)
        self.seal.update(piece)


class _Proof:
    """The proof of several runs, one table after the other, in the order of the lines that the seal covers."""

    def __init__(self, connection: Connection, runs: Sequence[int]) -> None:
        self._connection = connection
        self._among = (json.dumps(list(runs)),)
        self._runs = {run: _Run() for run in runs}

    def run(self) -> dict[int, list[str]]:
        """Return the problems of each run."""
        self._read(RUNS, _take_facts)
        self._read(ENVIRONMENTS, _take_environment)
        self._read(CONFIGS, _take_config)
        for run in self._runs.values():
            run.add_leaf(b'["config_value"')
        self._read(LEAVES, _take_leaf)
        for run in self._runs.values():
            _end_leaves(run)
        self._read(SERIES, _take_series)
        self._read(OWNERS, _take_owner)
        self._read(TAGS, _take_tag)
        self._read(NOTES, _take_note)
        self._read(EVENTS, _take_event)
        self._read(INPUTS, _take_input)
        self._read(ARTIFACTS, _take_artifact)
        self._read(ATTRIBUTES, _take_attribute)
        self._read(ALIASES, _take_alias)
        self._read(INGESTS, _take_ingest)
        for run in self._runs.values():
            _end(run)
        return {row_id: run.problems for row_id, run in self._runs.items()}

    def _read(self, query: str, take: Callable[[_Run, Row], None]) -> None:
        def take_all(rows: Iterable[Row]) -> None:
            for row in rows:
                run = self._runs[row[0]]
                try:
                    take(run, row[1:])
                except (ExptrackError, ValueError, TypeError, RecursionError) as error:
                    run.say(str(error))

        self._connection.fold(query, self._among, take_all)


def _end(run: _Run) -> None:
    if not run.run_id:
        run.say("its row is missing")
    run.end("its facts, config, tags, notes, events, inputs, metrics or artifacts")
    if run.stored_seal is not None and run.seal.hexdigest() != run.stored_seal:
        run.say("its facts, config or summaries changed after its end")
    if not run.has_environment:
        run.say("its environment is missing")
    if run.has_owner != (run.status == RunStatus.RUNNING):
        run.say(f"it is {run.status} {'with' if run.has_owner else 'without'} a process that writes it")


# What the seal covers


def _take_facts(run: _Run, row: Row) -> None:
    run.stored_seal, run.stored_sum, *facts = row
    run.add(encode_list(("run", *facts)))
    _id, run_id, status, reason, traceback, name, group, parent, external, *rest = facts
    started, ended, heartbeat, duration_ms, config_hash, family, fingerprint, host, commit, dirty, deleted = (
        rest
    )
    run.run_id, run.status, run.config_hash = run_id, status, config_hash
    sealed = (run_id, status, reason, traceback, started, ended, duration_ms, config_hash, family, fingerprint)
    run.seal.update(encode_list(("run", *sealed, host, commit, dirty)) + b"\n")
    if run.stored_seal is not None:
        run.add(encode_list((SEAL_KIND, run.stored_seal)))
    require(is_run_id(run_id), "its run id is not a run id")
    is_over = RunStatus(status) != RunStatus.RUNNING
    for text in (reason, traceback, host, commit):
        check_optional_text(text)
    for text, what in ((name, "run name"), (group, "group"), (external, "external id")):
        if text is not None:
            check_name(text, what)
    require(parent is None or (is_run_id(parent) and parent != run_id), "its parent is itself or not a run id")
    for time, what in ((started, "start"), (heartbeat, "heartbeat"), (ended, "end"), (deleted, "deletion")):
        check_time(time, what)
    require((ended is not None) == is_over, f"it is {status} {'without' if is_over else 'with'} an end")
    require(ended is None or ended >= started, "it ends before its start")
    require(duration_ms >= 0, "its duration is below 0")
    require(
        is_digest(config_hash) and is_digest(fingerprint) and is_family(family),
        "one of its hashes is not a hash",
    )
    require(run.stored_seal is None or is_over, "it is sealed and has not ended")


def _take_environment(run: _Run, row: Row) -> None:
    run.add_sealed(encode_list(("run_environment", *row)))
    run.has_environment = True
    python, platform, command, script, branch, remote, code_digest, system, variables, data = row
    # A recorded run has whatever its peer calls the digest of its code.
    for text in (python, platform, script, branch, remote, code_digest):
        check_optional_text(text)
    check_texts(parse_json(command, list, "command"), "command")
    parse_json(system, dict, "system")
    check_texts(parse_json(variables, dict, "variables").values(), "variables")
    check_texts(parse_json(data, dict, "data references").values(), "data references")


def _take_config(run: _Run, row: Row) -> None:
    run.add_sealed(encode_list(("run_config", *row)))
    run.has_config = True
    version, snapshot, files, overrides = row
    require(version == CANONICAL_VERSION, "its config has an unknown format")
    check_texts(parse_json(files, list, "source files"), "source files")
    check_texts(parse_json(overrides, list, "overrides"), "overrides")
    require(sha256_text(snapshot) == run.config_hash, "its config does not match its hash")
    values = check_values(parse_json(snapshot, dict, "config"))
    require(encode_canonical(values) == snapshot, "its config is not in its canonical form")
    run.leaves = iter(sorted(map(tuple, list_leaves("", values) if values else ())))


def _take_leaf(run: _Run, row: Row) -> None:
    run.add_leaf(b"," + encode_list(row))
    require(row[:4] == next(run.leaves, None), "its searchable values differ from its config")
    if row[4] is not None:
        check_optional_text(row[5])
        require(row[6] >= 0, "a line of its config is below 0")


def _end_leaves(run: _Run) -> None:
    run.add_leaf(b"]")
    run.seal.update(b"\n")
    run.total += first_bits(run.leaves_hash.digest())
    if not run.has_config:
        run.say("its config is missing")
    elif next(run.leaves, None) is not None:
        run.say("its searchable values differ from its config")


def _take_series(run: _Run, row: Row) -> None:
    name, count, nan_count, *_, completed, checksum = row
    run.seal.update(encode_list(("metric_series", *row)) + b"\n")
    run.total += _hash_metric(name)
    require(0 <= nan_count <= count and count > 0, f"the metric {name!r} counts its points wrongly")
    require(
        completed == (run.status == RunStatus.COMPLETED), f"the metric {name!r} is ranked as of another end"
    )
    require((checksum is None) == (run.stored_seal is None), f"the metric {name!r} is sealed as of another end")


@lru_cache(maxsize=4096)
def _hash_metric(name: str) -> int:
    check_name(name, "metric name")
    return first_bits(hashlib.sha256(encode_list((METRIC_KIND, name))).digest())


# What may change


def _take_owner(run: _Run, row: Row) -> None:
    run.add(encode_list(("run_owner", *row)))
    run.has_owner = True
    host_id, boot_id, pid, pid_started, lease_s = row
    check_texts((host_id, boot_id, pid_started), "process")
    require(
        pid >= 0 and (lease_s is None or lease_s > 0), "what it says of the process that writes it cannot be"
    )


def _take_tag(run: _Run, row: Row) -> None:
    run.add(encode_list(("run_tag", *row)))
    check_name(row[0], "tag")
    check_time(row[1], "tag")


def _take_note(run: _Run, row: Row) -> None:
    seq, *rest = row
    run.add(encode_list(("note", *rest)))
    require(seq == run.notes, f"note {run.notes} is missing")
    run.notes += 1
    check_time(rest[0], "note")
    check_optional_text(rest[1])


def _take_event(run: _Run, row: Row) -> None:
    seq, checksum, *rest = row
    happened_at, kind, data, _late = rest
    run.add(encode_list(("event", *rest)))
    require(seq == run.events, f"event {run.events} is missing")
    run.events += 1
    require(checksum == checksum_event(happened_at, kind, data), f"event {seq} does not match its checksum")
    check_name(kind, "event kind")
    check_time(happened_at, "event")
    parse_json(data, dict, "event")


def _take_input(run: _Run, row: Row) -> None:
    seq, *rest = row
    run.add(encode_list(("run_input", *rest)))
    require(seq == run.inputs, f"input {run.inputs} is missing")
    run.inputs += 1
    content, from_run_id, name, version, used_at = rest
    require(
        is_content_hash(content) and is_run_id(from_run_id) and version > 0,
        "one of its inputs has no hash, run id or version",
    )
    check_name(name, "artifact name")
    check_time(used_at, "input")


def _take_artifact(run: _Run, row: Row) -> None:
    checksum, held, *rest = row
    run.add(encode_list(("artifact", *rest)))
    _id, name, version, kind, _blob, content, is_text, media_type, step, metadata, description, *times = rest
    created_at, removed_at = times
    checked = (run.run_id, name, version, kind, content, is_text, media_type, step, metadata, created_at)
    require(
        artifact_checksum(dict(zip(CHECKED, checked, strict=True))) == checksum,
        f"the artifact {name!r} does not match its checksum",
    )
    for text, what in ((name, "artifact name"), (kind, "artifact kind"), (media_type, "media type")):
        if text is not None:
            check_name(text, what)
    require(is_content_hash(content) and version > 0, f"the artifact {name!r} has no hash or version")
    if removed_at is None:
        require(held == content, f"the artifact {name!r} names the bytes of another one")
    parse_json(metadata, dict, "metadata")
    check_optional_text(description)
    check_time(created_at, "artifact")
    check_time(removed_at, "removal")


def _take_attribute(run: _Run, row: Row) -> None:
    run.add(encode_list(("run_attribute", *row)))
    check_attribute(*row)


def _take_alias(run: _Run, row: Row) -> None:
    run.add(encode_list(("artifact_alias", *row)))
    name, alias, version, set_at = row
    check_name(name, "artifact name")
    check_name(alias, "alias")
    require(version is None or version > 0, f"the alias {alias!r} names no version")
    check_time(set_at, "alias")


def _take_ingest(run: _Run, row: Row) -> None:
    run.add(encode_list(("run_ingest", *row)))
    check_name(row[0], "source")
    check_time(row[2], "batch")
