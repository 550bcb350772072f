"""Read reports as programs do: by the parser of the standard library."""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple
from xml.etree.ElementTree import Element, TreeBuilder

VOID = {"meta", "br", "img"}


class Cell(NamedTuple):
    """A cell of a table: its text without what stands below it, that, and the number that it says in full."""

    text: str
    below: str
    title: str | None
    classes: tuple[str, ...]

    @property
    def number(self) -> float:
        written = self.title or self.text.replace("−", "-").replace("∞", "inf")
        return float(written)


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.builder = TreeBuilder()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.builder.start(tag, {name: value or "" for name, value in attrs})
        if tag in VOID:
            self.builder.end(tag)

    def handle_endtag(self, tag: str) -> None:
        assert tag not in VOID
        self.builder.end(tag)

    def handle_data(self, data: str) -> None:
        if data.strip() or data == " ":
            self.builder.data(data)


def parse(path: Path) -> Element:
    """Return the tree of a page; every element must be closed in its turn."""
    parser = _Parser()
    parser.feed(path.read_text(encoding="utf-8").removeprefix("<!DOCTYPE html>\n").strip())
    return parser.builder.close()


def text_of(element: Element) -> str:
    return "".join(element.itertext())


def tables_of(page: Element) -> dict[str, list[list[Cell]]]:
    """Return each table by its label: its rows of cells, the heads first."""
    return {
        table.get("aria-label", ""): [[_read(cell) for cell in row] for row in table.iter("tr")]
        for table in page.iter("table")
    }


def columns_of(page: Element, label: str) -> Iterator[dict[str, Cell]]:
    """Yield the rows of a table as cells by the names of their columns."""
    heads, *rows = tables_of(page)[label]
    for row in rows:
        yield dict(zip((head.text for head in heads), row, strict=True))


def _read(cell: Element) -> Cell:
    small = cell.find(".//small")
    below = "" if small is None else text_of(small)
    text = text_of(cell).removesuffix(below)
    return Cell(text.strip(), below, cell.get("title"), tuple(cell.get("class", "").split()))
