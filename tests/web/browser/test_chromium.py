"""The browser is found, and one that is missing is told and not skipped."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.web.browser import chromium


def test_the_browser_is_a_chromium_that_draws(browser: Browser) -> None:
    assert browser.browser_type.name == "chromium"
    page = browser.new_page()
    assert page.evaluate("() => document.createElement('canvas').getContext('2d').measureText('m').width") > 0
    page.close()


def test_a_machine_without_browsers_fails_with_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(chromium.VARIABLE, raising=False)
    monkeypatch.setattr(chromium, "_candidates", lambda: iter([None, str(tmp_path / "chrome")]))
    nothing: Any = SimpleNamespace(chromium=SimpleNamespace(executable_path=str(tmp_path / "chrome")))
    with pytest.raises(FileNotFoundError, match="apt-get install chromium"):
        chromium.find_chromium(nothing)


def test_the_variable_names_the_browser(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(chromium.VARIABLE, sys.executable)
    assert chromium.find_installed() == sys.executable
