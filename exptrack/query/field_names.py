"""Read the name of a field; the parser of the filter language is imported only where the name needs it."""

from __future__ import annotations

from exptrack.query.conditions import FACTS, SYNONYMS, Field


def read_field(text: str) -> Field:
    """Read the name of one field.

    Raises:
        FilterError: there is no such field.
    """
    name = SYNONYMS.get(text, text)
    if name in FACTS:
        return Field("fact", name)
    from exptrack.query.parser import parse_field

    return parse_field(text)
