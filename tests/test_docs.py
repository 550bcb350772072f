"""The pages of docs/: the schema's is current, and the filters' names every word of the language."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from exptrack.filters import ATTRIBUTES, CONFIG_ROOTS, STATISTICS, parse_filter, parse_order

ROOT = Path(__file__).parent.parent
FILTERS = (ROOT / "docs" / "filters.md").read_text(encoding="utf-8")
SCHEMA = (ROOT / "docs" / "schema.md").read_text(encoding="utf-8")


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
