"""Store the figures that matplotlib saves.

Invariants: the figure is saved first, as ever. A file is stored as it was written; the same content under the
same name is stored once. A figure that is saved into a buffer is read from it, and the buffer stays as it is.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from functools import wraps
from types import ModuleType
from typing import Any

from exptrack.artifacts.registration import Registration
from exptrack.artifacts.store import register_content
from exptrack.capture.paths import relative_path
from exptrack.scripts.recorder import Recorder

MOST_BYTES = 64 << 20  # a larger file is no figure to look at
BUFFERED = "figure"
KIND = "image"


def install(module: ModuleType, recorder: Recorder) -> None:
    """Wrap the method that saves a figure; ``pyplot.savefig`` calls it too."""
    figure_class: Any = module.__dict__["Figure"]
    original = figure_class.savefig
    stored: set[tuple[str, bytes]] = set()

    @wraps(original)
    def savefig(self: Any, fname: Any, *args: Any, **kwargs: Any) -> Any:
        begin = _tell(fname)
        with recorder.alone("figures") as is_alone:
            result = original(self, fname, *args, **kwargs)
        if is_alone:
            with recorder.guarding("figures"):
                found = _find_file(fname, kwargs) if begin is None else _read_buffer(fname, begin)
                for name, content in found:
                    key = (name, hashlib.sha256(content).digest())
                    if key not in stored:
                        _store(recorder, name, content)
                        stored.add(key)
        return result

    figure_class.savefig = savefig


def _store(recorder: Recorder, name: str, content: bytes) -> None:
    from mimetypes import guess_type

    media_type = guess_type(name)[0] or _guess_by_content(content)
    said = Registration(name, KIND, {}, False, media_type)
    register_content(recorder.run.artifacts, said, content)


def _guess_by_content(content: bytes) -> str | None:
    beginnings = {b"\x89PNG": "image/png", b"%PDF": "application/pdf", b"\xff\xd8": "image/jpeg"}
    found = next((kind for begin, kind in beginnings.items() if content.startswith(begin)), None)
    return "image/svg+xml" if found is None and b"<svg" in content[:1000] else found


def _tell(target: Any) -> int | None:
    """Return the place in a buffer at which a figure begins; None for a path, or for what cannot be read."""
    if isinstance(target, (str, bytes, os.PathLike)) or not hasattr(target, "write"):
        return None
    try:
        return int(target.tell()) if target.seekable() and target.readable() else -1
    except (AttributeError, OSError, ValueError):
        return -1


def _read_buffer(buffer: Any, begin: int) -> Iterator[tuple[str, bytes]]:
    """Yield what was written to a buffer; nothing if it can only be written, like a socket."""
    if begin < 0:
        return
    end = buffer.tell()
    if not 0 < end - begin <= MOST_BYTES:
        return
    buffer.seek(begin)
    content = buffer.read(end - begin)
    buffer.seek(end)
    if isinstance(content, bytes):
        yield BUFFERED, content


def _find_file(target: Any, kwargs: dict[str, Any]) -> Iterator[tuple[str, bytes]]:
    """Yield the file that was written. matplotlib adds its format to a name without an ending."""
    path = os.fsdecode(target) if isinstance(target, (str, bytes, os.PathLike)) else ""
    given = kwargs.get("format")
    for place in (path, *([f"{path.rstrip('.')}.{given}"] if given else []), f"{path.rstrip('.')}.png"):
        if path and os.path.isfile(place):
            if os.path.getsize(place) <= MOST_BYTES:
                with open(place, "rb") as file:
                    yield relative_path(os.path.abspath(place)).replace(os.sep, "/"), file.read()
            return
