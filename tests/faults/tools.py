"""Know the tools of Linux that some kinds of faults need, and which of them this machine lacks.

A kind that lacks its tool does not apply. Its tests are not collected, pytest says so in its summary, and
``.ci/run`` fails on a Linux machine that lacks a tool.
"""

from __future__ import annotations

import shutil
import sys

TOOL_OF = {"system_calls": "strace"}  # a Debian package of the same name has it


def missing_tool(kind: str) -> str:
    """Return the tool that a kind of faults needs and this machine lacks; nothing if it lacks none."""
    tool = TOOL_OF.get(kind)
    if tool is None or (sys.platform == "linux" and shutil.which(tool)):
        return ""
    return tool if sys.platform == "linux" else f"Linux with {tool}"


def tests_that_do_not_apply() -> dict[str, str]:
    """Return the test files of kinds that lack their tool, each with that tool."""
    return {f"test_{kind}.py": missing for kind in TOOL_OF if (missing := missing_tool(kind))}
