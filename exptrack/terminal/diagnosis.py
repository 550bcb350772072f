"""Print what exptrack found about itself and its folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from exptrack.terminal.console import print_heading, safe

if TYPE_CHECKING:
    from collections.abc import Iterable

    from exptrack import Diagnosis


def print_diagnosis(out: Console, found: Diagnosis) -> None:
    """Print versions, packages by the extra that installs them, the archive, and each check."""
    _print_pairs(
        out,
        [
            ("exptrack", found.version),
            ("Python", found.python),
            ("SQLite", found.sqlite),
            ("system", found.platform),
            ("archive", found.archive),
            ("", found.contents),
            *found.variables.items(),
        ],
    )
    print_heading(out, "Packages")
    by_extra: dict[str, list[str]] = {}
    for package in found.packages:
        by_extra.setdefault(package.extra, []).append(f"{package.name} {package.version or 'not installed'}")
    _print_pairs(out, ((extra or "always", ", ".join(names)) for extra, names in by_extra.items()))
    print_heading(out, "Folder of the archive")
    _print_pairs(
        out,
        ((check.name, check.found) for check in found.checks),
        ["green" if check.passed else "red" for check in found.checks],
    )


def _print_pairs(out: Console, pairs: Iterable[tuple[str, str]], colors: list[str] | None = None) -> None:
    grid = Table.grid(padding=(0, 2))
    for place, (key, value) in enumerate(pairs):
        grid.add_row(Text(safe(key), style=colors[place] if colors else "dim"), Text(safe(value)))
    out.print(grid)
