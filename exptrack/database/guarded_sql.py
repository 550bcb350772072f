"""Guarded sql."""

from __future__ import annotations

import sqlite3

SAFE_PRAGMAS = frozenset({"application_id", "user_version", "page_count", "page_size"})
SAFE_FUNCTIONS = frozenset(
    (
        "abs acos asin atan atan2 avg ceil ceiling changes char coalesce concat concat_ws cos count cume_dist "
        "date datetime degrees dense_rank exp first_value floor format glob group_concat hex ifnull iif instr "
        "json json_array json_array_length json_each json_extract json_group_array json_group_object "
        "json_object json_quote json_tree json_type json_valid julianday lag last_value lead length like "
        "likely ln log log10 log2 lower ltrim max median min mod nth_value ntile nullif octet_length "
        "percent_rank percentile pi pow power printf quote radians random rank replace round row_number rtrim "
        "sign sin sqrt sqlite_version strftime string_agg substr substring sum tan time timediff total trim "
        "trunc typeof unicode unixepoch unlikely upper zeroblob -> ->> "
    ).split()
)
ACTION_NAMES = {
    sqlite3.SQLITE_INSERT: "INSERT",
    sqlite3.SQLITE_UPDATE: "UPDATE",
    sqlite3.SQLITE_DELETE: "DELETE",
    sqlite3.SQLITE_ATTACH: "ATTACH",
    sqlite3.SQLITE_DETACH: "DETACH",
    sqlite3.SQLITE_PRAGMA: "PRAGMA",
    sqlite3.SQLITE_TRANSACTION: "a transaction statement",
    sqlite3.SQLITE_CREATE_TABLE: "CREATE TABLE",
    sqlite3.SQLITE_CREATE_VIEW: "CREATE VIEW",
    sqlite3.SQLITE_CREATE_TEMP_TABLE: "CREATE TEMP TABLE",
    sqlite3.SQLITE_DROP_TABLE: "DROP TABLE",
    sqlite3.SQLITE_DROP_VIEW: "DROP VIEW",
}
