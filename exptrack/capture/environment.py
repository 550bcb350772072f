"""Record the machine, the interpreter and the command line of a run.

Invariants: no secret, no absolute path and no user name is recorded. Environment variables come from an
allow-list, and every text has passed ``redaction`` and ``paths``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache

from exptrack.capture.paths import relative_path, shorten_paths, working_folder
from exptrack.capture.redaction import escape_surrogates, know_secrets_of_command, remove_secrets_and_paths
from exptrack.known_secrets import mask_secrets
from exptrack.named_tuples import NamedTuple
from exptrack.process import node_name

VARIABLES = (
    "CUDA_VISIBLE_DEVICES",
    "HIP_VISIBLE_DEVICES",
    "LOCAL_RANK",
    "MKL_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "PYTHONHASHSEED",
    "RANK",
    "SLURM_ARRAY_TASK_ID",
    "SLURM_JOB_ID",
    "SLURM_NODEID",
    "SLURM_PROCID",
    "WORLD_SIZE",
)


class Environment(NamedTuple):
    """The machine, the interpreter and the call, without data of a user."""

    host: str
    python: str
    platform: str
    system: dict[str, str | int]
    command: list[str]
    variables: dict[str, str]


def capture_environment() -> Environment:
    """Return the machine, the interpreter, the command line and the variables of this process."""
    system = _system()
    return Environment(
        host=escape_surrogates(node_name()),
        python=_python(),
        platform=f"{system['os']}-{system['release']}-{system['machine']}",
        system=dict(system),
        command=[mask_secrets(word) for word in _command(_arguments(), working_folder())],
        variables={
            name: remove_secrets_and_paths(os.environ[name]) for name in VARIABLES if name in os.environ
        },
    )


def hide_arguments() -> None:
    """Hide the secrets among the arguments of this process in every text from now on."""
    _command(_arguments(), working_folder())


def _arguments() -> tuple[str, ...]:
    return tuple(map(str, getattr(sys, "argv", ())))


@lru_cache(maxsize=4)
def _command(argv: Sequence[str], _working: str) -> tuple[str, ...]:
    """Remove secrets and paths of this machine from a command line.

    `_working` is not used. It is part of the cache's key, because paths become relative to the working folder.
    """
    words = know_secrets_of_command(argv)
    return tuple(
        escape_surrogates(shorten_paths(word) if position else relative_path(word))
        for position, word in enumerate(words)
    )


@lru_cache(maxsize=1)
def _python() -> str:
    version = ".".join(map(str, sys.version_info[:3]))
    name = sys.implementation.name
    return f"{ {'cpython': 'CPython', 'pypy': 'PyPy'}.get(name, name) } {version}"


@lru_cache(maxsize=1)
def _system() -> dict[str, str | int]:
    if hasattr(os, "uname"):
        name = os.uname()
        facts: dict[str, str | int] = {"os": name.sysname, "release": name.release, "machine": name.machine}
    else:
        facts = _system_portably()
    facts["cpu_count"] = os.cpu_count() or 0
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        with suppress(OSError, ValueError):  # this system does not tell
            facts["memory_bytes"] = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return facts


def _system_portably() -> dict[str, str | int]:
    import platform

    return {"os": platform.system(), "release": platform.release(), "machine": platform.machine()}
