"""Heavy packages are imported when needed, and every public name is documented."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import exptrack

PACKAGE = Path(exptrack.__file__).parent

HEAVY = (
    "sqlite3 pydantic click rich zstandard sqlite_utils dulwich psutil numpy dataclasses"
    " pyfastcdc PIL pyarrow pandas polars matplotlib optuna"
)


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
