"""Configs from models, dataclasses, namespaces and OmegaConf, and back into models."""

from __future__ import annotations

import argparse
import enum
import types
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf
from pydantic import AliasPath, BaseModel, ConfigDict, Field, SecretStr, computed_field

from exptrack import Archive, ConfigError, ExpConfig, InvalidTypeError, load_exp_config
from tests.strategies import exactly


class Kind(enum.Enum):
    SGD = "sgd"
    ADAM = "adam"


class Optim(BaseModel):
    kind: Kind = Kind.SGD
    lr: float = Field(default=0.1, gt=0)
    betas: tuple[float, float] = (0.9, 0.999)


class Train(BaseModel):
    name: str
    epochs: int = 10
    out: Path = Path("runs/x")
    day: date = date(2031, 5, 9)
    optim: Optim = Optim()
    more: list[Optim] = []
    token: SecretStr = SecretStr("geheim-geheim")


@dataclass
class Layer:
    width: int = 64
    act: str = "relu"


@dataclass
class Net:
    depth: int
    layer: Layer = field(default_factory=Layer)
    layers: list[Layer] = field(default_factory=list)
    kind: Kind = Kind.SGD
    where: Path = Path("a") / "b"


class Numbers(BaseModel):
    token: int


def told(config: ExpConfig) -> dict[str, str]:
    return {path: str(source) for path, source in config.sources.items()}


def test_a_pydantic_model_becomes_a_config_and_comes_back() -> None:
    model = Train(name="x", optim=Optim(lr=0.5), more=[Optim(kind=Kind.ADAM)])
    config = ExpConfig.from_object(model)
    assert exactly(config.values) == exactly(
        {
            "name": "x",
            "epochs": 10,
            "out": "runs/x",
            "day": "2031-05-09",
            "optim": {"kind": "sgd", "lr": 0.5, "betas": [0.9, 0.999]},
            "more": [{"kind": "adam", "lr": 0.1, "betas": [0.9, 0.999]}],
            "token": "**********",
        }
    )
    assert told(config)["name"] == "code Train"
    assert told(config)["epochs"] == "default Train"
    assert told(config)["optim.lr"] == "code Optim"
    assert told(config)["optim.kind"] == "default Optim"
    back = config.as_model(Train)
    assert back.model_dump(exclude={"token"}) == model.model_dump(exclude={"token"})


@given(
    st.builds(
        Train,
        name=st.text(st.characters(exclude_categories=["Cs"]), max_size=9),
        epochs=st.integers(-(2**63), 2**63 - 1),
        optim=st.builds(Optim, kind=st.sampled_from(Kind), lr=st.floats(1e-9, 1e9)),
        more=st.lists(st.builds(Optim), max_size=2),
        token=st.just(SecretStr("")),
    )
)
def test_models_round_trip(model: Train) -> None:
    assert ExpConfig.from_object(model).as_model(Train) == model


class Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")
    where: Path
    sizes: tuple[int, ...]
    rate: float = Field(default=0.1, alias="learning-rate")
    inner: Optim = Field(default_factory=Optim, validation_alias=AliasPath("deep", "optim"))

    @computed_field  # type: ignore[prop-decorator]
    @property
    def count(self) -> int:
        return len(self.sizes)


def test_a_strict_model_with_aliases_and_computed_fields_comes_back() -> None:
    given_model = {"where": Path("a"), "sizes": (1, 2), "learning-rate": 0.5, "deep": {"optim": Optim(lr=3.0)}}
    model = Strict.model_validate(given_model)
    config = ExpConfig.from_object(model)
    assert list(config) == ["where", "sizes", "rate", "inner"]
    assert config.as_model(Strict) == model
    assert ExpConfig({"where": "a", "sizes": [], "learning-rate": 0.5}).as_model(Strict).rate == 0.5
    with pytest.raises(ConfigError, match=r"sizes\.0\n.*valid integer"):
        config.with_override("sizes", '["1"]').as_model(Strict)


@pytest.mark.parametrize("model", [3, argparse.Namespace, "Train"])
def test_only_what_pydantic_validates_is_a_model(model: Any) -> None:
    with pytest.raises(InvalidTypeError, match="a model is"):
        ExpConfig({}).as_model(model)


def test_a_dataclass_becomes_a_config_and_comes_back() -> None:
    net = Net(3, layers=[Layer(1), Layer(2, "tanh")])
    config = ExpConfig.from_object(net)
    assert config.values == {
        "depth": 3,
        "layer": {"width": 64, "act": "relu"},
        "layers": [{"width": 1, "act": "relu"}, {"width": 2, "act": "tanh"}],
        "kind": "sgd",
        "where": "a/b",
    }
    assert told(config)["depth"] == "code Net"
    assert told(config)["layer.width"] == "default Layer"
    assert told(config)["where"] == "default Net"
    assert config.as_model(Net) == net


def test_namespaces_become_configs() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--lr", type=float, default=0.1)
    parser.add_argument("--out", type=Path, default=Path("x"))
    parser.add_argument("--tags", nargs="*", default=[])
    config = ExpConfig.from_object(parser.parse_args(["--lr", "3", "--tags", "a", "b"]))
    assert exactly(config.values) == exactly({"lr": 3.0, "out": "x", "tags": ["a", "b"]})
    assert set(told(config).values()) == {"code Namespace"}
    assert ExpConfig.from_object(types.SimpleNamespace(a=1)).values == {"a": 1}


def test_omegaconf_is_resolved_but_for_the_environment(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "kanarienvogel-1")
    conf = OmegaConf.create(
        {
            "lr": 0.1,
            "warm": "${lr}",
            "db": {"password": "${oc.env:SECRET}", "url": "x://${db.password}@h"},
            "items": ["${lr}", "${oc.env:SECRET}"],
        }
    )
    run = archive.start_run(conf)
    assert run.config.values == {
        "lr": 0.1,
        "warm": 0.1,
        "db": {"password": "kanarienvogel-1", "url": "x://kanarienvogel-1@h"},
        "items": [0.1, "kanarienvogel-1"],
    }
    stored = {
        "lr": 0.1,
        "warm": 0.1,
        "db": {"password": "${oc.env:SECRET}", "url": "x://${oc.env:SECRET}@h"},
        "items": [0.1, "${oc.env:SECRET}"],
    }
    assert run.config.stored_values == archive.show_run(run.run_id).config == stored
    assert run.config.mask("it was kanarienvogel-1") == "it was ${oc.env:SECRET}"
    changed = run.config.with_override("lr", "0.2")
    assert changed.get("db.password") == "kanarienvogel-1"
    run.complete()
    assert all(b"kanarienvogel" not in file.read_bytes() for file in Path(archive.path).parent.iterdir())
    for wrong in (OmegaConf.create([1]), OmegaConf.create({"a": "${b}"}), OmegaConf.create({"a": "???"})):
        with pytest.raises(ConfigError):
            ExpConfig.from_object(wrong)


def test_defaults_lie_below_the_files_and_are_recorded_as_such(tmp_path: Path) -> None:
    (tmp_path / "config.sdn").write_text("name: x\nepochs: 3\nrate: ${config:optim.lr}\n")
    config = load_exp_config(tmp_path, ["optim.kind=adam"], defaults=Train(name="d"))
    assert (config.get("name"), config.get("epochs"), config.get("rate")) == ("x", 3, 0.1)
    found = told(config)
    assert [found[key] for key in ("name", "optim.lr", "optim.kind", "day")] == [
        "config.sdn:1",
        "default Optim",
        "override optim.kind=adam",
        "default Train",
    ]


def test_defaults_that_hold_secrets_are_seen_whole_and_stored_as_references(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "kanarienvogel-3")
    (tmp_path / "below.sdn").write_text("token: ${env:SECRET}\n")
    (tmp_path / "config.sdn").write_text("copy: ${config:token}\n")
    omegaconf = OmegaConf.create({"token": "${oc.env:SECRET}"})
    for defaults in (omegaconf, load_exp_config(tmp_path / "below.sdn")):
        config = load_exp_config(tmp_path, ["+more=${config:token}!"], defaults=defaults)
        assert set(config.values.values()) == {"kanarienvogel-3", "kanarienvogel-3!"}
        assert "kanarienvogel" not in f"{config!r}{config.to_sdn()}{config.canonical()}{config.sources}"
        assert "kanarienvogel" not in config.mask("refused: kanarienvogel-3")
        assert str(config.source_of("token")).startswith("default")
        with pytest.raises(ConfigError, match="valid integer") as caught:
            config.as_model(Numbers)
        assert "kanarienvogel" not in str(caught.value)


def test_a_run_takes_them_all(archive: Archive) -> None:
    for thing in (Train(name="x"), Net(1), argparse.Namespace(a=1), {"a": 1}, ExpConfig({"a": 1}), None):
        with archive.start_run(thing) as run:
            assert run.config == (ExpConfig.empty() if thing is None else ExpConfig.from_object(thing))


@pytest.mark.parametrize(
    "thing",
    [5, "text", [1], object(), Train, Net, argparse.Namespace(f=print), Net(len)],  # type: ignore[arg-type]
)
def test_what_holds_no_settings_is_refused(thing: Any) -> None:
    with pytest.raises(ConfigError):
        ExpConfig.from_object(thing)


def test_a_config_that_does_not_fit_gets_pydantics_own_message_without_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(
        ConfigError, match=r"2 validation errors for Train(.|\n)*Field required(.|\n)*greater than 0"
    ):
        ExpConfig({"optim": {"lr": -1}}).as_model(Train)
    monkeypatch.setenv("SECRET", "kanarienvogel-2")
    (tmp_path / "config.sdn").write_text("name: x\nepochs: ${env:SECRET}\n")
    with pytest.raises(ConfigError, match="epochs: Input should be a valid integer") as caught:
        load_exp_config(tmp_path).as_model(Train)
    assert "kanarienvogel" not in str(caught.value)
    assert caught.value.__cause__ is caught.value.__context__ is None
