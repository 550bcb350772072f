"""Join the modules of the page, so that a browser asks for few files.

The modules in ``static/`` are plain ES modules, and a browser could load each by itself. But the first view has
fifty of them, and each request costs browser and server some milliseconds. So the server sends bundles. The
first one has `app.js` and all modules behind it. A module that is imported later, by ``import("…")``, leads to
a bundle of its own: it has the modules behind it that the first one lacks.

In a bundle each module is a function that runs once. What it exports stands in the table ``$modules`` of the
first bundle. Vendored packages that only later bundles use stay files of their own.

Invariants: a module runs once, however many bundles have it. Modules run in the order in which a browser would
run them. A module that uses another form of import or export than the ones below is an error, and never left as
it is.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

FIRST = "app.js"
VENDORED = "vendor/"
# The forms of import and export that our modules, and the ends of vendored ones, have.
IMPORT = re.compile(r"^import\s+([^;\"]+?)\s+from\s+\"(\.[^\"]+)\";$", re.MULTILINE)
EXPORT = re.compile(r"^export (default )?((?:async )?(?:function\*?|class|const) (\w+))", re.MULTILINE)
EXPORT_VALUE = re.compile(r"^export default (?=\{)", re.MULTILINE)
EXPORT_LIST = re.compile(r"\bexport ?\{([^{}]*)\};\s*\Z")
OTHER_FORM = re.compile(r"^(?:import|export)\b.*", re.MULTILINE)
LATER = re.compile(r"\bimport\(([\"`])(\.[^\"`$]*)")
STYLE = re.compile(r"^@import \"([^\"]+)\";$", re.MULTILINE)


class Module(NamedTuple):
    """One module: the names of those that it imports, the body of its function, and what it exports."""

    imports: tuple[str, ...]
    body: str
    exports: dict[str, str]  # the name outside -> the name within


class Bundler:
    """Makes bundles of files by their names. `base` is the folder of all of them, as browsers ask for it."""

    def __init__(self, files: Mapping[str, bytes], base: str) -> None:
        self._files = files
        self._base = base
        self._modules: dict[str, Module] = {}
        self._first = list(self._find_behind(FIRST))

    def join(self, entry: str) -> str:
        """Return the bundle for a module."""
        if entry == FIRST:
            lines = ["export const $modules = Object.create(null);", *map(self._wrap, self._first)]
            return "\n".join(lines)
        lines = [f'import {{ $modules }} from "{self._base}{FIRST}";']
        for place, name in enumerate(self._find_behind(entry)):
            if name in self._first:
                continue
            if name.startswith(VENDORED):
                lines.append(f'import * as $vendored{place} from "{self._base}{name}";')
                lines.append(f'$modules["{name}"] ??= $vendored{place};')
            else:
                lines.append(self._wrap(name))
        exports = self._read(entry).exports
        named = ", ".join(name for name in exports if name != "default")
        lines.append(f'export const {{ {named} }} = $modules["{entry}"];')
        if "default" in exports:
            lines.append(f'export default $modules["{entry}"].default;')
        return "\n".join(lines)

    def join_styles(self, name: str) -> str:
        """Return a style sheet with the ones that it imports in their places."""
        folder = posixpath.dirname(name)
        text = self._files[name].decode()
        return STYLE.sub(lambda found: self.join_styles(posixpath.join(folder, found[1])), text)

    def _find_behind(self, entry: str) -> Iterable[str]:
        """Return the modules behind one and itself, each after those that it imports."""
        ready: dict[str, None] = {}
        begun: set[str] = set()

        def visit(name: str) -> None:
            if name in ready:
                return
            if name in begun:
                raise ValueError(f"{name} imports itself through others; move what both need to a third module")
            begun.add(name)
            for other in () if name.startswith(VENDORED) else self._read(name).imports:
                visit(other)
            ready[name] = None

        visit(entry)
        return ready

    def _wrap(self, name: str) -> str:
        module = self._read(name)
        exports = ", ".join(f"{outside}: {within}" for outside, within in module.exports.items())
        return f'// {name}\n$modules["{name}"] ??= (() => {{\n{module.body}\nreturn {{ {exports} }};\n}})();'

    def _read(self, name: str) -> Module:
        if name not in self._modules:
            self._modules[name] = read_module(name, self._files[name].decode(), self._base)
        return self._modules[name]


def read_module(name: str, text: str, base: str) -> Module:
    """Take a module apart. Vendored packages import nothing.

    Raises:
        ValueError: it has a form of import or export that is not known.
    """
    folder = posixpath.dirname(name)
    imports: list[str] = []
    exports: dict[str, str] = {}

    def resolve(target: str) -> str:
        return posixpath.normpath(posixpath.join(folder, target))

    def take(found: re.Match[str]) -> str:
        imports.append(resolve(found[2]))
        return f'const {_to_pattern(found[1])} = $modules["{imports[-1]}"];'

    def give(found: re.Match[str]) -> str:
        exports["default" if found[1] else found[3]] = found[3]
        return found[2]

    def give_value(_found: re.Match[str]) -> str:
        exports["default"] = "$value"
        return "const $value = "

    def give_list(found: re.Match[str]) -> str:
        for one in found[1].split(","):
            within, _, outside = one.strip().partition(" as ")
            exports[outside or within] = within
        return ""

    def ask_later(found: re.Match[str]) -> str:
        is_folder = found[2].endswith("/")
        return f"import({found[1]}{base}{resolve(found[2])}{'/' if is_folder else ''}"

    body = EXPORT_VALUE.sub(give_value, EXPORT.sub(give, EXPORT_LIST.sub(give_list, text)))
    if not name.startswith(VENDORED):
        body = LATER.sub(ask_later, IMPORT.sub(take, body))
        other = OTHER_FORM.search(body)
        if other is not None:
            raise ValueError(
                f"{name} has {other[0]!r}, which bundle.py does not know; write it in a form that it knows"
            )
    return Module(tuple(imports), body, exports)


def _to_pattern(clause: str) -> str:
    """Return what an import names as the left side of an assignment."""
    if clause.startswith("* as "):
        return clause.removeprefix("* as ")
    default, _, named = clause.partition("{")
    default = default.strip(" ,\n")
    names = [f"default: {default}"] if default else []
    names += [one.strip().replace(" as ", ": ") for one in named.rstrip("} \n").split(",") if one.strip()]
    return f"{{ {', '.join(names)} }}"
