"""The command that writes runs as one static page."""

from __future__ import annotations

import click

from exptrack.cli.main import FILE, json_option, main, open_archive, where_option
from exptrack.cli.output import print_json, show_status


@main.command()
@click.argument("out", type=FILE)
@where_option
@click.option(
    "--metrics",
    metavar="NAME",
    multiple=True,
    help="Show the metric NAME (repeatable; default: the ten that tell most).",
)
@click.option("--title", metavar="TEXT", help="The title of the page (default: the name of the archive).")
@json_option
@click.pass_obj
def report(
    db: str | None,
    out: str,
    where: tuple[str, ...],
    metrics: tuple[str, ...],
    title: str | None,
    as_json: bool,
) -> None:
    """Write runs as one static page OUT, for mail and papers.

    It has the table of the runs, curves, images, tables, what differs in the configs, and the best runs. The
    page has no script, needs nothing else, and prints well. If no run matches, OUT is not made.

    Example: exptrack report paper.html --where "tag = 'paper'" --metrics val/loss
    """
    from exptrack import write_report

    with open_archive(db) as archive, show_status("writing the report"):
        made = write_report(archive, out, where=where, metrics=metrics or None, title=title)
    if as_json:
        print_json(made)
        return
    from exptrack.terminal.console import format_count, format_size, open_console, safe

    console = open_console()
    runs = format_count(made.runs, "run")
    console.print(safe(f"{runs} written to {out} ({format_size(made.size_bytes)})"))
    for note in made.left_out:
        console.print(safe(f"- {note}"))
