"""Reading SDN: the dialect, errors at their place, limits, and any text at all."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exptrack import sdn
from exptrack.errors import ConfigError, ConfigNotFoundError, InvalidTypeError, SdnError
from tests.effort import tries
from tests.sdn.values import TEXTS, same

READ: list[tuple[str, object]] = [
    # text layer
    ("", {}),
    ("\ufeff", {}),
    ("\ufeffa: 1", {"a": 1}),
    ("# x\n\n   # y\n \t \n", {}),
    ("a: 1\r\nb: 2\r\n", {"a": 1, "b": 2}),
    ("a: x\x85y\u2028z\xa0", {"a": "x\x85y\u2028z\xa0"}),
    ("a: # c", {"a": None}),
    ("a:# c", {"a": None}),
    ("color: #ff8800", {"color": None}),
    ("a: x#y # z", {"a": "x#y"}),
    ('a: "x"#c', {"a": "x"}),
    ("a: [1]#c", {"a": [1]}),
    ("a: {}#c", {"a": {}}),
    ("a: [#c\n1 #d\n#e\n, 2#f\n]", {"a": [1, "2#f"]}),
    ("a: {#c\nb #d\n: #e\n 1}", {"a": {"b": 1}}),
    # indentation
    ("a:\n b:\n     c: 1\n d: 2\ne: 3", {"a": {"b": {"c": 1}, "d": 2}, "e": 3}),
    ("a:\n\tb: 1\n    c: 2", {"a": {"b": 1, "c": 2}}),
    ("a:\n  b: 1\n# x\n\n      # y\n  c: 2", {"a": {"b": 1, "c": 2}}),
    ("a:\r\n  b: 1\r\n\r\n  c: 2", {"a": {"b": 1, "c": 2}}),
    ("a: [\n1,\n        2\n]\nb: 1", {"a": [1, 2], "b": 1}),
    # keys
    ("a:1\nb=2\nc : 3\nd =4", {"a": 1, "b": 2, "c": 3, "d": 4}),
    (
        "optim.lr: 1\na/b-c#d: 2\n_x: 3\nключ: 4\né1: 5",
        {"optim.lr": 1, "a/b-c#d": 2, "_x": 3, "ключ": 4, "é1": 5},
    ),
    ("true: 1\nnull: 2\ntable: 3\nTrue: 4", {"true": 1, "null": 2, "table": 3, "True": 4}),
    ('"my key": 1\n"10": x\n"": y\n"a\\n" = 2', {"my key": 1, "10": "x", "": "y", "a\n": 2}),
    ('a: {b:1, c : 2, "d e": 3}', {"a": {"b": 1, "c": 2, "d e": 3}}),
    ("url: https://x.example", {"url": "https://x.example"}),
    ("a:\n  https://x.example\n  b", {"a": ["https://x.example", "b"]}),
    ("a: 1\nb:\n  a: 2", {"a": 1, "b": {"a": 2}}),
    # quotes
    (r'a: "\n\t\r\\\"\d\u0041"', {"a": '\n\t\r\\"\\d\\u0041'}),
    ('a: "x\n  y # z\n"\nb: 1', {"a": "x\n  y # z\n", "b": 1}),
    ('a: "x\r\ny\rz"', {"a": "x\ny\rz"}),
    ('a: "\x00\x7f"', {"a": "\x00\x7f"}),
    ('a: "\\\ny"', {"a": "\\\ny"}),
    # inline collections
    ('a: [1, two words, "x, y", [], {}]', {"a": [1, "two words", "x, y", [], {}]}),
    ("a = {lr: 0.1, tags: [a, b],}", {"a": {"lr": 0.1, "tags": ["a", "b"]}}),
    ("a: [1,]", {"a": [1]}),
    ("a: [ ]\nb: {\n}", {"a": [], "b": {}}),
    ("a: [1\n2\n\n, 3,\n]", {"a": [1, 2, 3]}),
    ("a: {b: 1\nc:\n 2}", {"a": {"b": 1, "c": 2}}),
    ("a: [cuda:0, x=1, -, it's, a|b]", {"a": ["cuda:0", "x=1", "-", "it's", "a|b"]}),
    ("a: {true: null, table: x}", {"a": {"true": None, "table": "x"}}),
    # block lists
    (
        'a:\n  1\n  two words\n  "q"\n  {x: 1}\n  [2]\n  x, y',
        {"a": [1, "two words", "q", {"x": 1}, [2], "x, y"]},
    ),
    ("a:\n  - fast\n  - two words\n  - 3", {"a": ["fast", "two words", 3]}),
    (
        "s:\n  - name: warmup\n    steps: 500\n  - name: main\n    args:\n        alpha: 0.2\n"
        "  - {name: cool, steps: 50}\n  -\n    name: late\n",
        {
            "s": [
                {"name": "warmup", "steps": 500},
                {"name": "main", "args": {"alpha": 0.2}},
                {"name": "cool", "steps": 50},
                {"name": "late"},
            ]
        },
    ),
    ("a:\n - cuda:0\n - OMP=1\n - x =1", {"a": ["cuda:0", "OMP=1", "x =1"]}),
    ('a:\n - b = 1\n   c:2\n - "q": 1\n - d:', {"a": [{"b": 1, "c": 2}, {"q": 1}, {"d": None}]}),
    ("a:\n -\n - # c\n -\n   - 1\n   - 2\n -\n   x", {"a": [None, None, [1, 2], ["x"]]}),
    ("a:\n -\tb: 1\n      c: 2", {"a": [{"b": 1, "c": 2}]}),
    (
        "a:\n - b:\n     c: 1\n   d: 2\n - e:\n   f: 3",
        {"a": [{"b": {"c": 1}, "d": 2}, {"e": None, "f": 3}]},
    ),
    ("a:\n - t |x|\n     1\n     2\n   u: 1", {"a": [{"t": [{"x": 1}, {"x": 2}], "u": 1}]}),
    ("a:\n  -5\n  -x", {"a": [-5, "-x"]}),
    # which block
    ("a:\n  b = 1\n  t |x| 1", {"a": {"b": 1, "t": [{"x": 1}]}}),
    ("a:\n  t |x|\n    1", {"a": {"t": [{"x": 1}]}}),
    ("a:\n  t|x| 1", {"a": ["t|x| 1"]}),
    ("a:\n  cuda:0", {"a": {"cuda": 0}}),
    ('a:\n  "k" : 1', {"a": {"k": 1}}),
    # nothing
    ("a:", {"a": None}),
    ("a:\nb:\n\n# c\nc: 1", {"a": None, "b": None, "c": 1}),
    # tables
    (
        "space |param, low, high|\n    lr, 1e-5, 0.1\n\n# c\n    hidden, 64, 1_024\n"
        "best |param, value| lr, 0.003",
        {
            "space": [
                {"param": "lr", "low": 1e-5, "high": 0.1},
                {"param": "hidden", "low": 64, "high": 1024},
            ],
            "best": [{"param": "lr", "value": 0.003}],
        },
    ),
    (
        "t|a,b,|\n ,\n x y , # c\n a: b: c,-\n",
        {"t": [{"a": "", "b": ""}, {"a": "x y", "b": ""}, {"a": "a: b: c", "b": "-"}]},
    ),
    (
        't |a| # c\n "x, y"\n [1, 2]\n {b: 1}\n null\n ${x}\n',
        {"t": [{"a": "x, y"}, {"a": [1, 2]}, {"a": {"b": 1}}, {"a": None}, {"a": "${x}"}]},
    ),
    ("t |a|\nb: 1", {"t": [], "b": 1}),
    ("t |true, null| 1, 2", {"t": [{"true": 1, "null": 2}]}),
    ('"my t" |a| 1', {"my t": [{"a": 1}]}),
    ("p: table{i32, f64}\n  0, 1.0\n  10, 5\n", {"p": [[0, 1.0], [10, 5.0]]}),
    ("p: table {i32,} = [(0), (1,),\n(\n2\n)\n]", {"p": [[0], [1], [2]]}),
    ("p: table{i32} = []\nq: table{x}", {"p": [], "q": []}),
    (
        "p: table{str, text, bool, any}\n  007, true, true, 007\n"
        '  "1", , false,\n  1.0.0, nil, null, [1]\n\n# the end of the table\n',
        {"p": [["007", "true", True, 7], ["1", "", False, ""], ["1.0.0", None, None, [1]]]},
    ),
    ("p: table{i8, float} = [(null, nil)]", {"p": [[None, None]]}),
    ('p: table{str, x} = [(9:0, a b), ("", {c: 1})]', {"p": [["9:0", "a b"], ["", {"c": 1}]]}),
    ("kind: table", {"kind": "table"}),
]


@pytest.mark.parametrize(("text", "value"), READ)
def test_the_dialect_is_read(text: str, value: object) -> None:
    assert same(sdn.loads(text), value)
    assert same(sdn.loads(text.encode()), value)


REFUSED = [
    # text layer
    ("a: 1\nb: x\x0by", 2, 5),
    ("a: x\ry", 1, 5),
    ("a: x\r", 1, 5),
    ("a: 1 # \x00", 1, 8),
    ("# \x7f", 1, 3),
    ("\x0c", 1, 1),
    ("a\x1f: 1", 1, 2),
    ("a: [\x0c]", 1, 5),
    ("\xa0a: 1", 1, 1),
    # keys and separators
    ("hello", 1, 6),
    ("hello # c", 1, 7),
    ("my key: 1", 1, 4),
    ("10: x", 1, 1),
    ("²: x", 1, 1),
    ("-a: x", 1, 1),
    ("- a", 1, 1),
    ("[section]", 1, 1),
    (": 1", 1, 1),
    ("https://x.example", 1, 6),
    ('"k" 1', 1, 5),
    ("a! : 1", 1, 2),
    ("a =", 1, 4),
    ("a = # c", 1, 5),
    ("a =\n  b: 1", 1, 4),
    ("a: 1\nb: 2\na: 3", 3, 1),
    ("a:\nb: 1\na:\n  c: 1", 3, 1),
    ("a: {b: 1, b: 2}", 1, 11),
    ('a: {b: 1, "b": 2}', 1, 11),
    ("a:\n - b: 1\n   b: 2", 3, 4),
    # bare text
    *((f"a: {sign}x", 1, 4) for sign in "]}()|,:='"),
    ("a: - x", 1, 4),
    ("a: -", 1, 4),
    ("a: b: c", 1, 5),
    ("a: b:", 1, 5),
    ("a: b: # c", 1, 5),
    ('a: x"y', 1, 5),
    ("a:\n  - - x", 2, 5),
    ("a:\n  - -", 2, 5),
    ("a:\n  - b c: d", 2, 8),
    ("a: [b: c]", 1, 6),
    ("a: [b:]", 1, 6),
    ("a: [b:\n]", 1, 6),
    *((f"a: [b{sign}c]", 1, 6) for sign in '"[{()'),
    ('t |a| x"y', 1, 8),
    ("t |a| |", 1, 7),
    ("p: table{x} = [(a[b)]", 1, 18),
    ("p: table{x} = [(a: b)]", 1, 18),
    # quotes
    ('a: 1\nb: "x\ny', 2, 4),
    ('a: "x\\"', 1, 4),
    ('a: "x" y', 1, 8),
    ('a: "x"y', 1, 7),
    ('"a: 1', 1, 1),
    # inline collections
    ("a: [1, 2", 1, 4),
    ("a: [1, {b: [2]", 1, 8),
    ("a: {b", 1, 4),
    ("a: {b:", 1, 4),
    ("a: {b:#c", 1, 4),
    ("a: [1}", 1, 6),
    ("a: {b: 1]", 1, 9),
    ("a: [}", 1, 5),
    ("a: [1,,2]", 1, 7),
    ("a: [,]", 1, 5),
    ("a: [1,\n,]", 2, 1),
    ("a: {,}", 1, 5),
    ("a: {b: , c: 1}", 1, 8),
    ("a: {b: }", 1, 8),
    ("a: {b}", 1, 6),
    ("a: {b = 1}", 1, 7),
    ("a: {b://x}", 1, 6),
    ("a: {1: x}", 1, 5),
    ("a: [[1] [2]]", 1, 9),
    ('a: ["x" y]', 1, 9),
    ("a: [1] x", 1, 8),
    ("a: {} {}", 1, 7),
    ("a: {b: 1}}", 1, 10),
    # indentation and kinds of blocks
    ("  a: 1", 1, 3),
    ("a: 1\n  b: 2", 2, 3),
    ("a = 1\n  b: 2", 2, 3),
    ("a:\n    b: 1\n  c: 2", 3, 3),
    ("a:\n  b: 1\n    c: 2", 3, 5),
    ("a:\n  - x\n    y: 1", 3, 5),
    ("a:\n  - b: 1\n   c: 2", 3, 4),
    ("a:\n  - b:\n   c: 2", 3, 4),
    ("a:\n- x", 2, 1),
    ("a:\n  b: 1\n  word", 3, 3),
    ("a:\n  b: 1\n  - x", 3, 3),
    ("a:\n  b: 1\n  my key: 2", 3, 6),
    ("a:\n  x\n  b: 1", 3, 3),
    ("a:\n  x\n  b=1", 3, 3),
    ("a:\n  x\n  - y", 3, 3),
    ("a:\n  - x\n  y", 3, 3),
    ("a:\n  - x\n  y: 1", 3, 3),
    ("a:\n  x\n    y", 3, 5),
    ("a:\n  x:y z: 1", 2, 8),
    # tables
    ("t ||", 1, 4),
    ("t |,|", 1, 4),
    ("t |a,,b|", 1, 6),
    ("t |a b|", 1, 6),
    ("t |1|", 1, 4),
    ('t |"a"|', 1, 4),
    ("t |a, b, a|", 1, 10),
    ("t |a", 1, 5),
    ("t: |a| 1", 1, 4),
    ("t |a, b|\n  1, 2\n  1", 3, 3),
    ("t |a, b|\n  1, 2,", 2, 3),
    ("t |a, b| 1, 2, 3", 1, 10),
    ('t |a|\n  "x" y', 2, 7),
    ("t |a|\n  [1] y", 2, 7),
    ("t |a| 1\n  2", 2, 3),
    ("t |a|\n  1\n    2", 3, 5),
    ("p: table{}", 1, 10),
    ("p: table{i32", 1, 9),
    ("p: table{i32, # c", 1, 9),
    ("p: table{i32 f64}", 1, 14),
    ("p: table{i32|", 1, 13),
    ("p: table{i32} x", 1, 15),
    ("p: table{i32} = 1", 1, 17),
    ("p: table{i32} =", 1, 16),
    ("p = table{i32}", 1, 5),
    ("p: table{i32, i32} = [(1, 2), (3)]", 1, 31),
    ("p: table{i32} = [(1, 2)]", 1, 18),
    ("p: table{i32} = [()]", 1, 18),
    ("p: table{x} = [(,)]", 1, 17),
    ("p: table{x, x} = [(1,,2)]", 1, 22),
    ("p: table{i32} = [1]", 1, 18),
    ("p: table{i32} = [(1]", 1, 20),
    ("p: table{i32} = [(1", 1, 18),
    ("p: table{i32} = [(1)", 1, 17),
    ("p: table{i32} = [(1) (2)]", 1, 22),
    ("p: table{i32} = [(1)] x", 1, 23),
    ("p: table{i32}\n  (1)", 2, 3),
    ("p: table{i32}\n  1.0", 2, 3),
    ("p: table{x, i32}\n  1, true", 2, 3),
    ("p: table{x, i32}\n  1, ", 2, 3),
    ('p: table{i32}\n  "1"', 2, 3),
    ("p: table{bool}\n  1", 2, 3),
    ("p: table{bool, x}\n  , 1", 2, 3),
    ("p: table{f64}\n  x", 2, 3),
    ("p: table{f64}\n  true", 2, 3),
    ("p: table{str}\n  [1]", 2, 3),
    ("p: table{i32}\n  1, 2", 2, 3),
    # numbers
    ("a: 1\nb: 1e999", 2, 4),
    ("a: [0, -1e999]", 1, 8),
    ("a: " + "9" * 4001, 1, 4),
    ("a: 1\na: 2\n", 2, 1),
    ("a:\na: b", 2, 1),
    ("a: 1\nb:// x\n", 2, 2),
    ("a: -\nb: 1", 1, 4),
    ("a: - b\nb: 1", 1, 4),
    ("a: 0." + "9" * 4001, 1, 4),
    ("a: 1e" + "9" * 5000, 1, 4),
    ("p: table{x, f64}\n  1, " + "9" * 400, 2, 6),
]


@pytest.mark.parametrize(("text", "line", "column"), REFUSED)
def test_an_error_stands_at_its_place_and_shows_its_line(text: str, line: int, column: int) -> None:
    # A line end behind the last line changes nothing, unless it makes one of a lone CR.
    for given_text in (text, text.encode(), "\ufeff" + text, text + "\n" * (text[-1] != "\r")):
        with pytest.raises(SdnError) as caught:
            sdn.loads(given_text)
        error = caught.value
        assert (error.line, error.column) == (line, column), error.problem
        assert error.source == text.replace("\r\n", "\n").split("\n")[line - 1]


def test_a_line_is_counted_after_strings_and_crlf() -> None:
    with pytest.raises(SdnError) as caught:
        sdn.loads('a: "x\r\ny"\r\nb: [1,\r\n\t2] x\r\n')
    assert (caught.value.line, caught.value.column, caught.value.source) == (4, 5, "\t2] x")


@pytest.mark.parametrize(
    ("data", "column"),
    [(b"a: 1\nb: \xc3\xa9\xff\nc: 2", 5), (b"a: 1\nb: \xc3", 4), (b"a: 1\nb: \xed\xa0\x80", 4)],
)
def test_invalid_utf8_is_an_error_with_a_position(data: bytes, column: int, tmp_path: Path) -> None:
    path = tmp_path / "config.sdn"
    path.write_bytes(data)
    for read in (
        lambda: sdn.loads(data),
        lambda: sdn.load(path),
        lambda: sdn.loads(b"\xef\xbb\xbf" + data),
    ):
        with pytest.raises(SdnError, match="UTF-8") as caught:
            read()
        assert (caught.value.line, caught.value.column) == (2, column)
        assert caught.value.source.startswith("b: ")


def test_a_lone_surrogate_is_refused_when_read() -> None:
    for text in ("a: x\ud800", "\ufeffa: x\ud800"):
        with pytest.raises(SdnError) as caught:
            sdn.loads(text)
        assert (caught.value.line, caught.value.column) == (1, 5)
    with pytest.raises(SdnError):
        sdn.parse_value('"\ud800"')


def test_load_reads_regular_files_alone(tmp_path: Path) -> None:
    path = tmp_path / "config.sdn"
    path.write_bytes(b"\xef\xbb\xbfa: 1\r\n")
    assert sdn.load(path) == sdn.load(str(path)) == {"a": 1}
    with pytest.raises(SdnError, match="larger than 3 bytes"):
        sdn.load(path, max_bytes=3)
    with pytest.raises(ConfigNotFoundError, match="there is no file"):
        sdn.load(tmp_path / "missing.sdn")
    with pytest.raises(ConfigError, match="cannot read"):
        sdn.load(tmp_path)


def test_only_text_and_bytes_are_read() -> None:
    for value in (None, 1, 10**5000, bytearray(b"a: 1"), ["a: 1"]):
        with pytest.raises(InvalidTypeError):
            sdn.loads(value)  # type: ignore[arg-type]


def test_the_limits_are_kept_and_reported_where_they_are_passed() -> None:
    def place(text: str | bytes, **limits: int) -> tuple[int, int]:
        with pytest.raises(SdnError) as caught:
            sdn.loads(text, **limits)
        return caught.value.line, caught.value.column

    assert sdn.loads("a: 1", max_bytes=4) == {"a": 1}
    assert place("a: 1\nb: 2", max_bytes=6) == (2, 2)
    assert place("é: éé", max_bytes=6) == (1, 5)
    assert place(b"\xef\xbb\xbfa: 1", max_bytes=6) == (1, 4)
    assert place("a: " + "x" * 1024 * 1024) == (1, 1024 * 1024 + 1)

    text = "a: 1\nb:\nc: [x, []]\nt |x| "
    assert len(sdn.loads(text + "1", max_scalars=4)) == 4
    assert place(text + "1", max_scalars=3) == (4, 7)
    assert place(text + "1", max_scalars=1) == (2, 3)
    assert place("t |x, y| ,", max_scalars=1) == (1, 11)
    assert place("p: table{str, str} = [(1, 2)]", max_scalars=1) == (1, 27)
    assert sdn.loads("a:\n  b:\n    c: 1", max_scalars=1) == {"a": {"b": {"c": 1}}}

    assert sdn.loads("a: éé", max_string=4) == {"a": "éé"}
    assert place("a: éé", max_string=3) == (1, 4)
    assert place('a: ["abcd"]', max_string=3) == (1, 5)
    assert place("abcd: 1", max_string=3) == (1, 1)
    assert place("p: table{str}\n  1234", max_string=3) == (2, 3)
    assert sdn.loads("a: 12345", max_string=3) == {"a": 12345}


DEEP = [
    ("a: " + "[" * 49 + "]" * 49, "a: " + "[" * 50 + "]" * 50, (1, 53)),
    ("a: " + "{a: " * 49 + "1" + "}" * 49, "a: " + "{a: " * 50 + "1" + "}" * 50, (1, 200)),
    (
        "".join(" " * n + "a:\n" for n in range(50)),
        "".join(" " * n + "a:\n" for n in range(51)),
        (51, 51),
    ),
    (
        "a:\n" + "".join(" " * n + "-\n" for n in range(1, 50)),
        "a:\n" + "".join(" " * n + "-\n" for n in range(1, 51)),
        (51, 51),
    ),
    (
        "".join(" " * n + "a:\n" for n in range(47)) + " " * 47 + "t |x| []",
        "".join(" " * n + "a:\n" for n in range(48)) + " " * 48 + "t |x| []",
        (49, 55),
    ),
    (
        "".join(" " * n + "a:\n" for n in range(47)) + " " * 47 + "t: table{x} = [([])]",
        "".join(" " * n + "a:\n" for n in range(48)) + " " * 48 + "t: table{x} = [([])]",
        (49, 65),
    ),
]


@pytest.mark.parametrize(("good", "bad", "place"), DEEP, ids=range(len(DEEP)))
def test_nesting_is_limited_to_50_levels(good: str, bad: str, place: tuple[int, int]) -> None:
    sdn.loads(good)
    with pytest.raises(SdnError, match="deeper than 50") as caught:
        sdn.loads(bad)
    assert (caught.value.line, caught.value.column) == place


@pytest.mark.parametrize(
    "text",
    [
        "a: " + "[" * 100_000,
        "a: " + "{a: " * 100_000,
        "a: " + "[{a: " * 100_000,
        "".join(" " * n + "a:\n" for n in range(1200)),
        "a:\n" + "".join(" " * n + "-\n" for n in range(1, 1200)),
        "a:\n" + "".join("   " * n + "- a:\n" for n in range(1, 700)),
        "p: table{x} = [(" + "[" * 100_000,
    ],
    ids=range(7),
)
def test_a_depth_bomb_is_an_ordinary_error(text: str) -> None:
    with pytest.raises(SdnError, match="deeper"):
        sdn.loads(text, max_bytes=10**7)
    with pytest.raises(SdnError, match="deeper"):
        sdn.parse_value("[" * 100_000)


def test_a_higher_limit_on_nesting_does_not_exhaust_the_stack() -> None:
    depth = 10 * sys.getrecursionlimit()
    value: Any = sdn.loads("a: " + "[" * depth + "]" * depth, max_depth=depth + 1)["a"]
    for _ in range(depth - 1):
        (value,) = value
    assert value == []
    blocks = "".join(" " * n + "a:\n" for n in range(1200))
    assert list(sdn.loads(blocks, max_depth=1200)) == ["a"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", ""),
        ("  ", "  "),
        (" 5 ", 5),
        (" two words ", " two words "),
        ("a: b", "a: b"),
        ("a # b", "a # b"),
        ("'x'", "'x'"),
        ("- x", "- x"),
        ("x\ny", "x\ny"),
        ('"3"', "3"),
        ('""', ""),
        (' "a\\n" # c', "a\n"),
        ("[1, 2.0, adam]", [1, 2.0, "adam"]),
        ("[1\r\n2]\n", [1, 2]),
        ("{a: {b: [null]}}", {"a": {"b": [None]}}),
    ],
)
def test_an_override_is_one_value(text: str, value: object) -> None:
    assert same(sdn.parse_value(text), value)


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ('"x', 1),
        ("[1", 1),
        ("[1] x", 5),
        ('"x" y', 5),
        ("[1,,2]", 4),
        ("{a}", 3),
        ("{a: 1, a: 2}", 8),
        ("[}", 2),
    ],
)
def test_a_broken_override_is_refused(text: str, column: int) -> None:
    with pytest.raises(SdnError) as caught:
        sdn.parse_value(text)
    assert (caught.value.line, caught.value.column, caught.value.source) == (1, column, text)


SIGNS = "a b: c=1 x |p,q| table{ i32} [ ] { } ( ) , # \" \\ - : :// = | ' 1e999 null -5 .5 é ²"


BLANKS = " /  /\t/\n/\n  /\n    /\n  - /\n  -/\r/\r\n/\x00/\ufeff/a:\n/a: ".split("/")


STARTS = ["t |a, b|\n  1, 2", "p: table{i32}\n  ", "p: table{str} = [(", "9" * 4001]


FRAGMENTS = st.sampled_from([*SIGNS.split(" "), *BLANKS, *STARTS])


@settings(max_examples=tries(500))
@given(st.text() | st.lists(FRAGMENTS, max_size=30).map("".join))
def test_any_text_is_read_or_refused_and_what_is_read_can_be_written(text: str) -> None:
    error = None
    try:
        value = sdn.loads(text)
    except SdnError as caught:
        error = caught
    if error is None:
        assert same(sdn.loads(sdn.dumps(value)), value)
        return
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n")
    assert 1 <= error.line <= len(lines)
    assert error.source == lines[error.line - 1]
    assert 1 <= error.column <= len(error.source) + 1


@given(st.binary() | TEXTS.map(str.encode))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        value = sdn.loads(data)
    except SdnError:
        return
    assert same(sdn.loads(sdn.dumps(value)), value)


@settings(max_examples=tries(300))
@given(st.text() | st.lists(FRAGMENTS, max_size=12).map("".join))
def test_any_override_is_read_or_refused(text: str) -> None:
    try:
        value = sdn.parse_value(text)
    except SdnError:
        return
    assert same(sdn.parse_value(sdn.dumps({"a": [value]}).removeprefix("a: ")), [value])
