"""The first start of a script takes the run of ``exptrack run``; what it asks for is what the run then has."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from exptrack import Archive, ExpConfig, ExternalIdError
from exptrack.runs.identity import compute_fingerprint
from exptrack.tracking import adoption
from exptrack.tracking.activation import RUN_VARIABLE
from exptrack.tracking.lenient import LenientRun
from tests.scripts.script_lab import ScriptLab


@pytest.fixture
def lab(tmp_path: Path) -> ScriptLab:
    return ScriptLab(tmp_path)


def test_the_first_start_takes_the_run_and_the_second_is_a_child(lab: ScriptLab) -> None:
    lab.write(
        "train.py",
        "import argparse, exptrack\nparser = argparse.ArgumentParser()\n"
        "parser.add_argument('--lr', type=float, default=0.1)\nargs = parser.parse_args()\n"
        "with exptrack.start_run({'lr': args.lr, 'model': {'depth': 2}}, ['own'], group='g', name='mine',\n"
        "                        data={'train': 's3://bucket/train'}, external_id='wandb:1') as run:\n"
        "    assert exptrack.current_run() is run\n    run.log({'loss': 1.0})\n"
        "for number in range(2):\n"
        "    with exptrack.start_run(name=f'later {number}') as run: run.log({'loss': 2.0})\n"
        "print('still here')\n",
    )
    done = lab.run("--name", "given", "--tag", "shell", "train.py", "--lr", "0.5")
    assert done.returncode == 0, done.stderr
    first, *later = lab.details()
    assert first.config == {"lr": 0.5, "model": {"depth": 2}}
    assert first.config_sources["lr"].kind == "override"
    assert (first.summary.name, first.summary.group, first.summary.tags) == ("mine", "g", ("own", "shell"))
    assert (first.summary.status, dict(first.summary.metrics)) == ("completed", {"loss": 1.0})
    assert [run.summary.name for run in later] == ["later 0", "later 1"]
    assert {run.summary.parent for run in later} == {first.summary.run_id}
    assert lab.text("output") == "still here\n"
    with Archive(lab.db) as archive:
        assert archive.find_run(external_id="wandb:1").run_id == first.summary.run_id
        # As if the script alone had started it.
        (references, fingerprint), (stored,) = (
            archive.sql(
                "SELECT data_references, fingerprint FROM run_environment JOIN run ON run = id"
                " WHERE name = 'mine'"
            ).rows[0],
            archive.sql(
                "SELECT code_digest FROM run_environment JOIN run ON run = id WHERE name = 'mine'"
            ).rows[0],
        )
        data = {"train": "s3://bucket/train"}
        assert json.loads(references) == data
        assert fingerprint == compute_fingerprint(ExpConfig(first.config), stored, data)


def test_a_run_that_the_script_ends_keeps_that_end(lab: ScriptLab) -> None:
    lab.write(
        "train.py",
        "import exptrack, os\nrun = exptrack.start_run()\nrun.fail('too few data')\nos._exit(9)\n",
    )
    assert lab.run("train.py").returncode == 9
    found = lab.only()
    assert (found.summary.status, found.summary.reason) == ("failed", "too few data")
    assert found.attributes["exit_code"] == 9


def test_an_error_in_the_block_of_the_script_is_the_end(lab: ScriptLab) -> None:
    lab.write("train.py", "import exptrack\nwith exptrack.start_run() as run: raise ValueError('x')\n")
    assert lab.run("train.py").returncode == 1
    found = lab.only()
    assert (found.summary.status, found.summary.reason) == ("failed", "ValueError: x")


def test_a_run_left_open_by_the_script_ends_as_the_script(lab: ScriptLab) -> None:
    lab.write("train.py", "import exptrack\nrun = exptrack.start_run({'a': 1})\nrun.log({'x': 1.0})\n")
    assert lab.run("train.py").returncode == 0
    assert (lab.only().summary.status, lab.only().config) == ("completed", {"a": 1})


def test_a_script_in_another_folder_and_a_worker_use_the_same_archive(lab: ScriptLab) -> None:
    lab.write(
        "train.py",
        "import exptrack, os, subprocess, sys\nos.makedirs('sub')\nos.chdir('sub')\n"
        "with exptrack.start_run(name='mine'): pass\n"
        "code = 'import exptrack; exptrack.start_run(name=\"worker\").complete()'\n"
        "subprocess.run([sys.executable, '-c', code], check=True)\n",
    )
    done = lab.run("train.py")
    assert done.returncode == 0, done.stderr
    mine, worker = lab.details()
    assert (mine.summary.name, worker.summary.name) == ("mine", "worker")
    assert worker.summary.parent == mine.summary.run_id
    assert not list((lab.folder / "sub").glob("*.db"))


def test_an_archive_of_the_scripts_own_gets_a_run_of_its_own(lab: ScriptLab) -> None:
    lab.write(
        "train.py",
        "import exptrack\nwith exptrack.Archive('other.db') as archive:\n"
        "    with archive.start_run(name='there') as run: run.log({'x': 1.0})\n",
    )
    done = lab.run("train.py")
    assert done.returncode == 0, done.stderr
    assert lab.only().summary.name is None
    with Archive(lab.folder / "other.db") as archive:
        (there,) = archive.list_runs()
        assert (there.name, there.parent, archive.verify().ok) == ("there", None, True)


def test_a_trial_of_a_sweep_is_the_run_of_its_script(lab: ScriptLab) -> None:
    lab.write(
        "sweep.sdn",
        "name: s\nobjective: {metric: loss, direction: minimize}\nspace: {lr: [0.5]}\n"
        "budget: {max_trials: 1}\n",
    )
    lab.write(
        "train.py",
        "import argparse, exptrack\nparser = argparse.ArgumentParser()\n"
        "parser.add_argument('--lr', type=float)\nargs = parser.parse_args()\n"
        "with exptrack.start_run(args) as run: run.log({'loss': args.lr})\n",
    )
    words = lab.command("train.py")
    place = words.index("run")
    sweep = [*words[:place], "sweep", "run", "sweep.sdn", "--args", "--{key}={value}", "--"]
    command = [*sweep, *words[: place - 2], "run", "train.py"]
    done = subprocess.run(command, cwd=lab.folder, env=lab.environ({}), capture_output=True, timeout=120)
    assert done.returncode == 0, (done.stdout, done.stderr)
    found = lab.only()
    assert (found.summary.name, found.summary.group, found.config) == ("s #0", "s", {"lr": 0.5})
    with Archive(lab.db) as archive:
        (trial,) = archive.trials("s")
        assert (trial.run_id, trial.values) == (found.summary.run_id, (0.5,))


@pytest.fixture
def offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Archive:
    """An archive in which a run waits for the next start."""
    archive = Archive(tmp_path / "lab.db")
    run = archive.start_run(name="waiting")
    adoption.offer(run)
    monkeypatch.setenv(RUN_VARIABLE, run.run_id)
    return archive


def test_a_start_for_another_process_takes_no_run(offered: Archive) -> None:
    with offered:
        for more in ({"owner": "lease", "lease_s": 9.0}, {"code": {}}, {"environment": {}}):
            run = offered.start_run(**more)  # type: ignore[arg-type]
            run.complete()
            assert offered.show_run(run.run_id).summary.parent == os.environ[RUN_VARIABLE]
        taken = offered.start_run()
        assert taken.run_id == os.environ[RUN_VARIABLE]
        taken.complete()


def test_a_start_that_is_refused_leaves_the_run_to_the_next(offered: Archive) -> None:
    with offered:
        other = offered.start_run(external_id="x:1", code={})
        other.complete()
        with pytest.raises(ExternalIdError):
            offered.start_run(external_id="x:1")
        taken = offered.start_run(on_error="warn")
        assert (taken.run_id, type(taken)) == (os.environ[RUN_VARIABLE], LenientRun)
        taken.log_metric("", 1.0)  # is left out, and raises nothing
        taken.complete()
        assert [event.kind for event in taken.read_events() if event.kind in ("adopt", "left_out")] == [
            "adopt",
            "left_out",
            "left_out",
        ]
        assert offered.verify().ok
