"""What absl, Fire and tyro read is the config of the run; the script sees no difference."""

from __future__ import annotations

import pytest

from tests.scripts.script_lab import ScriptLab

ABSL = """
from absl import app, flags
flags.DEFINE_float("lr", 0.1, "rate")
flags.DEFINE_integer("depth", 2, "layers")
flags.DEFINE_list("names", ["a"], "names")
flags.DEFINE_string("api_key", None, "secret")
def main(argv): print(flags.FLAGS.lr, flags.FLAGS.depth, argv[1:])
if __name__ == "__main__": app.run(main)
"""
FIRE = """
import fire
def train(data, lr=0.1, *rest, layers=(1, 2), **more): print(data, lr, rest, layers, more)
if __name__ == "__main__": fire.Fire(train)
"""
FIRE_CLASS = """
import fire
class Trainer:
    def __init__(self, lr=0.1): self.lr = lr
    def fit(self, steps, batch=32): print(self.lr, steps, batch)
if __name__ == "__main__": fire.Fire(Trainer)
"""
TYRO = """
from dataclasses import dataclass, field
import tyro
@dataclass
class Optimizer:
    lr: float = 0.1
    name: str = "adam"
@dataclass
class Config:
    steps: int
    optimizer: Optimizer = field(default_factory=Optimizer)
    amp: bool = False
config = tyro.cli(Config)
print(config.steps, config.optimizer.lr)
"""
TYRO_FUNCTION = """
import tyro
def main(steps: int, lr: float = 0.1): print(steps, lr)
if __name__ == "__main__": tyro.cli(main)
"""
TYRO_CHOICE = """
from dataclasses import dataclass
from typing import Union
import tyro
@dataclass
class Adam:
    lr: float = 0.1
@dataclass
class Sgd:
    momentum: float = 0.9
    lr: float = 1.0
print(tyro.cli(Union[Adam, Sgd]))
"""
SCRIPTS = {
    "absl": (
        ABSL,
        ["--lr=0.5", "--names=a,b", "--api_key=verysecret1", "rest"],
        {"lr": 0.5, "depth": 2, "names": ["a", "b"], "api_key": "***"},
        {"depth"},
    ),
    "fire": (
        FIRE,
        ["x.csv", "0.5", "3", "--seed=7"],
        {"data": "x.csv", "lr": 0.5, "rest": [3], "layers": [1, 2], "seed": 7},
        {"layers"},
    ),
    "fire, a class": (FIRE_CLASS, ["--lr=0.5", "fit", "10"], {"lr": 0.5, "steps": 10, "batch": 32}, {"batch"}),
    "fire, nothing given": (FIRE_CLASS, ["fit", "1"], {"lr": 0.1, "steps": 1, "batch": 32}, {"lr", "batch"}),
    "tyro": (
        TYRO,
        ["--steps", "3", "--optimizer.lr", "0.5"],
        {"steps": 3, "optimizer": {"lr": 0.5, "name": "adam"}, "amp": False},
        {"amp"},
    ),
    "tyro, a function": (TYRO_FUNCTION, ["--steps", "3"], {"steps": 3, "lr": 0.1}, {"lr"}),
    "tyro, a choice": (TYRO_CHOICE, ["sgd", "--lr", "3"], {"momentum": 0.9, "lr": 3.0}, {"momentum"}),
}
# The script reads other words than those that it was started with.
OTHERS = {
    "absl": "from absl import flags\nflags.DEFINE_integer('n', 1, '')\nflags.FLAGS(['x', '--n=3'])",
    "fire": "import fire\nfire.Fire(lambda n=1: None, '--n=3')",
    "fire, as a list": "import fire\nfire.Fire(lambda n=1: None, ['--n', '3'])",
    "tyro": "import tyro\ndef main(n: int = 1): pass\ntyro.cli(main, args=['--n', '3'])",
}


@pytest.mark.parametrize("case", SCRIPTS)
def test_what_is_read_is_the_config_and_its_source_is_told(case: str, lab: ScriptLab) -> None:
    code, words, config, defaults = SCRIPTS[case]
    lab.write("train.py", code)
    plain, done = lab.plain("train.py", *words), lab.run("train.py", *words)
    assert (done.returncode, done.stdout) == (0, plain.stdout), done.stderr
    assert plain.stdout
    assert lab.config() == config
    sources = lab.sources()
    assert {key for key, source in sources.items() if source.kind == "default"} == defaults
    assert {source.kind for key, source in sources.items() if key not in defaults} == {"override"}


@pytest.mark.parametrize("case", OTHERS)
def test_other_words_than_those_of_the_process_are_left_alone(case: str, lab: ScriptLab) -> None:
    lab.write("train.py", OTHERS[case])
    done = lab.run("train.py", "--n=2")
    assert done.returncode == 0, done.stderr
    assert lab.config() == {}


@pytest.mark.parametrize("case", ["absl", "fire", "tyro"])
def test_wrong_words_and_a_switch_leave_the_script_as_it_is(case: str, lab: ScriptLab) -> None:
    code, words, *_wanted = SCRIPTS[case]
    lab.write("train.py", code)
    plain, done = lab.plain("train.py", "--no-such=1"), lab.run("train.py", "--no-such=1")
    assert done.returncode == plain.returncode != 0
    assert lab.run(f"--no-{case}", "train.py", *words).returncode == 0
    assert [detail.config for detail in lab.details()] == [{}, {}]
