"""Help to write a filter, an order or columns: what is wrong, and what could stand at the cursor.

Invariants: help is given for every text, however broken. What stands before a completion is not changed, and
with it in place the text is read at least to its end.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from exptrack.config.tree import encode_canonical
from exptrack.database.connection import Connection, in_reading
from exptrack.errors import FilterError, InvalidValueError
from exptrack.query.conditions import FACTS, STATE_WORDS, And, Field, comparisons
from exptrack.query.names import check_field_exists, check_names_exist
from exptrack.query.parser import KEYWORDS, MAX_CHARS, parse_columns, parse_field, parse_filter, parse_order
from exptrack.query.vocabulary import SPANS, find_fields, find_types, find_values
from exptrack.shown import shown
from exptrack.validation import check_text

FIELD_KINDS = ("fact", "config", "metric", "attribute")
# The lists of fields that a text may be: several that are shown, several that order runs, or one.
FIELD_TEXTS = ("columns", "order", "field")

# Tokens of any text, also of one that is no filter. A quote may be unclosed.
_CLOSED = r"'(?:[^']|'')*'|\"(?:[^\"\\]|\\.)*\""
_WORD = r"(?:[^\s'\"()\[,?<>=!]|(?<=\.)\"(?:[^\"\\]|\\.)*(?:\"|\\?\Z))+"
_TOKEN = rf"""(?sx)\s*(?:
        (?P<text>{_CLOSED})
      | (?P<open>['\"].*)
      | (?P<list>\[)
      | (?P<operator><=|>=|!=|<>|==|[=<>!])
      | (?P<sign>[(),?])
      | (?P<word>{_WORD})
    )"""
_ORDERING = ("=", "!=", "<", "<=", ">", ">=")
_EQUALITY = ("=", "!=")

# What follows in a filter, by what is read so far. Any token that is not named leads to the state called "".
STATES: dict[str, dict[str, str]] = {
    "condition": {"not": "condition", "exists": "exists", "(": "condition", "": "operator"},
    "exists": {"(": "exists (", "": "done"},
    "exists (": {"": "exists )"},
    "exists )": {"": "done"},
    "operator": {
        "operator": "value",
        "like": "value",
        "in": "in",
        "is": "is",
        "not": "not",
        "and": "condition",
        "or": "condition",
        "": "operator",
    },
    "not": {"like": "value", "in": "in", "": "not"},
    "is": {"not": "is not", "": "done"},
    "is not": {"": "done"},
    "in": {"(": "in list", "": "in"},
    "in list": {"": "in list,"},
    "in list,": {",": "in list", ")": "done", "": "in list,"},
    "value": {"": "done"},
    "done": {"and": "condition", "or": "condition", "": "done"},
}


@shown
class Completion(NamedTuple):
    """A text that could stand at the cursor, in place of what lies from `start` to `end`.

    `kind` is ``"field"``, ``"operator"``, ``"value"`` or ``"keyword"``.
    """

    text: str
    kind: str
    start: int
    end: int


@shown
class FilterHelp(NamedTuple):
    """What is wrong with a text, and where, and what could stand at the cursor, the best first.

    `problem` and `position` are None if nothing is wrong. Positions count characters of Python.
    """

    problem: str | None
    position: int | None
    completions: tuple[Completion, ...]


class _Token(NamedTuple):
    kind: str
    text: str
    start: int
    end: int


class _Word(NamedTuple):
    """The part of a text that a completion replaces: what stands before the cursor, and its range."""

    text: str
    start: int
    end: int


@in_reading
def complete_filter(connection: Connection, text: str, cursor: int, most: int) -> FilterHelp:
    """Help with a filter; see :meth:`exptrack.Archive.complete_filter`."""

    def check() -> None:
        condition = parse_filter(text)
        # A name that is being written is not wrong yet.
        done = [one for one in comparisons(condition) if not _touches(text, one.position, cursor)]
        check_names_exist(connection, And(tuple(done)), text)

    problem = _find_problem(check)
    if not _is_readable(text):
        return FilterHelp(*problem, ())
    tokens, word = _split(text, cursor)
    found = _complete(connection, tokens, word, most)
    if tokens and tokens[-1].end == word.start and tokens[-1].kind not in ("operator", "(", ","):
        # A word that touches the one before would be read as one with it.
        found = (one if one.text[0] in "()," else one._replace(text=f" {one.text}") for one in found)
    return FilterHelp(*problem, tuple(found))


@in_reading
def complete_field(
    connection: Connection, text: str, cursor: int, kind: str, among: Sequence[str], most: int
) -> FilterHelp:
    """Help with a field or a list of them; see :meth:`exptrack.Archive.complete_field`."""

    def check() -> None:
        if kind == "field":
            fields = [parse_field(text)]
        elif kind == "columns":
            fields = list(parse_columns(text).values())
        else:
            fields = [field for field, _descending in parse_order(text)]
        begun = _read_begun_field(word.text)
        for field in fields:
            if field != begun:
                check_field_exists(connection, field, text)

    if not _is_readable(text):
        return FilterHelp(*_find_problem(lambda: check_text(text, "the text", max_chars=MAX_CHARS)), ())
    tokens, word = _split(text, cursor)
    if kind == "order" and word.text[:1] in ("-", "+"):
        word = word._replace(text=word.text[1:], start=word.start + 1)
    problem = _find_problem(check)
    begins = () if kind == "field" else (",", "-", "+") if kind == "order" else (",",)
    if not tokens or tokens[-1].text in begins:
        names = find_fields(connection, _unquote_word(word.text), among, most)
        return FilterHelp(*problem, tuple(Completion(one.text, "field", word.start, word.end) for one in names))
    is_named = kind == "order" and tokens[-1].text.lower() not in ("asc", "desc")
    return FilterHelp(*problem, tuple(_match(word, ("asc", "desc") if is_named else (), "keyword")))


def _find_problem(check: Callable[[], object]) -> tuple[str | None, int | None]:
    try:
        check()
    except FilterError as error:
        return error.problem, error.position
    except InvalidValueError as error:
        return str(error), 0
    return None, None


def _is_readable(text: str) -> bool:
    try:
        check_text(text, "text", max_chars=MAX_CHARS)
    except InvalidValueError:
        return False
    return True


def _touches(text: str, position: int, cursor: int) -> bool:
    """Return whether the cursor is in or at the end of the word at a position."""
    word = re.compile(_WORD).match(text, position)
    return word is not None and position <= cursor <= word.end()


def _read_begun_field(text: str) -> Field | None:
    try:
        return parse_field(text)
    except (FilterError, InvalidValueError):
        return None


# Tokens


def _split(text: str, cursor: int) -> tuple[list[_Token], _Word]:
    """Return the tokens before the word at the cursor, and that word; it may be empty."""
    before = text[:cursor]
    tokens = list(_iter_tokens(before))
    last = tokens[-1] if tokens else None
    is_begun = (
        last is not None
        and last.end == cursor
        and (last.kind in ("word", "open", *KEYWORDS) or last.text == "!")
    )
    if last is None or not is_begun:
        return tokens, _Word("", cursor, cursor)
    return tokens[:-1], _Word(last.text, last.start, _find_end(text, last.start, cursor))


def _iter_tokens(text: str) -> Iterator[_Token]:
    pattern, at = re.compile(_TOKEN), 0
    while (found := pattern.match(text, at)) is not None:
        kind = str(found.lastgroup)
        start, at = found.start(kind), found.end()
        if kind == "list":
            at = _find_list_end(text, start)
            kind = "list" if at else "open"
            at = at or len(text)
        words = text[start:at]
        if kind == "word" and words.lower() in KEYWORDS:
            kind = words.lower()
        elif kind == "sign":
            kind = words
        yield _Token(kind, words, start, at)


def _find_list_end(text: str, start: int) -> int:
    """Return where a JSON list ends; 0 if it is not closed."""
    try:
        return json.JSONDecoder().raw_decode(text, start)[1]
    except (ValueError, RecursionError):
        return 0


def _find_end(text: str, start: int, cursor: int) -> int:
    """Return where the word ends that begins at `start` and reaches at least to the cursor."""
    found = re.compile(_TOKEN).match(text, start)
    end = cursor if found is None else found.end()
    if found is None or end < cursor or found.lastgroup in ("open", "list"):
        return cursor
    quotes = text[cursor:end].count('"') + text[cursor:end].count("'")
    # A quote that a word follows does not close this one, but opens another.
    opens_another = quotes > 0 and re.match(r"[\w.'\"]", text[end : end + 1]) is not None
    unclosed = found.lastgroup == "word" and _count_quotes(found["word"]) % 2 == 1
    return cursor if opens_another or unclosed else end


def _count_quotes(word: str) -> int:
    return len(re.findall(r'(?<!\\)"', word))


# Completions


def _complete(connection: Connection, tokens: list[_Token], word: _Word, most: int) -> Iterator[Completion]:
    state, depth = "condition", 0
    name = operator = ""
    for token in tokens:
        if state in ("condition", "done"):
            depth += (token.kind == "(") - (token.kind == ")")
        if state == "condition":
            name = token.text
        elif state in ("operator", "not") and token.kind in ("operator", "like", "in"):
            operator = token.text if token.kind == "operator" else token.kind
        following = STATES[state]
        state = following.get(token.kind, following[""])
    field = _read_begun_field(name)
    if state in ("condition", "exists", "exists ("):
        found = find_fields(connection, _unquote_word(word.text), FIELD_KINDS, most)
        yield from (Completion(one.text, "field", word.start, word.end) for one in found)
        if state == "condition":
            yield from _match(word, ("not", "exists", "("), "keyword")
    elif state in ("operator", "not", "is"):
        yield from _match(word, _list_operators(connection, state, field), "operator")
    elif state in ("value", "in list"):
        if field is not None:
            yield from _complete_value(connection, field, operator, word, most)
    elif state == "done":
        yield from _match(word, ("and", "or", ")") if depth > 0 else ("and", "or"), "keyword")
    else:
        closing = {"is not": ("null",), "in": ("(",), "in list,": (",", ")"), "exists )": (")",)}
        yield from _match(word, closing[state], "keyword")


def _match(word: _Word, candidates: Sequence[str], kind: str) -> Iterator[Completion]:
    for one in candidates:
        if one.startswith(word.text.lower()):
            yield Completion(one, kind, word.start, word.end)


def _list_operators(connection: Connection, state: str, field: Field | None) -> tuple[str, ...]:
    """List the operators that a field takes, those that suit the values that it has first."""
    if state == "is":
        return "null", "not null"
    orders: tuple[str, ...] = _ORDERING
    like = True
    if field is not None and field.kind == "fact":
        kind = FACTS[field.name]
        orders = _EQUALITY if kind in ("set", "bool", *STATE_WORDS) else orders
        like = kind in ("text", "set")
    elif field is not None and field.kind == "metric":
        like = False
    elif field is not None:
        types = find_types(connection, field)
        like = not types or "text" in types
        orders = _EQUALITY if types and types <= {"bool", "list", "map", "json"} else orders
    if state == "not":
        return ("in (", "like") if like else ("in (",)
    likes, unlikes = (("like",), ("not like",)) if like else ((), ())
    return (*orders, "in (", *likes, "is null", "is not null", "not in (", *unlikes)


def _complete_value(
    connection: Connection, field: Field, operator: str, word: _Word, most: int
) -> Iterator[Completion]:
    begun = word.text
    if begun[:1] in ("'", '"'):
        begun = begun[1:].replace("''", "'") if begun[0] == "'" else re.sub(r"\\(.)", r"\1", begun[1:])
    if operator == "like" and not _is_text(field):
        return
    kind = FACTS.get(field.name, "") if field.kind == "fact" else field.kind
    for value in find_values(connection, field, begun, most):
        is_text = isinstance(value, str)
        if operator == "like" and not is_text:
            continue
        if field.kind != "fact" and operator not in ("=", "==", "!=", "<>", "in"):
            # Only numbers and texts have an order.
            if isinstance(value, (bool, list)):
                continue
        written = value if kind in SPANS or kind in STATE_WORDS or kind == "bool" else _write_value(value)
        yield Completion(written, "value", word.start, word.end)


def _is_text(field: Field) -> bool:
    return field.kind in ("config", "attribute") or (
        field.kind == "fact" and FACTS[field.name] in ("text", "set")
    )


def _write_value(value: Any) -> str:
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, (bool, list)):
        return encode_canonical(value)
    return repr(value)


def _unquote_word(word: str) -> str:
    """Return the word of a field without its quotes, as far as they matter to a search."""
    return re.sub(r"\\(.)", r"\1", word.lstrip("'\""))
