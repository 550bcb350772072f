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

    from exptrack.analysis.records import RunChanges, RunComparison, RunDiff
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
    """Call :meth:`Archive.start_run` on the default archive."""
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
    """Call :meth:`Archive.resume_run` on the default archive."""
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
    """Call :meth:`Archive.list_runs` on the default archive."""
    with _readable() as archive:
        return archive.list_runs(run_filter, limit=limit)


def find_run(*, external_id: str) -> RunSummary:
    """Call :meth:`Archive.find_run` on the default archive."""
    with _readable() as archive:
        return archive.find_run(external_id=external_id)


def show_run(run_id: object) -> RunDetail:
    """Call :meth:`Archive.show_run` on the default archive."""
    with _readable() as archive:
        return archive.show_run(run_id)


def diff_runs(run_a: object, run_b: object) -> RunDiff:
    """Call :meth:`Archive.diff_runs` on the default archive."""
    with _readable() as archive:
        return archive.diff_runs(run_a, run_b)


def compare(run_ids: object, *, all_keys: bool = False) -> RunComparison:
    """Call :meth:`Archive.compare` on the default archive."""
    with _readable() as archive:
        return archive.compare(run_ids, all_keys=all_keys)


def what_changed(run_id: object) -> RunChanges | None:
    """Call :meth:`Archive.what_changed` on the default archive."""
    with _readable() as archive:
        return archive.what_changed(run_id)


def best_run(metric: str, direction: str, *, by: str = "last") -> RunSummary | None:
    """Call :meth:`Archive.best_run` on the default archive."""
    with _readable() as archive:
        return archive.best_run(metric, direction, by=by)


def append_event(run_id: object, kind: str, data: Mapping[str, Any] | None = None) -> None:
    """Call :meth:`Archive.append_event` on the default archive."""
    Archive.default(create=False).append_event(run_id, kind, data)


def read_events(run_id: object) -> tuple[Event, ...]:
    """Call :meth:`Archive.read_events` on the default archive."""
    with _readable() as archive:
        return archive.read_events(run_id)


def gc_artifacts() -> GcReport:
    """Call :meth:`Archive.gc_artifacts` on the default archive."""
    return Archive.default(create=False).gc_artifacts()


def verify() -> VerifyReport:
    """Call :meth:`Archive.verify` on the default archive."""
    with _readable() as archive:
        return archive.verify()


def current_trial() -> Trial | None:
    """Return the trial for which a sweep runs this script, or None (at no cost) if no sweep runs it.

    The trial is read from the default archive, which the sweep sets. Run with ``trial.params`` or
    ``trial.config``; give up when ``trial.should_prune()`` is true.

    Raises:
        MissingPackageError: Optuna is not installed.
    """
    from exptrack.runs.trial_link import read_trial_variable

    if read_trial_variable() is None:
        return None
    require_optuna()
    from exptrack.sweeps.trial import attached_trial

    return attached_trial()
