"""Read what a library is about to call a function or class with, by the names of its parameters."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from exptrack.scripts.same_values import is_same


def read_bound(
    function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], instead: object = None
) -> tuple[dict[str, Any], set[str]]:
    """Return the values of all parameters by name, and the names of those that have their default value.

    An attribute of `instead` counts as the default of the parameter of its name.
    """
    signature = inspect.signature(function)
    bound = signature.bind(*args, **kwargs)
    bound.apply_defaults()
    values: dict[str, Any] = {}
    defaults: set[str] = set()
    for name, value in bound.arguments.items():
        parameter = signature.parameters[name]
        if parameter.kind is parameter.VAR_KEYWORD:
            values.update(value)
            continue
        values[name] = value
        if parameter.kind is parameter.VAR_POSITIONAL:
            if not value:
                defaults.add(name)
        elif is_same(value, getattr(instead, name, parameter.default)):
            defaults.add(name)
    return values, defaults
