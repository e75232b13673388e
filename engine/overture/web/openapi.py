"""The OpenAPI 3.1 document, made from the routes."""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from http import HTTPStatus
from importlib.metadata import version
from typing import Any

import msgspec

from overture.web.problem import Problem
from overture.web.routing import PUBLIC, Route

_REF = "#/components/schemas/{name}"
_JSON = "application/json"


def document(routes: Sequence[Route]) -> dict[str, Any]:
    """The whole document as plain JSON values."""
    types: list[Any] = [Problem]
    for route in routes:
        types += [t for t in (*route.answers.values(), *route.takes.values(), route.query) if not _is_plain(t)]
    schemas, components = msgspec.json.schema_components(types, ref_template=_REF)
    schema_of = dict(zip(map(repr, types), schemas, strict=True))
    paths: dict[str, Any] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schema_of, components)
    for route in routes:
        if route.query is not None:  # spelt out as parameters instead
            components.pop(route.query.__name__, None)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Overture",
            "version": version("overture"),
            "summary": "Facts in, rules decide, messages out.",
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer"},
                "basic": {"type": "http", "scheme": "basic", "description": "The key as user name, no password."},
            },
        },
    }


def _operation(route: Route, schema_of: dict[str, Any], components: dict[str, Any]) -> dict[str, Any]:
    summary, _, rest = inspect.cleandoc(route.handler.__doc__ or "").partition("\n\n")
    operation: dict[str, Any] = {
        "operationId": f"{route.handler.__module__.rpartition('.')[2]}_{route.handler.__name__}",
        "summary": " ".join(summary.split()),
        "responses": {str(status): _answer(status, kind, schema_of) for status, kind in route.answers.items()},
    }
    operation["responses"]["default"] = {
        "description": "A problem.",
        "content": {"application/problem+json": {"schema": schema_of[repr(Problem)]}},
    }
    if rest:
        operation["description"] = " ".join(rest.split())
    if route.scope is not PUBLIC:
        operation["security"] = [{"key": [route.scope]}, {"basic": [route.scope]}]
    if parameters := _parameters(route, components):
        operation["parameters"] = parameters
    if route.takes:
        content = {media: {"schema": schema_of[repr(kind)]} for media, kind in route.takes.items()}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _answer(status: int, kind: Any, schema_of: dict[str, Any]) -> dict[str, Any]:
    if _is_plain(kind):
        content: dict[str, Any] = {kind or "text/plain": {"schema": {"type": "string"}}}
    else:
        content = {_JSON: {"schema": schema_of[repr(kind)]}}
    return {"description": HTTPStatus(status).phrase, "content": content}


def _is_plain(kind: Any) -> bool:
    return kind is None or isinstance(kind, str)


def _parameters(route: Route, components: dict[str, Any]) -> list[dict[str, Any]]:
    found = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in re.findall(r"\{(\w+)\}", route.path)
    ]
    if route.query is not None:
        component = components[route.query.__name__]
        properties: dict[str, Any] = component["properties"]
        required = component.get("required", ())
        found += [
            {"name": name, "in": "query", "required": name in required, "schema": schema}
            for name, schema in properties.items()
        ]
    found += [
        {"name": name, "in": "header", "description": text, "schema": {"type": "string"}}
        for name, text in route.headers.items()
    ]
    return found
