"""Tell what exptrack finds here: versions, packages, the archive, and what its file system can do."""

from __future__ import annotations

import os
import platform
import re
import sys
from importlib import metadata
from typing import NamedTuple

from exptrack.archive.archive import Archive
from exptrack.capture.redaction import remove_secrets
from exptrack.database.failures import SQLITE_VERSION
from exptrack.database.folder_checks import FolderCheck, check_folder
from exptrack.default_file import SPOOL_VARIABLE, describe_missing, find_default_file
from exptrack.errors import ExptrackError
from exptrack.plain import read_path
from exptrack.shown import shown

DISTRIBUTION = "exptrack-archive"
PREFIX = "EXPTRACK_"
FOR_DEVELOPERS = frozenset(["bench", "docs", "test"])
# A line of the metadata: the package, and the extra that needs it.
_NEED = r"([\w.-]+)(?:[^;]*;.*\bextra == ['\"]([\w-]+)['\"])?"


@shown
class InstalledPackage(NamedTuple):
    """A package that exptrack uses, its version if it is installed, and the extra that installs it, or ""."""

    name: str
    version: str | None
    extra: str


@shown
class Diagnosis(NamedTuple):
    """What a report of a fault needs.

    `variables` are those of the environment that exptrack reads, without secrets. `checks` say what the folder
    of the archive was found fit for. `archive` is the path of the file, and `contents` what it holds, or why
    it cannot be read.
    """

    version: str
    python: str
    sqlite: str
    platform: str
    packages: tuple[InstalledPackage, ...]
    variables: dict[str, str]
    archive: str
    contents: str
    checks: tuple[FolderCheck, ...]

    @property
    def ok(self) -> bool:
        """Whether every check has passed."""
        return all(check.passed for check in self.checks)


def diagnose(path: str | os.PathLike[str] | None = None) -> Diagnosis:
    """Find out what a report of a fault needs; `path` is an archive, the default archive if it is not given.

    The archive is opened for reading, and none is made. The checks use files of their own in its folder, or in
    that of the spool if one is set, and remove them.

    Raises:
        InvalidTypeError: `path` is no path.
    """
    from exptrack import __version__

    place = os.path.abspath(find_default_file() if path is None else read_path(path))
    spool = os.environ.get(SPOOL_VARIABLE) if path is None else None
    return Diagnosis(
        version=__version__,
        python=f"{platform.python_implementation()} {platform.python_version()} ({sys.executable})",
        sqlite=SQLITE_VERSION,
        platform=platform.platform(),
        packages=tuple(_list_packages()),
        variables={
            name: remove_secrets(value) for name, value in sorted(os.environ.items()) if name.startswith(PREFIX)
        },
        archive=place,
        contents=_describe_contents(place, path is None),
        checks=tuple(check_folder(spool or os.path.dirname(place))),
    )


def _list_packages() -> list[InstalledPackage]:
    """Return what the metadata of exptrack says it needs, what it always needs first."""
    try:
        needs = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:  # it runs from a folder of sources
        return []
    found: set[InstalledPackage] = set()
    for need in needs:
        match = re.match(_NEED, need)
        name, extra = match.group(1, 2) if match is not None else (need, None)
        if extra not in FOR_DEVELOPERS and name != DISTRIBUTION:
            found.add(InstalledPackage(name, _find_version(name), extra or ""))
    return sorted(found, key=lambda package: (package.extra, package.name))


def _find_version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _describe_contents(place: str, is_default: bool) -> str:
    if not os.path.lexists(place):
        return describe_missing(place) if is_default else "there is no such file"
    try:
        with Archive(place, mode="ro") as archive:
            info = archive.info()
    except ExptrackError as error:
        return f"cannot be read: {error}"
    waiting = "".join(f"; {one}" for one in info.waiting)
    return f"format {info.format}, {sum(info.runs.values()):,} runs, {info.file_bytes:,} bytes{waiting}"
