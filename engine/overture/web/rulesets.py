"""Deploying rulesets over HTTP."""

from __future__ import annotations

import re
from typing import Any

from aiohttp import web

from overture.model import Refused
from overture.rules import RulesetInvalid
from overture.trial.results import Result
from overture.web import explained, shapes
from overture.web.routing import Call, answer, route
from overture.web.services import RulesetState

_CAP = 1024 * 1024
_DOCUMENT = {"application/yaml": str, "application/json": dict[str, Any]}
_IF_MATCH = {"If-Match": "The revisions of which one must be active now (`*`: any); 412 if it is another."}
_TAG = r'(?:W/)?"[!#-~\x80-\xff]*"'
_TAGS = re.compile(rf"[\s,]*{_TAG}(?:\s*,[\s,]*{_TAG})*[\s,]*")


@route(
    "PUT",
    "/v1/rulesets/{name}",
    scope="rulesets:write",
    answers={200: shapes.RevisionAnswer, 201: shapes.RevisionAnswer},
    takes=_DOCUMENT,
)
async def put(call: Call) -> web.Response:
    """Keep a document as a revision. It does not become active; 200 where this revision was kept before."""
    kept = await call.services.rulesets.put(call.path("name"), await document_of(call))
    body = shapes.RevisionAnswer(kept.name, kept.revision, kept.active, list(kept.warnings))
    return answer(body, 201 if kept.new else 200, _etag(kept.revision))


@route(
    "POST",
    "/v1/rulesets/{name}/check",
    scope="rulesets:write",
    answers={200: shapes.CheckAnswer},
    takes=_DOCUMENT,
)
async def check(call: Call) -> web.Response:
    """All findings about a document; nothing is kept. 422 where it has errors."""
    ruleset, diagnostics = await call.services.rulesets.check(await document_of(call))
    if ruleset is None:
        raise RulesetInvalid(diagnostics)
    return answer(shapes.CheckAnswer(diagnostics))


@route(
    "POST",
    "/v1/rulesets/{name}/test",
    scope="rulesets:write",
    answers={200: Result},
    takes=_DOCUMENT,
    query=shapes.RevisionQuery,
)
async def test(call: Call) -> web.Response:
    """Run tests; nothing is kept, nobody is written to, and failing tests are a good answer.

    The body is a ruleset with tests, or tests alone for a revision that is kept.
    """
    document = await document_of(call)
    return answer(await call.services.rulesets.test(call.path("name"), document, call.query.revision))


@route(
    "POST",
    "/v1/rulesets/{name}/revisions/{revision}/activate",
    scope="rulesets:deploy",
    answers={200: shapes.ActivationAnswer},
    headers=_IF_MATCH,
)
async def activate(call: Call) -> web.Response:
    """Make a revision the active one, for every fact accepted from now on; its tests are run first."""
    name, revision = call.path("name"), call.path("revision")
    stranded = await call.services.rulesets.stranded(name, revision)
    version = await call.services.rulesets.activate(name, revision, _if_match(call))
    return answer(shapes.ActivationAnswer(name, revision, version, stranded), headers=_etag(revision))


@route(
    "POST",
    "/v1/rulesets/{name}/rollback",
    scope="rulesets:deploy",
    answers={200: shapes.ActivationAnswer},
    headers=_IF_MATCH,
)
async def rollback(call: Call) -> web.Response:
    """Make the revision active that was so before the present one; its tests are run first."""
    name = call.path("name")
    revision, version = await call.services.rulesets.rollback(name, _if_match(call))
    return answer(shapes.ActivationAnswer(name, revision, version), headers=_etag(revision))


@route("GET", "/v1/rulesets", scope="rulesets:read", answers={200: list[RulesetState]})
async def every(call: Call) -> web.Response:
    """All rulesets with their revisions."""
    return answer(await call.services.rulesets.list())


@route("GET", "/v1/rulesets/{name}", scope="rulesets:read", answers={200: RulesetState})
async def one(call: Call) -> web.Response:
    """One ruleset; the ETag is its active revision."""
    state = await call.services.rulesets.get(call.path("name"))
    if state is None:
        raise Refused("ruleset.unknown", "There is no such ruleset.", "GET /v1/rulesets lists them.", status=404)
    return answer(state, headers=_etag(state.active) if state.active else None)


@route(
    "GET",
    "/v1/rulesets/{name}/rules/{rule}/traces",
    scope="contacts:read",
    answers={200: explained.Samples},
    query=explained.SamplesQuery,
)
async def traces(call: Call) -> web.Response:
    """Some of the last decisions of a rule: of contacts for which it fired, was held back, or missed by one part."""
    return answer(await call.services.explanations.samples(f"{call.path('name')}/{call.path('rule')}", call.query))


@route("GET", "/v1/rulesets/{name}/revisions/{revision}", scope="rulesets:read", answers={200: None})
async def revision(call: Call) -> web.Response:
    """The document of a revision, as it was put."""
    text = await call.services.rulesets.text(call.path("name"), call.path("revision"))
    return web.Response(text=text, headers=_etag(call.path("revision")))


@route(
    "GET",
    "/v1/rulesets/{name}/diff",
    scope="rulesets:read",
    answers={200: shapes.DiffAnswer},
    query=shapes.DiffQuery,
)
async def diff(call: Call) -> web.Response:
    """What two revisions mean differently: rules, segments, scores and the rest, not text and layout."""
    name = call.path("name")
    return answer(shapes.DiffAnswer(name, await call.services.rulesets.diff(name, call.query.to, call.query.before)))


async def document_of(call: Call) -> str:
    """The body as text. Raises Refused ``ruleset.not_utf8``, and what reading it raises."""
    body = await call.bodies.read(call.request, _CAP)
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Refused("ruleset.not_utf8", "The document is not UTF-8.", "Save it as UTF-8.") from None
    finally:
        call.bodies.release(body)


def _etag(revision: str) -> dict[str, str]:
    return {"ETag": f'"{revision}"'}


def _if_match(call: Call) -> list[str] | None:
    """The tags given, `*` among them; a weak one as it stands, because it matches nothing (RFC 9110, 13.1.1)."""
    lines = call.request.headers.getall("If-Match", None)
    if lines is None:
        return None
    given = ", ".join(lines)
    if given.strip() == "*":
        return ["*"]
    if _TAGS.fullmatch(given):
        return [tag.strip('"') for tag in re.findall(_TAG, given)]
    raise Refused("request.if_match", "If-Match is neither * nor a list of tags.", 'Write If-Match: "<revision>".')
