"""Offer hostile archives to every way of opening a source, in one process: ``python -m … FOLDER TARGET``.

Each folder in FOLDER holds a ``lab.db``. TARGET is an archive to merge into; each gets a copy of it. Prints a
line of JSON for each: what the calls raised or reported, and what became of the target.
"""

from __future__ import annotations

import json
import shutil
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from exptrack import Archive, ExptrackError
from exptrack.portable.foreign import look_at_source, open_source

SMALL = "SELECT run_id, checksum FROM run"


def look(path: Path) -> str:
    """Read a small table in place."""
    with look_at_source(path) as looked:
        return f"{looked.fold(SMALL, (), lambda rows: sum(1 for _ in rows))} runs"


def read(path: Path) -> str:
    """Read a small table and the journals of a private copy."""
    with open_source(path) as source:
        counts = [one.count_points() for one in source.journals]
        return f"{len(source.connection.all(SMALL))} runs, {sum(sum(one.values()) for one in counts)} points"


def merge(path: Path, target: Path) -> dict[str, Any]:
    """Merge into the target; return what the report says, and whether the target is as it was."""
    before = target.read_bytes()
    result: dict[str, Any] = {"problems": []}
    with Archive(target) as archive:
        try:
            (merged,) = archive.merge(path).files
        except ExptrackError as error:
            result["error"] = type(error).__name__
        else:
            result |= {"new": merged.new, "left_out": {one.what: one.reason for one in merged.left_out}}
    is_same = target.read_bytes() == before
    if not is_same:
        with Archive(target, mode="ro") as archive:
            report = archive.verify()
        result["problems"] = [f"{one.part} {one.where}: {one.message}" for one in report.problems]
    return result | {"same": is_same}


def measure_peak() -> int:
    """Return the most memory that this process has had, in MiB; that of getrusage begins with its parent's."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return 0  # this system does not tell
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


def attempt(work: Callable[[], Any]) -> Any:
    """Return what `work` returns, or the error of exptrack that it raises; anything else is a mistake."""
    try:
        return work()
    except ExptrackError as error:
        return {"error": type(error).__name__, "message": str(error)}
    except BaseException:
        return {"mistake": traceback.format_exc()}


def main() -> None:
    """Offer each archive."""
    top, target = map(Path, sys.argv[1:])
    # Imported before memory is measured.
    with Archive(target) as archive:
        archive.verify()
    for folder in sorted(one for one in top.iterdir() if one.is_dir()):
        own = folder.parent / "target.db"
        shutil.copyfile(target, own)
        path = folder / "lab.db"
        result = {
            "name": folder.name,
            "look": attempt(lambda path=path: look(path)),
            "read": attempt(lambda path=path: read(path)),
            "merge": attempt(lambda path=path, own=own: merge(path, own)),
            "peak": measure_peak(),
        }
        own.unlink()
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
