"""Make run ids, which sort by the start of their runs, and compute the fingerprint of an experiment.

Invariant: one process never makes the same id twice, and later ids sort later, also when the clock goes back.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from exptrack.config.exp_config import ExpConfig
from exptrack.config.tree import encode_canonical
from exptrack.digests import sha256
from exptrack.hashed_lists import encode_list

_ID_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no i, l, o, u
ID_TIME_CHARS, _ID_CHANCE_CHARS = 9, 7
EPOCH, LATEST_MS = datetime.fromtimestamp(0, UTC), 253_402_300_799_999  # up to the year 9999
_id_lock = threading.Lock()
_last_id_ms = 0


def new_run_id(*, after: str | None = None) -> str:
    """Return a new id that sorts after all earlier ones of this process, and after the id `after`."""
    global _last_id_ms
    beyond = 0 if after is None else _decode_base32(after[:ID_TIME_CHARS]) + 1
    with _id_lock:
        _last_id_ms = max(time.time_ns() // 1_000_000, _last_id_ms + 1)
        milliseconds = max(_last_id_ms, beyond)
    return make_run_id(milliseconds)


def make_run_id(milliseconds: int) -> str:
    """Return an id for a start: its milliseconds since 1970, then 35 random bits, in base 32."""
    chance = _take_bits(os.urandom(5 * _ID_CHANCE_CHARS // 8 + 1))
    return _encode_base32(milliseconds, ID_TIME_CHARS) + _encode_base32(chance, _ID_CHANCE_CHARS)


def derive_run_id(milliseconds: int, external_id: str) -> str:
    """Return the id that a start and an external id make: the same wherever the run is recorded."""
    return _encode_base32(milliseconds, ID_TIME_CHARS) + _digest_chars(external_id.encode("utf-8"))


def derive_fork_id(run_id: str, parting: str) -> str:
    """Return the id of the part of a run that went on by itself in a copy of its file.

    `parting` tells it from the other parts: the time of the session in which it parted from them.
    """
    return run_id[:ID_TIME_CHARS] + _digest_chars(encode_list((run_id, parting)))


def _digest_chars(said: bytes) -> str:
    return _encode_base32(_take_bits(sha256(said).digest()), _ID_CHANCE_CHARS)


def _take_bits(said: bytes) -> int:
    """Return the first bits, as many as the part of an id that is no time has."""
    return int.from_bytes(said, "big") >> (8 * len(said) - 5 * _ID_CHANCE_CHARS)


def _encode_base32(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 32)
        digits.append(_ID_ALPHABET[digit])
    return "".join(reversed(digits))


def _decode_base32(digits: str) -> int:
    number = 0
    for digit in digits:
        number = 32 * number + _ID_ALPHABET.index(digit)
    return number


def started_of(run_id: str) -> datetime:
    """Return the time in a run id: that of the run's start, or shortly after."""
    return EPOCH + timedelta(milliseconds=min(_decode_base32(run_id[:ID_TIME_CHARS]), LATEST_MS))


def compute_fingerprint(config: ExpConfig, code_digest: str, data: Mapping[str, str]) -> str:
    """Return the SHA-256 (hex) that names an experiment: its config, its code and the data it declares."""
    parts = encode_list((config.hash(), code_digest, encode_canonical(dict(data))))
    return sha256(parts).hexdigest()
