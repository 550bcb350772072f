"""The command line: what it prints for people and programs, what it refuses, and how it exits."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import sqlite3
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

import exptrack
from exptrack import Archive
from exptrack.cli import command, main

MARKUP = "[red]x[/red] [link=http://x]y"  # names and tags admit no control characters; the rest does
HOSTILE = "[red]x[/red] \x1b[31mred\x1b[0m \x07 \u202ereversed [link=http://x]y"
WITHOUT_JSON = {"completion"}


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Path]:
    """An archive with two completed runs, a failed one with NaN, and hostile words."""
    path = tmp_path / "lab.db"
    with Archive(path) as archive:
        for lr, acc in ((0.1, 0.8), (0.01, 0.9)):
            config = {"model": {"kind": "mlp"}, "optim": {"lr": lr}, "seed": 1}
            with archive.start_run(config, ["baseline"], name=f"lr{lr}", group="sweep") as run:
                for step in range(3):
                    run.log({"acc": acc - 0.1 * (2 - step), "loss": 1.0 - acc}, step)
                run.artifacts.register_data("weights.bin", b"w" * 4000)
        odd = archive.start_run({"note": HOSTILE}, ["odd"], name=MARKUP)
        with pytest.raises(ValueError, match="too hot"), odd as run:
            run.log({"loss": math.nan, "peak": math.inf}, 0)
            raise ValueError(f"too hot {HOSTILE}")
    yield path
    with Archive(path) as archive:
        assert archive.verify().problems == ()


def call(db: Path | None, *words: str, **options: Any) -> Result:
    """Run one command in this process; no call may end in a traceback."""
    head = [] if db is None else ["--db", str(db)]
    result = CliRunner().invoke(main, [*head, *words], **options)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.stderr
    return result


def ids(db: Path) -> list[str]:
    """Run ids, newest first: failed, lr 0.01, lr 0.1."""
    return [run["run_id"] for run in json.loads(call(db, "ls", "--json").stdout)]


def every_command(group: click.Group = main, before: str = "") -> Iterator[tuple[str, click.Command]]:
    """All commands with their whole names, those inside groups included."""
    for name, command_ in group.commands.items():
        yield before + name, command_
        if isinstance(command_, click.Group):
            yield from every_command(command_, f"{before}{name} ")


COMMANDS = dict(every_command())


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


def test_the_package_runs_as_the_command() -> None:
    done = subprocess.run([sys.executable, "-m", "exptrack", "--help"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Usage: exptrack [OPTIONS] COMMAND")


def test_the_version_is_the_library_version() -> None:
    assert call(None, "--version").stdout.strip().endswith(exptrack.__version__)


def test_ls_filters_and_limits(lab: Path) -> None:
    assert len(ids(lab)) == 3
    for words, count in (
        (("--status", "failed"), 1),
        (("--tag", "baseline"), 2),
        (("--tag", "baseline", "--tag", "odd"), 0),
        (("--group", "sweep"), 2),
        (("--after", "2001-01-01"), 3),
        (("--before", "2001-01-01"), 0),
        (("-n", "1"), 1),
    ):
        assert len(json.loads(call(lab, "ls", "--json", *words).stdout)) == count, words
    assert "lr0.01" in call(lab, "ls", "--tag", "baseline").stdout


def test_a_bad_date_or_option_is_a_sentence(lab: Path) -> None:
    bad_date = call(lab, "ls", "--after", "yesterday")
    assert bad_date.exit_code == 50
    assert bad_date.stderr.startswith("exptrack: ")
    assert bad_date.stdout == ""
    assert call(lab, "ls", "-n", "0").exit_code == 2
    assert call(lab, "ls", "--status", "happy").exit_code == 2


def test_json_writes_nan_and_infinities_as_text_and_times_as_iso(lab: Path) -> None:
    failed = json.loads(call(lab, "ls", "--json", "--status", "failed").stdout)[0]
    assert failed["metrics"] == {"loss": "NaN", "peak": "Infinity"}
    assert failed["started_at"].endswith("Z")
    detail = json.loads(call(lab, "show", failed["run_id"], "--json").stdout)
    assert detail["summary"]["name"] == MARKUP
    assert detail["config"] == {"note": HOSTILE}
    assert "too hot" in detail["traceback"]


def test_show_prints_every_section(lab: Path) -> None:
    failed, good, _ = ids(lab)
    call(lab, "note", good, "keep this one")
    shown = call(lab, "show", good).stdout
    for word in ("completed", "optim.lr", "0.01", "acc", "weights.bin", "4.0 kB", "keep this one", "baseline"):
        assert word in shown
    assert "too hot" in call(lab, "show", failed).stdout


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


def test_diff_names_the_changed_keys_and_metrics(lab: Path) -> None:
    _, b, a = ids(lab)
    shown = call(lab, "diff", a, b).stdout
    assert "optim.lr" in shown
    assert "changed" in shown
    assert "model.kind" not in shown
    found = json.loads(call(lab, "diff", a, b, "--json").stdout)
    source = {"kind": "code", "name": "dict", "line": 0}
    expected = {"key": "optim.lr", "change": "changed", "a": 0.1, "b": 0.01}
    assert found["config"] == [expected | {"source_a": source, "source_b": source}]
    assert {m["name"] for m in found["metrics"]} == {"acc", "loss"}


def test_best_ranks_in_the_direction_asked_for(lab: Path) -> None:
    _, b, a = ids(lab)
    for direction, first in (("--max", b), ("--min", a)):
        ranked = json.loads(call(lab, "best", "acc", direction, "--json").stdout)
        assert ranked[0]["run"]["run_id"] == first
    assert b in call(lab, "best", "acc", "--max", "--by", "max", "-n", "1").stdout
    assert call(lab, "best", "acc").exit_code == 2
    unknown = call(lab, "best", "accc", "--max")
    assert unknown.exit_code == 34
    assert "did you mean 'acc'" in unknown.stderr
    assert "no completed run" in call(lab, "best", "peak", "--max").stdout


def test_tags_and_notes_are_written(lab: Path) -> None:
    run = ids(lab)[1]
    assert json.loads(call(lab, "tag", run, "x", "y", "--json").stdout)["tags"] == ["baseline", "x", "y"]
    assert "y" not in json.loads(call(lab, "tag", run, "y", "--remove", "--json").stdout)["tags"]
    assert call(lab, "tag", run, "").exit_code == 50
    assert "1 note" in call(lab, "note", run, "remark").stdout
    assert json.loads(call(lab, "note", run, "again", "--json").stdout)["notes"] == 2


def test_rm_asks_first_and_reports_the_space(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failed, good, _ = ids(lab)
    refused = call(lab, "rm", failed)
    assert refused.exit_code == 50
    assert "--yes" in refused.stderr
    assert len(ids(lab)) == 3
    assert call(lab, "rm", failed, "nosuchrun", "--yes").exit_code == 31
    assert len(ids(lab)) == 3, "an unknown id deletes nothing"
    assert "smaller" in call(lab, "rm", failed, "--yes").stdout
    assert json.loads(call(lab, "rm", good, "-y", "--json").stdout)["runs"] == [good]


def test_sql_prints_tables_csv_and_json(lab: Path) -> None:
    query = "SELECT name, status FROM runs ORDER BY started_at"
    assert "lr0.1" in call(lab, "sql", query).stdout
    rows = list(csv.reader(io.StringIO(call(lab, "sql", query, "--csv").stdout)))
    assert rows[0] == ["name", "status"]
    assert rows[3][0] == MARKUP
    kept = call(lab, "sql", "SELECT text FROM configs WHERE key = 'note'", "--csv").stdout
    assert list(csv.reader(io.StringIO(kept)))[1] == [HOSTILE], "CSV is for programs: words stay as they are"
    found = json.loads(call(lab, "sql", query, "--json").stdout)
    assert found["rows"][0] == {"name": "lr0.1", "status": "completed"}
    cut = call(lab, "sql", query, "--json", "--max-rows", "1")
    assert json.loads(cut.stdout)["truncated"] is True
    assert "--max-rows" in cut.stderr


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO note VALUES (1, 9, 'x', 'x')",
        "DELETE FROM run",
        "UPDATE run SET name = 'x'",
        "DROP VIEW runs",
        "ATTACH 'other.db' AS other",
        "PRAGMA user_version = 9",
        "PRAGMA journal_mode = DELETE",
        "VACUUM INTO 'copy.db'",
        "SELECT load_extension('x')",
        "SELECT 1; DROP TABLE run",
        "SELECT * FROM nosuchtable",
        "SELEKT",
        "",
    ],
)
def test_sql_refuses_whatever_is_not_one_select(lab: Path, statement: str, tmp_path: Path) -> None:
    result = call(lab, "sql", statement)
    assert result.exit_code == 54
    assert result.stderr.startswith("exptrack: ")
    assert not (tmp_path / "other.db").exists()
    assert not (tmp_path / "copy.db").exists()
    assert len(ids(lab)) == 3


def test_sql_stops_at_its_time_limit(lab: Path) -> None:
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    assert call(lab, "sql", endless, "--timeout", "0.2").exit_code == 54


def test_info_counts_what_is_there(lab: Path) -> None:
    assert json.loads(call(lab, "info", "--json").stdout)["runs"] == {"completed": 2, "failed": 1}
    assert str(lab) in call(lab, "info").stdout


def test_verify_is_silent_about_nothing_and_exits_17_on_damage(lab: Path, tmp_path: Path) -> None:
    assert call(lab, "verify").exit_code == 0
    damaged = tmp_path / "damaged.db"
    with sqlite3.connect(lab) as source, sqlite3.connect(damaged) as copy:
        source.backup(copy)
        copy.execute("UPDATE metric_point SET value = 0.123 WHERE value > 0.5 AND value < 1")
    source.close()
    copy.commit()
    copy.close()
    result = call(damaged, "verify")
    assert result.exit_code == 17
    assert "problem" in result.stdout
    as_json = call(damaged, "verify", "--json")
    assert as_json.exit_code == 17
    assert json.loads(as_json.stdout)["problems"]


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

    def open_archive(path: Any, *, mode: str = "rw", create: bool = True) -> Archive:
        if mode == "rw":
            raise exptrack.ArchiveReadOnlyError("cannot write here", path=str(path))
        return Archive(path, mode=mode)

    run = ids(lab)[0]
    monkeypatch.setattr(command, "Archive", open_archive)
    assert run in call(lab, "ls").stdout
    refused = call(lab, "note", run, "x")
    assert refused.exit_code == 15
    assert refused.stderr == "exptrack: cannot write here\n"


def test_ctrl_c_exits_130_without_words(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_args: Any, **_options: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "Archive", interrupted)
    assert call(lab, "ls").exit_code == 130


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script(shell: str) -> None:
    assert "_EXPTRACK_COMPLETE" in call(None, "completion", shell).stdout


def test_run_ids_complete_and_errors_complete_to_nothing(lab: Path, tmp_path: Path) -> None:
    run = ids(lab)[0]
    parameter = main.commands["show"].params[0]
    for db, expected in ((lab, [run]), (tmp_path / "none.db", [])):
        ctx = click.Context(main)
        ctx.params["db"] = str(db)
        child = click.Context(main.commands["show"], parent=ctx)
        assert [item.value for item in parameter.shell_complete(child, run)] == expected


def shell(db: Path, script: str) -> subprocess.CompletedProcess[str]:
    """Run a shell script in which ``exptrack`` is the installed command's entry point."""
    command = f'"{sys.executable}" -c "from exptrack.cli import main; main()" --db "{db}"'
    root = str(Path(exptrack.__file__).parent.parent)
    environment = os.environ | {"PYTHONPATH": root}
    return subprocess.run(
        ["bash", "-c", f'exptrack() {{ {command} "$@"; }}; {script}'],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
    )


def test_piped_output_is_plain_and_never_cut(lab: Path) -> None:
    long_name = "n" * 300
    with Archive(lab) as archive, archive.start_run({}, name=long_name):
        pass
    done = shell(lab, "exptrack ls")
    assert done.returncode == 0
    assert long_name in done.stdout
    assert "\x1b" not in done.stdout
    assert "…" not in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize("width", [60, 80, 100, 200])
def test_a_narrow_terminal_loses_columns_before_words(lab: Path, width: int) -> None:
    """Runs stay readable: id, status and a metric are whole at every usual width."""
    from rich.console import Console

    from exptrack import RunFilter
    from exptrack.terminal import console as render

    out = io.StringIO()
    with Archive(lab) as archive:
        console = Console(file=out, width=width, force_terminal=True, color_system=None, markup=False)
        render.runs(console, archive.list_runs(RunFilter.by_group("sweep")))
    lines = out.getvalue().splitlines()
    assert len(lines) == 4, "a heading, a rule and a line a run"
    assert "…" not in out.getvalue()
    assert "completed" in lines[2]
    assert "acc" in lines[0]


def test_sql_too_wide_for_the_terminal_gets_a_line_a_value_and_nothing_is_cut(lab: Path) -> None:
    from rich.console import Console

    from exptrack.terminal import console as render

    with Archive(lab) as archive:
        wide = archive.sql("SELECT * FROM runs ORDER BY started_at LIMIT 2")
        narrow = archive.sql(
            "SELECT run_id, config_hash || config_hash AS long FROM runs ORDER BY started_at LIMIT 2"
        )
        long = archive.sql("SELECT fingerprint || config_hash FROM runs ORDER BY started_at LIMIT 2")
    for result, heads in ((wide, 2), (narrow, 1), (long, 2)):
        out = io.StringIO()
        render.sql_result(Console(file=out, width=80, force_terminal=True, color_system=None), result)
        shown = "".join(out.getvalue().split())
        assert "…" not in shown
        assert out.getvalue().count(result.columns[0][:11]) >= heads
        for row in result.rows:
            assert str(row[0])[:60] in shown


def test_diff_writes_truth_values_as_the_config_does(lab: Path) -> None:
    with Archive(lab) as archive:
        a, b = archive.start_run({"amp": True}), archive.start_run({"amp": False})
        a.complete()
        b.complete()
    words = next(line for line in call(lab, "diff", a.run_id, b.run_id).stdout.splitlines() if "amp" in line)
    assert words.split()[:3] == ["amp", "true", "false"]


def test_a_reader_that_leaves_early_is_no_error(lab: Path) -> None:
    script = "exptrack sql 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 50000)"
    for style in ("", "--csv", "--json"):
        done = shell(lab, f"{script} SELECT i FROM n' --max-rows 50000 {style} | head -1")
        assert done.returncode == 0
        assert done.stderr == ""


@pytest.mark.parametrize("words", ["ls", "ls --json", "sql 'SELECT 1' --csv"])
def test_output_that_finds_no_room_is_a_sentence(lab: Path, words: str) -> None:
    done = shell(lab, f"exptrack {words} > /dev/full")
    assert done.returncode == 21
    assert done.stderr == "exptrack: cannot write the output: No space left on device\n"


def test_sql_prints_in_one_way_at_a_time(lab: Path) -> None:
    done = call(lab, "sql", "SELECT 1", "--csv", "--json")
    assert done.exit_code == 2
    assert done.stdout == ""


def test_errors_of_the_process_go_to_stderr_with_the_code(lab: Path) -> None:
    done = shell(lab, "exptrack show zzzz")
    assert done.returncode == 31
    assert done.stdout == ""
    assert done.stderr.startswith("exptrack: ")
    assert "Traceback" not in done.stderr


def test_the_demo_trains_records_and_explains(tmp_path: Path) -> None:
    """One real demo: learning curves, verified archive, no pickles, and no warnings."""
    import numpy

    path = tmp_path / "demo.db"
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        result = call(path, "demo")
    assert [str(w.message) for w in heard if "sklearn" in str(w.filename)] == []
    assert result.exit_code == 0
    for word in ("best val_accuracy --max", "diff ", "SELECT", str(path), "Next:"):
        assert word in result.stdout
    assert "Warning" not in result.stderr
    with Archive(path) as archive:
        runs = archive.list_runs()
        assert len(runs) >= 12
        assert {run.group for run in runs} == {"digits"}
        assert len({run.family for run in runs}) < len(runs), "some configs differ by seed alone"
        best = archive.best_run("val_accuracy", "maximize")
        assert best is not None
        assert best.metrics["val_accuracy"] > 0.9
        (loss,) = [m for m in archive.show_run(best.run_id).metrics if m.name == "train_loss"]
        assert loss.count == 20
        assert loss.last < loss.first
        data = archive.artifacts(best.run_id).get_blob("model.npz")
        assert isinstance(data, bytes)
        with numpy.load(io.BytesIO(data), allow_pickle=False) as arrays:
            assert len(arrays.files) >= 2
        confusion = archive.artifacts(best.run_id).get_table("confusion")
        right = sum(int(confusion[f"taken for {digit}"][digit]) for digit in range(10))
        cells = [int(cell) for name, column in confusion.items() if name != "digit" for cell in column]
        assert right / sum(cells) == pytest.approx(best.metrics["val_accuracy"])
        assert "precision" in str(archive.artifacts(best.run_id).get_blob("report.txt"))
        assert archive.verify().problems == ()


def test_the_demo_without_scikit_learn_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("sklearn", "sklearn.datasets"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setenv("EXPTRACK_DB", "own.db")
    for words in ((), ("demo.db",)):
        result = call(None, "demo", "--json", *words)
        assert result.exit_code != 0
        assert "exptrack-archive[demo]" in result.stderr
    assert list(Path().iterdir()) == []
