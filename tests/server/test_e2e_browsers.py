"""Requests as the libraries for browsers make them: across origins, the key where they put it, labelled as they do."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

import pytest
from serverkit import WRITE, Server, fresh

ORIGIN = {"Origin": "https://shop.example"}
BASIC = "Basic " + base64.b64encode(f"{WRITE}:".encode()).decode()


def post(server: Server, path: str, body: bytes, **headers: str) -> Any:
    """With no key but what is given."""
    own = {name.replace("_", "-"): value for name, value in headers.items()}
    kept = {"Authorization": "", "Content-Type": "text/plain", **ORIGIN, **own}
    answer = server.call("POST", path, body, headers=kept)
    assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN["Origin"]
    return answer


@pytest.mark.parametrize("below", ["", "/in/segment", "/in/rudderstack"])
def test_a_call_in_plain_text_with_the_key_as_a_user(server: Server, below: str):
    user = fresh("browser-")
    said = {"event": "Seen", "userId": user, "anonymousId": "c", "messageId": user, "writeKey": WRITE}
    for _ in range(2):
        answer = post(server, f"{below}/v1/t", json.dumps(said).encode(), Authorization=BASIC)
        assert (answer.status, answer.json) == (200, {"success": True})
    (moment,) = server.timeline(user)
    assert (moment["fact"]["type"], moment["fact"]["id"]) == ("seen", f"segment:{user}")


def test_a_beacon_cannot_set_a_header(server: Server):
    user = fresh("browser-")
    body = json.dumps({"batch": [{"type": "page", "userId": user, "channel": "web", "messageId": "b1"}]}).encode()
    assert post(server, f"/beacon/v1/batch?writeKey={WRITE}", body).status == 200
    assert post(server, "/beacon/v1/batch?writeKey=nobody", body).status == 401
    (moment,) = server.timeline(user)
    assert (moment["fact"]["type"], moment["fact"]["id"]) == ("page_viewed", "rudderstack:b1")


def test_what_is_compressed_is_known_by_its_bytes(server: Server):
    user = fresh("browser-")
    batch = {"writeKey": WRITE, "batch": [{"type": "track", "event": "Seen", "userId": user}]}
    packed = gzip.compress(json.dumps(batch).encode())
    assert post(server, "/v1/b", packed).status == 200
    assert post(server, "/v1/b", packed, Content_Type="application/x-www-form-urlencoded").status == 200
    assert [m["fact"]["type"] for m in server.timeline(user)] == ["seen", "seen"]


def test_a_page_asks_before_it_posts(server: Server):
    for path in ("/v1/t", "/v1/batch", "/beacon/v1/batch", "/sourceConfig/", "/v1/projects/k/settings"):
        asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization", **ORIGIN}
        answer = server.call("OPTIONS", path, headers=asked)
        assert answer.status == 204
        assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN["Origin"]
        assert answer.headers["Access-Control-Allow-Credentials"] == "true"
        allowed = answer.headers["Access-Control-Allow-Headers"].split(", ")
        assert {"authorization", "sp-anonymous", "rsa-retry-attempt", "x-retry-count"} <= set(allowed)


@pytest.mark.parametrize("below", ["", "/in/segment"])
def test_segments_library_is_told_to_post_here(server: Server, below: str):
    answer = server.call("GET", f"{below}/v1/projects/{WRITE}/settings", headers=ORIGIN)
    assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN["Origin"]
    own = answer.json["integrations"]["Segment.io"]
    assert (own["apiKey"], own["protocol"]) == (WRITE, "http")
    assert own["apiHost"] == f"127.0.0.1:{server.port}{below}/v1"
    user = fresh("browser-")
    said = json.dumps({"userId": user, "writeKey": own["apiKey"]}).encode()
    _, _, path = own["apiHost"].partition("/")
    assert post(server, f"/{path}/p", said).status == 200
    proxied = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "ov.example.org"}
    own = server.call("GET", f"{below}/v1/projects/k/settings", headers=proxied).json["integrations"]["Segment.io"]
    assert (own["apiHost"], own["protocol"]) == (f"ov.example.org{below}/v1", "https")


def test_rudderstacks_library_is_told_to_send_to_nobody_else(server: Server):
    for path in ("/sourceConfig/?p=cdn&writeKey=k", "/in/rudderstack/sourceConfig/?writeKey=k"):
        answer = server.call("GET", path, headers=ORIGIN)
        assert answer.status == 200
        source = answer.json["source"]
        assert (source["enabled"], source["destinations"]) == (True, [])
