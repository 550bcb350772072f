"""Call a hook when the library it is for has been imported.

Invariants: nothing is imported for a hook. A library is found and loaded by the finders and loaders that would
have done so. A hook that fails is told once, and the import succeeds.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from exptrack.scripts.instructions import HOOKS
from exptrack.scripts.recorder import Recorder


def set_hooks(names: Iterable[str], recorder: Recorder) -> None:
    """Set these hooks for libraries that are imported from now on, and for those that are there already."""
    finder = _Finder(recorder)
    for name in names:
        modules, home = HOOKS[name]
        for module in modules:
            finder.homes[module] = home
            loaded = sys.modules.get(module)
            if loaded is not None:
                finder.hook(loaded)
    sys.meta_path.insert(0, finder)


class _Finder:
    """Finds modules by the finders that come after it, and has those that it knows hooked."""

    def __init__(self, recorder: Recorder) -> None:
        self.homes: dict[str, str] = {}
        self._recorder = recorder
        self._searching: set[str] = set()

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of a module that has a hook; None for any other."""
        if name not in self.homes or name in self._searching:
            return None
        self._searching.add(name)
        try:
            for finder in sys.meta_path:
                search = getattr(finder, "find_spec", None)
                spec: ModuleSpec | None = None if search is None else search(name, path, target)
                if spec is not None:
                    self._watch(spec)
                    return spec
            return None
        finally:
            self._searching.discard(name)

    def _watch(self, spec: ModuleSpec) -> None:
        """Let the loader of a spec call the hook after it has initialised the module."""
        loader: Any = spec.loader
        execute = getattr(loader, "exec_module", None)
        if execute is None:
            return

        def execute_and_hook(module: ModuleType) -> None:
            del loader.exec_module
            execute(module)
            self.hook(module)

        try:
            loader.exec_module = execute_and_hook
        except AttributeError:  # a loader that takes no attributes; its module has no hook then
            return

    def hook(self, module: ModuleType) -> None:
        """Call the hook of a module."""
        home = self.homes[module.__name__]
        with self._recorder.guarding(home.removeprefix("hook_")):
            import_module(f"exptrack.scripts.{home}").install(module, self._recorder)
