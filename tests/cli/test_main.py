"""The group of commands: help, errors and exit codes, missing and foreign files, completion."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import click
import pytest

import exptrack
from exptrack import Archive
from exptrack.cli import main
from exptrack.cli.main import HOMES
from tests.cli.calls import HOSTILE, call, ids, shell

main.load()
WITHOUT_JSON = {"completion", "run", "tui"}  # a script prints what it prints


def every_command(group: click.Group = main, before: str = "") -> Iterator[tuple[str, click.Command]]:
    """All commands with their whole names, those inside groups included."""
    for name, command_ in group.commands.items():
        yield before + name, command_
        if isinstance(command_, click.Group):
            yield from every_command(command_, f"{before}{name} ")


COMMANDS = dict(every_command())


def test_each_command_is_where_the_table_of_files_says_and_no_other_file_is_imported() -> None:
    assert list(main.load()) == main.list_commands(click.Context(main))
    for home, names in HOMES.items():
        for name in names.split():
            assert getattr(main.commands[name].callback, "__module__", "") == f"exptrack.cli.{home}"
    code = "import sys; from exptrack.cli import main; main(['config', '-h'], standalone_mode=False)"
    code += "; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    imported = {name.removeprefix("exptrack.cli.") for name in done.stdout.split()}
    assert imported & set(HOMES) == {"config"}


@pytest.mark.parametrize(("name", "spoken"), list(COMMANDS.items()), ids=list(COMMANDS))
def test_every_command_is_explained_with_an_example(name: str, spoken: click.Command) -> None:
    """Each command and option has a help text; each command shows how it is called."""
    assert spoken.help
    for option in (p for p in spoken.params if isinstance(p, click.Option)):
        assert option.help, option.name
    assert call(None, *name.split(), "--help").exit_code == 0
    if not isinstance(spoken, click.Group):
        assert f"Example: exptrack {name}" in " ".join(spoken.help.split())
        assert any(p.name == "as_json" for p in spoken.params) or name in WITHOUT_JSON


@pytest.mark.parametrize("group", ["", "config", "artifacts", "sweep"])
def test_a_group_lists_its_commands_with_whole_sentences(group: str) -> None:
    listed = call(None, *group.split(), "--help").stdout.partition("Commands:")[2].splitlines()
    lines = [line for line in listed if line.strip()]
    assert len(lines) >= 5
    assert [line for line in lines if line.endswith("...") or not line.endswith(".")] == []


@pytest.mark.parametrize(
    ("name", "usage"),
    [
        ("rm", "[RUNS]..."),
        ("tag", "[RUN] TAG..."),
        ("watch", "[RUNS]..."),
        ("sweep run", "FILE -- COMMAND..."),
        ("sweep resume", "NAME [-- COMMAND...]"),
    ],
)
def test_a_usage_line_tells_which_words_are_needed_and_which_repeat(name: str, usage: str) -> None:
    first = call(None, *name.split(), "--help").stdout.splitlines()[0]
    assert first.endswith(f" {name} [OPTIONS] {usage}")


def test_the_package_runs_as_the_command() -> None:
    done = subprocess.run([sys.executable, "-m", "exptrack", "--help"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Usage: exptrack [OPTIONS] COMMAND")


def test_the_version_is_the_library_version() -> None:
    assert call(None, "--version").stdout.strip().endswith(exptrack.__version__)


def test_hostile_words_are_shown_as_text_only(lab: Path) -> None:
    """Neither markup nor control sequences from the archive reach the terminal."""
    failed, good, _ = ids(lab)
    call(lab, "tag", good, "[bold]t[/bold]")
    call(lab, "note", good, HOSTILE)
    outputs = [
        call(lab, *words).stdout
        for words in (
            ("ls",),
            ("show", failed),
            ("show", good),
            ("diff", failed, good),
            ("best", "acc", "--max"),
            ("sql", "SELECT r.reason, c.value FROM runs AS r JOIN configs AS c USING (run_id)"),
            ("sql", 'SELECT 1 AS "a\x1b[31m[red]b"'),
        )
    ]
    for output in outputs:
        assert not set(output) & {"\x1b", "\x07", "\u202e"}
    assert "[red]x[/red]" in outputs[0]
    assert "[bold]t[/bold]" in outputs[0]


@pytest.mark.parametrize(
    "words",
    [
        ("ls",),
        ("show", "1k3"),
        ("diff", "1", "2"),
        ("best", "acc", "--max"),
        ("tag", "1", "x"),
        ("note", "1", "x"),
        ("rm", "1", "--yes"),
        ("sql", "SELECT 1"),
        ("info",),
        ("verify",),
    ],
)
def test_a_missing_file_is_an_error_and_stays_missing(tmp_path: Path, words: tuple[str, ...]) -> None:
    for extra in ((), ("--json",)):
        result = call(tmp_path / "none.db", *words, *extra)
        assert result.exit_code == 11
        assert result.stdout == ""
        assert result.stderr.startswith("exptrack: ")
    assert call(None, *words).exit_code == 11, "the default file is not made either"
    assert list(tmp_path.iterdir()) == []


def test_where_a_spool_is_set_the_missing_default_archive_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EXPTRACK_SPOOL", "runs")
    for command in (["ls"], ["ui", "--no-browser"]):
        told = call(None, *command)
        assert (told.exit_code, told.stdout) == (11, "")
        assert "bring its runs together by 'exptrack merge OUT runs'" in told.stderr
    with exptrack.Archive("exptrack.db"):
        pass
    assert call(None, "ls").exit_code == 0


def test_a_foreign_file_is_refused_and_left_alone(tmp_path: Path) -> None:
    foreign = tmp_path / "notes.txt"
    foreign.write_text("shopping list, and enough other words to be longer than a header " * 20)
    before = foreign.read_bytes()
    assert call(foreign, "ls").exit_code == 12
    assert foreign.read_bytes() == before
    assert 10 <= call(tmp_path, "ls").exit_code < 30, "a folder is not an archive"


def test_unknown_and_ambiguous_runs_have_their_exit_codes(lab: Path) -> None:
    assert call(lab, "show", "zzzz").exit_code == 31
    assert call(lab, "show", ids(lab)[0][:1]).exit_code == 32


def test_reading_falls_back_to_read_only(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An archive that cannot be opened for writing is read; a writing command says why not."""

    def open_archive(path: Any, *, mode: str = "rw", **_: Any) -> Archive:
        if mode == "rw":
            raise exptrack.ArchiveReadOnlyError("cannot write here", path=str(path))
        return Archive(path, mode=mode)

    run = ids(lab)[0]
    monkeypatch.setattr(import_module("exptrack.cli.main"), "Archive", open_archive)
    assert run in call(lab, "ls").stdout
    refused = call(lab, "note", run, "x")
    assert refused.exit_code == 15
    assert refused.stderr == "exptrack: cannot write here\n"


def test_ctrl_c_exits_130_without_words(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_args: Any, **_options: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(import_module("exptrack.cli.main"), "Archive", interrupted)
    assert call(lab, "ls").exit_code == 130


@pytest.mark.parametrize(
    ("word", "command"),
    [("list", "ls"), ("runs", "ls"), ("delete", "rm"), ("remove", "rm"), ("plot", "history"), ("query", "sql")],
)
def test_words_of_other_tools_mean_a_command_and_are_not_listed(word: str, command: str) -> None:
    meant = call(None, command, "--help").stdout.partition("\n")[2]
    assert call(None, word, "--help").stdout.partition("\n")[2] == meant
    assert word not in main.list_commands(click.Context(main))
    assert call(None, "sweep", "list", "--help").exit_code == 0, "in groups too"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["histroy"], "did you mean 'history'?"),
        (["delet"], "did you mean 'rm'?"),
        (["export"], "'extract' copies runs to an archive, 'report' makes a page"),
        (["log"], "'history RUN' draws the metrics that a run has logged"),
        (["search"], "'ls --where FILTER' lists the runs that match"),
        (["import"], "'merge' brings other archives into one"),
        (["frobnicate"], "'main --help' lists them"),
        (["sweep", "histroy"], "'main sweep --help' lists them"),
        (["sweep", "sow"], "did you mean 'show'?"),
    ],
)
def test_an_unknown_command_names_what_may_be_meant(words: list[str], said: str) -> None:
    done = call(None, *words)
    assert done.exit_code == 2
    assert f"there is no command '{words[-1]}'; {said}" in " ".join(done.stderr.split())


def numeric_options(group: click.Group, *way: str) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """The command, the option and the kind of number of each option that takes one."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from numeric_options(command, *way, name)
            continue
        for option in command.params:
            if isinstance(option, click.Option) and option.type.name.split()[0] in ("integer", "float"):
                yield (*way, name), option.opts[-1], option.type.name.split()[0]


def test_each_option_says_of_what_is_no_number_that_it_is_none() -> None:
    found = list(numeric_options(main))
    assert {"--limit", "--step", "--jobs", "--port", "--smooth", "--timeout"} <= {
        name for _way, name, _kind in found
    }
    for way, option, kind in found:
        words = "a whole number" if kind == "integer" else "a number"
        for given in ("abc", "", "1\x1b[2J"):
            done = call(None, *way, option, given)
            assert done.exit_code == 2
            assert f"{given!r} is not {words}" in " ".join(done.stderr.split()), way
    done = call(None, "ls", "--limit", "9" * 10_000)
    assert (done.exit_code, len(done.stderr) < 1_000) == (2, True)


def test_a_reader_that_leaves_early_is_no_error(lab: Path) -> None:
    # More than a pipe holds, in each style.
    script = "exptrack sql 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 20000)"
    for style in ("", "--csv", "--json"):
        done = shell(lab, f"{script} SELECT i FROM n' --max-rows 20000 {style} | head -1")
        assert done.returncode == 0
        assert done.stderr == ""


@pytest.mark.parametrize("words", ["ls", "ls --json", "sql 'SELECT 1' --csv"])
def test_output_that_finds_no_room_is_a_sentence(lab: Path, words: str) -> None:
    done = shell(lab, f"exptrack {words} > /dev/full")
    assert done.returncode == 21
    assert done.stderr == "exptrack: cannot write the output: No space left on device\n"


def test_errors_of_the_process_go_to_stderr_with_the_code(lab: Path) -> None:
    done = shell(lab, "exptrack show zzzz")
    assert done.returncode == 31
    assert done.stdout == ""
    assert done.stderr.startswith("exptrack: ")
    assert "Traceback" not in done.stderr
