"""Child processes: what they wrote is kept, how they ended is told, and they can be ended."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from exptrack.tracking.child_output import KEPT_CHARS
from exptrack.tracking.child_process import Child, Ended

PYTHON = sys.executable


def ended(code: str, **options: object) -> Ended:
    return Child([PYTHON, "-c", code], dict(os.environ), **options).wait()  # type: ignore[arg-type]


def test_what_a_child_writes_is_kept_and_passed_on() -> None:
    heard: list[tuple[bytes, bool]] = []
    code = "import sys; print('out ä'); sys.stdout.flush(); print('err', file=sys.stderr); sys.exit(3)"
    found = ended(code, listener=lambda data, is_error: heard.append((data, is_error)))
    assert (found.returncode, found.killed, found.words, found.errors) == (3, False, "exit code 3", "err\n")
    assert len(found.output) == len("out ä\nerr\n")
    streams = [b"".join(data for data, is_error in heard if is_error == wanted) for wanted in (False, True)]
    assert streams == ["out ä\n".encode(), b"err\n"]


def test_of_very_much_output_beginning_and_end_are_kept() -> None:
    count = 3 * KEPT_CHARS // 10
    found = ended(f"for n in range({count}): print(f'{{n:9}}')")
    lines = found.output.splitlines()
    assert (lines[0].strip(), lines[-1].strip()) == ("0", str(count - 1))
    (gap,) = [line for line in lines if "left out" in line]
    assert gap == f"… {count * 10 - 2 * KEPT_CHARS:,} characters left out …"
    assert len(found.output) == 2 * KEPT_CHARS + len(gap) + 2


def test_the_lines_of_two_streams_stay_whole() -> None:
    code = (
        "import sys\nfor n in range(500):\n    for out in (sys.stdout, sys.stderr): print(n, 'abc', file=out)"
    )
    assert sorted(ended(code).output.splitlines()) == sorted(f"{n} abc" for n in range(500) for _ in range(2))


def test_bytes_that_are_no_text_stay_readable() -> None:
    assert ended(r"import os; os.write(1, b'a\xff\xc3'); os.write(1, b'\xa4')").output == r"a\xffä"


@pytest.mark.parametrize("kind", [BrokenPipeError, ValueError, RecursionError])
def test_a_listener_that_raises_holds_nothing_up_and_is_named_once(
    kind: type[Exception], caplog: pytest.LogCaptureFixture
) -> None:
    calls = []

    def gone(_data: bytes, _is_error: bool) -> None:
        calls.append(1)
        raise kind

    done = ended("for n in range(100_000): print('line')", listener=gone)
    (told,) = caplog.messages
    assert kind.__name__ in told
    assert (len(done.output), done.returncode, len(calls)) == (500_000, 0, 1)


def test_a_child_reads_nothing_and_is_told_its_environment() -> None:
    code = "import os, sys; print(repr(sys.stdin.read()), os.environ['WORD'])"
    child = Child([PYTHON, "-c", code], {**os.environ, "WORD": "given"})
    assert child.wait().output == "'' given\n"


@pytest.mark.parametrize(
    ("code", "killed", "words"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", True, "killed by SIGKILL"),
        ("os.abort()", True, "killed by SIGABRT"),
        ("os._exit(137)", True, "killed by SIGKILL"),
        ("os._exit(200)", False, "exit code 200"),
        ("os._exit(0)", False, "exit code 0"),
    ],
)
def test_how_it_ended_is_said_in_words(code: str, killed: bool, words: str) -> None:
    found = ended(f"import os, signal; {code}")
    assert (found.killed, found.words) == (killed, words)


STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGINT, lambda *_: print("INT", flush=True))
signal.signal(signal.SIGTERM, lambda *_: print("TERM", flush=True))
helper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(helper.pid, flush=True)
while True:
    time.sleep(0.01)
"""


def test_a_stubborn_child_is_killed_with_what_it_started() -> None:
    written: list[str] = []
    child = Child([PYTHON, "-c", STUBBORN], dict(os.environ), lambda data, _: written.append(data.decode()))
    for end, expected in ((lambda: None, "\n"), (child.interrupt, "INT"), (child.terminate, "TERM")):
        end()
        while expected not in "".join(written):
            time.sleep(0.01)
    child.kill()
    assert child.wait().words == "killed by SIGKILL"
    helper = Path(f"/proc/{written[0].split()[0]}/stat")
    while helper.exists() and helper.read_text().rpartition(")")[2].split()[0] not in "ZX":
        time.sleep(0.01)
    child.interrupt()
    child.terminate()
    child.kill()


def test_what_a_child_started_does_not_outlive_it_when_it_is_told_to_end() -> None:
    helper = "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); print('on', flush=True);"
    code = f"""
import subprocess, sys, time
helper = subprocess.Popen([sys.executable, "-c", "{helper} time.sleep(600)"])
print(helper.pid, flush=True)
while True:  # a signal between the interpreter's last look and the sleep waits until the sleep ends
    time.sleep(0.05)
"""
    written: list[str] = []
    child = Child([PYTHON, "-c", code], dict(os.environ), lambda data, _: written.append(data.decode()))
    while "on" not in "".join(written):
        time.sleep(0.01)
    child.interrupt()
    assert child.wait().words == "killed by SIGINT"
    stat = Path(f"/proc/{''.join(written).replace('on', '').strip()}/stat")
    while stat.exists() and stat.read_text().rpartition(")")[2].split()[0] not in "ZX":
        time.sleep(0.01)


def test_output_held_by_what_a_child_left_is_not_waited_for() -> None:
    code = (
        "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']);"
        " print('done')"
    )
    child = Child([PYTHON, "-c", code], dict(os.environ))
    assert child.wait().output == "done\n"
    child.kill()
