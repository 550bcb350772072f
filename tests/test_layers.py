"""Imports go down only, heavy packages are imported when needed, and every public name is documented."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import exptrack

PACKAGE = Path(exptrack.__file__).parent

# Lowest first: a module imports only from above itself in this list.
RANKS = (
    "errors checks system_metrics records keypath trees sdn conversion interpolation config safe_yaml"
    " composition process paths redaction worktree capture connection migrations events default metrics"
    " journal drain series metriclog liveness media restore chunks folders blobs snapshots sealing filters"
    " selection query columns frames runquery comparison userviews artifacts lineage medialog optunastorage"
    " verification recording studies run algorithms studyresults studyconfig trial sweepfile sweep children"
    " sweeprunner archive shortcuts plaintext render sidebyside charts studyscreen demo cli __main__"
).split()
PUBLIC_ONLY = ["cli", "demo", "__main__"]
HEAVY = (
    "sqlite3 pydantic click rich zstandard sqlite_utils dulwich psutil numpy dataclasses"
    " pyfastcdc PIL pyarrow pandas polars matplotlib optuna"
)


def files(module: str) -> list[Path]:
    """The file of a module, or the files of a package."""
    return sorted((PACKAGE / module).glob("*.py")) or [PACKAGE / f"{module}.py"]


def imports(module: str) -> set[str]:
    """Every dotted name a module imports from elsewhere, at its top or inside functions."""
    found: set[str] = set()
    for node in (n for file in files(module) for n in ast.walk(ast.parse(file.read_text(encoding="utf-8")))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module == "exptrack":
            # Either a module or a name of the public face.
            found |= {f"exptrack.{alias.name}" if alias.name in RANKS else "exptrack" for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return {name for name in found if not f"{name}.".startswith(f"exptrack.{module}.")}


def test_every_module_has_a_rank() -> None:
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert {path.stem for path in PACKAGE.glob("*.py")} - {"__init__"} | packages == set(RANKS)


@pytest.mark.parametrize("module", RANKS)
def test_imports_go_down_only(module: str) -> None:
    rooms = {name.split(".")[1] for name in imports(module) if name.startswith("exptrack.")}
    assert {room for room in rooms if RANKS.index(room) >= RANKS.index(module)} == set()


def test_only_connection_imports_sqlite3() -> None:
    assert [module for module in RANKS if "sqlite3" in imports(module)] == ["connection"]


@pytest.mark.parametrize("module", PUBLIC_ONLY)
def test_thin_modules_call_the_public_api_only(module: str) -> None:
    rooms = {name.split(".")[1] for name in imports(module) if name.startswith("exptrack.")}
    assert rooms <= {"cli", "render", "sidebyside", "charts", "studyscreen", "demo", "records", "errors", "sdn"}


def loaded_after(statement: str) -> set[str]:
    code = f"{statement}\nimport sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_import_exptrack_imports_nothing_heavy() -> None:
    assert loaded_after("import exptrack") & set(HEAVY.split()) == set()


def test_a_run_imports_nothing_it_does_not_need(tmp_path: Path) -> None:
    path = str(tmp_path / "a.db")
    statement = f"import exptrack\nwith exptrack.Archive({path!r}).start_run() as r: r.log({{'x': 1}})"
    unwanted = {"pydantic", "click", "rich", "sqlite_utils", "dulwich", "numpy", "zstandard", "pyfastcdc"}
    unwanted |= {"PIL", "pyarrow", "pandas", "polars", "matplotlib", "optuna", "exptrack.media"}
    unwanted |= {
        f"exptrack.{name}" for name in "artifacts blobs chunks comparison frames lineage verification".split()
    }
    assert loaded_after(statement) & unwanted == set()


@pytest.mark.parametrize("name", exptrack.__all__)
def test_every_public_name_resolves_and_is_documented(name: str) -> None:
    thing = getattr(exptrack, name)
    if inspect.isclass(thing) or inspect.isfunction(thing):
        assert inspect.getdoc(thing)
    if inspect.isclass(thing) and thing.__module__ != "exptrack.records":
        methods = [m for n, m in vars(thing).items() if not n.startswith("_") and inspect.isfunction(m)]
        assert [m.__name__ for m in methods if not inspect.getdoc(m)] == []


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {alias.name for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert seen == set(exptrack.__all__) - {"__version__"}


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no 'Nothing'"):
        exptrack.Nothing  # noqa: B018
