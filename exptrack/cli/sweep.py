"""Commands for sweeps: run, resume and stop them; list studies and show one."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from shlex import quote
from typing import TYPE_CHECKING, Any

import click

from exptrack import (
    Archive,
    SweepDiffersError,
    SweepPlan,
    SweepReport,
    SweepTrial,
    TrialState,
    load_sweep,
)
from exptrack.cli.complete import complete_key, complete_metric, complete_study
from exptrack.cli.main import (
    FILE,
    F,
    WholeRange,
    can_ask,
    confirm,
    json_option,
    main,
    open_archive,
    yes_option,
)
from exptrack.cli.output import print_csv, print_json, print_json_line, print_json_or_text, show_status
from exptrack.cli.streams import keep_working
from exptrack.default_file import find_default_file

if TYPE_CHECKING:
    from exptrack import Frame, StudyResults

FAILED_EXIT = 1
ARGPARSE = "--args '--{key}={value}'"
# The end of the last line, by the reason why the sweep ended.
ENDINGS = {
    "done": "",
    "time": "; the time limit is reached",
    "stopped": "; stopped",
    "failure": "; stopped after a failure",
    "failing": "; stopped, because the first trials all failed in the same way",
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
    """Declare the options that 'run' and 'resume' share; all but `yes` are passed on as they are."""
    options = (
        click.option("--jobs", type=WholeRange(min=1), metavar="N", help="Run N trials at a time."),
        click.option("--trials", type=WholeRange(min=1), metavar="N", help="Run N trials in all."),
        click.option(
            "--time-limit",
            metavar="TIME",
            help="Start no trial after this time: seconds, 2h or '1h 30m'.",
        ),
        click.option(
            "--retries",
            type=WholeRange(min=0),
            metavar="N",
            help="Repeat a trial that was killed from outside up to N times.",
        ),
        click.option(
            "--retry-failed",
            is_flag=True,
            help="Repeat the trials that failed earlier; that needs no larger budget.",
        ),
        click.option("--stop-on-failure", is_flag=True, help="Start no more trials after a failure."),
        click.option(
            "--keep-going", is_flag=True, help="Go on even if the first trials all fail in the same way."
        ),
        click.option(
            "--args",
            metavar="FORM",
            help="Write the params as options of this form, like '--{key}={value}' for argparse.",
        ),
        click.option("--dashes", is_flag=True, help="With --args: --batch-size instead of --batch_size."),
        click.option(
            "--flags", is_flag=True, help="With --args: --amp if amp is true, nothing if it is false."
        ),
        yes_option,
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
    /,
    file: str,
    command: Sequence[str],
    jobs: int | None,
    trials: int | None,
    time_limit: str | None,
    name: str | None,
    yes: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Run the sweep that FILE describes, or continue it.

    COMMAND runs once for each trial. {KEY} in it stands for the value of a param. The other params are added
    as words KEY=VALUE, at the end or in place of {overrides}; --args adds them as options instead. The run that
    COMMAND starts belongs to the trial, and the metric that it logs is the trial's value. The output of COMMAND
    is stored as the artifact output.txt of the run. Ctrl-C asks the commands to end; a second Ctrl-C kills
    them.

    If the first trials all fail, and three of them in the same way within 30 seconds, the sweep stops and shows
    the error. If FILE or COMMAND is not what the sweep began with, the differences are shown, and you are asked
    whether to continue.

    Options replace the values in FILE. --json prints a line for each trial and a last line about the sweep.

    Example: exptrack sweep run sweep.yaml --args '--{key}={value}' -- python train.py
    """
    plan = load_sweep(file)
    if name is not None:
        plan = replace(plan, name=name)
    if not command:
        raise click.UsageError("give the training command after --")
    options |= {"command": command, "jobs": jobs or plan.jobs, "max_trials": trials}
    with Archive(db or find_default_file()) as archive:
        _run(archive, plan, as_json, yes, time_limit=_read_time(time_limit), **options)


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
    /,
    name: str,
    command: Sequence[str],
    jobs: int | None,
    trials: int | None,
    time_limit: str | None,
    yes: bool,
    as_json: bool,
    **options: Any,
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
        options |= {"command": command or None, "jobs": jobs or found.get("jobs"), "max_trials": trials}
        _run(archive, name, as_json, yes, time_limit=_read_time(time_limit), **options)


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


@sweep.command()
@study_argument
@click.option("--with-runs", is_flag=True, help="Also delete the runs of its trials, with all they hold.")
@yes_option
@json_option
@click.pass_obj
def rm(db: str | None, name: str, with_runs: bool, yes: bool, as_json: bool) -> None:
    """Delete a study and its trials.

    The runs of the trials stay, unless --with-runs is given. This cannot be undone. A study with a trial that
    may be running is refused.

    Example: exptrack sweep rm digits --with-runs
    """
    from exptrack.terminal.console import format_count, safe

    with open_archive(db, writing=True) as archive:
        trials = archive.trials(name)
        runs = sum(trial.run_id is not None for trial in trials) if with_runs else 0
        what = format_count(len(trials), "trial")
        if with_runs:
            what += f" and {format_count(runs, 'run')}"
        confirm(f"Delete study {name!r} with {what}?", yes)
        with show_status("deleting"):
            deleted = archive.delete_study(name, with_runs=with_runs, only_ended=True)
    print_json_or_text(
        as_json,
        {"study": name, "trials": deleted, "runs": runs},
        safe(f"deleted study {name!r} with {what}"),
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


def _run(
    archive: Archive, sweep: SweepPlan | str, as_json: bool, yes: bool, *, jobs: int | None, **options: Any
) -> None:
    """Run a sweep and print each trial when it ends: a line of text, or a line of JSON."""
    # The output of several commands at once would be mixed.
    streams = jobs == 1 and not as_json

    def start(**more: Any) -> SweepReport:
        return archive.run_sweep(
            sweep,
            jobs=jobs,
            before=None if as_json else _print_plan,
            after=_print_fact if as_json else _make_teller(streams),
            listener=_pass_on if streams else None,
            **options,
            **more,
        )

    try:
        with keep_working():
            try:
                report = start()
            except SweepDiffersError as differs:
                if _is_mended(archive, differs):
                    _tell_of_mended(differs.name)
                elif not differs.may_continue or not (yes or can_ask()):
                    raise
                else:
                    _ask_about(differs, yes)
                report = start(accept_changes=True)
            _conclude(report, as_json)
    except KeyboardInterrupt:
        name = sweep if isinstance(sweep, str) else sweep.name
        click.echo(f"interrupted; `exptrack sweep resume {quote(name)} --retry` continues it", err=True)
        raise


def _ask_about(differs: SweepDiffersError, yes: bool) -> None:
    """Tell how a sweep differs from what it began with, and ask whether it continues so."""
    from exptrack.terminal.console import safe

    words = f"sweep {differs.name!r} began with another {' and '.join(differs.differing)}"
    for line in (words, *(f"  {line}" for line in differs.changes)):
        click.echo(safe(line), err=True)
    confirm("Continue with the new one? Earlier trials stay.", yes)


def _is_mended(archive: Archive, differs: SweepDiffersError) -> bool:
    """Whether only the command differs, and no trial is there that a question could protect."""
    counts = archive.study(differs.name).info.counts
    worked = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING)
    return differs.differing == ("command",) and not any(counts.get(state) for state in worked)


def _tell_of_mended(name: str) -> None:
    from exptrack.terminal.console import safe

    words = f"sweep {name!r} takes the new command; no trial has worked with the earlier one"
    click.echo(safe(words), err=True)


def _print_plan(plan: SweepPlan) -> None:
    from exptrack.terminal.console import open_console, safe
    from exptrack.terminal.studies import describe_plan

    open_console().print(safe(describe_plan(plan)), soft_wrap=True)
    sys.stdout.flush()


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
        error = {"reason": report.reason, "tail": report.tail}
        print_json_line(facts | {"ended": report.ended} | best | error)
    else:
        words = f"{report.study}: {counts or 'no trial was started'}{ENDINGS[report.ended]}"
        if not count and report.ended == "done":
            words = f"{report.study} has all its trials already; --trials N allows more"
        if report.best_number is not None:
            words += f"; best {format_number(report.best_value)} (#{report.best_number})"
        out = open_console()
        out.print(safe(words), soft_wrap=True)
        for line in report.tail:
            out.print(f"     | {safe(line)}", soft_wrap=True, markup=False, highlight=False)
        if "error: unrecognized arguments: " in (report.reason or ""):
            out.print(f"If the script reads its options with argparse, add {ARGPARSE}.", highlight=False)
        if report.ended == "failing":
            again = f"exptrack sweep resume {quote(report.study)} --retry-failed"
            out.print(safe(f"Once that is mended, `{again}` repeats them."), soft_wrap=True)
    if report.ended == "failure" or (count and count == report.counts[TrialState.FAIL]):
        sys.exit(FAILED_EXIT)
