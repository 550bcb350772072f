"""Find and start Chromium, or say how to install it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Playwright

VARIABLE = "CHROMIUM"
NAMES = ("chromium", "google-chrome", "google-chrome-stable", "chrome", "chromium-browser", "msedge")
# Where Windows and macOS keep browsers; they put none on the path.
FOLDERS = ("ProgramFiles", "ProgramFiles(x86)", "LocalAppData")
PATHS = (r"Google\Chrome\Application\chrome.exe", r"Microsoft\Edge\Application\msedge.exe")
APPLICATIONS = ("Google Chrome", "Chromium", "Microsoft Edge")
ADVICE = (
    "the tests of the page need Chromium or Chrome, and none is here; install it by 'apt-get install chromium'"
    " or 'python -m playwright install chromium', or name its file in CHROMIUM"
)


def _candidates() -> Iterator[str | None]:
    yield from map(shutil.which, NAMES)
    for folder in filter(None, map(os.environ.get, FOLDERS)):
        yield from (os.path.join(folder, path) for path in PATHS)
    yield from (f"/Applications/{name}.app/Contents/MacOS/{name}" for name in APPLICATIONS)


def find_installed() -> str | None:
    """Return the file of the browser that CHROMIUM names, or else of the first one on this machine."""
    named = os.environ.get(VARIABLE)
    for path in [named] if named else _candidates():
        if path and os.path.isfile(path):
            return path
    return None


def find_chromium(playwright: Playwright) -> str:
    """Return the file of the browser: an installed one, or the one that playwright downloaded.

    Raises:
        FileNotFoundError: there is none.
    """
    for path in (find_installed(), playwright.chromium.executable_path):
        if path and os.path.isfile(path):
            return path
    raise FileNotFoundError(ADVICE)


def start_chromium(playwright: Playwright) -> Browser:
    """Start the browser without a window. Its sandbox refuses to run as root."""
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0
    return playwright.chromium.launch(
        executable_path=find_chromium(playwright), chromium_sandbox=not is_root, args=["--disable-gpu"]
    )
