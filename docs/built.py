"""Writes the pages that the package itself describes, at the start of each build of the site.

They are the public names by the subpackage they live in, the errors with their exit codes, and the files of the
package with the first paragraph of each docstring. No name, module or command is listed here by hand.
"""

from __future__ import annotations

import ast
import inspect
import shutil
import sys
from collections import defaultdict
from importlib import import_module
from pathlib import Path
from types import ModuleType

import exptrack

FOLDER = Path(__file__).resolve().parent / "built"
PACKAGE = Path(exptrack.__file__).resolve().parent


def write_pages() -> None:
    """Replace the folder ``docs/built`` by the pages of today."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")


def pages() -> dict[str, str]:
    """Each page by the name of its file."""
    groups = names_by_room()
    found = {f"api-{room.replace('.', '-')}.rst": api_page(room, names) for room, names in groups.items()}
    toctree = "\n".join(f"   {name.removesuffix('.rst')}" for name in found)
    found["api.rst"] = (
        f"{underlined('API', '=')}\n\nEvery name below is imported from ``exptrack``. The pages follow the"
        f" subpackages in which the names live.\n\n.. toctree::\n   :maxdepth: 2\n\n{toctree}\n"
    )
    found["files.rst"] = files_page()
    return found


# The public names


def names_by_room() -> dict[str, list[str]]:
    """Every public name, by the ground file or subpackage that holds it."""
    groups: dict[str, list[str]] = defaultdict(list)
    for name in exptrack.__all__:
        groups[room_of(name)].append(name)
    return {room: sorted(names) for room, names in sorted(groups.items())}


def room_of(name: str) -> str:
    """The ground file or subpackage where a public name lives: ``errors``, ``archive``, ``sweeps``, …"""
    thing = getattr(exptrack, name)
    home = thing.__name__ if isinstance(thing, ModuleType) else getattr(thing, "__module__", "")
    if not home.startswith("exptrack."):
        # An alias of a type does not know its home: it is where it is written down.
        holders = [
            module.__name__
            for path, module in sorted(sys.modules.items())
            if path.startswith("exptrack.") and name in getattr(module, "__annotations__", {})
        ]
        home = holders[0] if holders else "exptrack"
    return home.split(".")[1] if "." in home else home


def api_page(room: str, names: list[str]) -> str:
    """The page of a subpackage or ground file: its first paragraph, and every public name in it."""
    module = import_module(room if room == "exptrack" else f"exptrack.{room}")
    parts = [underlined(room, "="), first_paragraph(module.__doc__), ".. py:currentmodule:: exptrack"]
    if room == "errors":
        parts.append(exit_codes(names))
    for name in names:
        thing = getattr(exptrack, name)
        if isinstance(thing, ModuleType):
            parts.append(f".. py:module:: exptrack.{name}")
            also_above = set(exptrack.__all__)
            parts += [directive(thing, one) for one in thing.__all__ if one not in also_above]
        else:
            parts.append(directive(exptrack, name))
    return "\n\n".join(parts) + "\n"


def directive(module: ModuleType, name: str) -> str:
    """The words by which autodoc documents one public name."""
    thing = getattr(module, name)
    path = f"{module.__name__}.{name}"
    if isinstance(thing, str):
        what = "The version of the package" if name == "__version__" else "An alias for type checkers"
        return f".. py:data:: {path}\n\n   {what}: ``{thing}``."
    if not inspect.isclass(thing):
        return (
            f".. autofunction:: {path}"
            if inspect.isroutine(thing)
            else f".. py:data:: {path}\n   :value: {thing!r}"
        )
    kind = "autoexception" if issubclass(thing, BaseException) else "autoclass"
    members = public_members(thing)
    options = f"\n   :members: {', '.join(members)}\n   :undoc-members:" if members else ""
    return f".. {kind}:: {path}{options}"


def public_members(thing: type) -> list[str]:
    """The public methods and properties of a class, those of our own base classes included."""
    found: dict[str, None] = {}
    for one in thing.__mro__:
        if not one.__module__.startswith("exptrack"):
            continue
        for name, member in vars(one).items():
            # Fields of records stand in the signature; slots have nothing to say.
            plain = inspect.isroutine(member) or isinstance(member, (property, classmethod, staticmethod))
            if not name.startswith("_") and (plain or hasattr(member, "_value_")):
                found[name] = None
    return list(found)


def exit_codes(names: list[str]) -> str:
    """A table of the errors with the code by which the command ends."""
    errors = sorted((getattr(exptrack, name) for name in names), key=lambda error: error.exit_code)
    rows = [
        f"   * - {error.exit_code}\n     - :exc:`{error.__name__}`\n     - {first_paragraph(error.__doc__)}"
        for error in errors
    ]
    head = ".. list-table:: The exit code of the command for each error\n   :header-rows: 1\n\n"
    return head + "   * - code\n     - error\n     - when\n" + "\n".join(rows)


# The files of the package


def files_page() -> str:
    """Every folder and file of the package, with the first paragraph of its docstring."""
    parts = [
        underlined("Every file", "="),
        "The files of the package, each with the first paragraph of its docstring. The rest of the docstring"
        " states the invariants of the file.",
    ]
    folders = [PACKAGE, *sorted({path.parent for path in PACKAGE.rglob("*/*.py")})]
    for folder in folders:
        files = sorted(path for path in folder.glob("*.py") if path.name != "__init__.py")
        heading = "/".join(("exptrack", *folder.relative_to(PACKAGE).parts))
        lines = [f"``{path.name}``\n   {first_paragraph(docstring_of(path))}" for path in files]
        parts.append(underlined(heading, "-"))
        door = folder / "__init__.py"
        parts += [first_paragraph(docstring_of(door)), *lines] if door.exists() else lines
    return "\n\n".join(parts) + "\n"


def docstring_of(path: Path) -> str:
    """The docstring of a file, read without importing it."""
    return ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""


def first_paragraph(text: str | None) -> str:
    """The first paragraph of a docstring, on one line."""
    return " ".join(inspect.cleandoc(text or "").split("\n\n")[0].split())


def underlined(text: str, line: str) -> str:
    """A heading in reStructuredText."""
    return f"{text}\n{line * len(text)}"
