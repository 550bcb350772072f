"""Make the page of a report: its sections, tables and figures.

Invariants: the page has no script and loads nothing, and its policy forbids both. Names of runs, metrics and
keys are isolated, so that none turns the direction of what stands beside it. Every table has heads for its
columns and rows, and every chart has its data as a table.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from importlib import resources
from typing import Any
from xml.etree.ElementTree import Element

from exptrack import Buckets, __version__
from exptrack.amounts import format_duration
from exptrack.curve_points import read_means
from exptrack.exporters.report_contents import Contents, MetricReport, MetricValues, RunRow, plain_name
from exptrack.exporters.report_media import Media, draw_media
from exptrack.markup.chart import MOST_BANDS, choose_looks, draw_chart, draw_swatch
from exptrack.markup.elements import (
    cut,
    element,
    serialize,
    write_count,
    write_number,
    write_setting,
    write_time,
)
from exptrack.markup.parts import (
    SIGNS,
    fill_table,
    head,
    isolate,
    key_head,
    make_table,
    number_cell,
    paragraph,
    section,
    setting_cell,
)

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
BETTER = {"min": "lower is better", "max": "higher is better"}
BEST_OF = {"min": "least", "max": "greatest"}
KEY_COLUMNS = 6  # in the table of runs; the section on configs has all that differ
DECADES = 100  # the ratio of values that makes a key one of the first columns
SIDE_BY_SIDE = 8  # runs whose configs have a column each
MOST_VALUES = 12  # of a config key, if there are more runs
BROAD = 10  # columns of a table that is printed on a page turned on its side
STEPS_SHOWN = 8  # of each chart, in the table of its data
NAME_CHARS = 120
FILTER_CHARS = 2_000
REASON_CHARS = 2_000


def make_page(contents: Contents, media: Media, now: datetime) -> bytes:
    """Return the page as an HTML document."""
    return serialize(_Page(contents, media).build(now))


class _Page:
    def __init__(self, contents: Contents, media: Media) -> None:
        self._contents = contents
        self._media = media
        self._runs = {run.run_id: run for run in contents.runs}
        self._looks = choose_looks({run: self._runs[run].row_id for run in contents.drawn})
        self._with_curves = {curve.run_id for metric in contents.metrics for curve in metric.curves}

    def build(self, now: datetime) -> Element:
        contents = self._contents
        title = contents.title or contents.archive
        style = resources.files("exptrack.exporters").joinpath("report.css").read_text(encoding="utf-8")
        top = element(
            "head",
            element("meta", charset="utf-8"),
            element("meta", http_equiv="Content-Security-Policy", content=POLICY),
            element("meta", name="viewport", content="width=device-width, initial-scale=1"),
            element("meta", name="generator", content=f"exptrack {__version__}"),
            element("title", title),
            element("style", style),
        )
        main = element(
            "main",
            self._write_heading(title, now),
            self._write_best(),
            self._write_runs(),
            self._write_curves(),
            self._write_seeds(),
            self._write_configs(),
            draw_media(self._media, self._label),
            self._write_failures(),
            element(
                "footer", f"Written by exptrack {__version__}. Times are UTC. The page holds all that it shows."
            ),
        )
        return element("html", top, element("body", main), lang="en")

    def _label(self, run_id: str) -> list[Element | str]:
        """Name a run: by its name and id, or by its id alone."""
        return _name_run(self._runs[run_id], "span")

    def _named(self, run_id: str, tag: str = "span") -> Element:
        """Name a run beside a piece of its curve, if it has one. In ``small``, the id stands below."""
        swatch = draw_swatch(self._looks[run_id]) if run_id in self._with_curves else None
        return element("span", swatch, element("span", _name_run(self._runs[run_id], tag)), class_="named")

    # Heading

    def _write_heading(self, title: str, now: datetime) -> Element:
        contents = self._contents
        asked: list[Element | str] = [] if contents.where else ["all runs"]
        for text in contents.where:
            asked += [" and "] if asked else []
            asked.append(element("code", isolate(cut(text, FILTER_CHARS))))
        words: list[Element | str] = []
        for status, count in contents.statuses.items():
            words += [", "] if words else []
            words.append(element("span", f"{SIGNS[status]} {count:,} {status}", class_=status))
        facts: list[tuple[str, Iterable[Element | str]]] = [
            ("Archive", [isolate(contents.archive)]),
            ("Filter", asked),
            ("Runs", [f"{write_count(contents.total, 'run')}: ", *words]),
            ("Made", [f"{write_time(now)} UTC"]),
            ("Digest", [element("code", contents.digest), " (of the content of the whole archive)"]),
        ]
        notes = [*contents.left_out, *self._media.left_out]
        return element(
            "header",
            element("h1", isolate(title)),
            element("dl", [part for name, text in facts for part in _fact(name, text)], class_="facts"),
            element("ul", [element("li", isolate(note)) for note in notes], class_="note") if notes else None,
        )

    # Best runs

    def _write_best(self) -> Element | None:
        metrics = self._contents.metrics
        rows = [self._write_best_row(metric, *metric.best) for metric in metrics if metric.best]
        undecided = [metric.name for metric in metrics if metric.direction is None]
        words = []
        if rows:
            words.append("Completed runs are ranked, without pruned trials. NaN and the infinities never win.")
        if undecided:
            words.append("No direction follows from these names, so none of their values is best: ")
        if not words:
            return None
        names = [part for name in undecided for part in (", ", isolate(name))][1:]
        heads = ("Metric", "Best value", "At step", "Last value", "Run", "Why this one")
        table = make_table("Best runs by metric", heads, rows, (1, 2, 3)) if rows else None
        return section("Best runs", paragraph(" ".join(words), names), table)

    def _write_best_row(self, metric: MetricReport, run_id: str, value: float) -> Element:
        values = self._runs[run_id].metrics[metric.name]
        why = f"{BETTER[str(metric.direction)].capitalize()}, as {metric.source} says."
        return element(
            "tr",
            element("th", isolate(metric.name), scope="row"),
            number_cell(value, class_="best"),
            number_cell(values.min_step if metric.direction == "min" else values.max_step),
            number_cell(values.last),
            element("td", self._named(run_id)),
            element("td", isolate(why)),
        )

    # Runs

    def _write_runs(self) -> Element:
        contents = self._contents
        # What was tried over decades, as a learning rate, tells more than what was tried over a few values.
        keys = sorted(contents.varying, key=lambda key: not self._spans_decades(key))[:KEY_COLUMNS]
        has_tags = any(run.tags for run in contents.runs)
        heads = [
            *(head("Run"), head("Status")),
            *(head(plain_name(key), class_="number" if self._is_numeric(key) else None) for key in keys),
            *(head(metric.name, _describe_cell(metric), class_="number") for metric in contents.metrics),
            *([head("Tags")] if has_tags else []),
            head("Started"),
        ]
        rows = [self._write_run(run, keys, has_tags) for run in contents.runs]
        words = ["A metric has its last value, and below it the run's best one. The best of all is marked."]
        if len(contents.varying) > len(keys):
            words.append(
                f"{KEY_COLUMNS} of {len(contents.varying):,} config keys that differ are columns here."
            )
        table = fill_table("Runs, newest first", element("tr", heads), rows)
        return section(
            "Runs", paragraph(" ".join(words)), table, class_="broad" if len(heads) >= BROAD else None
        )

    def _is_numeric(self, key: str) -> bool:
        """Return whether the column of a key has numbers alone, which stand to the right."""
        held = [run.values[key] for run in self._contents.runs if run.values[key] is not None]
        return held != [] and all(isinstance(one, int | float) and not isinstance(one, bool) for one in held)

    def _spans_decades(self, key: str) -> bool:
        held = [run.values[key] for run in self._contents.runs if run.values[key] is not None]
        return self._is_numeric(key) and min(held) > 0 and max(held) >= DECADES * min(held)

    def _write_run(self, run: RunRow, keys: Sequence[str], has_tags: bool) -> Element:
        tags = [part for tag in run.tags for part in (isolate(cut(tag, NAME_CHARS)), " ")]
        spent = element("small", format_duration(run.duration_s))
        return element(
            "tr",
            element("th", self._named(run.run_id, "small"), scope="row"),
            element("td", write_status(run.status), spent, class_="nowrap"),
            [setting_cell(run.values[key]) for key in keys],
            [self._write_values(metric, run) for metric in self._contents.metrics],
            element("td", tags) if has_tags else None,
            element("td", f"{run.started:%Y-%m-%d}", element("small", f"{run.started:%H:%M}"), class_="nowrap"),
        )

    def _write_values(self, metric: MetricReport, run: RunRow) -> Element:
        values = run.metrics.get(metric.name)
        if values is None:
            return element("td")
        is_best = metric.best is not None and metric.best[0] == run.run_id
        cell = number_cell(values.last, class_="best" if is_best else "")
        best = {"min": values.min, "max": values.max, None: None}[metric.direction]
        if best is not None:
            cell.append(element("small", "★\N{NO-BREAK SPACE}" if is_best else None, write_number(best)))
        return cell

    # Curves

    def _write_curves(self) -> Element | None:
        figures, single = [], []
        for place, metric in enumerate(self._contents.metrics):
            if not metric.curves:
                continue
            if max(sum(curve.lists()["count"]) for curve in metric.curves) < 2:
                single.append(metric.name)
                continue
            figures.append(self._write_chart(f"chart-{place}", metric))
        if not figures:
            return None
        shown = [run for run in self._contents.drawn if run in self._with_curves]
        legend = element("ul", [element("li", self._named(run)) for run in shown])
        legend.set("class", "legend")
        text = (
            "A line is the mean of up to 200 buckets of steps. With at most"
            f" {MOST_BANDS} curves, its band reaches from the least to the greatest value of each bucket."
            " A gap with a cross is NaN, and one with an arrowhead an infinity."
        )
        alone = (
            paragraph(
                "One point a run, so no curve: ", [part for name in single for part in (isolate(name), " ")]
            )
            if single
            else None
        )
        return section("Curves", paragraph(text), legend, element("div", figures, class_="charts"), alone)

    def _write_chart(self, key: str, metric: MetricReport) -> Element:
        chart = draw_chart(key, metric.name, metric.curves, self._looks)
        nans = sum(sum(curve.lists()["nan_count"]) for curve in metric.curves)
        how = [BETTER[metric.direction]] if metric.direction else []
        how += [f"{write_count(nans, 'point')} NaN"] if nans else []
        return element(
            "figure",
            element("figcaption", isolate(metric.name), element("span", f" {', '.join(how)}", class_="how")),
            paragraph("No value is a finite number, so nothing is drawn.") if chart is None else chart,
            self._write_data(metric),
        )

    def _write_data(self, metric: MetricReport) -> Element:
        """Write what a chart shows as a table: what each run logged, and the means at some steps."""
        low = min(curve.lists()["first_step"][0] for curve in metric.curves)
        high = max(curve.lists()["last_step"][-1] for curve in metric.curves)
        count = min(STEPS_SHOWN, high - low + 1)
        steps = [low + (high - low) * place // max(1, count - 1) for place in range(count)]
        heads = ("Run", "Points", "NaN", "Last", "Least", "at step", "Greatest", "at step")
        rows = []
        for curve in metric.curves:
            values: MetricValues = self._runs[curve.run_id].metrics[metric.name]
            rows.append(
                element(
                    "tr",
                    element("th", self._named(curve.run_id), scope="row"),
                    [number_cell(one) for one in (values.count, values.nan_count, values.last)],
                    [number_cell(one) for one in (values.min, values.min_step, values.max, values.max_step)],
                    [number_cell(one) for one in _means_at(curve, steps)],
                )
            )
        names = [*heads, *(f"mean near {step:,}" for step in steps)]
        numbers = range(1, len(names))
        table = make_table(f"{metric.name} by run", names, rows, numbers)
        return element("details", element("summary", f"Data of {metric.name}"), table)

    # Seeds

    def _write_seeds(self) -> Element | None:
        contents = self._contents
        if not contents.groups:
            return None
        keys = [key for key in contents.varying if key not in contents.seeds]
        metrics = [
            one.name for one in contents.metrics if any(one.name in group.metrics for group in contents.groups)
        ]
        heads = [*(plain_name(key) for key in keys), *metrics]
        rows = [
            element(
                "tr",
                [
                    setting_cell(group.config.get(plain_name(key)), is_head=place == 0)
                    for place, key in enumerate(keys)
                ],
                element("th", "all runs", scope="row") if not keys else None,
                [_spread_cell(group.metrics.get(name)) for name in metrics],
            )
            for group in contents.groups
        ]
        names = ", ".join(map(plain_name, contents.seeds))
        text = (
            f"Completed runs whose configs differ in {names} alone: mean ± standard deviation (of the sample)"
            " of the last values, and the number of runs. NaN and the infinities are left out."
        )
        numeric = [place for place, key in enumerate(keys) if self._is_numeric(key)]
        numbers = [*numeric, *range(len(keys), len(heads))] if keys else range(1, 1 + len(metrics))
        table = make_table("Groups over seeds", heads if keys else ["Runs", *metrics], rows, numbers)
        return section("Over seeds", paragraph(text), table, class_="broad" if len(heads) >= BROAD else None)

    # Configs

    def _write_configs(self) -> Element | None:
        contents = self._contents
        if not contents.varying and not contents.common:
            return None
        parts: list[Element | None] = []
        if contents.varying and len(contents.runs) <= SIDE_BY_SIDE:
            heads = [head("Key")]
            heads += [element("th", self._label(run.run_id), scope="col") for run in contents.runs]
            rows = [
                element(
                    "tr", key_head(plain_name(key)), [setting_cell(run.values[key]) for run in contents.runs]
                )
                for key in contents.varying
            ]
            parts.append(fill_table("Config keys that differ", element("tr", heads), rows))
        elif contents.varying:
            rows = [
                element("tr", key_head(plain_name(key)), element("td", self._list_values(key), class_="long"))
                for key in contents.varying
            ]
            parts.append(make_table("Config keys that differ", ("Key", "Values × runs"), rows))
        else:
            parts.append(paragraph("All configs are equal." if len(contents.runs) > 1 else "There is one run."))
        if contents.common:
            rows = [
                element("tr", key_head(plain_name(key)), setting_cell(one))
                for key, one in contents.common.items()
            ]
            table = make_table("Config keys that are equal", ("Key", "Value in all runs"), rows)
            words = f"{write_count(len(rows), 'key')} with the same value in all runs"
            parts.append(element("details", element("summary", words), table, class_="printed"))
        return section("Configs", *parts, class_="configs")

    def _list_values(self, key: str) -> list[Element | str]:
        """List the most frequent values of a key in their order, each with its number of runs."""
        values = {run.run_id: run.values[key] for run in self._contents.runs}
        counted = Counter(repr(value) for value in values.values())
        by_text = {repr(value): value for value in values.values()}
        common = [by_text[text] for text, _count in counted.most_common(MOST_VALUES)]
        parts: list[Element | str] = []
        for value in sorted(common, key=_rank_setting):
            parts += [", "] if parts else []
            parts.append(isolate("not set" if value is None else write_setting(value)))
            parts.append(element("span", f" ×{counted[repr(value)]:,}", class_="dim"))
        if len(counted) > MOST_VALUES:
            parts.append(f" and {len(counted) - MOST_VALUES:,} other values")
        return parts

    # Failures

    def _write_failures(self) -> Element | None:
        ended = [run for run in self._contents.runs if run.status in ("failed", "interrupted")]
        if not ended:
            return None
        rows = [
            element(
                "tr",
                element("th", self._label(run.run_id), scope="row"),
                element("td", write_status(run.status), class_="nowrap"),
                element("td", format_duration(run.duration_s), class_="nowrap"),
                element("td", isolate(cut(run.reason or "", REASON_CHARS)), class_="long"),
            )
            for run in ended
        ]
        heads = ("Run", "Status", "After", "Reason")
        return section("Failed and interrupted runs", make_table("Failed and interrupted runs", heads, rows))


def write_status(status: str) -> Element:
    """Write a status as a sign and a word, in its colour."""
    return element("span", f"{SIGNS[status]} {status}", class_=status)


def _name_run(run: RunRow, tag: str) -> list[Element | str]:
    if not run.name:
        return [element(tag, run.run_id, class_="id")]
    return [isolate(cut(run.name, NAME_CHARS)), " ", element(tag, run.run_id, class_="id")]


def _describe_cell(metric: MetricReport) -> str:
    """Say what stands in a cell of a metric."""
    return "last" if metric.direction is None else f"last; {BEST_OF[metric.direction]}"


def _rank_setting(value: Any) -> tuple[int, Any, str]:
    """Rank numbers by size, then texts and the rest, and last a key that is not set."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and value == value
    return 2 if value is None else 0 if is_number else 1, value if is_number else 0, repr(value)


def _fact(name: str, text: Iterable[Element | str]) -> tuple[Element, Element]:
    return element("dt", name), element("dd", text)


def _spread_cell(found: tuple[int, float | None, float | None] | None) -> Element:
    if found is None or found[1] is None:
        return element("td")
    count, mean, std = found
    cell = number_cell(mean)
    if std is not None:
        cell.text = f"{cell.text} ± {write_number(std)}"
        cell.set("title", f"{mean!r} ± {std!r}")
    cell.append(element("small", write_count(count, "run")))
    return cell


def _means_at(curve: Buckets, steps: Sequence[int]) -> Iterator[float | None]:
    """Yield the mean of the bucket in which each step lies; None where the curve has none."""
    columns = curve.lists()
    starts, means = columns["start"], read_means(columns)
    for step in steps:
        place = bisect_right(starts, step) - 1
        yield means[place] if place >= 0 and step < starts[place] + curve.width else None
