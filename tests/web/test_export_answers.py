"""An exported page answers each question as the server answers it, over the same archive."""

from __future__ import annotations

import json
import math
import sqlite3
import struct
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlencode

import pytest

from exptrack import Archive, RecordedRun
from exptrack.web.page import Page
from exptrack.web.server import make_app
from tests.web.browser.archives import fill_archive
from tests.web.client import PORT, TOKEN, Client
from tests.web.conftest import fill
from tests.web.exported import Asked, ask_export, refuse_file

FIELDS = (
    "status tag note artifact study script started duration dirty host trial.number trial.state group"
    " attr.score attr.reviewed config.lr config.optim.lr config.optim.name config.model.layers config.nothing"
    ' metrics.loss metrics.odd metrics.loss.count metrics.loss.mean metrics."train/loss".min'
).split()
WHERES = ("", "status = completed and exists metrics.loss", "tag = nothing")
STATEMENTS = (
    "SELECT run_id, status FROM runs ORDER BY 1 LIMIT 3",
    "SELECT 1; SELECT 2",
    "SELECT 1 ; -- a word",
    "DELETE FROM run",
    "SELECT 9007199254740993, 9e999, x'00ff', NULL",
    "SELECT * FROM metrics ORDER BY run_id, name",
    "SELEC",
)


@pytest.fixture(scope="module", params=["small", "rich"])
def packed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A packed archive, of the server's tests or of the browser's."""
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "small":
        fill(folder / "lab.db")
    else:
        with fill_archive(folder / "lab.db"):
            pass
    with Archive(folder / "lab.db") as archive:
        archive.pack(folder / "packed.db")
    return folder / "packed.db"


@pytest.fixture(scope="module")
def client(packed: Path) -> Iterator[Client]:
    page = Page(str(packed), can_edit=False)
    yield Client(make_app(page, PORT, TOKEN))
    page.close()


@pytest.fixture(scope="module")
def archive(packed: Path) -> Iterator[Archive]:
    with Archive(packed, mode="ro") as archive:
        yield archive


def url(path: str, **params: Any) -> str:
    return f"{path}?{urlencode(params, doseq=True)}"


def compare(client: Client, packed: Path, urls: list[str]) -> list[Asked]:
    """Ask both, and compare what they say. Returns the answers of the export."""
    answers = ask_export(packed, urls)
    for asked, found in zip(urls, answers, strict=True):
        path, _, query = asked.partition("?")
        expected = client.send("GET", f"{unquote(path)}?{query}")
        if expected.status != 200:
            assert found.error is not None, asked
            assert found.error["kind"] == expected.kind, asked
        elif found.content is not None:
            read = read_curves if path == "/api/series" else bytes
            assert_equal(read(found.content), read(expected.content), asked)
        else:
            assert found.error is None, (asked, found.error)
            assert_equal(without_version(found.json), without_version(expected.json()), asked)
    return answers


def without_version(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name != "version"}


def assert_equal(one: Any, other: Any, where: str) -> None:
    """Assert that two values of JSON are equal; sums of floats may differ in their last digits."""
    if isinstance(one, dict) and isinstance(other, dict):
        assert one.keys() == other.keys(), where
        for name in one:
            assert_equal(one[name], other[name], f"{where}.{name}")
    elif isinstance(one, list) and isinstance(other, list):
        assert len(one) == len(other), where
        for place, pair in enumerate(zip(one, other, strict=True)):
            assert_equal(*pair, f"{where}[{place}]")
    elif isinstance(one, float) or isinstance(other, float):
        same = one == other or (one != one and other != other)
        assert same or math.isclose(one, other, rel_tol=1e-12), (where, one, other)
    else:
        assert one == other, (where, one, other)


def read_curves(content: bytes) -> Any:
    length = int.from_bytes(content[:4], "little")
    header = without_version(json.loads(content[4 : 4 + length]))
    assert (4 + length) % 8 == 0
    return [header, list(struct.unpack(f"<{(len(content) - 4 - length) // 8}d", content[4 + length :]))]


def test_tables_of_runs(client: Client, packed: Path) -> None:
    columns = ["run_id", "name", "ended", *FIELDS]
    urls = [url("/api/runs", columns=columns, where=where, size=100) for where in WHERES]
    for order in ("-metrics.loss", "config.optim.lr", "tag", "-config.lr", "name, -started", "nope"):
        urls.append(url("/api/runs", columns=["run_id"], order=order, start=1, size=7))
        urls.append(url("/api/runs/index", order=order, where=WHERES[1]))
    urls += [url("/api/runs/rows", ids="3,1,999,2", columns=columns), "/api/runs", url("/api/runs", size="x")]
    assert len(compare(client, packed, urls)[0].json["rows"]) > 3


def test_fields_and_summaries(client: Client, packed: Path) -> None:
    urls = [url("/api/fields", where=where) for where in WHERES]
    for field in FIELDS:
        urls += [url("/api/summary", field=field, where=where) for where in WHERES]
        urls.append(url("/api/summary", field=field, bins=4, top=2))
    urls += ["/api/summary", url("/api/summary", field="zzz"), "/api/groups-list", "/api/page-views"]
    compare(client, packed, urls)


def test_each_part_of_each_run(client: Client, packed: Path, archive: Archive) -> None:
    ids = [run.run_id for run in archive.runs()]
    parts = ("", "/config", "/metrics", "/events", "/artifacts", "/environment")
    urls = [f"/api/run/{run}{part}" for run in ids for part in parts]
    urls += [f"/api/{word}/{run}" for run in ids for word in ("changes", "lineage")]
    urls += [f"/api/run/{ids[0]}/metrics?search=O&size=1", f"/api/run/{ids[0]}/events?start=1&size=2"]
    compare(client, packed, [*urls, "/api/run/zzz", "/api/run/1", f"/api/run/{ids[0][:15]}"])


def test_comparisons(client: Client, packed: Path, archive: Archive) -> None:
    ids = [run.run_id for run in archive.runs()]
    urls = [url("/api/compare", runs=ids[:4]), url("/api/compare", runs=ids[:6], all=1), "/api/compare"]
    for metric in ("loss", "train/loss", "nothing"):
        for asked in ({}, {"by": "max"}, {"where": "tag = base"}, {"by": "nope"}):
            urls.append(url("/api/groups", keys=["optim.name", "model.depth"], metric=metric, **asked))
            urls.append(url("/api/groups", keys=["lr"], metric=metric, **asked))
            urls.append(url("/api/importance", metric=metric, **asked))
            urls.append(url("/api/importance", metric=metric, method="groups", **asked))
    compare(client, packed, urls)


def test_curves(client: Client, packed: Path, archive: Archive) -> None:
    ids = [run.run_id for run in archive.runs()][:12]
    asked: tuple[dict[str, Any], ...] = (
        {},
        {"buckets": 7},
        {"buckets": 50, "start": 3, "stop": 77},
        {"by": "time"},
        {"by": "time", "buckets": 9, "width": 0.5},
        {"by": "metrics.loss", "buckets": 20},
        {"by": "train/acc", "buckets": 13},
        {"by": "loss", "start": 0.1, "stop": 0.9},
        {"by": "odd"},
        {"width": 8},
        {"start": -5, "buckets": 3},
        {"buckets": 0},
        {"width": -1},
    )
    metrics = ["loss", "odd", "train/loss", "train/acc", "spiky", "nothing"]
    compare(client, packed, [url("/api/series", runs=ids, metrics=metrics, **one) for one in asked])


def test_artifacts(client: Client, packed: Path, archive: Archive) -> None:
    held = [one for run in archive.runs() for one in archive.artifacts(run).list_artifacts()]
    urls = ["/api/media-names", "/api/media?size=50", "/api/media?kind=image", "/api/media?step=20"]
    urls += ["/api/media-names?kind=text", url("/api/media-names", where="tag = nothing")]
    for name in sorted({one.name for one in held}):
        urls += [url("/api/media-grid", name=name), url("/api/media-grid", name=name, steps="0,25,100", size=2)]
        urls.append(url("/api/media", name=name, size=3, start=1))
    for one in held:
        asked = {"run": one.run_id, "name": one.name, "version": one.version}
        urls += [url(f"/api/artifact-{part}", **asked) for part in ("text", "table", "files")]
        urls.append(f"/artifact/{one.run_id}/{one.version}/{quote(one.name)}")
    urls.append(f"/artifact/{held[0].run_id}/99/{quote(held[0].name)}")
    compare(client, packed, urls)


def test_a_file_in_a_folder(client: Client, packed: Path, archive: Archive) -> None:
    folders = archive.runs().artifacts(kind="folder")
    urls = [f"/artifact/{one.run_id}/{one.version}/folder?file=in.txt" for one in folders]
    assert [found.content for found in compare(client, packed, urls)] == [b"inside"] * len(folders)


def test_sweeps(client: Client, packed: Path, archive: Archive) -> None:
    urls = [f"/api/sweep/{quote(study.name)}" for study in archive.studies()]
    compare(client, packed, ["/api/sweeps", *urls, "/api/sweep/nope"])


def test_the_file(client: Client, packed: Path) -> None:
    urls = ["/api/archive", "/api/file", "/api/trash"]
    about, file, trash = ask_export(packed, urls)
    expected = [client.send("GET", one).json() for one in urls]
    assert about.json | {"path": ""} == expected[0] | {
        "path": "",
        "pid": 0,
        "exptrack": "0",
        "is_export": True,
        "version": "export",
    }
    same = expected[1]["info"].keys() - {"path", "library", "sqlite"}
    assert {name: file.json["info"][name] for name in same} == {
        name: expected[1]["info"][name] for name in same
    }
    assert file.json["storage"] == expected[1]["storage"]
    assert_equal(trash.json["trash"], expected[2]["trash"], "trash")


def test_sql(client: Client, packed: Path) -> None:
    for text, found in zip(
        STATEMENTS,
        ask_export(packed, [("/api/sql", {"query": one, "limit": 10}) for one in STATEMENTS]),
        strict=True,
    ):
        expected = client.post("/api/sql", {"query": text, "limit": 10})
        if expected.status == 200:
            assert_equal(without_version(found.json), without_version(expected.json()), text)
        else:
            assert found.error is not None, text
            assert found.error["kind"] == expected.kind


def test_a_statement_cannot_change_the_archive(packed: Path) -> None:
    write = "INSERT INTO run_tag (run, tag, added_at) VALUES (1, 'x', '') RETURNING tag"
    refused, after = ask_export(
        packed, [("/api/sql", {"query": write, "limit": 1}), url("/api/runs", where="tag = x")]
    )
    assert refused.error is not None
    assert after.json["total"] == len([1 for row in after.json["rows"] if row["name"] == "big"])


def test_completions_are_fields_operators_and_values(packed: Path) -> None:
    texts = ("", "conf", "status = comp", "status ", "tag = ", "config.", "status = completed ", "not ")
    found = ask_export(packed, [url("/api/filter", text=text, cursor=len(text)) for text in texts])
    offered = {
        text: [one["text"] for one in answer.json["completions"]]
        for text, answer in zip(texts, found, strict=True)
    }
    assert "status" in offered[""]
    assert all(one.startswith("config.") or "config" in one for one in offered["conf"])
    assert offered["status = comp"] == ["completed"]
    assert offered["status "][:2] == ["=", "!="]
    assert offered["status = completed "] == ["and", "or"]
    assert offered["tag = "]
    assert [answer.json["problem"] is None for answer in found] == [
        not text or text.endswith("d ") for text in texts
    ]


def test_what_needs_python_says_so(packed: Path) -> None:
    urls = [
        url("/api/importance", metric="loss", method="forest"),
        url("/api/sweep-importances", name="digits"),
    ]
    for found in ask_export(packed, [*urls, "/api/nothing", "/thumbnail/a/1/b"]):
        assert found.error is not None
        assert found.error["kind"] == "NotAvailable"
        assert "Python" in found.error["message"] or "'exptrack ui'" in found.error["message"]


def test_what_is_no_archive_or_too_new_is_refused(packed: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    other.write_bytes(b"SQLite format 3\0" + bytes(4096))
    assert "not an exptrack archive" in refuse_file(other)
    other.write_bytes(b"")
    assert "not an exptrack archive" in refuse_file(other)
    assert "has format" in refuse_file(packed, newest=1)
    cut = packed.read_bytes()[:8192]
    other.write_bytes(cut)
    assert "cannot be read" in refuse_file(other) or ask_export(other, ["/api/runs"])[0].error is not None


def test_long_curves_are_read_from_their_levels(tmp_path: Path) -> None:
    steps = range(20_000)
    values = [math.nan if step % 7 == 3 else math.inf if step == 12_345 else math.sin(step) for step in steps]
    started = datetime(2026, 1, 1, tzinfo=UTC)
    with Archive(tmp_path / "lab.db") as archive:
        records = [RecordedRun({"n": n}, started, 60, metrics={"loss": (steps, values)}) for n in (1, 2)]
        ids = archive.record_runs(records)
        archive.pack(tmp_path / "packed.db")
    whole = [
        url("/api/series", runs=ids, metrics="loss", **asked)
        for asked in ({"buckets": 150}, {"buckets": 9}, {"by": "time"})
    ]
    parts = [
        url("/api/series", runs=ids, metrics="loss", **asked)
        for asked in (
            {},
            {"start": 100, "stop": 9_000},
            {"buckets": 15_000},
            {"width": 1000},
            {"by": "time", "stop": 7},
        )
    ]
    page = Page(str(tmp_path / "packed.db"), can_edit=False)
    found = compare(Client(make_app(page, PORT, TOKEN)), tmp_path / "packed.db", whole + parts)
    page.close()
    # Without any point the whole curves stay what they are.
    (tmp_path / "packed.db").chmod(0o600)
    with sqlite3.connect(tmp_path / "packed.db") as connection:
        connection.execute("DELETE FROM metric_point")
    connection.close()
    assert [one.content for one in ask_export(tmp_path / "packed.db", whole)] == [
        one.content for one in found[: len(whole)]
    ]
