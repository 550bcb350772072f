"""Commands for sweeps: run, resume and stop them; list studies and show one."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from shlex import quote
from typing import TYPE_CHECKING, Any

import click

from exptrack import Archive, SweepPlan, SweepReport, SweepTrial, TrialState, load_sweep
from exptrack.cli.complete import complete_key, complete_metric, complete_study
from exptrack.cli.main import FILE, F, json_option, main, open_archive
from exptrack.cli.output import print_csv, print_json, print_json_line, print_json_or_text
from exptrack.cli.streams import keep_working
from exptrack.default_file import find_default_file

if TYPE_CHECKING:
    from exptrack import Frame, StudyResults

FAILED_EXIT = 1
# The end of the last line, by the reason why the sweep ended.
ENDINGS = {
    "done": "",
    "time": "; the time limit is reached",
    "stopped": "; stopped",
    "failure": "; stopped after a failure",
}


@main.group()
def sweep() -> None:
    """Search over configs, and show the results.

    A sweep file describes the search; docs/sweeps.md explains it. NAME is the name of a sweep; its study has
    the same name.
    """


study_argument = click.argument("name", metavar="NAME", shell_complete=complete_study)


def command_argument(metavar: str) -> Callable[[F], F]:
    """Declare the words of a command that follow ``--``."""
    return click.argument("command", nargs=-1, type=click.UNPROCESSED, metavar=metavar)


def running_options(command: F) -> F:
    """Declare the options that 'run' and 'resume' share."""
    options = (
        click.option("--jobs", type=click.IntRange(min=1), metavar="N", help="Run N trials at a time."),
        click.option("--trials", type=click.IntRange(min=1), metavar="N", help="Run N trials in all."),
        click.option(
            "--time-limit",
            metavar="TIME",
            help="Start no trial after this time: seconds, 2h or '1h 30m'.",
        ),
        click.option(
            "--retries",
            type=click.IntRange(min=0),
            metavar="N",
            help="Repeat a trial that was killed from outside up to N times.",
        ),
        click.option("--stop-on-failure", is_flag=True, help="Start no more trials after a failure."),
    )
    for option in reversed(options):
        command = option(command)
    return command


@sweep.command()
@click.argument("file", type=FILE)
@command_argument("-- COMMAND...")
@running_options
@click.option("--name", help="Use this name instead of the one in FILE.")
@json_option
@click.pass_obj
def run(
    db: str | None,
    file: str,
    command: Sequence[str],
    jobs: int | None,
    trials: int | None,
    time_limit: str | None,
    retries: int | None,
    stop_on_failure: bool,
    name: str | None,
    as_json: bool,
) -> None:
    """Run the sweep that FILE describes, or continue it.

    COMMAND runs once for each trial. The params of the trial are added to it as words KEY=VALUE, at the end or
    in place of {overrides}. The run that COMMAND starts belongs to the trial, and the metric that it logs is
    the trial's value. The output of COMMAND is stored as the artifact output.txt of the run. Ctrl-C asks the
    commands to end; a second Ctrl-C kills them.

    Options replace the values in FILE. --json prints a line for each trial and a last line about the sweep.

    Example: exptrack sweep run sweep.sdn --jobs 2 -- python train.py
    """
    plan = load_sweep(file)
    if name is not None:
        plan = replace(plan, name=name)
    if not command:
        raise click.UsageError("give the training command after --")
    with Archive(db or find_default_file()) as archive:
        _run(
            archive,
            plan,
            as_json,
            command=command,
            jobs=jobs or plan.jobs,
            max_trials=trials,
            time_limit=_read_time(time_limit),
            retries=retries,
            stop_on_failure=stop_on_failure,
        )


@sweep.command()
@study_argument
@command_argument("[-- COMMAND...]")
@running_options
@click.option("--retry", is_flag=True, help="Repeat trials that died or were interrupted.")
@click.option(
    "--take-over", is_flag=True, help="Count trials of processes that cannot be seen from here as dead."
)
@json_option
@click.pass_obj
def resume(
    db: str | None,
    name: str,
    command: Sequence[str],
    jobs: int | None,
    trials: int | None,
    time_limit: str | None,
    retries: int | None,
    stop_on_failure: bool,
    retry: bool,
    take_over: bool,
    as_json: bool,
) -> None:
    """Continue a sweep with its remembered plan and command.

    Trials whose process has died are marked failed first. Options and COMMAND replace the remembered ones, as
    in 'exptrack sweep run'.

    The process of a trial cannot be seen if it ran on another host. If you know that it is dead, give
    --take-over. This never ends a trial whose process lives on this machine.

    Example: exptrack sweep resume digits --retry --trials 40
    """
    with open_archive(db, writing=True) as archive:
        found = archive.study(name).settings.get("sweep", {})
        _run(
            archive,
            name,
            as_json,
            command=command or None,
            jobs=jobs or found.get("jobs"),
            max_trials=trials,
            time_limit=_read_time(time_limit),
            retries=retries,
            stop_on_failure=stop_on_failure,
            retry=retry,
            take_over=take_over,
        )


def _read_time(text: str | None) -> float | str | None:
    """Read a time limit; a plain number is seconds."""
    try:
        return None if text is None else float(text)
    except ValueError:
        return text


@sweep.command()
@study_argument
@click.option("--now", is_flag=True, help="Also end the running trials; they count as failed.")
@json_option
@click.pass_obj
def stop(db: str | None, name: str, now: bool, as_json: bool) -> None:
    """Ask a running sweep to start no more trials.

    It works from any process on the machine that can open the file.

    Example: exptrack sweep stop digits
    """
    with open_archive(db, writing=True) as archive:
        running = archive.stop_study(name, now=now)
    trials = f"{running} trial{'s' * (running != 1)} running"
    print_json_or_text(
        as_json, {"study": name, "now": now, "running": running}, f"asked to stop {name}: {trials}"
    )


@sweep.command("ls")
@json_option
@click.pass_obj
def list_studies(db: str | None, as_json: bool) -> None:
    """List studies, the newest first.

    The list shows the trials by state, the best value and the objective of each study.

    Example: exptrack sweep ls
    """
    with open_archive(db) as archive:
        found = archive.studies()
    if as_json:
        print_json(found)
        return
    from exptrack.terminal.console import open_console
    from exptrack.terminal.studies import print_studies

    print_studies(open_console(), found)


@sweep.command()
@study_argument
@click.option("--trials", is_flag=True, help="List the trials with their params.")
@click.option("--history", is_flag=True, help="Draw the value of each trial and the best so far.")
@click.option(
    "--slice",
    "slices",
    metavar="PARAM",
    multiple=True,
    shell_complete=complete_key,
    help="Draw the values over this param (repeatable).",
)
@click.option("--importance", is_flag=True, help="Show how much each param matters.")
@click.option(
    "--method",
    type=click.Choice(["groups", "ped-anova", "fanova", "mdi"]),
    help="How to measure importance (default: groups; fanova and mdi need scikit-learn).",
)
@click.option(
    "--metric",
    shell_complete=complete_metric,
    help="With several objectives: measure importance for this metric.",
)
@click.option("--log", is_flag=True, help="Use a logarithmic scale for values.")
@click.option("--csv", "as_csv", is_flag=True, help="Print one table as CSV (default: the trials).")
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
    """Show the results of a study.

    By default these are its settings, best trial, history and the importance of its params. Options choose
    parts instead.

    Example: exptrack sweep show digits --history --slice optim.lr
    """
    if as_csv and as_json:
        raise click.UsageError("give --csv or --json, not both")
    with open_archive(db) as archive:
        results = archive.study_results(name)
        if results.unseen:
            click.echo(f"exptrack: {results.describe_unseen()}", err=True)
        importance = importance or method is not None or metric is not None
        if as_csv or as_json:
            frames: dict[str, Frame] = {"trials": results.frame()} if trials else {}
            frames |= {"history": results.history()} if history else {}
            frames |= {"slices": results.slices(slices)} if slices else {}
            if importance:
                frames["importance"] = results.importances(method, metric=metric)
            _print_tables(results, frames, as_csv)
            return
        from exptrack.terminal.console import open_console
        from exptrack.terminal.studies import (
            print_history,
            print_overview,
            print_param_importances,
            print_slices,
            print_trials,
        )

        out = open_console()
        # A run that was deleted has no row any more.
        of_study = archive.runs().where("study = ?", results.info.name)
        ids = archive.shorten_ids(of_study) if out.is_terminal else {}
        parts: list[Callable[[], None]] = []
        if trials:
            parts.append(lambda: print_trials(out, results, ids=ids))
        if history:
            parts.append(lambda: print_history(out, results, log=log))
        parts += [partial(print_slices, out, results, results.check_param(one), log=log) for one in slices]
        if importance:
            parts.append(lambda: print_param_importances(out, results, method, metric=metric))
        for place, part in enumerate(parts or [lambda: print_overview(out, results, ids, log=log)]):
            if place:
                out.print()
            part()


def _print_tables(results: StudyResults, frames: dict[str, Frame], as_csv: bool) -> None:
    if as_csv:
        if len(frames) > 1:
            raise click.UsageError(
                "CSV holds one table; give one of --trials, --history, --slice, --importance"
            )
        (frame,) = (frames or {"trials": results.frame()}).values()
        print_csv(frame.columns, [list(row.values()) for row in frame])
    elif frames:
        print_json({name: frame.to_dicts() for name, frame in frames.items()})
    else:
        best = [trial.number for trial in results.best_trials]
        print_json({"study": results.info, "best": best, "trials": results.trials})


def _run(archive: Archive, sweep: SweepPlan | str, as_json: bool, *, jobs: int | None, **options: Any) -> None:
    """Run a sweep and print each trial when it ends: a line of text, or a line of JSON."""
    # The output of several commands at once would be mixed.
    streams = jobs == 1 and not as_json
    try:
        with keep_working():
            report = archive.run_sweep(
                sweep,
                jobs=jobs,
                after=_print_fact if as_json else _make_teller(streams),
                listener=_pass_on if streams else None,
                **options,
            )
            _conclude(report, as_json)
    except KeyboardInterrupt:
        name = sweep if isinstance(sweep, str) else sweep.name
        click.echo(f"interrupted; `exptrack sweep resume {quote(name)} --retry` continues it", err=True)
        raise


def _pass_on(data: bytes, is_error: bool) -> None:
    out = sys.stderr if is_error else sys.stdout
    out.buffer.write(data)
    out.flush()


def _print_fact(done: SweepTrial) -> None:
    trial = done.trial
    facts: dict[str, Any] = {"number": trial.number, "state": str(trial.state)}
    facts |= {"value": trial.values[0] if trial.values else None, "params": trial.params}
    facts |= {"run_id": trial.run_id, "reason": trial.reason, "retried": done.retried}
    print_json_line(facts | {"best_number": done.best_number, "best_value": done.best_value})
    sys.stdout.flush()


def _make_teller(streams: bool) -> Callable[[SweepTrial], None]:
    from rich.text import Text

    from exptrack.terminal.console import format_number, format_setting, open_console, safe
    from exptrack.terminal.studies import STATE_STYLES, format_state

    out = open_console()

    def tell(done: SweepTrial) -> None:
        trial = done.trial
        line = Text(f"#{trial.number}".ljust(5), style="bold")
        line.append(format_state(trial.state).ljust(10), style=STATE_STYLES[trial.state])
        line.append(format_number(trial.values[0] if trial.values else None).rjust(10))
        best = (
            "" if done.best_number is None else f"best {format_number(done.best_value)} (#{done.best_number})"
        )
        line.append(f"  {best.ljust(22)}  ", style="dim")
        params = ((key, format_number(v) if isinstance(v, float) else v) for key, v in trial.params.items())
        line.append(safe(" ".join(f"{key}={format_setting(value)}" for key, value in params)))
        out.print(line, soft_wrap=True)
        if trial.state == TrialState.FAIL:
            again = "; it will be repeated" if done.retried else ""
            out.print(Text(f"     {safe(trial.reason)}{again}", style="red"), soft_wrap=True)
            for words in () if streams else done.tail:
                out.print(Text(f"     | {safe(words)}", style="dim"), soft_wrap=True)
        sys.stdout.flush()

    return tell


def _conclude(report: SweepReport, as_json: bool) -> None:
    """Print the last line, and exit with 1 if every trial failed or a failure stopped the sweep."""
    from exptrack.terminal.console import format_number, open_console, safe
    from exptrack.terminal.studies import format_state

    count = sum(report.counts.values())
    counts = ", ".join(f"{count} {format_state(state)}" for state, count in report.counts.items() if count)
    if as_json:
        facts = {"study": report.study, "counts": {str(s): n for s, n in report.counts.items()}}
        best = {"best_number": report.best_number, "best_value": report.best_value}
        print_json_line(facts | {"ended": report.ended} | best)
    else:
        words = f"{report.study}: {counts or 'no trial was started'}{ENDINGS[report.ended]}"
        if not count and report.ended == "done":
            words = f"{report.study} has all its trials already; --trials N allows more"
        if report.best_number is not None:
            words += f"; best {format_number(report.best_value)} (#{report.best_number})"
        open_console().print(safe(words), soft_wrap=True)
    if report.ended == "failure" or (count and count == report.counts[TrialState.FAIL]):
        sys.exit(FAILED_EXIT)
