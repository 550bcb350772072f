"""A lab for scripts."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.scripts.script_lab import ScriptLab


@pytest.fixture
def lab(tmp_path: Path) -> ScriptLab:
    """A folder of its own, with an archive that is made by the first run."""
    return ScriptLab(tmp_path)
