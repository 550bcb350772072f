"""Answer questions about the artifacts of many runs, and send small pictures of images."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from exptrack import ExptrackError, Thumbnail
from exptrack.web.api import Handler
from exptrack.web.api_files import SANDBOX
from exptrack.web.encoding import answer_error
from exptrack.web.page import Page
from exptrack.web.question import Question
from exptrack.web.readers import ClientLeftError

MAX_ARTIFACTS = 10_000
THUMBNAIL_SIZE = 256
RUN_COLUMNS = ("run_id", "name", "status")


def list_artifacts(page: Page, question: Question) -> dict[str, Any]:
    """List the artifacts of runs: of one name, kind or step, if these are given."""
    step = question.text("step")
    found = question.runs(page.archive).artifacts(
        name=question.text("name") or None,
        kind=question.text("kind") or None,
        step=question.whole("step", 0) if step else None,
        start=question.whole("start", 0),
        size=min(question.whole("size", 100), MAX_ARTIFACTS),
    )
    return {"artifacts": found}


def list_names(page: Page, question: Question) -> dict[str, Any]:
    """List the names of the artifacts of runs."""
    return {"names": question.runs(page.archive).artifact_names(kind=question.text("kind") or None)}


def show_grid(page: Page, question: Question) -> dict[str, Any]:
    """Show the artifacts of one name by run and step, and what the runs are called."""
    steps = question.wholes("steps") if question.texts("steps") else None
    grid = question.runs(page.archive).artifact_grid(
        question.require("name"),
        steps=steps,
        start=question.whole("start", 0),
        size=min(question.whole("size", 20), MAX_ARTIFACTS),
    )
    return {"grid": grid, "runs": page.archive.read_rows(grid.row_ids, RUN_COLUMNS)}


HANDLERS: list[tuple[str, Handler]] = [
    ("/api/media", list_artifacts),
    ("/api/media-names", list_names),
    ("/api/media-grid", show_grid),
]


def make_route(page: Page) -> Route:
    """Return the route on which a browser gets a small picture of an image."""

    def draw(path: dict[str, Any], question: Question) -> Thumbnail:
        store = page.archive.artifacts(path["run"])
        size = question.whole("size", THUMBNAIL_SIZE)
        return store.thumbnail(path["name"], path["version"], size=size, file=question.text("file") or None)

    async def send_picture(request: Request) -> Response:
        try:
            question = Question(request.path_params, request.scope["query_string"])
            picture = await page.readers.read(lambda: draw(request.path_params, question), request.receive)
        except (ExptrackError, ClientLeftError) as error:
            return answer_error(error)
        return Response(picture.data, headers=SANDBOX, media_type=picture.media_type)

    return Route("/thumbnail/{run}/{version:int}/{name:path}", send_picture, methods=["GET"])
