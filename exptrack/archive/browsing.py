"""The part of an archive that serves a page: rows and fields of many runs, changes, help with filters.

Invariant: a call reads no more than it returns, up to a fixed number of rows, however much the archive holds.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable

from exptrack.archive.queries import ArchiveQueries
from exptrack.archive.series import _list_ids
from exptrack.database.connection import in_reading
from exptrack.errors import InvalidTypeError
from exptrack.listed import listed
from exptrack.metrics.writer import drain_all
from exptrack.plain import is_text, read_elements, read_names
from exptrack.runs.ownership import find_dead_runs
from exptrack.validation import check_choice, check_function, check_step, check_text, check_whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeVar

    from exptrack.query.completion import FilterHelp
    from exptrack.query.conditions import Field
    from exptrack.query.field_summary import FieldInfo
    from exptrack.query.run_parts import MetricPage, RunConfig, RunEnvironment, RunHead
    from exptrack.query.run_query import RunQuery
    from exptrack.query.run_watch import RunWatch
    from exptrack.records import Artifact, ArtifactUse, Event

    _T = TypeVar("_T")


KEPT_RUNS = "SELECT id FROM run WHERE id IN (SELECT value FROM json_each(?)) AND deleted_at IS NULL"
MOST_COMPLETIONS, MOST_ROWS = 1_000, 100_000  # that one call returns


class ArchiveBrowsing(ArchiveQueries):
    """The calls of an archive that a page makes: each reads what is on the screen."""

    def read_together(self, read: Callable[[], _T]) -> _T:
        """Call `read`, and return its result. All that it reads of this archive is the file of one moment.

        It runs in another thread, and once more if the file had to be opened again meanwhile. So let it only
        read, and not for long: until it ends, the file cannot take in what others write beside it.

        >>> from exptrack import Archive
        >>> with Archive(tmp_path / "lab.db") as archive:
        ...     archive.start_run({"lr": 0.1}).complete()
        ...     archive.read_together(lambda: (archive.runs().count(), len(archive.fields())))
        (1, 1)
        """
        work = check_function(read, "read")
        if work is None:
            raise InvalidTypeError("read must be a function, not None; give one that takes no arguments")
        self._settle()
        return self._connection.reading(work)

    # Runs

    def shorten_ids(self, run_ids: object) -> dict[str, str]:
        """Return for each run the shortest end of its id, of four characters or more, that means it alone.

        Each may be given wherever a run is asked for, until another run gets an id or a name that is alike.

        >>> from exptrack import Archive
        >>> with Archive(tmp_path / "lab.db") as archive:
        ...     run = archive.start_run()
        ...     short = archive.shorten_ids([run])[run.run_id]
        ...     run.complete()
        ...     len(short), archive.get_run(short).run_id == run.run_id
        (4, True)

        Raises:
            RunNotFoundError: no run has one of the ids.
            AmbiguousRunError: one of them means several runs.
        """
        return self._shorten_ids(_list_ids(self._connection, run_ids))

    @in_reading
    def _shorten_ids(self, run_ids: list[object] | RunQuery) -> dict[str, str]:
        from exptrack.runs.references import shorten_ids

        return shorten_ids(self._connection, [row["run_id"] for row in self._resolve_each(run_ids)])

    def nan_steps(self, run_ids: object) -> dict[str, dict[str, int]]:
        """Return the metrics of runs that are or were NaN, each with the first step at which it was, by run id.

        Runs without a NaN are left out; the filter ``has_nan`` finds the others. Each series that has a NaN is
        read up to its first one.

        >>> from exptrack import Archive
        >>> with Archive(tmp_path / "lab.db") as archive:
        ...     with archive.start_run(name="diverges") as run:
        ...         run.log({"loss": 0.5}, step=20)
        ...         run.log({"loss": float("nan")}, step=21)
        ...     list(archive.nan_steps(archive.runs().where("has_nan")).values())
        [{'loss': 21}]

        Raises:
            RunNotFoundError: no run has one of the ids.
            AmbiguousRunError: one of them means several runs.
        """
        wanted = _list_ids(self._connection, run_ids)
        self._settle()
        return self._read_nan_steps(wanted)

    @in_reading
    def _read_nan_steps(self, run_ids: list[object] | RunQuery) -> dict[str, dict[str, int]]:
        from exptrack.metrics.nans import read_nan_steps

        names = {row["id"]: row["run_id"] for row in self._resolve_each(run_ids)}
        found = read_nan_steps(self._connection, list(names))
        return {names[run]: steps for run, steps in found.items()}

    @listed
    def fields(self) -> tuple[FieldInfo, ...]:
        """List the config keys, metrics and attributes that runs have; see :meth:`RunQuery.fields`."""
        return self.runs().fields()

    def watch_runs(self) -> RunWatch:
        """Watch for runs that are added, changed or removed from now on; see :class:`exptrack.RunWatch`."""
        from exptrack.query.run_watch import RunWatch

        return RunWatch(self._connection, self._settle)

    def read_rows(self, row_ids: Iterable[int], columns: Iterable[str]) -> list[dict[str, Any] | None]:
        """Return columns of runs by their row ids, as of one moment; None for a run that is gone.

        The row ids are those of :meth:`RunQuery.index`, of this file. `columns` are fields as in
        :meth:`RunQuery.to_dicts`; if no run has one, its cells are None.

        Raises:
            FilterError: there is no such field.
        """
        from exptrack.query import frames

        wanted = [check_step(one) for one in read_elements(row_ids, "row ids", like="[1, 2]")]
        chosen = frames.check_columns(columns, lambda _field, _text: None)
        self._settle()
        return self._read_rows(wanted, chosen)

    @in_reading
    def _read_rows(self, row_ids: list[int], columns: dict[str, Field]) -> list[dict[str, Any] | None]:
        from exptrack.query import frames

        kept = {row[0] for row in self._connection.all(KEPT_RUNS, (json.dumps(row_ids),))}
        found = [one for one in row_ids if one in kept]
        read = frames.read_records(self._connection, found, find_dead_runs(self._connection), columns)
        by_run = dict(zip(found, read, strict=True))
        return [by_run.get(one) for one in row_ids]

    # One run, part by part

    def read_head(self, run_id: object) -> RunHead:
        """Return the head of a run: its summary without metrics, attributes, notes, neighbours and counts.

        This and the calls below read parts of what :meth:`show_run` returns. They take a run in the trash too.

        Raises:
            RunNotFoundError: no run has this id.
            AmbiguousRunError: it means several runs.
        """
        from exptrack.query import run_parts

        self._settle()
        return run_parts.read_head(self._connection, run_id)

    def read_config(self, run_id: object) -> RunConfig:
        """Return the config of a run as it was given, and what set each key.

        Raises:
            RunNotFoundError: no run has this id.
            AmbiguousRunError: it means several runs.
        """
        from exptrack.query import run_parts

        return run_parts.read_config(self._connection, run_id)

    def read_metrics(
        self, run_id: object, *, text: str = "", after: str | None = None, size: int = 1000
    ) -> MetricPage:
        """Return summaries of `size` metrics of a run, by name, behind the one that is called `after`.

        With `text`, only those whose names hold it, in any case of ASCII letters.

        Raises:
            RunNotFoundError: no run has this id.
            AmbiguousRunError: it means several runs.
        """
        from exptrack.query import run_parts
        from exptrack.query.vocabulary import fold

        wanted, size = fold(check_text(text, "text")), check_whole(size, "size", 0, MOST_ROWS)
        behind = "" if after is None else check_text(after, "after")
        self._settle()
        return run_parts.read_metrics(self._connection, run_id, wanted, behind, size)

    @listed
    def read_events(self, run_id: object, *, start: int = 0, size: int | None = None) -> tuple[Event, ...]:
        """Return the events of a run, oldest first: `size` of them from number `start` on, or all.

        Raises:
            RunNotFoundError: no run has this id.
            AmbiguousRunError: it means several runs.
        """
        from exptrack.query import run_parts

        start = check_whole(start, "start", 0)
        most = -1 if size is None else check_whole(size, "size", 0)
        return run_parts.read_events(self._connection, run_id, start, most)

    @listed
    def read_artifacts(self, run_id: object, *, start: int = 0, size: int = 1000) -> tuple[Artifact, ...]:
        """Return `size` versions of the artifacts of a run from place `start` on, by name and version.

        Raises:
            RunNotFoundError: no run has this id.
            AmbiguousRunError: it means several runs.
        """
        from exptrack.query import run_parts

        start, size = check_whole(start, "start", 0), check_whole(size, "size", 0, MOST_ROWS)
        return run_parts.read_artifacts(self._connection, run_id, start, size)

    @listed
    def read_inputs(self, run_id: object, *, start: int = 0, size: int = 1000) -> tuple[ArtifactUse, ...]:
        """Return `size` uses of artifacts by a run from place `start` on, in the order of use.

        Raises:
            RunNotFoundError: no run has this id.
            AmbiguousRunError: it means several runs.
        """
        from exptrack.query import run_parts

        start, size = check_whole(start, "start", 0), check_whole(size, "size", 0, MOST_ROWS)
        return run_parts.read_inputs(self._connection, run_id, start, size)

    def read_environment(self, run_id: object) -> RunEnvironment:
        """Return what was seen of machine and code when a run started, and the traceback of what ended it.

        Raises:
            RunNotFoundError: no run has this id.
            AmbiguousRunError: it means several runs.
        """
        from exptrack.query import run_parts

        return run_parts.read_environment(self._connection, run_id)

    # Help with filters

    def complete_filter(self, text: str, cursor: int | None = None, *, limit: int = 50) -> FilterHelp:
        """Say what is wrong with a filter, and what could stand at the cursor: at most `limit` texts.

        These are fields, operators that suit a field, values that runs have, and keywords, written as the
        language needs. Each replaces a range of the text. `cursor` counts characters; the default is the end.
        A text that lies in quotes is taken up to the cursor if its quote is not closed.

        Names and values that begin with the word at the cursor come first, then those that hold it. Frequent
        values come before rare ones. A search looks at up to 500 distinct values.

        >>> from exptrack import Archive
        >>> with Archive(tmp_path / "lab.db") as archive:
        ...     archive.start_run({"lr": 0.1, "optimizer": "adam"}).complete()
        ...     help = archive.complete_filter("config.optimizer = 'a")
        ...     help.problem, help.completions[0]
        ('the quote is not closed', Completion(text="'adam'", kind='value', start=19, end=21))
        """
        from exptrack.query import completion

        text, most = _check_written(text, "filter"), check_whole(limit, "limit", 0, MOST_COMPLETIONS)
        place = _check_cursor(cursor, text)
        drain_all(self._connection.file)
        return completion.complete_filter(self._connection, text, place, most)

    def complete_field(
        self,
        text: str,
        cursor: int | None = None,
        *,
        kind: str = "field",
        among: str | Iterable[str] = ("fact", "config", "metric", "attribute"),
        limit: int = 50,
    ) -> FilterHelp:
        """Help to write a field: say what is wrong, and which fields could stand at the cursor.

        `kind` is ``"field"`` for one field; ``"columns"`` for several, separated by commas; or ``"order"`` for
        several as :meth:`RunQuery.order_by` takes them. `among` chooses kinds of field: ``"fact"``,
        ``"config"``, ``"metric"`` or ``"attribute"``. The rest is as in :meth:`complete_filter`.
        """
        from exptrack.query import completion

        text, most = _check_written(text, "field"), check_whole(limit, "limit", 0, MOST_COMPLETIONS)
        kind = check_choice(kind, "kind", completion.FIELD_TEXTS)
        names = read_names(among, "among", like="['metric']")
        chosen = [check_choice(one, "a kind of field", completion.FIELD_KINDS) for one in names]
        place = _check_cursor(cursor, text)
        drain_all(self._connection.file)
        return completion.complete_field(self._connection, text, place, kind, chosen, most)


def _check_written(text: object, what: str) -> str:
    """Return a text as it is, also one that no filter can be."""
    return str.__str__(text) if is_text(text) else check_text(text, what)


def _check_cursor(cursor: object, text: str) -> int:
    return len(text) if cursor is None else min(check_whole(cursor, "cursor", 0), len(text))
