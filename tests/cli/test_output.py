"""Output besides tables: JSON, plain text in a pipe, progress bars."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from exptrack import Archive
from exptrack.cli import output
from tests.cli.calls import HOSTILE, MARKUP, call, shell


def test_json_writes_nan_and_infinities_as_text_and_times_as_iso(lab: Path) -> None:
    failed = json.loads(call(lab, "ls", "--json", "--status", "failed").stdout)[0]
    assert failed["metrics"] == {"loss": "NaN", "peak": "Infinity"}
    assert failed["started_at"].endswith("Z")
    detail = json.loads(call(lab, "show", failed["run_id"], "--json").stdout)
    assert detail["summary"]["name"] == MARKUP
    assert detail["config"] == {"note": HOSTILE}
    assert "too hot" in detail["traceback"]


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


def test_json_spells_out_what_it_cannot_hold(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    output.print_json({"a\ud800": ["ü", "\udfff"]})
    assert json.loads(capfdbinary.readouterr().out) == {"a\\ud800": ["ü", "\\udfff"]}


class Terminal(io.TextIOWrapper):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("stream", "shown"), [(Terminal, b"a\\x1b[2J\\x9bm\tb\n"), (io.TextIOWrapper, None)])
def test_a_document_steers_no_terminal_and_reaches_a_pipe_unchanged(
    stream: type[io.TextIOWrapper], shown: bytes | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = "a\x1b[2J\x9bm\tb\n"
    out = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", stream(out, encoding="utf-8"))
    output.print_document(document)
    assert out.getvalue() == (shown or document.encode())


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("patience_s", "seen"), [(-1.0, True), (1e9, False)])
def test_a_bar_appears_only_after_a_while_and_only_for_people(
    monkeypatch: pytest.MonkeyPatch, patience_s: float, seen: bool
) -> None:
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr(output, "PATIENCE_S", patience_s)
    monkeypatch.setenv("TERM", "xterm")
    with output.show_progress("storing") as update:
        assert update is not None
        for done in range(0, 101, 10):
            update(done, 100)
    assert ("storing" in screen.getvalue()) is seen
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with output.show_progress("storing") as update:
        assert update is None
