"""Functions for short scripts: each calls the method of the same name on the default archive.

Invariants: no function adds behaviour of its own. The default archive is looked up at every call. Only
`start_run` makes the file if there is none. A function that only reads works on an archive that cannot be
written, too.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from exptrack.archive.archive import Archive
from exptrack.errors import ArchiveReadOnlyError, ArchiveTooNewError
from exptrack.extras import require_optuna

if TYPE_CHECKING:
    from datetime import datetime

    from exptrack.analysis.records import RunChanges, RunComparison
    from exptrack.analysis.run_diff import RunDiff
    from exptrack.artifacts.records import GcReport
    from exptrack.portable.verification import VerifyReport
    from exptrack.query.details import RunDetail
    from exptrack.query.run_filter import RunFilter
    from exptrack.records import Event, RunSummary
    from exptrack.sweeps.trial import Trial
    from exptrack.tracking.run import Run


@contextmanager
def _readable() -> Iterator[Archive]:
    """Yield the default archive; if it cannot be written, opened for reading and for this call alone."""
    archive: Archive | None = None
    with suppress(ArchiveReadOnlyError, ArchiveTooNewError):
        archive = Archive.default(create=False)
    if archive is not None:
        yield archive
        return
    with Archive(mode="ro") as archive:
        yield archive


def start_run(
    config: object = None,
    tags: Iterable[str] = (),
    *,
    name: str | None = None,
    group: str | None = None,
    parent: object = None,
    data: Mapping[str, str | os.PathLike[str]] | Iterable[str | os.PathLike[str]] | None = None,
    system_metrics: bool | float = False,
    external_id: str | None = None,
    at_exit: str = "interrupt",
    on_error: str | None = None,
    started_at: datetime | None = None,
    code: Mapping[str, object] | None = None,
    environment: Mapping[str, object] | None = None,
    owner: str = "process",
    lease_s: float | None = None,
) -> Run:
    """Start a run in the default archive, and make the archive if there is none. Commits.

    Use the result in a ``with`` block: its end completes the run, an exception fails it.

    Args:
        config: what the run is given: a mapping, a dataclass, a pydantic model, a Namespace, an ExpConfig.
        tags: words to find the run by.
        name: its name, which need not be unique.
        group: the name of the group to which it belongs.
        parent: the run, or the id of the run, that this run belongs to.
        data: the data it reads: names with references, or references alone; they enter the fingerprint.
        system_metrics: true logs the machine's load every 10 seconds; a number is the interval in seconds.
        external_id: its name in another tracker, by which :func:`find_run` finds it.
        at_exit: ``"interrupt"`` or ``"complete"``: how it ends if it is open when Python exits.
        on_error: ``"warn"`` leaves out a call of the training loop that fails; ``"raise"`` raises.
        started_at: when it started, if that was earlier.
        code: of a run that this process writes for another one: ``commit``, ``dirty``, ``branch``, ``script``.
        environment: of such a run: ``host``, ``python``, ``platform``.
        owner: ``"process"``, or ``"lease"`` for a run that any process may write and end.
        lease_s: the seconds without a write after which a run with a lease counts as dead.

    :meth:`Archive.start_run` says more about each.

    >>> import exptrack
    >>> with exptrack.start_run({"lr": 0.1}, ["demo"], name="first") as run:
    ...     run.log({"loss": 0.5}, step=0)
    >>> run.name, str(run.status), run.metrics
    ('first', 'completed', {'loss': 0.5})

    Raises:
        ConfigError: the config holds a value that has no form in a config.
        InvalidTypeError, InvalidValueError: an argument cannot be stored; the message names it.
        ExternalIdError: another run has this external id; the error names the run.
        RunNotFoundError: no run has the id `parent`.
        AmbiguousRunError: it means several runs.
    """
    return Archive.default().start_run(
        config,
        tags,
        name=name,
        group=group,
        parent=parent,
        data=data,
        system_metrics=system_metrics,
        external_id=external_id,
        at_exit=at_exit,
        on_error=on_error,
        started_at=started_at,
        code=code,
        environment=environment,
        owner=owner,
        lease_s=lease_s,
    )


def resume_run(
    run_id: object,
    *,
    from_step: int | None = None,
    take_over: bool = False,
    system_metrics: bool | float = False,
    at_exit: str = "interrupt",
    on_error: str | None = None,
    owner: str = "process",
    lease_s: float | None = None,
) -> Run:
    """Reopen a run of the default archive that has ended or whose process died, to go on with it. Commits.

    Args:
        run_id: its id, the begin or the end of it, or what else means the run, such as ``"latest"``.
        from_step: hide what the run logged past this step, as of a checkpoint that the script has loaded.
        take_over: resume it even if another host still claims to write it.
        system_metrics: true logs the machine's load every 10 seconds; a number is the interval in seconds.
        at_exit: ``"interrupt"`` or ``"complete"``: how it ends if it is open when Python exits.
        on_error: ``"warn"`` leaves out a call of the training loop that fails; ``"raise"`` raises.
        owner: ``"process"``, or ``"lease"`` for a run that any process may write and end.
        lease_s: the seconds without a write after which a run with a lease counts as dead.

    :meth:`Archive.resume_run` says more about each.

    >>> import exptrack
    >>> run = exptrack.start_run({"lr": 0.1})
    >>> run.interrupt("out of time")
    >>> with exptrack.resume_run(run.run_id) as again:
    ...     again.log({"loss": 0.4}, step=1)
    >>> again.config["lr"], str(again.status)
    (0.1, 'completed')

    Raises:
        RunNotFoundError: no run has this id.
        AmbiguousRunError: it means several runs.
        RunBusyError: a process is still writing the run.
        RunTrashedError: the run is in the trash.
    """
    return Archive.default(create=False).resume_run(
        run_id,
        from_step=from_step,
        take_over=take_over,
        system_metrics=system_metrics,
        at_exit=at_exit,
        on_error=on_error,
        owner=owner,
        lease_s=lease_s,
    )


def list_runs(run_filter: RunFilter | None = None, *, limit: int | None = None) -> list[RunSummary]:
    """List runs of the default archive, the newest first.

    Args:
        run_filter: a :class:`RunFilter` that admits some of them; by default all.
        limit: at most so many runs.

    The list is a table in a notebook, and has ``to_pandas()``. For filters in words, and other orders, see
    :meth:`Archive.runs`.

    >>> import exptrack
    >>> exptrack.start_run(name="first").complete()
    >>> [run.name for run in exptrack.list_runs(limit=5)]
    ['first']
    """
    with _readable() as archive:
        return archive.list_runs(run_filter, limit=limit)


def find_run(*, external_id: str) -> RunSummary:
    """Return the run of the default archive that was started with an external id.

    Args:
        external_id: the name of the run in another tracker, as it was given to :func:`start_run`.

    >>> import exptrack
    >>> exptrack.start_run(name="first", external_id="wandb:abc").complete()
    >>> exptrack.find_run(external_id="wandb:abc").name
    'first'

    Raises:
        RunNotFoundError: no run has this external id.
    """
    with _readable() as archive:
        return archive.find_run(external_id=external_id)


def show_run(run_id: object) -> RunDetail:
    """Return everything about one run of the default archive.

    Args:
        run_id: its id, the begin or the end of it, or what else means the run, such as ``"latest"``.

    >>> import exptrack
    >>> exptrack.start_run({"lr": 0.1}).complete()
    >>> exptrack.show_run("latest").config
    {'lr': 0.1}

    Raises:
        RunNotFoundError: no run has this id.
        AmbiguousRunError: it means several runs.
    """
    with _readable() as archive:
        return archive.show_run(run_id)


def diff_runs(run_a: object, run_b: object) -> RunDiff:
    """Compare two runs of the default archive: the config keys that differ, and the metrics of both.

    Args:
        run_a: one run: its id, or what else means it.
        run_b: the other run.

    >>> import exptrack
    >>> for lr in (0.1, 0.2):
    ...     exptrack.start_run({"lr": lr, "seed": 1}).complete()
    >>> [(one.key, one.a, one.b) for one in exptrack.diff_runs("latest~1", "latest").config]
    [('lr', 0.1, 0.2)]

    Raises:
        RunNotFoundError: no run has one of the ids.
        AmbiguousRunError: one of them means several runs.
    """
    with _readable() as archive:
        return archive.diff_runs(run_a, run_b)


def compare(run_ids: object, *, all_keys: bool = False) -> RunComparison:
    """Compare runs of the default archive side by side: config keys, what set each, and metrics.

    Args:
        run_ids: the runs: ids or records, each once.
        all_keys: list every config key, also those in which the runs agree.

    >>> import exptrack
    >>> for lr in (0.1, 0.2):
    ...     exptrack.start_run({"lr": lr, "seed": 1}).complete()
    >>> [(one.key, one.values) for one in exptrack.compare(["latest~1", "latest"]).config]
    [('lr', (0.1, 0.2))]

    Raises:
        RunNotFoundError: no run has one of the ids.
        AmbiguousRunError: one of them means several runs.
        InvalidValueError: `run_ids` is empty.
    """
    with _readable() as archive:
        return archive.compare(run_ids, all_keys=all_keys)


def what_changed(run_id: object) -> RunChanges | None:
    """Compare a run of the default archive with the run before it: config, code, data, environment, metrics.

    Args:
        run_id: the run: its id, or what else means it.

    The run before it is the newest earlier run with the same script, else of the same name, else of the same
    group. Returns None if there is none of these.

    >>> import exptrack
    >>> for lr in (0.1, 0.2):
    ...     exptrack.start_run({"lr": lr}, name="same").complete()
    >>> [(one.key, one.a, one.b) for one in exptrack.what_changed("latest").config]
    [('lr', 0.1, 0.2)]

    Raises:
        RunNotFoundError: no run has this id.
        AmbiguousRunError: it means several runs.
    """
    with _readable() as archive:
        return archive.what_changed(run_id)


def best_run(metric: str, direction: str, *, by: str = "last") -> RunSummary | None:
    """Return the completed run of the default archive with the best value of a metric; None if none qualifies.

    Args:
        metric: its name; ``"loss.min"`` chooses the value of a run, too.
        direction: ``"minimize"`` or ``"maximize"``, or short ``"min"`` or ``"max"``.
        by: the value of a run that counts: ``"last"``, ``"min"`` or ``"max"``.

    NaN, the infinities and pruned trials never win.

    >>> import exptrack
    >>> for loss in (0.5, 0.2):
    ...     with exptrack.start_run() as run:
    ...         run.log({"loss": loss})
    >>> exptrack.best_run("loss", "min").metrics
    {'loss': 0.2}

    Raises:
        MetricNotFoundError: no run has logged such a metric.
        InvalidValueError: `metric` and `by` say different values.
    """
    with _readable() as archive:
        return archive.best_run(metric, direction, by=by)


def append_event(run_id: object, kind: str, data: Mapping[str, Any] | None = None) -> None:
    """Add an event to a run of the default archive, also after its end. Commits.

    Args:
        run_id: the run: its id, or what else means it.
        kind: a word for what happened.
        data: facts about it, as JSON can hold them.

    >>> import exptrack
    >>> exptrack.start_run().complete()
    >>> exptrack.append_event("latest", "published", {"where": "arXiv"})
    >>> exptrack.read_events("latest")[-1].kind
    'published'

    Raises:
        RunNotFoundError: no run has this id.
        AmbiguousRunError: it means several runs.
    """
    Archive.default(create=False).append_event(run_id, kind, data)


def read_events(run_id: object) -> tuple[Event, ...]:
    """Return what happened to a run of the default archive, the oldest event first.

    Args:
        run_id: the run: its id, or what else means it.

    >>> import exptrack
    >>> exptrack.start_run().complete()
    >>> [event.kind for event in exptrack.read_events("latest")]
    ['start', 'end']

    Raises:
        RunNotFoundError: no run has this id.
        AmbiguousRunError: it means several runs.
    """
    with _readable() as archive:
        return archive.read_events(run_id)


def gc_artifacts() -> GcReport:
    """Remove the bytes of the default archive that no artifact names, and give their space back. Commits.

    Deleting runs and artifacts already does this. A call also removes the bytes that killed processes left.

    >>> import exptrack
    >>> exptrack.start_run().complete()
    >>> exptrack.gc_artifacts().blobs
    0

    Raises:
        ArchiveCorruptError: an artifact names bytes that are missing; nothing is deleted.
    """
    return Archive.default(create=False).gc_artifacts()


def verify() -> VerifyReport:
    """Check the default archive: every row, point, checksum and byte. Returns the problems that it found.

    >>> import exptrack
    >>> exptrack.start_run().complete()
    >>> exptrack.verify().problems
    ()
    """
    with _readable() as archive:
        return archive.verify()


def current_trial() -> Trial | None:
    """Return the trial for which a sweep runs this script, or None (at no cost) if no sweep runs it.

    The trial is read from the default archive, which the sweep sets. Run with ``trial.params`` or
    ``trial.config``; give up when ``trial.should_prune()`` is true.

    >>> import exptrack
    >>> trial = exptrack.current_trial()
    >>> 0.1 if trial is None else trial.params["lr"]
    0.1

    Raises:
        MissingPackageError: Optuna is not installed.
    """
    from exptrack.runs.trial_link import read_trial_variable

    if read_trial_variable() is None:
        return None
    require_optuna()
    from exptrack.sweeps.trial import attached_trial

    return attached_trial()
