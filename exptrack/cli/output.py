"""What commands print besides tables: JSON, CSV and progress."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from typing import Any

import click

# A task that takes no longer gets no progress bar.
PATIENCE_S = 1.0
# Characters that act on a terminal: controls, and marks that turn the direction of what follows. Not among them
# are the tab and the ends of lines.
ACTING = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]|\r(?!\n)")


def print_json(value: object, *, indent: int | None = 2) -> None:
    """Print a value as one JSON document, its records as objects."""
    from pydantic import ConfigDict, TypeAdapter

    # JSON has no numbers for NaN and the infinities: they become texts.
    adapter: TypeAdapter[Any] = TypeAdapter(Any, config=ConfigDict(ser_json_inf_nan="strings"))
    text = adapter.dump_json(_name_fields(value), indent=indent).decode()
    # Such characters stand in texts only, and JSON may spell them out: on a terminal they would act.
    print_document(ACTING.sub(lambda found: json.dumps(found[0])[1:-1], text) + "\n")


def print_json_line(value: dict[str, Any]) -> None:
    """Print one JSON document on its own line, for programs that read line by line."""
    print_json(value, indent=None)


def _name_fields(value: object) -> object:
    """Return the value with each record in it, dataclass or named tuple, as a map of its fields.

    JSON has no lone surrogates, which a damaged or hostile text may hold: they are spelled out.
    """
    if isinstance(value, str) and not value.isascii():
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, Mapping):
        return {_name_fields(key): _name_fields(item) for key, item in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return {name: _name_fields(item) for name, item in zip(value._fields, value, strict=True)}
    if is_dataclass(value):
        return {field.name: _name_fields(getattr(value, field.name)) for field in fields(value)}
    return [_name_fields(item) for item in value] if isinstance(value, (list, tuple)) else value


def print_csv(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows as CSV under their heads.

    CSV cannot spell out control characters, and is often shown on a terminal. So those besides tabs and line
    ends are escaped as in a table; JSON and Parquet keep every character.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(heads)
    writer.writerows(rows)
    print_document(_spell_out(out.getvalue()))


def print_document(text: str) -> None:
    """Print text for programs and files: in UTF-8, whatever the terminal has, and unchanged.

    Only on a terminal itself, characters that would act there are escaped.
    """
    shown = _spell_out(text) if sys.stdout.isatty() else text
    click.echo(shown.encode("utf-8", "backslashreplace"), nl=False)


def _spell_out(text: str) -> str:
    return ACTING.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def print_json_or_text(as_json: bool, facts: dict[str, Any], words: str) -> None:
    """Print the facts for a program, or the words for a person."""
    if as_json:
        print_json(facts)
        return
    from exptrack.terminal.console import open_console, safe

    open_console().print(safe(words))


@contextmanager
def show_progress(words: str) -> Iterator[Callable[[int, int], None] | None]:
    """Show a progress bar once a task takes long; yield the function to call with (done, total).

    Yields None where stderr is not a terminal.
    """
    with show_progress_of_parts() as update:
        yield None if update is None else lambda done, total: update(words, done, total)


@contextmanager
def show_progress_of_parts() -> Iterator[Callable[[str, int, int], None] | None]:
    """Show a bar for each part of a task while it is under way; yield the function that updates it."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.progress import Progress, TaskID

    from exptrack.terminal.console import open_console

    bar = Progress(console=open_console(stderr=True), transient=True)
    tasks, begun = dict[str, TaskID](), time.monotonic()

    def update(words: str, done: int, total: int) -> None:
        if words not in tasks:
            tasks[words] = bar.add_task(words, total=None)
        if not bar.live.is_started and time.monotonic() - begun > PATIENCE_S:
            bar.start()
        bar.update(tasks[words], completed=done, total=total, visible=done < total)

    try:
        yield update
    finally:
        bar.stop()


@contextmanager
def show_status(words: str) -> Iterator[None]:
    """Show a spinner while a task of unknown length runs."""
    if not sys.stderr.isatty():
        yield
        return
    from exptrack.terminal.console import open_console

    with open_console(stderr=True).status(words):
        yield
