"""Who is calling: a key as a bearer token, or as the user name of Basic, as tracking libraries send it."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping

from aiohttp import web

from overture.model import Refused
from overture.web.services import Grant, Keys

WRITE, TRACK, INBOX = "facts:write", "facts:track", "inbox:token"
_WITHIN: Mapping[str, str] = {TRACK: WRITE}  # what a scope is part of


def authorize(request: web.Request, keys: Keys, scope: str) -> Grant:
    """The caller's grant, if it covers the scope. Raises as `granted`."""
    return granted(_token(request.headers.get("Authorization", "")), keys, scope, request.headers.get("Origin", ""))


def granted(token: str, keys: Keys, scope: str, origin: str = "") -> Grant:
    """What a key grants, if that covers the scope.

    Raises Refused 401 (no key, unknown key) or 403 (another scope, a page of another origin), Overloaded 429 where the
    key has asked as much as it may.
    """
    if not token:
        raise Refused("auth.key_missing", "The request has no key.", "Send Authorization: Bearer <key>.", status=401)
    grant = keys.grant(token)
    if grant is None:
        raise Refused(
            "auth.key_unknown", "This key is not known.", "Check that it is whole and not expired.", status=401
        )
    if not grant.scopes & {scope, _WITHIN.get(scope, scope), "*"}:
        raise Refused(
            "auth.scope_missing", f"The key {grant.name} lacks the scope {scope}.", "Use a key that has it.", status=403
        )
    if grant.origins and origin not in grant.origins:
        what = f"The key {grant.name} is not for pages of {origin}." if origin else "This key is for web pages alone."
        raise Refused("auth.origin", what, "Make a key for this origin.", status=403)
    keys.admit(grant)
    return grant


def tracks_only(grant: Grant) -> bool:
    """Whether it is a key of web pages, which anybody may read and use."""
    return not grant.scopes & {WRITE, "*"}


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
