"""Sweep files: what they mean, that plans come back from them, and what is refused where."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from exptrack import (
    ConfigError,
    ConfigNotFoundError,
    Dimension,
    ExptrackError,
    InvalidTypeError,
    InvalidValueError,
    Pruner,
    Sampler,
    SdnError,
    SweepFileError,
    SweepPlan,
    load_sweep,
    sdn,
)
from exptrack.records import ConfigSource
from exptrack.sweeps.plan_places import ForeignPlaces
from tests.strategies import exactly
from tests.sweeps.plans import ROOMY, TREES, facts_of, plans

EXAMPLES = Path(__file__).parents[2] / "examples" / "sweeps"
JSON_TREES = st.dictionaries(
    st.text(max_size=4),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
        max_leaves=8,
    ),
    max_size=4,
)
GOAL = "objective: {metric: acc, direction: maximize}\n"


def written(folder: Path, text: str) -> Path:
    file = folder / "tuning.sdn"
    file.write_text(text, encoding="utf-8", newline="")
    return file


def space_of(folder: Path, text: str) -> dict[str, Dimension]:
    return dict(load_sweep(written(folder, GOAL + text)).space)


def test_the_example_of_a_search_is_read() -> None:
    plan = load_sweep(EXAMPLES / "digits" / "sweep.sdn")
    assert (plan.name, plan.metric, plan.direction, plan.reduce) == (
        "digits",
        "val_accuracy",
        "maximize",
        "max",
    )
    assert list(plan.space.items()) == [
        ("optim.lr", Dimension("float", 1e-4, 0.3, log=True)),
        ("optim.alpha", Dimension("float", 1e-6, 1e-2, log=True)),
        ("model.hidden", Dimension("int", 8, 128, log=True)),
        ("model.activation", Dimension("choice", choices=("relu", "tanh"))),
    ]
    assert plan.sampler == Sampler("tpe", 1)
    assert plan.pruner == Pruner("median", {"n_startup_trials": 4, "n_warmup_steps": 2})
    assert (plan.max_trials, plan.time_limit_s, plan.jobs, plan.retries) == (24, 600.0, 2, 1)
    assert plan.base is not None
    assert plan.base.get("optim.batch") == 64
    assert str(plan.base.source_of("optim.lr")) == "config.sdn:4"


def test_the_example_of_a_grid_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIGITS", "/secret/place")
    plan = load_sweep(EXAMPLES / "grid" / "sweep.sdn")
    assert (plan.name, plan.metric, plan.direction, plan.reduce) == ("svm", "val_error", "minimize", "last")
    assert plan.space["svm.C"] == Dimension("choice", choices=(0.1, 1.0, 10.0))
    assert plan.space["svm.shrinking"] == Dimension("choice", choices=(True, False))
    assert plan.space["pca.components"] == Dimension("int", 16, 48, 16)
    assert (plan.sampler, plan.pruner) == (Sampler("grid"), Pruner("none"))
    assert (plan.max_trials, plan.time_limit_s, plan.jobs, plan.retries) == (None, None, 1, 0)
    assert plan.base is not None
    assert plan.base.get("data") == "/secret/place"
    assert str(plan.base.source_of("data")) == "sweep.sdn:16"
    assert "secret" not in json.dumps(plan.to_settings())


def test_a_plan_comes_back_where_its_environment_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAB_TOKEN", "secret")
    file = written(tmp_path, GOAL + 'base: {token: "${env:LAB_TOKEN}"}\nspace: {a: [1]}\n')
    settings = load_sweep(file).to_settings()
    monkeypatch.delenv("LAB_TOKEN")
    plan = SweepPlan.from_settings(settings)
    assert plan.to_settings() == settings
    assert plan.base is not None
    with pytest.raises(ConfigError, match="LAB_TOKEN is not set"):
        plan.base.get("token")


@pytest.mark.parametrize(
    ("text", "key", "dimension"),
    [
        ("space: {a.b: {low: 0, high: 1.5}}", "a.b", Dimension("float", 0.0, 1.5)),
        ("space: {a: {low: 1, high: 9}}", "a", Dimension("int", 1, 9)),
        ("space: {a: {low: 1, high: 9, step: 0.5}}", "a", Dimension("float", 1.0, 9.0, 0.5)),
        ("space: {a: {kind: float, low: 1, high: 9}}", "a", Dimension("float", 1.0, 9.0)),
        ("space: {a: {low: 0.1, high: 0.3, step: 0.1}}", "a", Dimension("float", 0.1, 0.3, 0.1)),
        ("space: {a: {low: 2, high: 2, log: false}}", "a", Dimension("int", 2, 2)),
        ("space: {a: {low: 1, high: 2, step: null, log: null}}", "a", Dimension("int", 1, 2)),
        (
            'space: {a: [0, 1.5, x, true, null, ""]}',
            "a",
            Dimension("choice", choices=(0, 1.5, "x", True, None, "")),
        ),
        ("space: {a: {choices: [x]}}", "a", Dimension("choice", choices=("x",))),
        ("space: {a: {kind: choice, choices: [x]}}", "a", Dimension("choice", choices=("x",))),
        ("choices: {a: [x, y]}", "a", Dimension("choice", choices=("x", "y"))),
        ("space |param, low, high| a, 1, 9", "a", Dimension("int", 1, 9)),
        ("space |param, kind, low, high| a, float, 1, 9", "a", Dimension("float", 1.0, 9.0)),
        ("space |param, low, high, step, log| a, 1, 9, 2,", "a", Dimension("int", 1, 9, 2)),
        ("space |param, low, high, choices| a, , , [x, y]", "a", Dimension("choice", choices=("x", "y"))),
        ("space:\n  - param: a\n    low: 1\n    high: 9\n", "a", Dimension("int", 1, 9)),
        ('space: {"a.\\"b.c\\"": {low: 1, high: 2}}', 'a."b.c"', Dimension("int", 1, 2)),
    ],
)
def test_a_parameter_is_a_range_or_choices(text: str, key: str, dimension: Dimension, tmp_path: Path) -> None:
    found = space_of(tmp_path, text)
    assert list(found) == [key]
    assert exactly(dataclasses.astuple(found[key])) == exactly(dataclasses.astuple(dimension))


def test_a_table_and_choices_make_one_space_in_their_order(tmp_path: Path) -> None:
    text = "space |param, low, high|\n  b, 1, 2\n  a, 1, 2\nchoices:\n  d: [1]\n  c: [1]\n"
    assert list(space_of(tmp_path, text)) == ["b", "a", "d", "c"]


@pytest.mark.parametrize(
    ("word", "plan"),
    [
        ("random", Sampler("random")),
        ("CmaEsSampler", Sampler("CmaEsSampler")),
        ("{name: tpe, seed: 3}", Sampler("tpe", 3)),
        ("{name: tpe, seed: null, multivariate: true}", Sampler("tpe", None, {"multivariate": True})),
    ],
)
def test_a_sampler_is_a_name_or_a_map_with_options(word: str, plan: Sampler, tmp_path: Path) -> None:
    text = f"{GOAL}space: {{a: [1]}}\nsampler: {word}\n"
    assert load_sweep(written(tmp_path, text)).sampler == plan


@pytest.mark.parametrize(
    ("word", "plan"),
    [
        ("hyperband", Pruner("hyperband")),
        ("PercentilePruner", Pruner("PercentilePruner")),
        (
            "{name: successive_halving, min_resource: 2}",
            Pruner("successive_halving", {"min_resource": 2}),
        ),
    ],
)
def test_a_pruner_is_a_name_or_a_map_with_options(word: str, plan: Pruner, tmp_path: Path) -> None:
    text = f"{GOAL}space: {{a: [1]}}\npruner: {word}\n"
    assert load_sweep(written(tmp_path, text)).pruner == plan


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ("space: {a: [1]}\n", 1, 1, "metric is missing"),
        ("objective: {direction: maximize}\nspace: {a: [1]}\n", 1, 12, "metric is missing"),
        ("objective: {metric: m}\nspace: {a: [1]}\n", 1, 12, "direction is missing"),
        (
            "objective: acc\nspace: {a: [1]}\n",
            1,
            12,
            "objective must be a map of metric, direction, reduce, not 'acc'",
        ),
        ("objective: {metric: m, direction: up}\nspace: {a: [1]}\n", 1, 35, "minimize or maximize, not 'up'"),
        ("objective: {metric: m, directon: max}\nspace: {a: [1]}\n", 1, 24, "did you mean direction?"),
        ('objective: {metric: "", direction: minimize}\nspace: {a: [1]}\n', 1, 21, "metric is empty"),
        (GOAL.replace("}", ", reduce: mean}") + "space: {a: [1]}\n", 1, 55, "last, min or max, not 'mean'"),
        (GOAL, 1, 1, "there is no parameter to search"),
        (GOAL + "space: {}\n", 2, 8, "there is no parameter to search"),
        (GOAL + "spcae: {a: [1]}\n", 2, 1, "there is no 'spcae' here; did you mean space?"),
        (GOAL + "zzz: 1\n", 2, 1, "there are name, objective, space"),
        (GOAL + "name: 3\nspace: {a: [1]}\n", 2, 7, "name must be text"),
        (GOAL + "space: [1, 2]\n", 2, 9, "begin it with a line like space |param, low, high|"),
        (GOAL + "space: 5\n", 2, 8, "space must be a map or a table"),
        (GOAL + "space: {a: 0.1}\n", 2, 12, "a is a range, {low: …, high: …}, or a list of choices"),
        (GOAL + "space: {a: [1]}\nchoices: [1]\n", 3, 10, "choices must be a map of parameters to lists"),
        (GOAL + "choices: {a: 1}\n", 2, 14, "the choices of a must be a list, not 1"),
        (GOAL + "space: {a: {choices: 1}}\n", 2, 22, "the choices of a must be a list"),
        (GOAL + "space: {a: {low: 2, high: 1}}\n", 2, 18, "low 2 is above high 1"),
        (GOAL + "space:\n    a: {low: 1}\n", 3, 8, "a range needs high"),
        (GOAL + "space:\n    a:\n        low: 1\n        hihg: 2\n", 5, 9, "did you mean high?"),
        (GOAL + "space: {a: {low: x, high: 1}}\n", 2, 18, "low must be a number, not 'x'"),
        (GOAL + "space: {a: {low: true, high: 1}}\n", 2, 18, "low must be a number, not True"),
        (GOAL + "space: {a: {low: 0, high: 1.0, log: true}}\n", 2, 18, "low must be above 0, not 0.0"),
        (GOAL + "space: {a: {low: 0, high: 9, log: true}}\n", 2, 18, "low must be above 0, not 0"),
        (GOAL + "space: {a: {low: 1, high: 9, log: yes}}\n", 2, 35, "log must be true or false, not 'yes'"),
        (
            GOAL + "space: {a: {low: 1, high: 9, step: 1, log: true}}\n",
            2,
            36,
            "log and step cannot be combined",
        ),
        (GOAL + "space: {a: {low: 1, high: 9, step: 0}}\n", 2, 36, "step must be above 0, not 0"),
        (GOAL + "space: {a: {low: 0, high: 1.0, step: 0.3}}\n", 2, 38, "the last before it is 0.9"),
        (GOAL + "space: {a: {low: 0, high: 1.0, step: 1e-300}}\n", 2, 38, "too small"),
        (GOAL + "space: {a: {kind: int, low: 1.0, high: 9}}\n", 2, 29, "a whole number, not 1.0"),
        (GOAL + "space: {a: {kind: real, low: 1.0, high: 9}}\n", 2, 19, "float, int or choice, not 'real'"),
        (GOAL + f"space: {{a: {{low: 1, high: {2**63}}}}}\n", 2, 27, "does not fit into 64 bits"),
        (GOAL + "space: {a: {low: 1, choices: [1]}}\n", 2, 18, "choices take no low"),
        (GOAL + "space: {a: {kind: int, low: 1, high: 2, choices: [1]}}\n", 2, 50, "takes no choices"),
        (GOAL + "space: {a: []}\n", 2, 12, "choices is empty"),
        (GOAL + "space: {a: [x, [1]]}\n", 2, 12, "must be text, a number, true, false or null"),
        (GOAL + "space: {a: [x, y, x]}\n", 2, 12, "the choice 'x' appears twice; remove one"),
        (GOAL + "space: {a: [1, true]}\n", 2, 12, "the choice True equals 1; remove one"),
        (GOAL + f"space: {{a: {{low: 1, high: {2**53 + 1}}}}}\n", 2, 27, "within 2^53"),
        (GOAL + "space: {a: {low: -1.7e308, high: 1.7e308}}\n", 2, 18, "too wide"),
        (GOAL + f"space: {{a: [{2**63}]}}\n", 2, 12, "does not fit into 64 bits"),
        (GOAL + 'space: {a: ["\0"]}\n', 2, 12, "holds NUL"),
        (
            GOAL + "space |param, low, high|\n  a, 1, 2\n  a, 1, 3\n",
            4,
            3,
            "the parameter a appears twice; remove one",
        ),
        (
            GOAL + "space |param, low, high|\n  a.b, 1, 2\n  a, 1, 3\n",
            4,
            3,
            "a and a.b cannot both be parameters",
        ),
        (GOAL + "space: {a: [1]}\nchoices: {a: [1]}\n", 3, 11, "the parameter a appears twice; remove one"),
        (GOAL + "space: {a: [1]}\nchoices: {a.b: [1]}\n", 3, 16, "a.b and a cannot both be parameters"),
        (GOAL + 'space: {a: [1], "\\"a\\"": [1]}\n', 2, 26, "the parameter a appears twice; remove one"),
        (GOAL + 'space: {"a=b": [1]}\n', 2, 16, "a command line cannot set the key 'a=b'"),
        (GOAL + 'space: {"-a": [1]}\n', 2, 15, "a command line cannot set the key"),
        (GOAL + 'space: {" a": [1]}\n', 2, 15, "a command line cannot set the key"),
        (GOAL + "space: {a..b: [1]}\n", 2, 15, "empty part"),
        (GOAL + "space |param, low, hihg|\n  a, 1, 2\n", 3, 9, "did you mean high?"),
        (GOAL + "space |name, low, high|\n  a, 1, 2\n", 3, 3, "the table has no column param"),
        (GOAL + "space |param, low, high|\n  , 1, 2\n", 3, 3, "param must be the key of a value"),
        (GOAL + "space |param, low, high|\n  a, 1, x\n", 3, 9, "high must be a number, not 'x'"),
        (GOAL + "space: {a: [1]}\nsampler: tpee\n", 3, 10, "did you mean tpe?"),
        (
            GOAL + "space: {a: [1]}\nsampler: MedianPruner\n",
            3,
            10,
            "a class of Optuna whose name ends in Sampler",
        ),
        (
            GOAL + "space: {a: [1]}\nsampler: {seed: 1}\n",
            3,
            10,
            "name is missing; give the name of the sampler",
        ),
        (
            GOAL + "space: {a: [1]}\nsampler: {name: tpe, seed: -1}\n",
            3,
            28,
            "seed must be a whole number from 0",
        ),
        (
            GOAL + 'space: {a: [1]}\nsampler: {name: tpe, "a b": -1}\n',
            3,
            29,
            "'a b' cannot name an option of a sampler",
        ),
        (GOAL + "space: {a: [1]}\npruner: {name: medain}\n", 3, 16, "did you mean median?"),
        (
            GOAL + "space: {a: [1]}\nbudget: 10\n",
            3,
            9,
            "budget must be a map of max_trials, time_limit, not 10",
        ),
        (GOAL + "space: {a: [1]}\nbudget: {trials: 10}\n", 3, 10, "did you mean max_trials?"),
        (
            GOAL + "space: {a: [1]}\nbudget: {max_trials: 0}\n",
            3,
            22,
            "max_trials must be a whole number, 1 or more, not 0",
        ),
        (GOAL + "space: {a: [1]}\nbudget: {time_limit: soon}\n", 3, 22, "a time limit is in seconds, or like"),
        (GOAL + "space: {a: [1]}\nbudget: {time_limit: 1e300}\n", 3, 22, "a time limit is at most 100 years"),
        (GOAL + "space: {a: [1]}\njobs: 0\n", 3, 7, "jobs must be a whole number from 1 to 1,000, not 0"),
        (
            GOAL + "space: {a: [1]}\nretries: true\n",
            3,
            10,
            "retries must be a whole number, 0 or more, not True",
        ),
        (
            GOAL + "sampler: grid\nspace:\n    a: {low: 0, high: 1.0}\n",
            4,
            8,
            "grid tries every value, and there is no end of them from 0.0 to 1.0; give a step or choices",
        ),
        (GOAL + "base: 3\nspace: {a: [1]}\n", 2, 7, "base must be a map or the path of a config, not 3"),
        (GOAL + "base: other.sdn\nspace: {a: [1]}\n", 2, 7, "there is no config other.sdn beside tuning.sdn"),
        (GOAL + 'base: "\0"\nspace: {a: [1]}\n', 2, 7, "there is no config"),
        (GOAL + "base: {a: adam}\nspace: {a.lr: [1]}\n", 3, 15, "cannot set 'a.lr': 'a' is text, not a map"),
        (GOAL + "base:\n    a: ${config:b}\nspace: {a: [1]}\n", 3, 8, "there is no key 'b'"),
    ],
)
def test_what_no_search_could_do_is_refused_at_its_place(
    text: str, line: int, column: int, words: str, tmp_path: Path
) -> None:
    with pytest.raises(SweepFileError) as caught:
        load_sweep(written(tmp_path, text))
    error = caught.value
    assert words in error.problem
    assert (error.line, error.column, error.source) == (line, column, text.split("\n")[line - 1])
    assert error.file.endswith("tuning.sdn")
    assert str(error).endswith(" " * (column + 1) + "^")


def test_an_error_names_its_key(tmp_path: Path) -> None:
    with pytest.raises(SweepFileError) as caught:
        space_of(tmp_path, "space: {optim.lr: {low: 2, high: 1}}")
    assert caught.value.key == 'space."optim.lr".low'
    assert isinstance(caught.value, InvalidValueError)


def test_parameters_may_be_called_like_parts_of_the_plan(tmp_path: Path) -> None:
    text = "sampler: grid\nspace: {name: [1], metric: [1], space: [1], base: {low: 0, high: 1.0}}"
    with pytest.raises(SweepFileError, match="line 3, column 51: grid tries every value"):
        space_of(tmp_path, text)
    assert set(space_of(tmp_path, text.split("\n")[1])) == {"name", "metric", "space", "base"}


def test_a_parameter_may_add_a_key_to_the_base(tmp_path: Path) -> None:
    plan = load_sweep(written(tmp_path, GOAL + "base: {a: {x: 1}}\nspace: {a.y: [1], b: [1]}\n"))
    assert plan.base is not None
    assert plan.base.values == {"a": {"x": 1}}


def test_the_base_may_be_a_folder_and_extend_others(tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf/config.sdn").write_text("extends: more.sdn\nlr: ${config:other}\n")
    (tmp_path / "conf/more.sdn").write_text("lr: 1\nother: 0.5\n")
    plan = load_sweep(written(tmp_path, GOAL + "base: conf\nspace: {other: [1]}\n"))
    assert plan.base is not None
    assert plan.base.values == {"lr": 0.5, "other": 0.5}
    assert plan.base.source_files == ("more.sdn", "config.sdn")


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    with pytest.raises(ConfigNotFoundError, match=r"there is no sweep file .*none.sdn"):
        load_sweep(tmp_path / "none.sdn")
    with pytest.raises(ConfigError, match="cannot read"):
        load_sweep(tmp_path)
    with pytest.raises(SdnError, match=r"tuning.sdn, line 2, column 4: '\[' is not closed"):
        load_sweep(written(tmp_path, "a: 1\nb: [\n"))
    (tmp_path / "base.sdn").write_text("a: {\n")
    with pytest.raises(SdnError, match=r"base.sdn, line 1, column 4"):
        load_sweep(written(tmp_path, GOAL + "base: base.sdn\nspace: {a: [1]}\n"))
    with pytest.raises(InvalidTypeError):
        load_sweep(3)  # type: ignore[arg-type]


def test_reading_a_sweep_imports_no_optimiser() -> None:
    code = (
        "import sys; from exptrack import load_sweep; load_sweep(sys.argv[1]);"
        " print(*{'optuna', 'numpy'} & set(sys.modules))"
    )
    file = str(EXAMPLES / "digits" / "sweep.sdn")
    done = subprocess.run([sys.executable, "-c", code, file], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


# YAML and JSON


YAML = """\
# the same in other words
name: digits
objective:
  metric: acc
  direction: maximize
space:
  optim.lr: {low: 1e-4, high: 0.3, log: true}
  model.hidden:
    low: 8
    high: 128
  model.kind:
    - mlp
    - null
choices: {model.activation: [relu, tanh]}
sampler: {name: tpe, seed: 1}
budget: {max_trials: 24, time_limit: 10min}
jobs: 2
base:
  optim: {lr: 0.01}
"""
JSON = """\
{
  "name": "digits", "objective": {"metric": "acc", "direction": "maximize"},
  "space": {
    "optim.lr": {"low": 1e-4, "high": 0.3, "log": true},
    "model.hidden": {"low": 8, "high": 128},
    "model.kind": ["mlp", null]
  },
  "choices": {"model.activation": ["relu", "tanh"]},
  "sampler": {"name": "tpe", "seed": 1},
  "budget": {"max_trials": 24, "time_limit": "10min"}, "jobs": 2, "base": {"optim": {"lr": 0.01}}
}
"""
YAML_GOAL = "objective: {metric: m, direction: maximize}\nspace: {lr: [1]}\n"
SDN = """\
name: digits
objective: {metric: acc, direction: maximize}
space:
    optim.lr: {low: 1e-4, high: 0.3, log: true}
    model.hidden: {low: 8, high: 128}
    model.kind: [mlp, null]
choices: {model.activation: [relu, tanh]}
sampler: {name: tpe, seed: 1}
budget: {max_trials: 24, time_limit: 10min}
jobs: 2
base: {optim: {lr: 0.01}}
"""


def load_as(folder: Path, suffix: str, text: str) -> SweepPlan:
    file = folder / f"tuning{suffix}"
    file.write_text(text, encoding="utf-8", newline="")
    return load_sweep(file)


@pytest.mark.parametrize(("suffix", "text"), [(".yaml", YAML), (".yml", YAML), (".JSON", JSON)])
def test_a_sweep_file_may_be_yaml_or_json(suffix: str, text: str, tmp_path: Path) -> None:
    plan, same = load_as(tmp_path, suffix, text), load_as(tmp_path, ".sdn", SDN)
    assert facts_of(plan) == facts_of(same)
    source = plan.base.sources["optim.lr"] if plan.base is not None else None
    lines = {".JSON": 10, ".yaml": 19, ".yml": 19}
    assert source == ConfigSource("file", f"tuning{suffix}", lines[suffix])
    assert load_as(tmp_path, suffix, "\ufeff" + text) == plan


@pytest.mark.parametrize(
    ("suffix", "old", "new", "line", "column", "words"),
    [
        (".yaml", "low: 8", "low: 800", 9, 10, "low 800 is above high 128"),
        (".yaml", "high: 128", "hihg: 128", 10, 5, "did you mean high?"),
        (".yaml", "- null", "- [1]", 11, 3, "must be text, a number, true, false or null"),
        (".yaml", "seed: 1", "seed: -1", 15, 28, "seed must be a whole number"),
        (".yaml", "  direction: maximize\n", "", 3, 1, "direction is missing"),
        (
            ".yaml",
            "  direction",
            "  goal: acc\n  direction",
            5,
            3,
            "there is no 'goal' here; there are metric,",
        ),
        (".yaml", "jobs: 2", "metric: acc", 17, 1, "metric belongs in objective: {metric: …}"),
        (".json", '"low": 8', '"low": 800', 5, 29, "low 800 is above high 128"),
        (".json", '"high": 128', '"hihg": 128', 5, 32, "did you mean high?"),
        (".json", "null]", "[1]]", 6, 19, "must be text, a number, true, false or null"),
        (".json", '"seed": 1', '"seed": -1', 9, 38, "seed must be a whole number"),
        (".json", '"metric": "acc", ', "", 2, 34, "metric is missing"),
        (".json", '"jobs": 2', '"max_trial": 2', 10, 56, "max_trials belongs in budget: {max_trials: …}"),
        (".json", '"space"', '"spaec"', 3, 3, "did you mean space?"),
    ],
)
def test_an_error_in_yaml_or_json_shows_its_place(
    suffix: str, old: str, new: str, line: int, column: int, words: str, tmp_path: Path
) -> None:
    text = (YAML if suffix == ".yaml" else JSON).replace(old, new, 1)
    with pytest.raises(SweepFileError) as caught:
        load_as(tmp_path, suffix, text)
    error = caught.value
    assert words in error.problem
    assert (error.line, error.column, error.source) == (line, column, text.split("\n")[line - 1])


@pytest.mark.parametrize(
    ("suffix", "text", "words"),
    [
        (".yaml", "objective: {metric: yes}", "readers of YAML disagree about yes"),
        (".yaml", "a: [1", "tuning.yaml, line 2, column 1"),
        (".yaml", "- 1", "is a map of names to values"),
        (".yaml", "", "metric is missing"),
        (".json", "[1]", "is an object of names and values"),
        (".json", '{"a": 1, "a": 2}', "appears twice"),
        (".json", '{"a": NaN}', "cannot hold NaN"),
        (".json", '{"a": 1,}', "tuning.json, line 1"),
        (".json", "", "tuning.json, line 1"),
    ],
)
def test_yaml_or_json_that_cannot_be_read_says_why(suffix: str, text: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidValueError, match=re.escape(words)):
        load_as(tmp_path, suffix, text)


@pytest.mark.parametrize(
    ("base", "values"),
    [
        ("{a: &a 1, b: &a 2, c: *a}", {"a": 1, "b": 2, "c": 2}),
        ("{a: &a {x: 1}, b: &a [*a, &a 3], c: *a}", {"a": {"x": 1}, "b": [{"x": 1}, 3], "c": [{"x": 1}, 3]}),
        ("{&a a: &a 1, &a b: *a}", {"a": 1, "b": 1}),
        ("{a: &a {x: 1}, b: {<<: *a, y: &a 2}}", {"a": {"x": 1}, "b": {"x": 1, "y": 2}}),
    ],
)
def test_an_anchor_may_be_used_again(base: str, values: dict[str, Any], tmp_path: Path) -> None:
    plan = load_as(tmp_path, ".yaml", f"{YAML_GOAL}base: {base}\n")
    assert plan.base is not None
    assert plan.base.values == values


def test_an_error_in_what_an_alias_repeats_shows_its_place(tmp_path: Path) -> None:
    text = YAML_GOAL + "base:\n  a: &a {x: 1}\n  b: &a {x: [0, '${config:no}']}\n  c: *a\n"
    with pytest.raises(SweepFileError) as caught:
        load_as(tmp_path, ".yaml", text)
    assert (caught.value.line, caught.value.column) == (5, 13)
    places = ForeignPlaces.of_yaml(text)
    assert places.of_value("base", "c")[:2] == (6, 6)
    assert places.of_value("base", "c", "x", 1)[:2] == (5, 17)


@ROOMY
@given(st.lists(st.sampled_from([*"{}[]:,-&*a!|>%#? \n\"'", "&a ", "*a", "a: ", "- ", "\\UFFFFFFFF", "<<: "])))
def test_any_yaml_is_read_or_refused_with_a_known_error(
    tmp_path_factory: pytest.TempPathFactory, parts: list[str]
) -> None:
    for text in ("".join(parts), f"{YAML_GOAL}base: {''.join(parts)}"):
        try:
            load_as(tmp_path_factory.getbasetemp(), ".yaml", text)
        except ExptrackError:
            continue


@pytest.mark.parametrize("text", ['a: "\\UFFFFFFFF"', 'a: "\\U00110000"', f"%YAML 1.{'9' * 5000}\n---\na: 1"])
def test_yaml_is_refused_with_a_known_error_without_its_c_library(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(yaml, "CSafeLoader", raising=False)
    with pytest.raises(ConfigError, match=r"tuning.yaml: a number or an escape is too large"):
        load_as(tmp_path, ".yaml", text)


def test_yaml_needs_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(ConfigError, match=r"needs PyYAML.*write it in SDN or JSON"):
        load_as(tmp_path, ".yaml", YAML)


class _QuotingDumper(yaml.SafeDumper):
    """Quotes every text: PyYAML leaves 0E0 and 08 bare, which readers of YAML 1.2 take for numbers."""


_QuotingDumper.add_representer(
    str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"')
)


@ROOMY
@given(plans(), st.sampled_from([".json", ".yaml"]))
@example(SweepPlan("0", "0E0", "minimize", {"_": Dimension("float", 0.0, 0.0)}), ".yaml")
@example(SweepPlan("0", "08", "minimize", {"_": Dimension("float", 0.0, 0.0)}), ".yaml")
def test_a_plan_comes_back_from_yaml_and_json(
    tmp_path_factory: pytest.TempPathFactory, plan: SweepPlan, suffix: str
) -> None:
    text = json.dumps(sdn.loads(as_file(plan, table=False)))
    if suffix == ".yaml":
        text = yaml.dump(json.loads(text), Dumper=_QuotingDumper, sort_keys=False, allow_unicode=True)
    assert facts_of(load_as(tmp_path_factory.getbasetemp(), suffix, text)) == facts_of(plan)


@ROOMY
@given(JSON_TREES, st.sampled_from([None, 1]))
def test_every_value_of_a_json_document_has_its_place(tree: dict[str, Any], indent: int | None) -> None:
    text = json.dumps(tree, indent=indent, ensure_ascii=False)
    places = ForeignPlaces.of_json(text)

    def check(value: Any, *keys: str | int) -> None:
        place = places.of_value(*keys)
        found, _end = (
            json.JSONDecoder().raw_decode(place.source, place.column - 1)
            if not isinstance(value, (dict, list))
            else (value, 0)
        )
        assert exactly(found) == exactly(value)
        if keys and isinstance(keys[-1], str):
            key = places.of_key(*keys)
            assert json.JSONDecoder().raw_decode(key.source, key.column - 1)[0] == keys[-1]
        inner = (
            value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        )
        for part, one in inner:
            check(one, *keys, part)

    check(tree)


# Plans of every kind, as JSON and as files


def as_file(plan: SweepPlan, *, table: bool) -> str:
    """The plan as a person would write it down."""
    values: dict[str, Any] = {
        "name": plan.name,
        "objective": {"metric": plan.metric, "direction": plan.direction, "reduce": plan.reduce},
        "sampler": {"name": plan.sampler.name, "seed": plan.sampler.seed, **plan.sampler.options},
        "pruner": {"name": plan.pruner.name, **plan.pruner.options},
        "budget": {"max_trials": plan.max_trials, "time_limit": plan.time_limit_s},
        "jobs": plan.jobs,
        "retries": plan.retries,
    }
    if plan.base is not None:
        values["base"] = plan.base.values
    rows: dict[str, Any] = {}
    for key, one in plan.space.items():
        facts = {"kind": one.kind, "low": one.low, "high": one.high, "step": one.step}
        if one.kind == "choice":
            rows[key] = {"kind": "choice", "choices": list(one.choices)} if table else list(one.choices)
        else:
            rows[key] = facts | {"log": one.log}
    if not table:
        return sdn.dumps(values | {"space": rows})
    fields = ["kind", "low", "high", "step", "log", "choices"]
    lines = [f"space |param, {', '.join(fields)}|"]
    for key, row in rows.items():
        cells = [sdn.dumps({"x": row[name]})[3:-1] if name in row else "" for name in fields]
        lines.append(f"    {key}, {', '.join(cells)}")
    return sdn.dumps(values) + "\n".join(lines) + "\n"


@ROOMY
@given(plans(), st.booleans())
def test_a_plan_comes_back_from_a_file(
    tmp_path_factory: pytest.TempPathFactory, plan: SweepPlan, table: bool
) -> None:
    file = written(tmp_path_factory.getbasetemp(), as_file(plan, table=table))
    assert facts_of(load_sweep(file)) == facts_of(plan)


SECTIONS = "name objective space choices sampler pruner budget jobs retries base".split()


@ROOMY
@given(st.dictionaries(st.sampled_from(SECTIONS), TREES), st.booleans())
def test_any_document_is_a_plan_or_refused(
    tmp_path_factory: pytest.TempPathFactory, values: dict[str, Any], sound: bool
) -> None:
    if sound:
        values = {"objective": {"metric": "m", "direction": "maximize"}, "space": {"a": [1]}} | values
    file = written(tmp_path_factory.getbasetemp(), sdn.dumps(values))
    try:
        plan = load_sweep(file)
    except ExptrackError:
        return
    assert SweepPlan.from_settings(plan.to_settings()) == plan
