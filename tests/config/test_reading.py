"""Reading a config: by paths and by attributes, with a hint where a key is missing. Nothing changes it."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from exptrack import ConfigError, ConfigKeyError, ConfigSection, ExpConfig, ExptrackError, load_exp_config
from tests.strategies import CONFIGS, exactly

CONFIG = ExpConfig(
    {
        "optim": {"name": "adam", "lr": 0.1, "betas": [0.9, 0.99], "inner": {"eps": 1e-8}},
        "blocks": [{"width": 1}, {"width": 2, "deep": [[1], [2, 3]]}],
        "layers": [64, 32],
        "a.b": {"c.d": 1},
        "odd[0]": "a key of its own",
        "values": 5,
        "seed": None,
    }
)


def test_a_path_reaches_into_maps_and_lists() -> None:
    found = {
        "layers[0]": 64,
        "layers[-1]": 32,
        "optim.betas[1]": 0.99,
        "blocks[1].width": 2,
        "blocks[1].deep[1][0]": 2,
        "blocks[0]": {"width": 1},
        "odd[0]": "a key of its own",
        '"a.b"."c.d"': 1,
    }
    for path, value in found.items():
        assert CONFIG[path] == CONFIG.get(path) == CONFIG.require(path) == value
        assert path in CONFIG
    for path in (
        "layers[2]",
        "layers[-3]",
        "layers[0][0]",
        "layers[x]",
        "seed[0]",
        "none[0]",
        "layers.0",
        "[0]",
    ):
        assert path not in CONFIG
        assert CONFIG.get(path) is None
        assert CONFIG.get(path, 7) == 7


def test_a_default_stands_for_what_is_missing_and_not_for_null() -> None:
    assert CONFIG.get("optim.beta", 0.5) == 0.5
    assert CONFIG.get("seed", 3) is None
    assert CONFIG.get("optim.inner.eps", 1) == 1e-8


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("optim.l", "did you mean 'optim.lr'?"),
        ("optm.lr", "did you mean 'optim.lr'?"),
        ("lr", "did you mean 'optim.lr'?"),
        ("eps", "did you mean 'optim.inner.eps'?"),
        ("Layers", "did you mean 'layers'?"),
        ("optim.inner.zzzz", "'optim.inner' has 'eps'"),
        ("optim.lr.x", "'optim.lr' is float, not a map"),
        ("layers.0", "'layers' is list, not a map; write layers[0] for its first element"),
        ("layers[2]", "'layers' has no such element"),
        ("zzzzzz", "it has 'optim', 'blocks', 'layers', 'a.b', 'odd[0]', …"),
    ],
)
def test_a_missing_key_says_which_may_be_meant(path: str, hint: str) -> None:
    for read in (CONFIG.require, CONFIG.__getitem__):
        with pytest.raises(ConfigKeyError) as caught:
            read(path)
        assert str(caught.value) == f"the config has no key {path!r}; {hint}"
        assert caught.value.key == path
        assert isinstance(caught.value, KeyError)
        assert isinstance(caught.value, ExptrackError)
        assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    with pytest.raises(ConfigKeyError, match="it has no key"):
        ExpConfig({})["a"]
    with pytest.raises(ConfigError, match="empty part"):
        CONFIG["a..b"]


def test_attributes_read() -> None:
    assert CONFIG.optim.lr == 0.1
    assert CONFIG.optim.inner.eps == 1e-8
    assert CONFIG.layers == [64, 32]
    assert CONFIG.seed is None
    with pytest.raises(AttributeError, match=r"section 'optim' has no key 'lrr'; did you mean 'lr'\?"):
        CONFIG.optim.lrr  # noqa: B018
    with pytest.raises(AttributeError, match="did you mean 'layers'"):
        CONFIG.layer  # noqa: B018
    assert not hasattr(CONFIG, "__array__")
    assert not hasattr(CONFIG, "_repr_svg_")
    assert CONFIG.values["values"] == CONFIG["values"] == 5  # a method of a config, and a key of this one
    assert {"optim", "layers", "get", "require"} <= set(dir(CONFIG))
    assert "a.b" not in dir(CONFIG)
    CONFIG.layers.append(1)
    assert CONFIG.layers == [64, 32]


def test_a_section_is_a_mapping_that_cannot_be_changed() -> None:
    section = CONFIG.optim
    assert isinstance(section, ConfigSection)
    assert isinstance(section, Mapping)
    assert section == CONFIG["optim"] == dict(section)
    assert (len(section), list(section)) == (4, ["name", "lr", "betas", "inner"])
    assert (section["inner.eps"], section.get("betas[0]"), section.get("x", 1)) == (1e-8, 0.9, 1)
    assert (section.get_float("lr"), section.get_text("name"), "lr" in section, "x" in section) == (
        0.1,
        "adam",
        True,
        False,
    )
    assert {**section.inner} == {"eps": 1e-8}
    assert ExpConfig.from_object({"again": section})["again"] == dict(section)
    with pytest.raises(
        ConfigKeyError, match=r"the section 'optim\.inner' has no key 'epss'; did you mean 'eps'"
    ):
        section.inner["epss"]
    with pytest.raises(AttributeError, match="never changes"):
        section.lr = 1
    with pytest.raises(AttributeError, match="never changes"):
        del section.lr
    with pytest.raises(TypeError):
        section["lr"] = 1
    for twin in (copy.copy(section), copy.deepcopy(section), pickle.loads(pickle.dumps(section))):
        assert twin == section
    section["betas"].append(1)
    assert CONFIG["optim.betas"] == [0.9, 0.99]


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(CONFIGS)
def test_sections_hold_what_their_maps_hold(tree: dict[str, Any]) -> None:
    section = ExpConfig({"a": tree}).a
    assert exactly(dict(section)) == exactly(tree)
    assert exactly(dict(section.items())) == exactly(tree)
    assert [exactly(value) for value in section.values()] == [exactly(value) for value in tree.values()]


def test_a_section_shows_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_PASSWORD", "kanarienvogel-8")
    (tmp_path / "config.sdn").write_text(
        "db: {password: ${env:DB_PASSWORD}, user: me}\n".replace("${", '"${').replace("}, u", '}", u')
    )
    config = load_exp_config(tmp_path)
    assert config.db.password == "kanarienvogel-8"
    assert repr(config.db) == "ConfigSection({'password': '${env:DB_PASSWORD}', 'user': 'me'})"


def test_an_override_sets_an_element_of_a_list() -> None:
    for path, keys in (
        ("layers[0]", ("layers", 0)),
        ("layers[-1]", ("layers", -1)),
        ("optim.betas[1]", ("optim", "betas", 1)),
        ("blocks[1].width", ("blocks", 1, "width")),
        ("blocks[1].deep[0][0]", ("blocks", 1, "deep", 0, 0)),
        ("blocks[0].new", ("blocks", 0, "new")),
    ):
        changed = CONFIG.with_override(path, "9")
        found: Any = changed.values
        for key in keys:
            found = found[key]
        assert found == 9
        assert changed.overrides == (f"{path}=9",)
        assert str(changed.source_of(path)) == f"override {path}=9"
        assert set(changed) == set(CONFIG)
        assert {leaf.key for leaf in changed.leaves()} == {leaf.key for leaf in CONFIG.leaves()}
    assert CONFIG.with_override("odd[0]", "1").values["odd[0]"] == 1


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("layers[2]", "'layers' has 2 elements"),
        ("layers[-3]", "'layers' has 2 elements"),
        ("layers[0][0]", "'layers[0]' is int, not a list"),
        ("optim[0]", "'optim' is map, not a list"),
        ("new[0]", "there is no list 'new'"),
        ("optim.new[0].x", "there is no list 'optim.new'"),
        ("layers.0", "'layers' is list, not a map"),
        ("layers[0].x", "'layers[0]' is int, not a map"),
    ],
)
def test_an_element_that_is_not_there_is_refused_and_becomes_no_key(path: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        CONFIG.with_override(path, "9")
    assert message in str(caught.value)
    assert "new" not in CONFIG


def test_a_list_that_code_set_keeps_its_text_when_an_element_is_overridden(tmp_path: Path) -> None:
    (tmp_path / "config.sdn").write_text('width: 3\nsizes: ["${config:width}", 1]\n')
    config = load_exp_config(
        tmp_path, ["sizes[1]=7", "words[0]=x"], defaults={"words": ["a", "${config:width}"]}
    )
    assert (config["sizes"], config["words"]) == ([3, 7], ["x", "${config:width}"])
    assert str(config.source_of("sizes")) == "override sizes[1]=7"
    assert config.source_of("words").kind == "default"


@pytest.mark.parametrize(
    "values",
    [
        {f"k{place}": "v" * 10_000 for place in range(200)},
        {f"k{place}": place for place in range(10_000)},
        {"k" * 1_000: {"inner": ["\U000e0001" * 10_000] * 8}},
        {"deep": {f"k{place}": {"x": "v" * 10_000} for place in range(200)}},
    ],
)
def test_the_repr_of_a_config_has_a_bound_and_says_how_many_keys_it_leaves_out(values: dict[str, Any]) -> None:
    config = ExpConfig({"first": 1, "section": values})
    assert repr(config).startswith("ExpConfig({'first': 1, 'section': ")
    whole = ExpConfig(values)
    for shown in map(repr, (config, whole, config.section)):
        assert len(shown) < 4_000
    shown = repr(whole)
    told = sum(f"'{key}': " in shown for key in values)
    assert f"… {len(values) - told:,} more" in shown or told == len(values) or len(values) == 1


def test_a_config_of_usual_size_is_shown_as_a_whole() -> None:
    values = {f"option_{place}": {"rate": 0.1, "sizes": [1, 2, 3]} for place in range(30)}
    assert repr(ExpConfig(values)) == f"ExpConfig({values!r})"
    assert repr(ExpConfig({"a": values}).a) == f"ConfigSection({values!r})"
