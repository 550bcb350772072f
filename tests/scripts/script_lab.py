"""A folder with scripts that ``exptrack run`` runs, and the archive that it records them in."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from exptrack import Archive, ConfigSource, RunDetail

EXPTRACK = [sys.executable, "-m", "exptrack"]
PATIENCE_S = 60


class ScriptLab:
    """Runs scripts in a folder as users do, and reads what was recorded of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.db = folder / "lab.db"

    def write(self, name: str, text: str) -> Path:
        """Write a file below the folder."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def command(self, *words: str) -> list[str]:
        """Return the command line of ``exptrack run`` with these words."""
        return [*EXPTRACK, "--db", str(self.db), "run", *words]

    def environ(self, more: Mapping[str, str]) -> dict[str, str]:
        """Return the environment of a run: errors of hooks are errors."""
        root = str(Path(__file__).parents[2])
        return {**os.environ, "EXPTRACK_STRICT": "1", "PYTHONPATH": root, **more}

    def run(
        self, *words: str, cwd: Path | None = None, environ: Mapping[str, str] | None = None, **options: Any
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a script or command to its end. By default it has no input."""
        options.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.run(
            self.command(*words),
            cwd=cwd or self.folder,
            env=self.environ(environ or {}),
            capture_output=True,
            timeout=PATIENCE_S,
            **options,
        )

    def plain(self, *words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[bytes]:
        """Run Python alone with these words."""
        return subprocess.run(
            [sys.executable, *words],
            cwd=cwd or self.folder,
            env=self.environ({}),
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=PATIENCE_S,
        )

    def start(self, *words: str, **options: Any) -> subprocess.Popen[bytes]:
        """Start a script or command."""
        return subprocess.Popen(
            self.command(*words),
            cwd=self.folder,
            env=self.environ(options.pop("environ", {})),
            stdout=options.pop("stdout", subprocess.PIPE),
            stderr=options.pop("stderr", subprocess.PIPE),
            stdin=options.pop("stdin", subprocess.DEVNULL),
            **options,
        )

    def details(self) -> list[RunDetail]:
        """Return all runs, the oldest first, of an archive that is sound."""
        with Archive(self.db) as archive:
            assert archive.verify().ok
            return [archive.show_run(run.run_id) for run in reversed(archive.list_runs())]

    def only(self) -> RunDetail:
        """Return the one run."""
        (found,) = self.details()
        return found

    def text(self, name: str, number: int = 0) -> str:
        """Return an artifact of a run as text; "" if it has none of the name."""
        with Archive(self.db) as archive:
            run = archive.list_runs()[::-1][number]
            found = archive.artifacts(run.run_id).get_blob(name)
            assert not isinstance(found, bytes)
            return found or ""

    def config(self, number: int = 0) -> dict[str, Any]:
        """Return the config of a run."""
        return self.details()[number].config

    def sources(self, number: int = 0) -> dict[str, ConfigSource]:
        """Return the source of each value of a run's config."""
        return self.details()[number].config_sources
