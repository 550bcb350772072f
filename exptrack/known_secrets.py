"""Know the secrets of this process, and hide them in every text that exptrack stores or prints.

A config tells which values the environment filled in. A command line tells which of its words are secrets. The
command of a sweep tells the secrets of its own configs; see `secret_channel`.

Invariants:

- No value leaves this process, except to the sweep that started it, and then in a form that only this sweep
  reads.
- A value is found as it is written, escaped, in quotes, as bytes, in a URL, in base64 or in hexadecimal. Of a
  long value, its first and last eight characters are found too, since messages are shortened.
- A value under six characters is hidden only where a config has it at the same key. Elsewhere, masking it would
  garble every message.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


SHORTEST_SECRET = 6
LONG_SECRET = 12  # of these, a part is hidden too
PART = 8
REDACTED = "***"
# Where a child tells its secrets to the sweep that started it; see `secret_channel`.
CHANNEL_VARIABLE = "EXPTRACK_SECRET_CHANNEL"

_NAMED = r"\$\{(env|oc\.env):([A-Za-z_][A-Za-z0-9_]*)"  # compiled at its first use

# Each secret, and what is shown for it: a reference like ${env:NAME}, or ***.
_known: dict[str, str] = {}
# By the path in a config: each value that the environment filled in, short ones too, and what is stored for it.
_filled_in: dict[str, dict[str, str]] = {}


def know_secret(value: str, shown: str) -> None:
    """Hide `value` in every text from now on, and show `shown` in its place."""
    if len(value) < SHORTEST_SECRET or value in shown or _known.get(value) == shown:
        return
    _known[value] = shown
    if CHANNEL_VARIABLE in os.environ:
        from exptrack.secret_channel import tell_secret

        tell_secret(os.environ[CHANNEL_VARIABLE], value, shown)


def know_filled_in(path: str, value: str, stored: str) -> None:
    """Store `stored` for `value` in every config that has it at the same path."""
    _filled_in.setdefault(path, {})[value] = stored


def know_variables(text: str, environ: Mapping[str, str] | None = None) -> None:
    """Hide the values of the variables that the references in `text` name, where they are set."""
    found = os.environ if environ is None else environ
    for kind, name in re.findall(_NAMED, text) if "env:" in text else ():
        if name in found:
            know_secret(found[name], f"${{{kind}:{name}}}")


def has_secrets() -> bool:
    """Whether any secret is known. Most processes know none."""
    return bool(_known or _filled_in)


def mask_secrets(text: str, concerns: Callable[[str], bool] | None = None) -> str:
    """Replace every known secret in `text`, and every long enough part of one, by what is shown for it.

    With `concerns`, only those secrets for which it returns True of what is shown.
    """
    if not _known:
        return text
    for value, shown in _longest_first():
        if concerns is not None and not concerns(shown):
            continue
        for form in _forms_of(value):
            if form in text:
                text = text.replace(form, shown)
        if len(value) >= LONG_SECRET:
            text = _mask_parts(text, value, shown)
    return text


def _longest_first() -> list[tuple[str, str]]:
    # One secret may contain another. A copy, because another thread may add one meanwhile.
    return sorted(_known.copy().items(), key=lambda pair: -len(pair[0]))


def mask_facts(value: Any) -> Any:
    """Replace every known secret in the keys and texts of a value that JSON holds."""
    if not _known:
        return value
    if isinstance(value, str):
        return mask_secrets(value)
    if isinstance(value, Mapping):
        names = hide_keys(value, mask_facts)
        return {names[key]: mask_facts(item) for key, item in value.items()}
    return [mask_facts(item) for item in value] if isinstance(value, (list, tuple)) else value


def hide_keys(keys: Iterable[Any], hide: Callable[[Any], Any]) -> dict[Any, Any]:
    """Return for each key of a map what `hide` puts in its place. Keys that it makes equal get numbers."""
    names = {key: hide(key) for key in keys}
    taken = {key for key, name in names.items() if name == key}
    for key, shown in names.items():
        if shown != key:
            count = 1
            while names[key] in taken:
                count += 1
                names[key] = f"{shown} ({count})"
            taken.add(names[key])
    return names


def mask_bytes(data: bytes) -> bytes:
    """Replace every known secret in the output of a program."""
    if not _known:
        return data
    # Bytes that are not UTF-8 come back as they are.
    return mask_secrets(data.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")


def count_begun(data: bytes) -> int:
    """Return how many bytes at the end of `data` may be the beginning of a secret; 0 if none is."""
    longest = 0
    for value in list(_known):
        for form in _forms_of(value):
            encoded = form.encode("utf-8", "surrogateescape")
            length = min(len(encoded) - 1, len(data))
            while length > longest and not data.endswith(encoded[:length]):
                length -= 1
            longest = max(longest, length)
    return longest


def mask_setting(path: str, value: str | float, *, is_from_code: bool) -> str | None:
    """Return the text to store for a value at a path of a config; None if it neither is nor contains a secret.

    If the value `is_from_code`, as in a model, a value of the environment is also found if it is short, or if a
    program has converted it to a number.
    """
    for text, stored in _filled_in.get(path, {}).items():
        if (is_from_code or stored == REDACTED) and _is_same(value, text):
            return stored
    if not isinstance(value, str):
        return REDACTED if _known.get(str(value)) == REDACTED else None
    masked = value
    for secret, shown in _longest_first():
        if secret in masked and (len(secret) >= PART or secret == masked):
            masked = masked.replace(secret, shown)
    return None if masked == value else masked


def _is_same(value: str | float, text: str) -> bool:
    if isinstance(value, str):
        return value == text
    try:
        return float(text) == value
    except ValueError:
        return False  # this text is no number


@lru_cache(maxsize=1024)
def _forms_of(value: str) -> tuple[str, ...]:
    """Return the texts that a secret may appear as, the longest first."""
    forms = {*_spellings_of(value), *_encodings_of(value)}
    return tuple(sorted(forms, key=lambda form: (-len(form), form)))


def _encodings_of(value: str) -> set[str]:
    """Return a secret in hexadecimal and in base64, where it may follow one or two other bytes."""
    from base64 import b64encode

    data = value.encode("utf-8", "surrogateescape")
    forms = {data.hex(), data.hex().upper()}
    for before in range(3):
        encoded = b64encode(bytes(before) + data).decode().rstrip("=")
        # Characters at the ends that other bytes have a part in.
        whole = encoded[(0, 2, 3)[before] : len(encoded) - ((before + len(data)) % 3 > 0)]
        if len(whole) >= PART:
            forms |= {whole, whole.translate({ord("+"): "-", ord("/"): "_"})}
    return forms


def _spellings_of(value: str) -> set[str]:
    import json
    from urllib.parse import quote, quote_plus

    # A traceback indents each line of a message, so that the lines of a secret stand apart.
    lines = [line.strip() for line in value.splitlines()] if len(value.split()) > 1 else []
    forms = set()
    for one in (value, *(line for line in lines if len(line) >= PART)):
        inside = repr(one)[1:-1]
        data = one.encode("utf-8", "surrogateescape")
        forms |= {one, inside, ascii(one)[1:-1], inside.replace("'", "\\'"), repr(inside)[1:-1]}
        forms |= {json.dumps(one)[1:-1], json.dumps(one, ensure_ascii=False)[1:-1], repr(data)[2:-1]}
        forms |= {quote(data), quote(data, safe=""), quote_plus(data)}
    return forms


@lru_cache(maxsize=1024)
def _parts_of(value: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the forms of which a beginning, and those of which an end, tells something of the secret."""
    spellings = _spellings_of(value)
    forms = [form for form in _forms_of(value) if form in spellings and len(form) >= LONG_SECRET]
    return (
        tuple(form for form in forms if _tells(form[:PART])),
        tuple(form for form in forms if _tells(form[-PART:])),
    )


def _tells(part: str) -> bool:
    """Whether few texts begin or end with a part. Many begin with ``https://`` or ``/home/me``."""
    return not any(sign in part for sign in "/\\ \n")


def _mask_parts(text: str, value: str, shown: str) -> str:
    begins, ends = _parts_of(value)
    for form in begins:
        # Of ``password=…`` the name is shown. Alone, it tells nothing: it may be the key of a config.
        told = next((at for at, pair in enumerate(zip(form, shown, strict=False)) if len({*pair}) > 1), 0)
        at = text.find(form[:PART])
        while at >= 0:
            length = PART
            while length < len(form) and text[at + length : at + length + 1] == form[length]:
                length += 1
            if length > told:
                text = text[:at] + shown + text[at + length :]
                length = len(shown)
            at = text.find(form[:PART], at + length)
    for form in ends:
        at = text.find(form[-PART:])
        while at >= 0:
            begin, length = at, PART
            while begin and length < len(form) and text[begin - 1] == form[-length - 1]:
                begin, length = begin - 1, length + 1
            text = text[:begin] + shown + text[at + PART :]
            at = text.find(form[-PART:], begin + len(shown))
    return text
