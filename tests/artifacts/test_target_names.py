"""Each artifact of a run has a path in the folder that ``export_all`` writes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from exptrack.artifacts.safe_paths import check_tree
from exptrack.artifacts.target_names import choose_paths

PARTS = st.sampled_from(["a", "A", "b", "..", ".", "", "NUL", "aux.py", "x.", "val:best", "ﬁ", "é", "e\u0301"])
NAMES = st.lists(PARTS, min_size=1, max_size=4).map("/".join).filter(bool)


def test_a_name_that_every_system_takes_is_kept() -> None:
    names = ["weights.bin", "a/b", "a/c", "model"]
    assert choose_paths(names) == dict(zip(names, names, strict=True))


def test_an_unsafe_name_is_changed_as_little_as_may_be() -> None:
    assert choose_paths(["val:best", "../x", "what?", "aux.py", "end. "]) == {
        "val:best": "val_best",
        "../x": "__/x",
        "what?": "what_",
        "aux.py": "_aux.py",
        "end. ": "end__",
    }


def test_a_sound_name_does_not_give_way_to_one_that_is_changed() -> None:
    assert choose_paths(["val:best", "val_best"]) == {"val:best": "val_best~2", "val_best": "val_best"}
    assert choose_paths(["a", "a/b", "A"]) == {"a": "a", "a/b": "a_b", "A": "A~2"}


@given(st.lists(NAMES | st.text(min_size=1, max_size=300), unique=True, max_size=12))
def test_the_paths_of_any_names_can_be_side_by_side_on_every_system(names: list[str]) -> None:
    names = [name for name in names if name.isprintable()]
    paths = choose_paths(names)
    assert list(paths) == names
    assert len(check_tree([(path, False) for path in paths.values()])) == len(names)
