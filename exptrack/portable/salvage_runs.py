"""Prove the runs of a draft, and end those of which something is missing.

A run is proved as a whole by the sum of its rows. Where that fails, its seal proves facts, environment, config
and series; each event and artifact has a checksum of its own; a config is proved by its hash. A fact is also
proved if the row of the run and an index both have it. What nothing proves goes: a fact becomes empty, a row is
deleted.

Invariants:

- A run that is whole is not touched. A run whose seal holds keeps it, and its status.
- Every other run becomes interrupted, and is sealed anew. An event `salvage` lists what is missing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

from exptrack.artifacts.registration import artifact_checksum
from exptrack.config.exp_config import ExpConfig
from exptrack.database.connection import Row
from exptrack.database.row_sums import hash_row, wrap_sum
from exptrack.portable.salvage_artifacts import ARTIFACTS_OF, ArtifactProof
from exptrack.portable.salvage_config import find_config, forget_origin, guess_config, save_config
from exptrack.portable.salvage_copies import OtherCopies
from exptrack.portable.salvage_intake import Draft
from exptrack.portable.salvage_report import SalvagedRun, count_of
from exptrack.portable.salvage_series import SeriesProof
from exptrack.portable.stranger_values import is_run_id
from exptrack.portable.tables import MAX_ROW_ID
from exptrack.records import RunStatus
from exptrack.runs.events import checksum_event, record_event
from exptrack.runs.identity import EPOCH, compute_fingerprint, derive_run_id, started_of
from exptrack.runs.row_sums import OF_RUN, sum_all
from exptrack.runs.seal import checksum_run, seal_run
from exptrack.times import MILLISECOND, moment, utc_text

SALVAGED = "salvaged"
UNPROVEN_TAG = "unproven"
TOLERANCE = timedelta(minutes=1)  # from the start of a run to the time in its id

RUN_IDS = "SELECT id FROM run ORDER BY id"
ONE_RUN = "SELECT * FROM run WHERE id = ?"
ENVIRONMENT_OF = "SELECT code_digest, data_references FROM run_environment WHERE run = ?"
RUNS_WITHOUT_ROW = f"""
SELECT run FROM metric_series WHERE run NOT IN (SELECT id FROM run) AND run BETWEEN 1 AND {MAX_ROW_ID}
UNION SELECT run FROM event WHERE run NOT IN (SELECT id FROM run) AND run BETWEEN 1 AND {MAX_ROW_ID}
"""
SET_FACT = "UPDATE OR IGNORE run SET {column} = ? WHERE id = ?"
SAVE_SUM = "UPDATE run SET rows_sum = ? WHERE id = ?"
SET_FACTS = """
UPDATE run
SET status = :status, reason = :reason, traceback = :traceback, name = :name, group_name = :group_name,
    parent_run_id = :parent_run_id, external_id = :external_id, started_at = :started_at, ended_at = :ended_at,
    heartbeat_at = :heartbeat_at, duration_ms = :duration_ms, config_hash = :config_hash, family = :family,
    fingerprint = :fingerprint, host = :host, vcs_commit = :vcs_commit, vcs_dirty = :vcs_dirty,
    deleted_at = :deleted_at
WHERE id = :id
"""
INSERT_LOST_RUN = """
INSERT OR IGNORE INTO run
    (id, run_id, status, started_at, heartbeat_at, config_hash, family, fingerprint, host)
VALUES (?, ?, 'interrupted', ?, ?, '', '', '', '')
"""
SAVE_ENVIRONMENT = """
INSERT OR REPLACE INTO run_environment
    (run, python, platform, command, code_digest, system, variables, data_references)
VALUES (?, '', '', '[]', '', '{}', '{}', '{}')
"""
DELETE_RUN = "DELETE FROM run WHERE id = ?"
DELETE_OWNER = "DELETE FROM run_owner WHERE run = ?"
ROWS_OF = "SELECT * FROM {table} WHERE run = ?"
DELETE_ROWS = "DELETE FROM {table} WHERE run = ?"
EVENTS_OF = "SELECT seq, happened_at, kind, data, late, checksum FROM event WHERE run = ? ORDER BY seq"
SET_CHECKSUM = "UPDATE event SET checksum = ? WHERE run = ? AND seq = ?"
NUMBERS_OF = "SELECT seq FROM {table} WHERE run = ? ORDER BY seq"
SET_NUMBER = "UPDATE {table} SET seq = ? WHERE run = ? AND seq = ?"
DELETE_NUMBER = "DELETE FROM {table} WHERE run = ? AND seq = ?"
INSERT_TAG = "INSERT OR IGNORE INTO run_tag (run, tag, added_at) VALUES (?, ?, ?)"
IS_UNPROVEN = "SELECT 1 FROM run_tag WHERE run = ? AND tag = ?"
POINTS_OF = "SELECT coalesce(sum(count), 0) FROM metric_series WHERE run = ?"
USERS_OF_NAME = {
    "metric_name": "SELECT DISTINCT run FROM metric_series WHERE metric = ? LIMIT 4",
    "config_key": "SELECT DISTINCT run FROM config_value WHERE key = ? LIMIT 4",
    "config_source": "SELECT DISTINCT run FROM config_value WHERE source = ? LIMIT 4",
}
SET_NAME = "UPDATE OR IGNORE {table} SET {columns} WHERE id = ?"
NAME_NOW = "SELECT {columns} FROM {table} WHERE id = ?"
KEYS_WITHOUT_SOURCE = "SELECT key FROM config_value WHERE run = ? AND source IS NULL"
SOURCES = "SELECT id FROM config_source ORDER BY id LIMIT 64"
SET_SOURCE = "UPDATE config_value SET source = ? WHERE run = ? AND key = ?"

# Rows of a run that no checksum but the sum of the run's rows covers, with their names.
UNCHECKED = {
    "run_tag": "tag",
    "note": "note",
    "run_attribute": "attribute",
    "artifact_alias": "alias",
    "run_input": "input",
    "run_ingest": "number of a batch",
}
NUMBERED = ("event", "note", "run_input")
INTRUDED = (*UNCHECKED, "event", "artifact")  # tables in which a damaged key may have put a row of another run
NOT_SEALED = ("name", "group_name", "parent_run_id", "external_id", "deleted_at")


def restore_runs(draft: Draft) -> set[int]:
    """Make the rows of runs whose id and start only indexes still have. Return their row ids.

    With what nothing proves, a run whose id is lost altogether gets a new one, if its event ``start`` is sound.
    """
    known = {row[0] for row in draft.connection.all(RUN_IDS)}
    restored = set()

    def insert() -> None:
        for run, facts in draft.read_run_columns(None).items():
            run_id, start = facts.get("run_id"), facts.get("started_at")
            if run in known or not is_run_id(str(run_id)) or not is_time(start):
                continue
            if _is_near(str(run_id), str(start)):
                if draft.connection.execute(INSERT_LOST_RUN, (run, run_id, start, start)).rowcount:
                    restored.add(run)
        for (run,) in draft.connection.all(RUNS_WITHOUT_ROW) if draft.unproven else ():
            events = draft.connection.all(EVENTS_OF, (run,))
            start = next(
                (one["happened_at"] for one in events if one["kind"] == "start" and _is_sound(one)), None
            )
            if start is None:
                continue
            # The same wherever this file is salvaged.
            run_id = derive_run_id((moment(start) - EPOCH) // MILLISECOND, f"{SALVAGED} {draft.birth} {run}")
            if draft.connection.execute(INSERT_LOST_RUN, (run, run_id, start, start)).rowcount:
                restored.add(run)
                draft.findings.miss(run, "its id, in place of which it has a new one")

    draft.change(insert)
    return restored


def is_time(text: object) -> bool:
    """Whether a text is a time as the archive stores it."""
    try:
        return isinstance(text, str) and utc_text(moment(text)) == text
    except ValueError:
        return False


def _is_near(run_id: str, start: str) -> bool:
    return abs(started_of(run_id) - moment(start)) <= TOLERANCE


class RunProof:
    """Proves the runs of a draft, one after the other."""

    def __init__(
        self,
        draft: Draft,
        artifacts: ArtifactProof,
        others: OtherCopies,
        restored_runs: set[int],
        restored: set[int],
    ) -> None:
        self._draft = draft
        self._connection = draft.connection
        self._artifacts = artifacts
        self._others = others
        self._restored_runs = restored_runs
        self._restored = restored
        self._now = utc_text()
        self._running: dict[int, tuple[bool, bool, bool]] = {}
        self._indexed: dict[int, dict[str, Any]] = {}

    def settle_all(self, told: Callable[[], None]) -> None:
        """Prove every run."""
        self._settle_names()
        runs = [row[0] for row in self._connection.all(RUN_IDS)]
        doubtful = {run for run in runs if not self._sum_holds(run)}
        self._indexed = self._draft.read_run_columns(doubtful) if doubtful else {}
        for run in runs:
            self._draft.change(self._settle, run)
            told()

    def finish_all(self) -> None:
        """End the runs that were running, once the points of the journals are stored."""
        for run, (changed, proved, unproven) in self._running.items():
            self._draft.change(self._finish, run, "running", changed, proved, unproven)

    def _sum_holds(self, run: int) -> bool:
        row = self._connection.one(ONE_RUN, (run,))
        return row is not None and sum_all(self._connection, OF_RUN, run) == row["rows_sum"]

    def _settle_names(self) -> None:
        """Take a name from an index where more runs are proved by it."""
        for table, row_id, values in self._draft.alternatives:
            users = [row[0] for row in self._connection.all(USERS_OF_NAME[table], (row_id,))]
            columns = ", ".join(f"{column} = ?" for column in values)
            row = self._connection.one(NAME_NOW.format(columns=", ".join(values), table=table), (row_id,))
            if row is None:
                continue
            change = SET_NAME.format(table=table, columns=columns)

            before = sum(map(self._sum_holds, users))
            self._draft.change(self._connection.execute, change, (*values.values(), row_id))
            if sum(map(self._sum_holds, users)) <= before:
                self._draft.change(self._connection.execute, change, (*row, row_id))

    # One run

    def _settle(self, run: int) -> None:
        series = SeriesProof(self._draft, run, self._status_of(run), self._restored, self._others)
        series.prove_sums()
        proved = self._sum_holds(run) or (run not in self._restored_runs and self._mend(run))
        sealed = self._seal_holds(run)
        if not sealed and self._seal_holds_after_mending(run):
            sealed = True
        row = self._row(run)
        if not (proved or sealed) and not self._is_identified(row):
            self._leave_out(row)
            return
        known = proved or sealed or self._indexed.get(run, {}).get("status") == row["status"]
        before = row["status"] if known and run not in self._restored_runs else None
        changed = False
        if not proved:
            changed = self._settle_facts(run, sealed) or not sealed
            self._settle_rows(run)
        else:
            self._settle_checksums(run)
        self._settle_numbers(run, proved)
        changed |= self._settle_config(run, sealed or proved)
        series.settle(sealed=sealed, named=proved)
        self._artifacts.settle(run, proved=proved, now=self._now)
        changed |= series.changed or (row["checksum"] is not None and not sealed)
        unproven = series.unproven or not (proved or sealed)
        if row["status"] == RunStatus.RUNNING:
            self._running[run] = changed, proved, unproven
        else:
            self._finish(run, before, changed, proved, unproven)

    def _is_identified(self, row: Row) -> bool:
        """Whether an index or the checksum of an artifact has the same run id as the row."""
        if not is_run_id(row["run_id"]):
            return False
        if row["id"] in self._restored_runs or self._draft.unproven:
            return True  # of a restored run, two indexes agree
        if self._indexed.get(row["id"], {}).get("run_id") == row["run_id"]:
            return True
        artifacts = self._connection.all(ARTIFACTS_OF, (row["id"],))
        return any(artifact_checksum(artifact) == artifact["checksum"] for artifact in artifacts)

    def _leave_out(self, row: Row) -> None:
        """Delete a run whose id nothing proves; its rows go with those that belong to no run."""
        points = int(self._connection.value(POINTS_OF, (row["id"],)))
        self._draft.findings.others.append(
            f"a run with {count_of(points, 'point')}: nothing proves its id {row['run_id']!r}"
        )
        self._connection.execute(DELETE_RUN, (row["id"],))

    def _row(self, run: int) -> Row:
        row = self._connection.one(ONE_RUN, (run,))
        assert row is not None
        return row

    def _status_of(self, run: int) -> str | None:
        return None if run in self._restored_runs else str(self._row(run)["status"])

    def _seal_holds(self, run: int) -> bool:
        row = self._row(run)
        return row["checksum"] is not None and checksum_run(self._connection, run) == row["checksum"]

    def _seal_holds_after_mending(self, run: int) -> bool:
        """Whether the seal holds with a config that its hash proves."""
        row = self._row(run)
        if row["checksum"] is None:
            return False
        config = self._find_config(run, [row["config_hash"]])
        if config is None:
            return False
        save_config(self._connection, run, config)
        return self._seal_holds(run)

    def _find_config(self, run: int, hashes: list[str | None]) -> ExpConfig | None:
        """Return the config with one of these hashes, from this copy or another one."""
        found = find_config(self._connection, run, hashes)
        if found is not None:  # an empty one is false
            return found
        others = (self._others.find_config(one) for one in hashes if one)
        return next((one for one in others if one is not None), None)

    # Mending

    def _mend(self, run: int) -> bool:
        """Try what may be wrong in one place; return whether the sum of the run's rows holds then."""
        attempts = (self._mend_sums, self._drop_intruder, self._mend_facts, self._mend_config)
        return any(attempt(run) for attempt in attempts)

    def _mend_sums(self, run: int) -> bool:
        """Try whether one bit of the sum itself is wrong, or the seal alone."""
        row = self._row(run)
        found = sum_all(self._connection, OF_RUN, run)
        difference = abs(wrap_sum(found - row["rows_sum"]))
        if difference & (difference - 1) == 0:
            self._connection.execute(SAVE_SUM, (found, run))
            return True
        if row["checksum"] is not None:
            self._set_facts(run, {"checksum": checksum_run(self._connection, run)})
            if self._sum_holds(run):
                return True
            self._set_facts(run, {"checksum": row["checksum"]})
        return False

    def _drop_intruder(self, run: int) -> bool:
        """Delete the one row that makes the sum wrong: its key was damaged, and it is another run's."""
        surplus = wrap_sum(sum_all(self._connection, OF_RUN, run) - self._row(run)["rows_sum"])
        for table in INTRUDED:
            for row in self._connection.all(ROWS_OF.format(table=table), (run,)):
                if hash_row(table, list(_summed(row))) == surplus:
                    where = " AND ".join(f"{column} IS ?" for column in row.keys())  # noqa: SIM118
                    self._connection.execute(f"DELETE FROM {table} WHERE {where}", tuple(row))
                    return self._sum_holds(run)
        return False

    def _mend_facts(self, run: int) -> bool:
        """Take facts from indexes, one alone or all of them."""
        row = self._row(run)
        other = {name: value for name, value in self._indexed.get(run, {}).items() if row[name] != value}
        for changes in [*({name: value} for name, value in other.items()), other]:
            self._set_facts(run, changes)
            if changes and self._sum_holds(run):
                return True
            self._set_facts(run, {name: row[name] for name in changes})
        return False

    def _set_facts(self, run: int, facts: dict[str, Any]) -> None:
        for column, value in facts.items():
            self._connection.execute(SET_FACT.format(column=column), (value, run))

    def _mend_config(self, run: int) -> bool:
        """Take the config from its text or its leaves, and the sources of lost leaves from other leaves."""
        row = self._row(run)
        config = self._find_config(run, [row["config_hash"]])
        if config is None:
            return False
        save_config(self._connection, run, config)
        if self._sum_holds(run):
            return True
        keys = [row[0] for row in self._connection.all(KEYS_WITHOUT_SOURCE, (run,))]
        for source in (*(row[0] for row in self._connection.all(SOURCES)), None) if keys else ():
            self._connection.execute_many(SET_SOURCE, [(source, run, key) for key in keys])
            if self._sum_holds(run):
                return True
        return False

    # What is not proved as a whole

    def _settle_facts(self, run: int, sealed: bool) -> bool:
        """Forget the facts of a run that nothing proves. Return whether one changed that a seal covers."""
        row = self._row(run)
        facts = dict(row)
        indexed = self._indexed.get(run, {})
        agree = {name for name, value in indexed.items() if row[name] == value}
        if self._draft.unproven:
            agree = set(facts)
        for name in NOT_SEALED:
            if name not in agree and facts[name] is not None:
                facts[name] = None
                self._draft.findings.miss(run, f"its {name.replace('_', ' ')}")
        if not sealed:
            for name in ("reason", "traceback", "vcs_commit", "vcs_dirty", "ended_at"):
                facts[name] = facts[name] if name in agree else None
            facts["host"] = facts["host"] if "host" in agree else ""
            if "started_at" not in agree or not is_time(facts["started_at"]):
                facts["started_at"] = self._find_start(run, row["run_id"])
            self._forget_environment(run)
        for name in ("ended_at", "heartbeat_at", "deleted_at"):
            facts[name] = facts[name] if is_time(facts[name]) else None
        ended = facts["ended_at"]
        if not self._draft.unproven or facts["heartbeat_at"] is None:
            facts["heartbeat_at"] = ended or max(facts["started_at"], self._last_event(run))
        if not sealed and not self._draft.unproven:
            until = moment(facts["heartbeat_at"]) - moment(facts["started_at"])
            facts["duration_ms"] = max(0, until // timedelta(milliseconds=1))
        facts["ended_at"] = facts["ended_at"] or facts["heartbeat_at"]
        if row["status"] == RunStatus.RUNNING:
            facts["ended_at"] = None
        self._connection.execute(SET_FACTS, facts)
        return not sealed

    def _find_start(self, run: int, run_id: str) -> str:
        """Return the start of a run by its first event, or by its id."""
        for row in self._connection.all(EVENTS_OF, (run,)):
            if row["kind"] == "start" and _is_sound(row) and _is_near(run_id, row["happened_at"]):
                return str(row["happened_at"])
        return utc_text(started_of(run_id))

    def _last_event(self, run: int) -> str:
        times = (row["happened_at"] for row in self._connection.all(EVENTS_OF, (run,)) if _is_sound(row))
        return max(times, default="")

    def _forget_environment(self, run: int) -> None:
        if not self._draft.unproven or self._connection.one(ENVIRONMENT_OF, (run,)) is None:
            self._draft.findings.miss(run, "its environment, host and code")
            self._connection.execute(SAVE_ENVIRONMENT, (run,))

    def _settle_rows(self, run: int) -> None:
        """Delete the rows of a run that no checksum proves."""
        for table, name in UNCHECKED.items():
            if not self._draft.unproven:
                count = self._connection.execute(DELETE_ROWS.format(table=table), (run,)).rowcount
                if count:
                    self._draft.findings.miss(run, f"{count_of(count, name)} without a proof")
        count, last = 0, -1
        for row in self._connection.all(EVENTS_OF, (run,)):
            last = row["seq"]
            if not _is_sound(row):
                self._connection.execute(DELETE_NUMBER.format(table="event"), (run, row["seq"]))
            else:
                count += 1
        if last >= count or not count:  # a run has one at least, of its start
            self._draft.findings.miss(run, "some of its events" if count else "its events")

    def _settle_checksums(self, run: int) -> None:
        """Mend the checksums of events that the sum of the run's rows proves."""
        for row in self._connection.all(EVENTS_OF, (run,)):
            checksum = checksum_event(row["happened_at"], row["kind"], row["data"])
            if row["checksum"] != checksum:
                self._connection.execute(SET_CHECKSUM, (checksum, run, row["seq"]))

    def _settle_numbers(self, run: int, proved: bool) -> None:
        """Number events, notes and inputs from 0 again where a number is damaged or missing."""
        for table in NUMBERED:
            numbers = [row[0] for row in self._connection.all(NUMBERS_OF.format(table=table), (run,))]
            gaps = sorted(set(range(len(numbers))) - set(numbers))
            beyond = [number for number in numbers if not 0 <= number < len(numbers)]
            if proved and len(gaps) == 1:
                self._connection.execute(SET_NUMBER.format(table=table), (gaps[0], run, beyond[0]))
                continue
            for number, old in enumerate(numbers) if gaps else ():
                self._connection.execute(SET_NUMBER.format(table=table), (-1 - number, run, old))
            for number in range(len(numbers)) if gaps else ():
                self._connection.execute(SET_NUMBER.format(table=table), (number, run, -1 - number))

    def _settle_config(self, run: int, proved: bool) -> bool:
        """Keep the config if its hash proves it. Return whether it changed."""
        row = self._row(run)
        hashes = [row["config_hash"], self._indexed.get(run, {}).get("config_hash")]
        config = self._find_config(run, hashes)
        if config is None:
            self._draft.findings.miss(run, "its config")
            config = guess_config(self._connection, run) if self._draft.unproven else ExpConfig({})
        save_config(self._connection, run, config)
        if not proved and not self._draft.unproven:
            forget_origin(self._connection, run)
        digest, references = self._connection.one(ENVIRONMENT_OF, (run,)) or ("", "{}")
        facts = {"config_hash": config.hash(), "family": config.family(), "fingerprint": row["fingerprint"]}
        if not proved:
            facts["fingerprint"] = compute_fingerprint(config, digest, _read_map(references))
        changed = any(row[name] != value for name, value in facts.items())
        self._set_facts(run, facts)
        return changed

    # The end

    def _finish(self, run: int, before: str | None, changed: bool, proved: bool, unproven: bool) -> None:
        missing = self._draft.findings.missing_of(run)
        if changed and not missing and self._row(run)["status"] != RunStatus.RUNNING:
            # For example, a sum that was computed anew may differ in its last bit from the sealed one.
            self._draft.findings.miss(run, "how it ended")
            missing = self._draft.findings.missing_of(run)
        if self._draft.unproven and (unproven or not proved):
            self._connection.execute(INSERT_TAG, (run, UNPROVEN_TAG, self._now))
        row = self._row(run)
        ends = changed or row["status"] == RunStatus.RUNNING
        if not (ends or missing or not proved):
            return
        if ends:
            facts = dict(row)
            what = "it was running" if before == RunStatus.RUNNING and not missing else "some of it was lost"
            facts.update(status=RunStatus.INTERRUPTED, reason=f"{SALVAGED}: {what}")
            facts["ended_at"] = row["ended_at"] or row["heartbeat_at"]
            self._connection.execute(SET_FACTS, facts)
            self._connection.execute(DELETE_OWNER, (run,))
        data = {"status": before, "missing": list(missing)}
        record_event(self._connection, run, "salvage", data, at=self._now, late=True)
        if ends:
            seal_run(self._connection, run, completed=False)
        self._connection.execute(SAVE_SUM, (sum_all(self._connection, OF_RUN, run), run))

    def whole_runs(self) -> dict[str, int]:
        """Return the row ids of the runs whose seals hold and of which nothing is missing, by run id."""
        rows = ((run, self._row(run)) for (run,) in self._connection.all(RUN_IDS))
        return {
            row["run_id"]: run
            for run, row in rows
            if not self._draft.findings.missing_of(run) and not _is_salvaged(row)
        }

    def report(self, from_journals: dict[int, int]) -> Iterator[SalvagedRun]:
        """Yield what came back of each run."""
        for (run,) in self._connection.all(RUN_IDS):
            row = self._row(run)
            missing = self._draft.findings.missing_of(run)
            points = int(self._connection.value(POINTS_OF, (run,)))
            sealed = not _is_salvaged(row)
            tagged = self._connection.one(IS_UNPROVEN, (run, UNPROVEN_TAG)) is not None
            journal = from_journals.get(run, 0)
            left_out = self._draft.findings.points_left_out[run]
            yield SalvagedRun(row["run_id"], row["status"], points, sealed, missing, tagged, journal, left_out)


def _is_salvaged(row: Row) -> bool:
    """Whether a salvage ended the run."""
    return row["reason"] is not None and row["reason"].startswith(SALVAGED)


def _summed(row: Row) -> Iterator[Any]:
    """Yield the columns of a row that its hash covers."""
    for column in row.keys():  # noqa: SIM118
        if column not in ("run", "seq", "checksum", "rows_sum"):
            yield row[column]


def _is_sound(row: Row) -> bool:
    """Whether an event matches its checksum and can be read."""
    if checksum_event(row["happened_at"], row["kind"], row["data"]) != row["checksum"]:
        return False
    try:
        json.loads(row["data"])
    except (ValueError, RecursionError):
        return False
    return is_time(row["happened_at"])


def _read_map(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
