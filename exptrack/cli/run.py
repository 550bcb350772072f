"""The command that runs a script unchanged, and records it."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any

import click

from exptrack.cli.main import F, main
from exptrack.cli.streams import OutputFailedError

HOOKS = ("argparse", "click", "absl", "fire", "tyro", "hydra", "tensorboard", "figures")


def hook_options(command: F) -> F:
    """Declare a switch for each hook."""
    what = {
        "argparse": "what argparse reads",
        "click": "what click and Typer read",
        "absl": "the flags of absl",
        "fire": "what Fire calls functions with",
        "tyro": "what tyro reads",
        "hydra": "the config of Hydra",
        "tensorboard": "what a SummaryWriter logs",
        "figures": "figures that matplotlib saves",
    }
    declare: Callable[[Any], Any]
    for name in reversed(HOOKS):
        declare = click.option(f"--no-{name}", is_flag=True, help=f"Do not record {what[name]}.")
        command = declare(command)
    return command


@main.command(context_settings={"allow_interspersed_args": False})
@click.argument(
    "command", nargs=-1, type=click.UNPROCESSED, metavar="(SCRIPT.py | -m MODULE | COMMAND) ARGS..."
)
@click.option("-m", "is_module", is_flag=True, help="Run a module, like python -m.")
@click.option("--name", help="The name of the run.")
@click.option("--group", help="The group of the run.")
@click.option("--tag", "tags", metavar="TAG", multiple=True, help="Tag the run (repeatable).")
@click.option("--note", metavar="TEXT", help="Add a note to the run.")
@click.option("--no-output", is_flag=True, help="Do not store what the command prints.")
@click.option("--no-code", is_flag=True, help="Do not store changed code.")
@hook_options
@click.pass_obj
def run(
    db: str | None,
    /,
    command: Sequence[str],
    is_module: bool,
    name: str | None,
    group: str | None,
    tags: Sequence[str],
    note: str | None,
    no_output: bool,
    no_code: bool,
    **switches: bool,
) -> None:
    """Run a script as it is, and record it as a run.

    The run gets the options that the script reads by argparse, click, Typer, absl, Fire, tyro or Hydra, what
    it logs by a SummaryWriter, the figures it saves, what it prints, its code and its packages. It ends as the
    script ends: completed, failed with the error, or interrupted.

    A script that calls exptrack.start_run() gets this run. docs/running.md says more.

    The command ends with the exit code of the script, or by the signal that killed it.

    Example: exptrack run --tag baseline train.py --lr 0.01
    """
    from exptrack import run_command  # which no other command needs

    words = ["-m", *command] if is_module else list(command)
    report = run_command(
        words,
        path=db,
        name=name,
        group=group,
        tags=tags,
        note=note,
        keep_output=not no_output,
        keep_code=not no_code,
        without=[hook for hook in HOOKS if switches[f"no_{hook}"]],
    )
    if report.exit_code < 0:
        _end_by_signal(-report.exit_code)
    if report.exit_code:
        sys.exit(report.exit_code)
    if report.output_error is not None:
        raise OutputFailedError(OSError(report.output_error, os.strerror(report.output_error)))


def _end_by_signal(number: int) -> None:
    """End by the signal that killed the command, so that a shell sees the same end. No core is dumped again."""
    sys.stderr.flush()
    if sys.platform == "win32":
        sys.exit(number)
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    if number not in (signal.SIGKILL, signal.SIGSTOP):
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
