"""Record what argparse has read from the arguments of the process.

Invariants: nothing is written back. Parsers that a library makes for other texts are left alone, and so are
the parsers that one parser calls. A later parse adds keys and changes them.
"""

from __future__ import annotations

import sys
from functools import wraps
from types import ModuleType
from typing import Any

from exptrack.scripts.recorder import FOREIGN, Recorder
from exptrack.scripts.same_values import is_same


def install(module: ModuleType, recorder: Recorder) -> None:
    """Wrap the method that every parse comes down to."""
    parser_class: Any = module.__dict__["ArgumentParser"]
    subparsers: Any = module.__dict__["_SubParsersAction"]
    original = parser_class.parse_known_args

    @wraps(original)
    def parse_known_args(self: Any, args: Any = None, namespace: Any = None) -> Any:
        with recorder.alone("argparse") as is_alone:
            is_own = is_alone and recorder.are_own_arguments(args) and not _is_of_library(self)
            result = original(self, args, namespace)
        if is_own:
            with recorder.guarding("argparse"):
                found, rest = result
                recorder.note_rest(rest)
                values = {str(key): _name(value) for key, value in vars(found).items()}
                recorder.record_config(values, _find_defaults(self, found, subparsers), "argparse")
        return result

    parser_class.parse_known_args = parse_known_args


def _is_of_library(parser: Any) -> bool:
    """Whether the parser is one of a library that reads the arguments for itself."""
    if type(parser).__module__.partition(".")[0] in FOREIGN:
        return True
    frame: Any = sys._getframe(2)
    while frame is not None and frame.f_globals.get("__name__") == "argparse":
        frame = frame.f_back
    return frame is not None and str(frame.f_globals.get("__name__")).partition(".")[0] in FOREIGN


def _name(value: Any) -> Any:
    """Return the name of a file that argparse has opened; any other value as it is."""
    is_file = hasattr(value, "fileno") and isinstance(getattr(value, "name", None), str)
    return value.name if is_file else value


def _find_defaults(parser: Any, found: Any, subparsers: Any) -> set[str]:
    """Return the keys whose value is the default of the parser or of the subparser that was chosen."""
    keys: set[str] = {
        key for key, default in parser._defaults.items() if is_same(getattr(found, key, None), default)
    }
    for action in parser._actions:
        if isinstance(action, subparsers):
            name = getattr(found, action.dest, None)
            if name in action.choices:
                keys |= _find_defaults(action.choices[name], found, subparsers)
        elif hasattr(found, action.dest):
            default = action.default
            if isinstance(default, str):
                default = parser._get_value(action, default)
            if is_same(getattr(found, action.dest), default):
                keys.add(action.dest)
    return keys
