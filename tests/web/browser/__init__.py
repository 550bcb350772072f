"""Tests of the page in a real browser.

``chromium.py`` finds and starts the browser, and ``archives.py`` makes what it shows. ``visits.py`` opens views
and notes every complaint of the browser. ``conftest.py`` makes fixtures of them. ``axe/`` is axe-core 4.14.1.
"""
