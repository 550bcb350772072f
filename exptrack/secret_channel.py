"""Tell the secrets of a child process to the sweep that started it, which stores what the child printed.

Invariants: the values go through a file that only this user reads, and that the sweep removes at its end. They
are encrypted. Only the environment of the children holds the key, so a file that a killed sweep leaves behind
tells nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

KEY_BYTES = NONCE_BYTES = 16


def tell_secret(channel: str, value: str, shown: str) -> None:
    """Append a secret to the channel that the environment of a child names as ``KEY:PATH``."""
    key, _colon, path = channel.partition(":")
    nonce = os.urandom(NONCE_BYTES)
    data = json.dumps([value, shown]).encode()
    line = nonce.hex() + _encrypt(data, key, nonce).hex() + "\n"
    # In a container, or once the sweep has ended, there is no such file, and no sweep that would read it.
    with suppress(OSError):
        file = os.open(path, os.O_WRONLY | os.O_APPEND)
        try:
            os.write(file, line.encode())
        finally:
            os.close(file)


class SecretChannel:
    """The end of a sweep: it makes the file, and knows the secrets that its children have told."""

    def __init__(self) -> None:
        self._key = os.urandom(KEY_BYTES).hex()
        self._folder = tempfile.mkdtemp(prefix="exptrack-")
        self._path = os.path.join(self._folder, "told")
        self._reading = threading.Lock()
        self._read = 0  # bytes
        # Kept open, so that it can be read also where no file can be opened or one was deleted.
        self._file = open(self._path, "x+b")  # noqa: SIM115
        self.variable = f"{self._key}:{self._path}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._file.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def listen(self) -> list[tuple[str, str]]:
        """Return each secret that was told since the last call, and what is shown for it."""
        with self._reading:
            if os.fstat(self._file.fileno()).st_size == self._read:
                return []
            self._file.seek(self._read)
            told = self._file.read()
            whole = told.rfind(b"\n") + 1
            self._read += whole
        facts = (self._decrypt(line) for line in told[:whole].splitlines())
        return [fact for fact in facts if fact is not None]

    def _decrypt(self, line: bytes) -> tuple[str, str] | None:
        """Return a secret and what is shown for it; None for a line that no child of this sweep wrote."""
        try:
            data = bytes.fromhex(line.decode())
            nonce, hidden = data[:NONCE_BYTES], data[NONCE_BYTES:]
            value, shown = json.loads(_encrypt(hidden, self._key, nonce))
        except ValueError:
            return None
        return (value, shown) if isinstance(value, str) and isinstance(shown, str) else None


def _encrypt(data: bytes, key: str, nonce: bytes) -> bytes:
    """Encrypt or decrypt by a stream that belongs to this key and nonce alone."""
    stream = hashlib.shake_256(key.encode() + nonce).digest(len(data))
    return bytes(one ^ other for one, other in zip(data, stream, strict=True))
