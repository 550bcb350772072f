"""Open views in a browser, wait until they are at rest, and note every complaint."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Request

from exptrack.web.security import hash_token
from exptrack.web.server import PageServer

AXE = (Path(__file__).parent / "axe" / "axe.min.js").read_text(encoding="utf-8")
# A login of the test itself, by another token, is kept.
KEEP_TOKEN = """
if (location.protocol === "http:" && !localStorage.getItem("exptrack.token"))
    localStorage.setItem("exptrack.token", "TOKEN");
"""
QUIET_S = 0.05
PATIENCE_S = 20.0
# What a browser reports of an answer that is an error; the test that provokes it allows it.
REFUSED = r"Failed to load resource: the server responded with a status of (400|404|409)"
# The importance of keys needs several completed runs; the view says so in words.
TOO_FEW = r"the server responded with a status of 400 .*/api/(importance|sweep)"
LOST = r"net::ERR_|Failed to fetch|the server does not answer"


class Visit:
    """A window of the browser on one page server, with all that went wrong in it."""

    def __init__(self, context: BrowserContext, server: PageServer) -> None:
        self.context = context
        self.server = server
        self.complaints: list[str] = []
        self.dialogs: list[str] = []
        self._allowed: list[str] = []
        self._open: set[Request] = set()
        self._last = 0.0
        # As a login leaves them: the cookie, and the token in the storage of this origin.
        cookie = {"name": f"exptrack-{server.port}", "value": hash_token(server.token), "url": server.origin}
        context.add_cookies([{**cookie, "httpOnly": True}])  # type: ignore[typeddict-item]
        context.add_init_script(KEEP_TOKEN.replace("TOKEN", server.token))
        context.on("request", self._note_request)
        for event in ("requestfinished", "requestfailed"):
            context.on(event, self._note_end)
        context.on("console", self._note_console)
        context.on("weberror", lambda error: self.complaints.append(f"error: {_describe(error.error)}"))
        context.on("dialog", self._note_dialog)
        self.page: Page = context.new_page()

    def _note_request(self, request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme not in ("data", "blob") and address.netloc != urlsplit(self.server.origin).netloc:
            self.complaints.append(f"foreign: {request.url}")
        if request.resource_type != "eventsource" and address.path != "/events":
            self._open.add(request)
        self._last = time.monotonic()

    def _note_end(self, request: Request) -> None:
        self._open.discard(request)
        self._last = time.monotonic()

    def _note_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning", "assert"):
            self.complaints.append(f"console: {message.text} ({message.location.get('url', '')})")

    def _note_dialog(self, dialog: Any) -> None:
        self.dialogs.append(dialog.message)
        self.complaints.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def allow(self, *patterns: str) -> None:
        """Take complaints that match a pattern as a part of this test."""
        self._allowed += patterns

    def find_problems(self) -> list[str]:
        """Return the complaints that the test did not allow."""
        return [one for one in self.complaints if not any(re.search(this, one) for this in self._allowed)]

    def open(self, path: str, *shown: str) -> Page:
        """Open a view by its address alone, and wait until it shows each selector and is at rest."""
        self.page.goto(self.server.origin + path)
        for selector in shown:
            self.page.locator(selector).first.wait_for()
        self.settle()
        return self.page

    def settle(self) -> None:
        """Wait until no request is under way and the view is drawn."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            self.page.wait_for_timeout(15)
            if not self._open and time.monotonic() - self._last > QUIET_S and not self._is_busy():
                return
        raise AssertionError(f"the view is not at rest: {[one.url for one in self._open]}")

    def _is_busy(self) -> bool:
        drawn: bool = self.page.evaluate(
            "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() =>"
            " done(document.querySelector('[aria-busy=true]') !== null))))"
        )
        return drawn

    def wait_until(self, script: str, argument: object = None, patience_s: float = PATIENCE_S) -> Any:
        """Evaluate a script until what it returns is true; the policy of the page forbids wait_for_function."""
        end = time.monotonic() + patience_s
        while True:
            found = self.page.evaluate(script, argument)
            if found:
                return found
            if time.monotonic() > end:
                raise AssertionError(
                    f"this did not become true: {script}\n{self.page.inner_text('body')[:2000]}"
                )
            self.page.wait_for_timeout(20)

    def wait_to_be(self, expected: object, read: Callable[[], object]) -> None:
        """Read something until it is what is expected: a page may be drawn after the event that changes it."""
        end = time.monotonic() + PATIENCE_S
        while read() != expected and time.monotonic() < end:
            self.page.wait_for_timeout(20)
        assert read() == expected

    def find_barriers(self, within: str = "html") -> list[str]:
        """Return what axe finds serious or critical in the view that is shown, or in a part of it."""
        # Not all frames of a fade have the contrast of its end.
        self.page.evaluate("() => Promise.all(document.getAnimations().map((one) => one.finished))")
        if not self.page.evaluate("() => 'axe' in window"):
            self.page.evaluate(AXE)
        found = self.page.evaluate(
            "async (part) => (await axe.run(part, {resultTypes: ['violations']})).violations", within
        )
        return [
            f"{one['impact']} {one['id']}: {node['html'][:200]} {_shorten(node.get('any', ()))}"
            for one in found
            if one["impact"] in ("serious", "critical")
            for node in one["nodes"][:5]
        ]


def _shorten(checks: Sequence[Any]) -> str:
    return "; ".join(str(check.get("message", ""))[:200] for check in checks)


def _describe(error: Any) -> str:
    return str(getattr(error, "stack", None) or error)
