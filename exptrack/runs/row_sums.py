"""Which rows the sums of runs, groups, trials and studies cover, and how a change of a row changes its sum.

Invariants:

- Every statement that changes such a row runs beside a call of this file, in the same transaction.
- The kind of a row is the name of its table. Its columns are all of the table, in their order, but for the
  reference to the owner, `seq`, `checksum` and `rows_sum`. The other kinds tell of rows in several tables.
"""

from __future__ import annotations

from contextlib import AbstractContextManager

from exptrack.config.store import CONFIG_KIND, VALUES_KIND
from exptrack.database.connection import Connection
from exptrack.database.row_sums import (
    ADD_TO_RUN,
    METRIC_KIND,
    SEAL_KIND,
    Rows,
    changing_rows,
    hash_row,
    sum_rows,
    wrap_sum,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


ADD_TO_TRIAL = "UPDATE trial SET rows_sum = add_wrapping(rows_sum, ?) WHERE id = ?"
ADD_TO_STUDY = "UPDATE study SET rows_sum = add_wrapping(rows_sum, ?) WHERE id = ?"

FACTS_SUMMED = """
SELECT id, run_id, status, reason, traceback, name, group_name, parent_run_id, external_id, started_at,
       ended_at, heartbeat_at, duration_ms, config_hash, family, fingerprint, host, vcs_commit, vcs_dirty,
       deleted_at
FROM run WHERE id = ?
"""
OWNER_SUMMED = "SELECT host_id, boot_id, pid, pid_started, lease_s FROM run_owner WHERE run = ?"
ENVIRONMENT_SUMMED = """
SELECT python, platform, command, script, vcs_branch, vcs_remote, code_digest, system, variables,
       data_references
FROM run_environment WHERE run = ?
"""
CONFIG_SUMMED = "SELECT format, snapshot, source_files, overrides FROM run_config WHERE run = ?"
LEAVES_SUMMED = """
SELECT k.key, v.type, v.num, v.text, s.kind, s.name, s.line
FROM config_value AS v
JOIN config_key AS k ON k.id = v.key
LEFT JOIN config_source AS s ON s.id = v.source
WHERE v.run = ? ORDER BY k.key
"""
TAGS_SUMMED = "SELECT tag, added_at FROM run_tag WHERE run = ?"
NOTES_SUMMED = "SELECT written_at, text FROM note WHERE run = ?"
EVENTS_SUMMED = "SELECT happened_at, kind, data, late FROM event WHERE run = ?"
INPUTS_SUMMED = "SELECT hash, from_run_id, name, version, used_at FROM run_input WHERE run = ?"
ARTIFACTS_SUMMED = """
SELECT id, name, version, kind, blob, hash, is_text, media_type, step, metadata, description, created_at,
       removed_at
FROM artifact WHERE run = ?
"""
ATTRIBUTES_SUMMED = "SELECT key, type, num, text, set_at FROM run_attribute WHERE run = ?"
ALIASES_SUMMED = "SELECT name, alias, version, set_at FROM artifact_alias WHERE run = ?"
INGESTS_SUMMED = "SELECT source, sequence, stored_at FROM run_ingest WHERE run = ?"
SEAL_SUMMED = "SELECT checksum FROM run WHERE id = ? AND checksum IS NOT NULL"
METRICS_SUMMED = """
SELECT n.name FROM metric_series AS s JOIN metric_name AS n ON n.id = s.metric WHERE s.run = ?
"""
TAG_SUMMED = f"{TAGS_SUMMED} AND tag = ?"
ATTRIBUTE_SUMMED = f"{ATTRIBUTES_SUMMED} AND key = ?"
ALIAS_SUMMED = f"{ALIASES_SUMMED} AND name = ? AND alias = ?"
INGEST_SUMMED = f"{INGESTS_SUMMED} AND source = ?"
ARTIFACT_SUMMED = f"{ARTIFACTS_SUMMED} AND id = ?"

TRIAL_SUMMED = """
SELECT id, uid, number, state, run_id, started_at, ended_at, duration_ms, heartbeat_at, reason, owner
FROM trial WHERE id = ?
"""
PARAMS_SUMMED = """
SELECT position, name, value, type, num, text, distribution FROM trial_param WHERE trial = ?
"""
VALUES_SUMMED = "SELECT id, position, value FROM trial_value WHERE trial = ?"
REPORTS_SUMMED = "SELECT id, step, value FROM trial_report WHERE trial = ?"
TRIAL_ATTRIBUTES_SUMMED = "SELECT id, scope, name, value FROM trial_attribute WHERE trial = ?"
PARAM_SUMMED = f"{PARAMS_SUMMED} AND name = ?"
REPORT_SUMMED = f"{REPORTS_SUMMED} AND step = ?"
TRIAL_ATTRIBUTE_SUMMED = f"{TRIAL_ATTRIBUTES_SUMMED} AND scope = ? AND name = ?"

STUDY_SUMMED = "SELECT id, uid, name, created_at, settings FROM study WHERE id = ?"
OBJECTIVES_SUMMED = "SELECT position, direction, metric FROM study_objective WHERE study = ?"
STUDY_ATTRIBUTES_SUMMED = "SELECT id, scope, name, value FROM study_attribute WHERE study = ?"
NUMBERS_SUMMED = "SELECT number FROM trial WHERE study = ?"
STUDY_ATTRIBUTE_SUMMED = f"{STUDY_ATTRIBUTES_SUMMED} AND scope = ? AND name = ?"

ADD_TO_GROUP = "UPDATE run_group SET rows_sum = add_wrapping(rows_sum, ?) WHERE id = ?"
GROUP_SUMMED = "SELECT id, name, created_at, changed_at, deleted_at FROM run_group WHERE id = ?"
GROUP_ATTRIBUTES_SUMMED = "SELECT key, type, num, text, set_at FROM run_group_attribute WHERE run_group = ?"
GROUP_ATTRIBUTE_SUMMED = f"{GROUP_ATTRIBUTES_SUMMED} AND key = ?"

SEAL = Rows(SEAL_KIND, SEAL_SUMMED)
RUN_KIND, OWNER_KIND, ENVIRONMENT_KIND, TAG_KIND = "run", "run_owner", "run_environment", "run_tag"
_RUN, _OWNER = Rows(RUN_KIND, FACTS_SUMMED), Rows(OWNER_KIND, OWNER_SUMMED)
OF_RUN = (
    _RUN,
    Rows(ENVIRONMENT_KIND, ENVIRONMENT_SUMMED),
    Rows(CONFIG_KIND, CONFIG_SUMMED),
    Rows(VALUES_KIND, LEAVES_SUMMED, together=True),
    _OWNER,
    Rows(TAG_KIND, TAGS_SUMMED),
    Rows("note", NOTES_SUMMED),
    Rows("event", EVENTS_SUMMED),
    Rows("run_input", INPUTS_SUMMED),
    Rows("artifact", ARTIFACTS_SUMMED),
    Rows("run_attribute", ATTRIBUTES_SUMMED),
    Rows("artifact_alias", ALIASES_SUMMED),
    Rows("run_ingest", INGESTS_SUMMED),
    Rows(METRIC_KIND, METRICS_SUMMED),
    SEAL,
)
OF_TRIAL = (
    Rows("trial", TRIAL_SUMMED),
    Rows("trial_param", PARAMS_SUMMED),
    Rows("trial_value", VALUES_SUMMED),
    Rows("trial_report", REPORTS_SUMMED),
    Rows("trial_attribute", TRIAL_ATTRIBUTES_SUMMED),
)
OF_STUDY = (
    Rows("study", STUDY_SUMMED),
    Rows("study_objective", OBJECTIVES_SUMMED),
    Rows("study_attribute", STUDY_ATTRIBUTES_SUMMED),
    Rows("number", NUMBERS_SUMMED),
)
OF_GROUP = (Rows("run_group", GROUP_SUMMED), Rows("run_group_attribute", GROUP_ATTRIBUTES_SUMMED))
_ENVIRONMENT, _CONFIG = OF_RUN[1], OF_RUN[2:4]
_ARTIFACT = Rows("artifact", ARTIFACT_SUMMED)


def sum_all(connection: Connection, parts: tuple[Rows, ...], owner: int) -> int:
    """Return the sum of a run, trial or study, computed from its rows."""
    return wrap_sum(sum(sum_rows(connection, rows, (owner,)) for rows in parts))


# Runs


def add_to_run(connection: Connection, run: int, change: int) -> None:
    """Add hashes of new rows, as `hash_row` computes them, to the sum of a run. Call inside a transaction."""
    connection.execute(ADD_TO_RUN, (wrap_sum(change), run))


def sum_config(connection: Connection, run: int) -> int:
    """Return the sum of a run's config and its sources."""
    return sum(sum_rows(connection, rows, (run,)) for rows in _CONFIG)


def changing_run(connection: Connection, run: int) -> AbstractContextManager[None]:
    """Change the row of a run, or its owner, in the block."""
    return changing_rows(connection, ADD_TO_RUN, run, (_RUN, _OWNER), (run,))


def changing_origin(connection: Connection, run: int) -> AbstractContextManager[None]:
    """Change the row of a run and its environment in the block."""
    return changing_rows(connection, ADD_TO_RUN, run, (_RUN, _ENVIRONMENT), (run,))


def reopening_run(connection: Connection, run: int) -> AbstractContextManager[None]:
    """Change the row of a run, its owner and its seal in the block."""
    return changing_rows(connection, ADD_TO_RUN, run, (_RUN, _OWNER, SEAL), (run,))


def removing_tag(connection: Connection, run: int, tag: str) -> AbstractContextManager[None]:
    """Remove a tag in the block."""
    return changing_rows(connection, ADD_TO_RUN, run, (Rows(TAG_KIND, TAG_SUMMED),), (run, tag))


def sum_artifact(connection: Connection, run: int, artifact: int) -> int:
    """Return the hash of the row of an artifact."""
    return sum_rows(connection, _ARTIFACT, (run, artifact))


def changing_artifact(connection: Connection, run: int, artifact: int) -> AbstractContextManager[None]:
    """Change the row of an artifact in the block."""
    return changing_rows(connection, ADD_TO_RUN, run, (_ARTIFACT,), (run, artifact))


def changing_attribute(connection: Connection, run: int, key: str) -> AbstractContextManager[None]:
    """Set or remove an attribute of a run in the block."""
    return changing_rows(connection, ADD_TO_RUN, run, (Rows("run_attribute", ATTRIBUTE_SUMMED),), (run, key))


def changing_alias(connection: Connection, run: int, name: str, alias: str) -> AbstractContextManager[None]:
    """Set or remove an alias of an artifact in the block."""
    rows = Rows("artifact_alias", ALIAS_SUMMED)
    return changing_rows(connection, ADD_TO_RUN, run, (rows,), (run, name, alias))


def changing_ingest(connection: Connection, run: int, source: str) -> AbstractContextManager[None]:
    """Note how far the rows of a source are stored, in the block."""
    return changing_rows(connection, ADD_TO_RUN, run, (Rows("run_ingest", INGEST_SUMMED),), (run, source))


# Groups


def begin_group_sum(connection: Connection, group: int) -> None:
    """Sum up a group that was only just inserted. Call inside the transaction."""
    connection.execute(ADD_TO_GROUP, (sum_all(connection, OF_GROUP, group), group))


def changing_group(connection: Connection, group: int) -> AbstractContextManager[None]:
    """Change the row of a group in the block."""
    return changing_rows(connection, ADD_TO_GROUP, group, (OF_GROUP[0],), (group,))


def changing_group_attribute(connection: Connection, group: int, key: str) -> AbstractContextManager[None]:
    """Set or remove an attribute of a group in the block."""
    rows = Rows("run_group_attribute", GROUP_ATTRIBUTE_SUMMED)
    return changing_rows(connection, ADD_TO_GROUP, group, (rows,), (group, key))


# Trials and studies


def changing_trial(connection: Connection, trial: int) -> AbstractContextManager[None]:
    """Change the row of a trial in the block."""
    return changing_rows(connection, ADD_TO_TRIAL, trial, (OF_TRIAL[0],), (trial,))


def changing_param(connection: Connection, trial: int, name: str) -> AbstractContextManager[None]:
    """Set a parameter of a trial in the block."""
    return changing_rows(connection, ADD_TO_TRIAL, trial, (Rows("trial_param", PARAM_SUMMED),), (trial, name))


def changing_values(connection: Connection, trial: int) -> AbstractContextManager[None]:
    """Replace the values of a trial in the block."""
    return changing_rows(connection, ADD_TO_TRIAL, trial, (OF_TRIAL[2],), (trial,))


def changing_report(connection: Connection, trial: int, step: int) -> AbstractContextManager[None]:
    """Report a value of a trial in the block."""
    return changing_rows(connection, ADD_TO_TRIAL, trial, (Rows("trial_report", REPORT_SUMMED),), (trial, step))


def changing_trial_attribute(
    connection: Connection, trial: int, scope: str, name: str
) -> AbstractContextManager[None]:
    """Set an attribute of a trial in the block."""
    rows = Rows("trial_attribute", TRIAL_ATTRIBUTE_SUMMED)
    return changing_rows(connection, ADD_TO_TRIAL, trial, (rows,), (trial, scope, name))


def begin_trial_sum(connection: Connection, study: int, trial: int, number: int) -> None:
    """Sum up a trial that was only just inserted, with everything of it. Call inside the transaction."""
    connection.execute(ADD_TO_TRIAL, (sum_all(connection, OF_TRIAL, trial), trial))
    connection.execute(ADD_TO_STUDY, (hash_row("number", (number,)), study))


def begin_study_sum(connection: Connection, study: int) -> None:
    """Sum up a study that was only just inserted. Call inside the transaction."""
    connection.execute(ADD_TO_STUDY, (sum_all(connection, OF_STUDY, study), study))


def changing_study(connection: Connection, study: int) -> AbstractContextManager[None]:
    """Change the row of a study in the block."""
    return changing_rows(connection, ADD_TO_STUDY, study, (OF_STUDY[0],), (study,))


def changing_objectives(connection: Connection, study: int) -> AbstractContextManager[None]:
    """Change the objectives of a study in the block."""
    return changing_rows(connection, ADD_TO_STUDY, study, (OF_STUDY[1],), (study,))


def changing_study_attribute(
    connection: Connection, study: int, scope: str, name: Any
) -> AbstractContextManager[None]:
    """Set an attribute of a study in the block."""
    rows = Rows("study_attribute", STUDY_ATTRIBUTE_SUMMED)
    return changing_rows(connection, ADD_TO_STUDY, study, (rows,), (study, scope, name))
