"""The pages of docs/: the schema's is current, and the filters' names every word of the language."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from exptrack import load_sweep
from exptrack.query.conditions import ATTRIBUTES, CONFIG_ROOTS, STATISTICS
from exptrack.query.parser import parse_filter, parse_order
from exptrack.sweeps.algorithms import PRUNERS, SAMPLERS
from exptrack.sweeps.plan import DIRECTIONS, REDUCTIONS
from exptrack.sweeps.plan_file import FIELDS, TOP

ROOT = Path(__file__).parent.parent
FILTERS = (ROOT / "docs" / "filters.md").read_text(encoding="utf-8")
SCHEMA = (ROOT / "docs" / "schema.md").read_text(encoding="utf-8")
SWEEPS = (ROOT / "docs" / "sweeps.md").read_text(encoding="utf-8")


def test_the_page_of_the_schema_is_current() -> None:
    code = "import generate; import sys; sys.stdout.write(generate.page())"
    done = subprocess.run(
        [sys.executable, "-X", "utf8", "-c", code], cwd=ROOT / "docs", capture_output=True, check=True
    )
    assert done.stdout.decode() == SCHEMA, "python docs/generate.py writes it"


def test_the_page_of_the_schema_has_every_table_and_view_with_every_column() -> None:
    sql = (ROOT / "schema" / "0001_create_archive.sql").read_text(encoding="utf-8")
    names = re.findall(r"^CREATE (?:TABLE|VIEW) (\w+)", sql, re.MULTILINE)
    parts = dict(re.findall(r"^### (\w+)\n(.*?)(?=^##|\Z)", SCHEMA, re.MULTILINE | re.DOTALL))
    assert set(parts) == set(names)
    assert "`heartbeat_at` | text | when its process was last heard of" in parts["run"]
    assert "`duration_s` | any | of a running run" in parts["runs"]
    assert "`source_name` | text | file, relative" in parts["configs"], "a view tells what its table says"


def test_every_view_says_what_a_row_is() -> None:
    views = SCHEMA.split("## Views")[1].split("## Tables")[0]
    for part in views.split("### ")[1:]:
        name, _, rest = part.partition("\n\n")
        assert not rest.startswith("|"), name


@pytest.mark.parametrize("word", [*ATTRIBUTES, *CONFIG_ROOTS, *STATISTICS])
def test_the_page_of_filters_explains_every_field(word: str) -> None:
    assert re.search(rf"[`.]{word}[`.]", FILTERS)


def test_the_filters_of_the_page_are_filters() -> None:
    wheres = re.findall(r'--where "((?:[^"\\]|\\.)*)"', FILTERS)
    assert len(wheres) >= 7
    for where in wheres:
        parse_filter(where.replace('\\"', '"'))
    for order in re.findall(r"--order (\S+)", FILTERS):
        parse_order(order)
    parse_filter(FILTERS.split("```")[1])


@pytest.mark.parametrize(
    "word", [*TOP, *FIELDS, *DIRECTIONS, *REDUCTIONS, *SAMPLERS, *PRUNERS, "grid", "reduce"]
)
def test_the_page_of_sweeps_explains_every_word_of_the_file(word: str) -> None:
    assert f"`{word}`" in SWEEPS


def test_the_sweep_files_of_the_page_are_read(tmp_path: Path) -> None:
    (tmp_path / "config.sdn").write_text("seed: 1\n")
    found = re.findall(r"```sdn\n(.*?)```", SWEEPS, re.DOTALL)
    assert len(found) == 2
    for number, text in enumerate(found):
        file = tmp_path / f"{number}.sdn"
        file.write_text(text)
        assert len(load_sweep(file).space) >= 4


def test_the_script_of_the_page_runs_alone_too(tmp_path: Path) -> None:
    (tmp_path / "config.sdn").write_text("seed: 1\n")
    (script,) = re.findall(r"```python\n(.*?)```", SWEEPS, re.DOTALL)
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
