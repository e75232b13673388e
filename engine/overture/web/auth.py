"""Who is calling: a key as a bearer token, or as the user name of Basic, as tracking libraries send it."""

from __future__ import annotations

import base64
import binascii

from aiohttp import web

from overture.model import Refused
from overture.web.services import Grant, Keys


def authorize(request: web.Request, keys: Keys, scope: str) -> Grant:
    """The caller's grant, if it covers the scope. Raises Refused 401 (no key, unknown key) or 403."""
    return granted(_token(request.headers.get("Authorization", "")), keys, scope)


def granted(token: str, keys: Keys, scope: str) -> Grant:
    """What a key grants, if that covers the scope. Raises Refused 401 (no key, unknown key) or 403."""
    if not token:
        raise Refused("auth.key_missing", "The request has no key.", "Send Authorization: Bearer <key>.", status=401)
    grant = keys.grant(token)
    if grant is None:
        raise Refused(
            "auth.key_unknown", "This key is not known.", "Check that it is whole and not expired.", status=401
        )
    if scope not in grant.scopes and "*" not in grant.scopes:
        raise Refused(
            "auth.scope_missing", f"The key {grant.name} lacks the scope {scope}.", "Use a key that has it.", status=403
        )
    return grant


def _token(header: str) -> str:
    kind, _, value = header.partition(" ")
    if kind == "Bearer" or (kind := kind.lower()) == "bearer":
        token = value.strip()
    elif kind == "basic":
        try:
            token = base64.b64decode(value, validate=True).decode().partition(":")[0]
        except (binascii.Error, UnicodeDecodeError, ValueError):
            token = ""
    else:
        token = ""
    return token
