"""Commands about sweeps: run, resume and stop them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import click
from click.shell_completion import CompletionItem

from exptrack import Archive, ExptrackError, SweepPlan, SweepReport, SweepTrial, TrialState, load_sweep
from exptrack.cli.command import F, json_option, main, open_archive, print_json_line, say

FAILED_EXIT = 1


@main.group()
def sweep() -> None:
    """Search over configs, and look at what was found.

    A sweep file says what is searched; docs/sweeps.md tells how. NAME is the sweep's, which is its study's.
    """


def complete_study(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    try:
        with open_archive(ctx.find_root().params.get("db")) as archive:
            found = archive.studies()
    except ExptrackError:
        # A shell that completes words is no place for an error message.
        return []
    return [CompletionItem(study.name) for study in found if study.name.startswith(incomplete)]


study_argument = click.argument("name", metavar="NAME", shell_complete=complete_study)
command_argument = click.argument("command", nargs=-1, type=click.UNPROCESSED, metavar="[--] COMMAND...")


def running_options(command: F) -> F:
    """What may be said of a sweep that runs, whether it begins or goes on."""
    options = (
        click.option("--jobs", type=click.IntRange(min=1), help="So many trials at the same time."),
        click.option("--trials", type=click.IntRange(min=1), help="So many trials in all."),
        click.option(
            "--time-limit", metavar="TIME", help="Begin no trial after it: seconds, or like 2h or '1h 30m'."
        ),
        click.option(
            "--retries",
            type=click.IntRange(min=0),
            help="Try so many times again what was killed from outside.",
        ),
        click.option("--stop-on-failure", is_flag=True, help="Begin no more trials after one that failed."),
    )
    for option in reversed(options):
        command = option(command)
    return command


@sweep.command()
@click.argument("file", type=click.Path())
@command_argument
@running_options
@click.option("--name", help="The name of the sweep, instead of the one in the file.")
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
    """Run the sweep that FILE describes, or go on with it.

    COMMAND is run for each trial, with the trial's params behind it as words KEY=VALUE, or in the place of
    {overrides}. Its run is the trial's: what that logs of the metric is the trial's value. What it prints is
    kept as the artifact output.txt of the run. Ctrl-C ends the commands, a second one kills them.

    Options replace what FILE says. --json prints a line for each trial, and a last one about all.

    Example: exptrack sweep run sweep.sdn --jobs 2 -- python train.py
    """
    plan = load_sweep(file)
    if name is not None:
        plan = replace(plan, name=name)
    if not command:
        raise click.UsageError("say which command trains, after --")
    with Archive(db) as archive:
        _run(
            archive,
            plan,
            as_json,
            command=command,
            jobs=jobs or plan.jobs,
            max_trials=trials,
            time_limit=_time(time_limit),
            retries=retries,
            stop_on_failure=stop_on_failure,
        )


@sweep.command()
@study_argument
@command_argument
@running_options
@click.option("--retry", is_flag=True, help="Try again what died or was interrupted.")
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
    as_json: bool,
) -> None:
    """Go on with a sweep, by the plan and the command it remembers.

    Trials whose process has died are failed first. Options and COMMAND replace what it remembers, as in 'run'.

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
            time_limit=_time(time_limit),
            retries=retries,
            stop_on_failure=stop_on_failure,
            retry=retry,
        )


@sweep.command()
@study_argument
@click.option("--now", is_flag=True, help="End the trials under way too; they count as failed.")
@json_option
@click.pass_obj
def stop(db: str | None, name: str, now: bool, as_json: bool) -> None:
    """Ask whoever runs a sweep to begin no more trials.

    Works from another terminal, or another machine that sees the file.

    Example: exptrack sweep stop digits
    """
    with open_archive(db, writing=True) as archive:
        running = archive.stop_study(name, now=now)
    trials = f"{running} trial{'s' * (running != 1)} running"
    say(as_json, {"study": name, "now": now, "running": running}, f"asked to stop {name}: {trials}")


def _time(text: str | None) -> float | str | None:
    """A time limit: a bare number is one of seconds."""
    try:
        return None if text is None else float(text)
    except ValueError:
        return text


def _run(archive: Archive, sweep: SweepPlan | str, as_json: bool, *, jobs: int | None, **options: Any) -> None:
    """Run a sweep and tell of it: to people as it goes, to programs in lines of JSON."""
    # Several commands at once would speak into each other's words.
    streams = jobs == 1 and not as_json
    try:
        report = archive.run_sweep(
            sweep,
            jobs=jobs,
            after=_print_fact if as_json else _teller(streams),
            listener=_pass_on if streams else None,
            **options,
        )
    except KeyboardInterrupt:
        name = sweep if isinstance(sweep, str) else sweep.name
        click.echo(f"interrupted; 'exptrack sweep resume {name} --retry' goes on with it", err=True)
        raise
    _conclude(report, as_json)


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


def _teller(streams: bool) -> Callable[[SweepTrial], None]:
    from rich.text import Text

    from exptrack.terminal import console as render
    from exptrack.terminal import studies as studyscreen

    out = render.console()

    def tell(done: SweepTrial) -> None:
        trial = done.trial
        line = Text(f"#{trial.number}".ljust(5), style="bold")
        line.append(studyscreen.state_word(trial.state).ljust(10), style=studyscreen.STATE_STYLES[trial.state])
        line.append(render.number(trial.values[0] if trial.values else None).rjust(10))
        best = (
            "" if done.best_number is None else f"best {render.number(done.best_value)} (#{done.best_number})"
        )
        line.append(f"  {best.ljust(22)}  ", style="dim")
        params = ((key, render.number(v) if isinstance(v, float) else v) for key, v in trial.params.items())
        line.append(render.safe(" ".join(f"{key}={render.value_text(value)}" for key, value in params)))
        out.print(line, soft_wrap=True)
        if trial.state == TrialState.FAIL:
            again = "; it is tried again" if done.retried else ""
            out.print(Text(f"     {render.safe(trial.reason)}{again}", style="red"), soft_wrap=True)
            for words in () if streams else done.tail:
                out.print(Text(f"     | {render.safe(words)}", style="dim"), soft_wrap=True)
        sys.stdout.flush()

    return tell


ENDINGS = {
    "done": "",
    "time": "; the time is over",
    "stopped": "; stopped",
    "failure": "; stopped after a failure",
}


def _conclude(report: SweepReport, as_json: bool) -> None:
    """The last line, and the exit code: a sweep of which nothing succeeded has failed."""
    from exptrack.terminal import console as render
    from exptrack.terminal import studies as studyscreen

    count = sum(report.counts.values())
    counts = ", ".join(
        f"{count} {studyscreen.state_word(state)}" for state, count in report.counts.items() if count
    )
    if as_json:
        facts = {"study": report.study, "counts": {str(s): n for s, n in report.counts.items()}}
        best = {"best_number": report.best_number, "best_value": report.best_value}
        print_json_line(facts | {"ended": report.ended} | best)
    else:
        words = f"{report.study}: {counts or 'no trial was begun'}{ENDINGS[report.ended]}"
        if not count and report.ended == "done":
            words = f"{report.study} has all its trials already; --trials lets it go on"
        if report.best_number is not None:
            words += f"; best {render.number(report.best_value)} (#{report.best_number})"
        render.console().print(render.safe(words), soft_wrap=True)
    if report.ended == "failure" or (count and count == report.counts[TrialState.FAIL]):
        sys.exit(FAILED_EXIT)
