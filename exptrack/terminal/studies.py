"""Print studies: a list, one study in a few lines, its trials, history, slices and importances.

Invariant: a drawing or table says what it leaves out.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from exptrack.amounts import format_duration
from exptrack.errors import InvalidValueError, MissingPackageError
from exptrack.records import TrialState
from exptrack.terminal.charts import Layer, chart_width, draw_points
from exptrack.terminal.console import (
    Columns,
    column_title,
    fit_columns,
    format_age,
    format_count,
    format_number,
    format_setting,
    print_fitted,
    print_heading,
    print_table,
    safe,
    shorten,
)

if TYPE_CHECKING:
    from exptrack import StudyInfo, StudyResults, SweepPlan, TrialRecord

STATE_STYLES = {
    TrialState.COMPLETE: "green",
    TrialState.PRUNED: "magenta",
    TrialState.FAIL: "red",
    TrialState.RUNNING: "cyan",
    TrialState.WAITING: "",
}
STATE_WORDS = {TrialState.FAIL: "failed"}
BEST = "★"
LEAST_BAR, MOST_BAR, BESIDE_BAR = 10, 40, len("100.0%") + 9
MOST_FRONT = MOST_BARS = 10  # in the overview: trials of a Pareto front, params
CELL_CHARS = 24  # of a param's value in a terminal


def print_studies(out: Console, found: Sequence[StudyInfo]) -> None:
    """Print a line for each study."""
    if not found:
        out.print("no studies")
        return
    columns: Columns = {
        "study": ("left", [Text(safe(one.name), style="bold") for one in found]),
        "trials": ("right", [f"{one.trials:,}" for one in found]),
    }
    for state in TrialState:
        if any(one.counts[state] for one in found):
            cells = [Text(f"{one.counts[state] or ''}", style=STATE_STYLES[state]) for one in found]
            columns[format_state(state)] = ("right", cells)
    columns["best"] = (
        "right",
        ["" if one.best_value is None else format_number(one.best_value) for one in found],
    )
    columns["objective"] = ("left", [_objective(one).replace("imize ", " ") for one in found])
    columns["started"] = ("left", [format_age(one.created_at) for one in found])
    least = ("started", "waiting", "pruned", "complete", "failed", "running")
    print_fitted(out, columns, least, folded="objective")


def print_overview(
    out: Console, results: StudyResults, ids: Mapping[str, str] | None = None, *, log: bool = False
) -> None:
    """Print the facts of a study, then its history and the importance of its params once it has values.

    Importance is measured by the usual method. With several objectives it is the importance for all of them
    together.
    """
    print_facts(out, results, ids)
    if not any(trial.values for trial in results.trials):
        return
    out.print()
    print_history(out, results, log=log)
    out.print()
    try:
        print_param_importances(out, results, most=MOST_BARS)
    except (InvalidValueError, MissingPackageError) as error:
        out.print(Text("importance of params", style="bold"))
        out.print(Text(safe(error), style="dim"))


def print_facts(out: Console, results: StudyResults, ids: Mapping[str, str] | None = None) -> None:
    """Print the settings of a study, its progress and its best trial or Pareto front."""
    info = results.info
    settings = info.settings
    pairs: list[tuple[str, object]] = [
        ("study", info.name),
        ("objective", _objective(info)),
        ("sampler", _algorithm(settings.get("sampler"))),
        ("pruner", _algorithm(settings.get("pruner"))),
        ("limits", _limits(settings)),
        ("started", f"{info.created_at:%Y-%m-%d %H:%M:%S} UTC ({format_age(info.created_at)})"),
        ("trials", _counts(info)),
    ]
    best = results.best
    if best is not None:
        run = f", run {shorten(best.run_id, ids)}" if best.run_id else ""
        pairs += [
            ("best", f"{format_number(best.value)} in trial {best.number}{run}"),
            ("params", _params(best)),
        ]
    elif len(info.directions) == 1 and info.trials:
        pairs.append(("best", "no trial is completed (within its constraints) yet"))
    if results.infeasible:
        pairs.append(("constraints", f"broken by {len(results.infeasible):,} trials, which are never the best"))
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for key, value in pairs:
        if value:
            cell = value if isinstance(value, Text) else Text(safe(value))
            grid.add_row(Text(key, style="dim"), cell)
    out.print(grid)
    if len(info.directions) > 1:
        front = results.best_trials
        shown = front[:MOST_FRONT]
        more = f", the first {len(shown)}" if len(front) > len(shown) else ""
        print_heading(out, f"Pareto front: {len(front):,} trials that no other trial dominates{more}")
        if shown:
            print_trials(out, results, shown, ids)


def describe_plan(plan: SweepPlan) -> str:
    """Say in a line which sampler and pruner act, for how many trials and for how long."""
    pruner = "no pruner"
    if plan.pruner.name not in ("none", "NopPruner"):
        pruner = f"pruner {_algorithm(plan.pruner.settings())} (for scripts that ask it)"
    parts = [f"sampler {_algorithm(plan.sampler.settings())}", pruner]
    limits = _limits({"max_trials": plan.max_trials, "time_limit_s": plan.time_limit_s})
    at_once = [] if plan.jobs == 1 else [f"{plan.jobs:,} at a time"]
    return f"{plan.name}: {'; '.join([*parts, *([limits] if limits else []), *at_once])}"


def format_state(state: TrialState) -> str:
    """Return the word for a state."""
    return STATE_WORDS.get(state, str(state))


def _objective(info: StudyInfo) -> str:
    named = zip(info.directions, info.metrics, strict=True)
    return ", ".join(f"{direction} {metric or 'the objective'}" for direction, metric in named)


def _algorithm(settings: Mapping[str, Any] | None) -> str:
    """Format a sampler or pruner with its options: tpe, seed 1, n_startup_trials 4."""
    if settings is None:
        return ""
    parts = [str(settings["name"])]
    if settings.get("seed") is not None:
        parts.append(f"seed {settings['seed']}")
    parts += [f"{name} {format_setting(value)}" for name, value in settings.get("options", {}).items()]
    return ", ".join(parts) + (" (an object)" if settings.get("given") else "")


def _limits(settings: Mapping[str, Any]) -> str:
    trials, seconds = settings.get("max_trials"), settings.get("time_limit_s")
    parts = [] if trials is None else [format_count(trials, "trial")]
    return ", ".join(parts + ([] if seconds is None else [f"{format_duration(seconds)} a session"]))


def _counts(info: StudyInfo) -> Text:
    told = Text(f"{info.trials:,}")
    parts = [(state, count) for state, count in info.counts.items() if count]
    for place, (state, count) in enumerate(parts):
        told.append(": " if place == 0 else ", ").append(
            f"{count:,} {format_state(state)}", STATE_STYLES[state]
        )
    return told


def _params(trial: TrialRecord) -> str:
    return ", ".join(f"{name} = {_setting(value)}" for name, value in trial.params.items())


def _setting(value: object) -> str:
    return format_number(value) if isinstance(value, float) else str(format_setting(value))


# Trials


def print_trials(
    out: Console,
    results: StudyResults,
    found: Sequence[TrialRecord] | None = None,
    ids: Mapping[str, str] | None = None,
) -> None:
    """Print a line for each trial (by default all), with its params; mark the best and dim the pruned."""
    shown = results.trials if found is None else found
    if not shown:
        out.print("no trials")
        return
    best = {trial.number for trial in results.best_trials}
    names = list(dict.fromkeys(name for trial in shown for name in trial.params))
    heads = _heads(names, ("trial", "state", "took", "run", "reason", *results.metrics), out.is_terminal)
    rows: Columns = {
        "trial": ("right", [f"{BEST} {t.number}" if t.number in best else t.number for t in shown]),
        "state": ("left", [_state(trial, results) for trial in shown]),
    }
    for place, metric in enumerate(results.metrics):
        values = [format_number(t.values[place]) if place < len(t.values) else "" for t in shown]
        rows[f"metric {metric}"] = ("right", values)
    rows["took"] = ("right", ["" if t.duration_s is None else format_duration(t.duration_s) for t in shown])
    for name in names:
        settings = [t.params.get(name, "") for t in shown]
        right = all(type(value) in (int, float) for value in settings if value != "")
        cells = [_clipped(out, value if value == "" else _setting(value)) for value in settings]
        rows[heads[name]] = ("right" if right else "left", cells)
    rows["run"] = ("left", [shorten(trial.run_id or "", ids) for trial in shown])
    if any(trial.reason for trial in shown):
        rows["reason"] = ("left", [_clipped(out, trial.reason or "") for trial in shown])
    rows = {head: (justify, _dimmed(cells, shown, best)) for head, (justify, cells) in rows.items()}
    told = ["state"] if all(trial.state == TrialState.COMPLETE for trial in shown) else []
    expendable = ("reason", "took", *(heads[name] for name in reversed(names)), *told, "run")
    kept = fit_columns(out, rows, expendable)
    print_fitted(out, kept, ())
    if lost := [head for head in rows if head not in kept]:
        words = (
            f"no room for {', '.join(map(column_title, lost))}"
            if len(lost) <= 3
            else f"no room for {len(lost)} more columns"
        )
        out.print(Text(safe(words), style="dim"))


def _heads(names: Sequence[str], others: Sequence[str], short: bool) -> dict[str, str]:
    """Return the column of each param; if `short`, titled by the last part of its name where that is unique."""
    last = {name: name.rpartition(".")[2] or name for name in names}
    count = Counter([*last.values(), *others])
    return {name: f"param {last[name] if short and count[last[name]] == 1 else name}" for name in names}


def _state(trial: TrialRecord, results: StudyResults) -> Text:
    words = format_state(trial.state)
    if trial.state == TrialState.PRUNED and trial.reports:
        words = f"pruned at {max(trial.reports)}"
    if trial.number in results.infeasible:
        words = f"{words}, infeasible"
    return Text(words, style=STATE_STYLES[trial.state])


def _clipped(out: Console, value: object) -> str:
    """Shorten a cell in a terminal so that other columns have room."""
    text = safe(value)
    return text if not out.is_terminal or len(text) <= CELL_CHARS else f"{text[: CELL_CHARS - 1]}…"


def _dimmed(cells: Sequence[object], shown: Sequence[TrialRecord], best: Iterable[int]) -> list[object]:
    """Give cells the style of their trial: dim if pruned, bold if best."""
    found: list[object] = []
    for cell, trial in zip(cells, shown, strict=True):
        text = cell.copy() if isinstance(cell, Text) else Text(safe(cell))
        text.stylize("dim" if trial.state == TrialState.PRUNED else "bold" if trial.number in best else "")
        found.append(text)
    return found


# Drawings


def print_history(out: Console, results: StudyResults, *, log: bool = False) -> None:
    """Draw the value of each trial and the best so far, a chart for each objective.

    With two objectives, also draw one over the other.
    """
    for place, metric in enumerate(results.metrics):
        if place:
            out.print()
        kinds = _by_kind(results, place)
        layers = [
            Layer(label, [(t.number, t.values[place]) for t in found], *look) for label, found, look in kinds
        ]
        if len(results.metrics) == 1:
            layers.insert(0, Layer("best so far", _staircase(results), "", "green", joined=True))
        words = f"{metric} over trials, {results.info.directions[place]}d"
        _draw(out, words, layers, unit="trials", log_y=log)
    missing = [trial for trial in results.trials if not trial.values]
    if missing:
        counts = {state: sum(trial.state == state for trial in missing) for state in TrialState}
        words = ", ".join(f"{count:,} {format_state(state)}" for state, count in counts.items() if count)
        out.print(Text(f"without a value: {words}", style="dim"))
    if len(results.metrics) == 2:
        out.print()
        front = results.best_trials
        layers = [
            Layer(label, [(t.values[0], t.values[1]) for t in found if len(t.values) == 2], *look)
            for label, found, look in _by_kind(results, 1)
        ]
        layers.append(Layer("Pareto front", [(t.values[0], t.values[1]) for t in front], BEST, "yellow"))
        _draw(out, f"{results.metrics[1]} over {results.metrics[0]}", layers, unit=results.metrics[0])


def print_slices(out: Console, results: StudyResults, param: str, *, log: bool = False) -> None:
    """Draw the value of each trial over its setting of a param, a chart for each objective.

    The scale of the param is logarithmic if the study samples it so. Choices stand side by side. `log` makes
    the scale of the values logarithmic.

    Raises:
        InvalidValueError: no trial has such a param.
    """
    results.check_param(param)
    drawn = next(row for row in results.space() if row["param"] == param)
    taken = [trial for trial in results.trials if param in trial.params]
    names: list[str] = []
    if drawn["kind"] == "choice":
        # An earlier space of the study may have had other choices.
        every = [*drawn["choices"], *(trial.params[param] for trial in taken)]
        names = list(dict.fromkeys(safe(_setting(choice)) for choice in every))

    def at(trial: TrialRecord) -> float:
        setting = trial.params[param]
        return float(names.index(safe(_setting(setting)))) if names else float(setting)

    for place, metric in enumerate(results.metrics):
        if place:
            out.print()
        layers = [
            Layer(label, [(at(t), t.values[place]) for t in found if param in t.params], *look)
            for label, found, look in _by_kind(results, place)
        ]
        best = [(at(t), t.values[place]) for t in results.best_trials if param in t.params]
        label = "best" if len(results.metrics) == 1 else "Pareto front"
        layers.append(Layer(label, best, BEST, "yellow"))
        log_x = bool(drawn["log"])
        _draw(out, f"{metric} over {param}", layers, unit=param, log_x=log_x, log_y=log, names=names)


def print_param_importances(
    out: Console,
    results: StudyResults,
    method: str | None = None,
    *,
    metric: str | None = None,
    most: int | None = None,
) -> None:
    """Print a bar for each param, as long as its importance; `most` limits how many.

    Raises:
        InvalidValueError, MissingPackageError: as :meth:`StudyResults.importances`.
    """
    found = results.importances(method, metric=metric)
    target = metric or (results.metrics[0] if len(results.metrics) == 1 else "the Pareto front")
    shown = found.to_dicts()[:most]
    out.print(Text(safe(f"importance of params for {target}, by {shown[0]['method']}"), style="bold"))
    longest = max(len(safe(row["param"])) for row in shown)
    room = chart_width(out) - longest - BESIDE_BAR
    chars = min(max(room, LEAST_BAR), MOST_BAR)
    greatest = shown[0]["importance"]
    rows = (
        [
            row["param"],
            f"{row['importance']:.1%}",
            Text("█" * round(chars * row["importance"] / greatest if greatest > 0 else 0), style="cyan"),
        ]
        for row in shown
    )
    print_table(out, [("param", "left"), ("share", "right"), ("", "left")], rows, folded="param")
    if len(shown) < len(found):
        out.print(Text(f"{len(found) - len(shown):,} more params", style="dim"))


def _by_kind(results: StudyResults, place: int) -> list[tuple[str, list[TrialRecord], tuple[str, str]]]:
    """Sort the trials that have a value into kinds: label, trials, mark and colour."""
    told = [trial for trial in results.trials if place < len(trial.values)]
    pruned = [trial for trial in told if trial.state == TrialState.PRUNED]
    complete = [trial for trial in told if trial.state == TrialState.COMPLETE]
    broken = [trial for trial in complete if trial.number in results.infeasible]
    met = [trial for trial in complete if trial.number not in results.infeasible]
    return [
        ("pruned, at the last report", pruned, ("×", STATE_STYLES[TrialState.PRUNED])),
        ("complete, but a constraint broken", broken, ("◦", "red")),
        ("complete", met, ("●", "cyan")),
    ]


def _staircase(results: StudyResults) -> list[tuple[float, float]]:
    """Return the best value so far as the points of a line that goes right, then up or down."""
    frame = results.history()
    steps: list[tuple[float, float]] = []
    for trial, best in zip(frame["number"], frame["best_value"], strict=True):
        if best is not None and math.isfinite(best):
            if steps and steps[-1][1] != best:
                steps.append((trial, steps[-1][1]))
            steps.append((trial, best))
    return steps


def _draw(
    out: Console,
    words: str,
    layers: Sequence[Layer],
    *,
    unit: str,
    log_x: bool = False,
    log_y: bool = False,
    names: Sequence[str] = (),
) -> None:
    drawing = draw_points(
        safe(words),
        layers,
        chart_width(out),
        unit=safe(unit),
        log_x=log_x,
        log_y=log_y,
        names=names,
        colour=out.is_terminal and out.color_system is not None,
    )
    out.print(drawing)
