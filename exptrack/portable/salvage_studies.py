"""Prove the groups, studies, trials and page views of a draft by the sums of their rows.

Invariants: the trials of a study are numbered without a gap. So a trial that cannot be proved leaves a failed
one in its place, without parameters and values. A trial that was running has failed.
"""

from __future__ import annotations

from collections.abc import Callable

from exptrack.database.connection import Row
from exptrack.portable.merge_page_views import find_row_problems
from exptrack.portable.salvage_intake import Draft
from exptrack.portable.salvage_report import count_of
from exptrack.portable.salvage_runs import SALVAGED, is_time
from exptrack.portable.stranger_values import is_run_id
from exptrack.records import TrialState
from exptrack.runs.identity import make_run_id, started_of
from exptrack.runs.row_sums import OF_GROUP, OF_STUDY, OF_TRIAL, sum_all
from exptrack.runs.store import begin_group
from exptrack.times import utc_text

GROUPS = "SELECT id, name, created_at, changed_at, deleted_at, rows_sum FROM run_group"
PAGE_VIEWS = "SELECT name, path, changed_at, deleted_at, checksum FROM page_view"
DELETE_PAGE_VIEW = "DELETE FROM page_view WHERE name = ?"
DELETE_GROUP = "DELETE FROM run_group WHERE id = ?"
GROUPS_WITHOUT_ROW = """
SELECT r.group_name AS name, min(r.started_at) AS at FROM run AS r
WHERE r.group_name IS NOT NULL AND NOT EXISTS (SELECT 1 FROM run_group AS g WHERE g.name = r.group_name)
GROUP BY r.group_name
"""
STUDIES = "SELECT * FROM study ORDER BY id"
INSERT_STUDY = "INSERT OR IGNORE INTO study (id, uid, name, created_at, settings) VALUES (?, ?, ?, ?, '{}')"
SET_STUDY = "UPDATE study SET created_at = ?, settings = ? WHERE id = ?"
DELETE_STUDY = "DELETE FROM study WHERE id = ?"
DELETE_STUDY_ATTRIBUTES = "DELETE FROM study_attribute WHERE study = ?"
FORGET_METRICS = "UPDATE study_objective SET metric = NULL WHERE study = ?"
POSITIONS_OF = "SELECT position FROM study_objective WHERE study = ? ORDER BY position"
SAVE_STUDY_SUM = "UPDATE study SET rows_sum = ? WHERE id = ?"
TRIALS_OF = "SELECT * FROM trial WHERE study = ? ORDER BY number"
COUNT_TRIALS = "SELECT count(*) FROM trial WHERE study = ?"
DELETE_TRIAL = "DELETE FROM trial WHERE id = ?"
DELETE_OF_TRIAL = "DELETE FROM {table} WHERE trial = ?"
TRIAL_TABLES = ("trial_param", "trial_value", "trial_report", "trial_attribute")
INSERT_TRIAL = """
INSERT INTO trial (uid, study, number, state, ended_at, reason) VALUES (?, ?, ?, 'fail', ?, ?)
"""
FAIL_TRIAL = """
UPDATE trial SET state = 'fail', reason = ?, ended_at = coalesce(heartbeat_at, started_at, ?), owner = NULL
WHERE id = ?
"""
SAVE_TRIAL_SUM = "UPDATE trial SET rows_sum = ? WHERE id = ?"
LOST_REASON = f"{SALVAGED}: its rows were lost"
RUNNING_REASON = f"{SALVAGED}: it was running"


def settle_groups(draft: Draft) -> None:
    """Keep the groups whose sums hold. Groups that runs name are made again."""
    connection = draft.connection

    def settle() -> None:
        for row in connection.all(GROUPS):
            if sum_all(connection, OF_GROUP, row["id"]) != row["rows_sum"]:
                draft.findings.others.append(f"attributes and times of the group {row['name']!r}")
                connection.execute(DELETE_GROUP, (row["id"],))
        for name, at in connection.all(GROUPS_WITHOUT_ROW):
            begin_group(connection, name, at)

    draft.change(settle)


def settle_page_views(draft: Draft) -> None:
    """Keep the named views of the page whose checksums hold."""
    connection = draft.connection

    def settle() -> None:
        for row in connection.all(PAGE_VIEWS):
            for problem in find_row_problems(*row):
                draft.findings.others.append(f"the page view {row['name']!r}: {problem}")
                connection.execute(DELETE_PAGE_VIEW, (row["name"],))

    draft.change(settle)


class StudyProof:
    """Proves the studies of a draft, one after the other."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._connection = draft.connection
        self._now = utc_text()
        self._lost: set[int] = set()  # numbers of the trials of the study at hand
        self._uids = draft.read_others("study", "sqlite_autoindex_study_1")
        self._names = draft.read_others("study", "sqlite_autoindex_study_2")

    def settle_all(self, told: Callable[[], None]) -> None:
        """Prove every study and its trials."""
        self._draft.change(self._restore)
        for row in self._connection.all(STUDIES):
            self._draft.change(self._settle, row)
            told()

    def _restore(self) -> None:
        """Make the rows of studies of which indexes still have uid and name."""
        for study, uid in self._uids.items():
            name = self._names.get(study)
            if is_run_id(uid) and name is not None:
                self._connection.execute(INSERT_STUDY, (study, uid, name, utc_text(started_of(uid))))

    def _settle(self, row: Row) -> None:
        study, name = row["id"], row["name"]
        proved = sum_all(self._connection, OF_STUDY, study) == row["rows_sum"]
        if not proved:
            # Where an index has another uid or name, one of the two is damaged.
            doubtful = {self._uids.get(study, row["uid"]), row["uid"]}, {self._names.get(study, name), name}
            positions = [one[0] for one in self._connection.all(POSITIONS_OF, (study,))]
            wrong = any(len(one) > 1 for one in doubtful) or not is_run_id(row["uid"])
            if wrong or positions != [*range(max(1, len(positions)))]:
                trials = count_of(self._connection.value(COUNT_TRIALS, (study,)), "trial")
                self._miss(row["uid"], f"the study {name!r} with {trials}: its name or its objectives are lost")
                self._connection.execute(DELETE_STUDY, (study,))
                return
            if not self._draft.unproven:
                self._miss(row["uid"], f"settings and attributes of the study {name!r}")
                self._connection.execute(SET_STUDY, (utc_text(started_of(row["uid"])), "{}", study))
                self._connection.execute(DELETE_STUDY_ATTRIBUTES, (study,))
                self._connection.execute(FORGET_METRICS, (study,))
        last_uid, number = row["uid"], 0
        self._lost = set()
        for trial in self._connection.all(TRIALS_OF, (study,)):
            if not self._settle_trial(trial, name):
                continue
            while number < trial["number"]:
                last_uid = self._fill_gap(study, number, last_uid)
                self._lost.add(number)
                number += 1
            last_uid, number = trial["uid"], number + 1
        for one in sorted(self._lost):
            self._miss(row["uid"], f"the trial {one} of the study {name!r}")
        self._connection.execute(SAVE_STUDY_SUM, (sum_all(self._connection, OF_STUDY, study), study))

    def _settle_trial(self, trial: Row, study: str) -> bool:
        """Keep a trial whose sum holds; return whether it does."""
        proved = sum_all(self._connection, OF_TRIAL, trial["id"]) == trial["rows_sum"]
        if not is_run_id(trial["uid"]) or not (proved or (self._draft.unproven and self._is_plausible(trial))):
            self._lost.add(trial["number"])
            for table in TRIAL_TABLES:
                self._connection.execute(DELETE_OF_TRIAL.format(table=table), (trial["id"],))
            self._connection.execute(DELETE_TRIAL, (trial["id"],))
            return False
        if trial["state"] == TrialState.RUNNING:
            self._connection.execute(FAIL_TRIAL, (RUNNING_REASON, self._now, trial["id"]))
        self._connection.execute(
            SAVE_TRIAL_SUM, (sum_all(self._connection, OF_TRIAL, trial["id"]), trial["id"])
        )
        return True

    def _is_plausible(self, trial: Row) -> bool:
        times = (trial[column] for column in ("started_at", "ended_at", "heartbeat_at"))
        return trial["state"] == TrialState.WAITING and all(one is None or is_time(one) for one in times)

    def _fill_gap(self, study: int, number: int, after: str) -> str:
        """Put a failed trial in the place of one that is lost."""
        milliseconds = (started_of(after) - started_of("0" * len(after))).total_seconds() * 1000
        uid = make_run_id(round(milliseconds) + 1)
        at = utc_text(started_of(uid))
        trial = self._connection.execute(INSERT_TRIAL, (uid, study, number, at, LOST_REASON)).lastrowid
        assert trial is not None
        self._connection.execute(SAVE_TRIAL_SUM, (sum_all(self._connection, OF_TRIAL, trial), trial))
        return uid

    def _miss(self, uid: str, what: str) -> None:
        self._draft.findings.of_study.setdefault(uid, []).append(what)
