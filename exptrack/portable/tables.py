"""Read the rows of exptrack's tables from the pages of a file, whatever the file says of itself.

A page belongs to a table if the pages above it lead there. Where one of those is damaged, the pointer map tells
which page each one stood below. Both witnesses are asked: a page that one of them assigns to another place is
given to the place where both agree. If the page above is gone together with its own entry in the pointer map,
as in a file that was cut off, the rows of the page tell: they have the shape of one table alone.

Invariants:

- Pages that the pointer map calls free hold deleted rows, and are never read.
- A page belongs to one table. A row has the columns and types of its table, or it is lost.
- Only the numbers of pages are kept in memory. Rows are read as they are asked for.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator
from functools import partial

from exptrack.database.layout import Layout, Tree, known_layouts, layouts_of
from exptrack.database.migrations import latest_version
from exptrack.errors import NotAnArchiveError
from exptrack.portable.cells import (
    OF_INDEX,
    OF_TABLE,
    Claims,
    Page,
    Record,
    parse_page,
    read_cells,
)
from exptrack.portable.pages import FREE_PAGE, ROOT_PAGE, TREE_PAGE, PageFile

SCHEMA_ROOT = 1
LEAST_SCORE = 8  # first pages of tables and indexes that look as they ought to; a wrong page size shows 0 to 3
MOST_LEVELS = 20  # SQLite's own limit
MAX_ROW_ID = 1 << 48  # no file has had so many rows
LONGEST_SCHEMA = 10_000  # rows of page 1's table that are looked at


class TableReader:
    """The rows of exptrack's tables in a file.

    `lost` counts the rows of each table that could not be read, `lost_pages` the pages.

    Raises:
        NotAnArchiveError: nothing in the file looks like a table of exptrack.
    """

    def __init__(self, file: PageFile) -> None:
        self._file = file
        self.lost: Counter[str] = Counter()
        self.lost_pages: Counter[str] = Counter()
        self.layout = self._find_layout()
        self._claims = Claims()
        self._pages = {name: array("L") for name in self.layout}
        self._owners: dict[int, str] = {}  # of the pages that lead to others
        self._assign_pages()

    def page_counts(self) -> dict[str, int]:
        """Return how many pages each table and index has."""
        return {name: len(pages) for name, pages in self._pages.items()}

    def rows(self, name: str, told: Callable[[int], None] = lambda _pages: None) -> Iterator[Record]:
        """Yield the rows of a table or index, with their columns as stored; `told` hears of each page."""
        tree = self.layout[name]
        lose = partial(self._lose, name)
        allowed: dict[tuple[type, ...], bool] = {}
        width = len(tree.columns)
        for number in self._pages[name]:
            told(1)
            page = parse_page(self._file, number)
            if page is None:
                continue
            for row_id, record in read_cells(self._file, page, self._claims, lose):
                if len(record) < width:
                    lose()
                    continue
                if len(record) > width:  # an index of a table with row ids, whose column id has no name
                    record = record[:width]
                if tree.row_id is not None:
                    if row_id is None or not 0 < row_id < MAX_ROW_ID:
                        lose()
                        continue
                    record = (*record[: tree.row_id], row_id, *record[tree.row_id + 1 :])
                types = tuple(map(type, record))
                fits = allowed.get(types)
                if fits is None:
                    fits = allowed[types] = _fits(tree, types)
                if fits:
                    yield record
                else:
                    lose()

    def _lose(self, name: str) -> None:
        self.lost[name] += 1

    # Where tables begin

    def _find_layout(self) -> Layout:
        """Find the size of the pages, and which of the known layouts the file has.

        Of two formats in which as many trees look right, page 1 chooses, or else the one with fewer trees.
        """
        best: tuple[tuple[int, bool, int], int, Layout] = ((0, False, 0), 0, {})
        said_format = self._file.said_format()
        for size in self._file.page_sizes():
            self._file.set_page_size(size)
            said = self._read_own_layout()
            for version, layout in _list_layouts():
                known = {name: tree._replace(root=said.get(name, tree.root)) for name, tree in layout.items()}
                for candidate in (known, layout):
                    # A page is the root of one tree, whatever two formats say of it.
                    right = len({tree.root for tree in candidate.values() if self._looks_right(tree)})
                    rank = right, version == said_format, -len(layout)
                    if right and rank > best[0]:
                        best = rank, size, candidate
            if best[0][0] > len(known_layouts()[0]) // 2:
                break
        (score, *_), size, layout = best
        if score < (1 if self._file.says_it_is_ours() else LEAST_SCORE):
            path = str(self._file.path)
            raise NotAnArchiveError(
                f"{path} was not salvaged: nothing in it looks like an archive; check the path", path=path
            )
        self._file.set_page_size(size)
        return layout

    def _looks_right(self, tree: Tree) -> bool:
        if self._file.look_up(tree.root).kind not in (0, ROOT_PAGE):
            return False  # of another tree, which an older format has in this place
        page = parse_page(self._file, tree.root)
        if page is None or page.kind not in (OF_INDEX if tree.is_index else OF_TABLE):
            return False
        if not page.is_leaf or not page.pointers:
            return True
        first = next(read_cells(self._file, page._replace(pointers=page.pointers[:1]), Claims(), int), None)
        return first is not None and len(first.record) == len(tree.columns)

    def _read_own_layout(self) -> dict[str, int]:
        """Return where tables and indexes begin by page 1, as far as it can be read and the texts are ours."""
        known = known_layouts()[0]
        found: dict[str, int] = {}
        claims = Claims()
        seen = 0
        for page in self._walk(SCHEMA_ROOT, OF_TABLE, claims):
            for _row_id, record in read_cells(self._file, page, claims, int):
                seen += 1
                if seen > LONGEST_SCHEMA:
                    return found
                if len(record) != 5 or not isinstance(record[1], str) or not isinstance(record[3], int):
                    continue
                tree = known.get(record[1])
                if tree is not None and record[4] == tree.sql and record[2] == tree.table:
                    found.setdefault(tree.name, record[3])
        return found

    def _walk(self, root: int, kinds: tuple[int, ...], claims: Claims) -> Iterator[Page]:
        waiting = [root]
        while waiting:
            number = waiting.pop()
            page = parse_page(self._file, number) if claims.claim(number) else None
            if page is not None and page.kind in kinds:
                yield page
                waiting.extend(reversed(page.children()))

    # Which table a page belongs to

    def _assign_pages(self) -> None:
        doubtful: dict[int, tuple[str, int]] = {}
        for name, tree in self.layout.items():
            self._follow(tree.root, name, doubtful)
        pages = self._file.tree_pages()
        self._assign_orphans(array("L", (page for page in pages if not self._claims.has(page))), doubtful)
        while doubtful:
            page = next(iter(doubtful))
            name, parent = doubtful.pop(page)
            kind, above = self._file.look_up(page)
            if kind == FREE_PAGE or self._claims.has(page):
                continue
            other = self._owners.get(above) if kind == TREE_PAGE and above != parent else None
            if other is not None:
                found = parse_page(self._file, above)
                name = other if found is not None and page in found.children() else name
            self._follow(page, name, doubtful)

    def _follow(self, root: int, name: str, doubtful: dict[int, tuple[str, int]]) -> None:
        """Take a page and those below it. Those that the pointer map assigns to another place are doubtful."""
        waiting = [root]
        while waiting:
            number = waiting.pop()
            found = self._take(number, name)
            if found is None and self.layout[name].table == name:
                self.lost_pages[name] += 1
            for child in reversed(found.children() if found is not None else []):
                kind, parent = self._file.look_up(child)
                if not kind or (kind == TREE_PAGE and parent == number):
                    waiting.append(child)
                elif 0 < child <= self._file.count:
                    doubtful.setdefault(child, (name, number))

    def _assign_orphans(self, orphans: Iterable[int], doubtful: Container[int]) -> None:
        """Give pages below a damaged or missing one to the table that the pointer map leads to."""
        roots = {tree.root: name for name, tree in self.layout.items()}
        for page in orphans:
            if page in doubtful:
                continue
            above, name = page, None
            for _ in range(MOST_LEVELS):
                kind, above = self._file.look_up(above)
                name = roots.get(above) or self._owners.get(above)
                if kind != TREE_PAGE or name is not None:
                    break
            if name is None and not kind:
                name = self._recognize(page)
            if name is not None:
                self._take(page, name)

    def _recognize(self, number: int) -> str | None:
        """Return the table or index whose rows a leaf has; None if several may have them."""
        page = parse_page(self._file, number)
        if page is None or not page.is_leaf:
            return None
        rows = [record for _row_id, record in read_cells(self._file, page, Claims(), int)]
        found = [
            name
            for name, tree in self.layout.items()
            if page.kind in (OF_INDEX if tree.is_index else OF_TABLE)
            and all(len(row) == len(tree.columns) and _fits(tree, tuple(map(type, row))) for row in rows)
        ]
        return found[0] if rows and len(found) == 1 else None

    def _take(self, number: int, name: str) -> Page | None:
        """Give a page to a table, if it is of the right kind and belongs to no other."""
        page = parse_page(self._file, number)
        kinds = OF_INDEX if self.layout[name].is_index else OF_TABLE
        if page is None or page.kind not in kinds or not self._claims.claim(number):
            return None
        self._pages[name].append(number)
        if not page.is_leaf:
            self._owners[number] = name
        return page


def _list_layouts() -> Iterator[tuple[int, Layout]]:
    """Yield each format with each of its layouts, the present format first."""
    for version in range(latest_version(), 0, -1):
        for layout in layouts_of(version):
            yield version, layout


def _fits(tree: Tree, types: tuple[type, ...]) -> bool:
    """Whether values of these types may stand in a row of the table."""
    for column, found in zip(tree.columns, types, strict=True):
        if found is type(None):
            if column.required:
                return False
        elif found not in column.types:
            return False
    return True
