"""The command in a real terminal: it draws, and leaves the terminal as it was, however it ends."""

from __future__ import annotations

import os
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from exptrack import Archive
from tests.cli.calls import call

if sys.platform == "win32":
    pytest.skip("a pseudo-terminal is POSIX's", allow_module_level=True)

import fcntl
import struct
import termios

PATIENCE_S = 30.0
ENTERED, LEFT = b"\x1b[?1049h", b"\x1b[?1049l"
CURSOR_SHOWN = b"\x1b[?25h"


class Terminal:
    """A pseudo-terminal in which a command runs."""

    def __init__(self, words: list[str], columns: int, lines: int, environment: dict[str, str]) -> None:
        self._ours, theirs = os.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.before = termios.tcgetattr(theirs)
        self._theirs = theirs
        self.written = b""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "exptrack", *words],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            env={**os.environ, "TERM": "xterm-256color", "PYTHONFAULTHANDLER": "1", **environment},
        )

    @property
    def modes(self) -> list[Any]:
        """The modes of the terminal now."""
        return termios.tcgetattr(self._theirs)

    def read_for(self, seconds: float) -> None:
        """Take in what is written within a time."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if select.select([self._ours], [], [], left)[0]:
                self.written += os.read(self._ours, 65536)

    def see(self, *words: bytes) -> None:
        """Wait until all of this was written."""
        end = time.monotonic() + PATIENCE_S
        while not all(one in self.written for one in words):
            assert time.monotonic() < end, self.written[-2000:]
            self.read_for(0.05)

    def press(self, keys: bytes) -> None:
        """Press keys."""
        os.write(self._ours, keys)

    def wait(self) -> int:
        """Wait for the end of the command, and return its code."""
        end = time.monotonic() + PATIENCE_S
        while self.process.poll() is None:
            assert time.monotonic() < end, self.written[-2000:]
            self.read_for(0.05)
        self.read_for(0.05)
        return self.process.returncode

    def require_clean(self) -> None:
        """Check that the terminal is as it was."""
        assert self.modes == self.before
        assert self.written.rindex(LEFT) > self.written.rindex(ENTERED)
        assert self.written.rindex(CURSOR_SHOWN) > self.written.rindex(b"\x1b[?25l")
        assert b"Traceback" not in self.written

    def close(self) -> None:
        """End what still runs."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._ours)
        os.close(self._theirs)


@contextmanager
def open_terminal(*words: str, columns: int = 80, lines: int = 24, **environment: str) -> Iterator[Terminal]:
    terminal = Terminal(list(words), columns, lines, environment)
    try:
        yield terminal
    finally:
        terminal.close()


@pytest.mark.parametrize("end", ["q", "ctrl-c", "SIGTERM", "SIGINT"])
def test_the_terminal_is_as_before_however_the_view_ends(end: str, lab: Path) -> None:
    with open_terminal("tui", str(lab)) as terminal:
        terminal.see(ENTERED, b"net-7", b"live")
        if end.startswith("SIG"):
            terminal.process.send_signal(signal.Signals[end])
        else:
            terminal.press({"q": b"q", "ctrl-c": b"\x03"}[end])
        assert terminal.wait() == {"SIGTERM": 143, "SIGINT": 130}.get(end, 0)
        terminal.require_clean()


def test_a_change_is_made_by_keys(lab: Path) -> None:
    with open_terminal("tui", str(lab)) as terminal:
        terminal.see(b"net-7", b"live")
        terminal.press(b"\x1b[B")
        terminal.press(b"t")
        terminal.see(b"tags")
        terminal.press("größer".encode() + b"\r")
        terminal.see("+größer".encode())
        terminal.press(b"q")
        assert terminal.wait() == 0
        terminal.require_clean()
    with Archive(lab) as archive:
        assert [run.name for run in archive.runs().tagged("größer")] == ["net-7"]


def test_only_sixteen_colours_are_used_and_none_with_no_color(lab: Path) -> None:
    for environment in ({}, {"NO_COLOR": "1"}):
        with open_terminal("tui", str(lab), **environment) as terminal:
            terminal.see(b"net-7", b"live")
            terminal.press(b"j mm")
            terminal.read_for(1.0)
            terminal.press(b"q")
            assert terminal.wait() == 0
        codes = {
            code for found in re.findall(rb"\x1b\[([0-9;]*)m", terminal.written) for code in found.split(b";")
        }
        assert not re.search(rb"\x1b\[[0-9;]*[34]8;", terminal.written)
        coloured = {int(code) for code in codes if code and (30 <= int(code) <= 37 or 90 <= int(code) <= 107)}
        assert bool(coloured) == (not environment)


def test_a_terminal_without_unicode_gets_similar_characters(lab: Path) -> None:
    with open_terminal("tui", str(lab), PYTHONIOENCODING="latin-1", PYTHONUTF8="0") as terminal:
        terminal.see(b"net-7", b"live")
        terminal.press(b"j")
        terminal.read_for(1.0)
        terminal.press(b"q")
        assert terminal.wait() == 0
        terminal.require_clean()
    assert max(terminal.written) < 0xFF
    assert b"\xe2" not in terminal.written  # how UTF-8 begins a line or a dot


def test_nothing_that_a_run_is_called_steers_the_terminal(lab: Path) -> None:
    with open_terminal("tui", str(lab)) as terminal:
        terminal.see(b"[red]x[/red]", b"live")
        for key in b"23456123":
            terminal.press(bytes([key]))
            terminal.read_for(0.2)
        terminal.press(b"q")
        assert terminal.wait() == 0
        terminal.require_clean()
    assert b"\x1b[31mred\x1b[0m" not in terminal.written
    assert "\u202e".encode() not in terminal.written
    written = re.sub(rb"\x1b\]22;\w*\x07", b"", terminal.written)  # the pointer's shape, by Textual
    assert b"\x07" not in written
    assert b"\x1b]" not in written  # titles, links


def test_it_asks_for_a_terminal(lab: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "exptrack", "tui", str(lab)], capture_output=True, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 50
    assert b"needs a terminal" in done.stderr
    with open_terminal("tui", str(lab), TERM="dumb") as terminal:
        assert terminal.wait() == 50
        assert b"TERM=dumb" in terminal.written
        assert ENTERED not in terminal.written


def test_a_file_that_is_no_archive_is_told_as_by_every_command(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_bytes(b"no archive" * 1000)
    for name, code in (("x.db", 12), ("none.db", 11)):
        with open_terminal("tui", str(tmp_path / name)) as terminal:
            assert terminal.wait() == code
            assert b"exptrack: " in terminal.written
            assert ENTERED not in terminal.written
            assert b"Traceback" not in terminal.written
        assert call(tmp_path / name, "ls").exit_code == code


@pytest.mark.skipif(shutil.which("stty") is None, reason="no shell tools")
def test_ctrl_z_stops_it_and_a_signal_goes_on(lab: Path) -> None:
    with open_terminal("tui", str(lab)) as terminal:
        terminal.see(b"net-7", b"live")
        terminal.press(b"\x1a")
        terminal.see(LEFT)
        _pid, status = os.waitpid(terminal.process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        assert terminal.modes == terminal.before
        terminal.written = b""
        terminal.process.send_signal(signal.SIGCONT)
        terminal.see(ENTERED, b"net-7")
        terminal.press(b"q")
        assert terminal.wait() == 0
        terminal.require_clean()
