"""Record the params of the commands of click, and of Typer, which is built on it.

Invariants: the params of a command without a group are keys of the config. Those of a command in groups nest
under its name. An option that hides what is typed is left out.
"""

from __future__ import annotations

from functools import wraps
from types import ModuleType
from typing import Any

from exptrack.scripts.recorder import FOREIGN, Recorder

DEFAULTS = ("DEFAULT", "DEFAULT_MAP")


def install(module: ModuleType, recorder: Recorder) -> None:
    """Wrap the method that calls the function of a command with its params."""
    command_class: Any = module.__dict__["Command"]
    original = command_class.invoke

    @wraps(original)
    def invoke(self: Any, ctx: Any) -> Any:
        if recorder.is_here and not _is_of_library(self):
            with recorder.guarding("click"):
                _record(recorder, ctx)
        return original(self, ctx)

    command_class.invoke = invoke


def _is_of_library(command: Any) -> bool:
    return str(getattr(command.callback, "__module__", "")).partition(".")[0] in FOREIGN


def _record(recorder: Recorder, ctx: Any) -> None:
    hidden = {param.name for param in ctx.command.params if getattr(param, "hide_input", False)}
    values = {str(name): value for name, value in ctx.params.items() if name not in hidden}
    sources = {name: ctx.get_parameter_source(name) for name in values}
    defaults = {name for name, source in sources.items() if source is None or source.name in DEFAULTS}
    names: list[str] = []
    place = ctx
    while place.parent is not None:
        names.insert(0, str(place.info_name))
        place = place.parent
    if not values:
        return
    for chosen in (defaults, values.keys() - defaults):
        part: dict[str, Any] = {name: value for name, value in values.items() if name in chosen}
        if part:
            is_default = chosen is defaults
            for name in reversed(names):
                part = {name: part}
            recorder.record_config(part, part.keys() if is_default else (), "click")
