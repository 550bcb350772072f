"""Configs: typed, immutable, hashed by content, merged by law; their secrets stay references."""

from __future__ import annotations

import copy
import hashlib
import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exptrack import ConfigError, ConfigSource, ExpConfig, InvalidValueError, merge_configs, sdn
from exptrack.keypath import join_path, split_path
from tests.config.secrets_of_the_environment import CANARY, secret_config
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


@given(CONFIGS)
def test_a_config_comes_back_from_sdn_exactly(tree: dict[str, Any]) -> None:
    text = ExpConfig(tree).to_sdn()
    assert exactly(sdn.loads(text)) == exactly(tree)
    assert ExpConfig(sdn.loads(text)).hash() == ExpConfig(tree).hash()


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


@pytest.mark.parametrize("source", [ConfigSource("hearsay", "x"), ConfigSource("file", "\ud800"), "file"])
def test_a_source_that_cannot_be_stored_is_refused(source: ConfigSource) -> None:
    with pytest.raises(InvalidValueError):
        ExpConfig({"a": 1}, sources={"a": source})


def test_pickles_and_copies_look_the_environment_up_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANARY", CANARY)
    config = secret_config(tmp_path)
    for twin in (pickle.loads(pickle.dumps(config)), copy.deepcopy(config)):
        assert (twin, twin.values, twin.sources) == (config, config.values, config.sources)
        assert twin.overrides == config.overrides


def test_short_values_of_the_environment_do_not_garble_messages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANARY", "e")
    assert secret_config(tmp_path).mask("the end") == "the end"
    monkeypatch.setenv("CANARY", 'line "one"\nline two')
    config = secret_config(tmp_path)
    for form in (repr, json.dumps, str):
        assert "line" not in config.mask(f"it was {form(config.get('token'))}")
