"""Archives whose rows say what exptrack never says, mostly under checksums that agree."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from exptrack.config.tree import list_leaves, sha256_text
from exptrack.database.connection import Connection
from exptrack.process import current_process
from tests.portable.hostile.kinds import FIRST, LEFT_OUT, TAKEN, edit, forge, kind, program, set_first


@kind("a run id that is a path", LEFT_OUT)
def _(path: Path) -> None:
    set_first(path, "run_id", "../../../../etc/x")


@kind("a run id that is SQL", LEFT_OUT)
def _(path: Path) -> None:
    set_first(path, "run_id", "'; DROP TABLE run; --")


@kind("a name that steers the terminal", LEFT_OUT)
def _(path: Path) -> None:
    set_first(path, "name", "\x1b]0;owned\x07\x1b[2Jloss")


@kind("a name of a megabyte", LEFT_OUT)
def _(path: Path) -> None:
    set_first(path, "name", "n" * 1_000_000)


@kind("a name that is empty", LEFT_OUT)
def _(path: Path) -> None:
    set_first(path, "name", "")


@kind("a run that is its own parent", LEFT_OUT)
def _(path: Path) -> None:
    forge(path, f"UPDATE run SET parent_run_id = run_id WHERE id = {FIRST}")


@kind("runs that are each other's parents", TAKEN)
def _(path: Path) -> None:
    forge(
        path,
        "UPDATE run SET parent_run_id = (SELECT run_id FROM run AS o WHERE o.id = 3 - run.id) WHERE id < 3",
    )


@kind("row ids at both ends of 64 bits", TAKEN)
def _(path: Path) -> None:
    tables = (
        "run_owner run_environment run_config config_value run_tag note event run_attribute run_ingest artifact"
    )
    tables += " artifact_alias run_input metric_series"
    moves = [(1, 2**63 - 1), (2, -(2**63)), (3, -1)]
    script = "".join(
        f"UPDATE run SET id = {new} WHERE id = {old};"
        + "".join(f"UPDATE {table} SET run = {new} WHERE run = {old};" for table in tables.split())
        for old, new in moves
    )
    forge(path, script)
    sum_series(path)


def sum_series(path: Path) -> None:
    """Compute the sums of all series again, which hold row ids."""
    from exptrack.metrics.store import hash_summary
    from exptrack.metrics.summary import SUMMARY_COLUMNS

    with Connection(path, "immutable") as lab:
        rows = lab.all("SELECT s.*, n.name FROM metric_series AS s JOIN metric_name AS n ON n.id = s.metric")
    with Connection(path.with_name("before.db"), "immutable") as lab:
        before = {row["id"]: row["run"] for row in lab.all("SELECT id, run FROM metric_series")}
    with program(path) as raw:
        for row in rows:
            numbers = [row[column] for column in SUMMARY_COLUMNS]
            change = hash_summary(row["id"], row["run"], row["name"], numbers) - hash_summary(
                row["id"], before[row["id"]], row["name"], numbers
            )
            total = (row["rows_sum"] + change + 2**63) % 2**64 - 2**63
            raw.execute("UPDATE metric_series SET rows_sum = ? WHERE id = ?", (total, row["id"]))


@kind("a date that is none", LEFT_OUT)
def _(path: Path) -> None:
    set_first(path, "heartbeat_at", "2026-02-30 10:00:00.000000")


@kind("a run that ends before its start", LEFT_OUT)
def _(path: Path) -> None:
    set_first(path, "ended_at", "1970-01-01 00:00:00.000000")


@kind("a JSON text of a hundred thousand levels", LEFT_OUT)
def _(path: Path) -> None:
    forge(path, "UPDATE event SET data = ? WHERE run = 1 AND seq = 0", '{"a":' * 100_000 + "1" + "}" * 100_000)


@kind("a JSON text of a million lists", LEFT_OUT)
def _(path: Path) -> None:
    forge(path, "UPDATE event SET data = ? WHERE run = 1 AND seq = 0", '{"a":[' + "[]," * 1_500_000 + "[]]}")


@kind("NaN in a JSON text", LEFT_OUT)
def _(path: Path) -> None:
    forge(path, "UPDATE artifact SET metadata = '{\"lines\":NaN}' WHERE run = 1")


@kind("a config that is a list", LEFT_OUT)
def _(path: Path) -> None:
    forge(path, "UPDATE run_config SET snapshot = '[1]' WHERE run = 1")


@kind("an infinity in a config", LEFT_OUT)
def _(path: Path) -> None:
    forge(path, "UPDATE config_value SET num = 9e999 WHERE run = 1 AND num IS NOT NULL")


@kind("a config of ten thousand keys that are one", LEFT_OUT)
def _(path: Path) -> None:
    snapshot = "{" + ",".join(['"a":1'] * 10_000) + "}"
    forge(path, "UPDATE run_config SET snapshot = ? WHERE run = 1", snapshot)
    set_first(path, "config_hash", sha256_text(snapshot))


@kind("a config that names itself a secret", TAKEN)
def _(path: Path) -> None:
    replace_config(path, {"password": "loss", "api_key": "relu"})


def replace_config(path: Path, values: dict[str, Any]) -> None:
    """Give the first run another config, with its leaves and hashes."""
    snapshot = json.dumps(values, sort_keys=True, separators=(",", ":"))
    edit(path, "DELETE FROM config_value WHERE run = 1")
    edit(path, "UPDATE run_config SET snapshot = ? WHERE run = 1", snapshot)
    for leaf in list_leaves("", values):
        edit(path, "INSERT OR IGNORE INTO config_key (key) VALUES (?)", leaf.key)
        edit(
            path,
            "INSERT INTO config_value (run, key, type, num, text)"
            " VALUES (1, (SELECT id FROM config_key WHERE key = ?), ?, ?, ?)",
            *leaf,
        )
    set_first(path, "config_hash", sha256_text(snapshot))


@kind("a run that this very process writes", TAKEN)
def _(path: Path) -> None:
    me = current_process()
    edit(
        path,
        "UPDATE run SET status = 'running', ended_at = NULL, checksum = NULL WHERE id = 1;"
        "UPDATE metric_series SET completed = 0, checksum = NULL WHERE run = 1;"
        "DELETE FROM metric_check WHERE series IN (SELECT id FROM metric_series WHERE run = 1)",
    )
    forge(path, "INSERT INTO run_owner (run, host_id, boot_id, pid, pid_started) VALUES (1, ?, ?, ?, ?)", *me)


@kind("a seal that lies", LEFT_OUT)
def _(path: Path) -> None:
    edit(path, "UPDATE run SET checksum = ? WHERE id = 1", "ab" * 32)


@kind("a sum that lies", LEFT_OUT)
def _(path: Path) -> None:
    edit(path, "UPDATE run SET rows_sum = rows_sum + 1 WHERE id = 1")


@kind("a seal of the file that lies", TAKEN)
def _(path: Path) -> None:
    edit(path, "UPDATE seal SET content = ?", "00" * 32)


@kind("an event that was changed", LEFT_OUT)
def _(path: Path) -> None:
    edit(path, "UPDATE event SET data = '{}' WHERE run = 1 AND seq = 0")


@kind("an event that is missing", LEFT_OUT)
def _(path: Path) -> None:
    forge(path, "DELETE FROM event WHERE run = 1 AND seq = 1")


@kind("a metric whose name steers the terminal", LEFT_OUT)
def _(path: Path) -> None:
    forge(path, "UPDATE metric_name SET name = char(27) || '[31m' WHERE name = 'acc'")


@kind("points that were changed", LEFT_OUT)
def _(path: Path) -> None:
    edit(path, "UPDATE metric_point SET value = value + 1 WHERE series = 1 AND step = 3")


@kind("points that are missing", LEFT_OUT)
def _(path: Path) -> None:
    edit(path, "DELETE FROM metric_point WHERE series = 1 AND step = 3")


@kind("a series of the points of no run", TAKEN)
def _(path: Path) -> None:
    edit(path, "INSERT INTO metric_point VALUES (9223372036854775807, 1, 1, 1, 1.0), (-5, 1, 1, 1, 1.0)")


@kind("a group that was changed", LEFT_OUT)
def _(path: Path) -> None:
    edit(path, "UPDATE run_group_attribute SET text = 'bob'")


@kind("a group whose name steers the terminal", LEFT_OUT)
def _(path: Path) -> None:
    forge(path, "UPDATE run_group SET name = char(27) || '[2J' WHERE name = 'empty'")


@kind("a study that was changed", LEFT_OUT)
def _(path: Path) -> None:
    edit(path, "UPDATE study SET settings = '{}'")


@kind("a study whose name is a megabyte", LEFT_OUT)
def _(path: Path) -> None:
    forge(path, "UPDATE study SET name = ?", "s" * 1_000_000)


@kind("a study whose settings are a hundred thousand levels deep", LEFT_OUT)
def _(path: Path) -> None:
    forge(path, "UPDATE study SET settings = ?", '{"a":' * 100_000 + "1" + "}" * 100_000)


@kind("a trial of a number below 0", LEFT_OUT)
def _(path: Path) -> None:
    forge(path, "UPDATE trial SET number = -1 WHERE number = 0")


@kind("a trial whose value is infinite", TAKEN)
def _(path: Path) -> None:
    forge(path, "UPDATE trial_value SET value = 9e999 WHERE id = 1")


@kind("a study whose id is none", LEFT_OUT)
def _(path: Path) -> None:
    forge(path, "UPDATE study SET uid = '../x'")
