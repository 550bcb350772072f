"""The command report writes a page, says what is in it, and ends with the code of what is wrong."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.cli.calls import call


def test_report_writes_a_page_and_says_how_large_it_is(seeds_lab: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.html"
    done = call(
        seeds_lab,
        "report",
        str(out),
        "--where",
        "config.lr = 0.1",
        "--where",
        "config.seed < 2",
        "--title",
        "Seeds",
    )
    assert done.exit_code == 0, done.stderr
    assert done.stdout.startswith(f"2 runs written to {out} (")
    page = out.read_text(encoding="utf-8")
    assert "<title>Seeds</title>" in page
    filters = re.findall(r"<code><bdi>(config[^<]*)</bdi></code>", page)
    assert filters == ["config.lr = 0.1", "config.seed &lt; 2"]


def test_report_prints_json_with_what_it_left_out(lab: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.html"
    done = call(lab, "report", str(out), "--metrics", "loss", "--metrics", "acc", "--json")
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["path"] == str(out)
    assert found["size_bytes"] == out.stat().st_size
    assert (found["runs"], found["metrics"], found["left_out"]) == (3, ["loss", "acc"], [])


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--where", "tag = nobody"), 30, "no run matches"),
        (("--where", "tag ="), 56, "expected a value"),
        (("--metrics", "los"), 34, "did you mean 'loss'"),
    ],
)
def test_a_report_that_cannot_be_made_makes_no_file(
    words: tuple[str, ...], code: int, said: str, lab: Path, tmp_path: Path
) -> None:
    done = call(lab, "report", str(tmp_path / "out.html"), *words)
    assert (done.exit_code, said in done.stderr) == (code, True), done.stderr
    assert not (tmp_path / "out.html").exists()


def test_report_replaces_nothing(lab: Path) -> None:
    before = lab.read_bytes()
    done = call(lab, "report", str(lab))
    assert done.exit_code == 59, done.stderr
    assert lab.read_bytes() == before
