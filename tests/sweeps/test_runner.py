"""Running a sweep: what a command gets, what becomes of its trial, and how the whole goes on and ends."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exptrack import (
    Archive,
    ArchiveFullError,
    ArtifactStore,
    ConfigError,
    Dimension,
    ExpConfig,
    InvalidTypeError,
    InvalidValueError,
    Pruner,
    RunStatus,
    Sampler,
    StudyNotFoundError,
    SweepDiffersError,
    SweepPlan,
    SweepTrial,
    TrialRecord,
    TrialState,
    load_exp_config,
    parse_cli_overrides,
)
from exptrack.sweeps import runner as sweeprunner
from exptrack.sweeps.command import TrialCommand
from tests.strategies import FLOATS, INT64, TEXTS, exactly

ROOMY = settings(deadline=None)
GRID = SweepPlan(
    "grid",
    "acc",
    "maximize",
    {"lr": Dimension("choice", choices=(0.1, 0.2, 0.3))},
    sampler=Sampler.grid(seed=1),
)
TRAINS = """
import sys, exptrack
config = exptrack.load_exp_config(".", exptrack.parse_cli_overrides(sys.argv), defaults={"lr": 1.0})
with exptrack.start_run(config) as run:
    for step in range(3):
        run.log({"acc": config.get_float("lr") * [1, 3, 2][step]}, step)
    print("trained with", config.get("lr"))
"""


@pytest.fixture(autouse=True)
def _config(tmp_path: Path) -> None:
    (tmp_path / "config.sdn").write_text("lr: 0.5\nseed: 1\n")


def command_words(words: list[str], params: dict[str, Any], *form: Any) -> list[str]:
    return TrialCommand(tuple(words), *form).fill(params)


def script(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def branches(code: dict[str, str]) -> tuple[SweepPlan, list[str]]:
    """A grid with a trial for each of these, in which that code is run."""
    space = {"kind": Dimension("choice", choices=tuple(code))}
    head = "import os, sys, signal, json, exptrack\nkind = json.loads(os.environ['EXPTRACK_PARAMS'])['kind']\n"
    body = "".join(f"if kind == {name!r}:\n    {text}\n" for name, text in code.items())
    return replace(GRID, space=space, jobs=2, pruner=Pruner.none()), script(head + body)


def by_kind(archive: Archive) -> dict[str, TrialRecord]:
    return {trial.params["kind"]: trial for trial in archive.trials("grid")}


def output_of(archive: Archive, trial: TrialRecord) -> str:
    return str(archive.get_run(trial.run_id).artifacts.get_blob("output.txt"))


# What a command gets


def test_a_trial_is_a_run_with_its_params_and_all_its_command_wrote(archive: Archive) -> None:
    told: list[SweepTrial] = []
    report = archive.run_sweep(GRID, script(TRAINS), after=told.append)
    assert (report.study, report.ended, report.best_value) == ("grid", "done", 0.3 * 2)
    assert report.counts == {TrialState.COMPLETE: 3, TrialState.PRUNED: 0, TrialState.FAIL: 0}
    trials = archive.trials("grid")
    assert [done.trial for done in told] == trials
    assert told[-1].best_number == report.best_number
    assert sorted(trial.params["lr"] for trial in trials) == [0.1, 0.2, 0.3]
    for trial in trials:
        lr = trial.params["lr"]
        assert trial.values == (lr * 2,)
        run = archive.show_run(trial.run_id)
        assert (run.summary.group, run.summary.name) == ("grid", f"grid #{trial.number}")
        assert (run.config, str(run.config_sources["lr"])) == ({"lr": lr, "seed": 1}, f"override lr={lr}")
        assert output_of(archive, trial) == f"trained with {lr}\n"


@pytest.mark.parametrize(("reduce", "best"), [("last", 0.2), ("min", 0.1), ("max", 0.3)])
def test_a_trials_value_is_the_metrics_last_least_or_greatest(
    reduce: str, best: float, archive: Archive
) -> None:
    plan = replace(GRID, reduce=reduce, space={"lr": Dimension("choice", choices=(0.1,))})
    report = archive.run_sweep(plan, script(TRAINS))
    assert report.best_value == pytest.approx(best)


def test_the_overrides_stand_where_the_command_wants_them() -> None:
    params = {"a.b": 1, "name": "two words", "on": True}
    words = ["a.b=1", "name=two words", "on=true"]
    assert command_words(["x", "y"], params) == ["x", "y", *words]
    assert command_words(["x", "{overrides}", "y"], params) == ["x", *words, "y"]
    assert command_words(["sh", "-c", "x {overrides} | y"], params) == [
        "sh",
        "-c",
        "x a.b=1 'name=two words' on=true | y",
    ]


@ROOMY
@given(
    st.dictionaries(
        st.sampled_from(["a", "b.c", 'd."e.f"']),
        st.one_of(st.none(), st.booleans(), INT64, FLOATS, TEXTS.filter(lambda text: "\0" not in text)),
    )
)
def test_overrides_bring_params_across_with_their_types(params: dict[str, Any]) -> None:
    config = ExpConfig({})
    for word in parse_cli_overrides(command_words(["train.py"], params)):
        config = config.with_override(*word.split("=", 1))
    assert exactly({key: config[key] for key in params}) == exactly(params)


def test_a_choice_may_select_a_file(archive: Archive, tmp_path: Path) -> None:
    (tmp_path / "configs/lr").mkdir(parents=True)
    (tmp_path / "configs/lr/high.sdn").write_text("lr: {now: 0.9}\n")
    code = """
import sys, exptrack
config = exptrack.load_exp_config(".", exptrack.parse_cli_overrides(sys.argv))
with exptrack.start_run(config) as run:
    run.log({"acc": config.get_float("lr.now")})
"""
    plan = replace(GRID, space={"lr": Dimension("choice", choices=("high",))})
    assert archive.run_sweep(plan, script(code)).best_value == 0.9


def test_a_command_that_reports_to_its_trial_needs_no_overrides(archive: Archive) -> None:
    code = """
import exptrack
trial = exptrack.current_trial()
assert trial.config.get("depth") == 3
for step in range(3):
    trial.report(step, trial.params["lr"] * [1, 3, 2][step])
"""
    plan = replace(GRID, base=ExpConfig({"depth": 3}), reduce="max")
    report = archive.run_sweep(plan, script(code))
    assert report.best_value == pytest.approx(0.9)
    trial = archive.trials("grid")[0]
    run = archive.show_run(trial.run_id)
    lr = trial.params["lr"]
    assert (run.summary.status, run.config) == (RunStatus.COMPLETED, {"depth": 3, "lr": lr})
    assert [point.value for point in archive.get_run(trial.run_id).get_metric("acc")] == list(
        trial.reports.values()
    )


# What becomes of a trial


def test_a_trial_that_brings_no_value_fails_and_says_why(archive: Archive) -> None:
    run = "run = exptrack.start_run({'kind': kind})"
    plan, command = branches(
        {
            "nothing": "print('hello')",
            "code": "print('out'); print('no\\nlicence\\nserver\\nfound', file=sys.stderr); sys.exit(3)",
            "early": "raise LookupError('no data')",
            "raises": f"{run}\n    with run: raise ValueError('too hot')",
            "other": f"{run}\n    with run: run.log({{'accc': 1.0}})",
            "none": f"{run}\n    with run: pass",
            "nan": f"{run}\n    with run: run.log({{'acc': float('nan')}})",
            "left": f"{run}\n    run.log({{'acc': 1.0}})",
            "caught": f"{run}\n    run.log({{'acc': 1.0}}); run.fail('gave in')",
            "killed": f"{run}\n    run.log({{'acc': 1.0}}); os.kill(os.getpid(), signal.SIGKILL)",
        }
    )
    report = archive.run_sweep(plan, command)
    assert report.counts[TrialState.FAIL] == 10
    trials = by_kind(archive)
    assert {kind: trial.reason for kind, trial in trials.items()} == {
        "nothing": "it started no run (exptrack.start_run) that logs acc",
        "code": "exit code 3: licence / server / found",
        "early": "exit code 1: LookupError: no data",
        "raises": "exit code 1: ValueError: too hot",
        "other": "its run logged no acc; did it mean accc?",
        "none": "its run logged no acc",
        "nan": "acc is NaN, which cannot be compared",
        "left": "its run is interrupted: the script ended without complete() or fail();"
        " start the run in a 'with' block",
        "caught": "its run is failed: gave in",
        "killed": "killed by SIGKILL",
    }
    assert all(trial.run_id for trial in trials.values())
    recorded = archive.show_run(trials["code"].run_id)
    assert (recorded.summary.status, recorded.summary.reason) == (RunStatus.FAILED, trials["code"].reason)
    assert recorded.config == {"kind": "code"}
    assert sorted(output_of(archive, trials["code"]).split()) == ["found", "licence", "no", "out", "server"]
    assert output_of(archive, trials["nothing"]) == "hello\n"
    assert "too hot" in output_of(archive, trials["raises"])
    assert archive.get_run(trials["killed"].run_id).status is RunStatus.INTERRUPTED


def test_a_trial_that_was_told_to_give_up_and_did_is_pruned(archive: Archive) -> None:
    reported = "trial.report(0, 1.0); trial.report(3, 0.5)"
    start = f"trial = exptrack.current_trial(); {reported}\n    run = exptrack.start_run(trial.config)"
    plan, command = branches(
        {
            "prunes": f"{start}\n    with run: trial.prune()",
            "raises": f"{start}\n    with run: raise exptrack.TrialPruned",
            "told": f"{start}\n    with run: assert trial.should_prune(); run.log({{'acc': 0.1}})",
            "told and out": f"{start}\n    with run: assert trial.should_prune(); sys.exit(1)",
            "goes on": f"{start}\n    with run: assert trial.should_prune(); trial.report(4, 9.0)",
            "dies": f"{start}\n    assert trial.should_prune(); os.kill(os.getpid(), signal.SIGKILL)",
        }
    )
    # Everything below 5 is to be given up.
    plan = replace(plan, pruner=Pruner.of("ThresholdPruner", lower=5))
    archive.run_sweep(plan, command)
    trials = by_kind(archive)
    assert {kind: str(trial.state) for kind, trial in trials.items()} == {
        "prunes": "pruned",
        "raises": "pruned",
        "told": "pruned",
        "told and out": "pruned",
        "goes on": "complete",
        "dies": "fail",
    }
    assert trials["goes on"].values == (9.0,)
    assert archive.get_run(trials["prunes"].run_id).status is RunStatus.COMPLETED
    assert archive.show_run(trials["raises"].run_id).summary.is_pruned


ONCE = """
import os, signal, exptrack
with exptrack.start_run(exptrack.current_trial().config) as run:
    run.log({"acc": 1.0})
    if int(os.environ["EXPTRACK_TRIAL"].split("/")[1]) < 2:
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize(
    ("retries", "states"), [(0, "fail complete complete"), (1, "fail fail complete complete")]
)
def test_what_was_killed_is_tried_again_with_its_params(retries: int, states: str, archive: Archive) -> None:
    plan = replace(
        GRID, sampler=Sampler.random(seed=1), space={"lr": Dimension("float", 0.0, 1.0)}, retries=retries
    )
    told: list[SweepTrial] = []
    code = ONCE if retries else ONCE.replace("< 2", "< 1")
    # A trial that tries another again is not one of the three.
    archive.run_sweep(plan, script(code), max_trials=3, after=told.append)
    trials = archive.trials("grid")
    assert [str(trial.state) for trial in trials] == states.split()
    study = archive.study("grid")
    retried = [t.system_attrs.get("exptrack:retry_of") for t in study.optuna_study.get_trials()]
    assert retried == ([None, 0, None, None] if retries else [None] * 3)
    assert (trials[0].params == trials[1].params) == bool(retries)
    assert [done.retried for done in told] == ([True, False, False, False] if retries else [False] * 3)


@pytest.mark.parametrize("error", [ArchiveFullError("there is no room"), RuntimeError("anything")])
@pytest.mark.parametrize("code", [TRAINS, "print('no run')"])
def test_what_a_command_prints_decides_nothing_also_where_it_cannot_be_stored(
    archive: Archive,
    error: Exception,
    code: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refuse(*_: object) -> str:
        raise error

    monkeypatch.setattr(ArtifactStore, "register_data", refuse)
    states: list[str] = []
    archive.run_sweep(GRID, script(code), after=lambda done: states.append(str(done.trial.state)))
    assert states == ["complete" if code == TRAINS else "fail"] * 3
    assert [str(trial.state) for trial in archive.trials("grid")] == states
    assert [str(error) in record.getMessage() for record in caplog.records] == [True] * 3
    assert all("not stored" in record.getMessage() for record in caplog.records)


def test_a_run_that_cannot_be_recorded_leaves_its_trial_as_it_ended(
    archive: Archive, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> list[str]:
        raise ArchiveFullError("there is no room")

    monkeypatch.setattr(sweeprunner, "record_runs", refuse)
    code = "import exptrack; exptrack.current_trial().report(0, 0.5)"
    archive.run_sweep(GRID, script(code))
    assert [(str(t.state), t.values, t.run_id) for t in archive.trials("grid")] == [
        ("complete", (0.5,), None)
    ] * 3
    assert len(caplog.records) == 3


# The whole


def test_a_grid_that_was_searched_is_not_searched_again(archive: Archive, tmp_path: Path) -> None:
    (tmp_path / "config.sdn").write_text("lr: 0.5\nn: 1\nx: 0.0\n")
    space = {
        "lr": Dimension("choice", choices=(0.1, 0.2)),
        "n": Dimension("int", 2, 6, 4),
        "x": Dimension("float", 0.0, 0.3, 0.3),
    }
    plan = replace(GRID, space=space, jobs=2)
    assert sum(archive.run_sweep(plan, script(TRAINS)).counts.values()) == 8
    assert len({tuple(trial.params.values()) for trial in archive.trials("grid")}) == 8
    again = archive.run_sweep(plan, script(TRAINS))
    assert (sum(again.counts.values()), again.ended) == (0, "done")


RANDOM = replace(
    GRID, sampler=Sampler.random(seed=1), space={"lr": Dimension("float", 0.1, 1.0, log=True)}, max_trials=2
)


def test_a_sweep_goes_on_where_it_was_with_another_budget(archive: Archive) -> None:
    archive.run_sweep(RANDOM, script(TRAINS))
    assert sum(archive.run_sweep(RANDOM, script(TRAINS)).counts.values()) == 0
    more = replace(RANDOM, max_trials=3, retries=2, time_limit_s=60.0)
    assert sum(archive.run_sweep(more, script(TRAINS)).counts.values()) == 1
    settings = archive.study("grid").settings
    assert (settings["max_trials"], settings["time_limit_s"]) == (3, 60.0)
    assert SweepPlan.from_settings(settings["sweep"]) == more
    report = archive.run_sweep("grid", max_trials=4, jobs=2)
    assert (sum(report.counts.values()), len(archive.trials("grid"))) == (1, 4)
    assert archive.study("grid").settings["sweep"]["jobs"] == 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"metric": "loss"}, "another metric;"),
        ({"direction": "minimize", "reduce": "max"}, "another direction and reduce;"),
        ({"sampler": Sampler.random(seed=2)}, "another sampler;"),
        ({"pruner": Pruner.hyperband()}, "another pruner;"),
        ({"space": {"lr": Dimension("float", 0.1, 2.0, log=True)}}, r"another space \(lr\);"),
        ({"space": {**RANDOM.space, "n": Dimension("int", 1, 2)}}, r"another space \(n\);"),
        ({"base": ExpConfig({"lr": 1})}, "another base;"),
    ],
)
def test_another_sweep_of_the_same_name_is_refused(
    change: dict[str, Any], words: str, archive: Archive
) -> None:
    archive.run_sweep(RANDOM, script(TRAINS), time_limit=1e-9)
    with pytest.raises(SweepDiffersError, match=words):
        archive.run_sweep(replace(RANDOM, **change), script(TRAINS))
    assert archive.trials("grid") == []


def test_a_sweep_that_optuna_refuses_leaves_no_study(archive: Archive) -> None:
    for change in ({"sampler": Sampler.of("NoSuchSampler")}, {"pruner": Pruner.median(warmup=1)}):
        with pytest.raises(InvalidValueError):
            archive.run_sweep(replace(RANDOM, **change), script(TRAINS))
        assert archive.studies() == []


def test_no_trial_begins_after_the_time_limit(archive: Archive) -> None:
    report = archive.run_sweep(RANDOM, script(TRAINS), time_limit=1e-9)
    assert (report.ended, archive.trials("grid")) == ("time", [])
    assert archive.run_sweep(RANDOM, script(TRAINS), time_limit="1h").ended == "done"


def test_a_failure_stops_it_when_asked(archive: Archive) -> None:
    report = archive.run_sweep(replace(RANDOM, max_trials=None), script("exit(1)"), stop_on_failure=True)
    assert (report.ended, report.counts[TrialState.FAIL]) == ("failure", 1)


def test_what_cannot_be_run_is_refused_before_there_is_a_study(archive: Archive) -> None:
    refused: list[tuple[Callable[[], object], type[Exception]]] = [
        (lambda: archive.run_sweep(RANDOM, ["no-such-program"]), InvalidValueError),
        (lambda: archive.run_sweep(RANDOM, []), InvalidTypeError),
        (lambda: archive.run_sweep(RANDOM, "python"), InvalidTypeError),
        (lambda: archive.run_sweep(RANDOM, [sys.executable, "\0"]), InvalidValueError),
        (lambda: archive.run_sweep(RANDOM), InvalidValueError),
        (lambda: archive.run_sweep(RANDOM, script(TRAINS), jobs=0), InvalidValueError),
        (lambda: archive.run_sweep(RANDOM, script(TRAINS), time_limit="soon"), InvalidValueError),
        (lambda: archive.run_sweep("none"), StudyNotFoundError),
    ]
    for call, error in refused:
        with pytest.raises(error):
            call()
        assert archive.studies() == []


def test_a_program_that_cannot_be_started_fails_its_trial_and_ends_the_sweep(
    archive: Archive, tmp_path: Path
) -> None:
    program = tmp_path / "program"
    program.write_text("#!/no/such/interpreter\n")
    program.chmod(0o755)
    with pytest.raises(InvalidValueError, match="cannot run"):
        archive.run_sweep(RANDOM, [str(program)])
    (trial,) = archive.trials("grid")
    assert (trial.state, str(trial.reason).startswith("cannot run")) == (TrialState.FAIL, True)


def test_a_study_of_a_program_is_not_taken_for_a_sweep(archive: Archive) -> None:
    archive.create_study("grid")
    for sweep in (GRID, "grid"):
        with pytest.raises(InvalidValueError, match="was created from Python"):
            archive.run_sweep(sweep, script(TRAINS))


def test_a_command_with_a_secret_is_not_remembered(archive: Archive) -> None:
    command = [*script(TRAINS), "--api-key=0123456789abcdef0123456789abcdef"]
    archive.run_sweep(RANDOM, command, time_limit=1e-9)
    assert archive.study("grid").settings["command"] is None
    with pytest.raises(InvalidValueError, match="remembers no command"):
        archive.run_sweep("grid", time_limit="1h")
    assert sum(archive.run_sweep("grid", script(TRAINS), time_limit=1e-9).counts.values()) == 0
    assert archive.run_sweep("grid", max_trials=1, time_limit="1h").counts[TrialState.COMPLETE] == 1


def test_a_command_is_remembered_without_the_home_it_is_in(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "train.py").write_text(TRAINS)
    monkeypatch.setenv("HOME", str(tmp_path))
    archive.run_sweep(RANDOM, [sys.executable, f"{tmp_path}/train.py"], time_limit=1e-9)
    assert archive.study("grid").settings["command"][1:] == [f"~{os.sep}train.py"]
    assert archive.run_sweep("grid", max_trials=1, time_limit="1h").counts[TrialState.COMPLETE] == 1


def test_secrets_of_the_base_config_are_kept_out_of_reasons_and_output(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAB_TOKEN", "only-for-the-script")
    (tmp_path / "base.sdn").write_text("token: ${env:LAB_TOKEN}\n")
    plan = replace(RANDOM, base=load_exp_config(tmp_path / "base.sdn"))
    code = "import exptrack; raise SystemExit(exptrack.current_trial().config.get('token'))"
    archive.run_sweep(plan, script(code), max_trials=1)
    (trial,) = archive.trials("grid")
    assert trial.reason == "exit code 1: ${env:LAB_TOKEN}"
    assert output_of(archive, trial) == "${env:LAB_TOKEN}\n"
    assert archive.show_run(trial.run_id).summary.reason == trial.reason


def test_no_secret_that_a_command_writes_is_kept(archive: Archive) -> None:
    one = replace(GRID, space={"lr": Dimension("choice", choices=(0.1,))})
    archive.run_sweep(one, script("print('cannot open https://me:hunter2@host/ with password=hunter3')"))
    (trial,) = archive.trials("grid")
    assert output_of(archive, trial) == "cannot open https://***@host/ with password=***\n"


@pytest.mark.parametrize("code", ["pass", TRAINS], ids=["without a run", "with a run"])
def test_a_sweep_may_have_the_longest_name(code: str, archive: Archive) -> None:
    name = "n" * 1000
    report = archive.run_sweep(replace(GRID, name=name), script(code))
    assert sum(report.counts.values()) == 3
    for trial in archive.trials(name):
        run = archive.show_run(trial.run_id).summary
        assert (run.group, run.name) == (name, f"{name[:900]} #{trial.number}")


def test_enqueued_params_outside_the_space_fail_their_trial(archive: Archive) -> None:
    archive.run_sweep(replace(GRID, max_trials=1), script(TRAINS))
    archive.study("grid").enqueue({"lr": "high"})
    with pytest.raises(InvalidValueError, match="'high' not in"):
        archive.run_sweep("grid", max_trials=3)
    failed = archive.trials("grid")[1]
    assert (failed.state, "'high' not in" in str(failed.reason)) == (TrialState.FAIL, True)


def test_a_study_deleted_while_its_commands_run_ends_them_and_is_missed_in_words(
    archive: Archive, tmp_path: Path
) -> None:
    code = """
import exptrack
exptrack.Archive.default().delete_study("grid")
open("deleted", "w").close()
"""
    with pytest.raises(StudyNotFoundError, match="no study 'grid'"):
        archive.run_sweep(GRID, script(code))
    assert (tmp_path / "deleted").exists()


def test_a_sweep_may_run_in_a_thread_and_be_stopped_from_another(archive: Archive, tmp_path: Path) -> None:
    """Those under way come to their end; nothing new is begun."""
    code = f"""
import os, time, exptrack
with exptrack.start_run() as run:
    run.log({{"acc": 1.0}})
    open({str(tmp_path / "begun")!r} + os.environ["EXPTRACK_TRIAL"].split("/")[1], "w").close()
    while not os.path.exists({str(tmp_path / "go")!r}):
        time.sleep(0.01)
"""
    reports: list[Any] = []
    plan = replace(RANDOM, max_trials=None, jobs=2)
    runner = threading.Thread(target=lambda: reports.append(archive.run_sweep(plan, script(code))))
    runner.start()
    for number in "01":
        while not (tmp_path / f"begun{number}").exists():
            runner.join(0.01)
            assert runner.is_alive()
    assert archive.stop_study("grid") == 2
    (tmp_path / "go").touch()
    runner.join()
    assert (reports[0].ended, reports[0].counts[TrialState.COMPLETE]) == ("stopped", 2)
    more = replace(plan, max_trials=3)
    assert archive.run_sweep(more, script(TRAINS), accept_changes=True).ended == "done"


def test_an_error_of_whoever_is_told_ends_the_sweep_and_its_commands(archive: Archive) -> None:
    def told(_done: SweepTrial) -> None:
        raise RuntimeError("the terminal is gone")

    code = """
import os, time, exptrack
with exptrack.start_run() as run:
    run.log({"acc": 1.0})
    if os.environ["EXPTRACK_TRIAL"] != "grid/0":
        while True:
            time.sleep(0.05)
"""
    with pytest.raises(RuntimeError, match="the terminal is gone"):
        archive.run_sweep(replace(RANDOM, jobs=2), script(code), after=told)
    states = [(str(trial.state), trial.reason) for trial in archive.trials("grid")]
    assert states == [("complete", None), ("fail", "the sweep broke off")]


def test_a_base_config_that_cannot_be_resolved_ends_the_sweep_and_fails_the_trial(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAB_TOKEN", "x")
    (tmp_path / "base.sdn").write_text("token: ${env:LAB_TOKEN}\n")
    archive.run_sweep(
        replace(RANDOM, base=load_exp_config(tmp_path / "base.sdn")), script(TRAINS), max_trials=1
    )
    monkeypatch.delenv("LAB_TOKEN")
    with pytest.raises(ConfigError, match="LAB_TOKEN is not set"):
        archive.run_sweep("grid", max_trials=2)
    assert [str(trial.state) for trial in archive.trials("grid")] == ["complete", "fail"]
    assert "LAB_TOKEN is not set" in str(archive.trials("grid")[1].reason)


def test_a_command_that_does_not_heed_is_killed_in_the_end(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = f"""
import signal, time, exptrack
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, signal.SIG_IGN)
with exptrack.start_run() as run:
    open({str(tmp_path / "begun")!r}, "w").close()
    while True:
        time.sleep(1)
"""
    monkeypatch.setattr(sweeprunner, "PATIENCE_S", 0.1)
    reports: list[Any] = []
    runner = threading.Thread(target=lambda: reports.append(archive.run_sweep(RANDOM, script(code))))
    runner.start()
    while not (tmp_path / "begun").exists():
        runner.join(0.01)
        assert runner.is_alive()
    archive.stop_study("grid", now=True)
    runner.join()
    assert (reports[0].ended, reports[0].counts[TrialState.FAIL]) == ("stopped", 1)
    (trial,) = archive.trials("grid")
    assert str(trial.reason).startswith("stopped by")
    assert archive.get_run(trial.run_id).status is RunStatus.INTERRUPTED


def test_the_settings_of_a_sweep_are_plain_json(archive: Archive) -> None:
    archive.run_sweep(RANDOM, script(TRAINS), time_limit=1e-9)
    (found,) = archive.studies()
    assert json.loads(json.dumps(found.settings)) == found.settings
