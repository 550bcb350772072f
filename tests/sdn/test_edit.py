"""One value of an SDN text is changed in place, and every other character stays."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from exptrack import ConfigError, SdnError, sdn
from exptrack.keypath import join_path
from tests.effort import tries
from tests.strategies import CONFIGS, SCALARS, exactly

TEXT = """\
# head
seed: 1        # one
optim:         # section
  name : adam
  "learning rate" = 0.1 # near
  betas: [0.9,   # first
          0.99]
inline: {a: 1, b: {c: x y }, e: {}}   # end
empty:         # nothing here
tags:
  - a
  # inside
  - b
table |x, y|
  1, 2
deep:
\tinner:
\t\tlast: 1

# tail"""


@pytest.mark.parametrize(
    ("path", "value", "old", "new"),
    [
        ("seed", 2, "seed: 1 ", "seed: 2 "),
        ("optim.name", "x: y", "name : adam", 'name : "x: y"'),
        ('optim."learning rate"', None, "0.1 # near", "null # near"),
        ("optim.betas", [1], "[0.9,   # first\n          0.99]", "[1]"),
        ("optim", 1, "optim:         # section\n", "optim: 1         # section\n"),
        ("inline.a", True, "{a: 1,", "{a: true,"),
        ("inline.b.c", "z", "x y }", "z }"),
        ("inline.b", [], "{c: x y }", "[]"),
        ("inline.e.f.g", 1, "e: {}", "e: {f: {g: 1}}"),
        ("inline.new", 1, "e: {}}", "e: {}, new: 1}"),
        ("empty", {"a": 1}, "empty:  ", "empty: {a: 1}  "),
        ("empty.x", 1, "empty:  ", "empty: {x: 1}  "),
        ("tags", ["c"], "tags:\n  - a\n  # inside\n  - b\n", "tags: [c]\n"),
        ("optim.new", "v", "0.99]\n", "0.99]\n  new: v\n"),
        ("optim.new.er", 1.0, "0.99]\n", "0.99]\n  new:\n      er: 1.0\n"),
        ("deep.inner.more", 1, "last: 1\n", "last: 1\n\t\tmore: 1\n"),
        ("deep.other", 1, "last: 1\n", "last: 1\n\tother: 1\n"),
        ("new", {}, "last: 1\n", "last: 1\nnew: {}\n"),
    ],
)
@pytest.mark.parametrize("style", ["lf", "crlf", "bom"])
def test_one_value_is_changed_in_place(path: str, value: Any, old: str, new: str, style: str) -> None:
    def styled(text: str) -> str:
        if style == "crlf":
            return text.replace("\n", "\r\n")
        return ("\ufeff" if style == "bom" else "") + text

    assert TEXT.count(old) == 1
    edited = sdn.set_value(styled(TEXT), path, value)
    if path == "optim":
        body = TEXT[TEXT.index("  name :") : TEXT.index("inline:")]
        assert edited == styled(TEXT.replace(body, "").replace(old, new))
    else:
        assert edited == styled(TEXT.replace(old, new))


@pytest.mark.parametrize(
    ("path", "value"),
    [("table", 1), ("seed.x", 1), ("tags.x", 1), ("", 1), ("a..b", 1), ("seed", float("nan"))],
)
def test_what_cannot_be_set_is_refused(path: str, value: Any) -> None:
    with pytest.raises(ConfigError):
        sdn.set_value(TEXT, path, value)
    with pytest.raises(SdnError):
        sdn.set_value("a: [", "b", 1)


def test_a_comment_glued_to_what_is_replaced_stays_a_comment() -> None:
    assert sdn.set_value("a:#c", "a", 1) == "a: 1 #c"
    assert sdn.set_value('a: "x"#c\n', "a", "y") == "a: y #c\n"
    assert sdn.set_value("a:#c\n  b: 1\n", "a", 1) == "a: 1 #c\n"
    assert sdn.set_value('a: {b: "1"#c\n}', "a.c", 2) == 'a: {b: "1", c: 2 #c\n}'


def test_a_last_line_without_an_end_gets_one() -> None:
    assert sdn.set_value("a: 1", "b", 2) == "a: 1\nb: 2\n"
    assert sdn.set_value("", "b.c", 2) == "b:\n    c: 2\n"
    assert sdn.set_value("# only", "b", 2) == "b: 2\n# only"
    assert sdn.set_value("a:", "a.b", 2) == "a: {b: 2}"
    assert sdn.set_value("a:\n  b: 1", "a", 2) == "a: 2\n"


LAYOUT = st.sampled_from(["", " # c", "\n\n# c", "\n   # c\n"])


@settings(deadline=None)
@given(CONFIGS, st.data(), SCALARS, LAYOUT, st.booleans())
def test_any_value_of_any_text_is_set_and_the_rest_stays(
    tree: dict[str, Any], data: st.DataObject, value: Any, layout: str, crlf: bool
) -> None:
    text = sdn.dumps(tree).replace("\n", f"{layout}\n")
    text = text.replace("\n", "\r\n") if crlf else text
    paths = [(key,) for key in tree]
    paths += [(key, inner) for key, v in tree.items() if isinstance(v, dict) for inner in [*v, "fresh"]]
    keys = data.draw(st.sampled_from([*paths, ("fresh",), ("fresh", "er")]))
    path = ""
    for key in keys:
        path = join_path(path, key)
    expected: Any = sdn.loads(text)
    place = expected
    for key in keys[:-1]:
        place = place.setdefault(key, {})
    place[keys[-1]] = value
    edited = sdn.set_value(text, path, value)
    assert exactly(sdn.loads(edited)) == exactly(expected)
    assert list(sdn.loads(edited)) == list(expected)
    replaced: Any = tree
    for key in keys:
        replaced = replaced.get(key) if isinstance(replaced, dict) else None
    if not isinstance(replaced, dict):
        assert edited.count("# c") == text.count("# c")


@given(CONFIGS)
def test_every_value_has_its_line(tree: dict[str, Any]) -> None:
    text = sdn.dumps(tree)
    values, lines = sdn.loads_with_lines(text)
    assert exactly(values) == exactly(tree)
    shown = text.split("\n")
    for keys, line in lines.items():
        assert shown[line - 1].strip().startswith(sdn.dumps({keys[-1]: 0}).removesuffix(" 0\n"))
    assert sdn.has_comments(text) is False
    assert sdn.has_comments(text + "# c") is True


PIECES = ["a", "b", ": ", "=", "\n", "  ", "- ", "{", "}", "[", "]", ",", "#c", '"', "1"]


@settings(max_examples=tries(300))
@given(st.lists(st.sampled_from(PIECES), max_size=25).map("".join), st.sampled_from(["a", "b", "a.b", "b.a.c"]))
@example("a: {b: 1 #c\n}", "a.c")
@example("a: {b: 1, #c\n}", "a.c")
@example("a: {#c\n}", "a.c")
@example("a:#c\n  b:1", "a")
@example("a:#c", "a")
@example('a: "x"#c', "a")
@example("a: [1]#c", "a")
@example("a: {b: 1,#c\n}", "a.b")
@example('a: {b: "1"#c\n}', "a.c")
def test_any_text_is_edited_or_refused(text: str, path: str) -> None:
    try:
        before = sdn.loads(text)
        edited = sdn.set_value(text, path, "new")
    except (SdnError, ConfigError) as error:
        refused = str(error)
    else:
        refused = ""
    # Whatever the text looks like, there is a way to write the value into it.
    assert "in place" not in refused
    if refused:
        return
    place: Any = sdn.loads(edited)
    for key in path.split("."):
        place = place[key]
    assert place == "new"
    assert {k: v for k, v in before.items() if k != path[0]} == {
        k: v for k, v in sdn.loads(edited).items() if k != path[0]
    }


# Where things stand

PLACED = """\
optim:
  lr: 0.1   # high
  "odd name": [1, two,
    {x: {}}]
empty:
space |param, low|
  lr, 1e-4
  x, [a, b]
once |a, b| 1, 2
span: table{int, text} = [(0, x), (10, y)]
items:
  - plain
  - name: x
    more: [1]
  -
    deep: 1
words:
  one
  two
"""


@pytest.mark.parametrize(
    ("keys", "value", "key"),
    [
        (("optim",), (1, 1), (1, 1)),
        (("optim", "lr"), (2, 7), (2, 3)),
        (("optim", "odd name"), (3, 15), (3, 3)),
        (("optim", "odd name", 1), (3, 19), (3, 19)),
        (("optim", "odd name", 2, "x"), (4, 9), (4, 6)),
        (("empty",), (5, 1), (5, 1)),
        (("space",), (6, 1), (6, 1)),
        (("space", 1), (8, 3), (8, 3)),
        (("space", 1, "low"), (8, 6), (8, 6)),
        (("space", 1, "low", 1), (8, 10), (8, 10)),
        (("once", 0, "b"), (9, 16), (9, 16)),
        (("span", 1, 1), (10, 40), (10, 40)),
        (("items", 0), (12, 5), (12, 5)),
        (("items", 1, "more", 0), (14, 12), (14, 12)),
        (("items", 2), (15, 3), (15, 3)),
        (("items", 2, "deep"), (16, 11), (16, 5)),
        (("words", 1), (19, 3), (19, 3)),
        (("optim", "none", "x"), (1, 1), (1, 1)),
        (("words", 7), (17, 1), (17, 1)),
        (("words", "one"), (17, 1), (17, 1)),
        ((), (1, 1), (1, 1)),
    ],
)
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_places_are_where_values_and_keys_stand(
    keys: tuple[str | int, ...], value: tuple[int, int], key: tuple[int, int], line_end: str
) -> None:
    values, places = sdn.loads_with_places(PLACED.replace("\n", line_end))
    assert exactly(values) == exactly(sdn.loads(PLACED))
    assert places.of_value(*keys) == (*value, PLACED.split("\n")[value[0] - 1])
    assert places.of_key(*keys) == (*key, PLACED.split("\n")[key[0] - 1])


def test_an_empty_text_has_one_place() -> None:
    assert sdn.loads_with_places("")[1].of_value("a") == (1, 1, "")


@given(CONFIGS)
def test_a_key_is_found_at_its_line(values: dict[str, Any]) -> None:
    text = sdn.dumps(values)
    places = sdn.loads_with_places(text)[1]
    for keys, line in sdn.loads_with_lines(text)[1].items():
        assert places.of_key(*keys).line == line
