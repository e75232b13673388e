"""Whatever is posted to the sources that trackers post to: it is taken or refused, and the server goes on."""

from __future__ import annotations

import gzip
import json
from urllib.parse import quote

import pytest
from serverkit import WRITE, Server, fresh
from trackkit import HOSTILE

PATHS = (
    "/v1/batch", "/v1/t", "/beacon/v1/batch", "/batch/", "/e/", "/i/v1/analytics/events", "/flags/",
    "/com.snowplowanalytics.snowplow/tp2", "/in/snowplow/com.acme/track", "/matomo.php", "/v1/facts",
)  # fmt: skip
QUERIES = (
    "", "e=pv&eid=%00", "e=ue&ue_px=%FF", "rec=1&cdt=" + "9" * 3000, "=&" * 900,
    "e=se&se_ac=%ED%A0%80&uid=%ED%A0%80",
)  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_whatever_is_posted_is_taken_or_refused(server: Server, path: str):
    for body in HOSTILE:
        for sent in (body, gzip.compress(body), b"\x1f\x8b" + body[:500]):
            answer = server.call("POST", path, sent, key=WRITE)
            assert answer.status in (200, 400, 413), (path, body[:80], answer.status, answer.body)


@pytest.mark.parametrize("path", ["/batch/", "/e/", "/com.snowplowanalytics.snowplow/tp2", "/matomo.php", "/v1/batch"])
def test_without_a_key_nothing_is_taken(server: Server, path: str):
    for body in HOSTILE:
        answer = server.call("POST", path, body, headers={"Authorization": ""})
        assert answer.status in (400, 401, 413), (path, body[:80], answer.status, answer.body)


@pytest.mark.parametrize("path", ["/i", "/matomo.php", "/piwik.php"])
def test_whatever_is_asked_is_taken_or_refused(server: Server, path: str):
    for query in QUERIES:
        assert server.call("GET", f"{path}?{query}", key=WRITE).status in (200, 400), query
        assert server.call("GET", f"{path}?{query}", headers={"Authorization": ""}).status in (400, 401), query


def test_keys_in_paths_are_no_code(server: Server):
    key = quote('"];alert(1);//</script>', safe="")
    answer = server.call("GET", f"/array/{key}/config.js")
    assert (answer.status, answer.headers["Content-Type"].partition(";")[0]) == (200, "application/javascript")
    assert b"</script>" not in answer.body
    assert b'\\"];alert' in answer.body


def test_the_server_goes_on(server: Server):
    user = fresh("hostile-")
    event = {"event": "Seen", "distinct_id": user, "uuid": "1"}
    answer = server.call("POST", "/batch/", json.dumps({"api_key": WRITE, "batch": [event]}).encode(), key=WRITE)
    assert answer.status == 200
    assert [moment["fact"]["type"] for moment in server.timeline(user)] == ["seen"]
