"""Configs: typed, immutable, hashed by content, merged by law, and exact on the way through an archive."""

from __future__ import annotations

import copy
import hashlib
import pickle
import sqlite3
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exptrack import Archive, ConfigError, ConfigSource, ExpConfig, load_exp_config, merge_configs, sdn
from exptrack.keypath import join_path, split_path
from tests.strategies import ALIGNED_CONFIGS, CONFIGS, KEYS, SCALARS, VALUES, exactly


def same(a: ExpConfig, b: ExpConfig) -> bool:
    return bool(exactly(a.values) == exactly(b.values))


def reordered(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: reordered(item) for key, item in reversed(value.items())}
    return [reordered(item) for item in value] if isinstance(value, list) else value


@given(CONFIGS)
def test_what_goes_in_comes_out_with_its_types(tree: dict[str, Any]) -> None:
    assert exactly(ExpConfig(tree).values) == exactly(tree)


@given(st.lists(KEYS, min_size=1, max_size=5), VALUES)
def test_every_key_is_reached_by_its_dotted_path(keys: list[str], value: Any) -> None:
    tree: Any = value
    path = ""
    for key in reversed(keys):
        tree = {key: tree}
    for key in keys:
        path = join_path(path, key)
    assert split_path(path) == keys
    config = ExpConfig(tree)
    assert path in config
    assert exactly(config.get(path)) == exactly(config[path]) == exactly(value)


@given(SCALARS)
def test_typed_getters_answer_for_their_type_only(value: Any) -> None:
    config = ExpConfig({"k": value})
    number = isinstance(value, int | float) and not isinstance(value, bool)
    assert exactly(config.get_bool("k")) == exactly(value if isinstance(value, bool) else None)
    assert exactly(config.get_int("k")) == exactly(value if number and isinstance(value, int) else None)
    assert exactly(config.get_float("k")) == exactly(float(value) if number else None)
    assert (config.get_text("k") is None) == (value is None)
    if isinstance(value, str):
        assert config.get_text("k") == value


def test_getters_of_an_absent_key_are_none() -> None:
    config = ExpConfig({"a": {"b": 1}})
    for path in ("b", "a.c", "a.b.c"):
        assert path not in config
        found = (config.get(path), config.get_int(path), config.get_float(path), config.get_bool(path))
        assert found == (None, None, None, None)
        assert config.get_text(path) is None
        with pytest.raises(KeyError):
            config[path]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("-3", -3),
        ("3.0", 3.0),
        ("3e-4", 3e-4),
        ("-0.0", -0.0),
        ("true", True),
        ("false", False),
        ("null", None),
        ("adam", "adam"),
        ("2.1.0", "2.1.0"),
        ("10GB", "10GB"),
        ('"3"', "3"),
        ("[1, 2.0, adam]", [1, 2.0, "adam"]),
        ("{a: 1}", {"a": 1}),
        ("[]", []),
    ],
)
def test_an_override_in_text_is_typed_as_sdn_types_it(text: str, value: Any) -> None:
    config = ExpConfig({"k": "old"}).with_override("k", text)
    assert exactly(config.get("k")) == exactly(value)
    assert config.overrides == (f"k={text}",)


@given(CONFIGS, st.lists(KEYS, min_size=1, max_size=3), st.one_of(st.none(), st.booleans(), st.integers(0, 9)))
def test_an_override_sets_one_path_and_leaves_the_original(tree: Any, keys: list[str], value: Any) -> None:
    config = ExpConfig(tree)
    path = ""
    for key in keys:
        path = join_path(path, key)
    before = exactly(config.values)
    try:
        changed = config.with_override(path, value)
    except ConfigError:
        # Only a value that is not a map on the way may be the reason.
        way = [join_path("", keys[0])]
        for key in keys[1:-1]:
            way.append(join_path(way[-1], key))
        assert any(p in config and not isinstance(config[p], dict) for p in way)
    else:
        assert exactly(changed.get(path)) == exactly(value)
    assert exactly(config.values) == before


@given(CONFIGS)
def test_the_empty_config_is_neutral_in_a_merge(tree: dict[str, Any]) -> None:
    config = ExpConfig(tree)
    assert same(merge_configs({}, config), config)
    assert same(merge_configs(config, {}), config)
    assert same(merge_configs(config, config), config)


@given(ALIGNED_CONFIGS, ALIGNED_CONFIGS, ALIGNED_CONFIGS)
def test_merging_is_associative_where_all_agree_what_is_a_map(a: Any, b: Any, c: Any) -> None:
    assert same(merge_configs(merge_configs(a, b), c), merge_configs(a, merge_configs(b, c)))


@given(CONFIGS, CONFIGS)
def test_the_overlay_wins_and_the_rest_of_the_base_stays(base: Any, overlay: Any) -> None:
    merged = merge_configs(base, overlay)
    for leaf in ExpConfig(overlay).leaves():
        value = ExpConfig(overlay)[leaf.key]
        if value != {}:
            assert exactly(merged[leaf.key]) == exactly(value)
    for key in base.keys() - overlay.keys():
        assert exactly(merged[join_path("", key)]) == exactly(base[key])


@given(CONFIGS)
def test_the_hash_does_not_depend_on_the_order_of_keys(tree: dict[str, Any]) -> None:
    assert ExpConfig(reordered(tree)).hash() == ExpConfig(tree).hash()
    assert ExpConfig(reordered(tree)) == ExpConfig(tree)


def test_int_float_bool_text_null_and_both_zeros_hash_differently() -> None:
    values: list[Any] = [1, 1.0, True, "1", "true", None, "null", [1], 0, 0.0, -0.0, False, "", [], {}]
    assert len({ExpConfig({"k": value}).hash() for value in values}) == len(values)


@pytest.mark.parametrize(
    ("tree", "canonical"),
    [
        ({}, "{}"),
        ({"b": 1, "a": 1.0}, '{"a":1.0,"b":1}'),
        (
            {"optim": {"name": "adam", "lr": 1e-05}, "on": True, "off": None},
            '{"off":null,"on":true,"optim":{"lr":1e-05,"name":"adam"}}',
        ),
        (
            {"ä": ['"', "\n", "\x00", -0.0, 2**63 - 1], "a.b": {}},
            '{"a.b":{},"ä":["\\"","\\n","\\u0000",-0.0,9223372036854775807]}',
        ),
    ],
)
def test_the_canonical_form_and_its_hash_never_change(tree: dict[str, Any], canonical: str) -> None:
    config = ExpConfig(tree)
    assert config.canonical() == canonical
    assert config.hash() == hashlib.sha256(canonical.encode("utf-8")).hexdigest()


GOLDEN_TYPES = 'on: true\noff: null\nlist: [1, 1.0, "1", -0.0, {k: []}]\n"ä.b": {}\n'
GOLDEN_OPTIM = "optim:\n    name: adam\n    lr: 1e-05\nseed: 1\n"
GOLDEN = {
    "": "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
    GOLDEN_OPTIM: "da3f286037dc260d4193bb54ccc9a3c54a628ceb5998dc20e952c036098b3d07",
    GOLDEN_TYPES: "650e5a0a4c8ec28586e59879f46d6d352e157bdbd801c95d5e6f27168f3fb78a",
}


@pytest.mark.parametrize("text", GOLDEN)
def test_the_hashes_of_known_configs_never_change(text: str) -> None:
    assert ExpConfig(sdn.loads(text)).hash() == GOLDEN[text]


def test_nothing_leads_back_into_a_config() -> None:
    given_tree: dict[str, Any] = {"a": {"b": [1, {"c": 2}]}}
    config = ExpConfig(given_tree)
    before = config.hash(), exactly(config.values)
    given_tree["a"]["b"][1]["c"] = 3
    for handed_out in (config.values["a"], config.get("a"), config["a"]):
        assert isinstance(handed_out, dict)
        handed_out["b"][1]["c"] = 4  # type: ignore[index,call-overload]
        handed_out.clear()
    config.leaves().clear()
    assert (ExpConfig(config.values).hash(), exactly(config.values)) == before
    with pytest.raises(AttributeError):
        config._values = {}
    with pytest.raises(AttributeError):
        del config._values
    with pytest.raises(TypeError):
        config["a"] = 1  # type: ignore[index]


@given(CONFIGS, st.integers(0, pickle.HIGHEST_PROTOCOL))
def test_pickled_and_copied_configs_equal_the_original(tree: dict[str, Any], protocol: int) -> None:
    config = ExpConfig(tree, ["base.sdn"], ["a=1"])
    pickled = pickle.loads(pickle.dumps(config, protocol))
    for twin in (pickled, copy.copy(config), copy.deepcopy(config)):
        assert same(twin, config)
        assert twin == config
        assert (twin.source_files, twin.overrides) == (("base.sdn",), ("a=1",))


@settings(max_examples=40, deadline=None)
@given(CONFIGS)
def test_a_config_comes_back_from_an_archive_exactly(tree: dict[str, Any]) -> None:
    """By get_run, resume_run and show_run, and leaf by leaf in the view `configs`."""
    config = ExpConfig(tree, ["base.sdn"], ["k=1"])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "lab.db"
        with Archive(path) as archive:
            run = archive.start_run(config)
            run.complete()
        with Archive(path) as archive:
            read = archive.get_run(run.run_id).config
            assert same(read, config)
            assert (read.source_files, read.overrides) == (config.source_files, config.overrides)
            assert read.hash() == archive.show_run(run.run_id).summary.config_hash == config.hash()
            assert exactly(archive.show_run(run.run_id).config) == exactly(config.values)
            resumed = archive.resume_run(run.run_id)
            assert same(resumed.config, config)
            resumed.complete()
        connection = sqlite3.connect(path)
        found = connection.execute("SELECT key, type, num, text, value FROM configs").fetchall()
        connection.close()
    rows = {key: rest for key, *rest in found}
    assert len(rows) == len(found)
    assert rows.keys() == {leaf.key for leaf in config.leaves()}
    for key, (kind, num, text, value) in rows.items():
        original = config[key]
        if isinstance(original, bool):
            assert (kind, num, text) == ("bool", None, "true" if original else "false")
        elif isinstance(original, int):
            assert (kind, num, int(value)) == ("int", float(original), original)
        elif isinstance(original, float):
            assert (kind, num) == ("float", original)
            assert exactly(float(value)) == exactly(original)
        elif isinstance(original, str):
            assert (kind, num, text, value) == ("text", None, original, original)
        elif original is None:
            assert (kind, num, text, value) == ("null", None, None, "null")
        else:
            assert kind == ("list" if isinstance(original, list) else "map")


@given(CONFIGS)
def test_a_config_comes_back_from_sdn_exactly(tree: dict[str, Any]) -> None:
    text = ExpConfig(tree).to_sdn()
    assert exactly(sdn.loads(text)) == exactly(tree)
    assert ExpConfig(sdn.loads(text)).hash() == ExpConfig(tree).hash()


@settings(deadline=None, max_examples=50)
@given(CONFIGS, st.lists(st.tuples(st.sampled_from(["a", "b.c", "b.d.e", "f"]), SCALARS), max_size=4))
def test_a_file_and_overrides_compose_as_the_same_in_code(tree: dict[str, Any], sets: list[Any]) -> None:
    """A file of any values reads back whole, each from its line; overrides are those of with_override."""
    tree = {key: value for key, value in tree.items() if key != "extends" and "${" not in repr(value)}
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "config.sdn").write_text(ExpConfig(tree).to_sdn(), encoding="utf-8", newline="")
        overrides = []
        expected = ExpConfig(tree)
        try:
            for path, value in sets:
                text = sdn.dumps({"k": value}).removeprefix("k: ").removesuffix("\n")
                overrides.append(f"{path}={text}")
                expected = expected.with_override(path, text)
        except ConfigError:
            with pytest.raises(ConfigError):
                load_exp_config(folder, overrides)
            return
        config = load_exp_config(folder, overrides)
        text = Path(folder, "config.sdn").read_bytes().decode()
    assert exactly(config.values) == exactly(expected.values)
    assert config.hash() == expected.hash()
    lines = [source.line for source in config.sources.values() if source.kind == "file"]
    assert all(1 <= line <= text.count("\n") for line in lines)


@given(CONFIGS, CONFIGS)
def test_a_merge_keeps_what_set_each_key(base: Any, overlay: Any) -> None:
    below = ConfigSource("file", "below.sdn", 1)
    above = ConfigSource("override", "above")
    a = ExpConfig(base, sources={leaf.key: below for leaf in ExpConfig(base).leaves()})
    b = ExpConfig(overlay, sources={leaf.key: above for leaf in ExpConfig(overlay).leaves()})
    merged = merge_configs(a, b)
    for path, source in merged.sources.items():
        assert source == (above if path in b.sources else below)
        assert exactly(merged[path]) == exactly((b if source == above else a)[path])
