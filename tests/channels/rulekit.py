"""Mailgun and Postmark as strict servers of our own: their documented rules, written down by us.

Neither has a description that may be passed on (tests/peers/openapi/README.md), so this proves less than other people's
servers do: that what we send is as we read their documentation.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import web

BARE = r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+"
ADDRESS = re.compile(rf"{BARE}|([^<>\"@]+|\"[^\"]+\") <{BARE}>")
OPTIONS = {"o:tracking", "o:tracking-opens", "o:tracking-clicks", "o:tag", "o:testmode", "o:deliverytime", "o:dkim"}
POSTMARK: Mapping[str, type] = {
    "From": str, "To": str, "Cc": str, "Bcc": str, "Subject": str, "Tag": str, "HtmlBody": str, "TextBody": str,
    "ReplyTo": str, "Headers": list, "TrackOpens": bool, "TrackLinks": str, "Metadata": dict, "Attachments": list,
    "MessageStream": str,
}  # fmt: skip


class Strict:
    """An HTTP server; ``taken`` has what it accepted, ``refused`` why it did not."""

    def __init__(self, secret: str) -> None:
        self.taken: list[dict[str, Any]] = []
        self.refused: list[str] = []
        self.url = ""
        self._secret = secret
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Strict:
        app = web.Application()
        app.router.add_post("/v3/{domain}/messages", self._mailgun)
        app.router.add_post("/email", self._postmark)
        app.router.add_get("/server", self._server)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def _mailgun(self, request: web.Request) -> web.Response:
        given = base64.b64encode(f"api:{self._secret}".encode()).decode()
        if request.headers.get("Authorization") != f"Basic {given}":
            return web.Response(status=401, text="Forbidden")
        if request.match_info["domain"] != "mg.example.org":
            return web.json_response({"message": f"Domain not found: {request.match_info['domain']}"}, status=404)
        if request.content_type not in ("application/x-www-form-urlencoded", "multipart/form-data"):
            return web.json_response({"message": "no form"}, status=400)
        pairs = parse_qsl((await request.text()), keep_blank_values=True, strict_parsing=bool(await request.text()))
        why = mailgun_refuses(pairs)
        if why:
            self.refused.append(why)
            return web.json_response({"message": why}, status=400)
        self.taken.append(dict(pairs))
        return web.json_response({"id": f"<{len(self.taken)}@mg.example.org>", "message": "Queued. Thank you."})

    async def _postmark(self, request: web.Request) -> web.Response:
        if request.headers.get("X-Postmark-Server-Token") != self._secret:
            return web.json_response({"ErrorCode": 10, "Message": "Bad or missing Server API token."}, status=401)
        if request.content_type != "application/json" or request.headers.get("Accept") != "application/json":
            return web.json_response({"ErrorCode": 409, "Message": "JSON required"}, status=422)
        mail = json.loads(await request.text())
        code, why = postmark_refuses(mail)
        if why:
            self.refused.append(why)
            return web.json_response({"ErrorCode": code, "Message": why}, status=422)
        self.taken.append(mail)
        return web.json_response(
            {"To": mail["To"], "MessageID": f"m{len(self.taken)}", "ErrorCode": 0, "Message": "OK"}
        )

    async def _server(self, request: web.Request) -> web.Response:
        if request.headers.get("X-Postmark-Server-Token") != self._secret:
            return web.json_response({"ErrorCode": 10, "Message": "Bad or missing Server API token."}, status=401)
        return web.json_response({"ID": 1, "Name": "Test"})


def mailgun_refuses(pairs: list[tuple[str, str]]) -> str:
    """Empty for what may be sent."""
    names = [name for name, _ in pairs]
    fields = dict(pairs)
    for name in ("from", "to"):
        if name not in fields:
            return f"{name} parameter is missing"
        if not ADDRESS.fullmatch(fields[name]):
            return f"'{name}' parameter is not a valid address. please check documentation"
    if len(set(names)) != len(names):
        return "a parameter comes twice"
    if not any(fields.get(name) for name in ("text", "html", "amp-html", "template")):
        return "Need at least one of 'text', 'html', 'amp-html' or 'template' parameters specified"
    for name, value in pairs:
        if name.startswith("o:"):
            if name not in OPTIONS:
                return f"unknown option {name}"
            if name.startswith("o:tracking") and value not in ("yes", "no", "true", "false", "htmlonly"):
                return f"{name} is no choice"
        elif name.startswith(("h:", "v:")):
            if not re.fullmatch(r"[hv]:[A-Za-z0-9_-]+", name) or "\n" in value or len(value) > 1024:
                return f"{name} cannot be a header or a variable"
        elif name not in ("from", "to", "cc", "bcc", "subject", "text", "html"):
            return f"unknown parameter {name}"
    return ""


def postmark_refuses(mail: Any) -> tuple[int, str]:
    """The code, and a sentence that is empty for what may be sent."""
    if not isinstance(mail, dict):
        return 402, "Invalid JSON"
    for name, value in mail.items():
        if name not in POSTMARK or not isinstance(value, POSTMARK[name]):
            return 403, f"Incompatible JSON: {name}"
    for name in ("From", "To"):
        if not ADDRESS.fullmatch(mail.get(name, "")):
            return 300, f"Invalid '{name}' address: '{mail.get(name, '')}'."
    if not mail.get("TextBody") and not mail.get("HtmlBody"):
        return 300, "Provide either email TextBody or HtmlBody or both."
    if len(mail.get("Subject", "")) > 2000:
        return 300, "Subject is too long."
    if mail.get("TrackLinks", "None") not in ("None", "HtmlAndText", "HtmlOnly", "TextOnly"):
        return 300, "Unknown TrackLinks."
    for header in mail.get("Headers", []):
        if set(header) != {"Name", "Value"} or not re.fullmatch(r"[\x21-\x39\x3b-\x7e]+", header["Name"]):
            return 300, "Invalid header."
        if not re.fullmatch(r"[\x20-\x7e]*", header["Value"]):
            return 300, "Invalid header value."
    metadata = mail.get("Metadata", {})
    if len(metadata) > 10 or any(len(name) > 20 or len(str(value)) > 80 for name, value in metadata.items()):
        return 300, "Metadata has at most 10 fields, with names of 20 and values of 80 characters."
    return 0, ""
