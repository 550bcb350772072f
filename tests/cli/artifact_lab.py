"""An archive with artifacts, folders and lineage, for the tests of commands and of what they draw."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from exptrack import Archive
from tests.cli.calls import call


class Lab:
    """An archive with a run that stored a bit of everything, and one that used it."""

    def __init__(self, folder: Path) -> None:
        self.db = folder / "lab.db"
        tree = folder / "tree"
        (tree / "empty").mkdir(parents=True)
        (tree / "train.csv").write_text("x\n1\n")
        (tree / "run.sh").write_text("true\n")
        (tree / "run.sh").chmod(0o755)
        with Archive(self.db) as archive:
            with archive.start_run(name="train") as run:
                for step in range(12):
                    run.log({"val_loss": abs(step - 6)}, step)
                    run.log_text("samples/text", f"sample {step}\n", step)
                run.artifacts.register_data("model.bin", bytes(range(256)) * 40, {"epochs": 12})
                run.artifacts.register_dir("data", tree)
            with archive.start_run(name="evaluate") as user:
                user.use_artifact("model.bin")
                user.log_table("scores", {"acc": [0.5]})
        self.run, self.user = run.run_id, user.run_id

    def call(self, *words: str, **options: Any) -> Any:
        return call(self.db, *words, **options)

    def json(self, *words: str) -> Any:
        result = self.call(*words, "--json")
        assert result.exit_code == 0, result.stderr
        return json.loads(result.stdout)
