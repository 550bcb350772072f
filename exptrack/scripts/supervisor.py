"""Start a command, wait for it, and record its output and its end.

Invariants:

- A command that cannot be run, or whose run cannot be recorded, is not begun.
- The command stays in our process group, so that ctrl-C reaches it from the keyboard. Signals to this process
  alone are passed on.
- All output reaches our own streams as it is. Where these fail, the command goes on, and its output is kept.
- The record of the output has a bound, and no known secret. It is stored each minute and at the end.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from types import FrameType
from typing import Any

from exptrack.archive.archive import Archive
from exptrack.capture.redaction import know_secrets_of_command, remove_secrets
from exptrack.database.opening import archive_path
from exptrack.errors import ExptrackError, InvalidValueError, warn
from exptrack.known_secrets import CHANNEL_VARIABLE, know_secret
from exptrack.plain import read_elements, read_path
from exptrack.records import RunStatus
from exptrack.runs.store import check_note, check_optional_name, check_tags
from exptrack.scripts.command import NOT_EXECUTABLE, Target, read_target
from exptrack.scripts.ending import describe_command_end
from exptrack.scripts.instructions import COMMAND_FOLDER, HOOKS, Instructions
from exptrack.scripts.ranks import find_rank
from exptrack.scripts.terminals import ChildStreams
from exptrack.secret_channel import SecretChannel
from exptrack.shown import shown
from exptrack.tracking.activation import RUN_VARIABLE
from exptrack.tracking.adoption import CLAIM_VARIABLE
from exptrack.tracking.child_output import KEPT_CHARS, HeadAndTail, OutputReader, Source
from exptrack.tracking.lifecycle import KEEP_CODE_VARIABLE
from exptrack.tracking.run import Run
from exptrack.validation import check_flag, check_text

STORE_EVERY_S = 60.0
OUTPUT, ERRORS = "output", "errors"  # the artifacts
PASSED_ON = ("SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2")
HEARD = ("SIGINT", "SIGBREAK")  # the keyboard sends them to the command, too
BYTES_PER_MAXRSS = 1 if sys.platform == "darwin" else 1024


@shown
@dataclass(frozen=True, slots=True)
class CommandReport:
    """How a command ended, and its run.

    `run_id` and `status` are None if it has none. `exit_code` is that of the command, or minus the signal that
    killed it. `output_error` is the number of the error for which our standard output took no more, or None.
    """

    run_id: str | None
    status: RunStatus | None
    exit_code: int
    output_error: int | None = None


def run_command(
    words: Sequence[str],
    *,
    path: str | os.PathLike[str] | None = None,
    name: str | None = None,
    group: str | None = None,
    tags: Iterable[str] = (),
    note: str | None = None,
    keep_output: bool = True,
    keep_code: bool = True,
    without: Collection[str] = (),
) -> CommandReport:
    """Run a Python script or a command as a run, and return how it ended; ``exptrack run`` does the same.

    `words` are the command: a script that ends with ``.py`` and its arguments, ``-m`` with a module, or any
    other command. It has our environment, working folder and streams. `path` is the archive, which is made if
    it is missing; by default it is the default archive.

    `name`, `group`, `tags` and `note` are those of the run. Without `keep_output`, what the command prints is
    not stored. Without `keep_code`, neither are its changed files. `without` names hooks that are left out:
    argparse, click, absl, fire, tyro, hydra, tensorboard, figures.

    Waits for the command. In the main thread, signals that arrive meanwhile are passed on to it. A process
    that a launcher has given another rank than 0 runs the command and records nothing.

    >>> import sys, exptrack
    >>> report = exptrack.run_command([sys.executable, "-c", "print(6 * 7)"], path=tmp_path / "lab.db")
    >>> str(report.status), report.exit_code
    ('completed', 0)

    Raises:
        InvalidValueError: there is no such script or command, or an argument cannot be stored.
        ArchiveError: the archive of a command that is no Python script cannot be opened.
    """
    found = read_elements(words, "the command", like="['train.py', '--lr', '0.1']")
    checked = [check_text(word, "a word of the command") for word in found]
    target = read_target(checked)
    left_out = [check_text(hook, "a hook") for hook in read_elements(without, "without", like="['argparse']")]
    unknown = sorted(set(left_out) - HOOKS.keys())
    if unknown:
        raise InvalidValueError(f"there is no hook {unknown[0]!r}; there are {', '.join(HOOKS)}")
    instructions = Instructions(
        name=check_optional_name(name, "run name"),
        group=check_optional_name(group, "group"),
        tags=check_tags(tags),
        note=None if note is None else check_note(note),
        hooks=[hook for hook in HOOKS if hook not in left_out],
        is_module=target.kind == "module",
        options=target.options,
        report="",
    )
    keeps_code = check_flag(keep_code, "keep_code")
    keeps_output = check_flag(keep_output, "keep_output")
    know_secrets_of_command(checked)
    supervisor = _Supervisor(None if path is None else str(archive_path(read_path(path))), keeps_output)
    with tempfile.TemporaryDirectory(prefix="exptrack-") as folder:
        if find_rank() > 0:
            return supervisor.run_unrecorded(target)
        if target.kind == "command":
            return supervisor.run_command(target, instructions, folder, keeps_code=keeps_code)
        return supervisor.run_script(target, instructions, folder, keeps_code=keeps_code)


class _Supervisor:
    """Runs one command."""

    def __init__(self, path: str | None, keeps_output: bool) -> None:
        self._path = path
        self._keeps_output = keeps_output
        self._recorder: _OutputRecorder | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._pending: list[int] = []  # signals that came before the command had begun
        self._streams: ChildStreams | None = None

    # What runs

    def run_unrecorded(self, target: Target) -> CommandReport:
        """Run a command without a run."""
        python = [sys.executable, *target.options, *(["-m"] if target.kind == "module" else [])]
        words = [*([] if target.kind == "command" else python), *target.words]
        self._keeps_output = False
        returncode, _usage = self._run(words, self._environ())
        return CommandReport(None, None, returncode)

    def run_script(
        self, target: Target, instructions: Instructions, folder: str, *, keeps_code: bool
    ) -> CommandReport:
        """Run a Python script, which starts its own run in a process that becomes it."""
        report = os.path.join(folder, "report")
        told = instructions._replace(report=report)
        environ = self._environ() | told.to_environment()
        if not keeps_code:
            environ[KEEP_CODE_VARIABLE] = "no"
        bootstrap = os.path.join(os.path.dirname(os.path.abspath(__file__)), "bootstrap.py")
        words = [sys.executable, *target.options, bootstrap, *target.words]
        with SecretChannel() as channel:
            environ[CHANNEL_VARIABLE] = channel.variable
            self._recorder = _OutputRecorder(channel, partial(_read_report, report))
            returncode, usage = self._run(words, environ)
            return self._conclude(returncode, usage)

    def run_command(
        self, target: Target, instructions: Instructions, folder: str, *, keeps_code: bool
    ) -> CommandReport:
        """Run any other command in a run that this process starts and ends."""
        from exptrack.scripts.command_run import start_command_run

        archive = Archive.default() if self._path is None else Archive(self._path)
        try:
            run = start_command_run(archive, target, instructions, keeps_code=keeps_code)
            environ = self._environ() | instructions.to_environment()
            environ |= {"EXPTRACK_DB": archive.path, "EXPTRACK_SPOOL": "", RUN_VARIABLE: run.run_id}
            environ[CLAIM_VARIABLE] = os.path.join(folder, "claim")
            before = environ.get("PYTHONPATH")
            environ["PYTHONPATH"] = COMMAND_FOLDER + (os.pathsep + before if before else "")
            with SecretChannel() as channel:
                environ[CHANNEL_VARIABLE] = channel.variable
                self._recorder = _OutputRecorder(channel, lambda: (archive.path, run.run_id), archive)
                try:
                    returncode, usage = self._run(target.words, environ)
                except OSError as error:
                    # It has been looked for. What it needs is missing, like the program of its first line.
                    run.fail(f"the command cannot be executed: {error.strerror}")
                    problem = InvalidValueError(f"{target.words[0]} cannot be executed: {error.strerror}")
                    problem.exit_code = NOT_EXECUTABLE
                    raise problem from None
                return self._conclude(returncode, usage, run)
        finally:
            if self._path is not None:
                archive.close()

    def _environ(self) -> dict[str, str]:
        """Return our environment as the command gets it, with the archive that was named."""
        environ = dict(os.environ)
        environ.pop(CLAIM_VARIABLE, None)  # it is for others than what runs here
        if self._path is not None:
            environ |= {"EXPTRACK_DB": self._path, "EXPTRACK_SPOOL": ""}
        return environ

    # The process

    def _run(self, words: Sequence[str], environ: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
        """Run a command to its end; return its exit code, and what it used of the machine.

        Raises:
            OSError: it cannot be executed.
        """
        with self._hearing_signals():
            if self._recorder is None or not self._keeps_output:
                self._process = subprocess.Popen(words, env=environ)
                return self._wait()
            self._streams = ChildStreams()
            given_out, given_err = self._streams.given
            try:
                self._process = subprocess.Popen(words, env=environ, stdout=given_out, stderr=given_err)
                ours = self._streams.find_ours(self._process)
                self._recorder.begin(ours)
            except BaseException:
                if self._process is not None:
                    self._process.kill()
                    self._process.wait()
                raise
            result = self._wait()
            if self._recorder.finish_reading():
                self._streams.close()
            return result

    def _wait(self) -> tuple[int, dict[str, Any]]:
        process = self._process
        assert process is not None
        for number in self._pending:
            self._send(number)
        if self._recorder is not None:
            self._recorder.begin_storing()
        if sys.platform == "win32":
            return process.wait(), {}
        _pid, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        used = {
            "cpu_s": round(usage.ru_utime + usage.ru_stime, 3),
            "peak_memory_bytes": usage.ru_maxrss * BYTES_PER_MAXRSS,
        }
        return process.returncode, used

    @contextmanager
    def _hearing_signals(self) -> Iterator[None]:
        """Pass signals on to the command inside the block. One that is ignored stays ignored."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        handlers: dict[str, Callable[[int, FrameType | None], None]] = {
            **dict.fromkeys(PASSED_ON, self._pass_signal_on),
            **dict.fromkeys(HEARD, self._hear_keyboard),
            "SIGWINCH": self._follow_size,
        }
        former = {}
        for name, handler in handlers.items():
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                former[number] = signal.signal(number, handler)
        try:
            yield
        finally:
            for number, handler_before in former.items():
                signal.signal(number, signal.SIG_DFL if handler_before is None else handler_before)

    def _pass_signal_on(self, number: int, _frame: FrameType | None) -> None:
        if self._process is None:
            self._pending.append(number)
        elif self._process.returncode is None:
            self._send(number)

    def _send(self, number: int) -> None:
        assert self._process is not None
        if sys.platform == "win32":
            self._process.send_signal(number)
        else:
            # `send_signal` would look for the end first, and take it from `wait4`.
            with suppress(ProcessLookupError):
                os.kill(self._process.pid, number)

    def _hear_keyboard(self, number: int, frame: FrameType | None) -> None:
        if not _has_keyboard():
            self._pass_signal_on(number, frame)

    def _follow_size(self, _number: int, _frame: FrameType | None) -> None:
        if self._streams is not None:
            self._streams.copy_sizes()

    # The end

    def _conclude(self, returncode: int, usage: Mapping[str, Any], run: Run | None = None) -> CommandReport:
        """Store the output and the end of a run; warn of what cannot be stored."""
        recorder = self._recorder
        assert recorder is not None
        found = recorder.stop()
        if found is None:  # the child has told why
            return CommandReport(None, None, returncode)
        path, run_id = found
        status: RunStatus | None = None
        try:
            archive = recorder.open()
            if self._keeps_output:
                recorder.store(is_last=True)
            handle = archive.get_run(run_id)
            handle.set_attributes(usage)
            if run is not None:
                end = describe_command_end(returncode, recorder.last_errors())
                if run.status is RunStatus.RUNNING:
                    run.finish(end.status, end.reason)
                facts = {"exit_code": end.exit_code, "signal": end.signal}
                handle.set_attributes({key: value for key, value in facts.items() if value is not None})
                status = run.status
            else:
                end = describe_command_end(returncode)
                status = archive.end_run(
                    run_id, end.status, end.reason, exit_code=end.exit_code, signal=end.signal
                )
        except ExptrackError as error:
            warn(f"the end of run {run_id} in {path} is not stored whole: {error}")
        finally:
            recorder.close()
        return CommandReport(run_id, status, returncode, recorder.output_error)


def _has_keyboard() -> bool:
    """Whether the keyboard's signals reach our process group: it is the one in front at its terminal."""
    if sys.platform == "win32":
        return True
    try:
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)


def _read_report(report: str) -> tuple[str, str] | None:
    """Return archive and id of the run that a script has started; None if it has not started one yet."""
    try:
        with open(report, encoding="utf-8") as file:
            told = json.load(file)
    except FileNotFoundError:
        return None
    return told["archive"], told["run_id"]


class _OutputRecorder:
    """Passes the output of a command on, keeps it, and stores it with the run."""

    def __init__(
        self,
        channel: SecretChannel,
        find_run: Callable[[], tuple[str, str] | None],
        archive: Archive | None = None,
    ) -> None:
        self._channel = channel
        self._find_run = find_run
        self._archive = archive
        self._is_ours = archive is None
        self._kept = {OUTPUT: HeadAndTail(KEPT_CHARS), ERRORS: HeadAndTail(KEPT_CHARS)}
        self._sources: dict[str, Source] = {}
        self._reader: OutputReader | None = None
        self._failed: set[int] = set()  # our streams that take no more
        self.output_error: int | None = None
        self._keeping, self._storing = threading.Lock(), threading.Lock()
        self._stopped = threading.Event()
        self._ticker: threading.Thread | None = None
        self._stored = dict.fromkeys(self._kept, "")

    def begin(self, streams: Sequence[Any]) -> None:
        """Begin to read stdout and stderr of the command."""
        for number, (name, stream) in enumerate(zip(self._kept, streams, strict=True), 1):
            pass_on, keep = partial(self._pass_on, number), partial(self._keep, name)
            self._sources[name] = Source(stream, pass_on, keep)
        self._reader = OutputReader(*self._sources.values())
        self._reader.begin()

    def _pass_on(self, number: int, data: bytes) -> None:
        view = memoryview(data)
        while view and number not in self._failed:
            try:
                view = view[os.write(number, view) :]
            except BlockingIOError:
                _wait_until_writable(number)
            except OSError as error:
                self._failed.add(number)
                if number == 1:
                    self.output_error = error.errno

    def _keep(self, name: str, text: str) -> None:
        with self._keeping:
            self._kept[name].add(text)

    def begin_storing(self) -> None:
        """Begin to store what was printed so far, each minute."""
        self._ticker = threading.Thread(target=self._store_each_minute, name="exptrack-storing", daemon=True)
        self._ticker.start()

    def _store_each_minute(self) -> None:
        # What the end needs is loaded while the command runs.
        import exptrack.artifacts.store
        import exptrack.tracking.supervision  # noqa: F401

        while not self._stopped.wait(STORE_EVERY_S):
            try:
                if self._find_run() is not None:
                    self.store()
            except ExptrackError as error:
                warn(f"the output so far is not stored, and will be tried again: {error}")

    def finish_reading(self) -> bool:
        """Wait for the end of the output, a little; return whether both streams have ended."""
        return self._reader is None or self._reader.join()

    def stop(self) -> tuple[str, str] | None:
        """Store no more by the minute; return archive and id of the run, None if there is none."""
        self._stopped.set()
        if self._ticker is not None:
            self._ticker.join()
        return self._find_run()

    def open(self) -> Archive:
        """Return the archive of the run, opened by the first call."""
        if self._archive is None:
            self._archive = Archive(self._get_run()[0], create=False)
        return self._archive

    def _get_run(self) -> tuple[str, str]:
        found = self._find_run()
        assert found is not None
        return found

    def store(self, *, is_last: bool = False) -> None:
        """Store what was printed so far. The last version alone is kept."""
        with self._storing:
            for value, hidden in self._channel.listen():
                know_secret(value, hidden)
            artifacts = self.open().get_run(self._get_run()[1]).artifacts
            for name in self._kept:
                with self._keeping:
                    begun = self._sources[name].begun if name in self._sources else ""
                    text = self._kept[name].text() + begun
                if text in ("", self._stored[name]):
                    continue
                artifacts.register_data(name, remove_secrets(text))
                if self._stored[name]:
                    artifacts.keep(name, last=1)
                self._stored[name] = text

    def last_errors(self) -> str:
        """Return what the command has printed to standard error, without secrets."""
        with self._keeping:
            return remove_secrets(self._kept[ERRORS].text())

    def close(self) -> None:
        """Close the archive, if it was opened here."""
        if self._is_ours and self._archive is not None:
            self._archive.close()


def _wait_until_writable(number: int) -> None:
    """Wait until our own stream takes more: another program has made it non-blocking, and it is full."""
    import select

    select.select([], [number], [])
