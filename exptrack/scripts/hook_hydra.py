"""Record the config of a job of Hydra, and how the job ended.

Invariants: a single job is the run of the script. Each job of a multirun is a run of its own, in a group, with
the run of the script as its parent. The node ``hydra`` is left out; it has values that are missing.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import wraps
from types import ModuleType
from typing import Any

from exptrack.records import RunStatus
from exptrack.scripts.recorder import Recorder
from exptrack.tracking.adoption import offer, withdraw
from exptrack.tracking.lifecycle import start_run
from exptrack.tracking.run import Run


def install(module: ModuleType, recorder: Recorder) -> None:
    """Wrap the function by which every launcher runs a job."""
    original = module.__dict__["run_job"]

    @wraps(original)
    def run_job(*args: Any, **kwargs: Any) -> Any:
        if not recorder.is_here:
            return original(*args, **kwargs)
        job: Run | None = None
        with recorder.guarding("hydra"):
            config = kwargs["config"] if "config" in kwargs else args[1]
            job = _begin_job(recorder, config)
        if job is None:
            return original(*args, **kwargs)
        if job is recorder.run:
            result = original(*args, **kwargs)
            with recorder.guarding("hydra"):
                _end_job(job, result, is_own=False)
            return result
        with recorder.recording_with(job), job.activate():
            try:
                result = original(*args, **kwargs)
            except BaseException as error:
                withdraw(job)
                with recorder.guarding("hydra"):
                    _interrupt(job, error)
                raise
        withdraw(job)
        with recorder.guarding("hydra"):
            _end_job(job, result, is_own=True)
        return result

    module.__dict__["run_job"] = run_job


def _begin_job(recorder: Recorder, config: Any) -> Run:
    """Return the run of a job that begins, with its config."""
    omegaconf: Any = sys.modules["omegaconf"]
    select = omegaconf.OmegaConf.select
    main = recorder.run
    job, number = main, None
    if str(select(config, "hydra.mode")).rpartition(".")[2] == "MULTIRUN":
        number = select(config, "hydra.job.num")
        name = str(select(config, "hydra.job.name") or "job")
        job = start_run(
            main._connection,
            name=f"{name} {number}",
            group=main.group or f"{name} {main.run_id}",
            parent=main,
            at_exit="complete",
            adopting=False,
        )
        offer(job)
    with recorder.recording_with(job):
        bare = omegaconf.OmegaConf.masked_copy(config, [key for key in config if key != "hydra"])
        values = omegaconf.OmegaConf.to_container(bare, resolve=True, throw_on_missing=False)
        words = [str(word) for word in select(config, "hydra.overrides.task") or ()]
        _record(recorder, values, words)
    return job


def _record(recorder: Recorder, values: dict[str, Any], words: Sequence[str]) -> None:
    """Record a config; the words of the command line tell which of its keys were set there."""
    named = [word.lstrip("+~").partition("=")[0].partition("@")[0].replace("/", ".") for word in words]

    def is_set(path: str) -> bool:
        return any(path == one or path.startswith(f"{one}.") for one in named)

    for chosen in (False, True):
        part = _select("", values, chosen, is_set)
        if part:
            recorder.record_config(part, () if chosen else part.keys(), "hydra")


def _select(path: str, values: dict[str, Any], chosen: bool, is_set: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in values.items():
        where = f"{path}.{key}" if path else str(key)
        if isinstance(value, dict) and value:
            inner = _select(where, value, chosen, is_set)
            if inner:
                found[str(key)] = inner
        elif is_set(where) == chosen:
            found[str(key)] = value
    return found


def _end_job(job: Run, result: Any, *, is_own: bool) -> None:
    """End the run of a job as the job ended. The run of the script goes on after a job that completed."""
    error = result._return_value if getattr(result.status, "name", "") == "FAILED" else None
    if not job._live or job.status is not RunStatus.RUNNING:
        return
    if isinstance(error, BaseException):
        job.fail(error)
    elif is_own:
        job.complete()


def _interrupt(job: Run, error: BaseException) -> None:
    if not job._live or job.status is not RunStatus.RUNNING:
        return
    if isinstance(error, Exception):
        job.fail(error)
    else:
        job.interrupt(f"ended by {type(error).__name__}")
