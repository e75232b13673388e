"""Keys over HTTP and on the command line, and what one in a web page may do: bring facts, and nothing else."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from serverkit import ADMIN, WRITE, Answer, Server, fresh, overture

ORIGIN = "https://shop.example"


def made(server: Server, **how: Any) -> str:
    """A key of its own."""
    answer = server.call("POST", "/v1/keys", {"name": fresh("pages-"), **how})
    assert answer.status == 201, answer.body
    return answer.json["key"]


@pytest.fixture(scope="module")
def key(server: Server) -> str:
    return made(server)


def post(server: Server, key: str, *facts: dict[str, Any], path: str = "/t", **headers: str) -> Answer:
    """As /t.js posts."""
    now = int(datetime.now(UTC).timestamp() * 1000)
    told = [{"id": fresh("e"), "at": now, **each} for each in facts]
    body = json.dumps({"key": key, "sent": now, "facts": told}).encode()
    kept = {"Authorization": "", "Content-Type": "text/plain", "Origin": ORIGIN, **headers}
    return server.call("POST", path, body, headers=kept)


def refusals(server: Server, of: str) -> list[str]:
    """The codes of what was refused of the facts that have a text in them."""
    return [each["code"] for each in server.get("/v1/sources/refused") if of in each["fact"]]


def types(server: Server, contact: str) -> list[str]:
    return [m["fact"]["type"] for m in server.timeline(contact) if not m["fact"]["type"].startswith("$")]


def test_a_page_posts_what_happens_in_it(server: Server, key: str):
    cookie = fresh("cookie")
    answer = post(server, key, {"type": "Basket Filled", "anonymous": cookie, "properties": {"sku": "a"}})
    assert answer.status == 200
    assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
    (moment,) = server.timeline(f"anonymous_id:{cookie}")
    assert moment["fact"]["type"] == "basket_filled"
    assert moment["fact"]["properties"] == {"sku": "a"}


def test_and_reads_nothing(server: Server, key: str):
    one = {"type": "page_viewed", "contact": {"anonymous_id": "c"}}
    for method, path, body in (
        ("POST", "/v1/decide", one),
        ("POST", "/v1/facts?wait=true", one),
        ("POST", "/v1/facts", one),
        ("GET", "/v1/contacts/ada", None),
        ("GET", "/v1/messages", None),
        ("GET", "/v1/keys", None),
        ("POST", "/v1/keys", {"name": "mine", "kind": "write"}),
        ("DELETE", "/v1/keys/write", None),
    ):
        answer = server.call(method, path, body, key=key)
        assert (answer.status, answer.json["code"]) == (403, "auth.scope_missing"), path


def test_what_is_known_of_somebody_stays_as_it_is(server: Server, key: str):
    user, cookie = fresh("ada"), fresh("cookie")
    server.facts({"type": "identify", "contact": user, "properties": {"plan": "free", "email": f"{user}@example.org"}})
    said = {"plan": "pro", "email": "thief@example.org", "color": "red"}
    post(server, key, {"type": "identify", "anonymous": cookie, "user": user, "properties": said})
    contact = server.contact(user)
    assert contact["traits"] == {"plan": "free", "email": f"{user}@example.org", "color": "red"}
    assert server.contact(f"anonymous_id:{cookie}")["id"] == user
    post(server, key, {"type": "Seen", "anonymous": cookie})
    assert types(server, user)[-1] == "seen"


def test_two_known_contacts_stay_two(server: Server, key: str):
    """Neither a fact that names both, nor one after the other under the same cookie, makes them one."""
    user, cookie = fresh("mallory"), fresh("cookie")
    address = f"{fresh('ada')}@example.org"
    server.facts({"type": "order_completed", "contact": {"email": address}, "properties": {"total": 1}})
    post(server, key, {"type": "identify", "anonymous": cookie, "user": user, "properties": {"email": address}})
    assert server.contact(f"email:{address}")["id"] == f"email:{address}"
    other = fresh("cookie")
    post(server, key, {"type": "identify", "anonymous": other, "properties": {"email": address}})
    post(server, key, {"type": "identify", "anonymous": other, "user": user})
    assert server.contact(f"email:{address}")["id"] == f"email:{address}"
    assert server.contact(f"anonymous_id:{other}")["id"] == f"email:{address}"


def test_who_many_visitors_of_one_request_say_they_are(server: Server, key: str):
    """Each becomes who it says; of two claims of one visitor the first counts, however many come together."""
    people = [(fresh("cookie"), fresh("ada")) for _ in range(40)]
    server.facts(*({"type": "known", "contact": user} for _, user in people[:2]))
    said = [{"type": "identify", "anonymous": cookie, "user": user} for cookie, user in people]
    twice = {"type": "identify", "anonymous": people[0][0], "user": people[1][1]}
    assert post(server, key, *said, twice, *said, {"type": "seen", "anonymous": people[0][0]}).status == 200
    assert [server.contact(f"anonymous_id:{cookie}")["id"] for cookie, _ in people] == [user for _, user in people]
    assert types(server, people[0][1]) == ["known", "identify", "identify", "seen"]
    assert types(server, people[1][1]) == ["known", "identify", "identify", "identify"]


@pytest.mark.parametrize(
    ("type", "properties", "code"),
    [
        ("consent", {"channel": "email", "purpose": "news", "state": "granted"}, "auth.fact_type"),
        ("list_changed", {"list": "newsletter", "state": "joined"}, "auth.fact_type"),
    ],
)
def test_what_only_the_person_may_say(server: Server, key: str, type: str, properties: dict[str, Any], code: str):
    cookie = fresh("cookie")
    said = {"type": type, "anonymous": cookie, "properties": {**properties, "mark": cookie}}
    assert post(server, key, said, {"type": "seen", "anonymous": cookie}).status == 200
    assert types(server, f"anonymous_id:{cookie}") == ["seen"]
    assert refusals(server, cookie) == [code]


def test_nor_by_another_librarys_way_in(server: Server, key: str):
    cookie = fresh("cookie")
    said = {"type": "track", "event": "Consent", "anonymousId": cookie, "writeKey": key, "messageId": cookie}
    said["properties"] = {"channel": "email", "purpose": "news", "state": "granted"}
    answer = server.call("POST", "/v1/track", said, headers={"Authorization": "", "Origin": ORIGIN})
    assert answer.status == 200
    assert refusals(server, cookie) == ["auth.fact_type"]


def test_types_and_origins_of_a_key(server: Server):
    key, cookie, user = made(server, types=["page_viewed"], origins=[ORIGIN]), fresh("cookie"), fresh("ada")
    facts = [{"type": "page_viewed", "anonymous": cookie}, {"type": "seen", "anonymous": cookie}]
    assert post(server, key, *facts, {"type": "page_viewed", "user": user}).status == 200
    assert types(server, f"anonymous_id:{cookie}") == ["page_viewed"]
    assert refusals(server, cookie) == ["auth.fact_type"]
    assert refusals(server, user) == ["auth.contact"]  # it may not say who somebody is
    for origin in ("https://other.example", ""):
        answer = post(server, key, facts[0], Origin=origin)
        assert (answer.status, answer.json["code"]) == (403, "auth.origin")


def test_a_key_has_a_rate(server: Server):
    """A batch may go beyond it, and the next request has to wait for that."""
    key, cookie = made(server, rate=1), fresh("cookie")
    assert post(server, key, *[{"type": "seen", "anonymous": cookie}] * 20).status == 200
    answer = post(server, key, {"type": "seen", "anonymous": cookie})
    assert (answer.status, answer.json["code"]) == (429, "auth.rate")
    assert 1 <= int(answer.headers["Retry-After"]) <= 17
    assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert server.call("GET", "/v1/forms/none", key=WRITE).status == 404  # others' business is none of its


def test_what_is_refused_counts_against_the_rate(server: Server):
    key, cookie = made(server, rate=1), fresh("cookie")
    consent = {"type": "consent", "anonymous": cookie, "properties": {"mark": cookie}}
    assert post(server, key, *[consent] * 20).status == 200
    assert post(server, key, {"type": "seen", "anonymous": cookie}).json["code"] == "auth.rate"


def test_no_more_at_once_than_a_key_may(server: Server):
    """Nothing of such a request is taken, and it costs no more than any."""
    key, cookie = made(server, rate=30), fresh("cookie")
    answer = post(server, key, *[{"type": "seen", "anonymous": cookie}] * 151)
    assert (answer.status, answer.json["code"]) == (413, "auth.rate_batch")
    assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert server.call("GET", f"/v1/contacts/anonymous_id:{cookie}").status == 404
    assert post(server, key, *[{"type": "seen", "anonymous": cookie}] * 150).status == 200


def test_nor_through_a_source_while_others_bring_facts(server: Server):
    """Then a source's many facts are taken in pieces; the request is counted as a whole all the same."""
    key, ada, bob = made(server, kind="write", rate=160), fresh("ada"), fresh("bob")
    calls = [{"type": "track", "event": "Seen", "userId": ada}] * 801
    server.facts({"type": "seen", "contact": bob})
    answer = server.call("POST", "/v1/batch", {"batch": calls}, key=key)
    assert (answer.status, answer.json["code"]) == (413, "auth.rate_batch")
    assert server.find(ada) is None
    assert server.call("POST", "/v1/batch", {"batch": calls[:-1]}, key=key).status == 200


def test_nor_does_an_app(server: Server):
    key, ada = made(server, kind="write", rate=1), fresh("ada")
    facts = [{"type": "seen", "contact": ada}] * 101
    answer = server.call("POST", "/v1/facts", facts, key=key)
    assert (answer.status, answer.json["code"]) == (413, "auth.rate_batch")
    assert server.call("GET", f"/v1/contacts/{ada}").status == 404


def test_a_decision_counts_as_one_fact(server: Server):
    key, ada = made(server, kind="write", rate=1), fresh("ada")
    asked = [server.call("POST", "/v1/decide", {"type": "seen", "contact": ada}, key=key) for _ in range(5)]
    assert [answer.status for answer in asked] == [200] * 5


def test_a_form_is_open_to_a_page(server: Server, key: str):
    answer = server.call("GET", "/v1/forms/none", key=key, headers={"Origin": ORIGIN})
    assert (answer.status, answer.json["code"]) == (404, "form.unknown")


def test_a_clock_that_is_ahead_is_put_right(server: Server, key: str):
    cookie, now = fresh("cookie"), datetime.now(UTC)
    ahead = int((now + timedelta(days=3)).timestamp() * 1000)
    fact = {"id": cookie, "at": ahead - 5_000, "type": "seen", "anonymous": cookie}
    for _ in range(2):
        body = json.dumps({"key": key, "sent": ahead, "facts": [fact]}).encode()
        assert server.call("POST", "/t", body, headers={"Authorization": ""}).status == 200
    (moment,) = server.timeline(f"anonymous_id:{cookie}")
    happened = datetime.fromisoformat(moment["fact"]["occurred_at"])
    assert abs((happened - now).total_seconds()) < 70


def test_keys_are_made_shown_and_revoked(server: Server):
    name = fresh("shop-")
    answer = server.call("POST", "/v1/keys", {"name": name, "kind": "write"})
    assert answer.status == 201
    key = answer.json["key"]
    assert key not in server.call("GET", "/v1/keys").body.decode()
    (view,) = (each for each in server.get("/v1/keys") if each["name"] == name)
    assert view == {"name": name, "scopes": ["facts:write"], "types": [], "origins": [], "rate": 0}
    assert server.call("POST", "/v1/keys", {"name": name}).json["code"] == "key.exists"
    assert server.call("POST", "/v1/facts", {"type": "seen", "contact": fresh("ada")}, key=key).status == 200
    assert server.call("DELETE", f"/v1/keys/{name}").status == 204
    assert server.call("POST", "/v1/facts", {"type": "seen", "contact": "ada"}, key=key).status == 401
    assert server.call("DELETE", f"/v1/keys/{name}").json["code"] == "key.unknown"
    assert server.call("DELETE", "/v1/keys/admin").json["code"] == "key.admin"


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "A b"},
        {"name": "x", "kind": "write", "types": ["seen"]},
        {"name": "x", "origins": ["shop.example"]},
        {"name": "x", "origins": ["https://shop.example/"]},
        {"name": "x", "types": ["Page Viewed"]},
        {"name": "x", "rate": -1},
        {"name": "x", "scopes": ["*"]},
    ],
)
def test_what_describes_no_key(server: Server, wrong: dict[str, Any]):
    answer = server.call("POST", "/v1/keys", wrong)
    assert (answer.status, answer.json["code"]) == (400, "key.malformed")


def test_keys_on_the_command_line(server: Server, tmp_path: Path):
    environ = {"OVERTURE_PORT": str(server.port), "OVERTURE_ADMIN_KEY": ADMIN}
    name = fresh("shop-")
    both = overture("keys", "new", name, "--browser", "--inbox", environ=environ, cwd=tmp_path)
    assert both.returncode == 2
    assert "A key is for web pages or for inboxes." in both.stderr
    done = overture("keys", "new", name, "--browser", "--origin", ORIGIN, environ=environ, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    key = done.stdout.strip()
    assert post(server, key, {"type": "seen", "anonymous": fresh("cookie")}).status == 200
    listed = overture("keys", environ=environ, cwd=tmp_path).stdout
    assert f"{name} " in listed
    assert ORIGIN in listed
    assert overture("keys", "revoke", name, environ=environ, cwd=tmp_path).returncode == 0
    assert post(server, key, {"type": "seen", "anonymous": "c"}).status == 401
    assert overture("keys", "revoke", name, environ=environ, cwd=tmp_path).returncode == 2
