"""What a browser may change: each action does what the public API does, and a wrong one does nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from exptrack import Archive
from exptrack.web.api_changes import MAX_BODY_BYTES
from exptrack.web.encoding import to_json
from exptrack.web.page import Page
from exptrack.web.server import make_app
from tests.web.client import CHANGE, PORT, TOKEN, Client


class Lab:
    """An archive that is open for writing elsewhere, and the client of a page on it."""

    def __init__(self, path: Path) -> None:
        self.archive = Archive(path)
        self.page = Page(str(path))
        self.client = Client(make_app(self.page, PORT, TOKEN))
        self.runs = []
        for number in range(3):
            with self.archive.start_run({"n": number}, ["old"], name=f"run {number}") as run:
                run.log({"loss": float(number)})
            self.runs.append(run.run_id)

    def edit(self, action: str, value: Any = None, *, key: Any = None, runs: Any = None) -> dict[str, Any]:
        wanted = self.runs[:2] if runs is None else runs
        answer = self.client.post("/api/edit", {"runs": wanted, "action": action, "value": value, "key": key})
        assert answer.status == 200, answer.text
        found = answer.json()
        assert isinstance(found, dict)
        return found


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    made = Lab(tmp_path / "lab.db")
    yield made
    made.page.close()
    assert made.archive.verify().problems == ()
    made.archive.close()


def test_runs_are_tagged_named_noted_and_grouped(lab: Lab) -> None:
    before = lab.client.get("/api/archive").json()["version"]
    after = lab.edit("add_tag", "new")["version"]
    assert before != after == lab.client.get("/api/archive").json()["version"]
    lab.edit("remove_tag", "old")
    lab.edit("add_note", "<b>größer</b>")
    lab.edit("rename", "named")
    lab.edit("set_group", "g")
    lab.edit("set_attribute", 1.5, key="score")
    lab.edit("set_attribute", "x", key="mark")
    lab.edit("delete_attribute", key="mark")
    for run_id in lab.runs[:2]:
        shown = lab.archive.show_run(run_id)
        assert (shown.summary.tags, shown.summary.name, shown.summary.group) == (("new",), "named", "g")
        assert ([note.text for note in shown.notes], shown.attributes) == (["<b>größer</b>"], {"score": 1.5})
    untouched = lab.archive.show_run(lab.runs[2])
    assert (untouched.summary.tags, untouched.notes, untouched.attributes) == (("old",), (), {})
    lab.edit("rename", None)
    lab.edit("set_group", None)
    assert {(one.name, one.group) for one in map(lab.archive.get_run, lab.runs[:2])} == {(None, None)}


def test_a_note_is_replaced_and_removed(lab: Lab) -> None:
    run_id = lab.runs[0]
    for text in ("one", "two"):
        lab.edit("add_note", text, runs=[run_id])
    newest, oldest = lab.client.get(f"/api/run/{run_id}").json()["run"]["notes"]
    lab.edit("edit_note", "one, mended", key=oldest, runs=[run_id])
    lab.edit("remove_note", key=newest, runs=[run_id])
    assert [note.text for note in lab.archive.get_run(run_id).notes] == ["one, mended"]
    for action, key, status in (
        ("remove_note", newest, 404),
        ("edit_note", oldest, 404),
        ("remove_note", "two", 400),
        ("remove_note", {"text": "two", "written_at": 3}, 400),
        ("remove_note", {"text": "two", "written_at": "noon"}, 400),
    ):
        command = {"runs": [run_id], "action": action, "value": "x", "key": key}
        assert lab.client.post("/api/edit", command).status == status


@pytest.mark.parametrize(
    ("command", "status"),
    [
        ({"runs": ["RUN"], "action": "nothing", "value": "x"}, 400),
        ({"runs": ["RUN"], "action": "add_tag", "value": 1}, 400),
        ({"runs": ["RUN"], "action": "add_tag", "value": ""}, 400),
        ({"runs": ["RUN"], "action": "rename", "value": 1}, 400),
        ({"runs": ["RUN"], "action": "set_attribute", "value": {}, "key": None}, 400),
        ({"runs": ["RUN", "none"], "action": "add_tag", "value": "x"}, 404),
        ({"runs": [], "action": "add_tag", "value": "x"}, 400),
        ({"runs": "RUN", "action": "add_tag", "value": "x"}, 400),
        ({"runs": [1], "action": "add_tag", "value": "x"}, 400),
        ({"action": "add_tag"}, 400),
        ([], 400),
        ("x", 400),
        (None, 400),
    ],
)
def test_a_wrong_change_changes_nothing(lab: Lab, command: Any, status: int) -> None:
    before = lab.archive.digest()
    text = to_json(command).replace(b"RUN", lab.runs[0].encode())
    answer = lab.client.send("POST", "/api/edit", CHANGE, text)
    assert (answer.status, lab.archive.digest()) == (status, before)


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000, b'{"runs": NaN', b'"\\ud800"'])
def test_what_is_no_object_is_refused(lab: Lab, body: bytes) -> None:
    for path in ("/api/edit", "/api/delete", "/api/restore", "/api/stop-study", "/api/page-view", "/api/sql"):
        answer = lab.client.send("POST", path, CHANGE, body)
        assert (answer.status, answer.kind) == (400, "InvalidValueError")


def test_a_body_that_is_too_large_is_refused(lab: Lab) -> None:
    large = b'{"query": "' + b"x" * MAX_BODY_BYTES + b'"}'
    assert lab.client.send("POST", "/api/sql", CHANGE, large).status == 413
    # What the head says is not believed.
    assert lab.client.send("POST", "/api/sql", {**CHANGE, "content-length": "5"}, large).status == 413
    for length in ("-1", "x", "99999999999999999999"):
        assert lab.client.send("POST", "/api/sql", {**CHANGE, "content-length": length}, b"{}").status == 413


def test_runs_go_to_the_trash_and_come_back(lab: Lab) -> None:
    answer = lab.client.post("/api/delete", {"runs": lab.runs[:2]})
    assert sorted(answer.json()["report"]["runs"]) == sorted(lab.runs[:2])
    assert lab.archive.runs().count() == 1
    assert lab.client.post("/api/restore", {"runs": lab.runs[:1]}).json()["runs"] == lab.runs[:1]
    assert lab.archive.runs().count() == 2
    answer = lab.client.post("/api/delete", {"runs": lab.runs[1:], "forever": True})
    assert set(answer.json()["report"]) == {"runs", "blobs", "stored_bytes", "file_bytes"}
    assert [run.run_id for run in lab.archive.runs()] == lab.runs[:1]
    assert lab.archive.list_trash() == []
    assert lab.client.post("/api/delete", {"runs": lab.runs[:1], "forever": "yes"}).status == 400


def test_a_running_run_is_not_deleted(lab: Lab) -> None:
    with lab.archive.start_run() as run:
        answer = lab.client.post("/api/delete", {"runs": [run.run_id], "forever": True})
        assert (answer.status, answer.kind) == (409, "RunBusyError")


def test_a_study_that_is_not_there_cannot_be_stopped(lab: Lab) -> None:
    assert lab.client.post("/api/stop-study", {"name": "none"}).kind == "StudyNotFoundError"


def test_sql_is_read(lab: Lab) -> None:
    query = "SELECT name, 0.5, NULL, x'ff' FROM runs ORDER BY name"
    answer = lab.client.post("/api/sql", {"query": query, "limit": 2})
    found = answer.json()
    assert found["columns"][0] == "name"
    assert found["rows"] == [[f"run {number}", 0.5, None, {"base64": "/w=="}] for number in range(2)]
    assert (found["truncated"], "version" in found) == (True, True)
    assert lab.client.post("/api/sql", {"query": "SELECT 1"}).json()["truncated"] is False


@pytest.mark.parametrize("query", ["DELETE FROM run", "nonsense", "", "SELECT 1; SELECT 2", "ATTACH 'x' AS y"])
def test_sql_that_is_no_select_is_refused(lab: Lab, query: str) -> None:
    before = lab.archive.digest()
    answer = lab.client.post("/api/sql", {"query": query})
    assert (answer.status, answer.kind, lab.archive.digest()) == (400, "QueryError", before)
    assert lab.client.post("/api/sql", {"query": "SELECT 1", "limit": "x"}).status == 400


def test_a_change_waits_for_another_writer(lab: Lab) -> None:
    """Both pages and scripts write; neither loses what the other wrote."""

    def write() -> None:
        for number in range(20):
            lab.archive.get_run(lab.runs[2]).add_tag(f"script {number}")

    writer = threading.Thread(target=write)
    writer.start()
    for number in range(5):
        lab.edit("add_tag", f"page {number}", runs=lab.runs[2:])
    writer.join()
    assert len(lab.archive.show_run(lab.runs[2]).summary.tags) == 26


def change_view(lab: Lab, action: str, name: Any, **more: Any) -> Any:
    return lab.client.post("/api/page-view", {"action": action, "name": name, **more})


def test_page_views_are_saved_renamed_and_deleted(lab: Lab) -> None:
    before = lab.client.get("/api/archive").json()["version"]
    saved = change_view(lab, "save", "<b>größer</b>", path="/runs?where=lr+%3E+1#x").json()
    assert saved["version"] == lab.client.get("/api/archive").json()["version"] != before
    assert [(one["name"], one["path"]) for one in saved["page_views"]] == [
        ("<b>größer</b>", "/runs?where=lr+%3E+1#x")
    ]
    taken = change_view(lab, "save", "<b>größer</b>", path="/sql")
    assert (taken.status, taken.kind) == (409, "ConflictError")
    change_view(lab, "save", "<b>größer</b>", path="/sql", replace=True)
    renamed = change_view(lab, "rename", "<b>größer</b>", value="sql").json()["page_views"]
    assert renamed == lab.client.get("/api/page-views").json()["page_views"]
    assert [(view.name, view.path) for view in lab.archive.list_page_views()] == [("sql", "/sql")]
    assert change_view(lab, "delete", "sql").json()["page_views"] == []


@pytest.mark.parametrize(
    ("command", "status"),
    [
        ({"action": "save", "name": "x", "path": "//elsewhere.org"}, 400),
        ({"action": "save", "name": "x", "path": "javascript:1"}, 400),
        ({"action": "save", "name": "x"}, 400),
        ({"action": "save", "name": "", "path": "/runs"}, 400),
        ({"action": "save", "name": "x", "path": "/runs", "replace": 1}, 400),
        ({"action": "open", "name": "kept"}, 400),
        ({"action": "rename", "name": "kept", "value": None}, 400),
        ({"action": "rename", "name": "none", "value": "x"}, 404),
        ({"action": "delete", "name": "none"}, 404),
        ({"action": "delete"}, 400),
    ],
)
def test_a_wrong_change_of_page_views_changes_nothing(lab: Lab, command: Any, status: int) -> None:
    lab.archive.save_page_view("kept", "/runs")
    before = lab.archive.digest()
    answer = lab.client.post("/api/page-view", command)
    assert (answer.status, lab.archive.digest()) == (status, before)
