"""Make the modules of ``static/`` work in one file: under names that an import map knows, or as one script.

A browser loads no module from ``file:``. Modules of the page become texts that import each other by names. A
worker knows no import map, so its modules become one script, each of them a function.

Invariant: the modules of the worker import only named or default exports, at the beginning of a line, and in no
circle. Anything else is an error here, not in the browser.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

STATIC = Path(__file__).parent / "static"
WORKER = "export/worker/"
PAGE = "export/page/"
BOOT = f"{PAGE}boot.js"
NAME = "page/"  # begins the name of each module, so that no file is meant
OF_WORKER = ("vendor/sqlite.js", "vendor/zstd.js", "vendor/hyparquet.js")
# In an exported page these take the place of the modules that speak to the server.
REPLACED = {name: f"{PAGE}{name}" for name in ("address.js", "api.js", "live.js", "router.js")}

_SPECIFIER = re.compile(r"(\b(?:from|import)\s*\(?\s*)([\"'`])(\.{1,2}/[^\"'`$]*)")
_IMPORT = re.compile(r"^import (?P<what>\w+|\{[^}]*\}) from \"(?P<where>[^\"]+)\";\n", re.M)
_EXPORT = re.compile(r"^export (?P<kind>const|function|async function|class) (?P<name>\w+)", re.M)
_EXPORT_LIST = re.compile(r"^export \{(?P<names>[^}]*)\};\n?", re.M)
_VENDORED_EXPORT = re.compile(r"export\{(?P<names>[^{}]*)\};?\s*$")


def read_modules() -> dict[str, str]:
    """Return the text of every module of an exported page by its name, with the names that it imports."""
    modules = {}
    for file in sorted(STATIC.rglob("*.js")):
        path = file.relative_to(STATIC).as_posix()
        if path != BOOT and not path.startswith(WORKER) and path not in OF_WORKER:
            modules[NAME + path] = _name_imports(path, file.read_text(encoding="utf-8"))
    return modules


def _name_imports(path: str, text: str) -> str:
    if path.startswith("vendor/"):
        return text
    may_replace = not path.startswith(PAGE)

    def name(found: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(path), found[3]))
        target += "/" if found[3].endswith("/") else ""
        return found[1] + found[2] + NAME + (REPLACED.get(target, target) if may_replace else target)

    return _SPECIFIER.sub(name, text)


def read_worker() -> str:
    """Return the script of the worker."""
    ordered: dict[str, str] = {}
    _add_module(f"{WORKER}main.js", ordered)
    return "\n".join(['"use strict";', "const modules = {};", *ordered.values()])


def _add_module(path: str, ordered: dict[str, str]) -> None:
    """Add a module behind those that it imports, as a function that returns what it exports."""
    text = (STATIC / path).read_text(encoding="utf-8")
    if path.startswith("vendor/"):
        ordered[path] = _wrap(path, *_cut_vendored(text))
        return

    def bind(found: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(path), found["where"]))
        if target not in ordered:
            _add_module(target, ordered)
        what = found["what"] if found["what"].startswith("{") else f"{{ default as {found['what']} }}"
        return f'const {what.replace(" as ", ": ")} = modules["{target}"];\n'

    exported = []
    text = _IMPORT.sub(bind, text)
    for names in _EXPORT_LIST.findall(text):
        exported += [one.strip() for one in names.split(",") if one.strip()]
    text = _EXPORT_LIST.sub("", text)
    exported += [found["name"] for found in _EXPORT.finditer(text)]
    text = _EXPORT.sub(r"\g<kind> \g<name>", text)
    rest = re.search(r"^(?:import|export)\b.*", text, re.M)
    assert rest is None, f"{path} has a line that cannot be bundled: {rest and rest[0]}"
    ordered[path] = _wrap(path, text, ", ".join(exported))


def _cut_vendored(text: str) -> tuple[str, str]:
    """Return the text of a vendored module without its exports, and these as members of an object."""
    found = _VENDORED_EXPORT.search(text)
    assert found is not None, "a vendored module ends with its exports"
    pairs = (one.strip().split(" as ") for one in found["names"].split(","))
    return text[: found.start()], ", ".join(f"{pair[-1]}: {pair[0]}" for pair in pairs)


def _wrap(path: str, text: str, exported: str) -> str:
    return f'modules["{path}"] = (() => {{\n{text}\nreturn {{ {exported} }};\n}})();'
