"""Tables that fit: words are folded, numbers never; what has no room is told or becomes a block of lines."""

from __future__ import annotations

import io
import re
import time
from datetime import UTC, datetime, timedelta

import pytest
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from exptrack.terminal import console
from exptrack.terminal.console import Columns, format_size, open_console, print_fitted, print_table

NUMBERS = ["1152921504606846978", "-0.00023475", "12 min 34 s", "1.4e-07"]
BARS = "█▅▄▃▂▁▁▂▃▄▅█"
NAME = "resnet18-lr0.0003-bs128-cosine-with-warmup"


def drawn(width: int, draw: object, *arguments: object, **options: object) -> list[str]:
    out = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None, markup=False)
    draw(out, *arguments, **options)  # type: ignore[operator]
    return out.file.getvalue().splitlines()  # type: ignore[attr-defined, no-any-return]


@pytest.mark.parametrize("width", range(27, 140, 5))
def test_nothing_breaks_inside_a_number_or_a_line_of_bars(width: int) -> None:
    columns = [("run", "left"), ("name", "left"), ("trend", "whole"), ("value", "right"), ("words", "left")]
    rows = [[f"run{place}", NAME, BARS, number, number] for place, number in enumerate(NUMBERS)]
    lines = drawn(width, print_table, columns, rows)
    text = "\n".join(lines)
    for number in NUMBERS:
        assert text.count(number) == 2, (width, text)
    assert text.count(BARS) == len(NUMBERS)
    assert max(map(len, lines)) <= width
    folded = re.sub(r"\s", "", text)
    assert "…" not in text
    assert all(part in folded for part in ("resnet18", "cosine", "warmup"))


def test_a_name_is_folded_behind_a_sign() -> None:
    lines = drawn(40, print_table, [("run", "left"), ("name", "left")], [["a" * 10, NAME]])
    assert [line.split()[-1] for line in lines[2:]] == ["resnet18-lr0.0003-bs128-", "cosine-with-warmup"]
    assert (
        drawn(40, print_table, [("a", "left"), ("b", "left")], [["x", "y" * 50]])[2].rstrip()
        == f"x  {'y' * 37}"
    )


def test_the_dashes_of_an_option_stay_with_its_name() -> None:
    command = "train.py --lr 1.0 --seed 2 --batch-size 48"
    lines = drawn(30, print_table, [("", "left"), ("command", "left")], [["x", command]])[2:]
    words = [line.removeprefix("x").split() for line in lines]
    assert [word for line in words for word in line] == command.split()


def test_columns_without_room_are_told_and_all_come_back_where_that_is_not_enough() -> None:
    columns: Columns = {
        "run": ("left", [Text("0123456789")]),
        "metric loss": ("right", ["0.123456789"]),
        "metric acc": ("right", ["0.987654321"]),
    }
    wide = drawn(80, print_fitted, columns, ["metric acc"], option="--columns")
    assert [line.split() for line in wide if "─" not in line] == [
        ["run", "loss", "acc"],
        ["0123456789", "0.123456789", "0.987654321"],
    ]
    narrow = drawn(24, print_fitted, columns, ["metric acc"], option="--columns")
    assert narrow[0].split() == ["run", "loss"]
    assert " ".join(" ".join(narrow[3:]).split()) == "1 more column: --columns, or a wider terminal"
    turned = [line.split() for line in drawn(18, print_fitted, columns, ["metric acc"])]
    assert turned == [["run", "0123456789"], ["loss", "0.123456789"], ["acc", "0.987654321"]]
    unlisted = drawn(80, print_fitted, columns, [], option="--columns", unlisted=1_200)
    assert unlisted[-1] == "1,200 more columns: --columns"


def test_piped_lines_have_no_blanks_at_their_ends(capsys: pytest.CaptureFixture[str]) -> None:
    out = open_console()
    print_table(out, [("name", "left"), ("tags", "left")], [["a", "long words"], ["b", ""], ["", "x"]])
    out.print(Text("drawn ⠁⠀⠀"))
    lines = capsys.readouterr().out.splitlines()
    assert lines == ["name  tags", "a     long words", "b", "      x", "drawn ⠁"]


def test_sizes_are_written_for_people() -> None:
    assert [format_size(count) for count in (0, 999, 1000, 2.5e9, -3e6, 4.2e15)] == [
        "0 B",
        "999 B",
        "1.0 kB",
        "2.5 GB",
        "-3.0 MB",
        "4,200.0 TB",
    ]


def test_an_age_counts_from_now() -> None:
    from exptrack.terminal.console import format_age

    assert format_age(datetime.now(UTC) - timedelta(minutes=5, seconds=1)) == "5 min ago"


LONG = "".join(f"v{place:04}" for place in range(2_000))


def test_a_terminal_shows_the_beginning_of_a_long_value_and_a_pipe_the_whole(
    capsys: pytest.CaptureFixture[str],
) -> None:
    heads, rows = [("key", "left"), ("value", "left")], [["whole", LONG[:500]], ["cut", LONG]]
    columns: Columns = {"key": ("left", ["cut"]), "value": ("left", [LONG])}
    for width in (30, 80, 300, 20_000):
        shown = "".join("".join(drawn(width, print_table, heads, rows)).split())
        assert LONG[:500] in shown
        assert shown.count(LONG[480:500]) == 2
        assert LONG[490:510] not in shown
        assert "…9,500morecharacters" in shown
        assert shown.count("…") == 1
        fitted = "".join("".join(drawn(width, print_fitted, columns, [])).split())
        assert LONG[:500] in fitted
        assert "…9,500morecharacters" in fitted
    out = open_console()
    print_table(out, heads, rows)
    print_fitted(out, columns, [])
    assert capsys.readouterr().out.count(LONG) == 2


def test_a_pipe_gets_lines_of_any_length(capsys: pytest.CaptureFixture[str]) -> None:
    words = "word " * 40_000 + "end"
    open_console().print(Text(words))
    assert capsys.readouterr().out == words + "\n"


@pytest.mark.parametrize("word", ["v", "word and-sign ", "宽", "é", "e\u0301", "👩\u200d🔬"])
@pytest.mark.parametrize("width", [1, 7, 20])
def test_folded_lines_fit_and_hold_the_whole_text(word: str, width: int) -> None:
    text = word * 500
    lines = console._fold(Text(text), width).plain.split("\n")
    assert "".join(lines) == text
    if cell_len(word[0]) <= width:
        assert max(map(cell_len, lines)) <= width


def test_a_long_text_is_folded_in_time_that_grows_with_its_length() -> None:
    began = time.monotonic()
    assert console._fold(Text("v" * 100_000), 2).plain.count("\n") == 49_999
    assert time.monotonic() - began < 15, "it took minutes where each line was cut off the whole rest"
