"""Commands that look at studies: which there are, how one went, its trials, and what mattered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from exptrack.cli.command import json_option, open_archive, print_csv, print_json
from exptrack.cli.sweeping import study_argument, sweep

if TYPE_CHECKING:
    from exptrack import Frame, StudyResults

USUAL_METHOD = "ped-anova"


@sweep.command("ls")
@json_option
@click.pass_obj
def list_studies(db: str | None, as_json: bool) -> None:
    """List studies, the newest first.

    Each with its trials by state, its best value and its objective.

    Example: exptrack sweep ls
    """
    with open_archive(db) as archive:
        found = archive.studies()
    if as_json:
        print_json(list[Any], found)
        return
    from exptrack.terminal import console as render
    from exptrack.terminal import studies as studyscreen

    studyscreen.studies(render.console(), found)


@sweep.command()
@study_argument
@click.option("--trials", is_flag=True, help="A line a trial, with its params.")
@click.option("--history", is_flag=True, help="Draw the value of each trial and the best until then.")
@click.option(
    "--slice", "slices", metavar="PARAM", multiple=True, help="Draw values over a param (repeatable)."
)
@click.option("--importance", is_flag=True, help="How much each param matters.")
@click.option(
    "--method",
    type=click.Choice([USUAL_METHOD, "fanova", "mdi"]),
    help=f"How importance is measured (default: {USUAL_METHOD}; the others need scikit-learn).",
)
@click.option("--metric", help="Of several objectives the one that importance is about.")
@click.option("--log", is_flag=True, help="A logarithmic scale for values.")
@click.option("--csv", "as_csv", is_flag=True, help="Print one table as CSV: of trials, or what is asked for.")
@json_option
@click.pass_obj
def show(
    db: str | None,
    name: str,
    trials: bool,
    history: bool,
    slices: Sequence[str],
    importance: bool,
    method: str | None,
    metric: str | None,
    log: bool,
    as_csv: bool,
    as_json: bool,
) -> None:
    """Show how a study went and what mattered.

    Its settings, its best trial, its course and its params; or only the parts asked for.

    Example: exptrack sweep show digits --history --slice optim.lr
    """
    if as_csv and as_json:
        raise click.UsageError("say --csv or --json, not both")
    with open_archive(db) as archive:
        results = archive.study_results(name)
        importance = importance or method is not None or metric is not None
        if as_csv or as_json:
            frames: dict[str, Frame] = {"trials": results.frame()} if trials else {}
            frames |= {"history": results.history()} if history else {}
            frames |= {"slices": results.slices(slices)} if slices else {}
            if importance:
                frames["importance"] = results.importances(method or USUAL_METHOD, metric=metric)
            _print_tables(results, frames, as_csv)
            return
        from exptrack.terminal import console as render
        from exptrack.terminal import studies as studyscreen

        out = render.console()
        parts: list[Callable[[], None]] = []
        if trials:
            parts.append(lambda: studyscreen.trials(out, results))
        if history:
            parts.append(lambda: studyscreen.history(out, results, log=log))
        parts += [
            partial(studyscreen.slices, out, results, results.check_param(one), log=log) for one in slices
        ]
        if importance:
            parts.append(lambda: studyscreen.importances(out, results, method or USUAL_METHOD, metric=metric))
        for place, part in enumerate(parts or [lambda: studyscreen.overview(out, results, log=log)]):
            if place:
                out.print()
            part()


def _print_tables(results: StudyResults, frames: dict[str, Frame], as_csv: bool) -> None:
    if as_csv:
        if len(frames) > 1:
            raise click.UsageError(
                "CSV is one table: ask for one of --trials, --history, --slice, --importance"
            )
        (frame,) = (frames or {"trials": results.frame()}).values()
        print_csv(frame.columns, [list(row.values()) for row in frame])
    elif frames:
        print_json(dict[str, Any], {name: frame.to_dicts() for name, frame in frames.items()})
    else:
        best = [trial.number for trial in results.best_trials]
        print_json(dict[str, Any], {"study": results.info, "best": best, "trials": results.trials})
