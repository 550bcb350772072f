"""What a call promises the moment it returns: a kill loses nothing, and power-safe calls have synced."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from exptrack import Archive, Run
from tests.metrics.points import killed, values_of

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "durability.md").read_text(encoding="utf-8")


class Promise(NamedTuple):
    """A call: what comes before it, the call itself, and whether its effect is there."""

    before: str
    call: str
    is_there: Callable[[Archive, Run], object]


def versions(run: Run) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for artifact in run.artifacts.list_artifacts():
        found.setdefault(artifact.name, []).append(artifact.version)
    return found


def kinds(run: Run) -> list[str]:
    return [event.kind for event in run.read_events()]


def has_artifact(archive: Archive, run: Run) -> bool:
    return versions(run) == {"a": [1]} and archive.verify().ok


THREE = "for _ in range(3): run.artifacts.register_data('a', os.urandom(1000))"
GARBAGE = f"""
sys.path.insert(0, {str(ROOT)!r})
from tests.changes import altering
run.artifacts.register_data('a', os.urandom(1000))
with altering(archive._connection): archive._connection.execute('DELETE FROM artifact')
"""
STUDY = "study = archive.create_study('s')"
TRIAL = f"{STUDY}; trial = study.ask()"
ENDED = "run.complete(); other = run; run = archive.start_run()"

SAFE = {
    "log": Promise("", "run.log({'x': 1.0, 'y': 2.0})", lambda _, run: values_of(run, "y") == [(0, 2.0)]),
    "log_metric": Promise("", "run.log_metric('x', 1.0)", lambda _, run: values_of(run, "x") == [(0, 1.0)]),
    "log_many": Promise("", "run.log_many('x', [3], [1.0])", lambda _, run: values_of(run, "x") == [(3, 1.0)]),
    "log_rows": Promise(
        "run.complete()",
        "run.log_rows([('x', 1.0)], source='s', sequence=1)",
        lambda _, run: values_of(run, "x") == [(0, 1.0)],
    ),
    "beat": Promise(
        "run.complete(); run = archive.start_run(owner='lease', lease_s=60)",
        "run.beat()",
        lambda a, _: [one.status for one in a.list_runs()] == ["running", "completed"],
    ),
    "trash_run": Promise(ENDED, "archive.trash_run(other)", lambda a, _: len(a.list_trash()) == 1),
    "restore_run": Promise(
        f"{ENDED}; archive.trash_run(other)", "archive.restore_run(other)", lambda a, _: len(a.list_runs()) == 2
    ),
    "create_group": Promise(
        "archive.create_group('g'); archive.set_group_attribute('g', 'k', 1); archive.create_group('other')",
        "archive.rename_group('g', 'h'); archive.trash_group('other')",
        lambda a, _: [(one.name, one.attributes) for one in a.list_groups()] == [("h", {"k": 1})],
    ),
    "add_tag": Promise("", "run.add_tag('t')", lambda _, run: run.tags == ("t",)),
    "remove_tag": Promise("run.add_tag('t')", "run.remove_tag('t')", lambda _, run: run.tags == ()),
    "add_note": Promise("", "run.add_note('n')", lambda _, run: [note.text for note in run.notes] == ["n"]),
    "append_event": Promise("", "run.append_event('e')", lambda _, run: "e" in kinds(run)),
    "rename": Promise("", "run.rename('b')", lambda _, run: run.name == "b"),
    "set_group": Promise("", "run.set_group('g')", lambda _, run: run.group == "g"),
    "set_attribute": Promise("", "run.set_attribute('k', 1)", lambda _, run: run.attributes == {"k": 1}),
    "set_attributes": Promise("", "run.set_attributes({'k': 1})", lambda _, run: run.attributes == {"k": 1}),
    "delete_attribute": Promise(
        "run.set_attribute('k', 1)", "run.delete_attribute('k')", lambda _, run: run.attributes == {}
    ),
    "update_config": Promise(
        "", "run.update_config({'k': 1})", lambda a, run: a.show_run(run).config.get("k") == 1
    ),
    "start_run": Promise("", "archive.start_run(name='b')", lambda a, _: a.list_runs()[0].name == "b"),
    "resume_run": Promise(
        "run.complete()", "archive.resume_run(run.run_id)", lambda _, run: "resume" in kinds(run)
    ),
    "record_runs": Promise(
        "from datetime import datetime",
        "archive.record_runs([exptrack.RecordedRun({}, datetime(2020, 1, 1), name='old')])",
        lambda a, _: "old" in [run.name for run in a.list_runs()],
    ),
    "register_data": Promise("", "run.artifacts.register_data('a', os.urandom(300_000))", has_artifact),
    "register_file": Promise(
        "open('f', 'wb').write(b'1')", "run.artifacts.register_file('a', 'f')", has_artifact
    ),
    "register_dir": Promise(
        "os.mkdir('d'); open('d/f', 'wb').write(b'1')", "run.artifacts.register_dir('a', 'd')", has_artifact
    ),
    "register_checkpoint": Promise(
        "open('f', 'wb').write(b'1')", "run.artifacts.register_checkpoint('a', 'f', 1)", has_artifact
    ),
    "log_image": Promise(
        "", "run.log_image('a', b'<svg xmlns=\"http://www.w3.org/2000/svg\"/>')", has_artifact
    ),
    "log_text": Promise("", "run.log_text('a', 'text')", has_artifact),
    "log_table": Promise("", "run.log_table('a', [{'x': 1}])", has_artifact),
    "log_histogram": Promise("", "run.log_histogram('a', [1.0, 2.0])", has_artifact),
    "log_mixed": Promise(
        "",
        "run.log_mixed({'x': 1.0, 'k': 'text'})",
        lambda _, run: values_of(run, "x") == [(0, 1.0)] and run.attributes == {"k": "text"},
    ),
    "set_alias": Promise(
        "run.log_text('a', 'text')",
        "run.artifacts.set_alias('a', 'best')",
        lambda a, _: a.find_artifact("a").aliases == ("best",),
    ),
    "remove_alias": Promise(
        "run.log_text('a', 'text', aliases=['old'])",
        "run.artifacts.remove_alias('a', 'old')",
        lambda a, _: a.find_artifact("a").aliases == (),
    ),
    "describe": Promise(
        "run.log_text('a', 'text')",
        "run.artifacts.describe('a', 'words')",
        lambda a, _: a.find_artifact("a").description == "words",
    ),
    "use_artifact": Promise(
        "run.log_text('a', 'text')",
        "archive.start_run().use_artifact('a')",
        lambda a, _: len(a.get_run(a.list_runs()[0].run_id).inputs) == 1,
    ),
    "create_study": Promise("", STUDY, lambda a, _: [one.name for one in a.studies()] == ["s"]),
    "suggest_float": Promise(
        TRIAL, "trial.suggest_float('p', 0.5, 0.5)", lambda a, _: a.trials("s")[0].params == {"p": 0.5}
    ),
    "report": Promise(TRIAL, "trial.report(3, 0.5)", lambda a, _: a.trials("s")[0].reports == {3: 0.5}),
    "tell": Promise(TRIAL, "study.tell(trial, 0.5)", lambda a, _: a.trials("s")[0].values == (0.5,)),
    "create_view": Promise(
        "", "archive.create_view('v', ['status'])", lambda a, _: [one.name for one in a.list_views()] == ["v"]
    ),
    "drop_view": Promise(
        "archive.create_view('v', ['status'])", "archive.drop_view('v')", lambda a, _: a.list_views() == []
    ),
    "delete_study": Promise(STUDY, "archive.delete_study('s')", lambda a, _: a.studies() == []),
}
POWER_SAFE = {
    "flush": Promise("run.log({'x': 1.0})", "run.flush()", lambda _, run: values_of(run, "x") == [(0, 1.0)]),
    "finish": Promise("", "run.finish()", lambda _, run: run.status == "completed"),
    "complete": Promise("", "run.complete()", lambda _, run: run.status == "completed"),
    "fail": Promise("", "run.fail('why')", lambda _, run: run.status == "failed"),
    "interrupt": Promise("", "run.interrupt('why')", lambda _, run: run.status == "interrupted"),
    "with": Promise("", "run.__exit__(None, None, None)", lambda _, run: run.status == "completed"),
    "end_run": Promise(
        "run.complete(); other = archive.start_run(owner='lease', lease_s=60)",
        "archive.end_run(other, 'completed')",
        lambda a, _: a.list_runs()[0].status == "completed",
    ),
    "empty_trash": Promise(
        f"{ENDED}; archive.trash_run(other)", "archive.empty_trash()", lambda a, _: len(a.list_runs()) == 1
    ),
    "delete_run": Promise(ENDED, "archive.delete_run(other)", lambda a, _: len(a.list_runs()) == 1),
    "delete_study_with_runs": Promise(
        f"{STUDY}; study.optimize(lambda trial: 1.0, 1)",
        "archive.delete_study('s', with_runs=True)",
        lambda a, _: a.studies() == [] and len(a.list_runs()) == 1,
    ),
    "tag": Promise("", "archive.runs().tag('t')", lambda _, run: run.tags == ("t",)),
    "untag": Promise("run.add_tag('t')", "archive.runs().untag('t')", lambda _, run: run.tags == ()),
    "note": Promise("", "archive.runs().note('n')", lambda _, run: [one.text for one in run.notes] == ["n"]),
    "set": Promise("", "archive.runs().set('k', 1)", lambda _, run: run.attributes == {"k": 1}),
    "unset": Promise(
        "run.set_attribute('k', 1)", "archive.runs().unset('k')", lambda _, run: not run.attributes
    ),
    "trash": Promise(ENDED, "archive.runs().only(other).trash()", lambda a, _: len(a.list_trash()) == 1),
    "delete": Promise(ENDED, "archive.runs().only(other).delete()", lambda a, _: len(a.list_runs()) == 1),
    "keep": Promise(THREE, "run.artifacts.keep('a', last=1)", lambda _, run: versions(run) == {"a": [3]}),
    "gc_artifacts": Promise(GARBAGE, "archive.gc_artifacts()", lambda a, _: a.info().stored_bytes == 0),
    "remove": Promise(THREE, "run.artifacts.remove('a', 2)", lambda _, run: versions(run) == {"a": [1, 3]}),
    "merge": Promise(
        "with exptrack.Archive('node.db') as node: node.start_run().complete()",
        "archive.merge('node.db')",
        lambda a, _: len(a.list_runs()) == 2,
    ),
    "merge_group": Promise(
        "with exptrack.Archive('group.db') as node: node.create_group('g')",
        "archive.merge('group.db')",
        lambda a, _: [one.name for one in a.list_groups()] == ["g"],
    ),
    "merge_study": Promise(
        "with exptrack.Archive('study.db') as node: node.create_study('widths')",
        "archive.merge('study.db')",
        lambda a, _: [one.name for one in a.studies()] == ["widths"],
    ),
}


@pytest.mark.parametrize("name", [*SAFE, *POWER_SAFE])
def test_a_kill_right_after_a_call_loses_nothing(tmp_path: Path, name: str) -> None:
    promise = {**SAFE, **POWER_SAFE}[name]
    killed(tmp_path, f"os.chdir({str(tmp_path)!r})\n{promise.before}\n{promise.call}")
    with Archive(tmp_path / "lab.db") as archive:
        run = archive.get_run(archive.list_runs()[-1].run_id)
        assert promise.is_there(archive, run)
        assert archive.verify().problems == ()


def test_the_page_promises_no_call_that_is_not_tried() -> None:
    rows = re.findall(r"^\| (.+?) \| yes \|", PAGE, re.MULTILINE)
    called = {name for row in rows for name in re.findall(r"`(?:\w+\.)*(\w+?)_?…?`", row)}
    tried = {*SAFE, *POWER_SAFE}
    assert len(called) >= 25
    assert [name for name in called if not any(one.startswith(name) for one in tried)] == []


# Power cuts

SYNCED = re.compile(r'(?:fsync|fdatasync)\(\d+<[^>]*lab\.db-wal>\)|write\(\d+<[^>]*>, "(begin|end) (\w+)')
TRACED = """
import os, sys, exptrack
os.chdir(sys.argv[1])
said = os.open("said", os.O_WRONLY | os.O_CREAT)
archive = exptrack.Archive("lab.db")
"""


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_a_power_safe_call_has_synced_when_it_returns(tmp_path: Path) -> None:
    """What survives a cut is tried by ``benchmarks.power_cuts``; here, that each of the calls syncs at all."""
    script = TRACED
    for name, promise in POWER_SAFE.items():
        script += f"""
run = archive.start_run()
{promise.before}
os.write(said, b"begin {name}")
{promise.call}
os.write(said, b"end {name}")
"""
    # Where there is nothing to remove, nothing is written and nothing is synced. The first call may copy a long
    # -wal into the file.
    script += "archive.gc_artifacts()\n"
    script += 'os.write(said, b"begin nothing"); archive.gc_artifacts(); os.write(said, b"end nothing")'
    tracer = ["strace", "-f", "-y", "-e", "trace=write,fsync,fdatasync", "-o", str(tmp_path / "trace")]
    subprocess.run([*tracer, sys.executable, "-c", script, str(tmp_path)], check=True)
    inside, synced = "", set()
    for line in (tmp_path / "trace").read_text().splitlines():
        if found := SYNCED.search(line):
            inside = inside if found[1] is None else found[2] if found[1] == "begin" else ""
            if found[1] is None and inside:
                synced.add(inside)
    assert synced == set(POWER_SAFE)


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_cuts_of_the_power_lose_nothing_that_a_power_safe_call_returned_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    from benchmarks.power_cuts import main

    main(["--cuts", "6"])
    assert capsys.readouterr().out.endswith("{'sound': 6}\n")


# Batches


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
def test_a_kill_between_trials_leaves_those_that_ended(tmp_path: Path) -> None:
    killed(
        tmp_path,
        """
        def objective(trial):
            if trial.number == 3:
                os.kill(os.getpid(), signal.SIGKILL)
            return trial.suggest_float('p', 0, 1)
        archive.create_study('s').optimize(objective, n_trials=5)
        """,
    )
    with Archive(tmp_path / "lab.db") as archive:
        assert len(archive.study("s").completed_trials()) == 3
        assert [trial.state for trial in archive.trials("s")][3] == "fail"
        assert archive.verify().problems == ()
