"""No statement of the library reads a whole table, except those with a reason."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import exptrack
from benchmarks.make_archive import make_records
from exptrack import Archive, RecordedRun
from exptrack.database.point_image import MAKE_TABLE
from exptrack.query import run_sets
from exptrack.query.asked import SelectedRun
from exptrack.query.compiler import Compiler, Fragment
from exptrack.query.field_sql import FACT_VALUES, METRIC_VALUES, SETS, STATES
from exptrack.query.fields import OF_RUNS
from exptrack.query.ranking import BEST, EVERY_RUN
from exptrack.query.run_query import RunQuery
from exptrack.query.run_sets import IS_MEMBER
from exptrack.query.run_sql import TRASHED
from exptrack.query.selection import Selection
from exptrack.query.vocabulary import OF_KEY, SOURCES, TESTS
from tests.changes import changing

STATEMENT = re.compile(r"\s*(SELECT|INSERT INTO|UPDATE|DELETE\s+FROM|WITH)\s")

# Constants that read a whole table or index, and why.
ALLOWED = {
    "archive.ARTIFACT_BYTES": "the size of everything is the question; it reads a covering index",
    "archive.STORED_BYTES": "the size of everything is the question",
    "archive_diff.POINTS_OF_RUNS": "every run is the question",
    "archive_diff.STUDY_NAMES": "every study is the question",
    "artifact_checks.ALIASES_WITHOUT_VERSION": "proving everything is the question",
    "artifact_checks.ARTIFACT_ROW_IDS": "proving everything is the question",
    "artifact_checks.BLOB_IDS": "proving everything is the question",
    "artifact_checks.CHUNK_IDS": "proving everything is the question",
    "artifact_checks.COUNT_BLOBS": "proving everything is the question",
    "artifact_checks.COUNT_CHUNKS": "proving everything is the question",
    "retention.BYTES_OF_RUNS_ALONE": "it scans the blobs that it found, and no table",
    "blobs.DELETE_UNUSED_CHUNKS": "collecting everything is the question",
    "blobs.HOLDS": "a row for each intake under way",
    "blobs.MISSING": "proving everything is the question",
    "blobs.UNUSED_BLOBS": "collecting everything is the question",
    "blobs.UNUSED_CHUNKS": "collecting everything is the question",
    "field_sql.RUNS_OF_MAPS": "no index has what runs declare as data; it takes each map apart once",
    "data.RUNS_OF_DATA": "no index has what runs declare as data; it reads what they declare, not the runs",
    "digest.UNSEALED_RUNS": "the content of the whole file is the question",
    "extract.USER_VIEWS": "every view of the user is the question",
    "field_summary.ATTR_FIELDS": "a row for each key is the question",
    "file_seal.COUNT_ROWS": "the number of all rows is the question",
    "field_summary.CONFIG_FIELDS": "a row for each key is the question",
    "field_summary.METRIC_FIELDS": "a row for each metric is the question",
    "groups.GROUP_ATTRIBUTES": "every group is the question",
    "groups.LIST_GROUPS": "every group is the question",
    "insertion.TAKE_POINTS": "every point of the image is to be inserted",
    "layout.TREES": "every table is the question",
    "media.ALL_NAMES": "a row for each name, up to a limit; it goes from name to name along an index",
    "merge.FORKS": "every fork is the question, once files differ",
    "run_copier.POINTS_OF_RUNS": "every run of the other file is the question, once files differ",
    "merge.ROW_IDS": "every run is the question",
    "merge_studies.STUDIES": "every study is the question",
    "names.SOME_ATTRS": "a row for each key, up to a limit; it goes from key to key along an index",
    "names.SOME_KEYS": "a row for each key, up to a limit, to find what was meant",
    "names.SOME_METRICS": "a row for each name, up to a limit, to find what was meant",
    "optuna_rows.ALL_STUDIES": "a row for each study is the question",
    "ownership.OWNERS": "a row for each live run",
    "page_views.LIST_PAGE_VIEWS": "every view is the question",
    "rest.HAS_OWNERS": "whether there is any row",
    "rest.HOLDS_SOMETHING": "whether there is any row",
    "fields.NEWEST_VALUES": "the newest runs, up to a limit, are the question; it walks their index",
    "lookup.ALL_LAST_VALUES": "the values of all runs are the question",
    "lookup.ALL_TAGS": "the tags of all runs are the question",
    "run_lists.NEWEST_ROW_IDS": "the newest runs, up to a limit, are the question; it walks their index",
    "run_lists.NEWEST_RUNS": "the newest runs, up to a limit, are the question; it walks their index",
    "run_sets.ALL_RUNS": "every run is the question; it reads a covering index",
    "run_sets.COUNT_ALL": "the number of all runs is the question; it reads a covering index",
    "run_sets.RUNS_WITH_NAN": "no index has which series hold NaN; it is asked only of many runs",
    "retention.STORAGE": "the storage of all runs is the question; it reads the artifacts, not the runs",
    "pack.DELETE_WRITERS": "a row for each intake under way",
    "quick_points.COUNT_SERIES": "how many there are is the question; it reads a covering index",
    "references.IDS_ENDING_SO": "the end of an id has no index; the index of ids is read once",
    "references.NEWEST_NAMES": "the newest runs, up to a limit, to find what was meant",
    "references.NEWEST": "the run that many starts ago is the question; it reads the index of starts",
    "references.RUNS_BY_SUFFIX": "the end of an id has no index; only asked where nothing else is meant",
    "references.TRASHED_BY_SUFFIX": "the end of an id has no index; only asked where nothing else is meant",
    "run_watch.SUMS": "every run is the question, once the file has changed",
    "run_checks.RUN_ROW_IDS": "proving everything is the question",
    "salvage.COUNT_ORPHANS": "proving everything is the question",
    "salvage.COUNT_POINTS": "proving everything is the question",
    "salvage_artifacts.BLOB_IDS": "proving everything is the question",
    "salvage_copies.PAGE_VIEW_NAMES": "every view is the question",
    "salvage_copies.STUDY_UIDS": "every study is the question",
    "salvage_points.NEAR_MISSES": "proving everything is the question",
    "salvage_points.POINTS_WITHOUT_SERIES": "finding what has lost its owner is the question",
    "salvage_runs.RUN_IDS": "proving everything is the question",
    "salvage_runs.SOURCES": "some sources, to find that of a lost value",
    "salvage_studies.GROUPS": "proving everything is the question",
    "salvage_studies.PAGE_VIEWS": "proving everything is the question",
    "salvage_studies.STUDIES": "proving everything is the question",
    "study_checks.STUDY_ROW_IDS": "proving everything is the question",
    "sweeps.SELECT_STUDIES": "every study is the question",
    "sweeps.STUDY_NAMES": "the newest names, up to a limit, to find what was meant",
    "unpack.USER_VIEWS": "every view is the question",
    "value_counts.COUNT_FACTS": "the values of all runs are the question",
    "levels.LEVEL_BYTES": "the size of all levels is the question; few series have one",
    "series_seals.DELETE_ALL_LEVELS": "making all levels anew is the question",
    "series_seals.LONG_SEALED_SERIES": "making all levels anew is the question",
    "verification.COUNT_POINTS": "proving everything is the question",
    "verification.COUNT_RUNS": "proving everything is the question",
    "verification.JOURNAL_ROWS": "proving everything is the question",
    "verification.MIGRATION_ROWS": "proving everything is the question",
    "verification.ORPHAN_OWNERS": "proving everything is the question",
    "verification.SEQUENCES": "proving everything is the question",
    "verification.GROUP_ROWS": "proving everything is the question",
    "verification.PAGE_VIEW_ROWS": "proving everything is the question",
    "verification.SEAL_ROWS": "proving everything is the question",
    "verification.USER_VIEW_ROWS": "proving everything is the question",
    "verification.WRITER_ROWS": "proving everything is the question",
    "vocabulary.KEYS_LIKE": "a row for each key, to find those that hold a word",
    "vocabulary.RECENT_VALUES": "the newest runs, up to a limit",
    "vocabulary.METRICS_LIKE": "a row for each name, to find those that hold a word",
}
MEMBER = f" AND {IS_MEMBER.format(id='v.run').replace('?', ':members')}"
# Statements with gaps, filled as their caller fills them.
TEMPLATES: dict[str, dict[str, str]] = {
    "field_sql.RUNS_OF_MAPS": {"test": "w.value = ?"},
    "left_out.NOT_FINITE": {"value": "s.last_value"},
    "insertion.INSERT_POINTS": {"rows": "(?, ?, ?, ?, ?)"},
    "metrics.SAVE_SERIES": {"rows": f"({', '.join('?' * 19)})"},
    "field_summary.CONFIG_FIELDS": {"kept": f" AND v.run NOT IN ({TRASHED})"},
    "field_summary.ATTR_FIELDS": {"keys": "SELECT 'a' AS key", "kept": f" AND v.run NOT IN ({TRASHED})"},
    "field_summary.CHOSEN_CONFIG_FIELDS": {"kept": MEMBER},
    "field_summary.CHOSEN_METRIC_FIELDS": {"state": STATES[0].format(s="v"), "kept": MEMBER},
    "field_summary.CONFIG_OTHERS": {"kept": MEMBER},
    "field_summary.ATTR_OTHERS": {"kept": MEMBER},
    "field_summary.METRIC_OTHERS": {"state": STATES[0].format(s="v"), "kept": MEMBER},
    "field_summary.METRIC_FIELDS": {"state": STATES[0].format(s="v"), "kept": ""},
    "file_seal.COUNT_ROWS": {"table": "run"},
    "many_runs.AMONG": {"test": "1"},
    "containment.HAS_MORE": {"one": "main", "other": "source"},
    "salvage_intake.SELECT_NAME": {"columns": "name", "table": "metric_name"},
    "salvage_runs.SET_FACT": {"column": "host"},
    "salvage_runs.ROWS_OF": {"table": "note"},
    "salvage_runs.DELETE_ROWS": {"table": "note"},
    "salvage_runs.NUMBERS_OF": {"table": "note"},
    "point_proofs.ROWS_AFTER": {"levels": "EXISTS (SELECT 1 FROM metric_level AS l WHERE l.series = s.id)"},
    "salvage_runs.SET_NUMBER": {"table": "note"},
    "salvage_runs.DELETE_NUMBER": {"table": "note"},
    "salvage_runs.SET_NAME": {"table": "metric_name", "columns": "name = ?"},
    "salvage_runs.NAME_NOW": {"table": "metric_name", "columns": "name"},
    "salvage_studies.DELETE_OF_TRIAL": {"table": "trial_param"},
    "value_counts.COUNT_FRACTIONS": {"kept": MEMBER},
    "value_counts.COUNT_NUMBERS": {"kept": MEMBER},
    "value_counts.COUNT_TEXTS": {"kept": MEMBER},
    "value_counts.COUNT_TYPES_OF_TEXT": {"kept": MEMBER},
    "value_counts.COUNT_VALUES": {"value": "s.last_value", "state": STATES[0].format(s="s"), "kept": ""},
    "value_counts.COUNT_NULLS": {"value": "s.last_value", "state": STATES[0].format(s="s"), "kept": ""},
    "value_counts.COUNT_VALUES_OF_RUNS": {"value": "s.last_value"},
    "value_counts.COUNT_FACTS": {"value": "r.status"},
    "value_counts.COUNT_FACTS_OF_RUNS": {"value": FACT_VALUES["branch"]},
    "value_counts.COUNT_WORDS": {"word": "x.tag", "source": "run_tag AS x", "test": f"x.run {OF_RUNS}"},
    "value_counts.COUNT_HAVING": {"source": "run_tag AS x", "test": f"x.run {OF_RUNS}"},
    "vocabulary.DISTINCT_TEXTS": {"table": "run_attribute", "column": "text", "test": OF_KEY},
    "vocabulary.DISTINCT_NUMBERS": {"table": "config_value", "test": OF_KEY},
    "vocabulary.TYPE_OF_TEXT": {"table": "config_value"},
    "vocabulary.TYPE_OF_NUMBER": {"table": "run_attribute"},
    "vocabulary.HAS_NUMBER": {"table": "config_value"},
    "vocabulary.SOME_TYPES": {"table": "config_value"},
    "vocabulary.RECENT_VALUES": {"value": FACT_VALUES["branch"]},
    "walks.BEYOND_EXACT": {"table": "config_value"},
    "values.VALUES": {"value": "s.last_value"},
    "values.VALUES_OF_RUNS": {"value": "s.last_value"},
    "compiler.TRIALS": {"match": "t.state = 'pruned'"},
    "fields.RUN_VALUES": {"values": "".join(f", {value}" for value in FACT_VALUES.values())},
    "fields.NEWEST_VALUES": {"values": "".join(f", {value}" for value in FACT_VALUES.values())},
    "fields.SET_WORDS": {
        "word": SETS["artifact"].word,
        "source": SETS["artifact"].source,
        "test": SETS["artifact"].where(f"x.run {OF_RUNS}"),
    },
    "fields.SERIES_VALUES": {"values": ", ".join(METRIC_VALUES.values())},
    "fields.CHOSEN_SERIES_VALUES": {"values": ", ".join(METRIC_VALUES.values())},
}
# Constants that begin like a statement, but are parts of others.
FRAGMENTS = {"listing.ARTIFACT_COLUMNS", "listing.USE_COLUMNS", "lookup.RUN_COLUMNS"}
# Steps of a plan that read no table of the file, its list of tables, or a row for each study: trials are sought
# by study. `cell` are the cells of a grid, which the statement makes itself.
HARMLESS = re.compile(
    r"SCAN (CONSTANT ROW|cell|copied|found|names|sqlite_(schema|master)|\d+ CONSTANT ROWS?|\S+ VIRTUAL TABLE .*"
    r"|\(subquery-\d+\)|\(join-\d+\)|d|y USING COVERING INDEX sqlite_autoindex_study_2|y)$"
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
        live.set_attributes({"score": 0.7, "reviewer": "ada", "reviewed": True})
        live.log({"val_acc": 0.5})
        live.flush()
        with changing(archive._connection):
            archive._connection.execute(
                """
                INSERT INTO study (uid, name, created_at, settings)
                VALUES ('u', 'digits', '2026-01-01 00:00:00', '{}')
                """
            )
            archive._connection.execute(
                """
                INSERT INTO trial (uid, study, number, state, run_id)
                SELECT run_id, 1, id, CASE WHEN id % 3 THEN 'complete' ELSE 'pruned' END, run_id
                FROM run WHERE id < 40
                """
            )
        yield archive
        live.complete()


def scans(archive: Archive, sql: str, values: Any) -> list[str]:
    """The steps of a plan that read a table or an index from one end to the other."""
    with archive._connection.apart() as raw:
        # Merging reads another file by this name.
        raw.execute("ATTACH ? AS source", (archive.path,))
        # A large drain reads an image of its points by this one.
        raw.execute("ATTACH ':memory:' AS batch")
        raw.execute(MAKE_TABLE.replace("point", "batch.point", 1))
        steps = [row[3] for row in raw.execute(f"EXPLAIN QUERY PLAN {sql}", values)]
    return [step for step in steps if step.startswith("SCAN") and not HARMLESS.match(step)]


def short_name(file: Path) -> str:
    """A file by its stem; store.py, which several subpackages have, by its subpackage."""
    return file.parent.name if file.stem == "store" else file.stem


def constants() -> dict[str, str]:
    """Every statement that is a constant of some file, by file and name.

    A leading underscore marks a fragment that other constants are made of. BEST has a test of its own.
    """
    package = Path(exptrack.__file__).parent
    found: dict[str, str] = {}
    for file in sorted(package.rglob("*.py")):
        if file.stem == "__main__":
            continue
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            for name in [target.id for target in targets if isinstance(target, ast.Name)]:
                if name.isupper() and not name.startswith("_"):
                    dotted = ".".join(file.relative_to(package.parent).with_suffix("").parts)
                    value = getattr(import_module(dotted.removesuffix(".__init__")), name)
                    if isinstance(value, str) and STATEMENT.match(value):
                        called = f"{short_name(file)}.{name}"
                        assert called not in found, f"two files have a constant {called}"
                        found[called] = value
    return {name: sql for name, sql in found.items() if name not in FRAGMENTS}


CONSTANTS = constants()


def dummies(sql: str) -> Any:
    names = set(re.findall(r"(?<!['\w:]):(\w+)", sql))
    numbers = [int(number) for number in re.findall(r"\?(\d+)", sql)]
    return dict.fromkeys(names, 1) if names else (1,) * max(numbers, default=sql.count("?"))


def filled_in(name: str) -> str:
    gaps = TEMPLATES.get(name)
    return CONSTANTS[name] if gaps is None else CONSTANTS[name].format(**gaps)


@pytest.mark.parametrize("name", CONSTANTS)
def test_no_constant_reads_a_whole_table(filled: Archive, name: str) -> None:
    sql = filled_in(name)
    # Values are 1, not NULL: some statements read everything if a value is NULL.
    found = scans(filled, sql, dummies(sql))
    assert found == [] or name in ALLOWED, (name, found)


def test_what_is_allowed_to_is_still_there() -> None:
    assert set(ALLOWED) | set(TEMPLATES) <= set(CONSTANTS)
    assert {name.partition(".")[0] for name in CONSTANTS} >= {
        "archive",
        "artifacts",
        "lineage",
        "metrics",
        "sweeps",
    }


@pytest.mark.parametrize("name", ALLOWED)
def test_what_is_allowed_to_reads_a_whole_table(filled: Archive, name: str) -> None:
    sql = filled_in(name)
    assert scans(filled, sql, dummies(sql)) != []


@pytest.mark.parametrize("fact", SOURCES)
def test_values_of_a_fact_are_found_through_an_index(filled: Archive, fact: str) -> None:
    table, column = SOURCES[fact]
    sql = CONSTANTS["vocabulary.DISTINCT_TEXTS"].format(table=table, column=column, test=TESTS.get(fact, "1"))
    assert scans(filled, sql, dummies(sql)) == []


@pytest.mark.parametrize("key", BEST, ids=map("-".join, BEST))
def test_ranking_reads_an_index(filled: Archive, key: tuple[str, str]) -> None:
    ranking = BEST[key].format(source=EVERY_RUN.source, test=EVERY_RUN.test)
    assert scans(filled, ranking, ("val_acc", 10)) == []


# Filters with a condition to which an index leads.
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
    "attr.score > 0.5",
    "attr.score in (0.5, 1)",
    "attr.reviewer = 'ada'",
    "attr.reviewed = true",
    "external_id = 'mlflow:1'",
    "parent = 'x'",
    "status = pruned",
    "status in (failed, pruned)",
    "(config.lr < 2e-5 or status = running) and metrics.acc.mean > 0.1 and note is null",
]
# Conditions that must be tested run by run.
UNLED = [
    "",
    "not tag = 'paper'",
    "config.optimizer like 'ad%'",
    "config.lr is null",
    "attr.score is null",
    "attr.reviewer like 'a%'",
    "attr.score != 1",
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
UNINDEXED_ORDERS += ["study,-trial.number", "trial.state", "attr.score"]


def selection(query: RunQuery, connection: Any) -> Selection:
    return Selection(connection, query._asked.condition, query._asked.order)


def explained(archive: Archive, statement: Fragment) -> list[str]:
    return scans(archive, *statement)


@pytest.mark.sampled(6)
@pytest.mark.parametrize("order", ORDERS + UNINDEXED_ORDERS)
@pytest.mark.parametrize("text", SELECTIVE)
def test_selective_conditions_are_answered_from_their_index(filled: Archive, text: str, order: str) -> None:
    asked = selection(filled.runs().where(text).order_by(order), filled._connection)
    driver, _rest = asked._choose_driver(None)
    assert driver is not None
    assert scans(filled, *driver) == []
    first = SelectedRun(5, tuple(0.1 for _ in asked._order))
    for after in (None, first):
        assert explained(filled, asked.compile_list(None, after)) == []
        # With a limit the index of the order may be the shorter way.
        assert set(explained(filled, asked.compile_list(20, after))) <= {
            "SCAN r USING INDEX run_by_start",
            "SCAN r USING INDEX sqlite_autoindex_run_1",
        }
    assert explained(filled, asked.compile_count()) == []


@pytest.mark.parametrize("text", UNLED)
@pytest.mark.parametrize("order", ORDERS)
def test_what_nothing_leads_to_is_looked_for_along_the_index_of_the_order(
    filled: Archive, text: str, order: str
) -> None:
    asked = selection(filled.runs().where(text).order_by(order), filled._connection)
    ranked = asked.compile_ranking(20)
    if order.lstrip("-").startswith("metrics"):
        assert ranked is not None
        assert explained(filled, ranked) == []
    else:
        assert ranked is None
        (step,) = explained(filled, asked.compile_list(20))
        assert re.fullmatch(r"SCAN r USING (COVERING )?INDEX (run_by_start|sqlite_autoindex_run_1)", step)


@pytest.mark.sampled(6)
@pytest.mark.parametrize("text", UNLED)
@pytest.mark.parametrize("order", UNINDEXED_ORDERS)
def test_an_order_without_an_index_reads_each_run_once(filled: Archive, text: str, order: str) -> None:
    asked = selection(filled.runs().where(text).order_by(order), filled._connection)
    for statement in (asked.compile_list(20), asked.compile_list(None), asked.compile_count()):
        found = explained(filled, statement)
        # Only the runs are scanned; everything else about a run is sought by its row id.
        assert len(found) == 1
        assert re.match(r"SCAN r\b", found[0])


# Of these no index has all values: each run is tested once.
TESTED = "duration|host|branch|commit|parent is null|exists config|exists attr"
# Names of tags, artifacts and notes are read to the end if a filter asks for those of all runs.
WORDS = re.compile(r"SCAN x USING (COVERING )?INDEX \S+$|SCAN x$")


@pytest.mark.parametrize("text", [text for text in SELECTIVE + UNLED if text])
def test_sets_are_read_along_indexes(filled: Archive, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    read_list, found = run_sets._read_list, list[str]()

    def look_and_read(connection: Any, statement: Fragment) -> list[int]:
        found.extend(scans(filled, f"SELECT count(run) FROM ({statement.sql})", statement.values))
        return read_list(connection, statement)

    monkeypatch.setattr(run_sets, "_read_list", look_and_read)
    condition = filled.runs().where(text)._asked.condition
    run_sets.RunSets(filled._connection, Compiler(filled._connection), ()).find(condition)
    scanned = [step for step in found if not WORDS.match(step)]
    assert len(scanned) <= (1 if re.search(TESTED, text) else 0), scanned
    assert all(re.match(r"SCAN r\b", step) for step in scanned)


@pytest.mark.parametrize(
    ("text", "index"),
    [
        ("study = digits", r"y USING COVERING INDEX \S+_study_2 \(name=\?\)"),
        ("trial.number < 5", r"t USING INDEX \S+_trial_2 \(study=\? AND number<\?\)"),
        ("trial.state = pruned", r"t USING INDEX trial_by_state \(study=\? AND state=\?\)"),
        ("status = pruned", r"t USING INDEX trial_by_state \(study=\? AND state=\?\)"),
    ],
)
def test_trials_are_sought_by_what_is_asked_of_them(filled: Archive, text: str, index: str) -> None:
    asked = selection(filled.runs().where(text), filled._connection)
    plan = f"EXPLAIN QUERY PLAN {asked.compile_list(20).sql}"
    steps = [row[3] for row in filled._connection.all(plan, asked.compile_list(20).values)]
    assert any(re.fullmatch(f"SEARCH {index}", step) for step in steps), steps


def test_a_listed_run_seeks_its_trial(filled: Archive) -> None:
    for name in ("RUNS_BY_ROW_ID", "RUN_BY_ID"):
        sql = CONSTANTS[f"lookup.{name}"]
        steps = [row[3] for row in filled._connection.all(f"EXPLAIN QUERY PLAN {sql}", dummies(sql))]
        assert "SEARCH o USING COVERING INDEX trial_by_run (run_id=?)" in steps
        assert any(re.fullmatch(r"SEARCH t USING INTEGER PRIMARY KEY .*", step) for step in steps)


def test_every_page_goes_on_where_the_one_before_ended(filled: Archive) -> None:
    asked = selection(filled.runs().order_by("-started"), filled._connection)
    (last,) = asked.rows(1)
    (step,) = explained(filled, asked.compile_list(20, last))
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
        assert often._choose_driver(20)[0] is not None  # few are sorted in any case
        assert "v.num = ?" in rarely.compile_list(20).sql.partition("CROSS JOIN")[0]
        assert rarely._choose_driver(20)[0] == rarely._choose_driver(None)[0]
        assert len(rarely.rows(20)) == 3
        assert len(often.rows(20)) == 20


def test_draining_touches_no_index_of_values(filled: Archive) -> None:
    """No index, and no condition of one, holds a column that a drain changes."""
    from exptrack.metrics.store import SAVE_SERIES

    changed = set(re.findall(r"(\w+) = excluded", SAVE_SERIES))
    indexes = filled._connection.all(
        "SELECT sql FROM sqlite_schema WHERE tbl_name = 'metric_series' AND type = 'index' AND sql IS NOT NULL"
    )
    for (sql,) in indexes:
        used = set(re.findall(r"\w+", sql.partition(" ON metric_series")[2]))
        # The indexes of values hold only ended runs, which no drain changes.
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
