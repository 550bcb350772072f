"""Say why no run satisfies some conditions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from difflib import get_close_matches

from exptrack.plain import short_repr
from exptrack.query.conditions import And, Comparison, Condition, Field, Not, Or
from exptrack.query.field_summary import FieldSummary

MOST_WORDS = 1_000  # among which a similar one is looked for
SHOWN_WORDS = 5


def explain_emptiness(
    conditions: Iterable[Condition],
    count: Callable[[Condition], int],
    summarize: Callable[[Field], FieldSummary],
) -> str:
    """Say which of the conditions no run satisfies, and which values there are.

    `count` counts the runs of the file that satisfy one condition, and `summarize` summarizes a field over all.
    """
    for condition in conditions:
        if condition == Or(()):
            return "no run was chosen"
        if not count(condition):
            said = f"no run satisfies {_write(condition)}"
            if isinstance(condition, Comparison) and (values := _list_values(condition, summarize)):
                said += f"; {values}"
            return said
    return "no run satisfies all conditions; each alone is satisfied by some runs"


def _list_values(condition: Comparison, summarize: Callable[[Field], FieldSummary]) -> str:
    """Say which values runs have instead; nothing where that does not help."""
    if condition.operator in ("exists", "is null", "!="):
        return ""
    found = summarize(condition.field)
    words = [word for word, _count in found.top if isinstance(word, str)]
    asked = [value for value in condition.values if isinstance(value, str)]
    for value in asked:
        if close := get_close_matches(value, words, 1):
            return f"did you mean {short_repr(close[0])}?"
    if words and (asked or not found.quantiles):
        shown = ", ".join(map(short_repr, words[:SHOWN_WORDS]))
        more = f" and {found.distinct - SHOWN_WORDS:,} more" if found.distinct > SHOWN_WORDS else ""
        return f"its only value is {shown}" if found.distinct == 1 else f"its values are {shown}{more}"
    if found.quantiles and "time" not in found.types:
        return f"its values go from {found.quantiles[0.0]:.6g} to {found.quantiles[1.0]:.6g}"
    return "no run has a value of it" if found.missing == found.runs else ""


def _write(condition: Condition) -> str:
    """Write a condition much as a filter does."""
    if isinstance(condition, Comparison):
        values = [_write_value(value) for value in condition.values]
        if condition.operator == "in":
            return f"{condition.field} in ({', '.join(values)})"
        return " ".join([str(condition.field), condition.operator, *values])
    if isinstance(condition, Not):
        return f"not ({_write(condition.condition)})"
    word = " and " if isinstance(condition, And) else " or "
    return word.join(
        f"({_write(part)})" if isinstance(part, And | Or) else _write(part) for part in condition.conditions
    )


def _write_value(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else short_repr(value)
