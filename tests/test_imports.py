"""Imports go down only, heavy packages are imported when needed, and every public name is documented."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import exptrack

PACKAGE = Path(exptrack.__file__).parent

# Lowest first. A file imports from storeys below its own and from its own subpackage, never from a neighbour.
STOREYS = (
    "errors plain records process threads validation extras keypath times own_files new_files known_secrets"
    " secret_channel hashed_lists open_pages shuffling directions termination fixed_attributes default_file"
    " group_variance other_trackers shown record_fields named_tuples listed record_lists frames labels amounts"
    " metric_order digests curve_points markup fork_imports helper_threads",
    "database capture sdn media",
    "config metrics",
    "runs",
    "artifacts",
    "query tracking",
    "analysis sweeps portable",
    "archive",
    "scripts",
    "__init__",
    "terminal importers exporters web integrations compat",
    "tui",
    "cli",
    "__main__",
)
STOREY_OF = {room: storey for storey, rooms in enumerate(STOREYS) for room in rooms.split()}
GROUND, FACE = 0, STOREY_OF["__init__"]
DOORS = {"sdn", "media", "cli", "config"}  # their __init__ has names to offer
FILES = sorted(PACKAGE.rglob("*.py"))


def name_of(file: Path) -> str:
    """The dotted name of a file below ``exptrack``; that of a subpackage for its ``__init__``."""
    parts = file.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)


NAMES = [name_of(file) for file in FILES]


@cache
def imports_of(file: Path) -> set[tuple[str, str]]:
    """What a file imports of exptrack, anywhere in it: the dotted file, and the name taken from it."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {(a.name[9:], "") for a in node.names if a.name.startswith("exptrack.")}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "exptrack":
            assert node.module is not None
            for alias in node.names:
                inside = f"{node.module}.{alias.name}".removeprefix("exptrack.")
                home = node.module.removeprefix("exptrack").removeprefix(".") or "__init__"
                found.add((inside, "") if inside in NAMES else (home, alias.name))
    return found


def packages_of(file: Path) -> set[str]:
    """Every package that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").partition(".")[0])
    return found


def room_of(name: str) -> str:
    return name.partition(".")[0]


def storey_of(name: str) -> int:
    return STOREY_OF[room_of(name)]


@cache
def abroad() -> dict[str, set[tuple[str, str]]]:
    """What each file but the public face imports of exptrack outside its own room."""
    return {
        name: {found for found in imports_of(file) if room_of(found[0]) != room_of(name)}
        for name, file in zip(NAMES, FILES, strict=True)
        if name != "__init__"
    }


def test_imports_go_down_only() -> None:
    upward = [
        (name, target)
        for name, found in abroad().items()
        for target, taken in found
        if storey_of(target) >= storey_of(name) > GROUND and (target, taken) != ("__init__", "__version__")
    ]
    assert upward == []
    assert [
        (name, found)
        for name, found in abroad().items()
        if storey_of(name) == GROUND
        if any(storey_of(t) for t, _ in found)
    ] == []


def test_what_is_above_the_public_face_sees_only_it() -> None:
    seen = {"__init__", "sdn", *STOREYS[GROUND].split()}
    for name, found in abroad().items():
        if storey_of(name) > FACE:
            between = {room for room, storey in STOREY_OF.items() if FACE < storey < storey_of(name)}
            assert {room_of(target) for target, _ in found} <= seen | between, name


def test_private_names_stay_in_their_subpackage() -> None:
    private = [
        (name, target, taken)
        for name, found in abroad().items()
        for target, taken in found
        if taken.startswith("_") and taken != "__version__"
    ]
    assert private == []


def test_no_files_import_each_other_in_a_circle() -> None:
    needs = {
        name: {target for target, _ in imports_of(file)} & set(NAMES)
        for name, file in zip(NAMES, FILES, strict=True)
        if file.name != "__init__.py"
    }
    while free := {name for name, needed in needs.items() if not needed & needs.keys()}:
        needs = {name: needed for name, needed in needs.items() if name not in free}
    assert needs == {}


def test_one_room_alone_knows_each_engine() -> None:
    rooms = {
        engine: {room_of(n) for n, f in zip(NAMES, FILES, strict=True) if engine in packages_of(f)}
        for engine in ("sqlite3", "optuna")
    }
    assert rooms == {"sqlite3": {"database"}, "optuna": {"sweeps"}}


def test_subpackages_open_with_what_is_inside_and_no_code() -> None:
    for door in PACKAGE.glob("*/__init__.py"):
        tree = ast.parse(door.read_text(encoding="utf-8"))
        assert ast.get_docstring(tree), door
        assert len(tree.body) == 1 or door.parent.name in DOORS, door


def test_no_file_is_longer_than_600_lines() -> None:
    lengths = {
        name: len(file.read_text(encoding="utf-8").splitlines())
        for name, file in zip(NAMES, FILES, strict=True)
    }
    assert {name: length for name, length in lengths.items() if length > 600} == {}


HEAVY = (
    "sqlite3 pydantic click rich zstandard sqlite_utils dulwich psutil numpy dataclasses"
    " pyfastcdc PIL pyarrow pandas polars matplotlib optuna textual"
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
    unwanted |= {f"exptrack.{room}" for room in ("analysis", "portable", "query", "sweeps")}
    unwanted |= {f"exptrack.artifacts.{name}" for name in ("store", "blobs", "chunks", "lineage", "listing")}
    unwanted |= {f"exptrack.metrics.{name}" for name in ("series", "alignment", "tail")}
    unwanted |= {
        "exptrack.tracking.recording",
        "exptrack.tracking.recorded_run",
        "exptrack.capture.system_metrics",
    }
    unwanted |= {"dataclasses", "inspect", "shutil", "tempfile", "secrets"}
    unwanted |= {f"exptrack.{name}" for name in ("metrics.alignment", "metrics.tail")}
    assert loaded_after(statement) & unwanted == set()


@pytest.mark.parametrize("name", exptrack.__all__)
def test_every_public_name_resolves_and_is_documented(name: str) -> None:
    thing = getattr(exptrack, name)
    if inspect.isclass(thing) or inspect.isfunction(thing):
        assert inspect.getdoc(thing)
    if inspect.isclass(thing) and thing.__module__ != "exptrack.records":
        parts = [part for part in thing.__mro__ if part.__module__.startswith("exptrack.")]
        members = [member for part in parts for member in vars(part).items()]
        methods = [m for n, m in members if not n.startswith("_") and inspect.isfunction(m)]
        assert [m.__name__ for m in methods if not inspect.getdoc(m)] == []


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    offered = [node for node in block.body if isinstance(node, ast.ImportFrom) and node.module != "typing"]
    seen = {alias.name for node in offered for alias in node.names}
    assert seen == set(exptrack.__all__) - {"__version__"}


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no 'Nothing'"):
        exptrack.Nothing  # noqa: B018
