"""The examples for clusters run as plain processes, four at once, and their spools merge into one archive."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from exptrack import Archive
from exptrack.cli.main import main

EXAMPLES = Path(__file__).parents[2] / "examples" / "clusters"
STEPS = 50
# What the scripts call, and this machine lacks. torchrun starts the ranks of one node.
SRUN = 'exec "$@"'
TORCHRUN = f"""
for rank in 0 1 2 3; do
    RANK=$rank LOCAL_RANK=$rank WORLD_SIZE=4 TORCHELASTIC_RUN_ID=$SLURM_JOB_ID {sys.executable} "${{@: -1}}" &
done
wait
"""

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the scripts are for bash")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the examples, with the programs that they call in a folder of PATH."""
    place = tmp_path / "job"
    shutil.copytree(EXAMPLES, place)
    tools = tmp_path / "tools"
    tools.mkdir()
    for name, does in {"srun": SRUN, "torchrun": TORCHRUN, "python": f'exec {sys.executable} "$@"'}.items():
        (tools / name).write_text(f"#!/bin/bash\n{does}\n")
        (tools / name).chmod(0o755)
    return place


def begin(folder: Path, script: str, **variables: str) -> subprocess.Popen[str]:
    environment = {**os.environ, **variables, "EXPTRACK_SPOOL": str(folder.parent / "spool")}
    environment["PATH"] = f"{folder.parent / 'tools'}{os.pathsep}{os.environ['PATH']}"
    pipe = subprocess.PIPE
    return subprocess.Popen(["bash", script], cwd=folder, env=environment, stdout=pipe, stderr=pipe, text=True)


def merge(folder: Path) -> Path:
    """Merge the spool by the command, and clear it; return the archive."""
    lab, spool = folder.parent / "lab.db", folder.parent / "spool"
    done = CliRunner().invoke(main, ["merge", str(lab), str(spool), "--remove"])
    assert done.exit_code == 0, done.output
    assert "removed 4 merged files from the spool" in done.output
    assert list(spool.iterdir()) == []
    assert CliRunner().invoke(main, ["verify", str(lab)]).exit_code == 0
    return lab


def test_the_tasks_of_an_array_become_one_archive(folder: Path) -> None:
    tasks = [
        begin(folder, "array.sh", SLURM_ARRAY_TASK_ID=str(task), SLURM_ARRAY_JOB_ID="7") for task in range(4)
    ]
    assert [(*task.communicate(timeout=60), task.returncode) for task in tasks] == [("", "", 0)] * 4
    with Archive(merge(folder), mode="ro") as archive:
        runs = list(archive.runs().where("group = 'line 7'").order_by("config.lr"))
        assert [run.name for run in runs] == [f"task {task} rank 0" for task in range(4)]
        assert [run.status for run in runs] == ["completed"] * 4
        assert {len(archive.get_run(run.run_id).series("loss")) for run in runs} == {STEPS}
        assert archive.verify().points == 4 * 2 * STEPS


def test_the_ranks_of_torchrun_become_one_archive(folder: Path) -> None:
    node = begin(folder, "ranks.sh", SLURM_JOB_NUM_NODES="1", SLURM_JOB_ID="8", SLURMD_NODENAME="node1")
    assert (*node.communicate(timeout=60), node.returncode) == ("", "", 0)
    with Archive(merge(folder), mode="ro") as archive:
        runs = list(archive.runs().where("group = 'line 8'").order_by("config.rank"))
        assert [run.name for run in runs] == [f"task 0 rank {rank}" for rank in range(4)]
        assert {run.status for run in runs} == {"completed"}
        assert archive.verify().points == 4 * 2 * STEPS
