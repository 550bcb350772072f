"""A spool: which files are whole, what a killed process leaves, and when a merged file may be removed."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

import exptrack
from exptrack import Archive, ArchiveIOError, ArchiveNotFoundError, local_archive
from exptrack.database import filesystem, spooled_file
from exptrack.database.spooled_file import find_work_folder, is_spooled_name, read_note
from exptrack.process import current_process
from exptrack.tracking import heartbeat, spool_copies
from exptrack.tracking.spool import begin, list_spooled, remove_merged, settle_spool

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="processes are killed and forked here")

NETWORK = """
import sys
from exptrack.database import filesystem
filesystem.MOUNTS = sys.argv[1]
"""
KILLED = """
import exptrack, os, signal
run = exptrack.start_run(name="killed")
for step in range(100):
    run.log({"loss": 1 / (1 + step)})
print(exptrack.Archive.default().path, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
FORKS = """
import exptrack, os, sys
with exptrack.start_run(name="before"):
    pass
inherited = exptrack.start_run(name="parent")
pid = os.fork()
if pid == 0:
    inherited.log({"by child": 1.0})
    with exptrack.start_run(name="child") as run:
        run.log({"loss": 0.5})
        if os.fork() == 0:
            exptrack.start_run(name="grandchild").complete()
            os._exit(0)
        os.wait()
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
inherited.log({"by parent": 1.0})
inherited.complete()
"""
SPAWNS = """
import exptrack, multiprocessing, os

def work(number):
    with exptrack.start_run(name=f"worker {number}") as run:
        run.log({"loss": 0.5})
    return exptrack.Archive.default().path

if __name__ == "__main__":
    with multiprocessing.get_context(METHOD).Pool(2) as pool:
        paths = set(pool.map(work, range(4), chunksize=1))
    with exptrack.start_run(name="parent"):
        pass
    assert exptrack.Archive.default().path not in paths
"""

SWEEPS = """
import exptrack, os, sys
if sys.argv[1:]:
    trial = exptrack.current_trial()
    with exptrack.start_run(name="of a trial") as run:
        run.log({"acc": trial.params["lr"]})
else:
    lr = exptrack.Dimension("float", 0.0, 1.0)
    how = exptrack.Sampler.random(seed=1), exptrack.Pruner.none()
    plan = exptrack.SweepPlan("s", "acc", "maximize", {"lr": lr}, "max", *how, max_trials=2)
    exptrack.Archive.default().run_sweep(plan, [sys.executable, __file__, "trial"], jobs=2)
"""
NO_ROOM = """
import exptrack, resource
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))  # bytes of a file: less than the tables take
try:
    exptrack.Archive.default()
except exptrack.ExptrackError as error:
    print(type(error).__name__)
"""
PLAN = """
name: s
objective: {metric: acc, direction: maximize}
space: {lr: {low: 0.0, high: 1.0}}
sampler: random
budget: {max_trials: 2}
"""


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "spool"
    folder.mkdir()
    yield folder
    spooled_file._own.pop(folder, None)


@pytest.fixture
def mounts(tmp_path: Path, spool: Path) -> Path:
    """A table of mounts in which the spool lies on a network file system."""
    table = tmp_path / "mountinfo"
    table.write_text(f"22 1 8:1 / / rw - ext4 /dev/sda1 rw\n50 22 0:60 / {spool} rw - nfs4 server:/ rw\n")
    return table


@pytest.fixture
def network(mounts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for work on the local disk, where the spool lies on a network file system."""
    monkeypatch.setattr(filesystem, "MOUNTS", str(mounts))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    folder = find_work_folder()
    assert folder is not None
    return folder


def run_script(spool: Path, code: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run code in a process of its own that uses the spool; folders for temporary files are beside it."""
    script = spool.parent / "script.py"
    script.write_text(code)
    environment = {**os.environ, "EXPTRACK_SPOOL": str(spool), "TMPDIR": str(spool.parent)}
    environment.pop("EXPTRACK_DB", None)
    command = [sys.executable, str(script), *words]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, cwd=spool.parent, timeout=120
    )


def runs_in(folder: Path) -> dict[str, set[str]]:
    """The names of the runs in each file of a spool, all of which are at rest and sound."""
    found = {}
    for file in list_spooled(folder):
        assert (file.state, file.path, file.advice) == ("at rest", file.place, "")
        with Archive(file.path, mode="ro") as archive:
            assert archive.verify().ok
            found[Path(file.path).name] = {run.name or "" for run in archive.list_runs()}
    assert sorted(os.listdir(folder)) == sorted(found)
    return found


def test_a_killed_process_leaves_a_file_that_is_found_and_settled(spool: Path) -> None:
    done = run_script(spool, KILLED)
    assert done.returncode == -signal.SIGKILL
    (file,) = list_spooled(spool)
    assert (file.state, file.path, file.place, file.advice) == ("left", done.stdout.strip(), file.path, "")
    before = sorted(os.listdir(spool))
    assert list_spooled(spool) == [file]
    assert sorted(os.listdir(spool)) == before
    assert settle_spool(spool) == [file.place]
    assert set(map(frozenset, runs_in(spool).values())) == {frozenset({"killed"})}
    with Archive(file.path, mode="ro") as archive:
        (run,) = archive.list_runs()
        assert (run.status, len(archive.get_run(run.run_id).series("loss"))) == ("interrupted", 100)
    assert settle_spool(spool) == []


def test_a_spool_that_was_moved_is_settled_where_it_is(spool: Path, tmp_path: Path) -> None:
    run_script(spool, KILLED)
    moved = spool.rename(tmp_path / "moved")
    (file,) = list_spooled(moved)
    assert (file.state, Path(file.path).parent) == ("left", moved)
    assert settle_spool(moved) == [file.place]
    assert list(runs_in(moved).values()) == [{"killed"}]


def test_each_fork_has_a_file_for_the_runs_that_it_starts(spool: Path) -> None:
    done = run_script(spool, FORKS)
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(map(sorted, runs_in(spool).values())) == [["before", "parent"], ["child"], ["grandchild"]]
    for file in list_spooled(spool):
        with Archive(file.path, mode="ro") as archive:
            for run in archive.runs().where("name = 'parent'"):
                assert set(run.metrics) == {"by child", "by parent"}


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_each_worker_of_a_pool_has_a_file(spool: Path, method: str) -> None:
    done = run_script(spool, SPAWNS.replace("METHOD", repr(method)))
    assert (done.returncode, done.stderr) == (0, "")
    found = sorted(map(sorted, runs_in(spool).values()), key=len)
    assert ["parent"] in found
    assert sorted(name for names in found for name in names) == [
        "parent",
        *(f"worker {number}" for number in range(4)),
    ]
    assert len(found) in (2, 3)  # one worker may have done all the work


def test_two_processes_of_one_number_on_two_hosts(spool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = []
    for host in ("a" * 16, "b" * 16):
        monkeypatch.setattr(
            spooled_file, "current_process", lambda host=host: current_process()._replace(host_id=host)
        )
        spooled_file._own.pop(spool, None)
        with local_archive(spool) as archive, archive.start_run(name=host):
            paths.append(Path(archive.path).name)
            (file,) = [file for file in list_spooled(spool) if file.state != "at rest"]
            assert file.state == "unseen"
    assert [path[:8] for path in paths] == ["a" * 8, "b" * 8]
    assert paths[0][9:-12] == paths[1][9:-12] == str(os.getpid())
    assert set(runs_in(spool)) == set(paths)


def test_what_lies_in_a_spool(spool: Path) -> None:
    (spool / "notes.txt").write_text("")
    (spool / "00000000-1-00000000.db.open").write_text("no note")
    with Archive(spool / "old.db") as old:
        with old.start_run():
            pass
        with local_archive(spool) as archive, archive.start_run():
            mine = archive.path
            found = {Path(file.place).name: file for file in list_spooled(spool)}
    assert [file.state for file in found.values()] == ["unseen", "open", "unseen"]
    assert found[Path(mine).name].path == mine
    assert found["00000000-1-00000000.db"].path == ""
    assert "delete it once that has ended" in found["00000000-1-00000000.db"].advice
    assert (found["old.db"].path, found["old.db"].advice) == (found["old.db"].place, "")
    assert {file.state for file in list_spooled(spool)} == {"unseen", "at rest"}


@pytest.mark.parametrize("made", [None, 0, 4096])
def test_a_process_that_was_killed_before_it_stored_anything(
    spool: Path, tmp_path: Path, made: int | None
) -> None:
    path = Path(run_script(spool, KILLED).stdout.strip())
    for one in spool.iterdir():
        if one.suffix != ".open":
            one.unlink()
    if made is not None:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("VACUUM" if made else "SELECT 1")  # writes the first page
        assert path.stat().st_size == made
    (file,) = list_spooled(spool)
    assert (file.state, file.path, file.advice) == ("left", "" if made is None else str(path), "")
    with Archive(tmp_path / "all.db") as archive:
        assert archive.merge(spool).ok
    assert settle_spool(spool) == []
    assert list(spool.iterdir()) == []


@pytest.mark.parametrize("is_begun", [True, False])
def test_a_process_that_was_killed_as_it_began_another_run(spool: Path, is_begun: bool) -> None:
    path = Path(run_script(spool, KILLED).stdout.strip())
    (journal,) = spool.glob("*.points")
    data = journal.read_bytes()
    settle_spool(spool)
    journal.write_bytes(data if is_begun else bytes(len(data)))
    (file,) = list_spooled(spool)
    assert (file.state, file.path, file.advice) == ("left", str(path), "")
    assert settle_spool(spool) == [str(path)]
    assert list(runs_in(spool).values()) == [{"killed"}]
    with Archive(path, mode="ro") as archive:
        assert archive.verify().points == 100


@pytest.mark.parametrize("cleaned", ["files", "folder"])
def test_a_local_disk_that_is_cleaned_between_runs_costs_nothing(
    spool: Path, network: Path, monkeypatch: pytest.MonkeyPatch, cleaned: str
) -> None:
    monkeypatch.setenv("EXPTRACK_SPOOL", str(spool))
    for name in ("first", "second", "third"):
        with exptrack.start_run(name=name) as run:
            run.log({"loss": 0.5})
        assert list(network.iterdir())
        if cleaned == "folder":
            shutil.rmtree(network)
        for path in network.iterdir() if cleaned == "files" else ():
            path.unlink()
    exptrack.Archive.default().close()
    assert list(runs_in(spool).values()) == [{"first", "second", "third"}]
    assert not network.exists() or not list(network.iterdir())


def test_a_spool_that_is_removed_between_runs_is_made_again(
    spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXPTRACK_SPOOL", str(spool))
    for name in ("first", "second"):
        with exptrack.start_run(name=name):
            pass
        if name == "first":
            shutil.rmtree(spool)
    exptrack.Archive.default().close()
    assert list(runs_in(spool).values()) == [{"second"}]


@pytest.mark.skipif(os.name != "posix", reason="there are no limits of a process")
def test_an_archive_that_cannot_be_made_leaves_nothing(spool: Path) -> None:
    done = run_script(spool, NO_ROOM)
    assert (done.returncode, done.stdout) == (0, "ArchiveIOError\n"), done.stderr
    assert list(spool.iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="there are no locks for drafts")
def test_an_unfinished_copy_of_a_killed_process_is_removed(spool: Path, network: Path) -> None:
    drafts = [folder / f".exptrack-{number:016x}" for folder in (spool, network) for number in range(2)]
    for draft in drafts:
        draft.write_bytes(b"half of it")
        if not draft.name.endswith("1"):
            os.utime(draft, (time.time() - 120, time.time() - 120))
    assert settle_spool(spool) == []
    assert [draft for draft in drafts if draft.exists()] == drafts[1::2]


def test_a_spool_that_is_no_folder(tmp_path: Path) -> None:
    with pytest.raises(ArchiveNotFoundError, match="there is no folder"):
        list_spooled(tmp_path / "missing")
    (tmp_path / "file").write_text("")
    with pytest.raises(ArchiveIOError, match="check that it is a folder"):
        settle_spool(tmp_path / "file")


def test_a_damaged_file_is_left_with_a_warning(spool: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = Path(run_script(spool, KILLED).stdout.strip())
    data = bytearray(path.read_bytes())
    data[:100] = bytes(100)
    path.write_bytes(data)
    assert settle_spool(spool) == []
    assert "cannot be brought to rest" in caplog.text
    assert path.read_bytes() == data
    (file,) = list_spooled(spool)
    assert (file.state, file.path) == ("left", str(path))


def test_the_trials_of_a_sweep_share_the_archive_of_the_sweep(spool: Path) -> None:
    done = run_script(spool, SWEEPS)
    assert done.returncode == 0, done.stderr
    assert list(runs_in(spool).values()) == [{"of a trial"}]
    (file,) = list_spooled(spool)
    with Archive(file.path, mode="ro") as archive:
        assert [trial.state for trial in archive.trials("s")] == ["complete"] * 2
        assert len(archive.list_runs()) == 2


def test_a_sweep_of_the_command_line_stays_out_of_the_spool(spool: Path, tmp_path: Path) -> None:
    (tmp_path / "plan.sdn").write_text(PLAN)
    (tmp_path / "train.py").write_text(SWEEPS)
    done = run_script(
        spool,
        "import sys; from exptrack.cli.main import main;"
        "main(['sweep', 'run', 'plan.sdn', '--', sys.executable, 'train.py', 'trial'])",
    )
    assert done.returncode == 0, done.stderr
    assert list(spool.iterdir()) == []
    with Archive(tmp_path / "exptrack.db", mode="ro") as archive:
        assert [run.status for run in archive.list_runs()] == ["completed"] * 2


# A network file system


def test_what_a_killed_process_had_on_the_local_disk_comes_to_the_spool(
    spool: Path, network: Path, mounts: Path
) -> None:
    done = run_script(spool, NETWORK + KILLED, str(mounts))
    path = Path(done.stdout.strip())
    assert path.parent == network
    assert [name[-5:] for name in os.listdir(spool)] == [".open"]
    (file,) = list_spooled(spool)
    assert (file.state, file.path, file.advice) == ("left", str(path), "")
    with local_archive(spool) as archive:  # a process of this machine that uses the spool brings it
        assert Path(file.place).exists()
        assert list(network.glob("*.db")) == [Path(archive.path)]
    assert list(network.iterdir()) == []
    assert list(runs_in(spool).values()) == [{"killed"}]


@pytest.mark.parametrize("is_delivered", [True, False])
def test_what_is_left_on_the_local_disk_without_need_is_removed(
    spool: Path, network: Path, mounts: Path, is_delivered: bool
) -> None:
    if is_delivered:
        run_script(spool, NETWORK + KILLED.replace("print(", "run.complete(); print("), str(mounts))
        assert sorted(path.suffix for path in network.iterdir()) == [".db", ".open"]
        assert list(runs_in(spool).values()) == [{"killed"}]
    else:  # killed before it made the file
        path = Path(run_script(spool, NETWORK + KILLED, str(mounts)).stdout.strip())
        for one in network.iterdir():
            if one.name != f"{path.name}.open":
                one.unlink()
        (file,) = list_spooled(spool)
        assert (file.state, file.path, file.advice) == ("left", "", "")
    assert settle_spool(spool) == []
    assert list(network.iterdir()) == []
    assert len(runs_in(spool)) == is_delivered


def test_what_was_left_for_another_spool_stays(
    spool: Path, network: Path, mounts: Path, tmp_path: Path
) -> None:
    path = Path(run_script(spool, NETWORK + KILLED, str(mounts)).stdout.strip())
    other = tmp_path / "other"
    mounts.write_text(f"{mounts.read_text()}51 22 0:61 / {other} rw - nfs4 server:/ rw\n")
    with local_archive(other) as archive, archive.start_run():
        begin(archive._connection)
    assert path.exists()
    assert list(runs_in(other).values()) == [{""}]
    assert settle_spool(spool) == [str(spool / path.name)]
    assert list(network.iterdir()) == []


def test_the_spool_says_where_the_points_of_another_machine_lie(
    spool: Path, network: Path, mounts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path(run_script(spool, NETWORK + KILLED, str(mounts)).stdout.strip())
    note = spool / f"{path.name}.open"
    mine = current_process().host_id
    note.write_text(note.read_text().replace(mine, "f" * 16))
    (file,) = list_spooled(spool)
    assert (file.state, file.path) == ("unseen", "")
    assert file.advice.startswith(f"all of its points are in {path} on ")
    assert f"run 'exptrack merge OUT {spool}' on that machine" in file.advice
    note.write_text(note.read_text().replace("f" * 16, mine))
    for one in network.iterdir():
        one.unlink()
    (file,) = list_spooled(spool)
    assert (file.state, file.path) == ("left", "")
    assert "which is gone; put that file back if you have it" in file.advice
    assert settle_spool(spool) == []


@pytest.mark.usefixtures("network")
def test_open_runs_are_copied_to_the_spool_meanwhile(spool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with local_archive(spool) as archive, archive.start_run(name="long") as run:
        run.log({"loss": 0.5})
        run.flush()
        heartbeat.copy_to_spool(archive._connection)
        place = spool / Path(archive.path).name
        before = place.read_bytes()
        with Archive(place, mode="ro") as copy:
            assert copy.verify().ok
            assert [found.status for found in copy.list_runs()] == ["running"]
            assert len(copy.get_run(run.run_id).series("loss")) == 1
        run.log({"loss": 0.4})
        run.flush()
        heartbeat.copy_to_spool(archive._connection)
        assert place.read_bytes() == before  # not due yet
        later = time.monotonic() + spool_copies.COPY_EVERY_S + 1
        monkeypatch.setattr(spool_copies.time, "monotonic", lambda: later)
        heartbeat.copy_to_spool(archive._connection)
        assert place.read_bytes() != before
        monkeypatch.undo()
        (file,) = list_spooled(spool)
        assert (file.state, file.path) == ("open", archive.path)
    assert list(runs_in(spool).values()) == [{"long"}]


# Removing what was merged


def test_only_what_the_target_holds_is_removed(spool: Path, tmp_path: Path) -> None:
    asked: list[Path] = []

    def is_stored(path: Path) -> bool:
        asked.append(path)
        return "yes" in path.read_bytes().decode("latin-1")

    places = []
    for name in ("yes", "no"):
        spooled_file._own.pop(spool, None)
        with local_archive(spool) as archive, archive.start_run(name=name):
            places.append(spool / Path(archive.path).name)
    with Archive(spool / "mine.db") as mine, mine.start_run(name="yes"):
        pass
    spooled_file._own.pop(spool, None)
    with (
        Archive(tmp_path / "out.db") as target,
        local_archive(spool) as archive,
        archive.start_run(name="yes"),
    ):
        removed, left = remove_merged(target._connection, list_spooled(spool), is_stored)
    assert removed == [str(places[0])]
    assert set(left) == {str(places[1]), str(spool / "mine.db"), str(spool / Path(archive.path).name)}
    assert sorted(asked) == sorted(places)
    assert not places[0].exists()
    assert all(is_spooled_name(path.name) for path in asked)


def test_a_note_names_its_process(spool: Path) -> None:
    with local_archive(spool) as archive, archive.start_run():
        note = read_note(Path(f"{archive.path}.open"))
        assert note is not None
        assert note.process == current_process()
