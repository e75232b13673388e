"""JSON Schemas for editors, made of the tables that documents are read by."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from overture.trial.keys import schema_of_rulesets, schema_of_tests
from overture.web.routing import PUBLIC, Call, route

_RULESET, _TESTS = (msgspec.json.encode(schema()) for schema in (schema_of_rulesets, schema_of_tests))


@route("GET", "/v1/schemas/ruleset.json", scope=PUBLIC, answers={200: dict[str, Any]})
async def ruleset(call: Call) -> web.Response:
    """The JSON Schema of ruleset documents, for editors."""
    return web.Response(body=_RULESET, content_type="application/json")


@route("GET", "/v1/schemas/tests.json", scope=PUBLIC, answers={200: dict[str, Any]})
async def tests(call: Call) -> web.Response:
    """The JSON Schema of documents that hold tests of a ruleset."""
    return web.Response(body=_TESTS, content_type="application/json")
