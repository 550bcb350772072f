"""Ids that sort by the start of their runs, and the fingerprint of an experiment."""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Mapping

from exptrack.config.exp_config import ExpConfig
from exptrack.config.tree import sha256_text

_ID_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no i, l, o, u
_ID_TIME_CHARS, _ID_CHANCE_CHARS = 9, 7
_id_lock = threading.Lock()
_last_id_ms = 0


def _base32(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 32)
        digits.append(_ID_ALPHABET[digit])
    return "".join(reversed(digits))


def _run_id(milliseconds: int) -> str:
    chance = secrets.randbits(5 * _ID_CHANCE_CHARS)
    return _base32(milliseconds, _ID_TIME_CHARS) + _base32(chance, _ID_CHANCE_CHARS)


def new_run_id() -> str:
    """A new id: milliseconds since 1970, then 35 bits of chance, in base 32. Later ids sort later."""
    global _last_id_ms
    with _id_lock:
        # Never twice in one process, and forward even when the clock goes back.
        _last_id_ms = max(time.time_ns() // 1_000_000, _last_id_ms + 1)
        milliseconds = _last_id_ms
    return _run_id(milliseconds)


def fingerprint_of(config: ExpConfig, code_digest: str, data: Mapping[str, str]) -> str:
    """SHA-256 (hex) naming an experiment: its config, its code and the data it declares."""
    parts = [config.hash(), code_digest, dict(sorted(data.items()))]
    return sha256_text(json.dumps(parts, separators=(",", ":"), ensure_ascii=False))
