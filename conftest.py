"""Every test works in a folder of its own; none reads or leaves an archive elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from exptrack import Archive


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, doctest_namespace: dict[str, object]) -> None:
    """The working folder is empty, the default archive is in it, and doctests know `tmp_path`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EXPTRACK_DB", raising=False)
    import exptrack

    doctest_namespace["tmp_path"] = tmp_path
    for name in ("ExpConfig", "RunFilter", "merge_configs"):
        doctest_namespace[name] = getattr(exptrack, name)


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    """A new archive that must verify clean when the test is over."""
    with Archive(tmp_path / "lab.db") as opened:
        yield opened
        assert opened.verify().problems == ()
