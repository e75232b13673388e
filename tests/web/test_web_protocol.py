"""What HTTP itself says: methods, HEAD, and requests that are none; each answered as a problem."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiohttp import ClientSession

from overture.web import ROUTES

END = b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer admin-key\r\n\r\n"

ASKED = {"/v1/attribution": "?conversion=fact.type=='paid'"}  # what cannot be asked without it


async def send(site: str, raw: bytes) -> tuple[int, dict[str, str], bytes]:
    """Status, headers in lower case and body of what the server answers before it hangs up."""
    reader, writer = await asyncio.open_connection(urlsplit(site).hostname, urlsplit(site).port)
    try:
        writer.write(raw)
        answer = await asyncio.wait_for(reader.read(), 10)
    finally:
        writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    return int(status.split()[1]), headers, body


@pytest.mark.parametrize("path", sorted({r.path for r in ROUTES if r.method == "GET" and "{name}" not in r.path}))
async def test_head_is_get_without_the_body(site: str, path: str):
    address = (path.replace("{id}", "ada").replace("{token}", "good") + ASKED.get(path, "")).encode()
    status, headers, body = await send(site, b"GET " + address + END)
    # A link leads elsewhere, and what takes long is asked for again.
    assert (status, bool(body)) == ({"/c": 302, "/v1/attribution": 202}.get(path.partition("/{")[0], 200), True)
    again, others, nothing = await send(site, b"HEAD " + address + END)
    assert (again, nothing) == (status, b"")
    assert others["content-type"] == headers["content-type"]
    if path != "/metrics":  # which counts the first of the two requests
        assert others.get("content-length") == headers.get("content-length")


async def test_head_needs_the_key_that_get_needs(site: str):
    async with ClientSession(site) as client, client.head("/v1/contacts/ada") as response:
        assert response.status == 401
        assert await response.read() == b""


async def test_a_method_that_the_address_does_not_have(site: str):
    for method, path, allowed in (
        (b"TRACE", b"/healthz", "get, head"),
        (b"PROPFIND", b"/v1/contacts/{a}", "delete, get, head"),
        (b"DELETE", b"/v1/facts", "options, post"),
        (b"PATCH", b"/v1/rulesets/x", "get, head, put"),
    ):
        status, headers, body = await send(site, method + b" " + path + END)
        assert (status, json.loads(body)["code"], headers["allow"]) == (405, "request.method", allowed)
        assert headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("method", [b"BREW", b"get", b"G@T", b"X" * 100, b"\x16\x03\x01\x02"])
async def test_a_method_that_nobody_has(site: str, method: bytes):
    status, headers, body = await send(site, method + b" /healthz" + END)
    problem = json.loads(body)
    assert (status, problem["status"], problem["code"]) == (501, 501, "request.method")
    assert headers["content-type"] == "application/problem+json"
    assert headers["allow"] == "delete, get, head, options, post, put"


MALFORMED = [
    b"GET /healthz HTTP/9.9\r\n\r\n",
    b"GET healthz" + END,
    b"GET /v1/contacts/\xff" + END,
    b"GET /v1/contacts/\xc3\xa9" + END,
    b"GET http://[::1/" + END,
    b"GET /" + b"a" * 9000 + END,
    b"GET /healthz HTTP/1.1\r\nX: " + b"a" * 9000 + b"\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nBad Header: x\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: abc\r\n\r\n",
    b"POST /v1/facts HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
]


@pytest.mark.parametrize("raw", MALFORMED, ids=lambda raw: repr(raw[:40]))
async def test_what_is_no_request_is_a_problem_and_no_traceback(
    site: str, raw: bytes, caplog: pytest.LogCaptureFixture
):
    with caplog.at_level(logging.INFO):
        status, headers, body = await send(site, raw)
    problem: Any = json.loads(body)
    assert (status, problem["status"], problem["code"]) == (400, 400, "request.malformed")
    assert headers["content-type"] == "application/problem+json"
    assert len(problem["detail"]) < 100
    assert [record for record in caplog.records if record.exc_info or record.levelno > logging.INFO] == []
