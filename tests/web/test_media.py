"""The artifacts of many runs: lists, names and grids as the public API has them, and small pictures."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from exptrack import Archive
from exptrack.web.encoding import to_json
from exptrack.web.page import Page
from exptrack.web.server import make_app
from tests.web.client import PORT, TOKEN, Client

image = pytest.importorskip("PIL.Image")
SVG = "<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'></svg>"


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Archive, Client]]:
    path = tmp_path_factory.mktemp("gallery") / "lab.db"
    fill(path)
    page = Page(str(path))
    with Archive(path, mode="ro") as archive:
        yield archive, Client(make_app(page, PORT, TOKEN))
    page.close()


def fill(path: Path) -> None:
    with Archive(path) as archive:
        for lr in (0.1, 0.01, 0.001):
            with archive.start_run({"lr": lr}, name=f"lr {lr}") as run:
                for step in (0, 10, 20):
                    run.log_image("sample/„ä“ 1", image.new("RGB", (200, 100), (step, 0, 0)), step)
                run.log_text("words", "three", 20)
                run.log_image("drawing", SVG.encode())


def body(client: Client, path: str, **params: Any) -> dict[str, Any]:
    answer = client.get(path, **params)
    assert answer.status == 200, answer.text
    found: dict[str, Any] = answer.json()
    assert isinstance(found.pop("version"), str)
    return found


def as_json(value: object) -> Any:
    return json.loads(to_json(value))


def test_artifacts_of_runs_are_listed(gallery: tuple[Archive, Client]) -> None:
    archive, client = gallery
    query = archive.runs().where("config.lr < 0.05")
    where = "config.lr < 0.05"
    assert body(client, "/api/media", where=where) == as_json({"artifacts": query.artifacts()})
    of_step = body(client, "/api/media", where=where, kind="image", step=10, size=1, start=1)["artifacts"]
    assert of_step == as_json(query.artifacts(kind="image", step=10, start=1, size=1))
    assert [one["step"] for one in of_step] == [10]
    assert body(client, "/api/media", name="words", size=10**9)["artifacts"] == as_json(
        archive.runs().artifacts(name="words")
    )
    assert client.get("/api/media", size=-1).status == 400


def test_names_are_listed_by_kind(gallery: tuple[Archive, Client]) -> None:
    archive, client = gallery
    assert body(client, "/api/media-names")["names"] == as_json(archive.runs().artifact_names())
    names = body(client, "/api/media-names", kind="image")["names"]
    assert [(one["name"], one["versions"]) for one in names] == [("drawing", 3), ("sample/„ä“ 1", 9)]


def test_a_grid_has_the_names_of_its_runs(gallery: tuple[Archive, Client]) -> None:
    archive, client = gallery
    name = "sample/„ä“ 1"
    asked = {"name": name, "order": "config.lr", "start": 1, "size": 2}
    found = body(client, "/api/media-grid", **asked, steps="0,15")
    grid = archive.runs().order_by("config.lr").artifact_grid(name, steps=[0, 15], start=1, size=2)
    assert found["grid"] == as_json(grid)
    assert [run["name"] for run in found["runs"]] == ["lr 0.01", "lr 0.1"]
    assert [[cell["step"] for cell in row] for row in found["grid"]["cells"]] == [[0, 10], [0, 10]]
    assert body(client, "/api/media-grid", **asked)["grid"]["steps"] == [0, 10, 20]
    assert client.get("/api/media-grid").status == 400


def test_a_small_picture_is_kept_for_good_and_never_runs(gallery: tuple[Archive, Client]) -> None:
    archive, client = gallery
    run = archive.list_runs()[0].run_id
    answer = client.get(f"/thumbnail/{run}/2/sample/„ä“ 1", size=50)
    assert answer.status == 200, answer.text
    with image.open(io.BytesIO(answer.content)) as picture:
        assert (picture.format, picture.size) == ("PNG", (50, 25))
    assert answer.headers["content-type"] == "image/png"
    # A browser keeps no copy: another program may have the port later.
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-security-policy"].startswith("sandbox")
    assert client.get(f"/thumbnail/{run}/1/drawing").status == 400
    assert client.get(f"/thumbnail/{run}/1/words").status == 400
    assert client.get(f"/thumbnail/{run}/9/words").status == 404
    assert client.get(f"/thumbnail/{run}/1/sample/„ä“ 1", size=10**6).status == 400
