"""Know the tools of Linux that some kinds of faults need, and which of them this machine lacks.

A kind that lacks its tool does not apply. Its tests are not collected, pytest says so in its summary, and
``.ci/run`` fails on a Linux machine that lacks a tool.
"""

from __future__ import annotations

import os
import shutil
import sys

TOOL_OF = {
    "clocks": "faketime",
    "merge_kills": "strace",
    "packing": "strace",
    "system_calls": "strace",
}  # Debian packages of the same name have them
ONLY_ON_LINUX = {
    "clocks",
    "files",
    "merge_kills",
    "packing",
    "system_calls",
}  # files: locks of file descriptions
ONLY_ON_POSIX = {"forks", "signals", "stopped", "sweeps"}


def missing_tool(kind: str) -> str:
    """Return what a kind of faults needs and this machine lacks; nothing if it lacks nothing."""
    if kind in ONLY_ON_LINUX and sys.platform != "linux":
        return "Linux"
    if kind in ONLY_ON_POSIX and os.name != "posix":
        return "POSIX"
    tool = TOOL_OF.get(kind, "")
    return "" if not tool or shutil.which(tool) else tool


def tests_that_do_not_apply() -> dict[str, str]:
    """Return the test files of kinds that do not apply to this machine, each with what they need."""
    kinds = sorted({*TOOL_OF, *ONLY_ON_LINUX, *ONLY_ON_POSIX})
    return {f"test_{kind}.py": missing for kind in kinds if (missing := missing_tool(kind))}
