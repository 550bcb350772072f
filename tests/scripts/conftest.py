"""A lab for scripts."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scripts.script_lab import ScriptLab


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[ScriptLab]:
    """A folder of its own, with an archive that is made by the first run.

    Its scripts hear of a terminal that closes, also below ``nohup``, which ignores that for all that it starts.
    """
    if not hasattr(signal, "SIGHUP"):
        yield ScriptLab(tmp_path)
        return
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield ScriptLab(tmp_path)
    signal.signal(signal.SIGHUP, before)
