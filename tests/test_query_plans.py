"""No statement that the library can emit reads a whole table, but where there is a reason to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from benchmarks.make_archive import make_records
from exptrack import Archive, RecordedRun
from exptrack.query.compiler import Fragment
from exptrack.query.ranking import BEST
from exptrack.query.run_query import RunQuery
from exptrack.query.selection import Found, Selection

MODULES = (
    "artifacts blobs drain events frames lineage metriclog metrics optunastorage query recording run selection"
    " series snapshots studies studyresults sweep sweeprunner trial"
).split()

# Constants that read a whole table or index, and why.
ALLOWED = {
    "artifacts.STORAGE": "the storage of all runs is the question; it reads the artifacts, not the runs",
    "blobs.UNUSED_BLOBS": "collecting everything is the question",
    "blobs.UNUSED_CHUNKS": "collecting everything is the question",
    "blobs.DELETE_UNUSED_CHUNKS": "collecting everything is the question",
    "blobs.MISSING": "proving everything is the question",
    "blobs.HOLDS": "a row for each intake under way",
    "drain.KNOWN_JOURNALS": "a row for each process that logs",
    "optunastorage.ALL_STUDIES": "a row for each study is the question",
    "query.METRIC_NAMES": "a row for each name, up to a limit, to find what was meant",
    "query.OWNERS": "a row for each live run",
    "selection.SOME_KEYS": "a row for each key, up to a limit, to find what was meant",
    "selection.SOME_METRICS": "a row for each name, up to a limit, to find what was meant",
    "studies.SELECT_STUDIES": "every study is the question",
    "studies.STUDY_NAMES": "the newest names, up to a limit, to find what was meant",
    "selection.LAST_RUN": "SQLite reads one end of the table for max()",
    "metrics.LAST_SERIES": "SQLite reads one end of the table for max()",
}
# Steps of a plan that read no table, or one of a row for each study: its trials are sought study by study.
HARMLESS = re.compile(
    r"SCAN (CONSTANT ROW|\d+ CONSTANT ROWS?|\S+ VIRTUAL TABLE .*|\(subquery-\d+\)|\(join-\d+\)|d"
    r"|y USING COVERING INDEX sqlite_autoindex_study_1|y)$"
)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    """Runs of all fates, one of them live, with artifacts and lineage."""
    with Archive(tmp_path_factory.mktemp("plans") / "lab.db") as archive:
        archive.record_runs(make_records(120))
        with archive.start_run({"lr": 0.1}) as run:
            run.artifacts.register_data("weights", bytes(1000))
        live = archive.start_run({"lr": 0.2}, tags=["live"])
        live.use_artifact("weights")
        live.log({"val_acc": 0.5})
        live.flush()
        with archive._connection.transaction():
            archive._connection.execute(
                "INSERT INTO study (name, created_at, settings) VALUES ('digits', '2026-01-01 00:00:00', '{}')"
            )
            archive._connection.execute(
                """
                INSERT INTO trial (study, number, state, run)
                SELECT 1, id, CASE WHEN id % 3 THEN 'complete' ELSE 'pruned' END, id FROM run WHERE id < 40
                """
            )
        yield archive
        live.complete()


def scans(archive: Archive, sql: str, values: Any) -> list[str]:
    """The steps of a plan that read a table or an index from one end to the other."""
    steps = [row[3] for row in archive._connection.all(f"EXPLAIN QUERY PLAN {sql}", values)]
    return [step for step in steps if step.startswith("SCAN") and not HARMLESS.match(step)]


def constants() -> dict[str, str]:
    found = {}
    for module in MODULES:
        for name, value in vars(import_module(f"exptrack.{module}")).items():
            if name.isupper() and not name.startswith("_") and isinstance(value, str):
                # Fragments that others are made of begin like statements.
                if not name.endswith("_COLUMNS") and re.match(
                    r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\b", value
                ):
                    found[f"{module}.{name}"] = value
    return found


def dummies(sql: str) -> Any:
    names = set(re.findall(r"(?<!['\w:]):(\w+)", sql))
    return dict.fromkeys(names, 1) if names else (1,) * sql.count("?")


@pytest.mark.parametrize("name", constants())
def test_no_constant_reads_a_whole_table(filled: Archive, name: str) -> None:
    sql = constants()[name].replace("{rows}", "(" + ", ".join("?" * (18 if "SERIES" in name else 5)) + ")")
    # A list of numbers stands where a null would mean: all.
    found = scans(filled, sql, dummies(sql))
    assert found == [] or name in ALLOWED, (name, found)


def test_what_is_allowed_to_is_still_there() -> None:
    assert set(ALLOWED) <= set(constants())


@pytest.mark.parametrize("key", BEST, ids=map("-".join, BEST))
def test_ranking_reads_an_index(filled: Archive, key: tuple[str, str]) -> None:
    ranking = BEST[key].format(source="metric_series AS s", test="1")
    assert scans(filled, ranking, ("val_acc", 10)) == []


# Filters whose conditions an index leads to.
SELECTIVE = [
    "config.lr < 2e-5",
    "config.lr = 0.1",
    "config.lr in (0.1, 0.2)",
    "config.optimizer = 'adam'",
    "config.optimizer > 'sg'",
    "config.data.shuffle = true",
    "config.data.crop = [32, 32]",
    "config.seed = 9007199254740993",
    "metrics.val_acc > 0.9",
    "metrics.val_acc.max >= 0.9",
    "metrics.loss.min < 0.1",
    "tag = 'live'",
    "artifact = 'weights'",
    "status = failed",
    "name = 'x'",
    "group = 'sweep-0'",
    "id = 'x'",
    "started > -7d",
    "fingerprint = 'x' and not tag = 'paper'",
    "family = 'x' or config_hash = 'x' or tag = 'live'",
    "study = 'digits'",
    "study > 'd'",
    "trial.number = 3",
    "trial.number <= 3 and trial.state = complete",
    "trial.state in (pruned, fail)",
    "status = pruned",
    "status in (failed, pruned)",
    "(config.lr < 2e-5 or status = running) and metrics.acc.mean > 0.1 and note is null",
]
# And those that have to be tested run by run.
UNLED = [
    "",
    "not tag = 'paper'",
    "config.optimizer like 'ad%'",
    "config.lr is null",
    "exists metrics.loss",
    "metrics.loss.mean < 1",
    "duration > 1h",
    "host = 'node01'",
    "branch = 'main' or script = 'train.py'",
    "status != failed",
    "not status = failed and parent is null",
    "commit like '0%'",
    "study is null",
    "study like 'd%'",
    "trial.state != pruned",
    "status != pruned",
    "not trial.number > 3",
]
ORDERS = ["-started", "started", "id", "-metrics.val_acc.max", "metrics.loss"]
UNINDEXED_ORDERS = ["config.lr", "-duration", "name", "metrics.val_acc.mean", "tag", "-metrics.loss,started"]
UNINDEXED_ORDERS += ["study,-trial.number", "trial.state"]


def selection(query: RunQuery, connection: Any) -> Selection:
    return Selection(connection, query._condition, query._order)


def explained(archive: Archive, statement: Fragment) -> list[str]:
    return scans(archive, *statement)


@pytest.mark.parametrize("order", ORDERS + UNINDEXED_ORDERS)
@pytest.mark.parametrize("text", SELECTIVE)
def test_selective_conditions_are_answered_from_their_index(filled: Archive, text: str, order: str) -> None:
    asked = selection(filled.runs().where(text).order_by(order), filled._connection)
    driver, _rest = asked._driver(None)
    assert driver is not None
    assert scans(filled, *driver) == []
    first = Found(5, tuple(0.1 for _ in asked._order))
    for after in (None, first):
        assert explained(filled, asked.listing(None, after)) == []
        # With a limit the index of the order may be the shorter way.
        assert set(explained(filled, asked.listing(20, after))) <= {
            "SCAN r USING INDEX run_by_start",
            "SCAN r USING INDEX sqlite_autoindex_run_1",
        }
    assert explained(filled, asked.counting()) == []


@pytest.mark.parametrize("text", UNLED)
@pytest.mark.parametrize("order", ORDERS)
def test_what_nothing_leads_to_is_looked_for_along_the_index_of_the_order(
    filled: Archive, text: str, order: str
) -> None:
    asked = selection(filled.runs().where(text).order_by(order), filled._connection)
    ranked = asked.ranking(20)
    if order.lstrip("-").startswith("metrics"):
        assert ranked is not None
        assert explained(filled, ranked) == []
    else:
        assert ranked is None
        (step,) = explained(filled, asked.listing(20))
        assert re.fullmatch(r"SCAN r USING (COVERING )?INDEX (run_by_start|sqlite_autoindex_run_1)", step)


@pytest.mark.parametrize("text", UNLED)
@pytest.mark.parametrize("order", UNINDEXED_ORDERS)
def test_an_order_without_an_index_reads_each_run_once(filled: Archive, text: str, order: str) -> None:
    asked = selection(filled.runs().where(text).order_by(order), filled._connection)
    for statement in (asked.listing(20), asked.listing(None), asked.counting()):
        found = explained(filled, statement)
        # Of the runs alone; whatever else is asked of each is sought by its number.
        assert len(found) == 1
        assert re.match(r"SCAN r\b", found[0])


@pytest.mark.parametrize(
    ("text", "index"),
    [
        ("study = digits", r"y USING COVERING INDEX \S+_study_1 \(name=\?\)"),
        ("trial.number < 5", r"t USING INDEX \S+_trial_1 \(study=\? AND number<\?\)"),
        ("trial.state = pruned", r"t USING INDEX trial_by_state \(study=\? AND state=\?\)"),
        ("status = pruned", r"t USING INDEX trial_by_state \(study=\? AND state=\?\)"),
    ],
)
def test_trials_are_sought_by_what_is_asked_of_them(filled: Archive, text: str, index: str) -> None:
    asked = selection(filled.runs().where(text), filled._connection)
    plan = f"EXPLAIN QUERY PLAN {asked.listing(20).sql}"
    steps = [row[3] for row in filled._connection.all(plan, asked.listing(20).values)]
    assert any(re.fullmatch(f"SEARCH {index}", step) for step in steps), steps


def test_a_listed_run_seeks_its_trial(filled: Archive) -> None:
    for name in ("RUNS_BY_ROW_ID", "RUN_BY_ID"):
        sql = constants()[f"query.{name}"]
        steps = [row[3] for row in filled._connection.all(f"EXPLAIN QUERY PLAN {sql}", dummies(sql))]
        assert "SEARCH o USING COVERING INDEX trial_by_run (run=?)" in steps
        assert any(re.fullmatch(r"SEARCH t USING INTEGER PRIMARY KEY .*", step) for step in steps)


def test_every_page_goes_on_where_the_one_before_ended(filled: Archive) -> None:
    asked = selection(filled.runs().order_by("-started"), filled._connection)
    (last,) = asked.rows(1)
    (step,) = explained(filled, asked.listing(20, last))
    assert step == "SCAN r USING COVERING INDEX run_by_start"


def test_rare_conditions_drive_and_frequent_ones_do_not(tmp_path: Path) -> None:
    begin = datetime(2025, 1, 1)
    with Archive(tmp_path / "lab.db") as archive:
        archive.record_runs(
            RecordedRun({"even": n % 2, "rare": n // 595}, begin, metrics={"acc": ([0], [n / 600])})
            for n in range(600)
        )
        often = selection(archive.runs().where("config.even = 1"), archive._connection)
        rarely = selection(archive.runs().where("config.even = 1 and config.rare = 1"), archive._connection)
        assert often._driver(20)[0] is not None  # few are sorted in any case
        assert "v.num = ?" in rarely.listing(20).sql.partition("CROSS JOIN")[0]
        assert rarely._driver(20)[0] == rarely._driver(None)[0]
        assert len(rarely.rows(20)) == 3
        assert len(often.rows(20)) == 20


def test_draining_touches_no_index_of_values(filled: Archive) -> None:
    """The columns that a drain changes stand in no index and in no condition of one."""
    from exptrack.metrics.store import SAVE_SERIES

    changed = set(re.findall(r"(\w+) = excluded", SAVE_SERIES))
    indexes = filled._connection.all(
        "SELECT sql FROM sqlite_schema WHERE tbl_name = 'metric_series' AND type = 'index' AND sql IS NOT NULL"
    )
    for (sql,) in indexes:
        used = set(re.findall(r"\w+", sql.partition(" ON metric_series")[2]))
        # Those of values hold only ended runs, which no drain writes.
        assert not used & changed or re.search(r"completed = 1|checksum IS NOT NULL", sql)


def test_a_condition_on_a_metric_holds_along_the_index_of_another(filled: Archive) -> None:
    asked = (
        filled.runs().where("metrics.loss.mean < 1 and metrics.f1.count > 3").order_by("-metrics.val_acc.max")
    )
    found = [run.run_id for run in asked.limit(10)]
    expected = [run.run_id for run in asked][:10]
    assert found == expected
    details = [{one.name: one for one in filled.show_run(run_id).metrics} for run_id in found]
    assert all((detail["loss"].mean or 0) < 1 and detail["f1"].count > 3 for detail in details)
    assert asked.count() < filled.runs().count()
