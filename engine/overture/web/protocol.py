"""What aiohttp would answer by itself in plain text: requests that are none, and methods that nobody has."""

from __future__ import annotations

import logging

from aiohttp import web
from aiohttp.http_exceptions import BadHttpMethod, HttpProcessingError, LineTooLong

from overture.web import problem

log = logging.getLogger("overture.web")

METHODS = "DELETE, GET, HEAD, OPTIONS, POST, PUT"


class Runner(web.AppRunner):
    """Runs an application whose connections answer every error as a problem."""

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        return _Server(made.request_handler, request_factory=made.request_factory, **self._kwargs)


class _Server(web.Server):
    def __call__(self) -> web.RequestHandler:
        return _Connection(self, loop=self._loop, **self._kwargs)


class _Connection(web.RequestHandler):
    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The answer, after which the connection ends. Raises ConnectionError where another was begun already."""
        if not isinstance(exc, HttpProcessingError):
            response = problem.of(exc if isinstance(exc, Exception) else RuntimeError(message))
        else:
            log.debug("No request from %s: %s", request.remote, exc)  # strangers must not be able to fill the log
            response = _refusal(exc)
        if request.writer.output_size > 0:
            raise ConnectionError("An answer is under way already.")
        response.force_close()
        return response


def _refusal(error: HttpProcessingError) -> web.Response:
    if isinstance(error, BadHttpMethod):
        response = problem.respond(501, "request.method", "No address here has such a method.", f"There are {METHODS}.")
        response.headers["Allow"] = METHODS
        return response
    if isinstance(error, LineTooLong):
        detail, hint = "The address or a header is longer than 8190 bytes.", "Send what is long in the body."
    else:
        detail, hint = "This is not a request as HTTP/1.1 has it.", "Percent-encode addresses; check the headers."
    return problem.respond(400, "request.malformed", detail, hint)
