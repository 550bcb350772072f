"""The command ``completion``: a script by which a shell completes words, with help beside them."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ZshComplete,
    add_completion_class,
    get_completion_class,
    split_arg_string,
)

from exptrack.cli.main import COMPLETION, main

MENU = "37"  # COMP_TYPE where each TAB puts the next completion into the line: it must be bare
LEAST_HELP = 10  # characters
QUOTED = re.compile(r"([^\w@%+=:,./~^\n-])")


@contextmanager
def _called_by_shell() -> Iterator[None]:
    """End in a sentence where no shell has told the words of its line, as where a person calls this."""
    try:
        yield
    except (LookupError, ValueError):
        click.echo(
            "exptrack: only the script of 'exptrack completion SHELL' can ask for completions,"
            " since it tells the words in COMP_WORDS and COMP_CWORD",
            err=True,
        )
        sys.exit(click.UsageError.exit_code)


class _Zsh(ZshComplete):
    def get_completion_args(self) -> tuple[list[str], str]:
        with _called_by_shell():
            return super().get_completion_args()


class _Fish(FishComplete):
    def get_completion_args(self) -> tuple[list[str], str]:
        with _called_by_shell():
            return super().get_completion_args()


class _Bash(BashComplete):
    """Bash with help beside several completions.

    Bash prints what it is offered, and inserts what all begin with, so help may stand behind the words. It
    cuts words at characters such as a colon, and then wants only the rest of a word.
    """

    source_template = """\
%(complete_func)s() {
    local type value response
    response=$(env COMP_WORDS="${COMP_LINE:0:COMP_POINT}" COMP_TYPE="$COMP_TYPE" COLUMNS="$COLUMNS" \\
        COMP_WORDBREAKS="$COMP_WORDBREAKS" %(complete_var)s=bash_complete "$1")
    COMPREPLY=()
    while IFS=',' read -r type value; do
        if [[ $type == 'dir' ]]; then
            compopt -o dirnames
        elif [[ $type == 'file' ]]; then
            compopt -o default
        elif [[ $type == 'plain' ]]; then
            COMPREPLY+=("$value")
            if [[ $value == *= ]]; then compopt -o nospace; fi
        fi
    done <<< "$response"
}

complete -o nosort -F %(complete_func)s %(prog_name)s
"""

    def get_completion_args(self) -> tuple[list[str], str]:
        with _called_by_shell():
            line = os.environ["COMP_WORDS"]
        words = split_arg_string(line)
        is_new = not words or (line[-1:].isspace() and line[-2:] != "\\ " and not ends_in_quotes(line))
        return (words[1:], "") if is_new else (words[1:-1], words[-1])

    def complete(self) -> str:
        args, incomplete = self.get_completion_args()
        items = self.get_completions(args, incomplete)
        breaks = os.environ.get("COMP_WORDBREAKS", "")
        seen = max((incomplete.rfind(sign) + 1 for sign in ":=" if sign in breaks), default=0)
        values = [item.value[seen:] for item in items]
        if not ends_in_quotes(os.environ["COMP_WORDS"]):
            values = [QUOTED.sub(r"\\\1", value) for value in values]
        if len(items) > 1 and os.environ.get("COMP_TYPE") != MENU:
            values = _put_beside(values, items)
        return "\n".join(f"{item.type},{value}" for item, value in zip(items, values, strict=True))


def ends_in_quotes(line: str) -> bool:
    """Whether a quote is open at the end of a line.

    >>> ends_in_quotes("show 'wide ne"), ends_in_quotes("show 'wide net'")
    (True, False)
    """
    left = re.sub(r"'[^']*'|\"(?:[^\"\\]|\\.)*\"|\\.|[^'\"\\]", "", line)
    return left[:1] in ("'", '"')


def _put_beside(values: list[str], items: list[CompletionItem]) -> list[str]:
    """Return values with their help behind them, as far as a line of the terminal has room."""
    longest = max(map(len, values))
    room = shutil.get_terminal_size().columns - longest - 5
    if room < LEAST_HELP:
        return values
    helps = [" ".join((item.help or "").split()) for item in items]
    return [
        f"{value:<{longest}}  ({told if len(told) <= room else told[: room - 1] + '…'})" if told else value
        for value, told in zip(values, helps, strict=True)
    ]


for _kind in (_Bash, _Zsh, _Fish):
    add_completion_class(_kind)


@main.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print a script that makes a shell complete words.

    Besides commands and options these are runs, metrics, tags, groups, keys, artifacts and studies, each with a
    few words beside it. Bash needs version 4.4 or newer.

    Example: exptrack completion bash >> ~/.bashrc
    """
    kind = get_completion_class(shell)
    assert kind is not None, "click knows these shells"
    click.echo(kind(main, {}, "exptrack", COMPLETION).source())
