"""A report says what the API says, holds all that it shows, and appears whole or not at all."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import pytest

from exptrack import (
    Archive,
    ExportError,
    FilterError,
    InvalidValueError,
    MetricNotFoundError,
    NotFoundError,
    OwnFileError,
    RecordedArtifact,
    RecordedRun,
    StudyConfig,
    Trial,
    TrialPruned,
)
from exptrack.exporters import report_contents, report_media
from exptrack.exporters.report import Report, write_report
from tests.exporters.pages import columns_of, parse, tables_of, text_of

STARTED = datetime(2026, 3, 1, 12, tzinfo=UTC)
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
ODD = "a.b \"c\" <d> & 'e' \u202e\x07"


def make_run(number: int, **other: Any) -> RecordedRun:
    lr, seed = (0.1, 0.01)[number % 2], number // 2
    loss = [lr + 1 / (step + 1) + seed / 100 for step in range(40)]
    facts: dict[str, Any] = {
        "metrics": {"val/loss": (range(40), loss), "acc": (range(40), [1 - one / 3 for one in loss])},
        "name": f"run {number}",
        "tags": ["paper"],
        "duration_s": 90.0,
    }
    config = {"optim": {"lr": lr, "name": "adam"}, "seed": seed, "layers": [64, 64]}
    return RecordedRun(config, STARTED + timedelta(hours=number), **facts | other)


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    """Six runs of two learning rates and three seeds, and a failed one that had the least loss."""
    failed = make_run(6, status="failed", reason="out of memory", metrics={"val/loss": ([0], [-5.0])})
    with Archive(tmp_path / "lab.db") as made:
        made.record_runs([*map(make_run, range(6)), failed])
        yield made


def report_on(archive: Archive, **options: Any) -> tuple[Element, Report]:
    out = Path(archive.path).parent / f"{len(os.listdir(Path(archive.path).parent))}.html"
    made = write_report(archive, out, **options)
    assert made.size_bytes == out.stat().st_size
    return parse(out), made


def test_the_head_says_what_was_asked_when_and_of_which_content(archive: Archive) -> None:
    page, made = report_on(archive, where="tag = paper", title="Appendix B")
    shown = text_of(page.findall(".//header")[0])
    for words in ("Appendix B", "lab.db", "tag = paper", "7 runs: ✓ 6 completed, ✕ 1 failed", archive.digest()):
        assert words in shown
    assert (made.runs, made.listed, made.drawn, made.digest) == (7, 7, 7, archive.digest())
    assert f"{datetime.now(UTC):%Y-%m-%d}" in shown


def test_the_page_has_no_script_and_its_policy_forbids_all_but_its_style(archive: Archive) -> None:
    page, _made = report_on(archive)
    policies = [one.get("content") for one in page.iter("meta") if one.get("http-equiv")]
    assert policies == [POLICY]
    tags = {one.tag for one in page.iter()}
    assert not tags & {"script", "link", "iframe", "object", "embed", "form", "base", "a"}
    assert not any(name.startswith("on") for one in page.iter() for name in one.attrib)
    assert "http:" not in text_of(page) + "".join(value for one in page.iter() for value in one.attrib.values())


def test_the_table_of_runs_has_the_values_of_the_api(archive: Archive) -> None:
    page, _made = report_on(archive)
    rows = list(columns_of(page, "Runs, newest first"))
    runs = archive.list_runs()
    assert len(rows) == len(runs) == 7
    for row, run in zip(rows, runs, strict=True):
        assert row["Run"].below == run.run_id
        assert row["Status"].text[2:] == run.status
        assert row["optim.lr"].number == archive.read_config(run).config["optim"]["lr"]
        assert (row["val/loss"].number if row["val/loss"].text else None) == run.metrics.get("val/loss")
        assert (row["acc"].number if row["acc"].text else None) == run.metrics.get("acc")
    assert "optim.name" not in rows[0]  # it does not vary


def test_the_best_run_is_that_of_the_api_and_the_page_says_why(archive: Archive) -> None:
    page, _made = report_on(archive)
    best = {row["Metric"].text: row for row in columns_of(page, "Best runs by metric")}
    for metric, direction, by, why in (
        ("val/loss", "minimize", "min", "Lower is better, as its name says."),
        ("acc", "maximize", "max", "Higher is better, as its name says."),
    ):
        ((run, value),) = archive.best_runs(metric, direction, by=by, limit=1)
        assert best[metric]["Best value"].number == value
        assert best[metric]["At step"].number == 39
        assert run.run_id in best[metric]["Run"].text
        assert best[metric]["Why this one"].text == why
        marked = [row for row in columns_of(page, "Runs, newest first") if "best" in row[metric].classes]
        assert [row["Run"].below for row in marked] == [run.run_id]
        assert marked[0][metric].below.startswith("★")


def test_a_study_decides_on_the_direction_and_a_name_without_one_has_no_best_run(tmp_path: Path) -> None:
    with Archive(tmp_path / "lab.db") as archive:
        study = archive.create_study(StudyConfig("digits", "maximize", "random", metric="loss"))
        study.optimize(lambda trial: trial.suggest_float("lr", 0.1, 1), 4)
        with archive.start_run() as run:
            run.log({"norm": 1.0})
        page, _made = report_on(archive)
        (row,) = columns_of(page, "Best runs by metric")
        assert row["Why this one"].text == "Higher is better, as study digits says."
        assert row["Best value"].number == max(trial.value or 0 for trial in archive.trials("digits"))
        assert "none of their values is best: norm" in text_of(page)


def test_groups_over_seeds_are_those_of_group_by(archive: Archive) -> None:
    page, _made = report_on(archive)
    rows = list(columns_of(page, "Groups over seeds"))
    for metric in ("val/loss", "acc"):
        groups = archive.group_by("optim.lr", metric)
        assert [row["optim.lr"].number for row in rows] == [group.config["optim.lr"] for group in groups]
        for row, group in zip(rows, groups, strict=True):
            assert row[metric].title == f"{group.mean!r} ± {group.std!r}"
            assert row[metric].below == "3 runs"
    with_one_seed, _made = report_on(archive, where="config.seed = 1")
    assert "Groups over seeds" not in tables_of(with_one_seed)


def test_only_what_differs_in_configs_is_open_and_the_rest_is_folded(archive: Archive) -> None:
    page, _made = report_on(archive)
    differing = {row["Key"].text: row for row in columns_of(page, "Config keys that differ")}
    assert sorted(differing) == ["optim.lr", "seed"]
    assert [cell.number for cell in list(differing["seed"].values())[1:]] == [3, 2, 2, 1, 1, 0, 0]
    equal = {
        row["Key"].text: row["Value in all runs"].text for row in columns_of(page, "Config keys that are equal")
    }
    assert equal == {"layers": "[64, 64]", "optim.name": "adam"}
    folded = [one for one in page.iter("details") if "same value in all runs" in text_of(one)]
    assert len(folded) == 1
    archive.record_runs([make_run(number) for number in range(7, 12)])
    many, _made = report_on(archive)
    values = {row["Key"].text: row["Values × runs"].text for row in columns_of(many, "Config keys that differ")}
    assert values["optim.lr"] == "0.01 ×6, 0.1 ×6"


def test_true_and_one_and_one_point_nought_differ(tmp_path: Path) -> None:
    with Archive(tmp_path / "lab.db") as archive:
        archive.record_runs([RecordedRun({"a": one, "b": 0.5}, STARTED) for one in (1, 1.0, True)])
        page, _made = report_on(archive)
        assert [row["Key"].text for row in columns_of(page, "Config keys that differ")] == ["a"]


def test_failed_runs_have_their_reasons(archive: Archive) -> None:
    page, _made = report_on(archive)
    (row,) = columns_of(page, "Failed and interrupted runs")
    assert (row["Status"].text, row["After"].text, row["Reason"].text) == (
        "✕ failed",
        "1 min 30 s",
        "out of memory",
    )


def test_a_chart_has_every_curve_and_its_data_as_a_table(archive: Archive) -> None:
    page, _made = report_on(archive)
    charts = [one for one in page.iter("svg") if one.get("class") == "chart"]
    assert [text_of(one[0]) for one in charts] == ["val/loss by step", "acc by step"]
    acc = charts[1]
    assert acc.get("role") == "img"
    assert acc.get("aria-labelledby") == f"{acc[0].get('id')} {acc[1].get('id')}"
    assert "6 curves over steps 0 to 39" in text_of(acc[1])
    lines = [one for one in acc.iter("path") if one.get("class") == "line"]
    bands = [one for one in acc.iter("path") if one.get("class") == "band"]
    assert len(lines) == len(bands) == 6
    rows = list(columns_of(page, "acc by run"))
    curves = list(archive.curves(archive.runs().where("exists metrics.acc"), "acc", buckets=200))
    assert len(rows) == len(curves)
    for row, curve in zip(rows, curves, strict=True):
        columns = curve.lists()
        assert curve.run_id in row["Run"].text
        assert (row["Points"].number, row["NaN"].number) == (40, 0)
        assert row["Least"].number == min(columns["min"])
        assert row["Greatest"].number == max(columns["max"])
        assert row["mean near 0"].number == columns["first"][0]
        assert row["mean near 39"].number == columns["last"][-1]


def test_chosen_metrics_are_shown_in_their_order_and_no_others(archive: Archive) -> None:
    page, made = report_on(archive, metrics=["acc"])
    assert made.metrics == ("acc",)
    assert [row["Metric"].text for row in columns_of(page, "Best runs by metric")] == ["acc"]
    assert report_on(archive, metrics=["acc", "val/loss", "acc"])[1].metrics == ("acc", "val/loss")


def test_of_many_metrics_those_that_tell_most_are_shown_and_the_page_says_so(tmp_path: Path) -> None:
    names = [f"layer{number}/norm" for number in range(30)] + ["val/loss", "train/loss", "system/cpu"]
    with Archive(tmp_path / "lab.db") as archive:
        archive.record_runs([make_run(0, metrics={name: ([0, 1], [1.0, 2.0]) for name in names})])
        page, made = report_on(archive)
        assert made.metrics[:2] == ("val/loss", "train/loss")
        assert len(made.metrics) == 10
        assert made.left_out == ("10 of 32 metrics are shown; --metrics NAME chooses others",)
        assert made.left_out[0] in text_of(page)
        assert report_on(archive, metrics="system/cpu")[1].metrics == ("system/cpu",)


# What is no finite number


def test_nan_and_infinities_are_written_out_and_marked(tmp_path: Path) -> None:
    with Archive(tmp_path / "lab.db") as archive:
        values = [1.0, 2.0, math.nan, 4.0, math.inf, -math.inf, 7.0, math.nan]
        archive.record_runs([make_run(0, metrics={"x": (range(8), values)})])
        page, _made = report_on(archive)
        (row,) = columns_of(page, "Runs, newest first")
        assert row["x"].text == "NaN"
        assert "odd" in row["x"].classes
        (data,) = columns_of(page, "x by run")
        assert (data["Least"].text, data["Greatest"].text, data["NaN"].text) == ("−∞", "∞", "2")
        (chart,) = (one for one in page.iter("svg") if one.get("class") == "chart")
        paths = {one.get("class"): one.get("d", "") for one in chart.iter("path")}
        assert paths["line"].count("M") == 1  # of 1 and 2; 4 and 7 stand alone
        assert paths["dot"].count("M") == 2
        assert paths["mark"].count("M") == 4
        assert "Crosses at the lower edge are NaN" in text_of(chart[1])


@pytest.mark.parametrize(
    "values",
    [
        [math.nan, math.nan],
        [math.inf, -math.inf],
        [1.7e308, -1.7e308, 1.7e308],
        [5e-324, 0.0, 5e-324],
        [3.0, 3.0],
        [1e-300, 1e300],
        [2.0**60, 2.0**60 + 256],
    ],
    ids=str,
)
def test_any_values_make_a_page_with_places_that_are_numbers(values: list[float], tmp_path: Path) -> None:
    with Archive(tmp_path / "lab.db") as archive:
        archive.record_runs(
            [make_run(0, metrics={"x": ([0, *range(10**15, 10**15 + len(values) - 1)], values)})]
        )
        page, _made = report_on(archive)
        (data,) = columns_of(page, "x by run")
        assert data["Last"].number == values[-1] or math.isnan(values[-1])
        paths = [one.get("d", "") for one in page.iter("path")]
        assert all(re.fullmatch(r"[MlLhHvVzm0-9 .-]+", path) for path in paths)
        if not any(map(math.isfinite, values)):
            assert "No value is a finite number, so nothing is drawn." in text_of(page)


def test_values_over_decades_have_a_logarithmic_axis(tmp_path: Path) -> None:
    with Archive(tmp_path / "lab.db") as archive:
        metrics = {
            "lr": (range(50), [10 ** (-step / 10) for step in range(50)]),
            "acc": (range(50), [0.001] + [0.5] * 49),
        }
        archive.record_runs([make_run(0, metrics=metrics)])
        page, _made = report_on(archive)
        said = {text_of(one[0]): text_of(one[1]) for one in page.iter("svg") if one.get("class") == "chart"}
        assert "on a logarithmic axis" in said["lr by step"]
        assert "on a linear axis" in said["acc by step"]  # one early value is no reason


def test_one_point_is_a_dot_beside_curves_and_alone_no_chart(tmp_path: Path) -> None:
    with Archive(tmp_path / "lab.db") as archive:
        for points in (1, 5):
            metrics = {"loss": (range(points), [1.0] * points), "test": ([0], [0.5])}
            archive.record_runs([make_run(points, metrics=metrics)])
        page, _made = report_on(archive)
        (chart,) = (one for one in page.iter("svg") if one.get("class") == "chart")
        assert [one.get("class") for one in chart.iter("path") if one.get("class") in ("dot", "line")] == [
            "line",
            "dot",
        ]
        assert "One point a run, so no curve: test" in text_of(page)


def test_runs_without_metrics_or_config_make_a_page(tmp_path: Path) -> None:
    with Archive(tmp_path / "lab.db") as archive:
        archive.start_run().complete()
        page, made = report_on(archive)
        assert made.metrics == ()
        assert sorted(tables_of(page)) == ["Runs, newest first"]


def test_each_status_is_named_and_counted_and_a_pruned_trial_wins_nothing(tmp_path: Path) -> None:
    with Archive(tmp_path / "lab.db") as archive:
        study = archive.create_study(StudyConfig("s", "minimize", "random", metric="loss"))

        def objective(trial: Trial) -> float:
            value = trial.suggest_float("x", 1, 2) - 5 * (trial.number == 1)
            trial.report(0, value)
            if trial.number == 1:
                raise TrialPruned
            return value

        study.optimize(objective, 3)
        archive.record_runs([make_run(0, status="interrupted", reason="SIGTERM")])
        with archive.start_run():
            page, _made = report_on(archive)
    assert "5 runs: ✓ 2 completed, ● 1 running, ■ 1 interrupted, ✂ 1 pruned" in text_of(page)
    rows = list(columns_of(page, "Runs, newest first"))
    statuses = [row["Status"].text for row in rows]
    assert sorted(statuses) == sorted(["● running", "■ interrupted", "✂ pruned", *["✓ completed"] * 2])
    best = next(row for row in columns_of(page, "Best runs by metric") if row["Metric"].text == "loss")
    assert best["Best value"].number > 0 > rows[statuses.index("✂ pruned")]["loss"].number


# Names


def test_names_of_any_kind_are_escaped_and_their_signs_seen(tmp_path: Path) -> None:
    long = "x" * 900
    with Archive(tmp_path / "lab.db") as archive:
        for number in range(2):
            with archive.start_run({"k": {"a.b": number}, "text": ODD, "n": number}, name=ODD[:-2]) as run:
                run.log_many('a.max "q"', range(3), [1.0, 2.0, float(number)])
                run.log_many(long, range(3), [1.0, 2.0, 3.0])
                run.log_many("<b>&amp;", range(3), [1.0, 2.0, 3.0])
        page, made = report_on(archive)
        assert sorted(made.metrics) == sorted(['a.max "q"', "<b>&amp;", long])
        rows = list(columns_of(page, "Runs, newest first"))
        assert rows[0]['a.max "q"'].number == 1
        assert rows[0]["k.a.b"].number == 1
        shown = text_of(page)
        assert "\u202e" not in shown + "".join(value for one in page.iter() for value in one.attrib.values())
        assert "a.b \"c\" <d> & 'e' ⟨U+202E⟩␇" in shown
        assert f"{'x' * 300}… (900 characters)" in shown


# Artifacts


def test_artifacts_are_those_of_the_newest_step_and_hold_their_bytes(tmp_path: Path) -> None:
    import numpy

    with Archive(tmp_path / "lab.db") as archive:
        with archive.start_run(name="with pictures") as run:
            for step in (0, 10):
                run.log_image(
                    "sample", numpy.full((300, 600, 3), step, dtype=numpy.uint8), step, caption=f"<{step}>"
                )
            run.log_image("plot", b'<svg xmlns="http://www.w3.org/2000/svg"><script>hit=1</script></svg>')
            run.log_table(
                "confusion",
                [{"truth": t, "said": s, "n": n} for t, s, n in (("a", "a", 3), ("a", "b", 1), ("b", "b", 4))],
            )
            run.log_table("square", [["cat", 5, 1], ["dog", 2, 8]], columns=["truth", "cat", "dog"])
            run.log_table("rows", {"x": range(40), "y": [f"<{n}>" for n in range(40)]})
            run.log_histogram("weights", counts=[1, 5, 2], edges=[0.0, 1.0, 2.0, 4.0])
        page, made = report_on(archive)
        assert (made.images, made.tables, made.histograms) == (2, 3, 1)
        images = {one.get("alt", ""): one for one in page.iter("img")}
        sample = images[f"sample of run {run.run_id} at step 10"]
        assert sample.get("src", "").startswith("data:image/png;base64,")
        assert (sample.get("width"), sample.get("height")) == ("256", "128")
        assert "<10>" in text_of(page)
        assert images[f"plot of run {run.run_id}"].get("src", "").startswith("data:image/svg+xml;base64,")
        assert next(columns_of(page, f"confusion of run {run.run_id}"))["b"].text == "1"
        cells = tables_of(page)[f"square of run {run.run_id}"][1:]
        assert [[cell.text for cell in row] for row in cells] == [["cat", "5", "1"], ["dog", "2", "8"]]
        heat = [one.get("style") for one in page.iter("td") if one.get("style")]
        assert heat == [f"--share:{0.45 * n / 4:.2f}" for n in (3, 1, 0, 4)] + [
            f"--share:{0.45 * n / 8:.2f}" for n in (5, 1, 2, 8)
        ]
        assert len(tables_of(page)[f"rows of run {run.run_id}"]) == 1 + report_media.MOST_ROWS
        assert "25 of 40 rows" in text_of(page)
        bins = [*columns_of(page, f"Bins of weights of run {run.run_id}")]
        assert [row["Count"].text for row in bins] == ["1", "5", "2"]


def test_what_does_not_fit_or_is_damaged_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import numpy

    chance = numpy.random.default_rng(0)
    monkeypatch.setattr(report_media, "MOST_IMAGE_BYTES", 60_000)
    with Archive(tmp_path / "lab.db") as archive:
        for _ in range(4):
            with archive.start_run() as run:
                run.log_image("noise", chance.integers(0, 255, (100, 100, 3), dtype=numpy.uint8))
        files = [
            RecordedArtifact("broken.png", b"\x89PNG\r\n\x1a\n rubbish", kind="image", media_type="image/png"),
            RecordedArtifact("odd.json", '{"edges": [1], "counts": [1]}', kind="histogram"),
            RecordedArtifact("no.csv", 'a,"b\n', kind="table", media_type="text/csv"),
        ]
        archive.record_runs([make_run(0, artifacts=files)])
        page, made = report_on(archive)
        assert (made.images, made.tables, made.histograms) == (1, 0, 0)
        said = "\n".join(made.left_out)
        for words in ("broken.png of run", "odd.json of run", "no.csv of run", "3 images more are not shown"):
            assert words in said
            assert words in text_of(page)


def test_without_pillow_the_page_says_why_it_has_no_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    with Archive(tmp_path / "lab.db") as archive:
        for _ in range(2):
            with archive.start_run() as run:
                run.log_image("one", (Path(__file__).parents[2] / "docs" / "page-runs.png").read_bytes())
        monkeypatch.setitem(sys.modules, "PIL.Image", None)
        _page, made = report_on(archive)
        assert made.images == 0
        assert len(made.left_out) == 1
        assert "exptrack-archive[media]" in made.left_out[0]


# Limits


def test_beyond_the_limits_the_newest_and_the_best_runs_are_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report_contents, "MOST_LISTED", 12)
    monkeypatch.setattr(report_contents, "MOST_DRAWN", 5)
    with Archive(tmp_path / "lab.db") as archive:
        values = [0.01 if number == 3 else 1 / (number + 2) for number in range(30)]
        made = archive.record_runs(
            [make_run(number, metrics={"loss": ([0, 1], [9.0, value])}) for number, value in enumerate(values)]
        )
        page, report = report_on(archive)
        listed = [row["Run"].below for row in columns_of(page, "Runs, newest first")]
        assert listed == [*reversed(made[-11:]), made[3]]
        assert (report.runs, report.listed, report.drawn) == (30, 12, 6)
        assert "12 of 30 runs are listed" in report.left_out[0]
        assert "30 runs: ✓ 30 completed" in text_of(page)
        drawn = [row["Run"].text.split()[-1] for row in columns_of(page, "loss by run")]
        assert drawn == [*reversed(made[-5:]), made[3]]


def test_twenty_runs_of_ten_metrics_fit_into_a_mail(tmp_path: Path) -> None:
    with Archive(tmp_path / "lab.db") as archive:
        curves = {
            f"loss {n}": (range(400), [math.sin(step / 18 + n) for step in range(400)]) for n in range(10)
        }
        archive.record_runs([make_run(number, metrics=curves) for number in range(20)])
        _page, made = report_on(archive)
        assert 200_000 < made.size_bytes < 700_000


# The file


def test_nothing_is_written_if_no_run_matches(archive: Archive) -> None:
    out = Path(archive.path).parent / "out.html"
    with pytest.raises(NotFoundError, match=r"no run matches, so .*out.html was not made"):
        write_report(archive, out, where="tag = nobody")
    assert not out.exists()


@pytest.mark.parametrize(
    ("error", "options"),
    [
        (FilterError, {"where": "tag ="}),
        (MetricNotFoundError, {"metrics": ["val/los"]}),
        (MetricNotFoundError, {"metrics": ["acc"], "where": "status = failed"}),
        (InvalidValueError, {"metrics": []}),
        (InvalidValueError, {"metrics": [f"m{n}" for n in range(51)]}),
        (InvalidValueError, {"title": "x" * 201}),
    ],
)
def test_what_is_wrong_is_told_and_makes_no_file(
    error: type[Exception], options: dict[str, Any], archive: Archive
) -> None:
    out = Path(archive.path).parent / "out.html"
    with pytest.raises(error):
        write_report(archive, out, **options)
    assert not out.exists()


def test_a_file_of_that_name_stays(archive: Archive) -> None:
    folder = Path(archive.path).parent
    (folder / "mine.html").write_text("mine")
    with pytest.raises(ExportError, match=r"mine.html: it exists"):
        write_report(archive, folder / "mine.html")
    assert (folder / "mine.html").read_text() == "mine"
    with pytest.raises(ExportError, match="choose another place"):
        write_report(archive, folder / "nowhere" / "out.html")
    for name in ("lab.db", "lab.db-wal"):
        with pytest.raises(OwnFileError):
            write_report(archive, folder / name)


def test_an_archive_that_is_only_read_stays_as_it_is(archive: Archive, tmp_path: Path) -> None:
    archive.pack(tmp_path / "packed.db")
    before = (tmp_path / "packed.db").read_bytes()
    with Archive(tmp_path / "packed.db", mode="ro") as packed:
        page, _made = report_on(packed)
        assert len(list(columns_of(page, "Runs, newest first"))) == 7
    assert (tmp_path / "packed.db").read_bytes() == before


def test_a_running_run_is_shown_with_what_it_has_logged(tmp_path: Path) -> None:
    with Archive(tmp_path / "lab.db") as archive, archive.start_run({"lr": 0.1}) as run:
        run.log_many("loss", range(3), [3.0, 2.0, 1.0])
        page, _made = report_on(archive)
        (row,) = columns_of(page, "Runs, newest first")
        assert (row["Status"].text, row["loss"].text) == ("● running", "1")
