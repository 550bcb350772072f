"""Read the filter language: a line of text becomes a tree of conditions.

    config.lr < 0.01 and (config.optimizer = 'adam' or tag = 'baseline') and metrics.acc.max >= 0.9
    and not status = failed and started > -7d

Invariants: a tree holds names and values, never SQL. Reading refuses a field that does not exist, an operator
that the field does not take, and a value of a type that cannot be compared with it. An error shows the place
with a caret.

The grammar (keywords in any case; a comparison binds strongest, then ``not``, ``and``, ``or``):

    filter     = [ disjunction ]
    disjunction= conjunction { "or" conjunction }
    conjunction= negation { "and" negation }
    negation   = "not" negation | "(" disjunction ")" | "exists" field | comparison
    comparison = truth | field ( "=" | "==" | "!=" | "<>" | "<" | "<=" | ">" | ">=" ) value
               | field [ "not" ] "like" value
               | field [ "not" ] "in" "(" value { "," value } ")"
               | field "is" [ "not" ] "null"
    truth      = "has_nan" | "dirty"
    field      = "config." path | "params." path | "metrics." name [ "." statistic ] | "attr." key
               | "data." name | "trial.number" | "trial.state" | fact
    value      = number | 'text' | "text" | word | [JSON list] | -7d | "?"
"""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, NamedTuple, cast

from exptrack.config.tree import encode_canonical
from exptrack.errors import ConfigError, FilterError, InvalidTypeError, InvalidValueError
from exptrack.keypath import path_of, split_path
from exptrack.plain import is_text, plain, read_elements, short_repr
from exptrack.query.conditions import (
    ATTR_ROOTS,
    BARE_PART,
    CONFIG_ROOTS,
    DATA,
    EVERYTHING,
    FACTS,
    METRIC_ROOTS,
    ROOTS,
    STATE_WORDS,
    STATISTICS,
    SYNONYMS,
    And,
    Comparison,
    Condition,
    Field,
    Not,
    Or,
    Scalar,
)
from exptrack.query.parameters import BEYOND, MAX_LIST, MAX_NUMBERS, check_parameter, is_listing
from exptrack.query.patterns import escape_like
from exptrack.times import SECONDS, utc_text
from exptrack.validation import INT64_MAX, INT64_MIN, check_text

MAX_CHARS = 100_000
MAX_CONDITIONS = 1_000
MAX_DIGITS = 400  # of a whole number that is read as one: more than the greatest float has
MAX_DEPTH = 100
_QUOTED = r"'(?:[^']|'')*'|\"(?:[^\"\\]|\\.)*\""
_WORD = r"[^\W\d][\w/\-:@+%#$~^&|]*"
_PART = rf"(?:\.(?:\"(?:[^\"\\]|\\.)*\"|{BARE_PART}))"
# A text, not a compiled pattern: re compiles it at its first use, so that importing this file stays cheap.
_TOKEN = rf"""(?sx)\s*(?:
        (?P<time>\d{{4}}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?)?(?:Z|[+-]\d\d:\d\d)?)(?![\w.])
      | (?P<span>[+-]?\d+(?:\.\d+)?(?:s|min|m|h|d|w))(?![\w.])
      | (?P<number>[+-]?(?:\d+(?:_\d+)*\.?(?:\d+(?:_\d+)*)?|\.\d+)(?:[eE][+-]?\d+)?)(?![\w.])
      | (?P<bare>\d\w[\w\-]*)
      | (?P<signed>[+-](?:inf|infinity|nan))(?!\w)
      | (?P<operator><=|>=|!=|<>|==|=|<|>)
      | (?P<sign>[(),?])
      | (?P<list>\[)
      | (?P<word>{_WORD}{_PART}*)
      | (?P<text>{_QUOTED})
    )"""
_SIGN = r"\s*([+-]?)\s*"
_SPAN = r"(\d+(?:\.\d+)?)(s|min|m|h|d|w)"
KEYWORDS = frozenset("and or not in like is null exists".split())
_OPERATORS = {"==": "=", "<>": "!="}


class _Token(NamedTuple):
    """A word of a filter; `kind` is its group in the pattern, or the keyword or sign itself."""

    kind: str
    text: str
    position: int


def parse_filter(text: object, parameters: Sequence[object] = ()) -> Condition:
    """Read a filter; `parameters` are the values of its question marks, in order.

    Raises:
        FilterError: the filter is wrong; the message shows where.
    """
    return _Parser(check_text(text, "filter", max_chars=MAX_CHARS), parameters).filter()


def parse_field(text: object) -> Field:
    """Read the name of one field.

    Raises:
        FilterError: there is no such field.
    """
    if not is_text(text):
        raise InvalidTypeError(f"a field must be text, like 'metrics.acc.max', not {short_repr(text)}")
    parser = _Parser(check_text(text, "field", max_chars=MAX_CHARS), ())
    token = parser.take()
    if token.kind != "word" or parser.token.kind != "end":
        raise parser.error("expected one field, like config.lr, metrics.acc.max or started", token)
    return parser.field(token)


def parse_columns(text: object) -> dict[str, Field]:
    """Read fields separated by commas; return each by its name as written.

    Raises:
        FilterError: there is no such field.
    """
    if not is_text(text):
        raise InvalidTypeError(
            f"columns must be text, like 'config.lr, metrics.acc.max', not {short_repr(text)}"
        )
    parser = _Parser(check_text(text, "columns", max_chars=MAX_CHARS), ())
    found = {}
    while True:
        name = parser.take()
        if name.kind != "word":
            raise parser.error("expected a field, like config.lr, metrics.acc.max or started", name)
        found[name.text] = parser.field(name)
        if parser.token.kind == "end":
            return found
        if parser.token.kind != ",":
            raise parser.error("expected a comma or the end")
        parser.take()


def parse_order(text: object) -> list[tuple[Field, bool]]:
    """Read an order: fields separated by commas, each with whether it is descending, written as a minus sign.

    Raises:
        FilterError: there is no such field.
    """
    if not is_text(text):
        raise InvalidTypeError(f"an order must be text, like '-metrics.acc.max', not {short_repr(text)}")
    text = check_text(text, "order", max_chars=MAX_CHARS)
    found = []
    position = 0
    while True:
        sign = re.compile(_SIGN).match(text, position)
        assert sign is not None, "the pattern also matches no characters"
        parser = _Parser(text, (), sign.end())
        name = parser.take()
        if name.kind != "word":
            raise parser.error("expected a field, like -metrics.acc.max or started", name)
        field = parser.field(name)
        descending = sign[1] == "-"
        if parser.token.kind == "word" and parser.token.text.lower() in ("asc", "desc"):
            descending = parser.take().text.lower() == "desc"
        found.append((field, descending))
        if parser.token.kind == "end":
            return found
        if parser.token.kind != ",":
            raise parser.error("expected asc, desc, a comma or the end")
        position = parser.token.position + 1


class _Parser:
    """Reads one text from left to right, with one token of lookahead in `token`."""

    def __init__(self, text: str, parameters: Sequence[object], start: int = 0) -> None:
        self._text = text
        self._at = start
        self._parameters = list(parameters)
        self._given = len(parameters)
        self._conditions = 0
        self.token = self._read_token()

    # Tokens

    def _read_token(self) -> _Token:
        match = re.compile(_TOKEN).match(self._text, self._at)
        if match is None:
            rest = self._text[self._at :].lstrip()
            position = len(self._text) - len(rest)
            if not rest:
                return _Token("end", "", len(self._text))
            quote = rest[0]
            what = "the quote is not closed" if quote in "'\"" else f"{quote!r} means nothing here"
            raise FilterError(what, self._text, position)
        kind = match.lastgroup
        assert kind is not None
        token = _Token(kind, match[kind], match.start(kind))
        self._at = match.end()
        if kind == "word" and token.text.lower() in KEYWORDS:
            return token._replace(kind=token.text.lower())
        return token._replace(kind=token.text) if kind == "sign" else token

    def take(self) -> _Token:
        """Return the current token and move to the next."""
        token = self.token
        self.token = self._read_token()
        return token

    def error(self, problem: str, token: _Token | None = None) -> FilterError:
        """Make an error that points to a token, by default the current one."""
        return FilterError(problem, self._text, (token or self.token).position)

    def _expect(self, kind: str, what: str) -> _Token:
        if self.token.kind != kind:
            raise self.error(f"expected {what}")
        return self.take()

    # Conditions

    def filter(self) -> Condition:
        """Read a whole filter, up to the end of the text."""
        if self.token.kind == "end":
            return EVERYTHING
        found = self._disjunction(1)
        if self.token.kind != "end":
            raise self.error("expected 'and', 'or' or the end")
        if self._parameters:
            raise FilterError(
                f"{self._given} values were given for {self._given - len(self._parameters)} question marks;"
                " give one value for each",
                self._text,
                len(self._text),
            )
        return found

    def _disjunction(self, depth: int) -> Condition:
        if depth > MAX_DEPTH:
            raise self.error(f"the filter is nested deeper than {MAX_DEPTH} levels; simplify it")
        found = [self._conjunction(depth)]
        while self.token.kind == "or":
            self.take()
            found.append(self._conjunction(depth))
        return found[0] if len(found) == 1 else Or(tuple(found))

    def _conjunction(self, depth: int) -> Condition:
        found = [self._negation(depth)]
        while self.token.kind == "and":
            self.take()
            found.append(self._negation(depth))
        return found[0] if len(found) == 1 else And(tuple(found))

    def _negation(self, depth: int) -> Condition:
        token = self.token
        if token.kind == "not":
            self.take()
            if depth > MAX_DEPTH:
                raise self.error(f"the filter is nested deeper than {MAX_DEPTH} levels; simplify it")
            return Not(self._negation(depth + 1))
        if token.kind == "(":
            self.take()
            found = self._disjunction(depth + 1)
            self._expect(")", "a closing parenthesis")
            return found
        self._conditions += 1
        if self._conditions > MAX_CONDITIONS:
            raise self.error(f"the filter has more than {MAX_CONDITIONS:,} conditions; use 'in'")
        if token.kind == "exists":
            self.take()
            closing = self.token.kind == "("
            if closing:
                self.take()
            name = self._expect("word", "a field")
            called = self._read_data_name(name)
            field = self.field(name) if called is None else Field("fact", DATA)
            if closing:
                self._expect(")", "a closing parenthesis")
            if called is not None:
                return Comparison(field, "=", (called,), name.position)
            return Comparison(field, "exists", (), name.position)
        return self._comparison()

    def _comparison(self) -> Condition:
        name = self._expect("word", "a field, like config.lr or status")
        called = self._read_data_name(name)
        if called is not None:
            return self._compare_data(called, name)
        field = self.field(name)
        if _find_kind(field) == "bool" and self.token.kind in ("end", "and", "or", ")"):
            return Comparison(field, "=", (True,), name.position)
        return self._compare(field, name)

    def _read_data_name(self, token: _Token) -> str | None:
        """Return NAME of a word ``data.NAME``, else None."""
        root, dot, called = token.text.partition(".")
        return ".".join(self._split(called, token)) if dot and root.lower() == DATA else None

    def _compare_data(self, called: str, name: _Token) -> Condition:
        """Read a comparison of the data of one name: of those words of the run's data that begin with it."""
        found = self._compare(Field("fact", DATA), name)
        negated = isinstance(found, Not)
        one: Condition = found.condition if isinstance(found, Not) else found
        if isinstance(one, Comparison):
            if one.operator == "is null":
                one, negated = one._replace(operator="=", values=(called,)), not negated
            else:
                begin = escape_like(f"{called}=") if one.operator == "like" else f"{called}="
                one = one._replace(values=tuple(f"{begin}{value}" for value in one.values))
        return Not(one) if negated else one

    def _compare(self, field: Field, name: _Token) -> Condition:
        """Read what stands behind a field: an operator and its values."""
        token = self.take()
        if token.kind == "operator":
            operator = _OPERATORS.get(token.text, token.text)
            self._check_operator(field, operator, token)
            return Comparison(field, operator, (self._read_value(field, operator),), name.position)
        found: Condition
        if token.kind == "is":
            negated = self.token.kind == "not"
            if negated:
                self.take()
            self._expect("null", "null")
            found = Comparison(field, "is null", (), name.position)
            return Not(found) if negated else found
        negated = token.kind == "not"
        if negated:
            token = self.take()
        if token.kind == "like":
            self._check_operator(field, "like", token)
            found = Comparison(field, "like", (self._read_value(field, "like"),), name.position)
        elif token.kind == "in":
            self._expect("(", "an opening parenthesis")
            values = self._read_choices(field)
            while self.token.kind == ",":
                self.take()
                values += self._read_choices(field)
            self._expect(")", "a comma or a closing parenthesis")
            self._check_number_of_values(values, token)
            found = Comparison(field, "in", tuple(values), name.position) if values else Or(())
        else:
            raise self.error(f"expected =, !=, <, <=, >, >=, in, like or is after {name.text}", token)
        if not negated:
            return found
        # A run without tags has none of the named ones, so it satisfies 'not in', as it satisfies !=. In other
        # fields, a run without a value satisfies neither 'in' nor 'not in'.
        present = Comparison(field, "is comparable", (), name.position)
        return Not(found) if _find_kind(field) == "set" else And((present, Not(found)))

    def _check_operator(self, field: Field, operator: str, token: _Token) -> None:
        kind = _find_kind(field)
        if operator == "like" and kind in ("number", "time", "seconds", "bool", *STATE_WORDS):
            raise self.error(f"'like' cannot be used with {field}: it is not text", token)
        if operator not in ("=", "!=", "like") and kind in ("set", "bool", *STATE_WORDS):
            raise self.error(f"{operator} cannot be used with {field}; use = or !=", token)

    # Fields

    def field(self, token: _Token) -> Field:
        """Return the field that a word names."""
        root, dot, rest = token.text.partition(".")
        lowered = root.lower()
        if dot and lowered in CONFIG_ROOTS:
            return Field("config", path_of(self._split(rest, token)))
        if dot and lowered in METRIC_ROOTS:
            return self._read_metric(rest, token)
        if dot and lowered in ATTR_ROOTS:
            return Field("attribute", ".".join(self._split(rest, token)))
        whole = token.text.lower()
        name = SYNONYMS.get(whole, whole)
        if name in FACTS:
            return Field("fact", name)
        if dot and lowered == DATA:
            raise self.error(
                f"{token.text} can only be compared, in a filter; the field data has all names", token
            )
        known = [*(one for one in (*FACTS, *SYNONYMS) if "." not in one), *ROOTS, "trial"]
        close = difflib.get_close_matches(lowered, known, n=1)
        hint = f"; did you mean {close[0]}{dot}{rest}?" if close else ""
        if close == ["trial"]:
            facts = [one.removeprefix("trial.") for one in FACTS if one.startswith("trial.")]
            close = difflib.get_close_matches(rest.lower(), facts, n=1) or facts
            hint = f"; did you mean {' or '.join(f'trial.{one}' for one in close)}?"
        if not hint and not dot:
            hint = f"; did you mean config.{token.text}, metrics.{token.text} or attr.{token.text}?"
        raise self.error(f"there is no field {token.text!r}{hint}", token)

    def _read_metric(self, rest: str, token: _Token) -> Field:
        parts = self._split(rest, token)
        # Only an unquoted last part can be a statistic.
        if len(parts) > 1 and parts[-1] in STATISTICS and not rest.endswith('"'):
            return Field("metric", ".".join(parts[:-1]), parts[-1])
        return Field("metric", ".".join(parts), "last")

    def _split(self, rest: str, token: _Token) -> list[str]:
        try:
            return split_path(rest)
        except ConfigError as error:
            raise self.error(str(error), token) from None

    # Values

    def _read_choices(self, field: Field) -> list[Scalar]:
        """Read a value of a list in parentheses; a list given for a question mark stands for its values."""
        token = self.token
        if token.kind != "?" or not self._parameters or not is_listing(self._parameters[0]):
            return [self._read_value(field, "=")]
        self.take()
        try:
            several = read_elements(self._parameters.pop(0), "the list", most=MAX_LIST)
        except InvalidValueError as error:
            raise self.error(str(error), token) from None
        values = (check_parameter(plain(one), field, partial(self.error, token=token)) for one in several)
        return [self._check_value(field, "=", value, token) for value in values]

    def _check_number_of_values(self, values: Sequence[Scalar], token: _Token) -> None:
        if len(values) > MAX_LIST or sum(not isinstance(value, str) for value in values) > MAX_NUMBERS:
            raise self.error(
                f"'in' takes at most {MAX_LIST:,} texts or {MAX_NUMBERS:,} other values; give fewer", token
            )

    def _read_value(self, field: Field, operator: str) -> Scalar:
        value: Any
        if self.token.kind == "list":
            # A list is JSON, not tokens of this language, so it is read without lookahead.
            token = self.token
            return self._check_value(field, operator, self._read_list(token), token)
        token = self.take()
        if token.kind == "?":
            if not self._parameters:
                raise self.error("there is no value for this question mark", token)
            value = check_parameter(self._parameters.pop(0), field, partial(self.error, token=token))
        elif token.kind == "text":
            value = _unquote(token.text)
        elif token.kind == "number":
            value = _read_number(token.text)
            if _find_kind(field) not in ("text", "set") and value in (math.inf, -math.inf):
                raise self.error(BEYOND, token)
        elif token.kind == "bare":
            # Ids and hashes often begin with a digit. In other fields this is more likely a mistyped number.
            if _find_kind(field) not in ("text", "set"):
                raise self.error("not a number; quote text that begins with a digit", token)
            value = token.text
        elif token.kind in ("time", "span", "signed", "word", "null"):
            value = self._read_word(field, token)
        else:
            raise self.error("expected a value: a number, 'text', true, -7d, …", token)
        return self._check_value(field, operator, value, token)

    def _read_word(self, field: Field, token: _Token) -> Scalar:
        lowered = token.text.lower()
        kind = _find_kind(field)
        if lowered in ("true", "false"):
            return lowered == "true"
        if token.kind == "null":
            raise self.error(f"null cannot be compared; write: {field} is null", token)
        if token.text == "None":  # Python's None is more often meant than a text
            quote = "; the text None stands in quotes" * (kind in ("text", "set", "config"))
            raise self.error(f"None cannot be compared; write: {field} is null{quote}", token)
        if kind in ("number", "config") and lowered.lstrip("+-") in ("inf", "infinity", "nan"):
            return float(lowered)
        return token.text

    def _read_list(self, token: _Token) -> list[Any]:
        try:
            value, end = json.JSONDecoder().raw_decode(self._text, token.position)
            check_text(encode_canonical(value), "list")
        except (ValueError, RecursionError) as error:
            raise self.error(f"expected a list as in JSON: {error}", token) from None
        self._at = end
        self.token = self._read_token()
        assert isinstance(value, list)
        return value

    def _check_value(self, field: Field, operator: str, value: Any, token: _Token) -> Scalar:
        """Return the value as it will be compared, if it can be compared with the field."""
        kind = _find_kind(field)
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if kind not in ("text", "set") and is_number and isinstance(value, int):
            value = self._check_whole(value, token)
        if isinstance(value, float) and math.isnan(value):
            raise self.error(f"nothing equals NaN; to find NaN, write: {field} is null", token)
        if isinstance(value, str):
            try:
                check_text(value, "value")
            except InvalidValueError as error:
                raise self.error(str(error), token) from None
        if operator == "like":
            if not isinstance(value, str):
                raise self.error("a pattern is text, like 'resnet%'", token)
            return value
        if kind == "config":
            if isinstance(value, datetime):
                raise self.error(f"{field} holds no times; compare with text", token)
            if operator not in ("=", "!=") and not (is_number or isinstance(value, str)):
                raise self.error("only numbers and texts have an order; use = or !=", token)
            return cast(Scalar, value)
        if kind == "number" and not is_number:
            raise self.error(f"{field} is a number; {short_repr(value)} is not", token)
        if kind == "time":
            return self._read_moment(value, token)
        if kind == "seconds":
            return value if is_number else self._read_seconds(field, value, token)
        if kind == "bool" and not isinstance(value, bool):
            raise self.error(f"{field} is true or false", token)
        if kind in STATE_WORDS:
            known = STATE_WORDS[kind]
            if str(value).lower() not in known:
                close = difflib.get_close_matches(str(value).lower(), known, n=1)
                hint = f"; did you mean {close[0]}?" if close else ""
                raise self.error(f"a {field} is one of {', '.join(known)}{hint}", token)
            return str(value).lower()
        if kind in ("text", "set") and isinstance(value, list):
            raise self.error(f"{field} is one text, and a list is none; write: {field} in (?)", token)
        if kind in ("text", "set") and not isinstance(value, str):
            # A run may be called 42 or 1e3, so the value is the text as it was written.
            return (
                self._text[token.position : token.position + len(token.text)]
                if token.kind != "?"
                else str(value)
            )
        return value  # type: ignore[no-any-return]

    def _check_whole(self, value: int, token: _Token) -> int | float:
        """Return a whole number as an int of 64 bits, or as the float that equals it."""
        if INT64_MIN <= value <= INT64_MAX:
            return value
        try:
            near = float(value)
        except OverflowError:
            raise self.error(BEYOND, token) from None
        if near != value:
            # As a float it would equal numbers that it is not.
            problem = f"no number of 64 bits equals {short_repr(value)}; the nearest is {near!r}"
            raise self.error(problem, token)
        return near

    def _read_moment(self, value: Any, token: _Token) -> str:
        text = value if isinstance(value, str) else ""
        now = datetime.now(UTC)
        span = re.fullmatch(f"([+-]?){_SPAN}", text)
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        words = {"now": now, "today": midnight, "yesterday": midnight - timedelta(days=1)}
        try:
            if isinstance(value, datetime):
                moment = value
            elif span is not None:
                moment = now + timedelta(seconds=float(span[1] + span[2]) * SECONDS[span[3]])
            elif text.lower() in words:
                moment = words[text.lower()]
            else:
                moment = datetime.fromisoformat(text)
            # A text without a zone is UTC, as the archive shows times.
            return utc_text(moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment)
        except Exception:  # the zone of a caller's datetime may raise anything
            raise self.error("a time (UTC) is like 2026-01-31, -7d, -12h or today", token) from None

    def _read_seconds(self, field: Field, value: Any, token: _Token) -> float:
        span = re.fullmatch(_SPAN, value if isinstance(value, str) else "")
        if span is None:
            raise self.error(f"{field} is in seconds; expected a number, 90s, 10min, 2h, …", token)
        return float(span[1]) * SECONDS[span[2]]


def _find_kind(field: Field) -> str:
    if field.kind == "metric":
        return "number"
    # An attribute takes the same values as a config key.
    return "config" if field.kind in ("config", "attribute") else FACTS[field.name]


def _unquote(text: str) -> str:
    if text[0] == "'":
        return text[1:-1].replace("''", "'")
    return re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL)


def _read_number(text: str) -> int | float:
    plain = text.replace("_", "")
    is_whole = re.fullmatch(r"[+-]?\d+", plain) and len(plain) <= MAX_DIGITS
    return int(plain) if is_whole else float(plain)
