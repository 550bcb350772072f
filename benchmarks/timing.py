"""What the benchmarks share: timing in turn, quantiles, one table, and headlines for the summary."""

from __future__ import annotations

import argparse
import compileall
import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

HEADLINE = "=> "


def argument_parser(docstring: str | None) -> argparse.ArgumentParser:
    """A parser with ``--quick``, which shows the module's docstring as its help."""
    parser = argparse.ArgumentParser(description=docstring, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="far less work: a trial, no measurement")
    return parser


def scaled(number: int, quick: bool) -> int:
    """Return a default, or a twentieth of it if `quick`."""
    return max(2, number // 20) if quick else number


def arguments(docstring: str | None, argv: Sequence[str] | None, **numbers: int) -> argparse.Namespace:
    """Parse ``--quick`` and whole numbers with their defaults, which ``--quick`` scales down."""
    parser = argument_parser(docstring)
    for name, default in numbers.items():
        parser.add_argument(f"--{name}", type=int, help=f"default {default:,}")
    given = parser.parse_args(argv)
    for name, default in numbers.items():
        if getattr(given, name) is None:
            setattr(given, name, scaled(default, given.quick))
    return given


def compile_package() -> None:
    """Compile exptrack to bytecode, as pip does when it installs a package.

    In a checkout where Python writes none, every fresh process would compile what it imports. Those of other
    trackers would not.
    """
    compileall.compile_dir(str(Path(__file__).parent.parent / "exptrack"), quiet=2)


def in_turn(tasks: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each task, `rounds` times in turn, so that a drift of the machine meets all of them.

    A round before the first one that counts warms caches and imports.
    """
    times: dict[str, list[float]] = {name: [] for name in tasks}
    for number in range(rounds + 1):
        for name, task in tasks.items():
            begin = time.perf_counter()
            task()
            if number:
                times[name].append((time.perf_counter() - begin) * 1000)
    return times


def quantile(values: Sequence[float], share: float) -> float:
    """The nearest-rank quantile, for example 0.99."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def print_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows under a header: words to the left, numbers to the right."""
    cells = [[_cell(value) for value in row] for row in (header, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    for row in cells:
        words = [row[0].ljust(widths[0])]
        words += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        print("  ".join(words).rstrip())


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def print_times(times: Mapping[str, Sequence[float]], baseline: str) -> dict[str, float]:
    """Print quantiles of milliseconds and ratios of medians to a baseline; return the medians."""
    medians = {name: statistics.median(values) for name, values in times.items()}
    rows = [
        (
            name,
            medians[name],
            min(values),
            quantile(values, 0.9),
            quantile(values, 0.99),
            medians[name] / medians[baseline],
        )
        for name, values in times.items()
    ]
    print_table(("milliseconds", "median", "least", "P90", "P99", f"x {baseline}"), rows)
    return medians


def headline(text: str) -> None:
    """Print a result that the summary of ``python -m benchmarks`` repeats."""
    print(f"{HEADLINE}{text}")
