"""Only the files ``optuna_*`` touch Optuna's private parts, and Study's own parts stay private."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import optuna
import pytest

import exptrack
from exptrack import Archive, Study
from exptrack.sweeps.optuna_bridge import FIXED_PARAMS, OPTIMIZE_LOOP
from tests.sweeps.objectives import parabola

PACKAGE = Path(exptrack.__file__).parent
BRIDGES = sorted((PACKAGE / "sweeps").glob("optuna_*.py"))
OTHERS = sorted(set(PACKAGE.rglob("*.py")) - set(BRIDGES))
PRIVATE_MODULE = re.compile(r"optuna(\.\w+)*\._\w+")
# Underscored names of others that the files of sweeps may use, and why.
ALLOWED = {
    "_asdict": "the public method of every named tuple",
    "_replace": "the public method of every named tuple",
    "_set_fixed": "how a class sets the attributes that it refuses to let users set",
    "_take_config": "a run takes params into its config only from its trial; users must not call it",
}


def uses_of_private_parts(source: str) -> set[str]:
    """The private names of Optuna that a file certainly touches: imports, texts that name them, its queue."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if PRIVATE_MODULE.match(alias.name)}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "optuna":
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            found |= {name for name in names if PRIVATE_MODULE.match(name)}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found |= (
                {node.value} if PRIVATE_MODULE.fullmatch(node.value) or node.value == FIXED_PARAMS else set()
            )
    return found


def foreign_underscores(source: str) -> set[str]:
    """The underscored attributes that a file takes from objects and does not define itself."""
    tree = ast.parse(source)
    nodes = list(ast.walk(tree))
    own = {node.name for node in nodes if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    own |= {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    own |= {
        node.attr
        for node in nodes
        if isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Store)
        and isinstance(node.value, ast.Name)
        and node.value.id == "self"
    }
    taken = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    return {name for name in taken if name.startswith("_") and not name.startswith("__")} - own


def test_only_the_optuna_files_touch_optunas_private_parts() -> None:
    found = {file.name: uses_of_private_parts(file.read_text(encoding="utf-8")) for file in OTHERS}
    assert {name: uses for name, uses in found.items() if uses} == {}
    sources = "".join(file.read_text(encoding="utf-8") for file in BRIDGES)
    assert OPTIMIZE_LOOP in uses_of_private_parts(sources.replace("from __future__ import annotations", ""))


def test_files_of_sweeps_take_no_private_attribute_of_another_file() -> None:
    """Optuna's objects live in this subpackage only, so this holds for their private attributes too."""
    files = [file for file in OTHERS if file.parent.name == "sweeps"]
    found = {
        file.name: foreign_underscores(file.read_text(encoding="utf-8")) - ALLOWED.keys() for file in files
    }
    assert {name: uses for name, uses in found.items() if uses} == {}


@pytest.mark.parametrize(
    ("source", "uses"),
    [
        ("from optuna.storages._base import X", {"optuna.storages._base.X"}),
        ("from optuna.storages import _heartbeat", {"optuna.storages._heartbeat"}),
        ("import optuna._hypervolume", {"optuna._hypervolume"}),
        ("name = 'optuna.study._optimize'", {"optuna.study._optimize"}),
        ("from optuna.trial import create_trial", set()),
    ],
)
def test_the_rule_finds_private_imports(source: str, uses: set[str]) -> None:
    assert uses_of_private_parts(source) == uses


def test_the_rule_finds_private_attributes() -> None:
    source = """
class A:
    def __init__(self, trial):
        self._row = trial._trial_id
        self._find(self._row)

    def _find(self, row): ...
"""
    assert foreign_underscores(source) == {"_trial_id"}


def test_optuna_is_as_talkative_after_a_search_as_before(archive: Archive) -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = archive.create_study("quiet")
    study.optimize(lambda trial: archive.create_study("inner").optimize(parabola, 1) or 1.0, 1)
    assert optuna.logging.get_verbosity() == optuna.logging.WARNING


def test_the_public_names_of_a_study_are_those_of_users() -> None:
    assert [name for name in dir(Study) if not name.startswith("_")] == [
        "ask",
        "best_params",
        "best_trial",
        "best_trials",
        "best_value",
        "completed_trials",
        "create",
        "enqueue",
        "fail_dead_trials",
        "failed_trials",
        "frame",
        "history",
        "importances",
        "info",
        "optimize",
        "optuna_study",
        "pruned_trials",
        "reports",
        "results",
        "slices",
        "stop",
        "tell",
        "trial",
        "trials",
        "unseen_trials",
    ]
