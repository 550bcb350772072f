"""SQL of what runs hold in their fields, for statements in which the run's row is called r."""

from __future__ import annotations

from exptrack.named_tuples import NamedTuple
from exptrack.query.conditions import DATA
from exptrack.query.run_sql import TRIAL_VALUES
from exptrack.runs.data import DATA_WORDS

# The columns have no table name, so that they belong to the innermost metric_series.
METRIC_VALUES = {
    "last": "last_value",
    "min": "min_value",
    "max": "max_value",
    "first": "first_value",
    "mean": "value_sum / NULLIF(count - nan_count, 0)",
    **{name: name for name in "count nan_count last_step first_step min_step max_step".split()},
}
# Each of these values has one index for each state of a series: completed, ended otherwise, live.
INDEXED_VALUES = ("last", "min", "max")
STATES = (
    "{s}.completed = 1",
    "{s}.completed = 0 AND {s}.checksum IS NOT NULL",
    "{s}.completed = 0 AND {s}.checksum IS NULL",
)

FACT_VALUES = {
    "id": "r.run_id",
    "name": "r.name",
    "group": "r.group_name",
    "parent": "r.parent_run_id",
    "external_id": "r.external_id",
    "reason": "r.reason",
    "host": "r.host",
    "commit": "r.vcs_commit",
    "config_hash": "r.config_hash",
    "family": "r.family",
    "fingerprint": "r.fingerprint",
    "branch": "(SELECT e.vcs_branch FROM run_environment AS e WHERE e.run = r.id)",
    "script": "(SELECT e.script FROM run_environment AS e WHERE e.run = r.id)",
    "python": "(SELECT e.python FROM run_environment AS e WHERE e.run = r.id)",
    "started": "r.started_at",
    "ended": "r.ended_at",
    "heartbeat": "r.heartbeat_at",
    "duration": "r.duration_ms / 1000.0",
    "dirty": "r.vcs_dirty",
    "has_nan": "EXISTS (SELECT 1 FROM metric_series AS s WHERE s.run = r.id AND s.nan_count > 0)",
    "status": "r.status",
    **TRIAL_VALUES,
}


class WordTable(NamedTuple):
    """A table with a row for each word of a run: `source` calls it x, and x.run is its run.

    Only rows that satisfy `condition` count, if there is one. A word may be compared in several forms; `shown`
    is the one that is read, if it is not `word`.
    """

    source: str
    word: str
    condition: str = ""
    shown: str = ""

    @property
    def read(self) -> str:
        """Return the expression of the word that is read."""
        return self.shown or self.word

    def where(self, test: str) -> str:
        """Return the WHERE clause for the rows that count and pass a test."""
        return f"{self.condition} AND {test}" if self.condition else test


# Maps of data by name, called x, and the words of each.
_DATA = f"{{maps}} AS x, json_each(x.data_references) AS j, json_each(json_array({DATA_WORDS})) AS w"
_DATA_WORD = "w.value"
_NOT_EMPTY = "length(x.data_references) > 2"
# Runs share their data, so each map is taken apart once. For every run again, that takes 13 times as long.
_MAPS = f"(SELECT DISTINCT x.data_references FROM run_environment AS x WHERE {_NOT_EMPTY})"
RUNS_OF_MAPS = f"""
SELECT y.run AS run FROM run_environment AS y
WHERE y.data_references IN (SELECT x.data_references FROM {_DATA.format(maps=_MAPS)} WHERE {{test}})
"""
# Both ends of a word that a map has are in its text, unless the text has escapes: what stands before the first
# equals sign, and what stands behind the last one.
MAY_HOLD = r"""
(instr(x.data_references, '\') OR (instr(x.data_references, ?) AND instr(x.data_references, ?)))
"""
# Facts of which a run may have several words.
SETS = {
    "tag": WordTable("run_tag AS x", "x.tag"),
    "note": WordTable("note AS x", "x.text"),
    "artifact": WordTable("artifact AS x", "x.name", "x.blob IS NOT NULL"),
    DATA: WordTable(_DATA.format(maps="run_environment"), _DATA_WORD, _NOT_EMPTY, "j.key"),
}
