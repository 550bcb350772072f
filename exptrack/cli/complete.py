"""Complete the words of a command in the shell: metrics, tags, groups, keys, artifacts, studies, runs.

Invariant: a completion that finds nothing, or cannot open the archive, offers nothing. An error message would
land in the command line that is being completed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

import click
from click.shell_completion import CompletionItem

from exptrack import Archive
from exptrack.cli.main import complete_run, offering
from exptrack.metric_order import rank_metric

MOST_OFFERED = 200
CHOOSE_RUNS = ("where", "named", "ranking")  # options, by their parameters
Complete: TypeAlias = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def _count_runs(count: int) -> str:
    return f"{count:,} run{'s' * (count != 1)}"


@offering
def complete_metric(archive: Archive, ctx: click.Context, _incomplete: str) -> Iterator[CompletionItem]:
    """Offer metrics: those of the run that is named before, else of all runs."""
    from exptrack.exporters.report_contents import plain_name

    run = _find_named_run(ctx)
    if run is not None:
        from exptrack.terminal.console import format_metric

        logged = [(m.name, f"last {format_metric(m.name, m.last)}") for m in archive.show_run(run).metrics]
    else:
        found = [one for one in archive.fields() if one.kind == "metric"]
        logged = [(plain_name(one.name), _count_runs(one.runs)) for one in found]
    for name, told in sorted(logged, key=lambda one: rank_metric(one[0], 0)):
        yield CompletionItem(name, help=told)


@offering
def complete_tag(archive: Archive, _ctx: click.Context, _incomplete: str) -> Iterator[CompletionItem]:
    """Offer tags."""
    yield from _offer_values(archive, "tag")


@offering
def complete_group(archive: Archive, _ctx: click.Context, _incomplete: str) -> Iterator[CompletionItem]:
    """Offer groups of runs."""
    yield from _offer_values(archive, "group")


def _offer_values(archive: Archive, field: str) -> Iterator[CompletionItem]:
    for value, count in archive.runs().summarize(field, top=MOST_OFFERED).top:
        yield CompletionItem(str(value), help=_count_runs(count))


@offering
def complete_key(archive: Archive, _ctx: click.Context, _incomplete: str) -> Iterator[CompletionItem]:
    """Offer the keys of configs."""
    from exptrack.exporters.report_contents import plain_name

    for one in archive.fields():
        if one.kind == "config":
            yield CompletionItem(plain_name(one.name), help=_count_runs(one.runs))


@offering
def complete_attribute(archive: Archive, _ctx: click.Context, _incomplete: str) -> Iterator[CompletionItem]:
    """Offer the keys of attributes, each with the sign that stands before a value."""
    from exptrack.exporters.report_contents import plain_name

    for one in archive.fields():
        if one.kind == "attribute":
            yield CompletionItem(f"{plain_name(one.name)}=", help=_count_runs(one.runs))


@offering
def complete_artifact(archive: Archive, ctx: click.Context, _incomplete: str) -> Iterator[CompletionItem]:
    """Offer artifacts: those of the run that is named before, else of all runs."""
    run = ctx.params.get("run")
    if run is None:
        for found in archive.runs().artifact_names():
            yield CompletionItem(found.name, help=found.kind)
        return
    newest = {one.name: one for one in archive.artifacts(run).list_artifacts()}
    for one in newest.values():
        yield CompletionItem(one.name, help=f"{one.kind}, version {one.version}")


@offering
def complete_study(archive: Archive, _ctx: click.Context, _incomplete: str) -> Iterator[CompletionItem]:
    """Offer studies."""
    for study in archive.studies():
        yield CompletionItem(study.name, help=f"{study.trials:,} trial{'s' * (study.trials != 1)}")


@offering
def complete_fields(archive: Archive, _ctx: click.Context, incomplete: str) -> Iterable[CompletionItem]:
    """Offer the fields that a list of columns could go on with."""
    return _complete_fields(archive, incomplete, "columns")


@offering
def complete_order(archive: Archive, _ctx: click.Context, incomplete: str) -> Iterable[CompletionItem]:
    """Offer the fields that an order could go on with."""
    return _complete_fields(archive, incomplete, "order")


@offering
def complete_field(archive: Archive, _ctx: click.Context, incomplete: str) -> Iterable[CompletionItem]:
    """Offer fields of runs."""
    return _complete_fields(archive, incomplete, "field")


def _complete_fields(archive: Archive, text: str, kind: str) -> Iterator[CompletionItem]:
    for one in archive.complete_field(text, kind=kind, limit=MOST_OFFERED).completions:
        yield CompletionItem(f"{text[: one.start]}{one.text}{text[one.end :]}", help=one.kind)


def _find_named_run(ctx: click.Context) -> str | None:
    """Return the run that stands before on the command line; None where options choose the runs."""
    if any(ctx.params.get(name) for name in CHOOSE_RUNS):
        return None
    run: str | None = ctx.params.get("run") or next(iter(ctx.params.get("words") or ()), None)
    return run


def complete_words(then: Complete | None = None) -> Complete:
    """Return a completion for words of which the first is a run, unless options choose runs."""

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        if any(ctx.params.get(name) for name in ("words", *CHOOSE_RUNS)):
            return [] if then is None else then(ctx, param, incomplete)
        return complete_run(ctx, param, incomplete)

    return complete
