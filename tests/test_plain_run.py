"""A run that nothing goes wrong with imports few modules: each one costs every start of a script.

A file that such a run needs anew is added to the list here, with a thought on whether it is needed.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from exptrack import Archive

# What a script imports of exptrack that opens an archive, starts a run, logs and ends it.
EXPTRACK = """
    archive archive.archive archive.artifacts archive.browsing archive.groups archive.page_views
    archive.portable archive.queries archive.series archive.studies archive.trash
    artifacts artifacts.blobs artifacts.chunks artifacts.code_folder artifacts.registration artifacts.safe_paths
    artifacts.stored_folder
    capture capture.code capture.code_files capture.environment capture.git capture.launch capture.packages
    capture.paths capture.redaction
    config config.exp_config config.origin config.reading config.store config.tree
    database database.checkpoint_warning database.connection database.damage database.descriptors database.disk
    database.failures database.file_locks database.forks database.frozen database.functions database.handle
    database.hold database.kept_answers database.last_close database.migrations database.opened_file
    database.opening database.own_schema database.paths database.patience database.places database.presence
    database.rest database.row_sums database.sections database.side_files database.statements
    database.time_limit database.upkeep database.wal
    metrics metrics.bus_error metrics.columns metrics.insertion metrics.journal metrics.journal_file
    metrics.journal_locks
    metrics.journal_notes metrics.journal_users metrics.log metrics.record_template metrics.series_seals
    metrics.store metrics.summary metrics.writer metrics.writer_users
    runs runs.events runs.identity runs.lease runs.lookup runs.ownership runs.row_sums runs.seal runs.store
    runs.trial_link
    tracking tracking.activation tracking.description tracking.ending tracking.growing_config
    tracking.heartbeat tracking.inheritance tracking.kept_code tracking.lifecycle tracking.media_log
    tracking.recovery tracking.run
    default_file digests errors fixed_attributes fork_imports hashed_lists keypath known_secrets listed
    named_tuples own_files plain process record_fields records shown shuffling termination threads times
    validation
"""
# Of the standard library, what takes long to import, here or by what it imports itself. The first point that is
# logged imports ctypes: it guards the mapped journal.
UNWANTED = """
    argparse ast asyncio base64 bisect calendar concurrent copy csv dataclasses decimal difflib email
    fractions glob hashlib heapq html http importlib.metadata importlib.resources inspect ipaddress locale
    logging multiprocessing numbers pathlib pickle platform queue random secrets select selectors shutil socket
    ssl statistics string subprocess tempfile textwrap tokenize traceback typing unicodedata unittest urllib
    uuid xml zipfile _hashlib
"""
SCRIPT = """
import sys
before = set(sys.modules)
import exptrack
with exptrack.Archive({path!r}) as archive:
    with archive.start_run({{"lr": 0.1}}, tags=["plain"]) as run:
        for step in range(3):
            run.log({{"loss": 1 / (step + 1)}}, step=step)
            run.log_metric("accuracy", 0.5, step)
print(*sorted(set(sys.modules) - before))
"""


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """What a plain run imports beyond what its Python has imported when the script begins."""
    folder = tmp_path_factory.mktemp("plain")
    script = folder / "train.py"
    script.write_text(SCRIPT.format(path=str(folder / "lab.db")), encoding="utf-8")
    # The second run is looked at: an archive is there already, as it mostly is. No page and no spool is open.
    places = {"XDG_CACHE_HOME": str(folder), "LOCALAPPDATA": str(folder)}
    left_out = ("EXPTRACK_SPOOL", "EXPTRACK_DB", "EXPTRACK_KEEP_CODE", "EXPTRACK_ON_ERROR", "EXPTRACK_TRIAL")
    env = {name: value for name, value in os.environ.items() if name not in left_out} | places
    for _ in range(2):
        call = [sys.executable, str(script)]
        done = subprocess.run(call, capture_output=True, text=True, cwd=folder, env=env, check=True)
    return set(done.stdout.split())


def test_of_exptrack_a_plain_run_imports_what_is_listed_and_no_more(imported: set[str]) -> None:
    found = {name.removeprefix("exptrack.") for name in imported if name.startswith("exptrack.")}
    listed = set(EXPTRACK.split())
    assert (sorted(found - listed), sorted(listed - found)) == ([], [])


def test_of_the_standard_library_a_plain_run_imports_nothing_heavy(imported: set[str]) -> None:
    unwanted = set(UNWANTED.split())
    assert {name for name in imported if name in unwanted or name.partition(".")[0] in unwanted} == set()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems tell of processes by psutil alone")
def test_a_plain_run_imports_no_package_of_others(imported: set[str]) -> None:
    tops = {name.partition(".")[0] for name in imported}
    assert tops - sys.stdlib_module_names == {"exptrack"}


# The first questions that a process asks an archive. Each is asked in a process of its own.
QUESTIONS = {
    "a list of runs": "archive.list_runs()",
    "columns of runs": "archive.runs().to_dicts(['id', 'name', 'status', 'started'])",
    "a ranking": "archive.best_runs('loss', 'minimize')",
    "a comparison": "archive.diff_runs(first, second)",
}
ASKING = """
import sys
import exptrack
with exptrack.Archive({path!r}) as archive:
    first, second = {two!r}
    before = set(sys.modules)
    assert {question}
    print(*sorted(set(sys.modules) - before))
"""


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_first_question_imports_nothing_heavy(tmp_path: Path, question: str) -> None:
    path = tmp_path / "lab.db"
    with Archive(path) as archive:
        two = []
        for loss in (0.5, 0.25):
            with archive.start_run({"lr": loss}, tags=["plain"]) as run:
                run.log({"loss": loss})
            two.append(run.run_id)
    code = ASKING.format(path=str(path), two=two, question=QUESTIONS[question])
    call = [sys.executable, "-c", code]
    done = subprocess.run(call, capture_output=True, text=True, cwd=tmp_path, check=True)
    unwanted = set(UNWANTED.split())
    imported = set(done.stdout.split())
    assert {name for name in imported if name in unwanted or name.partition(".")[0] in unwanted} == set()
    assert any(name.startswith("exptrack.") for name in imported)
