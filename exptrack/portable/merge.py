"""Merge other archives into an open one.

Begin with `merge_archives`. ``history`` has the rule by which copies of one run become one, ``merge_studies``
that for studies, and ``foreign`` opens the other files, which may be anybody's.

Invariants:

- Runs come whole, in batches of one transaction each with the artifacts that they name. So a merge that is
  killed leaves whole runs, and the next one takes the rest.
- A file that brings nothing new changes no byte.
- Nothing is stored before its checksums are proved. A run that is damaged is left out and reported.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from exptrack.artifacts.blobs import Intake
from exptrack.database.connection import Connection
from exptrack.database.disk import reading_file
from exptrack.database.failures import DAMAGE
from exptrack.errors import (
    ArchiveCorruptError,
    ArchiveLockedError,
    ArchiveMovedError,
    ArchiveNotFoundError,
    ArchiveTooNewError,
    NotAnArchiveError,
)
from exptrack.metrics.journal_file import list_journals
from exptrack.metrics.recovery import store_points
from exptrack.portable.ahead import Ahead
from exptrack.portable.containment import contains_points
from exptrack.portable.content_proofs import ContentProof
from exptrack.portable.differences import Known, Unknown, find_unknown
from exptrack.portable.external_ids import settle_external_id, take_external_id
from exptrack.portable.findings import Tell
from exptrack.portable.foreign import (
    Source,
    identify_file,
    look_at_source,
    open_source,
    require_present,
)
from exptrack.portable.history import Branch, Copy, assign_places, is_stored, origin_of, resolve
from exptrack.portable.merge_groups import find_new_groups, merge_groups
from exptrack.portable.merge_page_views import find_new_page_views, merge_page_views, prove_page_views
from exptrack.portable.merge_records import Fork, LeftOut, MergedFile, MergeReport
from exptrack.portable.merge_studies import find_new_studies, merge_studies
from exptrack.portable.merge_writers import is_written_here
from exptrack.portable.point_proofs import PointProofs
from exptrack.portable.proofs import prove_runs
from exptrack.portable.run_checks import name_run
from exptrack.portable.run_copier import RunCopier, collect_blobs
from exptrack.portable.run_rows import RUNS_AT_ONCE, RunRows, delete_details, delete_series, read_runs
from exptrack.portable.spools import Given, clear_folders, expand_folders, settle_folders
from exptrack.portable.stranger_values import MOST_PROBLEMS
from exptrack.portable.study_proofs import prove_groups, prove_studies
from exptrack.runs.identity import ID_TIME_CHARS
from exptrack.runs.row_sums import OF_RUN, sum_all

UNREADABLE = (
    ArchiveNotFoundError,
    NotAnArchiveError,
    ArchiveTooNewError,
    ArchiveCorruptError,
    ArchiveLockedError,
    ArchiveMovedError,
)
PROVED_AT_ONCE = 20  # runs, without a pause
TRIES = 10  # to store contents that others remove meanwhile
HERE, THERE = "main", "source"  # the schemas of the archive and of the file that is merged

ROW_IDS = "SELECT run_id, id FROM run"
POINTS_OF_RUN = """
SELECT coalesce(sum(s.count), 0) FROM run AS r JOIN metric_series AS s ON s.run = r.id WHERE r.run_id = ?
"""
RUNNING = "SELECT run_id FROM run WHERE status = 'running'"
FORKS = "SELECT run FROM event WHERE kind = 'fork'"
# Runs by the beginnings of their ids, and whether each may be a fork.
RUNS_OF_TIMES = """
SELECT r.id, r.run_id, EXISTS (SELECT 1 FROM event AS e WHERE e.run = r.id AND e.kind = 'fork')
FROM json_each(?) AS t CROSS JOIN run AS r ON r.run_id >= t.value AND r.run_id < t.value || '~'
ORDER BY r.run_id
"""
STORED_SUM = "SELECT rows_sum FROM run WHERE id = ?"


def merge_archives(
    connection: Connection,
    sources: Sequence[str | os.PathLike[str]],
    *,
    dry_run: bool = False,
    remove: bool = False,
    tell: Tell = lambda _file, _done, _total: None,
) -> MergeReport:
    """Merge files; see :meth:`exptrack.Archive.merge`."""
    for path in sources:
        require_present(path)  # before anything is written
    if remove and not dry_run:
        settle_folders(sources)
    merged: list[MergedFile] = []
    seen = {identify_file(connection.place)}
    known = Known(connection)
    for given in expand_folders(sources):
        if given.path and (identity := identify_file(given.path)) not in seen:
            seen.add(identity)
            merged.append(_merge_given(known, given, dry_run, tell))
        if given.missing:
            left = MergedFile(os.fspath(given.place), left_out=(LeftOut("points", given.missing),))
            merged.append(left)
    removed: list[str] = []
    if remove and not dry_run:
        removed = clear_folders(connection, sources, lambda path: _brings_nothing(connection, path))
    return MergeReport(tuple(merged), dry_run, tuple(removed))


def _brings_nothing(connection: Connection, path: str | os.PathLike[str]) -> bool:
    """Whether the archive holds all that a file has, found by reading it once more."""
    try:
        found = _merge_file(Known(connection), path, True, lambda _file, _done, _total: None)
    except UNREADABLE:
        return False  # the merge has told of it
    brought = found.new, found.updated, found.forked, found.studies, found.renamed, found.left_out
    return not any(brought) and not found.points and not found.blobs


def _merge_given(known: Known, given: Given, dry_run: bool, tell: Tell) -> MergedFile:
    """Merge one file. One that was found in a folder and cannot be read does not keep the others out."""
    try:
        return _merge_file(known, given.path, dry_run, tell)
    except UNREADABLE as error:
        if not given.is_listed or error.path == str(known.connection.place):
            raise
        return MergedFile(os.fspath(given.path), left_out=(LeftOut("archive", str(error)),))


def _merge_file(known: Known, path: str | os.PathLike[str], dry_run: bool, tell: Tell) -> MergedFile:
    with look_at_source(path) as look:
        if not _brings_news(known, look) and not _has_journals(path):
            return MergedFile(os.fspath(path), unchanged=len(_read_row_ids(look)))
    known.forget()
    connection = known.connection
    with (
        open_source(path, beside=connection.place.parent, points=False) as source,
        PointProofs(source.connection) as points,
    ):
        return _SourceMerge(connection, source, points, os.fspath(path), dry_run, tell).run()


def _brings_news(known: Known, look: Connection) -> bool:
    """Whether a file may have something to take; where a short look cannot tell, it may."""
    try:
        unknown = find_unknown(known, look)
        return bool(
            unknown.runs
            or find_new_groups(known.connection, look, unknown.groups)
            or find_new_page_views(known.connection, look, unknown.page_views)
            or find_new_studies(known.connection, look, unknown.studies)
        )
    except DAMAGE:
        return True  # the private copy tells


def _has_journals(path: str | os.PathLike[str]) -> bool:
    """Whether points may stand beside a file. The private copy tells of a folder that cannot be listed."""
    try:
        return bool(list_journals(Path(path)))
    except OSError:
        return True


def _read_row_ids(connection: Connection) -> dict[str, int]:
    return dict(connection.fold(ROW_IDS, (), list))


class _Outcome(NamedTuple):
    """What became of the copies of one run.

    `changed` are the branches that were written, each with the row id that it had here. `before` are the copies
    that were here, and `gone` the row ids of those without a place. `blobs` are the hashes of what they named,
    and `points` counts those from journals.
    """

    changed: Sequence[tuple[Branch, int | None]] = ()
    before: Sequence[RunRows] = ()
    blobs: frozenset[str] | set[str] = frozenset()
    points: int = 0
    problem: str | None = None  # why nothing was written
    gone: Sequence[int] = ()


class _Proved(NamedTuple):
    """Runs of a file whose checksums hold, and those that do not come along."""

    runs: list[RunRows]
    left_out: list[LeftOut]


class _SourceMerge:
    """Merges one file, which the report calls `name`, into the archive."""

    def __init__(
        self,
        connection: Connection,
        source: Source,
        points: PointProofs,
        name: str,
        dry_run: bool,
        tell: Tell,
    ) -> None:
        self._connection = connection
        self._source = source
        self._name = name
        self._from = source.connection
        self._copier = RunCopier(connection, source.connection, source.place)
        self._copier.doubtful_levels = points.doubtful_levels
        self._points_proved = points
        with reading_file(source.place):
            self._contents = ContentProof(self._from, os.stat(source.copy).st_size)
        self._dry_run = dry_run
        self._tell = tell
        self._new: list[str] = []
        self._updated: list[str] = []
        self._forked: list[Fork] = []
        self._left_out: list[LeftOut] = []
        self._waiting = source.count_left_points()
        self._points = self._same = 0
        self._done = 0

    def run(self) -> MergedFile:
        """Merge everything: runs that are new here, runs that both files have, groups, studies, page views."""
        unknown = find_unknown(Known(self._connection), self._from)
        there = _read_row_ids(self._from)
        groups = self._group_runs(there, unknown)
        total = sum(len(rows) for _, rows in groups.values())
        fresh = sorted(rows[0] for here, rows in groups.values() if not here and len(rows) == 1)
        with Ahead(self._prove(self._copier.batches(fresh))) as ahead:
            self._copier.meanwhile = ahead.meanwhile
            while (proved := ahead.take()) is not None:
                self._left_out += proved.left_out
                if proved.runs:
                    self._take_new(proved.runs)
                self._done += len(proved.runs) + len(proved.left_out)
                self._tell(self._name, self._done, total)
        self._copier.meanwhile = nullcontext
        for of, (here, rows) in groups.items():
            if here or len(rows) > 1:
                self._take_copies(of, rows)
                self._done += len(rows)
                self._tell(self._name, self._done, total)
        self._take_waiting_points(there.keys() - unknown.runs)
        sound = self._keep_sound("group", prove_groups(self._from, unknown.groups))
        merge_groups(self._connection, self._from, sound, dry_run=self._dry_run)
        sound = self._keep_sound("study", prove_studies(self._from, unknown.studies))
        studies = merge_studies(self._connection, self._from, sound, dry_run=self._dry_run)
        sound = self._keep_sound("page view", prove_page_views(self._from, unknown.page_views))
        merge_page_views(self._connection, self._from, sound, dry_run=self._dry_run)
        self._tell_of_waiting_points()
        return MergedFile(
            self._name,
            tuple(self._new),
            tuple(self._updated),
            tuple(self._forked),
            len(there) - total + self._same,
            studies.taken,
            studies.renamed,
            self._points,
            self._copier.blobs,
            self._copier.blob_bytes,
            (*self._left_out, *studies.left_out),
        )

    def _group_runs(self, there: dict[str, int], unknown: Unknown) -> dict[str, tuple[list[int], list[int]]]:
        """Return the row ids here and there of the copies of each run of which the file says something else."""
        origins = {row_id: run_id for run_id, row_id in there.items()}
        origins |= _find_origins(self._from, sorted({row[0] for row in self._from.fold(FORKS, (), list)}))
        wanted = sorted({origins[there[run_id]] for run_id in unknown.runs})
        here = self._find_copies(wanted)
        groups: dict[str, tuple[list[int], list[int]]] = {of: (here[of], []) for of in wanted}
        for row_id, of in origins.items():
            if of in groups:
                groups[of][1].append(row_id)
        return groups

    def _find_copies(self, runs: Collection[str]) -> dict[str, list[int]]:
        """Return the row ids of the copies that each of these runs has in the archive now."""
        times = json.dumps(sorted({run_id[:ID_TIME_CHARS] for run_id in runs}))
        rows = self._connection.all(RUNS_OF_TIMES, (times,))
        origins = {row_id: run_id for row_id, run_id, _ in rows}
        origins |= _find_origins(self._connection, [row_id for row_id, _, may_be_fork in rows if may_be_fork])
        found: dict[str, list[int]] = {run_id: [] for run_id in runs}
        for row_id, of in origins.items():
            if of in found:
                found[of].append(row_id)
        return found

    # Runs that are new here

    def _take_new(self, sound: list[RunRows]) -> None:
        """Take runs of which this archive has no copy, all in one transaction if they are sound."""
        try:
            self._copy_new(sound)
        except ArchiveCorruptError as error:
            self._require_theirs(error)
            if len(sound) == 1:
                self._leave_out(sound[0].facts.run_id, error)
                return
            for one in sound:  # find the damaged one
                try:
                    self._copy_new([one])
                except ArchiveCorruptError as single:
                    self._require_theirs(single)
                    self._leave_out(one.facts.run_id, single)

    def _prove(self, batches: Iterable[list[int]]) -> Iterator[_Proved | None]:
        """Yield for each batch those of its runs whose checksums hold, and None after each step before that."""
        for row_ids in batches:
            problems: dict[int, list[str]] = {}
            for begin in range(0, len(row_ids), PROVED_AT_ONCE):
                problems |= prove_runs(self._from, row_ids[begin : begin + PROVED_AT_ONCE])
                yield None
            problems |= self._contents.prove_runs([row_id for row_id in row_ids if not problems[row_id]])
            left_out = [
                LeftOut(name_run(self._from, row_id), "; ".join(problems[row_id]))
                for row_id in row_ids
                if problems[row_id]
            ]
            found: list[RunRows] = []
            for rows in read_runs(self._from, [row_id for row_id in row_ids if not problems[row_id]]):
                series = [one.row_id for one in rows.series]
                yield from self._points_proved.prove(series)
                damaged = self._points_proved.problems
                metrics = [damaged[one] for one in series if one in damaged]
                if metrics:
                    left_out.append(LeftOut(rows.facts.run_id, "; ".join(metrics[:MOST_PROBLEMS])))
                else:
                    found.append(rows)
            yield _Proved(found, left_out)

    def _keep_sound(self, what: str, problems: dict[str, list[str]]) -> list[str]:
        """Return the groups, studies or page views that are sound, and report the others."""
        for one, found in problems.items():
            if found:
                self._leave_out(f"{what} {one}", "; ".join(found))
        return [one for one, found in problems.items() if not found]

    def _leave_out(self, what: str, reason: object) -> None:
        self._left_out.append(LeftOut(what, str(reason)))

    def _require_theirs(self, error: ArchiveCorruptError) -> None:
        """Pass on an error that concerns the archive, not the file that is merged."""
        if error.path == str(self._connection.place):
            raise error

    def _copy_new(self, runs: list[RunRows]) -> None:
        if self._dry_run:
            self._copier.count_blobs(runs)
            self._new += [one.facts.run_id for one in runs]
            self._points += sum(one.points for one in runs) + self._count_waiting(runs)
            return
        taken, more = self._write(runs, partial(self._write_new, runs))
        self._new += [one.facts.run_id for one in taken]
        self._points += sum(one.points for one in taken) + more
        for one in runs:
            if one not in taken:
                self._take_copies(origin_of(one), [one.row_id])

    def _write_new(self, runs: list[RunRows]) -> tuple[list[RunRows], int]:
        """Write runs that are still unknown; return them, and how many points came from journals."""
        # Another process may have merged other copies meanwhile.
        here = self._find_copies({origin_of(one) for one in runs})
        taken = [one for one in runs if not here[origin_of(one)]]
        return taken, self._write_runs([(one, None, True) for one in taken])

    # Runs of which both files have copies

    def _take_copies(self, of: str, there: list[int]) -> None:
        (proved,) = filter(None, self._prove([there]))
        self._left_out += proved.left_out
        sound = proved.runs
        if not sound:
            return
        blobs = set[str]().union(*(one.blobs() for one in sound))
        try:
            write = partial(self._write_copies, of, sound)
            outcome = self._attach(partial(self._look, partial(write, look_only=True)))
            if self._dry_run and outcome.changed:
                self._copier.count_blobs(sound)
            elif not self._dry_run and (outcome.changed or outcome.gone):
                outcome = self._write(sound, write)
        except ArchiveCorruptError as error:
            self._require_theirs(error)
            outcome = _Outcome(problem=str(error))
        blobs |= outcome.blobs
        self._note(of, outcome, len(sound))
        if not self._dry_run:
            collect_blobs(self._connection, blobs)

    def _take_waiting_points(self, run_ids: Collection[str]) -> None:
        """Add points from journals beside the file to runs that are here exactly as they are in the file."""
        running = {row[0] for row in self._from.all(RUNNING)}
        chosen = self._waiting.keys() & running & set(run_ids)
        if not chosen:
            return
        connection, is_dry = self._connection, self._dry_run

        def work() -> tuple[set[str], int]:
            with connection.snapshot() if is_dry else connection.transaction(durable=True):
                # Another process may have merged this file meanwhile.
                same = {one for one in chosen if self._count_points(one) == self._count_points(one, there=True)}
                return same, sum(self._waiting[one] for one in same) if is_dry else self._store_journals(same)

        updated, points = self._connection.section(work)
        self._points += points
        self._updated += sorted(updated)
        self._same -= len(updated)

    def _count_waiting(self, runs: Iterable[RunRows]) -> int:
        """Return how many points of journals :meth:`_write_runs` would store with these runs of the file."""
        return sum(self._waiting[one.facts.run_id] for one in runs if one.owner is not None)

    def _count_points(self, run_id: str, *, there: bool = False) -> int:
        return int((self._from if there else self._connection).value(POINTS_OF_RUN, (run_id,)))

    def _tell_of_waiting_points(self) -> None:
        """Report journals that cannot be read, and points that no living process of this machine will store."""
        for journal in self._source.journals:
            if journal.problem is not None:
                self._leave_out(f"journal {journal.name}", journal.problem)
                continue
            for run_id, points in journal.count_points().items() if not journal.is_written else ():
                wanted = points + self._count_points(run_id, there=True)
                if self._count_points(run_id) < wanted and not self._dry_run:
                    how = "recover'" if journal.is_left else "recover --take-over', if its process is dead,"
                    self._leave_out(
                        run_id,
                        f"{points:,} points stand in the journal {journal.name} beside the file; run 'exptrack"
                        f" {how} on it, and merge again",
                    )

    def _write_copies(self, of: str, there: list[RunRows], *, look_only: bool = False) -> _Outcome:
        """Let the archive hold the branches of all copies, or with `look_only` tell what would change.

        Call inside a transaction, which may run twice.
        """
        connection = self._connection
        own = read_runs(connection, self._find_copies([of])[of])
        blobs = set[str]().union(*(one.blobs() for one in own))
        damaged = [one for one in own if sum_all(connection, OF_RUN, one.row_id) != self._stored_sum(one)]
        if damaged:
            return _Outcome(problem="the copy in this archive is damaged; run 'exptrack verify'")
        copies = [Copy(HERE, one, of) for one in own] + [Copy(THERE, one, of) for one in there]
        branches = [
            one._replace(rows=settle_external_id(connection, one.rows))
            for one in resolve(copies, partial(contains_points, self._connection))
        ]
        places, gone = assign_places(branches, copies, HERE)
        changed = [
            (branch, place)
            for branch, place in zip(branches, places, strict=True)
            if place is None or branch.copy.where == THERE or not is_stored(branch, own)
        ]
        replaced = [place for branch, place in changed if place is not None and branch.copy.where == THERE]
        busy = [one for one in own if one.row_id in (*replaced, *gone) and is_written_here(connection, one)]
        if busy:
            return _Outcome(problem="a process is writing the copy here; merge again when it has ended")
        outcome = _Outcome(changed, own, blobs, gone=gone)
        if look_only or not (changed or gone):
            taken = [branch.rows for branch, _ in changed if branch.copy.where == THERE]
            return outcome._replace(points=self._count_waiting(taken))
        for row_id in (*replaced, *gone):
            delete_series(connection, row_id)
        for row_id in {*gone, *(place for _, place in changed if place is not None)}:
            delete_details(connection, row_id)
        more = self._write_runs([(branch.rows, place, branch.copy.where == THERE) for branch, place in changed])
        return outcome._replace(points=more)

    def _stored_sum(self, run: RunRows) -> int:
        return int(self._connection.value(STORED_SUM, (run.row_id,)))

    def _note(self, of: str, outcome: _Outcome, copies: int) -> None:
        """Note for the report what became of the copies of a run."""
        if outcome.problem is not None:
            self._leave_out(of, outcome.problem)
            return
        known = {one.facts.run_id for one in outcome.before}
        points = {one.row_id: one.points for one in outcome.before}
        self._same += max(0, copies - len(outcome.changed))
        self._points += outcome.points
        for branch, place in outcome.changed:
            run_id = branch.rows.facts.run_id
            if run_id in known:
                self._updated.append(run_id)
            elif run_id != of:
                self._forked.append(Fork(of, run_id))
            else:
                self._new.append(run_id)
            if branch.copy.where == THERE:
                self._points += max(0, branch.rows.points - points.get(place or 0, 0))

    def _attach(self, work: Callable[[], Any]) -> Any:
        """Call `work` with the file attached, in a section."""

        def attach() -> Any:
            with self._connection.attached(self._source.copy):
                return work()

        return self._connection.section(attach)

    def _look(self, work: Callable[[], Any]) -> Any:
        """Call `work`, which reads what other processes may change meanwhile, at one moment."""
        with self._connection.snapshot():
            return work()

    def _write(self, runs: Sequence[RunRows], write: Callable[[], Any]) -> Any:
        """Call `write` with the file attached, in a transaction in which these runs have their contents."""
        result: list[Any] = []

        def write_if_whole() -> None:
            # Another merge may have removed contents that were here, as no artifact named them any more.
            result[:] = () if self._copier.find_missing(runs) else (write(),)

        for _ in range(TRIES):
            with Intake(self._connection) as intake:
                self._copier.put_blobs(intake, runs)
                self._attach(partial(intake.attach, write_if_whole, durable=True))
            if result:
                return result[0]
        reason = "another process removes the contents of its artifacts again and again; merge again later"
        raise ArchiveCorruptError(reason, path=str(self._source.place))

    def _write_runs(self, runs: Sequence[tuple[RunRows, int | None, bool]]) -> int:
        """Write runs, each with its row id or None for a new one, and whether its series come from the file.

        Returns how many points came from journals beside the file.
        """
        connection = self._connection
        settled = [(settle_external_id(connection, one), place, series) for one, place, series in runs]
        for one, _, _ in settled:
            take_external_id(connection, one)
        self._copier.write(settled)
        return self._store_journals(
            {one.facts.run_id for one, _, new in settled if new and one.owner is not None}
        )

    def _store_journals(self, run_ids: set[str]) -> int:
        """Add the points of runs whose process is dead that stand in journals; return their number.

        A living process brings its points into the file itself. If they came here first, a newer copy of the
        file could lack them, and would look as if it had parted from this one.
        """
        stored = 0
        for journal in self._source.left_journals if run_ids else ():
            points = (point for point in journal.read_points() if point.run_id in run_ids)
            stored += store_points(self._connection, points, lambda _run: None)[0]
        return stored


def _find_origins(connection: Connection, row_ids: Sequence[int]) -> dict[int, str]:
    """Return for each of these runs the run that it is a fork of, or itself."""
    found = {}
    for begin in range(0, len(row_ids), RUNS_AT_ONCE):
        for rows in read_runs(connection, row_ids[begin : begin + RUNS_AT_ONCE]):
            found[rows.row_id] = origin_of(rows)
    return found
