"""Build a query for runs step by step, and read its answer when it is needed.

Invariants: a query never changes; each step returns a new one. A query reads nothing until it is iterated,
counted or turned into records. Iterating reads a page at a time, and each page begins behind the last run of
the page before. So memory stays bounded. If runs are added or deleted meanwhile, no other run is skipped or
appears twice.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime

from exptrack.database.connection import Connection, Row, in_reading
from exptrack.errors import InvalidTypeError, InvalidValueError, RunTrashedError
from exptrack.listed import listed
from exptrack.named_tuples import NamedTuple
from exptrack.plain import read_elements, short_repr
from exptrack.query import frames
from exptrack.query.asked import NEWEST_FIRST, Asked, Order, SelectedRun
from exptrack.query.conditions import EVERYTHING, And, Comparison, Condition, Field, Or, compare_fact
from exptrack.query.field_names import read_field
from exptrack.query.fields import Values, read_fields, read_row_ids
from exptrack.query.many_runs import ManyRuns
from exptrack.query.run_frames import RunFrames
from exptrack.query.run_lists import NO_LIMIT, read_newest, read_rows
from exptrack.query.run_sql import TRASHED
from exptrack.records import Artifact, RunSummary
from exptrack.runs.lookup import id_of, read_runs, resolve_run, summarize_runs
from exptrack.runs.ownership import find_dead_runs
from exptrack.shown import shown
from exptrack.validation import check_flag, check_name, check_step, check_text, check_whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from exptrack.markup.notebook import View
    from exptrack.query.field_summary import FieldInfo, FieldSummary
    from exptrack.query.media import ArtifactGrid, ArtifactName
    from exptrack.query.run_filter import RunFilter
    from exptrack.query.selection import Selection

PAGE_RUNS = 500
MAX_BINS = 10_000
MOST_ARTIFACTS = 10_000  # that one call returns
PRESENT_IDS = """
SELECT run_id FROM run WHERE run_id IN (SELECT value FROM json_each(?)) AND deleted_at IS NULL
"""


@shown
class Page(NamedTuple):
    """Some runs of a query. Pass `after` to get the next page; it is None if there is none."""

    runs: list[RunSummary]
    after: SelectedRun | None


@shown
class Rows(NamedTuple):
    """Columns of some runs of a query, as dicts, and their row ids.

    `total` is the number of all runs of the query, and `all_row_ids` has theirs in order, if it was asked for.
    """

    rows: list[dict[str, Any]]
    row_ids: array[int]
    total: int
    all_row_ids: array[int] | None


@shown
class RunQuery(ManyRuns, RunFrames):
    """Runs that satisfy conditions, in an order. :meth:`exptrack.Archive.runs` starts one.

    >>> from exptrack import Archive
    >>> with Archive(tmp_path / "lab.db") as archive:
    ...     for lr in (0.1, 0.01, 0.001):
    ...         with archive.start_run({"lr": lr}, ["sweep"]) as run:
    ...             run.log({"acc": 1 - lr})
    ...     query = archive.runs().where("config.lr < 0.05").tagged("sweep").order_by("-metrics.acc")
    ...     query.count(), [round(run.metrics["acc"], 3) for run in query]
    (2, [0.999, 0.99])
    """

    __slots__ = ("_asked", "_connection", "_settle")

    def __init__(self, connection: Connection, settle: Callable[[], None], asked: Asked | None = None) -> None:
        self._connection = connection
        self._settle = settle
        self._asked = Asked() if asked is None else asked

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RunQuery) and self._parts() == other._parts()

    def __hash__(self) -> int:
        return hash(self._parts())

    def _parts(self) -> tuple[Connection, Asked]:
        return (self._connection, self._asked)

    # Steps

    def allow_unknown(self) -> RunQuery:
        """Take config keys, metrics and attributes that no run has as they are: no run has a value of them.

        Otherwise a later step, or a list of columns, refuses a name that looks misspelled. Made for filters and
        columns that were stored while runs had them.
        """
        return self._ask(takes_unknown=True)

    def where(self, text: str, *parameters: object) -> RunQuery:
        """Keep only runs that satisfy a filter.

        ``docs/filters.md`` describes the language. `parameters` are the values of its question marks.

        Raises:
            FilterError: the filter is wrong, or names a misspelled key or metric; the message shows where.
        """
        from exptrack.query.names import check_names_exist
        from exptrack.query.parser import parse_filter

        condition = parse_filter(text, parameters)
        text = check_text(text, "filter")
        if not self._asked.takes_unknown:
            check_names_exist(self._connection, condition, text)
        return self._and(condition)

    def tagged(self, *tags: str) -> RunQuery:
        """Keep only runs that have all these tags."""
        return self._and(*(compare_fact("tag", "=", check_name(tag, "tag")) for tag in tags))

    def with_status(self, *statuses: str) -> RunQuery:
        """Keep only runs of these statuses; ``"pruned"`` means completed runs whose trial was stopped early."""
        from exptrack.query.run_filter import check_filter_status

        checked = map(check_filter_status, statuses)
        return self._and(Or(tuple(compare_fact("status", "=", status) for status in checked)))

    def in_group(self, group: str) -> RunQuery:
        """Keep only runs of a group."""
        return self._and(compare_fact("group", "=", check_name(group, "group")))

    def matching(self, run_filter: RunFilter) -> RunQuery:
        """Keep only runs that a RunFilter admits."""
        from exptrack.query.run_filter import RunFilter

        if not isinstance(run_filter, RunFilter):
            raise InvalidTypeError(f"matching takes a RunFilter, not {short_repr(run_filter)}")
        return self._and(run_filter.condition())

    def only(self, *runs: object) -> RunQuery:
        """Keep only these runs: ids, records, or what else means a run; none if none is given.

        They are found now: ``"latest"`` stays the run that is the latest at this call.

        Raises:
            RunNotFoundError: one of them means no run.
            AmbiguousRunError: one of them means several runs.
            RunTrashedError: one of the runs is in the trash, where no query finds it.
        """
        texts = [check_name(id_of(one), "run id") for one in runs]
        self._settle()
        run_ids = tuple(self._find_ids(texts))
        return self._and(Comparison(Field("fact", "id"), "in", run_ids) if run_ids else Or(()))

    @in_reading
    def _find_ids(self, texts: Sequence[str]) -> Iterable[str]:
        rows = self._connection.all(PRESENT_IDS, (json.dumps(texts),))
        present = {row["run_id"] for row in rows}
        found = dict[str, None]()
        for text in texts:
            if text not in present:
                row = resolve_run(self._connection, text)
                if row["deleted_at"] is not None:
                    raise RunTrashedError(row["run_id"])
                text = row["run_id"]
            found[text] = None
        return found

    def started(self, after: datetime | str | None = None, before: datetime | str | None = None) -> RunQuery:
        """Keep only runs started at or after `after` and before `before`.

        A text without a time zone is UTC, a datetime without one is local time.
        """
        from exptrack.query.run_filter import RunFilter

        return self.matching(RunFilter.all(after, before))

    def order_by(self, *fields: str) -> RunQuery:
        """Order the runs by these fields, like ``"-metrics.acc.max"``; a minus sign means descending.

        Runs that lack a value come last. Of equal runs, the newer comes first.

        Raises:
            FilterError: there is no such field.
        """
        from exptrack.query.parser import parse_order

        order = tuple(Order(*one) for field in fields for one in parse_order(field))
        whole = ", ".join(check_text(field, "order") for field in fields)
        for one in order:
            self._check_field(one.field, whole)
        return self._ask(order=order or NEWEST_FIRST)

    def limit(self, count: int) -> RunQuery:
        """Keep at most the first `count` runs."""
        count = check_whole(count, "limit", 0)
        return self._ask(limit=count if self._asked.limit is None else min(count, self._asked.limit))

    def _select(self, dead: Sequence[int]) -> Selection:
        from exptrack.query.selection import Selection

        return Selection(self._connection, self._asked.condition, self._asked.order, dead)

    def _ask(self, **changes: Any) -> RunQuery:
        return RunQuery(self._connection, self._settle, self._asked._replace(**changes))

    def _and(self, *conditions: Condition) -> RunQuery:
        asked = self._asked.condition
        mine = asked.conditions if isinstance(asked, And) else (asked,)
        added = [part for one in conditions for part in (one.conditions if isinstance(one, And) else (one,))]
        return self._ask(condition=And((*mine, *added)))

    # Answers

    def count(self) -> int:
        """Return the number of runs."""
        self._settle()
        found = self._count()
        return found if self._asked.limit is None else min(found, self._asked.limit)

    @in_reading
    def _count(self) -> int:
        dead = find_dead_runs(self._connection)
        return self._select(dead).count()

    def explain_empty(self) -> str | None:
        """Say why the query has no run: which condition no run satisfies, and which values there are.

        None if some run satisfies all conditions.
        """
        self._settle()
        return self._explain_empty()

    @in_reading
    def _explain_empty(self) -> str | None:
        from exptrack.query.emptiness import MOST_WORDS, explain_emptiness

        def count(condition: Condition) -> int:
            return self._ask(condition=condition)._count()

        if self._count():
            return None
        if not count(EVERYTHING):
            return "there are no runs"
        asked = self._asked.condition
        conditions = asked.conditions if isinstance(asked, And) else (asked,)
        everything = self._ask(condition=EVERYTHING, limit=None)
        return explain_emptiness(
            conditions, count, lambda field: everything._summarize(str(field), field, 1, MOST_WORDS)
        )

    def first(self) -> RunSummary | None:
        """Return the first run, or None."""
        return next(iter(self.limit(1)), None)

    @listed
    def list(self) -> list[RunSummary]:
        """Return all runs."""
        return list(self)

    def __iter__(self) -> Iterator[RunSummary]:
        """Yield the runs; they are read a page at a time."""
        for page in self._pages():
            yield from page.runs

    def _pages(self) -> Iterator[Page]:
        left, after = self._asked.limit, None
        while left is None or left > 0:
            page = self.page(PAGE_RUNS if left is None else min(left, PAGE_RUNS), after)
            yield page
            after = page.after
            if after is None:
                return
            if left is not None:
                left -= len(page.runs)

    def values(self, *fields: str) -> Iterator[tuple[RunSummary, dict[str, Any]]]:
        """Yield each run with its values of some fields, by the names given; a page is read at a time.

        A text may name several fields, separated by commas.

        A value has the type with which it was stored: text, int, float, bool or list. Times are aware
        datetimes, durations are seconds; tags, notes and artifacts are tuples of words. A value that the run
        lacks is None.

        Raises:
            FilterError: there is no such field, or the key or metric is misspelled.
        """
        from exptrack.query.parser import parse_columns

        wanted: dict[str, Field] = {}
        for field_texts in fields:
            wanted |= parse_columns(field_texts)
        for text, field in wanted.items():
            self._check_field(field, text)
        return self._values(wanted)

    def _check_field(self, field: Field, text: str) -> None:
        if field.kind != "fact" and not self._asked.takes_unknown:
            from exptrack.query.names import check_field_exists

            check_field_exists(self._connection, field, text)

    def _values(self, wanted: dict[str, Field]) -> Iterator[tuple[RunSummary, dict[str, Any]]]:
        for page in self._pages():
            columns = self._read_columns([run.run_id for run in page.runs], wanted.values())
            for place, run in enumerate(page.runs):
                yield run, {name: columns[field][place] for name, field in wanted.items()}

    @in_reading
    def _read_columns(self, run_ids: Sequence[str], fields: Iterable[Field]) -> dict[Field, Values]:
        runs = read_row_ids(self._connection, run_ids)
        return read_fields(self._connection, runs, fields, find_dead_runs(self._connection))

    def page(self, size: int = 100, after: SelectedRun | None = None) -> Page:
        """Return the first `size` runs, or those behind the page whose `after` is given.

        If the query has a limit, no page has more runs than that.
        """
        wanted = self.limit(size)._asked.limit
        if after is not None:
            from exptrack.query.selection import check_place

            after = check_place(after)
        assert wanted is not None
        self._settle()
        return self._read_page(wanted, after)

    @in_reading
    def _read_page(self, wanted: int, after: SelectedRun | None) -> Page:
        dead = find_dead_runs(self._connection)
        found = self._select(dead).rows(wanted, after)
        runs = summarize_runs(self._connection, read_rows(self._connection, found), dead)
        return Page(runs, found[-1] if found and len(found) == wanted else None)

    # For a page that shows many runs

    def index(self) -> array[int]:
        """Return the row ids of all runs in order, as an array of int64.

        A row id names a run in this file only, and is never given to another one. It is far cheaper than a
        record: read what is on screen by :meth:`exptrack.Archive.read_rows`.
        """
        self._settle()
        return self._read_index()

    @in_reading
    def _read_run_rows(self) -> Sequence[Row]:
        """Return the row of each run, in order."""
        index = self._read_index()
        rows = {row["id"]: row for row in read_runs(self._connection, index)}
        return [rows[run] for run in index]

    @in_reading
    def _read_index(self) -> array[int]:
        return self._row_ids(find_dead_runs(self._connection))

    def rows(
        self, columns: Iterable[str], *, start: int = 0, size: int = 100, with_index: bool = False
    ) -> Rows:
        """Return columns of `size` runs from place `start` on, and the number of all runs, as of one moment.

        `columns` are fields as in :meth:`to_dicts`. With `with_index` the row ids of all runs come too. Places
        shift as runs are added: :meth:`index` and row ids keep a table still.

        Raises:
            FilterError: there is no such field, or the name of a key or metric is misspelled.
        """
        start, size = check_whole(start, "start", 0), check_whole(size, "size", 0)
        with_index = check_flag(with_index, "with_index")
        chosen = frames.check_columns(columns, self._check_field)
        self._settle()
        return self._read_rows(chosen, start, size, with_index)

    @in_reading
    def _read_rows(self, columns: dict[str, Field], start: int, size: int, with_index: bool) -> Rows:
        dead = find_dead_runs(self._connection)
        selection = self._select(dead)
        if with_index:
            index = selection.row_ids(self._asked.limit)
            total, found = len(index), index[start : start + size]
        else:
            selection.use_sets()
            index, total = None, selection.count()
            total = total if self._asked.limit is None else min(total, self._asked.limit)
            wanted = min(size, max(0, total - start))
            found = array("q", [one.run for one in selection.rows(wanted, skip=start)])
        return Rows(frames.read_records(self._connection, found, dead, columns), found, total, index)

    @listed
    def fields(self) -> tuple[FieldInfo, ...]:
        """List the config keys, metrics and attributes of the runs: how many have each, and its range."""
        from exptrack.query.names import SOME_ATTRS

        self._settle()
        return self._read_fields(SOME_ATTRS)

    @in_reading
    def _read_fields(self, attr_keys: str) -> tuple[FieldInfo, ...]:
        from exptrack.query.field_summary import read_field_infos

        everything = self._asked.condition == EVERYTHING and self._asked.limit is None
        runs = None if everything else self._find_members(find_dead_runs(self._connection))
        return tuple(read_field_infos(self._connection, runs, attr_keys))

    def summarize(self, field: str, *, bins: int = 20, top: int = 10) -> FieldSummary:
        """Summarize the values of one field over the runs: missing ones, quantiles, a histogram, top values.

        The histogram has up to `bins` bins, and `top` is how many of the most frequent values are listed.

        Raises:
            FilterError: there is no such field, or the name of the key or metric is misspelled.
        """
        bins, top = check_whole(bins, "bins", 1, MAX_BINS), check_whole(top, "top", 0)
        text = check_text(field, "field")
        wanted = read_field(text)
        self._check_field(wanted, text)
        self._settle()
        return self._summarize(text, wanted, bins, top)

    @in_reading
    def _summarize(self, text: str, field: Field, bins: int, top: int) -> FieldSummary:
        from exptrack.query.field_summary import summarize_counts, summarize_values
        from exptrack.query.value_counts import can_count, count_values

        dead = find_dead_runs(self._connection)
        if can_count(field):
            runs = None if self._is_whole() else self._find_members(dead)
            counted = count_values(self._connection, runs, field, dead)
            return summarize_counts(text, *counted, bins, top)
        values = read_fields(self._connection, self._find_members(dead), [field], dead)
        return summarize_values(text, values[field], bins, top)

    def _is_whole(self) -> bool:
        """Return whether the query has every run of the file."""
        everything = self._asked.condition == EVERYTHING and self._asked.limit is None
        return everything and self._connection.value(TRASHED) is None

    # Artifacts

    @listed
    def artifact_names(self, *, kind: str | None = None) -> tuple[ArtifactName, ...]:
        """List the names under which the runs have artifacts, with the number of versions, by name.

        `kind` keeps the names whose newest version is of a kind, such as ``"image"``. At most 10,000 names.
        """
        wanted = None if kind is None else check_name(kind, "kind")
        self._settle()
        return self._read_artifact_names(wanted)

    @in_reading
    def _read_artifact_names(self, kind: str | None) -> tuple[ArtifactName, ...]:
        from exptrack.query import media

        runs = None if self._is_whole() else self._row_ids(find_dead_runs(self._connection))
        return tuple(media.read_names(self._connection, runs, kind))

    @listed
    def artifacts(
        self,
        *,
        name: str | None = None,
        kind: str | None = None,
        step: int | None = None,
        start: int = 0,
        size: int = 100,
    ) -> tuple[Artifact, ...]:
        """Return `size` artifacts of the runs from place `start` on: by run, name, step and version.

        `name`, `kind` and `step` keep those of one name, kind or step. Removed versions are left out.
        """
        called = None if name is None else check_name(name, "artifact name")
        of_kind = None if kind is None else check_name(kind, "kind")
        at = None if step is None else check_step(step)
        start, size = check_whole(start, "start", 0), check_whole(size, "size", 0, MOST_ARTIFACTS)
        self._settle()
        return self._read_artifacts(called, of_kind, at, start, size)

    @in_reading
    def _read_artifacts(
        self, name: str | None, kind: str | None, step: int | None, start: int, size: int
    ) -> tuple[Artifact, ...]:
        from exptrack.query import media

        runs = self._row_ids(find_dead_runs(self._connection))
        return tuple(media.read_page(self._connection, runs, name, kind, step, start, size))

    def artifact_grid(
        self,
        name: str,
        *,
        kind: str | None = None,
        steps: Iterable[int] | None = None,
        start: int = 0,
        size: int = 20,
    ) -> ArtifactGrid:
        """Return artifacts of one name by run and step, of `size` runs that have it from place `start` on.

        For each of `steps`, a run shows its last version up to that step; its own step is in the record. By
        default the steps are up to 10 of those at which the runs have it. Versions without a step are shown
        only then, as those of the step None.

        >>> from exptrack import Archive
        >>> with Archive(tmp_path / "lab.db") as archive:
        ...     for lr in (0.1, 0.2):
        ...         with archive.start_run({"lr": lr}) as run:
        ...             for step in (0, 50):
        ...                 _ = run.log_text("sample", f"lr {lr}, step {step}", step=step)
        ...     grid = archive.runs().order_by("config.lr").artifact_grid("sample", steps=[0, 60])
        ...     grid.total, [[cell.step for cell in row] for row in grid.cells]
        (2, [[0, 50], [0, 50]])
        """
        name = check_name(name, "artifact name")
        wanted = None if kind is None else check_name(kind, "kind")
        chosen = (
            None if steps is None else [check_step(one) for one in read_elements(steps, "steps", like="[0]")]
        )
        start, size = check_whole(start, "start", 0), check_whole(size, "size", 0, MOST_ARTIFACTS)
        if chosen is not None and len(chosen) * size > MOST_ARTIFACTS:
            raise InvalidValueError(
                f"{size} runs of {len(chosen)} steps are more than {MOST_ARTIFACTS:,} artifacts; ask for fewer"
            )
        self._settle()
        return self._read_artifact_grid(name, wanted, chosen, start, size)

    @in_reading
    def _read_artifact_grid(
        self, name: str, kind: str | None, steps: Sequence[int] | None, start: int, size: int
    ) -> ArtifactGrid:
        from exptrack.query import media

        runs = self._row_ids(find_dead_runs(self._connection))
        return media.read_grid(self._connection, runs, name, kind, steps, start, size)

    def _find_members(self, dead: Sequence[int]) -> Sequence[int]:
        """Return the row ids of the runs, in any order."""
        selection, limit = self._select(dead), self._asked.limit
        return selection.find_members() if limit is None else selection.row_ids(limit)

    def _count_newest(self) -> int | None:
        """Return how many of the newest runs the query has, -1 for all; None if it has others."""
        if self._asked.condition != EVERYTHING or self._asked.order != NEWEST_FIRST:
            return None
        return NO_LIMIT if self._asked.limit is None else self._asked.limit

    def _row_ids(self, dead: Sequence[int]) -> array[int]:
        newest = self._count_newest()
        if newest is not None:
            return read_newest(self._connection, newest)
        return self._select(dead).row_ids(self._asked.limit)

    # What a notebook shows

    def __repr__(self) -> str:
        asked = "some runs" if self._asked.condition != EVERYTHING else "all runs"
        most = "" if self._asked.limit is None else f", at most {self._asked.limit:,}"
        return f"<RunQuery of {asked}{most} in {self._connection.path.name}>"

    def _view(self) -> View:
        from exptrack.markup.notebook import MOST_ROWS, View, draw_rows, read_row

        self._settle()
        total, page = self._read_first(MOST_ROWS)
        return View(f"{total:,} runs", draw_rows([read_row(run) for run in page.runs], total, noun="run"))

    @in_reading
    def _read_first(self, most: int) -> tuple[int, Page]:
        found = self._count()
        total = found if self._asked.limit is None else min(found, self._asked.limit)
        return total, self._read_page(min(most, total), None)
