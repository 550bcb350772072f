"""Compare the value of an option with its default."""

from __future__ import annotations

from typing import Any


def is_same(value: Any, default: Any) -> bool:
    """Whether a value is the default of its option. A comparison that fails, as that of an array, says no."""
    if value is default:
        return True
    try:
        return type(value) is type(default) and bool(value == default)
    except Exception:  # of the value's own comparison
        return False
