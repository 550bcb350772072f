"""The check of a whole archive tells its steps, then what it found; paging of the metrics of a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from exptrack import Archive
from exptrack.web.encoding import to_json
from exptrack.web.page import Page
from exptrack.web.server import make_app
from tests.web.client import PORT, TOKEN, Client


def check(client: Client) -> list[dict[str, Any]]:
    answer = client.post("/api/verify", {})
    assert answer.status == 200, answer.text
    assert answer.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in answer.content.splitlines()]


def test_a_check_tells_its_steps_and_its_report(client: Client, lab: Archive) -> None:
    *steps, last = check(client)
    assert {step["part"] for step in steps} == {"runs", "points", "chunks", "artifacts"}
    for part in ("runs", "points", "chunks", "artifacts"):
        told = [step for step in steps if step["part"] == part]
        assert [step["done"] for step in told] == sorted(step["done"] for step in told)
        assert told[-1]["done"] == told[-1]["total"]
    assert last == {"report": json.loads(to_json(lab.verify()))}
    assert last["report"]["problems"] == []


def test_a_check_tells_what_is_damaged(tmp_path: Path) -> None:
    path, content = tmp_path / "lab.db", bytes(range(256)) * 40
    with Archive(path) as archive, archive.start_run() as run:
        run.artifacts.register_data("bytes", content[::-1])
        run.artifacts.register_data("noise", "unlikely to be packed: 3141592653589793")
    stored = path.read_bytes()
    at = stored.index(b"3141592653589793")
    path.write_bytes(stored[:at] + b"4" + stored[at + 1 :])
    page = Page(str(path))
    try:
        report = check(Client(make_app(page, PORT, TOKEN)))[-1]["report"]
    finally:
        page.close()
    assert report["problems"]
    assert {"part", "where", "message"} == set(report["problems"][0])


def test_a_check_whose_archive_was_closed_tells_the_error(tmp_path: Path) -> None:
    path = tmp_path / "lab.db"
    Archive(path).close()
    page = Page(str(path))
    page.archive.close()
    try:
        (last,) = check(Client(make_app(page, PORT, TOKEN)))
    finally:
        page.close()
    assert last["error"]["kind"] == "ArchiveClosedError"


def test_metrics_are_searched_and_paged(tmp_path: Path) -> None:
    path = tmp_path / "lab.db"
    names = [f"layer/{n:02d}/norm" for n in range(30)]
    with Archive(path) as archive, archive.start_run() as run:
        run.log(dict.fromkeys(names, 1.0) | {"loss": 0.5, "system/cpu": 3.0})
    page = Page(str(path))
    client = Client(make_app(page, PORT, TOKEN))

    def ask(**params: Any) -> tuple[int, list[str]]:
        answer = client.get(f"/api/run/{run.run_id}/metrics", **params).json()
        return answer["total"], [metric["name"] for metric in answer["metrics"]]

    try:
        assert ask() == (32, [*names, "loss", "system/cpu"])
        assert ask(part="own", start=20, size=5) == (31, names[20:25])
        assert ask(part="system") == (1, ["system/cpu"])
        assert ask(search="LAYER/1", size=2) == (10, names[10:12])
        assert ask(search="nothing") == (0, [])
        assert ask(start=40) == (32, [])
    finally:
        page.close()
