"""Turn a request into a question: asked in a reader thread, its result as JSON, its errors as answers.

A handler of the files ``api_*`` takes the page and the question, and returns a value for JSON or a whole
response. The archive of the page is opened for reading.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from exptrack import ExptrackError
from exptrack.web.encoding import answer_error, answer_json
from exptrack.web.page import Page
from exptrack.web.question import Question
from exptrack.web.readers import ClientLeftError

Handler = Callable[[Page, Question], Any]


def make_route(page: Page, path: str, handler: Handler) -> Route:
    """Return the route on which GET asks a question."""

    def ask(question: Question) -> Any:
        # Before the reading, so that a change in between is seen at the next look.
        version = page.archive.data_version()
        found = handler(page, question)
        return found if isinstance(found, Response) else answer_json({"version": version, **found})

    async def endpoint(request: Request) -> Response:
        try:
            question = Question(request.path_params, request.scope["query_string"])
            answer = await page.readers.read(lambda: ask(question), request.receive)
        except (ExptrackError, ClientLeftError) as error:
            return answer_error(error)
        assert isinstance(answer, Response)
        return answer

    return Route(path, endpoint, methods=["GET"])


def make_routes(page: Page, handlers: Sequence[tuple[str, Handler]]) -> list[Route]:
    """Return the routes of a list of paths and handlers."""
    return [make_route(page, path, handler) for path, handler in handlers]
