"""Artifacts in a terminal: whole words at any width, long names folded, long chains drawn."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from exptrack import Archive
from exptrack.terminal.artifacts import format_spans, print_artifacts, print_lineage, print_storage
from tests.cli.artifact_lab import Lab


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    made = Lab(tmp_path)
    yield made
    with Archive(made.db) as archive:
        assert archive.verify().problems == ()


def drawn(width: int, draw: Any, *arguments: Any) -> list[str]:
    """What a person sees in a terminal so wide."""
    out = io.StringIO()
    draw(Console(file=out, width=width, force_terminal=True, color_system=None, markup=False), *arguments)
    return out.getvalue().splitlines()


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_narrow_terminal_loses_columns_of_artifacts_before_words(lab: Lab, width: int) -> None:
    with Archive(lab.db) as archive:
        records = archive.artifacts(lab.run).list_artifacts()
        storage, facts = archive.storage(), archive.info()
    for lines in (
        drawn(width, print_artifacts, records),
        drawn(width, print_artifacts, records, {a.name: 1 for a in records}),
        drawn(width, print_storage, storage, 2, facts),
    ):
        assert not any("…" in line or len(line) > width for line in lines)
        heads = lines[0].split()
        said = [line for line in lines if line.endswith("--json, or a wider terminal")]
        assert len(lines) - len(said) in (16, 5), "a heading, a rule and a line each"
        assert bool(said) == (width == 60)
        assert heads[:2] in (["name", "version"], ["name", "newest"], ["run", "name"])


def test_a_long_name_is_folded_and_never_cut(lab: Lab) -> None:
    name = "n" * 300
    with Archive(lab.db) as archive:
        run = archive.get_run(lab.run)
        run.artifacts.register_data(name, b"x")
        lines = drawn(80, print_artifacts, [run.artifacts.get_artifact(name)])
    assert "".join(line.split(" ")[0] for line in lines[2:-1]) == name
    assert lines[-1] == "1 more column: --json, or a wider terminal"


@pytest.mark.parametrize(
    ("numbers", "words"), [([], ""), ([4], "4"), ([1, 2], "1–2"), ([7, 1, 2, 3, 9, 10], "1–3, 7, 9–10")]
)
def test_numbers_in_a_row_are_a_range(numbers: list[int], words: str) -> None:
    assert format_spans(numbers) == words


def test_lineage_of_a_very_long_chain_is_drawn(lab: Lab) -> None:
    with Archive(lab.db) as archive:
        base = archive.lineage(lab.user)
    (use,) = base.upstream
    chain = tuple(use._replace(run_id=f"r{i}", from_run=f"r{i + 1}") for i in range(1500))
    lines = drawn(100, print_lineage, replace(base, subject="r0", upstream=chain, artifacts=()))
    assert "r1" in lines[1]
