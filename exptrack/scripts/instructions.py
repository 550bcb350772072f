"""What the supervisor tells the process that it starts, through the environment."""

from __future__ import annotations

import json
import os
from collections.abc import MutableMapping
from typing import NamedTuple, Self

VARIABLE = "EXPTRACK_INSTRUCTIONS"
# Holds the `sitecustomize` that every Python below a command imports.
COMMAND_FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "site")
# Each hook by the name of its switch, with the modules that it waits for and the file that has it.
HOOKS: dict[str, tuple[tuple[str, ...], str]] = {
    "argparse": (("argparse",), "hook_argparse"),
    "click": (("click.core",), "hook_click"),
    "absl": (("absl.flags._flagvalues",), "hook_absl"),
    "fire": (("fire.core",), "hook_fire"),
    "tyro": (("tyro._cli",), "hook_tyro"),
    "hydra": (("hydra.core.utils",), "hook_hydra"),
    "tensorboard": (("torch.utils.tensorboard.writer", "tensorboardX.writer"), "hook_tensorboard"),
    "figures": (("matplotlib.figure",), "hook_figures"),
}


class Instructions(NamedTuple):
    """What to begin a run with, the hooks to set, and the file that tells the supervisor of the run.

    `options` are those of the interpreter; `is_module` says that the first word names a module.
    """

    name: str | None
    group: str | None
    tags: list[str]
    note: str | None
    hooks: list[str]
    is_module: bool
    options: list[str]
    report: str

    def to_environment(self) -> dict[str, str]:
        """Return the variable that tells them."""
        return {VARIABLE: json.dumps(self._asdict())}

    @classmethod
    def from_environment(cls, environ: MutableMapping[str, str]) -> Self:
        """Read them from the environment of this process."""
        return cls(**json.loads(environ[VARIABLE]))
