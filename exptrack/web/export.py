"""Write the page of an archive as one file that opens by a double click, without a server and a network.

The file has the modules of the page, SQLite as WebAssembly, and a packed copy of the archive. A larger archive
stays outside: the page then asks for it. The browser lets the page reach nothing else.

Invariant: what comes from the archive is base64 or escaped text in this file, never markup or script.
"""

from __future__ import annotations

import base64
import gzip
import html
import json
import os
import re
import secrets
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from exptrack import Archive, ExportError, NotFoundError, __version__
from exptrack.new_files import DRAFT_PREFIX, write_new_file
from exptrack.web.export_modules import BOOT, STATIC, read_modules, read_worker

INSIDE_BYTES = 64 * 1024 * 1024  # of a packed archive; a browser unpacks as much in about a second
NONCE_BYTES = 16
LEVEL = 6
SHELL = "index.html"
LINKED_STYLE = re.compile(r'<link rel="stylesheet" href="/static/([^"]+)">')
IMPORTED_STYLE = re.compile(r'^@import "([^"]+)";$', re.M)
# Only scripts and styles with the nonce run, and the modules that they import. No address can be asked.
CSP = (
    "default-src 'none'; script-src 'nonce-{nonce}' 'wasm-unsafe-eval'; style-src 'nonce-{nonce}';"
    " img-src data: blob:; worker-src blob:; base-uri 'none'; form-action 'none'"
)
DOCUMENT = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{csp}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="exptrack {version}">
<title>{name} · exptrack</title>
<link rel="icon" type="image/svg+xml" href="{icon}">
<style nonce="{nonce}">
{styles}
</style>
</head>
<body>
<div id="app">Opening {name}…</div>
<noscript>This page needs JavaScript.</noscript>
{parts}
<script nonce="{nonce}">
{boot}
</script>
</body>
</html>
"""
PART = '<script type="application/octet-stream" id="exptrack-{name}">{content}</script>'


class PageReport(NamedTuple):
    """A page that was written: its size, that of the packed archive, and whether the archive is inside."""

    path: str
    file_bytes: int
    archive_bytes: int
    runs: int
    inside: bool


def write_page(
    archive: Archive,
    out: str,
    *,
    where: str | Iterable[str] | None = None,
    inside_bytes: int = INSIDE_BYTES,
    progress: Callable[[str, int, int], None] | None = None,
) -> PageReport:
    """Write the page of an archive to the new file `out`, or that of the runs that `where` admits.

    `where` is a filter, or several. Runs in the trash are left out. `progress` is called with a part, how much
    of it is done and how much there is.

    Raises:
        NotFoundError: no run matches the filter.
        ExportError: `out` exists, or cannot be written.
        VerificationError: the archive is damaged.
    """
    _require_new(out)
    folder = os.path.dirname(os.path.abspath(out))
    try:
        with tempfile.TemporaryDirectory(prefix=DRAFT_PREFIX, dir=folder) as drafts:
            packed, runs = _pack(archive, Path(drafts), where, progress)
            size = packed.stat().st_size
            content = packed.read_bytes() if size <= inside_bytes else None
        text = _compose(archive, content, size)
        write_new_file(out, text)
    except FileExistsError:
        _require_new(out)
        raise
    except OSError as error:
        raise ExportError(f"cannot write {out}: {error.strerror or error}", path=out) from error
    return PageReport(out, len(text), size, runs, content is not None)


def _require_new(out: str) -> None:
    if os.path.lexists(out):
        raise ExportError(f"cannot write {out}: it exists; choose another name", path=out)


def _pack(
    archive: Archive,
    drafts: Path,
    where: str | Iterable[str] | None,
    progress: Callable[[str, int, int], None] | None,
) -> tuple[Path, int]:
    """Pack what the page is to show; return the file and the number of its runs."""
    packed, copy = drafts / "packed.db", drafts / "copy.db"
    if where is None and not archive.list_trash():
        runs = archive.pack(packed, snapshot=True, progress=progress).runs
        with Archive(packed, mode="ro") as made:
            if not made.list_trash():
                return packed, runs
        packed.unlink()  # a run went to the trash meanwhile
    if where is None:
        archive.backup(copy)
    elif not archive.extract(copy, where=where).runs:
        raise NotFoundError("no run matches, so no page was made; 'exptrack ls' takes the same filters")
    with Archive(copy, create=False) as other:
        other.empty_trash()
        return packed, other.pack(packed, snapshot=True, progress=progress).runs


def _compose(archive: Archive, content: bytes | None, size: int) -> bytes:
    """Return the text of the page."""
    name, nonce = os.path.basename(archive.path), secrets.token_urlsafe(NONCE_BYTES)
    icon = "data:image/svg+xml;base64," + _to_base64((STATIC / "favicon.svg").read_bytes())
    about = {
        "name": name,
        "exptrack": __version__,
        "format": archive.info().format,
        "bytes": size,
    }
    modules = {"modules": read_modules(), "worker": read_worker(), "about": about}
    parts = {
        "modules": json.dumps(modules).encode("ascii"),
        "sqlite": (STATIC / "vendor" / "sqlite3.wasm").read_bytes(),
    }
    if content is not None:
        parts["archive"] = content
    shown = html.escape("".join(c if c.isprintable() else "\ufffd" for c in name))
    text = DOCUMENT.format(
        csp=CSP.format(nonce=nonce),
        nonce=nonce,
        version=html.escape(__version__),
        name=shown,
        icon=icon,
        styles=_read_styles(),
        parts="\n".join(PART.format(name=part, content=_pack_part(held)) for part, held in parts.items()),
        boot=(STATIC / BOOT).read_text(encoding="utf-8"),
    )
    return text.encode("utf-8", "replace")


def _read_styles() -> str:
    """Return the style sheets of the shell, in its order, with those that they import."""
    shell = (STATIC / SHELL).read_text(encoding="utf-8")
    return "\n".join(_read_style(STATIC / path) for path in LINKED_STYLE.findall(shell))


def _read_style(file: Path) -> str:
    text = file.read_text(encoding="utf-8")
    return IMPORTED_STYLE.sub(lambda found: _read_style(file.parent / found[1]), text)


def _pack_part(content: bytes) -> str:
    return _to_base64(gzip.compress(content, LEVEL, mtime=0))


def _to_base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
