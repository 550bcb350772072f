"""A process is known by more than its pid, and only what is proven dead is dead."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from exptrack import Archive, process
from exptrack.database import descriptors
from exptrack.process import ProcessIdentity, current_process, is_alive, read_small

PORTABLE = "portable"


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as started:
        yield started
        started.kill()


@pytest.fixture(params=["/proc", PORTABLE])
def me(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> ProcessIdentity:
    """This process, as it is known with /proc and without."""
    if request.param == PORTABLE:
        monkeypatch.setattr(process, "read_small", lambda path: None)
    monkeypatch.setattr(process, "_current", None)
    return current_process()


def test_a_process_is_known_by_more_than_its_pid(me: ProcessIdentity, child: subprocess.Popen[bytes]) -> None:
    assert is_alive(me) is True
    assert is_alive(me._replace(started="0")) is False
    assert is_alive(me._replace(host_id="another")) is None
    identity = me._replace(pid=child.pid, started=process._read_start(child.pid) or "?")
    assert is_alive(identity) is True
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert is_alive(identity) is False, "a zombie is dead"
    child.communicate()
    assert is_alive(identity) is False


@pytest.mark.skipif(not os.path.exists("/proc/sys/kernel/random/boot_id"), reason="the kernel has no boot id")
def test_a_machine_that_was_given_another_name_is_still_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_current", None)
    before = current_process()
    monkeypatch.setattr(process, "node_name", lambda: "renamed")
    monkeypatch.setattr(process, "_current", None)
    assert current_process().host_id != before.host_id
    assert is_alive(before) is True
    assert is_alive(before._replace(started="0")) is False
    assert is_alive(before._replace(boot_id="another")) is None
    monkeypatch.setattr(process, "_read_namespace", lambda kind: f"{kind}:[1]")
    monkeypatch.setattr(process, "_current", None)
    assert is_alive(before) is None


@pytest.mark.parametrize("pid", [0, -1, 1 << 31, 1 << 70])
def test_a_number_that_is_no_pid_is_no_process(me: ProcessIdentity, pid: int) -> None:
    assert is_alive(me._replace(pid=pid)) is False


UUID, OTHER_UUID = "1b4e28ba-2fa1-11d2-883f-0016d3cca427", "6fa459ea-ee8a-11d2-90f6-0016d3cca427"


@pytest.mark.parametrize(
    ("mine", "its", "alive"),
    [
        (UUID, UUID, True),
        (UUID, OTHER_UUID, False),
        (UUID, "1700000000", None),
        ("1700000000", UUID, None),
        ("1700000000", "1700000003", True),
    ],
)
def test_another_boot_is_death_only_where_the_kernel_says_so(
    monkeypatch: pytest.MonkeyPatch, mine: str, its: str, alive: bool | None
) -> None:
    """A boot time in seconds moves when the clock is set, with the processes alive."""
    monkeypatch.setattr(process, "_read_boot_id", lambda: mine)
    monkeypatch.setattr(process, "_current", None)
    assert is_alive(current_process()._replace(boot_id=its)) is alive


def hide_others(real: Callable[[str], str | None]) -> Callable[[str], str | None]:
    """/proc as hidepid shows it: oneself and nobody else."""
    hidden = ("/proc/self/", "/proc/sys/", f"/proc/{os.getpid()}/", "/etc/")
    return lambda path: real(path) if path.startswith(hidden) else None


def test_a_process_that_proc_hides_is_not_dead(
    monkeypatch: pytest.MonkeyPatch, child: subprocess.Popen[bytes]
) -> None:
    identity = current_process()._replace(pid=child.pid, started=process._read_start(child.pid) or "?")
    monkeypatch.setattr(process, "read_small", hide_others(process.read_small))
    assert is_alive(current_process()) is True
    assert is_alive(identity) is None
    child.kill()
    child.communicate()
    assert is_alive(identity) is False, "the kernel says that there is no such pid"


def test_another_users_process_is_not_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(pid: int, number: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(process, "read_small", hide_others(process.read_small))
    monkeypatch.setattr(os, "kill", forbidden)
    assert is_alive(current_process()._replace(pid=os.getppid(), started="1")) is None


def test_what_psutil_may_not_see_is_not_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "read_small", lambda path: None)
    monkeypatch.setattr(process, "_current", None)
    me = current_process()

    def refuse(pid: int) -> None:
        raise psutil.AccessDenied(pid)

    monkeypatch.setattr(psutil, "Process", refuse)
    assert is_alive(me) is None


def test_a_process_whose_start_was_never_known_is_not_dead() -> None:
    assert is_alive(current_process()._replace(started="")) is None


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells where the stack is")
def test_a_process_that_executes_another_program_is_another() -> None:
    code = """
import os, sys
from exptrack.process import current_process, is_alive, ProcessIdentity
if len(sys.argv) == 1:
    os.execv(sys.executable, [sys.executable, "-c", os.environ["CODE"], *map(str, current_process())])
host, boot, pid, started = sys.argv[1:]
before = ProcessIdentity(host, boot, int(pid), started)
hidden = before._replace(started=started.partition("+")[0])
print(before.pid == os.getpid(), is_alive(before), is_alive(hidden), is_alive(current_process()))
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env={**os.environ, "CODE": code}, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False", "True", "True"]


def test_a_forked_child_is_another_process() -> None:
    code = """
import os, sys
from exptrack.process import current_process, is_alive
parent = current_process()
reading, writing = os.pipe()
pid = os.fork()
if pid == 0:
    me = current_process()
    ok = me.pid == os.getpid() != parent.pid and me.boot_id == parent.boot_id
    ok = ok and is_alive(parent) is True and is_alive(me) is True
    os.write(writing, b"fine" if ok else repr((me, parent)).encode())
    os._exit(0)
os.waitpid(pid, 0)
print(os.read(reading, 1000).decode())
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout == "fine\n"


def test_a_child_with_its_parents_number_does_not_take_itself_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the first process of a new pid namespace may."""
    monkeypatch.setattr(process, "_current", current_process()._replace(started="the parent"))
    process._forget_parent()
    assert current_process().started != "the parent"


def test_only_regular_files_are_read(tmp_path: object) -> None:
    os.mkfifo(f"{tmp_path}/fifo")
    for path in (f"{tmp_path}/fifo", "/dev/zero", f"{tmp_path}", f"{tmp_path}/none", "a\0b"):
        assert read_small(path) is None


def test_one_kernel_proves_nothing_where_namespaces_are_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_read_namespace", lambda kind: "")
    monkeypatch.setattr(process, "_read_boot_id", lambda: "a-boot")
    monkeypatch.setattr(process, "_current", None)
    here = current_process()
    monkeypatch.setattr(process, "node_name", lambda: "another container")
    monkeypatch.setattr(process, "_current", None)
    assert is_alive(here) is None


@pytest.mark.parametrize("has_clock", [True, False])
def test_a_run_starts_and_recovers_where_nothing_tells_of_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_clock: bool
) -> None:
    def hidden(*_: object) -> None:
        raise FileNotFoundError("/proc/stat")

    def gone(pid: int) -> None:
        raise psutil.NoSuchProcess(pid)

    readlink = os.readlink
    monkeypatch.setattr(process, "read_small", lambda path: None)
    monkeypatch.setattr(os, "readlink", lambda path: hidden() if "/proc" in str(path) else readlink(path))
    monkeypatch.setattr(psutil, "boot_time", hidden)
    monkeypatch.setattr(psutil, "Process", gone)
    monkeypatch.setattr(descriptors, "LISTINGS", (str(tmp_path / "absent"),))
    if not has_clock:
        monkeypatch.delattr(time, "CLOCK_BOOTTIME", raising=False)
    monkeypatch.setattr(process, "_current", None)
    with Archive(tmp_path / "lab.db") as archive:
        with archive.start_run(system_metrics=0.05) as run:
            run.log({"loss": 1.0})
            child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
            its = current_process()._replace(pid=child.pid)
            assert is_alive(its) is None
            child.communicate(b"\n")
            assert is_alive(its) is False
        assert [run.status for run in archive.list_runs()] == ["completed"]
        assert archive.verify().problems == ()
    monkeypatch.setattr(process, "_current", None)


@pytest.mark.skipif(sys.platform != "linux" or os.getuid() != 0, reason="hides /proc by mounting over it")
def test_a_killed_run_is_recovered_without_proc(tmp_path: Path) -> None:
    script = """
import os, signal, sys, exptrack
assert not os.path.exists("/proc/self")
pid = os.fork()
if pid == 0:
    run = exptrack.Archive("lab.db").start_run()
    for step in range(100):
        run.log({"loss": 1.0})
    os.kill(os.getpid(), signal.SIGKILL)
os.waitpid(pid, 0)
with exptrack.Archive("lab.db") as archive:
    (run,) = archive.list_runs()
    print(run.status, len(archive.series(run, "loss")), archive.verify().ok, archive.info().waiting)
"""
    (tmp_path / "script.py").write_text(script)
    hide = f"mount -t tmpfs none /proc && exec {sys.executable} script.py"
    done = subprocess.run(["unshare", "-m", "sh", "-c", hide], cwd=tmp_path, capture_output=True, text=True)
    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip("this container may not mount")
    assert (done.stdout, done.stderr) == ("interrupted 100 True ()\n", "")
