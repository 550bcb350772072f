"""Runs in a terminal: columns are dropped before words are cut."""

from __future__ import annotations

import io
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from exptrack import Archive, RunStatus, RunSummary, Trial
from exptrack.terminal.runs import print_fields, print_runs
from tests.cli.calls import call


@pytest.mark.parametrize("width", [60, 80, 100, 200])
def test_a_narrow_terminal_loses_columns_before_words(lab: Path, width: int) -> None:
    """Runs stay readable: id, status and a metric are whole at every usual width."""
    from rich.console import Console

    from exptrack import RunFilter

    out = io.StringIO()
    with Archive(lab) as archive:
        console = Console(file=out, width=width, force_terminal=True, color_system=None, markup=False)
        print_runs(console, archive.list_runs(RunFilter.by_group("sweep")), metrics=["acc", "loss"])
    lines = out.getvalue().splitlines()
    said = ["2 more columns: --columns, or a wider terminal"] if width == 60 else []
    assert lines[4:] == said, "a heading, a rule and a line a run"
    assert "…" not in out.getvalue()
    assert "completed" in lines[2]
    assert "acc" in lines[0]


def test_where_there_is_little_room_the_column_of_nan_tells_only_the_step(lr_lab: Path) -> None:
    from rich.console import Console

    with Archive(lr_lab) as archive:
        found = archive.list_runs()
        nans = archive.nan_steps(found)
    for width, said in ((200, "loss from step 20"), (70, "step 20")):
        out = io.StringIO()
        console = Console(file=out, width=width, force_terminal=True, color_system=None, markup=False)
        print_runs(console, found, nans, metrics=["val/acc", "loss"])
        (line,) = [one for one in out.getvalue().splitlines() if "step 20" in one]
        assert said in line
        assert ("loss from" in line) == (width == 200)


def test_columns_that_have_no_room_get_a_line_a_value_and_nothing_is_cut(lr_lab: Path) -> None:
    from rich.console import Console

    with Archive(lr_lab) as archive:
        found = [
            (run, list(values.values())) for run, values in archive.runs().values("fingerprint, config_hash")
        ]
    for width, heads in ((40, len(found)), (200, 1)):
        out = io.StringIO()
        console = Console(file=out, width=width, force_terminal=True, color_system=None)
        print_fields(console, ["fingerprint", "config_hash"], found)
        assert out.getvalue().count("fingerprint") == heads
        shown = "".join(out.getvalue().split())
        for run, (fingerprint, _hash) in found:
            assert run.run_id in shown
            assert fingerprint[:16] in shown


def test_a_running_run_took_the_time_until_now(tmp_path: Path) -> None:
    from rich.console import Console

    def took(record: RunSummary) -> str:
        out = io.StringIO()
        print_runs(Console(file=out, width=200, color_system=None), [record], metrics=[])
        return out.getvalue()

    with Archive(tmp_path / "lab.db") as archive, archive.start_run():
        (record,) = archive.list_runs()
    heard = datetime.now(UTC) - timedelta(seconds=20)
    running = record._replace(status=RunStatus.RUNNING, heartbeat_at=heard, duration_s=3590.0)
    assert "1 h 00 min" in took(running)
    silent = running._replace(heartbeat_at=heard - timedelta(hours=5))
    assert "1 h 00 min" not in took(silent), "its process may have ended"


def machine_lab(path: Path, *, study: bool = False) -> Path:
    """An archive with a run that logs much, most of it about its machine."""
    names = ["system/cpu_percent", "system/memory_used_bytes", "epoch", "lr", "train/loss", "train/accuracy"]
    names += ["val/loss", "test/top5", *(f"layer{number}/norm" for number in range(20))]
    with Archive(path) as archive:
        if study:
            made = archive.create_study("s", "minimize", metric="layer7/norm")

            def objective(trial: Trial) -> float:
                trial.run.log(dict.fromkeys(names, 2.5e9), 0)
                return 1.0

            made.optimize(objective, 1)
        else:
            with archive.start_run(name="wide") as run:
                run.log(dict.fromkeys(names, 2.5e9), 0)
    return path


def lines_of(db: Path, *words: str) -> list[str]:
    """The lines that a command prints on a terminal."""
    terminal = {"FORCE_COLOR": "1", "COLUMNS": "120", "TERM": "xterm"}
    return re.sub(r"\x1b\[[0-9;]*m", "", call(db, *words, env=terminal).stdout).splitlines()


def test_lists_of_runs_show_what_tells_most_and_never_the_machine_unless_asked(tmp_path: Path) -> None:
    lab = machine_lab(tmp_path / "lab.db")
    shown = call(lab, "ls").stdout.splitlines()
    assert shown[0].split()[:8] == "run status name started took val/loss test/top5 train/accuracy".split()
    assert shown[-1] == "18 more columns: --columns"
    assert "system/" not in call(lab, "ls").stdout
    assert "system/" not in call(lab, "compare", "latest", "latest").stdout
    assert "2 system metrics not shown: --system" in call(lab, "compare", "latest").stdout
    for words in (("show", "latest"), ("diff", "latest", "wide"), ("compare", "latest")):
        assert "system/" not in call(lab, *words).stdout, words
        full = call(lab, *words, "--system").stdout
        assert "system/memory_used_bytes" in full, words
        assert "2.5 GB" in full
        assert "not shown" not in full
    listed = call(lab, "show", "latest").stdout.partition("Metrics\n")[2].splitlines()[1:4]
    assert [line.split()[0] for line in listed] == ["val/loss", "test/top5", "train/accuracy"]


def test_the_objective_of_a_study_comes_first_and_so_does_what_orders_the_runs(tmp_path: Path) -> None:
    lab = machine_lab(tmp_path / "lab.db", study=True)
    assert lines_of(lab, "ls")[0].split()[:6] == "run status name started took layer7/norm".split()
    ordered = call(lab, "ls", "--order", "-metrics.layer3/norm.max,metrics.lr,-started").stdout.splitlines()[0]
    assert ordered.split()[5:8] == ["layer3/norm.max", "lr", "layer7/norm"]
    quoted = call(lab, "ls", "--order", '-metrics."layer3/norm".max').stdout.splitlines()[0]
    assert '"layer3/norm".max' in quoted


def test_a_terminal_gets_short_ids_that_mean_the_runs_and_a_pipe_whole_ones(lr_lab: Path) -> None:
    whole = [line.split()[0] for line in call(lr_lab, "ls").stdout.splitlines()[1:5]]
    assert {len(one) for one in whole} == {16}
    for words in (("ls",), ("ls", "--columns", "name"), ("top", "config.lr"), ("best", "loss", "--min")):
        found = [line.split()[0] for line in lines_of(lr_lab, *words)[2:] if re.match(r"[0-9a-z]{4,7}  ", line)]
        assert len(found) >= 2, words
        with Archive(lr_lab) as archive:
            assert {archive.get_run(one).run_id for one in found} <= set(whole)
