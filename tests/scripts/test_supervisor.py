"""The supervisor passes output and signals on as they are, and keeps what a terminal would show."""

from __future__ import annotations

import hashlib
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from exptrack import Archive, CommandReport, InvalidValueError, run_command
from exptrack.scripts import supervisor
from tests.scripts.script_lab import ScriptLab

posix = pytest.mark.skipif(os.name == "nt", reason="signals and terminals of POSIX")
BEGUN = "print('begun', flush=True)\n"
WAITS = f"import signal, sys, time\n{BEGUN}for _ in range(600): time.sleep(0.1)\n"


def wait_for(process: subprocess.Popen[bytes], word: bytes) -> bytes:
    """Read the output of a process up to a word."""
    assert process.stdout is not None
    seen = b""
    while word not in seen:
        data = os.read(process.stdout.fileno(), 1000)
        assert data, (seen, process.communicate())
        seen += data
    return seen


def test_both_streams_are_passed_on_and_kept_apart(lab: ScriptLab) -> None:
    lab.write("train.py", "import sys\nprint('out ä')\nprint('err', file=sys.stderr)\nprint('end', end='')\n")
    done = lab.run("train.py")
    assert done.stdout == "out ä\nend".encode()
    assert done.stderr.endswith(b"err\n")
    assert (lab.text("output"), lab.text("errors").splitlines()[-1]) == ("out ä\nend", "err")


def test_binary_output_is_passed_on_to_the_byte_and_stays_readable(lab: ScriptLab) -> None:
    lab.write("train.py", "import sys\nsys.stdout.buffer.write(bytes(range(256)))\n")
    done = lab.run("train.py")
    assert done.stdout == bytes(range(256))
    kept = lab.text("output")
    assert kept.startswith("\x00\x01")
    assert kept.endswith(r"\xfe\xff")


def test_much_output_is_passed_on_whole_and_kept_in_part(lab: ScriptLab) -> None:
    lab.write(
        "train.py",
        "import sys\nline = 'x' * 99 + '\\n'\nfor n in range(500): sys.stdout.write(f'{n:9} ' + line[10:])\n"
        "sys.stdout.write(line * 499_500)\n",
    )
    done = lab.run("train.py")
    assert len(done.stdout) == 50_000_000
    plain = lab.plain("train.py")
    assert hashlib.sha256(done.stdout).digest() == hashlib.sha256(plain.stdout).digest()
    kept = lab.text("output")
    assert 4_100_000 < len(kept) < 4_200_000 + 4096 * 40
    assert "characters left out" in kept


def test_a_bar_is_kept_as_it_ended(lab: ScriptLab) -> None:
    lab.write(
        "train.py",
        "import sys\nfor n in range(1001):\n    sys.stderr.write(f'\\repoch 1: {n}/1000')\n"
        "sys.stderr.write('\\n')\nprint('one\\r\\ntwo')\nprint('12345\\rab')\n",
    )
    lab.run("train.py")
    assert lab.text("errors").splitlines()[-1] == "epoch 1: 1000/1000"
    assert lab.text("output") == "one\ntwo\nab345\n"


def test_without_output_nothing_is_kept_and_without_code_no_file(lab: ScriptLab) -> None:
    lab.write("train.py", "print('printed')")
    for switches, kept in ((["--no-output", "--no-code"], []), (["--no-output"], ["exptrack/code"])):
        done = lab.run(*switches, "train.py", environ={"EXPTRACK_KEEP_CODE": "yes"})
        assert (done.returncode, done.stdout) == (0, b"printed\n")
        found = lab.details()[-1]
        assert (found.summary.status, [one.name for one in found.artifacts]) == ("completed", kept)
    for command in (["sh", "-c", "echo printed"], ["--no-code", "sh", "-c", "echo printed"]):
        lab.run(*command, environ={"EXPTRACK_KEEP_CODE": "yes"})
    kept_of = [sorted(one.name for one in run.artifacts) for run in lab.details()[2:]]
    assert kept_of == [["exptrack/code", "output"], ["output"]]


def test_output_that_nobody_takes_is_kept_and_the_script_goes_on(lab: ScriptLab) -> None:
    lab.write(
        "train.py", "for n in range(20_000): print('line', n, flush=True)\nopen('went-on', 'w').close()\n"
    )
    reader, writer = os.pipe()
    process = lab.start("train.py", stdout=writer)
    os.close(writer)
    os.read(reader, 10)
    os.close(reader)
    _out, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert (lab.folder / "went-on").exists()
    assert lab.text("output").endswith("line 19999\n")


@posix
def test_output_without_room_ends_the_command_with_its_code(lab: ScriptLab) -> None:
    lab.write("train.py", "print('printed')")
    with open("/dev/full", "wb") as full:
        process = lab.start("train.py", stdout=full)
        _out, errors = process.communicate(timeout=60)
    assert process.returncode == 21
    assert b"cannot write the output: No space left on device" in errors
    assert (lab.only().summary.status, lab.text("output")) == ("completed", "printed\n")


def test_a_script_has_the_input_of_the_command(lab: ScriptLab) -> None:
    lab.write("train.py", "import sys\nprint(sys.stdin.read().upper())\n")
    process = lab.start("train.py", stdin=subprocess.PIPE)
    out, _errors = process.communicate(b"given", timeout=60)
    assert (process.returncode, out) == (0, b"GIVEN\n")
    done = lab.run("train.py")
    assert (done.returncode, done.stdout) == (0, b"\n")


@posix
def test_a_daemon_that_keeps_the_output_open_is_not_waited_for(lab: ScriptLab) -> None:
    lab.write(
        "train.py",
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(30)'])\n"
        "print(child.pid, end='')\n",
    )
    began = time.monotonic()
    process = lab.start("train.py", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert process.wait(60) == 0
    assert time.monotonic() - began < 25
    found = lab.only()
    os.kill(int(lab.text("output")), signal.SIGKILL)
    assert found.summary.status == "completed"


def test_output_is_stored_while_the_script_runs(lab: ScriptLab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "STORE_EVERY_S", 0.05)
    monkeypatch.chdir(lab.folder)
    # It ends once its own first output is in the archive.
    lab.write(
        "train.py",
        f"{BEGUN}import exptrack, time\nstore = exptrack.current_run().artifacts\n"
        "while store.get_blob('output') != 'begun\\n': time.sleep(0.01)\nprint('seen')\n",
    )
    report = run_command(["train.py"], path=lab.db)
    assert (report.exit_code, report.status) == (0, "completed")
    assert lab.text("output") == "begun\nseen\n"
    with Archive(lab.db) as archive:
        assert report.run_id is not None
        versions = [one for one in archive.artifacts(report.run_id).list_artifacts() if one.name == "output"]
    assert len(versions) == 1


def test_secrets_are_hidden_in_the_output_and_in_the_config(lab: ScriptLab) -> None:
    lab.write(
        "train.py",
        "import argparse\nparser = argparse.ArgumentParser()\nparser.add_argument('--api-key')\n"
        "parser.add_argument('--password', default='hunter2hunter2')\nargs = parser.parse_args()\n"
        "print(args.api_key, args.password, 'ghp_0123456789abcdefghij0123')\n",
    )
    done = lab.run("train.py", "--api-key", "sesame-open-99")
    assert done.stdout == b"sesame-open-99 hunter2hunter2 ghp_0123456789abcdefghij0123\n"
    assert lab.config() == {"api_key": "***", "password": "***"}
    assert lab.text("output") == "*** *** ***\n"
    for file in lab.folder.glob("lab.db*"):
        for secret in (b"sesame-open-99", b"hunter2hunter2", b"ghp_0123456789abcdefghij0123"):
            assert secret not in file.read_bytes()


@posix
@pytest.mark.parametrize(
    ("name", "reason"),
    [("SIGTERM", "terminated by SIGTERM"), ("SIGHUP", "hung up"), ("SIGUSR1", "ended by SIGUSR1")],
)
def test_a_signal_to_the_supervisor_reaches_the_script(name: str, reason: str, lab: ScriptLab) -> None:
    lab.write("train.py", WAITS)
    number = signal.Signals[name]
    process = lab.start("train.py", start_new_session=True)
    wait_for(process, b"begun\n")
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == -number
    found = lab.only()
    assert (found.summary.status, found.attributes["signal"]) == ("interrupted", name)
    assert str(found.summary.reason).startswith(reason)


@posix
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGUSR2"])
def test_a_script_may_handle_a_signal(name: str, lab: ScriptLab) -> None:
    lab.write(
        "train.py",
        f"import signal, sys\nsignal.signal(signal.{name}, lambda *_: (print('heard'), sys.exit(7)))\n{WAITS}",
    )
    process = lab.start("train.py", start_new_session=True)
    wait_for(process, b"begun\n")
    process.send_signal(signal.Signals[name])
    out, errors = process.communicate(timeout=60)
    assert (process.returncode, out) == (7, b"heard\n"), errors
    assert (lab.only().summary.status, lab.only().summary.reason) == ("failed", "exit code 7")


@posix
def test_ctrl_c_reaches_the_script_once(lab: ScriptLab) -> None:
    lab.write(
        "train.py",
        "import signal, sys, time\ncount = 0\n"
        "def hear(*_):\n    global count\n    count += 1\n    print('heard', flush=True)\n"
        f"signal.signal(signal.SIGINT, hear)\n{BEGUN}"
        "while not count: time.sleep(0.01)\ntime.sleep(0.5)\nsys.exit(10 + count)\n",
    )
    done = in_terminal(lab, ["train.py"], [(b"begun", b"\x03")])
    assert done[0] == 11
    assert done[1].count(b"heard") == 1


@posix
def test_ctrl_c_that_nobody_handles_interrupts_the_run(lab: ScriptLab) -> None:
    lab.write("train.py", WAITS)
    code, seen = in_terminal(lab, ["train.py"], [(b"begun", b"\x03")])
    assert code == -signal.SIGINT
    assert b"KeyboardInterrupt" in seen
    found = lab.only()
    assert (found.summary.status, found.summary.reason) == ("interrupted", "interrupted from the keyboard")


ASKS = """
import os, sys
print([stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)], os.get_terminal_size(1))
print(input("name? ").upper())
"""


@posix
@pytest.mark.parametrize(("size", "found"), [((30, 100), (100, 30)), ((0, 0), (80, 24))])
def test_a_script_at_a_terminal_has_terminals_and_can_ask(
    size: tuple[int, int], found: tuple[int, int], lab: ScriptLab
) -> None:
    lab.write("train.py", ASKS)
    code, seen = in_terminal(lab, ["train.py"], [(b"name? ", b"ada\n")], size=size)
    assert code == 0, seen
    columns, lines = found
    assert f"[True, True, True] os.terminal_size(columns={columns}, lines={lines})\r\n".encode() in seen
    assert seen.endswith(b"ADA\r\n")
    assert lab.text("output").splitlines()[-1].endswith("ADA")


@posix
def test_a_new_size_of_the_terminal_reaches_the_script(lab: ScriptLab) -> None:
    lab.write(
        "train.py",
        f"import os, time\n{BEGUN}"
        "while os.get_terminal_size(1).columns != 55: time.sleep(0.01)\nprint('resized')\n",
    )
    code, seen = in_terminal(lab, ["train.py"], [(b"begun", (20, 55))])
    assert (code, b"resized" in seen) == (0, True)


@posix
def test_where_one_stream_is_a_terminal_the_other_is_a_pipe(lab: ScriptLab) -> None:
    lab.write("train.py", "import sys\nprint(sys.stdout.isatty(), sys.stderr.isatty(), file=sys.stderr)\n")
    read, write = os.pipe()
    code, seen = in_terminal(lab, ["train.py"], [], stdout=write)
    os.close(write)
    os.close(read)
    assert (code, b"False True" in seen) == (0, True)


def in_terminal(
    lab: ScriptLab,
    words: list[str],
    answers: list[tuple[bytes, bytes | tuple[int, int]]],
    size: tuple[int, int] = (24, 80),
    stdout: int | None = None,
) -> tuple[int, bytes]:
    """Run a script at a terminal of its own; once it prints a word, type an answer, or set a new size."""
    import fcntl
    import termios

    master, slave = os.openpty()
    termios.tcsetwinsize(slave, size)

    def take_terminal() -> None:
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    process = subprocess.Popen(
        lab.command(*words),
        cwd=lab.folder,
        env=lab.environ({}),
        stdin=slave,
        stdout=slave if stdout is None else stdout,
        stderr=slave,
        preexec_fn=take_terminal,
    )
    os.close(slave)
    seen = b""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if answers and answers[0][0] in seen:
            _word, answer = answers.pop(0)
            if isinstance(answer, tuple):
                termios.tcsetwinsize(master, answer)
            else:
                os.write(master, answer)
        if not select.select([master], [], [], 0.05)[0]:
            if process.poll() is not None:
                break
            continue
        try:
            seen += os.read(master, 10_000)
        except OSError:
            break
    os.close(master)
    return process.wait(60), seen


# Commands that are no Python script


@posix
def test_another_command_is_a_run_with_its_output_and_end(lab: ScriptLab) -> None:
    done = lab.run("--name", "shell", "--tag", "t", "sh", "-c", "echo out; echo 'cannot go on' >&2; exit 4")
    assert (done.returncode, done.stdout) == (4, b"out\n")
    found = lab.only()
    assert (found.summary.status, found.summary.reason) == ("failed", "exit code 4: cannot go on")
    assert (found.summary.name, found.summary.tags) == ("shell", ("t",))
    assert (lab.text("output"), lab.text("errors")) == ("out\n", "cannot go on\n")
    assert lab.run("sh", "-c", "kill -9 $$").returncode == -9
    ended = lab.details()[1]
    assert (ended.summary.status, ended.attributes["signal"]) == ("interrupted", "SIGKILL")


@posix
def test_a_command_that_turns_out_not_to_run_fails_its_run(lab: ScriptLab) -> None:
    lab.write("tool", "#!/no/such/program\n").chmod(0o755)
    done = lab.run("./tool")
    assert (done.returncode, b"Traceback" in done.stderr) == (126, False)
    assert b"cannot be executed" in done.stderr
    assert lab.only().summary.status == "failed"


@posix
def test_python_below_a_command_records_with_its_run(lab: ScriptLab) -> None:
    lab.write(
        "train.py",
        "import argparse, exptrack\nparser = argparse.ArgumentParser()\n"
        "parser.add_argument('--lr', type=float)\nargs = parser.parse_args()\n"
        "with exptrack.start_run({'more': 1}, name='mine') as run: run.log({'loss': args.lr})\n",
    )
    lab.write("site/sitecustomize.py", "print('hidden one')\n")
    path = os.pathsep.join((str(lab.folder / "site"), str(Path(__file__).parents[2])))
    script = f"'{sys.executable}' train.py --lr 0.5 && '{sys.executable}' train.py --lr 0.25"
    done = lab.run("sh", "-c", script, environ={"PYTHONPATH": path})
    assert (done.returncode, done.stdout) == (0, b"hidden one\n" * 3), done.stderr
    first, second = lab.details()
    assert (first.summary.name, first.summary.status) == ("mine", "completed")
    assert dict(first.summary.metrics) == {"loss": 0.5}
    # What both parsers read is the config of the command.
    assert first.config == {"lr": 0.25, "more": 1}
    assert second.summary.parent == first.summary.run_id
    assert dict(second.summary.metrics) == {"loss": 0.25}


# Ranks


LAUNCHER = """
import os, subprocess, sys
ranks = [
    subprocess.Popen([sys.executable, "-m", "exptrack", "run", "train.py"], env=os.environ | {"RANK": str(n)})
    for n in range(2)
]
sys.exit(max(rank.wait() for rank in ranks))
"""


def test_the_first_rank_alone_records(lab: ScriptLab) -> None:
    lab.write("train.py", "import os\nprint('rank', os.environ['RANK'])\n")
    lab.write("launch.py", LAUNCHER)
    done = subprocess.run(
        [sys.executable, "launch.py"],
        cwd=lab.folder,
        env=lab.environ({"EXPTRACK_DB": str(lab.db)}),
        capture_output=True,
        timeout=60,
    )
    assert sorted(done.stdout.splitlines()) == [b"rank 0", b"rank 1"], done.stderr
    assert lab.only().environment["variables"]["RANK"] == "0"
    assert lab.text("output") == "rank 0\n"


# Archives


def test_an_archive_that_cannot_be_written_is_an_error_before_the_script(lab: ScriptLab) -> None:
    lab.write("train.py", "open('ran', 'w').close()")
    lab.db.write_bytes(b"this is no archive at all" * 100)
    for words in (["train.py"], [sys.executable, "-c", "open('ran', 'w').close()"]):
        done = lab.run(*words)
        assert done.returncode == 12
        assert b"Traceback" not in done.stderr
        assert not (lab.folder / "ran").exists()


# The function


def test_the_function_returns_what_became_of_the_run(lab: ScriptLab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(lab.folder)
    lab.write("train.py", "import sys; sys.exit(3)")
    report = run_command(["train.py"], path=lab.db, name="n", group="g", tags=["t"], note="why")
    found = lab.only()
    assert report == CommandReport(found.summary.run_id, found.summary.status, 3)
    assert (found.summary.name, found.summary.group, found.summary.tags) == ("n", "g", ("t",))
    assert [note.text for note in found.notes] == ["why"]
    with pytest.raises(InvalidValueError, match="there is no hook 'wandb'; there are argparse, click"):
        run_command(["train.py"], path=lab.db, without=["wandb"])


def test_the_command_has_a_switch_for_each_hook() -> None:
    from exptrack.cli.run import HOOKS as SWITCHES
    from exptrack.scripts.instructions import HOOKS

    assert set(SWITCHES) == HOOKS.keys()
