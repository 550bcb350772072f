"""Record what Fire calls the functions and classes of a script with.

Invariant: a call of Fire with a command of its own, rather than the arguments of the process, is left alone.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from types import ModuleType
from typing import Any

from exptrack.scripts.bound_arguments import read_bound
from exptrack.scripts.recorder import Recorder


def install(module: ModuleType, recorder: Recorder) -> None:
    """Wrap the call of Fire, and what it makes to read the arguments of each function."""
    fire, make_parse = module.__dict__["Fire"], module.__dict__["_MakeParseFn"]
    own: list[bool] = []  # for each call of Fire under way

    @wraps(fire)
    def call_fire(component: Any = None, command: Any = None, *args: Any, **options: Any) -> Any:
        own.append(recorder.is_here and recorder.are_own_arguments(command))
        try:
            return fire(component, command, *args, **options)
        finally:
            own.pop()

    @wraps(make_parse)
    def make_watched_parse(function: Callable[..., Any], metadata: Any) -> Any:
        parse = make_parse(function, metadata)

        def parse_and_record(words: Any) -> Any:
            result = parse(words)
            if own and own[-1]:
                with recorder.guarding("fire"):
                    (args, kwargs), *_rest = result
                    recorder.record_config(*read_bound(function, args, kwargs), "fire")
            return result

        return parse_and_record

    module.__dict__.update(Fire=call_fire, _MakeParseFn=make_watched_parse)
