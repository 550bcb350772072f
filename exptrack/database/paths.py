"""Name the file of an archive, as text where that is enough.

Invariant: a run that nothing goes wrong with needs no ``pathlib``. It takes a third of the time of bare Python
to import, with what it imports itself.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

OF_URI = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-~/")


class Placed:
    """Something with the file of an archive: `file` is the text of `path`, and `home` that of `place`."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.file = self.home = os.fspath(path)

    @property
    def path(self) -> Path:
        from pathlib import Path

        return Path(self.file)

    @property
    def place(self) -> Path:
        from pathlib import Path

        return Path(self.home)

    @place.setter
    def place(self, place: str | os.PathLike[str]) -> None:
        self.home = os.fspath(place)


def file_uri(path: str) -> str:
    """Return the URI by which SQLite opens a file, as ``pathlib`` makes it."""
    if os.name != "posix":
        from pathlib import Path

        return Path(path).as_uri()
    return "file://" + "".join(chr(byte) if byte in OF_URI else f"%{byte:02X}" for byte in os.fsencode(path))
