"""Bytes, folders and versions that the tests of artifacts share."""

from __future__ import annotations

import random
from pathlib import Path

from exptrack import ArtifactStore

DATA = random.Random(4).randbytes(2_500_000)


def versions(store: ArtifactStore, name: str) -> list[int]:
    return [a.version for a in store.list_artifacts() if a.name == name]


def tree(folder: Path) -> dict[str, bytes | None]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


def made(folder: Path, files: dict[str, bytes | None]) -> Path:
    folder.mkdir()
    for path, content in files.items():
        place = folder / path
        if content is None:
            place.mkdir(parents=True, exist_ok=True)
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
    return folder
