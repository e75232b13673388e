"""The HTTP application."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from overture.model.errors import PluginFailed
from overture.plugin.listening import HostedPush
from overture.web import (
    attribution,
    backtests,
    choices,
    clocks,
    consents,
    contacts,
    facts,
    forms,
    health,
    inbox,
    journeys,
    keys,
    messages,
    models,
    plugins,
    previews,
    privacy,
    problem,
    rulesets,
    schemas,
    scripts,
    trails,
)
from overture.web.body import Bodies
from overture.web.incoming import add_sources, meet
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
    privacy.erase,
    privacy.export,
    privacy.every,
    privacy.one,
    contacts.top,
    contacts.members,
    messages.page,
    messages.retry,
    messages.approve,
    messages.reject,
    choices.every,
    models.every,
    models.put,
    models.pin,
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
    trails.opened,
    trails.clicked,
    inbox.token,
    inbox.page,
    inbox.stream,
    inbox.read,
    attribution.ask,
    previews.preview,
    backtests.start,
    backtests.one,
    backtests.contacts,
    backtests.remove,
    rulesets.traces,
    schemas.ruleset,
    schemas.tests,
    clocks.view,
    clocks.advance,
    scripts.every,
    plugins.every,
    plugins.refused,
    keys.every,
    keys.make,
    keys.revoke,
    health.alive,
    health.ready,
    health.metrics,
    openapi,
)
_OPENAPI = msgspec.json.encode(document(ROUTES))


def path_taken(source: HostedPush, earlier: Iterable[HostedPush]) -> PluginFailed | None:
    """The error of a source with a path that the server itself, or an earlier source, answers already."""
    taken = [(r.method, r.path, "Overture itself") for r in ROUTES]
    taken += [(e.method, path, f"the source {other.name}") for other in earlier for path, e in other.endpoints]
    for path, endpoint in source.endpoints:
        for method, other, whose in taken:
            if method == endpoint.method and meet(path, other):
                return PluginFailed("plugin.path_taken", f"{method} {path} is answered by {whose} already, as {other}.")
    return None


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

    async def leave(_: web.Application) -> None:
        await services.inbox.leave()

    app.on_shutdown.append(leave)
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
