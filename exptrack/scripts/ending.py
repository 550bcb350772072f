"""Say how a run ends whose command has ended: by its exit code, or by the signal that killed it."""

from __future__ import annotations

from typing import NamedTuple

from exptrack.records import RunStatus
from exptrack.tracking.child_output import describe_end, find_signal, last_lines

# Of what arrives from outside. Other signals tell of a fault of the command.
FROM_OUTSIDE = {
    "SIGINT": "interrupted from the keyboard",
    "SIGTERM": "terminated by SIGTERM",
    "SIGHUP": "hung up: its terminal was closed (SIGHUP)",
    "SIGKILL": "killed by SIGKILL, perhaps because the machine was out of memory",
    "SIGUSR1": "ended by SIGUSR1",
    "SIGUSR2": "ended by SIGUSR2",
    "SIGXCPU": "stopped by its limit of processor time (SIGXCPU)",
}


class CommandEnd(NamedTuple):
    """Status and reason of a run, and the exit code or the name of the signal that led to them."""

    status: RunStatus
    reason: str | None
    exit_code: int | None
    signal: str | None


def describe_command_end(returncode: int, errors: str = "") -> CommandEnd:
    """Return how a run ends; `errors` is what the command printed to standard error."""
    killed, words = describe_end(returncode)
    exit_code = returncode if returncode >= 0 else None
    if killed and find_signal(returncode):
        name = words.removeprefix("killed by ")
        outside = FROM_OUTSIDE.get(name)
        status = RunStatus.FAILED if outside is None else RunStatus.INTERRUPTED
        return CommandEnd(status, outside or words, exit_code, name)
    if returncode == 0:
        return CommandEnd(RunStatus.COMPLETED, None, 0, None)
    return CommandEnd(RunStatus.FAILED, f"{words}: {last_lines(errors)}".rstrip(": "), exit_code, None)
