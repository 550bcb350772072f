"""Archives of formats before the present one, written by the calls of today."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

from exptrack.database import migrations


@contextmanager
def making_format(version: int) -> Iterator[None]:
    """Let archives that are made or opened for writing in the block have this format."""
    older = migrations.migrations()[:version]
    with (
        patch.object(migrations, "migrations", lambda: older),
        patch.object(migrations, "latest_version", lambda: version),
    ):
        yield
