"""Record what tyro makes of the arguments: the fields of a dataclass, or the parameters of a function.

Invariants: a call of tyro with arguments of its own, rather than those of the process, is left alone. Nested
parts are values of the whole, which is recorded once.
"""

from __future__ import annotations

from functools import partial, wraps
from types import ModuleType
from typing import Any

from exptrack.scripts.bound_arguments import read_bound
from exptrack.scripts.recorder import Recorder

WRAPPED = "__tyro_dummy_inner__"  # the field in which tyro keeps what is neither a class nor a function


def install(module: ModuleType, recorder: Recorder) -> None:
    """Wrap what reads the arguments, and what fills a class or function with them."""
    read, calling = module.__dict__["_cli_impl"], module.__dict__["_calling"]
    fill = calling.callable_with_args
    own: list[bool] = []  # for each call of tyro under way

    @wraps(read)
    def read_arguments(*args: Any, **options: Any) -> Any:
        own.append(recorder.are_own_arguments(options.get("args")))
        try:
            return read(*args, **options)
        finally:
            own.pop()

    @wraps(fill)
    def fill_and_record(function: Any, parser: Any, default: Any, *args: Any, **options: Any) -> Any:
        with recorder.alone("tyro") as is_alone:
            result = fill(function, parser, default, *args, **options)
        if is_alone and own and own[-1]:
            with recorder.guarding("tyro"):
                _record(recorder, result[0], default)
        return result

    module.__dict__["_cli_impl"] = read_arguments
    calling.callable_with_args = fill_and_record


def _record(recorder: Recorder, filled: Any, default: Any) -> None:
    if not isinstance(filled, partial):  # of a list or dict alone, whose values have no names
        return
    function, args, kwargs = filled.func, filled.args, filled.keywords
    inner = kwargs.get(WRAPPED)
    if inner is not None:
        function, args, kwargs = type(inner), (), vars(inner)
    recorder.record_config(*read_bound(function, args, kwargs, default), "tyro")
