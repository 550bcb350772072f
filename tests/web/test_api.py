"""The JSON twins say what the public API says, errors have their status, and no question writes."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import stat
import subprocess
import sys
import threading
from array import array
from contextlib import nullcontext
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exptrack import Archive
from exptrack.web.curve_cache import KEY_BYTES, CurveCache, PackedCurve
from exptrack.web.encoding import CURVE_COLUMNS, to_json
from exptrack.web.page import Page
from exptrack.web.server import make_app
from tests.effort import tries
from tests.levels import RISING, let_short_series_have_levels, log, rows_of, scanning
from tests.web.client import PORT, TOKEN, Answer, Client
from tests.web.conftest import BINARY, TEXT, fill

COLUMNS = ["run_id", "name", "status", "started", "duration", "tag", "config.lr", "config.model.name",
           "metrics.loss", "metrics.odd.max", "metrics.loss.count", "attr.score", "config.nothing"]  # fmt: skip
FILTERS = ["", "config.lr < 0.2", "tag = base", "metrics.odd is null", "name like 'b%'", "config.nothing = 1"]
ORDERS = ["started", "-started", "metrics.loss", "-metrics.odd.max", "config.lr", "name", "-attr.score"]


def as_json(value: object) -> Any:
    return json.loads(to_json(value))


def body(answer: Answer) -> dict[str, Any]:
    """The members of a good answer, without the version, which it must have."""
    assert answer.status == 200, answer.text
    found = answer.json()
    assert isinstance(found.pop("version"), str)
    assert isinstance(found, dict)
    return found


def test_json_holds_what_a_browser_reads_exactly() -> None:
    whole = [2**53, -(2**53), 2**53 + 1, -(2**53) - 1, 2**63, True]
    assert as_json(whole) == [2**53, -(2**53), str(2**53 + 1), str(-(2**53) - 1), str(2**63), True]
    assert as_json([math.nan, math.inf, -math.inf, 0.1, 1.0]) == ["NaN", "Infinity", "-Infinity", 0.1, 1.0]
    assert as_json({"a": b"\xff", 0.5: {"x"}, "t": (1, None)}) == {
        "a": {"base64": "/w=="},
        "0.5": ["x"],
        "t": [1, None],
    }
    moment = datetime(2026, 1, 31, 12, 0, 0, 5000, timezone(timedelta(hours=2)))
    assert as_json(moment) == "2026-01-31T10:00:00.005000Z"
    assert to_json("\ud800 ü") == b'"\\ud800 \\u00fc"'


# Runs


@settings(max_examples=tries(15), deadline=None)
@given(
    where=st.lists(st.sampled_from(FILTERS), max_size=2),
    order=st.lists(st.sampled_from(ORDERS), max_size=2),
    columns=st.lists(st.sampled_from(COLUMNS), min_size=1, unique=True),
    start=st.integers(0, 6),
    size=st.integers(0, 6),
)
def test_rows_are_those_of_the_query(
    client: Client, lab: Archive, where: list[str], order: list[str], columns: list[str], start: int, size: int
) -> None:
    query = lab.runs().allow_unknown()
    for one in where:
        query = query.where(one)
    query = query.order_by(*order) if order else query
    rows = query.rows(columns, start=start, size=size)
    asked = {"where": where, "order": order}
    found = body(client.get("/api/runs", columns=columns, start=start, size=size, **asked))
    assert found == {"total": rows.total, "row_ids": rows.row_ids.tolist(), "rows": as_json(rows.rows)}
    index = client.get("/api/runs/index", **asked)
    assert array("I", index.content).tolist() == query.index().tolist()
    assert index.headers["x-archive-version"]
    ids = query.index().tolist()
    again = body(client.get("/api/runs/rows", ids=",".join(map(str, ids)), columns=columns))
    assert again["rows"] == as_json(lab.read_rows(ids, columns))
    fields = body(client.get("/api/fields", **asked))["fields"]
    assert fields == as_json(query.fields())
    summary = body(client.get("/api/summary", field=columns[0], bins=5, top=3, **asked))["summary"]
    assert summary == as_json(query.summarize(columns[0], bins=5, top=3))


def test_a_run_that_is_gone_has_no_row(client: Client) -> None:
    assert body(client.get("/api/runs/rows?ids=999,1", columns=["config.lr"])) == {
        "rows": [None, {"config.lr": 1.0}]
    }


def test_the_archive_says_what_it_is(client: Client, lab: Archive) -> None:
    found = body(client.get("/api/archive"))
    assert (found["path"], found["name"], found["can_edit"]) == (lab.path, "lab.db", True)
    assert (found["runs"], found["pid"]) == (5, os.getpid())


def test_a_filter_is_helped_in_units_of_utf_16(client: Client, lab: Archive) -> None:
    text = "name = '😀' and confi"
    found = body(client.get("/api/filter", text=text, cursor=len(text) + 1))
    expected = lab.complete_filter(text)
    assert [one["text"] for one in found["completions"]] == [one.text for one in expected.completions]
    assert found["completions"][0]["from"] == text.index("confi") + 1
    assert found["completions"][0]["to"] == len(text) + 1
    assert found["problem"] == {"message": expected.problem, "position": (expected.position or 0) + 1}
    assert body(client.get("/api/filter", text="config.lr < 1"))["problem"] is None
    # Between the halves of a character there is no place.
    assert client.get("/api/filter", text=text, cursor=9).status == 200
    fields = body(client.get("/api/complete-field", text="lo", among=["metric"]))["completions"]
    assert "metrics.loss" in [one["text"] for one in fields]
    error = client.get("/api/runs", where=f"{text} = 1").json()["error"]
    assert (error["kind"], error["position"]) == ("FilterError", text.index("confi") + 1)
    assert "\n" not in error["message"]


# One run


def test_a_run_is_shown_in_parts(client: Client, lab: Archive, main_run: str) -> None:
    shown = lab.show_run(main_run)
    run = body(client.get(f"/api/run/{main_run}"))["run"]
    without_metrics = shown.summary._replace(metrics={})
    assert {name: run[name] for name in shown.summary._fields} == as_json(without_metrics)
    assert run["artifact_count"] == len(shown.artifacts)
    assert run["attributes"] == {"score": "NaN"}
    assert run["notes"] == as_json(shown.notes)
    everyone = [one.run_id for one in lab.runs().order_by("started")]
    place = everyone.index(main_run)
    assert (run["previous"], run["next"]) == (everyone[place - 1], everyone[place + 1])
    assert lab.read_rows([run["row_id"]], ["id"]) == [{"id": main_run}]
    parts = {
        "config": {"config": shown.config, "sources": shown.config_sources},
        "metrics": {"metrics": shown.metrics, "total": len(shown.metrics)},
        "events": {"events": shown.events},
        "artifacts": {"artifacts": shown.artifacts, "inputs": shown.inputs},
        "environment": {"environment": shown.environment, "traceback": None},
    }
    for name, part in parts.items():
        assert body(client.get(f"/api/run/{main_run}/{name}")) == as_json(part)
    assert body(client.get(f"/api/changes/{main_run}"))["changes"] == as_json(lab.what_changed(main_run))
    assert body(client.get(f"/api/lineage/{main_run}"))["lineage"] == as_json(lab.lineage(main_run))


def test_the_first_and_last_run_have_one_neighbour(client: Client, lab: Archive) -> None:
    oldest, *_, newest = lab.runs().order_by("started")
    first, last = (body(client.get(f"/api/run/{one.run_id}"))["run"] for one in (oldest, newest))
    assert (first["previous"], last["next"]) == (None, None)
    assert None not in (first["next"], last["previous"])
    (gone,) = lab.list_trash()
    shown = body(client.get(f"/api/run/{gone.run.run_id}"))["run"]
    assert shown["previous"] in [one.run_id for one in lab.runs()]
    assert shown["deleted_at"].endswith("Z")
    assert body(client.get("/api/trash"))["trash"] == as_json(lab.list_trash())
    assert body(client.get("/api/trash"))["freed_bytes"] == lab.measure_deletion(gone.run.run_id)


# Metrics


def read_curves(answer: Answer) -> tuple[dict[str, Any], list[dict[str, list[float]]]]:
    """Read an answer with curves as a browser does."""
    assert answer.status == 200, answer.text
    length = int.from_bytes(answer.content[:4], "little")
    header = json.loads(answer.content[4 : 4 + length])
    assert (4 + length) % 8 == 0
    numbers = array("d", answer.content[4 + length :])
    place, curves = 0, []
    for one in header["curves"]:
        columns = {}
        for name in header["columns"]:
            columns[name] = numbers[place : place + one["size"]].tolist()
            place += one["size"]
        curves.append(columns)
    assert place == len(numbers)
    return header, curves


@settings(max_examples=tries(15), deadline=None)
@given(data=st.data())
def test_curves_are_those_of_the_archive(client: Client, lab: Archive, data: st.DataObject) -> None:
    everyone = [run.run_id for run in lab.runs()]
    runs = data.draw(st.lists(st.sampled_from(everyone), min_size=1, max_size=3, unique=True))
    names = data.draw(st.lists(st.sampled_from(["loss", "odd", "none"]), min_size=1, unique=True))
    asked: dict[str, Any] = {
        "buckets": data.draw(st.integers(1, 60)),
        "by": data.draw(st.sampled_from(["step", "time", "odd", "metrics.loss"])),
        "start": data.draw(st.none() | st.integers(-5, 60)),
        "stop": data.draw(st.none() | st.integers(-5, 3000)),
        "width": data.draw(st.none() | st.integers(1, 500)),
    }
    expected = lab.curves(runs, names, **asked)
    for _ in range(2):  # the second time from the cache
        header, curves = read_curves(client.get("/api/series", runs=runs, metrics=names, **asked))
        assert (header["by"], header["width"]) == (expected.by, expected.width)
        assert header["columns"] == list(CURVE_COLUMNS)
        assert [(one["run"], one["metric"]) for one in header["curves"]] == [
            (c.run_id, c.name) for c in expected
        ]
        for found, curve in zip(curves, expected, strict=True):
            lists = curve.lists()
            for name in CURVE_COLUMNS:
                for at, (a, b) in enumerate(zip(found[name], lists[name], strict=True)):
                    if a == b or (math.isnan(a) and math.isnan(b)):
                        continue
                    # Two reads may add the same n points in another order: at most n roundings each.
                    points, ends = found["count"][at], (found["min"][at], found["max"][at])
                    error = 2 * points**2 * 2.0**-53 * max(map(abs, ends))
                    assert (name, abs(a - b) <= error) == ("sum", True), (name, a, b)


def test_curves_of_ended_runs_come_from_levels_as_they_would_from_points(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_short_series_have_levels(monkeypatch)
    answers = []
    with Archive(tmp_path / "lab.db") as archive:
        with archive.start_run() as run:
            log(run, RISING)
        assert rows_of(archive) == [("step", 8), ("time", 8)]
    for reading in (nullcontext(), scanning()):  # each page has a cache of its own
        page = Page(str(tmp_path / "lab.db"))
        client = Client(make_app(page, PORT, TOKEN))
        with reading:
            asked: list[dict[str, Any]] = [
                {"by": by, "buckets": buckets} for by in ("step", "time") for buckets in (3, 6, 50)
            ]
            answers.append(
                [read_curves(client.get("/api/series", runs=run.run_id, metrics="y", **one)) for one in asked]
            )
        page.close()
    found, expected = ([(header["width"], curves) for header, curves in one] for one in answers)
    assert found == expected
    assert [width for width, _ in found] == [16, 8, 1, 0.016, 0.008, 0.001]


def test_only_runs_that_have_grown_are_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Archive(tmp_path / "lab.db") as archive:
        page = Page(str(tmp_path / "lab.db"))
        client = Client(make_app(page, PORT, TOKEN))
        done, live = archive.start_run(), archive.start_run()
        for run in (done, live):
            run.log_many("loss", range(100), range(100))
            run.flush()
        asked: list[list[str]] = []
        curves = page.archive.curves

        def note(runs: list[str], *args: Any, **named: Any) -> Any:
            asked.append(list(runs))
            return curves(runs, *args, **named)

        monkeypatch.setattr(page.archive, "curves", note)
        ids = [done.run_id, live.run_id]

        def ask(**more: Any) -> tuple[dict[str, Any], list[dict[str, list[float]]]]:
            return read_curves(client.get("/api/series", runs=ids, metrics="loss", buckets=10, **more))

        first = ask()
        assert ask() == first
        assert ask(width=first[0]["width"]) == first
        assert asked == [ids, ids]  # what a width makes of the runs was not known
        live.log_many("loss", range(100, 105), range(5))
        live.flush()
        _header, (kept, grown) = ask(width=first[0]["width"])
        assert (asked[2:], kept) == ([[live.run_id]], first[1][0])
        assert sum(grown["count"]) == 105
        assert ask(width=first[0]["width"], start=50)[1][0]["start"][0] == 48  # an edge
        assert (len(asked), asked[-1]) == (4, ids)
        # In the trash, and by the beginning of its id, a run is read without the cache.
        header, _curves = read_curves(client.get("/api/series", runs=ids[0][:-1], metrics="loss"))
        assert header["curves"][0]["run"] == ids[0]
        done.complete()
        archive.trash_run(done)
        assert sum(read_curves(client.get("/api/series", runs=ids[0], metrics="loss"))[1][0]["count"]) == 100
        page.close()
        live.complete()


def test_the_cache_keeps_what_was_asked_for_last() -> None:
    cache = CurveCache(limit_bytes=3 * KEY_BYTES + 30)
    for number in range(3):
        cache.put(number, PackedCurve(1, bytes(10)))
    assert cache.get(0) == PackedCurve(1, bytes(10))
    cache.put(3, PackedCurve(1, bytes(10)))
    assert [cache.get(number) is None for number in range(4)] == [False, True, False, False]
    cache.put(0, PackedCurve(1, bytes(10 * KEY_BYTES)))
    assert [cache.get(number) for number in range(4)] == [None] * 4
    for number in range(2_000):
        cache.put_width(number, 0.5)
    assert (cache.get_width(0), cache.get_width(1_999)) == (None, 0.5)


# Comparing


def test_comparisons_are_those_of_the_archive(client: Client, lab: Archive) -> None:
    runs = [run.run_id for run in lab.runs()][:3]
    for show_all in (False, True):
        found = body(client.get("/api/compare", runs=runs, all=int(show_all)))
        assert found["comparison"] == as_json(lab.compare(runs, all_keys=show_all))
    groups = body(client.get("/api/groups", keys=["lr", "model.name"], metric="loss", by="min"))
    assert groups["groups"] == as_json(lab.group_by(["lr", "model.name"], "loss", statistic="min"))
    ranked = body(client.get("/api/importance", metric="loss", where="config.lr < 5"))
    assert ranked["importance"] == as_json(lab.importance("loss", where="config.lr < 5"))


# Artifacts and the file


def test_an_artifact_is_shown_as_text_table_or_folder(client: Client, lab: Archive, main_run: str) -> None:
    text = body(client.get("/api/artifact-text", run=main_run, name="text.txt", version=1))
    assert (text["text"], text["truncated"], text["artifact"]["version"]) == (TEXT, False, 1)
    newest = body(client.get("/api/artifact-text", run=main_run, name="text.txt"))
    assert newest["text"] == TEXT + "again"
    binary = body(client.get("/api/artifact-text", run=main_run, name="bytes"))
    assert binary["truncated"]
    assert binary["text"].startswith(bytes(range(128)).decode())
    table = body(client.get("/api/artifact-table", run=main_run, name="table", rows=1))
    assert (table["rows"], table["columns"]) == (
        2,
        [{"name": "a", "cells": [1]}, {"name": "b", "cells": ["x"]}],
    )
    folder = body(client.get("/api/artifact-files", run=main_run, name="folder"))
    assert folder["files"] == as_json(lab.artifacts(main_run).list_files("folder"))
    assert client.get("/api/artifact-table", run=main_run, name="text.txt").status == 400


def test_the_file_says_what_it_holds(client: Client, lab: Archive) -> None:
    found = body(client.get("/api/file"))
    storage = sorted(lab.storage(), key=lambda one: -one.stored_bytes)
    shown = {"info": lab.info(), "storage": storage, "holders": len(storage)}
    assert found == as_json(shown)
    assert body(client.get("/api/groups-list"))["groups"] == as_json(lab.list_groups())
    assert body(client.get("/api/views"))["views"] == []
    assert body(client.get("/api/page-views"))["page_views"] == as_json(lab.list_page_views()) != []
    assert body(client.get("/api/sweeps"))["studies"] == []


def test_an_artifact_is_sent_in_pieces_as_a_file_to_save(client: Client, main_run: str) -> None:
    whole = client.get(f"/artifact/{main_run}/1/bytes")
    assert (whole.status, whole.content) == (200, BINARY)
    assert whole.pieces > 3
    assert whole.headers["content-security-policy"] == "sandbox; default-src 'none'"
    assert whole.headers["content-type"] == "application/octet-stream"
    assert whole.headers["content-length"] == str(len(BINARY))
    assert whole.headers["content-disposition"] == "attachment; filename*=UTF-8''bytes"
    page = client.get(f"/artifact/{main_run}/1/page.html")
    assert (page.content, page.headers["content-type"]) == (b"<script>1</script>", "application/octet-stream")
    head = client.send("HEAD", f"/artifact/{main_run}/1/bytes")
    assert (head.status, head.content, head.headers["content-length"]) == (200, b"", str(len(BINARY)))
    # A browser keeps no copy: another program may have the port later.
    assert whole.headers["cache-control"] == "no-store"
    inside = client.get(f"/artifact/{main_run}/1/folder", file="in.txt")
    assert (inside.content, inside.headers["content-disposition"]) == (
        b"inside",
        "attachment; filename*=UTF-8''in.txt",
    )


def test_a_slow_browser_does_not_keep_the_log_from_being_folded(tmp_path: Path) -> None:
    run = fill(tmp_path / "lab.db")
    page = Page(str(tmp_path / "lab.db"))
    fold = f"""
import sqlite3
print(sqlite3.connect({str(tmp_path / "lab.db")!r}).execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone())
"""
    folded = []

    def be_slow(message: Any) -> None:
        if message.get("more_body") and not folded:
            archive.get_run(run).add_tag("written meanwhile")
            assert (tmp_path / "lab.db-wal").stat().st_size > 0
            done = subprocess.run([sys.executable, "-c", fold], capture_output=True, text=True, check=True)
            folded.append(done.stdout)

    with Archive(tmp_path / "lab.db") as archive:
        client = Client(make_app(page, PORT, TOKEN), on_message=be_slow)
        assert client.get(f"/artifact/{run}/1/bytes").content == BINARY
        # The first number would be 1 if a reader were in the way.
        assert folded == ["(0, 0, 0)\n"]
    page.close()


def test_a_name_that_acts_is_tamed(client: Client, main_run: str) -> None:
    answer = client.get(f"/artifact/{main_run}/1/a/b „c“\u202egnp.exe")
    assert answer.content == b"<script>1</script>"
    name = quote("b „c“_gnp.exe", safe="")
    assert answer.headers["content-disposition"] == f"attachment; filename*=UTF-8''{name}"


@pytest.mark.parametrize(
    ("asked", "begin", "end"),
    [("bytes=0-0", 0, 1), ("bytes=5-9", 5, 10), ("bytes=1999999-", 1999999, None), ("bytes=-7", -7, None),
     ("bytes=3000-2000000000", 3000, None), ("bytes=-99999999", 0, None)],
)  # fmt: skip
def test_a_part_of_an_artifact_is_sent(
    client: Client, main_run: str, asked: str, begin: int, end: int | None
) -> None:
    answer = client.get(f"/artifact/{main_run}/1/bytes", {"range": asked})
    whole = slice(begin, end).indices(len(BINARY))[:2] == (0, len(BINARY))
    assert (answer.status, answer.content) == (200 if whole else 206, BINARY[begin:end])
    if not whole:
        first, last, _ = slice(begin, end).indices(len(BINARY))
        assert answer.headers["content-range"] == f"bytes {first}-{last - 1}/{len(BINARY)}"


@pytest.mark.parametrize("asked", ["", "bytes=", "bytes=a-b", "bytes=0-1,3-4", "lines=0-1", "bytes=--1"])
def test_what_is_no_range_gets_everything(client: Client, main_run: str, asked: str) -> None:
    answer = client.get(f"/artifact/{main_run}/1/bytes", {"range": asked})
    assert (answer.status, len(answer.content)) == (200, len(BINARY))


@pytest.mark.parametrize("asked", ["bytes=99999999-", "bytes=9-3", "bytes=-0"])
def test_bytes_that_are_not_there_are_refused(client: Client, main_run: str, asked: str) -> None:
    answer = client.get(f"/artifact/{main_run}/1/bytes", {"range": asked})
    assert (answer.status, answer.headers["content-range"]) == (416, f"bytes */{len(BINARY)}")


def test_a_range_of_other_bytes_than_before_gets_everything(client: Client, main_run: str) -> None:
    answer = client.get(f"/artifact/{main_run}/1/bytes", {"range": "bytes=0-1", "if-range": '"old"'})
    assert (answer.status, len(answer.content)) == (200, len(BINARY))


# What is wrong


@pytest.mark.parametrize(
    ("path", "status", "kind"),
    [
        ("/api/runs?where=confg.lr<1", 400, "FilterError"),
        ("/api/runs?order=nothing", 400, "FilterError"),
        ("/api/runs?columns=", 400, "FilterError"),
        ("/api/runs?start=-1", 400, "InvalidValueError"),
        ("/api/runs?start=x", 400, "InvalidValueError"),
        ("/api/runs?start=1&start=2", 400, "InvalidValueError"),
        ("/api/runs?start=99999999999999999999999", 400, "InvalidValueError"),
        ("/api/runs?where=%ff", 400, "InvalidValueError"),
        ("/api/runs?where=%00", 400, "FilterError"),
        ("/api/runs?where=\xff", 400, "InvalidValueError"),
        ("/api/runs/rows?ids=1,x&columns=id", 400, "InvalidValueError"),
        ("/api/runs/rows?ids=²&columns=id", 400, "InvalidValueError"),
        ("/api/summary", 400, "InvalidValueError"),
        ("/api/run/none", 404, "RunNotFoundError"),
        ("/api/run/%00", 404, "RunNotFoundError"),
        ("/api/series?runs=none&metrics=loss", 404, "RunNotFoundError"),
        ("/api/series?runs=none&metrics=loss&width=x", 400, "InvalidValueError"),
        ("/api/compare", 400, "InvalidValueError"),
        ("/api/compare?runs=a&all=perhaps", 400, "InvalidValueError"),
        ("/api/groups?keys=lr&metric=nothing", 404, "MetricNotFoundError"),
        ("/api/importance", 400, "InvalidValueError"),
        ("/api/sweep/nothing", 404, "StudyNotFoundError"),
        ("/api/artifact-text?run=none&name=x", 404, "RunNotFoundError"),
        ("/artifact/none/1/x", 404, "RunNotFoundError"),
        ("/artifact/none/x/x", 404, "NotFound"),
        ("/events?where=%ff", 400, "InvalidValueError"),
        ("/api/nothing", 404, "NotFound"),
    ],
)
def test_what_is_wrong_with_a_question_is_said(client: Client, path: str, status: int, kind: str) -> None:
    answer = client.send("GET", path)
    assert (answer.status, answer.kind) == (status, kind)
    assert answer.json()["error"]["message"]
    assert ("position" in answer.json()["error"]) == (kind == "FilterError")


def test_a_missing_artifact_is_not_found(client: Client, main_run: str) -> None:
    for rest in ("9/bytes", "1/nothing", "0/bytes"):
        assert client.get(f"/artifact/{main_run}/{rest}").kind == "ArtifactNotFoundError"
    assert client.get(f"/artifact/{main_run}/1/folder").kind == "InvalidValueError"


@pytest.mark.parametrize("size", [10_000, 1_000_000])
def test_a_huge_question_is_answered_or_refused(client: Client, size: int) -> None:
    for path in (
        f"/api/runs?where={'(' * size}",
        f"/api/runs?{'x=1&' * size}",
        f"/api/runs?columns={'c' * size}",
    ):
        assert client.send("GET", path).status == 400


@pytest.mark.parametrize(
    "path",
    ["/static/../server.py", "/static/..", "/static/", "/static/vendor", "/static//app.js", "/static/./app.js",
     "/static/css/../../page.py", "/static/\x00", "/static/app.js\x00", "/static/..\\server.py",
     "/static/C:/x.js", "/static/app.js/", "/static/app.js:stream", "/static/APP.JS", "/static//etc/passwd"],
)  # fmt: skip
def test_only_the_files_of_the_page_are_served(client: Client, path: str) -> None:
    assert client.send("GET", path).status == 404


def test_a_browser_finds_the_icon_where_it_looks_for_one(client: Client) -> None:
    found = client.get("/favicon.ico")
    assert (found.status, found.headers["content-type"]) == (200, "image/svg+xml")


def test_a_file_is_sent_again_only_if_it_changed(client: Client) -> None:
    first = client.get("/static/app.js")
    assert (first.status, first.headers["content-type"]) == (200, "text/javascript; charset=utf-8")
    again = client.get("/static/app.js", {"if-none-match": first.headers["etag"]})
    assert (again.status, again.content) == (304, b"")


def test_the_address_of_every_view_leads_to_the_shell(client: Client) -> None:
    shell = client.get("/sql")
    assert (shell.status, shell.headers["content-type"]) == (200, "text/html; charset=utf-8")
    for path in ("/runs?order=name", "/run/1k3f", "/sweep/a/b", "/charts?runs=a"):
        assert client.get(path).content == shell.content


def test_a_browser_keeps_files_under_the_version_of_the_page_for_good(client: Client) -> None:
    shell = client.get("/").text
    base = re.findall(r'<script type="module" src="(/static/[0-9a-f]{16}/)app.js">', shell)[0]
    for path in ("app.js", "page.css", "views/charts.js", "vendor/uplot.js", "favicon.svg"):
        found = client.get(base + path)
        assert (found.status, found.headers["cache-control"]) == (200, "private, max-age=31536000, immutable")
        assert client.get(base + path, {"if-none-match": found.headers["etag"]}).status == 304
    for path in (f"{base}nothing.js", f"{base}views/../app.js", f"{base}views", f"/static/{0:016x}/app.js"):
        assert client.send("GET", path).status == 404


# Nothing writes

QUESTIONS = [
    "/api/archive", "/api/runs?columns=config.lr&where=config.lr<1", "/api/runs/index", "/api/runs/rows?ids=1",
    "/api/fields", "/api/summary?field=config.lr", "/api/filter?text=config", "/api/complete-field?text=c",
    "/api/run/RUN", "/api/run/RUN/config", "/api/run/RUN/metrics", "/api/run/RUN/events",
    "/api/run/RUN/artifacts", "/api/run/RUN/environment", "/api/changes/RUN", "/api/lineage/RUN",
    "/api/series?runs=RUN&metrics=loss",
    "/api/series?runs=RUN&metrics=loss&by=time", "/api/compare?runs=RUN", "/api/groups?keys=lr&metric=loss",
    "/api/importance?metric=loss", "/api/artifact-text?run=RUN&name=bytes",
    "/api/artifact-table?run=RUN&name=table",
    "/api/artifact-files?run=RUN&name=folder", "/api/file", "/api/groups-list", "/api/trash", "/api/views",
    "/api/page-views",
    "/api/media?kind=image", "/api/media-names", "/api/media-grid?name=bytes",
    "/api/sweeps", "/artifact/RUN/1/bytes", "/artifact/RUN/1/folder?file=in.txt", "/", "/static/app.js",
]  # fmt: skip


def test_every_question_is_listed_here(client: Client) -> None:
    from exptrack.web.server import HANDLERS

    listed = {one.partition("?")[0].replace("RUN", "{run}") for one in QUESTIONS}
    needs_study = {"/api/sweep/{name:path}", "/api/sweep-importances"}
    assert {path for path, _ in HANDLERS} - listed == needs_study


def ask_everything(client: Client, run: str) -> None:
    for question in QUESTIONS:
        answer = client.get(question.replace("RUN", run))
        assert answer.status == 200, (question, answer.text)


def look_at(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {
        path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir() if path.is_file()
    }


def test_no_question_changes_a_byte_or_leaves_a_file(tmp_path: Path) -> None:
    run = fill(tmp_path / "lab.db")
    before = look_at(tmp_path)
    page = Page(str(tmp_path / "lab.db"))
    ask_everything(Client(make_app(page, PORT, TOKEN)), run)
    page.close()
    assert look_at(tmp_path) == before


def test_every_question_is_answered_of_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    run = fill(tmp_path / "lab.db")
    folder = tmp_path / "locked"
    folder.mkdir()
    shutil.copy(tmp_path / "lab.db", folder)
    os.chmod(folder / "lab.db", stat.S_IREAD)
    os.chmod(folder, stat.S_IREAD | stat.S_IEXEC)
    try:
        page = Page(str(folder / "lab.db"), can_edit=False)
        client = Client(make_app(page, PORT, TOKEN))
        ask_everything(client, run)
        answer = client.post("/api/edit", {"runs": [run], "action": "add_tag", "value": "x"})
        assert (answer.status, answer.kind) == (409, "ArchiveReadOnlyError")
        page.close()
    finally:
        os.chmod(folder, stat.S_IRWXU)
        os.chmod(folder / "lab.db", stat.S_IRWXU)


def test_the_archive_of_the_questions_cannot_write(tmp_path: Path) -> None:
    run = fill(tmp_path / "lab.db")
    page = Page(str(tmp_path / "lab.db"))
    with pytest.raises(Exception, match="read"):
        page.archive.get_run(run).add_tag("x")
    page.close()


class Recorder:
    """An archive that notes which threads use it."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self.threads: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        self.threads.add(threading.current_thread().name)
        return getattr(self._archive, name)


def test_two_threads_read_and_the_event_loop_never_does(made: tuple[Path, str]) -> None:
    page = Page(str(made[0]))
    recorder = Recorder(page.archive)
    page.archive = cast(Archive, recorder)
    ask_everything(Client(make_app(page, PORT, TOKEN)), made[1])
    assert recorder.threads
    assert recorder.threads <= {"exptrack-page_0", "exptrack-page_1"}
    page.close()


def test_a_packed_archive_is_shown(tmp_path: Path) -> None:
    run = fill(tmp_path / "lab.db")
    with Archive(tmp_path / "lab.db") as archive:
        archive.pack(tmp_path / "packed.db")
    page = Page(str(tmp_path / "packed.db"))
    ask_everything(Client(make_app(page, PORT, TOKEN)), run)
    page.close()


def test_an_archive_without_runs_is_shown(tmp_path: Path) -> None:
    Archive(tmp_path / "empty.db").close()
    page = Page(str(tmp_path / "empty.db"))
    client = Client(make_app(page, PORT, TOKEN))
    assert body(client.get("/api/runs")) == {"total": 0, "row_ids": [], "rows": []}
    assert body(client.get("/api/fields")) == {"fields": []}
    assert body(client.get("/api/archive"))["runs"] == 0
    page.close()
