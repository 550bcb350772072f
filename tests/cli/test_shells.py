"""Completion in real shells, and what each word of a command is completed by."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import click
import pytest
from click.shell_completion import CompletionItem, get_completion_class

import exptrack
from exptrack import Archive, Sampler
from exptrack.cli import main, shells
from exptrack.cli.main import offering
from tests.cli.calls import call

KILL_LINE = "\x15"
READY = "the completion is ready"
# The words are cut where they are typed, so that their echo is not taken for them.
SAY_READY = 'echo "the completion is"" ready"'
SET_UP = {
    "bash": f'eval "$(exptrack completion bash)"; {SAY_READY}\n',
    "zsh": f'autoload -U compinit; compinit -D; eval "$(exptrack completion zsh)"; {SAY_READY}\n',
}
START = {"bash": ["bash", "--norc", "--noprofile", "-i"], "zsh": ["zsh", "-f", "-i"]}
PATIENCE_S = 15.0


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """An archive with names, tags and metrics that have blanks, colons and quotes."""
    path = tmp_path / "lab.db"
    with Archive(path) as archive:
        for name, tag in (("wide net", "paper"), ("narrow", "phase:two"), ("wild", "it's")):
            with archive.start_run({"optim": {"lr": 0.1}}, [tag], name=name, group="size study") as run:
                run.log({"val/loss": 0.5, "val/accuracy": 0.5, "train loss": 0.25}, 0)
                run.artifacts.register_data("weights.bin", b"w")
                run.set_attributes({"score": 1})
        study = archive.create_study("lr search", sampler=Sampler.random(seed=1))
        study.optimize(lambda trial: trial.suggest_float("lr", 0, 1), 1)
    return path


@pytest.fixture
def environment(lab: Path, tmp_path: Path) -> dict[str, str]:
    """An environment in which the command is found by its name."""
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin" / "exptrack"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m exptrack "$@"\n')
    command.chmod(0o755)
    root = str(Path(exptrack.__file__).parent.parent)
    kept = {name: os.environ[name] for name in ("LANG", "TMPDIR") if name in os.environ}
    return kept | {
        "PATH": f"{command.parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": root,
        "EXPTRACK_DB": str(lab),
        "HOME": str(tmp_path),
        "ZDOTDIR": str(tmp_path),
        "TERM": "xterm",
        "LC_ALL": "C.UTF-8",
        "PS1": "> ",
    }


class Terminal:
    """A shell in a terminal, to which a person types."""

    def __init__(self, shell: str, environment: dict[str, str]) -> None:
        import fcntl
        import struct
        import termios

        self._leader, follower = pty.openpty()
        fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 120, 0, 0))
        streams = {"stdin": follower, "stdout": follower, "stderr": follower}
        self._process = subprocess.Popen(START[shell], env=environment, start_new_session=True, **streams)  # type: ignore[call-overload]
        os.close(follower)
        self.type(SET_UP[shell])
        self.read_until(READY)

    def type(self, keys: str) -> None:
        os.write(self._leader, keys.encode())

    def read_until(self, *words: str) -> str:
        """What the terminal prints until all these words were printed."""
        shown, end = b"", time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            if select.select([self._leader], [], [], 0.2)[0]:
                shown += os.read(self._leader, 65536)
            text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode(errors="replace"))
            if all(word in text for word in words):
                return text
        raise AssertionError(f"{words} did not come: {shown!r}")

    def close(self) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        os.close(self._leader)


def needs(shell: str) -> pytest.MarkDecorator:
    # The bash of macOS is older than 4.4.
    missing = shutil.which(shell) is None or (shell == "bash" and sys.platform == "darwin")
    return pytest.mark.skipif(missing, reason=f"{shell} is not installed, or too old")


@pytest.mark.parametrize("shell", [pytest.param(one, marks=needs(one)) for one in ("bash", "zsh")])
def test_a_shell_shows_names_beside_ids_and_inserts_what_is_meant(
    shell: str, environment: dict[str, str]
) -> None:
    terminal = Terminal(shell, environment)
    try:
        terminal.type("exptrack show \t\t")
        shown = terminal.read_until("narrow", "wild", "wide net")
        beside = r"\b([0-9a-z]{4,16})\s+(?:\(|-- )(narrow|wild|wide net)\)?"
        assert {name for _id, name in re.findall(beside, shown)} == {"narrow", "wild", "wide net"}
        terminal.type(KILL_LINE)
        terminal.type("exptrack show nar\t")
        terminal.read_until("exptrack show narrow")
        terminal.type(KILL_LINE)
        terminal.type("exptrack history narrow val/l\t")
        terminal.read_until("history narrow val/loss")
        terminal.type(KILL_LINE)
        terminal.type("exptrack show wid\t\n")  # the blank in the name is quoted, so the run is found
        terminal.read_until("wide\\ net", "size study")
        terminal.type("exptrack ls --tag phase:t\t\n")
        terminal.read_until("phase:two", "narrow")
    finally:
        terminal.close()


@needs("fish")
def test_fish_shows_names_beside_ids_and_inserts_what_is_meant(environment: dict[str, str]) -> None:
    def complete(line: str) -> list[list[str]]:
        script = f"exptrack completion fish | source; complete --do-complete {line!r}"
        done = subprocess.run(
            ["fish", "--no-config", "-c", script], env=environment, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return [row.split("\t") for row in done.stdout.splitlines()]

    assert {told for _id, told in complete("exptrack show ")} >= {"narrow", "wild", "wide net"}
    assert [word for word, _told in complete("exptrack history narrow val/l")] == ["val/loss"]
    assert [word for word, _told in complete("exptrack ls --tag ph")] == ["phase:two"]


@pytest.mark.parametrize(
    ("line", "open_quote"),
    [("a 'b c", True), ("a 'b c'", False), ("a \"it's", True), ("a it\\'s", False), ("a 'b' \"c\\\" d", True)],
)
def test_an_open_quote_is_seen(line: str, open_quote: bool) -> None:
    assert shells.ends_in_quotes(line) is open_quote


# What is offered


def offered(lab: Path, line: Sequence[str], incomplete: str = "") -> dict[str, str | None]:
    found = shells._Bash(main, {}, "exptrack", "X").get_completions(["--db", str(lab), *line], incomplete)
    return {item.value: item.help for item in found}


@pytest.mark.parametrize(
    ("line", "incomplete", "words"),
    [
        (
            "history latest~1",
            "",
            {"val/accuracy": "last 0.5", "val/loss": "last 0.5", "train loss": "last 0.25"},
        ),
        ("best", "val/l", {"val/loss": "3 runs"}),
        ("watch --metric", "t", {"train loss": "3 runs"}),
        ("ls --tag", "p", {"paper": "1 run", "phase:two": "1 run"}),
        ("ls --group", "", {"size study": "3 runs"}),
        ("tag narrow", "it", {"it's": "1 run"}),
        ("tag --where has_nan", "it", {"it's": "1 run"}),
        ("groups val/loss", "optim", {"optim.lr": "3 runs"}),
        ("set narrow", "", {"score=": "3 runs"}),
        ("note narrow", "", {}),
        ("artifacts get narrow", "", {"weights.bin": "data, version 1"}),
        ("artifacts rm wild", "w", {"weights.bin": "data, version 1"}),
        ("sweep show", "", {"lr search": "1 trial"}),
        ("sweep show 'lr search' --slice", "", {"lr": "1 run", "optim.lr": "3 runs"}),
        ("ls --columns", "name,config.optim", {"name,config.optim.lr": "field"}),
        ("ls --order", "metrics.val/a", {"metrics.val/accuracy": "field"}),
        ("show", "narr", {"narrow": ...}),
        ("show", "lat", {"latest": "the run that started last"}),
        ("show no/such/", "", None),
    ],
)
def test_each_word_is_completed_by_what_is_in_the_archive(
    lab: Path, line: str, incomplete: str, words: dict[str, object] | None
) -> None:
    import shlex

    found = offered(lab, shlex.split(line), incomplete)
    if words is None:
        assert found == {}
        return
    assert set(found) >= set(words)
    assert all(word.startswith(incomplete) for word in found)
    for word, told in words.items():
        assert told is ... or found[word] == told, word
    if not words:
        assert found == {}


def test_runs_are_offered_by_short_ids_that_mean_them(lab: Path) -> None:
    for short, name in offered(lab, ["show"]).items():
        assert len(short) < 16
        assert f"name         {name}" in call(lab, "show", short).stdout or name == "completed"
    assert offered(lab.parent / "none.db", ["show"]) == {}
    assert not (lab.parent / "none.db").exists()


def test_bash_gets_bare_words_where_it_puts_them_into_the_line(
    lab: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(line: str, kind: str = "63", breaks: str = " \"'=:") -> list[str]:
        for name, value in (("COMP_WORDS", line), ("COMP_TYPE", kind), ("COMP_WORDBREAKS", breaks)):
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("COLUMNS", "60")
        return shells._Bash(main, {}, "exptrack", "X").complete().splitlines()

    monkeypatch.setenv("EXPTRACK_DB", str(lab))
    assert answer("exptrack ls --tag p") == ["plain,paper      (1 run)", "plain,phase:two  (1 run)"]
    assert answer("exptrack ls --tag p", "37") == ["plain,paper", "plain,phase:two"]
    assert answer("exptrack ls --tag phase:t") == ["plain,two"], "bash cuts words at the colon"
    assert answer("exptrack ls --tag phase:t", breaks=" ") == ["plain,phase:two"]
    assert answer("exptrack ls --tag it") == ["plain,it\\'s"]
    assert answer("exptrack best 'train ") == ["plain,train loss"], "the blank is in quotes"
    assert answer("exptrack best 'train l") == ["plain,train loss"], "in quotes no blank is escaped"


# What would steer the terminal


SHELLS = ["bash", "zsh", "fish"]
STEERING = ["\x9b31m", "\x1b[31m", "\x1b]0;title\x07", "\u202eevil", "a\nplain,b", "a\rb", "\ud800"]


def answer_of(shell: str, line: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """What the program prints when a shell asks it to complete a line that ends in a blank."""
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", "" if shell == "fish" else str(len(line.split())))
    monkeypatch.setenv("COMP_TYPE", "63")
    kind = get_completion_class(shell)
    assert kind is not None
    return kind(main, {}, "exptrack", "X").complete()


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    "line", ["ls --tag", "ls --group", "show", "history latest~1", "groups loss", "sweep show"]
)
def test_no_name_of_an_archive_steers_the_terminal(
    shell: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "c1.db"
    monkeypatch.setenv("EXPTRACK_DB", str(path))
    with Archive(path) as archive:
        config = {"lr": 1, "k\x9b2J": 1, "\u202ek": 1}
        with archive.start_run(config, ["fine", "\x9b2J", "\u202et"], name="\x9b31m", group="g\x9b2J") as run:
            run.log({"loss": 1.0, "m\x9b2J": 1.0, "\u202em": 1.0}, 0)
        with archive.start_run(config, ["fine"], name="fine", group="fine group"):
            pass
        sampler = Sampler.random(seed=1)
        for name in ("fine", "\u202estudy"):
            archive.create_study(name, sampler=sampler)
    with Archive(path) as archive:
        shown = answer_of(shell, f"exptrack {line} ", monkeypatch)
        assert shown, "what steers nothing is offered all the same"
        assert all(part.isprintable() for row in shown.split("\n") for part in row.split("\t"))
        if line == "show":
            assert archive.shorten_ids([run.run_id])[run.run_id] in shown, "a run is still offered by its id"
            assert "\\x9b31m" in shown, "the help beside it is written as in a table"


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("text", STEERING)
def test_a_word_that_would_be_escaped_is_not_offered_and_its_help_is_escaped(
    shell: str, text: str, lab: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @offering
    def offer(archive: Archive, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        return [
            CompletionItem(text, help="left out"),
            CompletionItem("kept", help=text),
            CompletionItem("bare"),
        ]

    command = click.Command("show", params=[click.Argument(["word"], shell_complete=offer)])
    monkeypatch.setitem(main.load(), "show", command)
    monkeypatch.setenv("EXPTRACK_DB", str(lab))
    shown = answer_of(shell, "exptrack show ", monkeypatch)
    assert all(part.isprintable() for row in shown.split("\n") for part in row.split("\t"))
    assert "left out" not in shown
    assert "kept" in shown
    assert "bare" in shown
    assert text.encode("unicode_escape", "surrogatepass").decode("ascii") in shown


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("given", [{}, {"COMP_CWORD": "1"}, {"COMP_WORDS": "exptrack "}])
def test_who_asks_without_a_line_is_told_so(
    shell: str, given: dict[str, str], environment: dict[str, str]
) -> None:
    asked = environment | {"_EXPTRACK_COMPLETE": f"{shell}_complete"} | given
    done = subprocess.run(
        [sys.executable, "-m", "exptrack"], env=asked, capture_output=True, text=True, timeout=60
    )
    if shell == "bash" and "COMP_WORDS" in given:  # it needs no more
        assert (done.returncode, done.stderr) == (0, "")
        return
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("exptrack: only the script of 'exptrack completion SHELL'")


@pytest.mark.parametrize("columns", ["", "wide", "-3", "0"])
def test_any_width_of_the_terminal_will_do(columns: str, lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPTRACK_DB", str(lab))
    monkeypatch.setenv("COLUMNS", columns)
    assert "plain,paper" in answer_of("bash", "exptrack ls --tag ", monkeypatch)
