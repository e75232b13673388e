"""Errors as RFC 9457 problem+json, with our stable ``code`` and a ``hint``."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

import msgspec
from aiohttp import web

from overture.model import Diagnostic, Overloaded, Refused, StoreUnavailable
from overture.rules import RulesetInvalid
from overture.trial.results import TrialsFailed
from overture.web.formed import FormInvalid

log = logging.getLogger("overture.web")


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why a request failed: ``code`` for programs, ``detail`` and ``hint`` for people, ``pointer`` into the body."""

    title: str
    status: int
    code: str
    detail: str
    hint: str = ""
    pointer: str = ""
    errors: list[Diagnostic] = []


def respond(status: int, code: str, detail: str, hint: str = "", **more: Any) -> web.Response:
    """A problem as a response; ``more``: ``pointer``, ``errors``."""
    problem = Problem(HTTPStatus(status).phrase, status, code, detail, hint, **more)
    return web.Response(status=status, body=msgspec.json.encode(problem), content_type="application/problem+json")


def of(error: Exception) -> web.Response:
    """The response for whatever a handler raised. Only what is our own fault is logged, with its traceback."""
    if isinstance(error, RulesetInvalid | TrialsFailed | FormInvalid):
        return respond(error.status, error.code, error.message, error.hint, errors=error.diagnostics)
    if isinstance(error, Refused):
        response = respond(error.status, error.code, error.message, error.hint, pointer=error.pointer)
        if isinstance(error, Overloaded):
            response.headers["Retry-After"] = str(error.retry_after)
        elif error.status == 401:
            response.headers["WWW-Authenticate"] = "Bearer"
        return response
    if isinstance(error, StoreUnavailable):
        response = respond(503, error.code, error.message, error.hint)
        response.headers["Retry-After"] = "1"
        return response
    if isinstance(error, web.RequestPayloadError | ConnectionError):
        return respond(400, "body.incomplete", "The body did not arrive whole.", "Send it again.")
    if isinstance(error, web.HTTPException):
        return _http(error)
    log.error("A request failed.", exc_info=error)
    return respond(500, "server.failed", "Something went wrong here.", "It is in the server's log; please report it.")


def _http(error: web.HTTPException) -> web.Response:
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        response = respond(405, "request.method", f"{error.method} is not allowed here.", f"Allowed: {allowed}.")
        response.headers["Allow"] = allowed
        return response
    if error.status == 404:
        return respond(
            404, "request.not_found", "There is nothing at this address.", "GET /openapi.json lists all routes."
        )
    return respond(error.status, "request.refused", error.reason or "The request was refused.")
