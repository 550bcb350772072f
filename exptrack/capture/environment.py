"""Environment."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from exptrack.capture.paths import relative_path, shorten_paths, working_folder
from exptrack.capture.redaction import _storable, recordable, redact_command
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
    """The machine and the call, without anything that belongs to a user."""

    host: str
    python: str
    platform: str
    system: dict[str, str | int]
    command: list[str]
    variables: dict[str, str]


def capture_environment() -> Environment:
    """What machine and interpreter this is, and how it was called."""
    system = _system()
    return Environment(
        host=_storable(node_name()),
        python=_python(),
        platform=f"{system['os']}-{system['release']}-{system['machine']}",
        system=dict(system),
        command=list(_command(tuple(map(str, getattr(sys, "argv", ()))), working_folder())),
        variables={name: recordable(os.environ[name]) for name in VARIABLES if name in os.environ},
    )


@lru_cache(maxsize=4)
def _command(argv: Sequence[str], _working: str) -> tuple[str, ...]:
    """A command line without secrets and paths of the machine; the program is named as a script is."""
    words = redact_command(argv)
    return tuple(
        _storable(shorten_paths(word) if position else relative_path(word))
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
        facts["memory_bytes"] = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return facts


def _system_portably() -> dict[str, str | int]:
    import platform

    return {"os": platform.system(), "release": platform.release(), "machine": platform.machine()}
