"""Make the modules of ``static/`` work in one file: under names that an import map knows, or as one script.

A browser loads no module from ``file:``. Modules of the page become texts that import each other by names. A
worker knows no import map, so its modules become one script, as `bundle` joins those of the server's page. They
import each other in no circle.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from exptrack.web.bundle import VENDORED, read_module

STATIC = Path(__file__).parent / "static"
WORKER = "export/worker/"
PAGE = "export/page/"
BOOT = f"{PAGE}boot.js"
NAME = "page/"  # begins the name of each module, so that no file is meant
OF_WORKER = ("vendor/sqlite.js", "vendor/zstd.js", "vendor/hyparquet.js")
# In an exported page these take the place of the modules that speak to the server.
REPLACED = {name: f"{PAGE}{name}" for name in ("address.js", "api.js", "live.js", "router.js")}

_SPECIFIER = re.compile(r"(\b(?:from|import)\s*\(?\s*)([\"'`])(\.{1,2}/[^\"'`$]*)")


def read_modules() -> dict[str, str]:
    """Return the text of every module of an exported page by its name, with the names that it imports."""
    modules = {}
    for file in sorted(STATIC.rglob("*.js")):
        path = file.relative_to(STATIC).as_posix()
        if path != BOOT and not path.startswith(WORKER) and path not in OF_WORKER:
            modules[NAME + path] = _name_imports(path, file.read_text(encoding="utf-8"))
    return modules


def _name_imports(path: str, text: str) -> str:
    if path.startswith(VENDORED):
        return text
    may_replace = not path.startswith(PAGE)

    def name(found: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(path), found[3]))
        target += "/" if found[3].endswith("/") else ""
        return found[1] + found[2] + NAME + (REPLACED.get(target, target) if may_replace else target)

    return _SPECIFIER.sub(name, text)


def read_worker() -> str:
    """Return the script of the worker: each module is a function, behind those that it imports."""
    ordered: dict[str, str] = {}

    def add(path: str) -> None:
        module = read_module(path, (STATIC / path).read_text(encoding="utf-8"), NAME)
        for other in module.imports:
            if other not in ordered:
                add(other)
        exports = ", ".join(f"{outside}: {within}" for outside, within in module.exports.items())
        ordered[path] = f'$modules["{path}"] = (() => {{\n{module.body}\nreturn {{ {exports} }};\n}})();'

    add(f"{WORKER}main.js")
    return "\n".join(['"use strict";', "const $modules = {};", *ordered.values()])
