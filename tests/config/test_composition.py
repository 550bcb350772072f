"""Configs from files: what is selected, what wins, what set each key, which files are refused."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from exptrack import (
    ConfigError,
    ConfigNotFoundError,
    ConfigSource,
    ExpConfig,
    InvalidTypeError,
    SdnError,
    load_exp_config,
    load_sdn_config,
    parse_cli_overrides,
    sdn,
)
from tests.effort import tries
from tests.strategies import CONFIGS, SCALARS, exactly


def write(folder: Path, **files: str) -> Path:
    """Files by name; two underscores stand for a slash, one at the end of a part for its suffix .sdn."""
    for name, text in files.items():
        path = folder / f"{name.replace('__', '/')}.sdn"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="")
    return folder


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    return write(
        tmp_path / "lab",
        config="# base\nseed: 1\nmodel:\n    name: mlp\n    width: 64\noptim:\n    lr: 0.1\n",
        configs__model__resnet="name: resnet\ndepth: 50\n",
        configs__optim__adam="optim:\n    name: adam\n    lr: 0.001\nclip: 1.0\n",
    )


def told(config: ExpConfig) -> dict[str, str]:
    return {path: str(source) for path, source in config.sources.items()}


# Composition


def test_base_then_selected_files_then_overrides_the_later_wins(lab: Path) -> None:
    overrides = ["optim.lr=3e-4", "model=resnet", "optim=adam", "model.depth=18", "+new.key=x"]
    config = load_exp_config(lab, overrides)
    assert config.values == {
        "seed": 1,
        "model": {"name": "resnet", "width": 64, "depth": 18},
        "optim": {"lr": 3e-4, "name": "adam"},
        "clip": 1.0,
        "new": {"key": "x"},
    }
    assert config.source_files == ("config.sdn", "configs/model/resnet.sdn", "configs/optim/adam.sdn")
    assert config.overrides == tuple(overrides)


def test_every_key_says_what_set_it(lab: Path) -> None:
    config = load_exp_config(lab, ["optim.lr=3e-4", "model=resnet", "optim=adam"])
    assert told(config) == {
        "seed": "config.sdn:2",
        "model.name": "configs/model/resnet.sdn:1",
        "model.width": "config.sdn:5",
        "model.depth": "configs/model/resnet.sdn:2",
        "optim.lr": "override optim.lr=3e-4",
        "optim.name": "configs/optim/adam.sdn:2",
        "clip": "configs/optim/adam.sdn:4",
    }
    assert config.source_of("model.width") == ConfigSource("file", "config.sdn", 5)


def test_an_override_that_selects_no_file_sets_its_key(lab: Path) -> None:
    overrides = ["seed=2", "note=resnet", "data=/mnt/x", "empty=", "list=[1, 2]", "a=b=c"]
    config = load_exp_config(lab, overrides, strict=False)
    assert [config.get(key) for key in ("seed", "note", "data", "empty", "list", "a")] == [
        2,
        "resnet",
        "/mnt/x",
        "",
        [1, 2],
        "b=c",
    ]
    assert load_exp_config(lab, ["model={name: x}"]).get("model") == {"name": "x"}


@pytest.mark.parametrize(
    ("override", "hint"),
    [
        ("optim.l=0.5", "'optim.l' to override, and +optim.l=0.5 would add it; did you mean 'optim.lr'?"),
        ("optm.lr=0.5", "'optm.lr' to override, and +optm.lr=0.5 would add it; did you mean 'optim.lr'?"),
        ("lr=0.5", "'lr' to override, and +lr=0.5 would add it; did you mean 'optim.lr'?"),
        ("sed=2", "did you mean 'seed'?"),
        ("blocks[1].wdth=2", "did you mean 'blocks[1].width'?"),
        ("layers[0]=2", "there is no key 'layers[0]' to override"),
        ("~seed=1", "there is no key '~seed' to override"),
    ],
)
def test_an_override_of_an_unknown_key_is_refused(lab: Path, override: str, hint: str) -> None:
    text = (lab / "config.sdn").read_text() + "blocks: [{width: 1}, {width: 2}]\n"
    write(lab, config=text)
    with pytest.raises(ConfigError) as caught:
        load_exp_config(lab, [override])
    assert hint in str(caught.value)
    assert caught.value.key == override.partition("=")[0]
    with pytest.raises(InvalidTypeError):
        load_exp_config(lab, [override], strict="no")  # type: ignore[arg-type]
    if "layers" in override:
        for overrides, strict in ((["+layers[0]=2"], True), (["layers[0]=2"], False)):
            with pytest.raises(ConfigError, match="no list 'layers'"):
                load_exp_config(lab, overrides, strict=strict)
        return
    added = load_exp_config(lab, [f"+{override}"])
    assert load_exp_config(lab, [override], strict=False) == added
    assert added != load_exp_config(lab)


def test_a_plus_adds_a_key_or_sets_one_that_is_there(lab: Path) -> None:
    overrides = ["+new=1", "new=2", "++optim.lr=0.5", "+model=resnet", "+ spaced =3"]
    config = load_exp_config(lab, overrides)
    found = [config.get(key) for key in ("new", "optim.lr", "model.name", "spaced")]
    assert found == [2, 0.5, "resnet", 3]
    assert config.overrides == ("+new=1", "new=2", "++optim.lr=0.5", "+model=resnet", "+spaced=3")
    assert load_exp_config(lab, config.overrides) == config
    assert told(config)["new"] == "override new=2"
    for wrong in ("+=1", "+", "++ =1"):
        with pytest.raises(ConfigError, match="not an override"):
            load_exp_config(lab, [wrong])


def test_defaults_declare_keys_too(tmp_path: Path) -> None:
    write(tmp_path, config="a: 1\n")
    defaults = {"optim": {"lr": 0.1}, "layers": [1, 2]}
    config = load_exp_config(tmp_path, ["optim.lr=0.5", "layers[1]=9", "optim={x: 1}"], defaults=defaults)
    assert config.values == {"optim": {"x": 1}, "layers": [1, 9], "a": 1}
    with pytest.raises(ConfigError, match=r"optim\.lr"):
        load_exp_config(tmp_path, ["optim.l=0.5"], defaults=defaults)


def test_a_secret_of_an_unknown_key_is_not_shown(lab: Path) -> None:
    with pytest.raises(ConfigError, match="api_token") as caught:
        load_exp_config(lab, ["api_token=tok-Zk3mQ9xYw"])
    assert "Zk3mQ9xYw" not in str(caught.value)
    config = load_exp_config(lab, ["+api_token=tok-Zk3mQ9xYw"])
    assert config["api_token"] == "tok-Zk3mQ9xYw"
    assert "Zk3mQ9xYw" not in repr((config, config.overrides, config.sources))


def test_text_that_a_number_would_lose_something_of_stays_text(lab: Path) -> None:
    texts = {
        "007": "007",
        "1_000": "1_000",
        "2026_01_31": "2026_01_31",
        "0.5": 0.5,
        "7": 7,
        "[007, 7]": ["007", 7],
    }
    for text, value in texts.items():
        assert exactly(load_exp_config(lab, [f"seed={text}"])["seed"]) == exactly(value)
    write(lab, config="seed: 1_000\n")
    assert load_exp_config(lab)["seed"] == 1000  # a file is read as SDN has it


def test_a_misspelt_choice_of_a_group_that_the_config_lacks_is_refused_as_one(lab: Path) -> None:
    write(lab, configs__data__mnist="root: x\n")
    with pytest.raises(ConfigError, match="did you mean 'mnist'"):
        load_exp_config(lab, ["data=mnis"])
    assert load_exp_config(lab, ["+data=mnis"])["data"] == "mnis"


def test_a_misspelt_choice_is_refused_not_set(lab: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean 'resnet'"):
        load_exp_config(lab, ["model=resnte"])
    with pytest.raises(ConfigError, match="there are resnet"):
        load_exp_config(lab, ["model=q"])


@pytest.mark.parametrize(
    "override",
    ["model=../../secret", "..=secret", "model=..", "model=/etc/secret", "model=a/../secret", "../..=secret"],
)
def test_no_override_reaches_outside_the_folder_of_choices(tmp_path: Path, override: str) -> None:
    write(tmp_path, secret="stolen: true", lab__config="a: 1", lab__configs__secret="stolen: true")
    write(tmp_path, lab__configs__model__x="b: 1")
    try:
        config = load_exp_config(tmp_path / "lab", [override])
    except ConfigError:
        return
    assert "stolen" not in config.to_sdn()


def test_a_base_may_be_missing_where_there_are_choices_but_not_both(tmp_path: Path) -> None:
    write(tmp_path / "a", configs__model__x="b: 1")
    assert load_exp_config(tmp_path / "a", ["model=x"]).values == {"model": {"b": 1}}
    for missing in (tmp_path / "none", tmp_path):
        with pytest.raises(ConfigNotFoundError, match=r"no config\.sdn"):
            load_exp_config(missing, ["a=1"])
    with pytest.raises(ConfigNotFoundError, match=r"x\.sdn"):
        load_sdn_config(tmp_path / "x.sdn")


def test_a_file_may_be_named_instead_of_its_folder(lab: Path) -> None:
    write(lab, other="seed: 9")
    config = load_exp_config(lab / "other.sdn", ["model=resnet"])
    assert config.values == {"seed": 9, "model": {"name": "resnet", "depth": 50}}
    assert config.source_files[0] == "other.sdn"


def test_a_file_that_does_not_parse_is_an_error_that_names_file_line_and_column(lab: Path) -> None:
    write(lab, configs__model__broken="name: x\nb: [1, 2\n")
    with pytest.raises(SdnError) as caught:
        load_exp_config(lab, ["model=broken"])
    assert (caught.value.file, caught.value.line, caught.value.column) == ("configs/model/broken.sdn", 2, 4)
    message = str(caught.value)
    assert message.startswith("configs/model/broken.sdn, line 2, column 4: ")
    assert message.endswith("b: [1, 2\n     ^")


@pytest.mark.parametrize("overrides", ["a=1", [3], ["noequals"], ["=1"], ["a..b=1"], ["seed.x=1"], ["a=[1"], 5])
def test_an_override_that_cannot_be_applied_is_refused(lab: Path, overrides: Any) -> None:
    with pytest.raises((ConfigError, InvalidTypeError)):
        load_exp_config(lab, overrides)


def test_overrides_are_the_words_with_an_equals_sign_that_are_no_options() -> None:
    argv = ["a.py", "--x=1", "-k=v", "model=resnet", "=", "=x", "b", "optim.lr=3e-4", "t=", "--", "u=1=2"]
    assert parse_cli_overrides(argv) == ["model=resnet", "optim.lr=3e-4", "t=", "u=1=2"]
    for wrong in ("a=1", [1], None):
        with pytest.raises(InvalidTypeError):
            parse_cli_overrides(wrong)  # type: ignore[arg-type]


def test_no_name_of_a_source_is_absolute(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(lab, config='extends: "../shared/base.sdn"\nb: 2\n')
    write(lab.parent, shared__base="a: 1\n")
    monkeypatch.chdir(lab / "configs")
    for config in (load_exp_config(lab), load_sdn_config(lab / "config.sdn"), load_exp_config("..")):
        assert config.source_files == ("base.sdn", "config.sdn")
        assert {s.name for s in config.sources.values()} == {"base.sdn", "config.sdn"}
    assert load_sdn_config("model/resnet.sdn").source_files == ("model/resnet.sdn",)


# What a file extends


def test_a_file_is_laid_over_what_it_extends(tmp_path: Path) -> None:
    write(tmp_path, config="extends: base.sdn\na:\n    x: 2\n", base="a:\n    x: 1\n    y: [1]\nb: 3\n")
    config = load_exp_config(tmp_path)
    assert config.values == {"a": {"x": 2, "y": [1]}, "b": 3}
    assert told(config) == {"a.x": "config.sdn:3", "a.y": "base.sdn:3", "b": "base.sdn:4"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("extends: config.sdn", "circle: config.sdn → config.sdn"),
        ("extends: other.sdn", "circle: config.sdn → other.sdn → config.sdn"),
        ("extends: [a.sdn]", "names a file"),
        ("extends: /etc/passwd", "relative"),
        ("extends: ../passwd", "relative"),
        ("extends: /a/b.sdn", "relative"),
        ("extends:", "x"),
    ],
)
def test_what_cannot_be_extended_is_refused(tmp_path: Path, text: str, message: str) -> None:
    write(tmp_path, config=text, other="extends: config.sdn")
    if text == "extends:":
        assert load_exp_config(tmp_path).values == {}
        return
    with pytest.raises(ConfigError, match=message):
        load_exp_config(tmp_path)
    write(tmp_path, config="extends: none.sdn")
    with pytest.raises(ConfigNotFoundError, match=r"none\.sdn"):
        load_exp_config(tmp_path)


def test_a_long_line_of_files_that_extend_each_other_is_refused(tmp_path: Path) -> None:
    write(tmp_path, **{f"f{n}": f"extends: f{n + 1}.sdn" for n in range(30)})
    with pytest.raises(ConfigError, match="more than 20"):
        load_sdn_config(tmp_path / "f0.sdn")


# Other notations


FOREIGN = {
    "config.json": '{"a": {"x": 1, "y": 1.0}, "l": [true, null, "t"]}',
    "config.toml": "l = [true, 1]\nday = 2031-05-09\n[a]\nx = 1\ny = 1.0\n",
    "config.yaml": "a:\n  x: 1\n  y: 1.0\nl: [true, ~, t]\n",
    "config.yml": "a: {x: 0x1, y: 1e0}\nl:\n- true\n-\n- 't'\n",
}


@pytest.mark.parametrize("name", FOREIGN)
def test_bases_in_other_notations_are_read_and_overridden(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(FOREIGN[name], encoding="utf-8")
    (tmp_path / "configs/g").mkdir(parents=True)
    (tmp_path / "configs/g/one.json").write_text('{"z": 1}')
    config = load_exp_config(tmp_path, ["g=one", "a.x=2"])
    assert exactly(config.get("a")) == exactly({"x": 2, "y": 1.0})
    assert config.source_files == (name, "configs/g/one.json")
    assert str(config.source_of("a.y")).startswith(name)
    if name.endswith("toml"):
        assert config.get("day") == "2031-05-09"
    else:
        assert exactly(config.get("l")) == exactly([True, None, "t"])
    if name == "config.yaml":
        assert str(config.source_of("a.y")) == "config.yaml:3"


def test_two_bases_are_refused(tmp_path: Path) -> None:
    write(tmp_path, config="a: 1")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"config\.sdn and config\.json"):
        load_exp_config(tmp_path)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("c.json", '{"a": 1, "a": 2}', "twice"),
        ("c.json", '{"a": NaN}', "NaN"),
        ("c.json", '{"a": -Infinity}', "Infinity"),
        ("c.json", "[1]", "object"),
        ("c.json", '{"a": ', "line 1, column 7"),
        ("c.json", '{"a": ' + "[" * 100_000, "deep"),
        ("c.json", '{"a": ' + "9" * 5000 + "}", "digits"),
        ("c.json", '{"a": ' + "9" * 30 + "}", "64 bits"),
        ("c.json", '{"a": 1e999}', "inf"),
        ("c.json", '{"a": "\\ud800"}', "surrogate"),
        ("c.json", b'{"a": "\xff"}', "UTF-8"),
        ("c.json", " " * 1024 * 1024 + "{}", "larger"),
        ("c.toml", "a = 1\na = 2", "c.toml"),
        ("c.toml", "a = nan", "nan"),
        ("c.toml", "a = ", "Invalid value"),
        ("c.toml", "a = " + "[" * 10_000, "deep"),
    ],
)
def test_what_other_notations_cannot_say_exactly_is_refused(
    tmp_path: Path, name: str, text: str | bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError, match=message) as caught:
        load_sdn_config(tmp_path / name)
    assert name in str(caught.value)


@settings(max_examples=tries(200), deadline=None)
@given(
    st.sampled_from(["json", "toml", "yaml"]),
    st.text(alphabet="ab: =-[]{}&*!|>\"'\n\t#0129.e<~,é\x00?%@`", max_size=40),
)
@example("yaml", "&a a: *a")
@example("yaml", "? a\n: b")
@example("yaml", "{a, b: c}")
@example("yaml", "%YAML 9.9\n---\na: 1")
def test_any_text_in_another_notation_is_read_or_refused(suffix: str, text: str) -> None:
    path = Path(f"fuzz.{suffix}")
    path.write_text(text, encoding="utf-8", newline="")
    try:
        config = load_sdn_config(path)
    except ConfigError:
        return
    assert sdn.loads(config.to_sdn()) == config.values


def test_an_unreadable_file_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "config.sdn").mkdir()
    with pytest.raises(ConfigError, match=r"cannot read config\.sdn"):
        load_sdn_config(tmp_path / "config.sdn")
    for wrong in (None, 3, b"x"):
        with pytest.raises(InvalidTypeError):
            load_exp_config(wrong)  # type: ignore[arg-type]


def test_what_is_loaded_equals_what_the_program_would_write(lab: Path) -> None:
    config = load_exp_config(lab, ["model=resnet"])
    path = lab.parent / "again.sdn"
    path.write_text(config.to_sdn(), encoding="utf-8")
    assert load_sdn_config(path) == config
    assert json.loads(config.canonical()) == config.values
    assert os.path.exists(path)


@settings(deadline=None, max_examples=tries(50))
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
                load_exp_config(folder, overrides, strict=False)
            return
        config = load_exp_config(folder, overrides, strict=False)
        text = Path(folder, "config.sdn").read_bytes().decode()
    assert exactly(config.values) == exactly(expected.values)
    assert config.hash() == expected.hash()
    lines = [source.line for source in config.sources.values() if source.kind == "file"]
    assert all(1 <= line <= text.count("\n") for line in lines)
