"""The HTTP application."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from overture.web import (
    backtests,
    clocks,
    consents,
    contacts,
    facts,
    forms,
    health,
    journeys,
    messages,
    plugins,
    problem,
    rulesets,
    schemas,
)
from overture.web.body import Bodies
from overture.web.incoming import add_sources
from overture.web.openapi import document
from overture.web.protocol import Runner
from overture.web.routing import PUBLIC, Call, Route, mount, preflight, route
from overture.web.services import Services


@route("GET", "/openapi.json", scope=PUBLIC, answers={200: dict[str, Any]})
async def openapi(call: Call) -> web.Response:
    """This document."""
    return web.Response(body=_OPENAPI, content_type="application/json")


ROUTES: tuple[Route, ...] = (
    facts.post,
    facts.decide,
    forms.show,
    forms.submit,
    contacts.one,
    contacts.timeline,
    contacts.explain,
    consents.history,
    contacts.top,
    contacts.members,
    messages.page,
    messages.retry,
    messages.approve,
    messages.reject,
    journeys.every,
    journeys.funnel,
    rulesets.every,
    rulesets.one,
    rulesets.put,
    rulesets.check,
    rulesets.test,
    rulesets.activate,
    rulesets.rollback,
    rulesets.revision,
    rulesets.diff,
    consents.verify,
    consents.page,
    consents.act,
    backtests.start,
    backtests.one,
    backtests.contacts,
    backtests.remove,
    rulesets.traces,
    schemas.ruleset,
    schemas.tests,
    clocks.view,
    clocks.advance,
    plugins.every,
    plugins.refused,
    health.alive,
    health.ready,
    health.metrics,
    openapi,
)
_OPENAPI = msgspec.json.encode(document(ROUTES))


def make_app(services: Services, bodies: Bodies | None = None) -> web.Application:
    """The application with all routes; run it with `make_runner`."""
    app = web.Application(middlewares=[_unrouted])
    held = bodies or Bodies()
    for r in ROUTES:
        path = re.sub(r"\{(\w+)\}", r"{\1:[^/]+}", r.path)  # aiohttp's own pattern takes no braces, and ids hold them
        handle = mount(r, services, held)
        for method in ("GET", "HEAD") if r.method == "GET" else (r.method,):
            app.router.add_route(method, path, handle)
        if r.cors:
            app.router.add_route("OPTIONS", r.path, preflight)
    add_sources(app, services, held)
    return app


def make_runner(app: web.Application, grace: float) -> web.AppRunner:
    """A runner with what the routes rely on: bodies arrive as sent (intake inflates them, capped), no access log.

    ``grace``: seconds that requests under way get to end when it is cleaned up; then they are cancelled.
    """
    return Runner(
        app, access_log=None, auto_decompress=False, keepalive_timeout=75, lingering_time=2, shutdown_timeout=grace
    )


@web.middleware
async def _unrouted(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Routes answer their own errors; what no route took is a problem as well."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        return problem.of(error)
