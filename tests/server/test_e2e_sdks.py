"""The libraries of Segment and RudderStack, as installed from their registries and pointed at the server, unchanged.

Every call arrives once, about the right contact and at the right time: also where the first requests are answered with
errors, where an answer is lost, and where the server is killed while it has a request.
"""

from __future__ import annotations

import json
import signal
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sdkkit import LIBRARIES, Proxy, installed
from serverkit import WRITE, Client, Server, fresh

START = datetime(2026, 3, 27, 10, 0, 0, 123_000, UTC)
PINGS = 45  # more than two of the batches that the libraries are told to make


@pytest.fixture(scope="module", autouse=True)
def _installed() -> None:
    installed()


def instant(n: int) -> str:
    return (START + timedelta(minutes=n)).isoformat(timespec="milliseconds")


def plan(user: str) -> list[dict[str, Any]]:
    """What one person does: on a page, known then, on another device that turns out to be hers."""
    first, second = f"{user}-cookie", f"{user}-phone"
    calls: list[dict[str, Any]] = [
        {"call": "page", "anonymousId": first, "name": "Home", "properties": {"path": "/", "url": "https://e.org/?utm_source=ads"}},
        {"call": "identify", "userId": user, "anonymousId": first,
         "traits": {"email": f"{user}@Example.org", "plan": "pro", "address": {"city": "Köln"}}},
        {"call": "track", "userId": user, "anonymousId": first, "event": "Order Completed",
         "properties": {"order_id": "o1", "total": 12.5, "products": [{"sku": "a"}, {"sku": "b"}]}},
        {"call": "screen", "userId": user, "name": "Basket", "properties": {"items": 2}},
        {"call": "group", "userId": user, "groupId": "acme", "traits": {"employees": 30}},
        {"call": "track", "anonymousId": second, "event": "productViewed", "properties": {"sku": "c"}},
        {"call": "alias", "userId": user, "previousId": second},
    ]  # fmt: skip
    calls += [{"call": "track", "userId": user, "event": "Ping", "properties": {"n": n}} for n in range(PINGS)]
    return [{**each, "timestamp": instant(n)} for n, each in enumerate(calls)]


def arrived(server: Client, user: str) -> None:
    """All of the plan is there once, and nothing else."""
    own = ("$", "message.")  # of the server: it links, and the example rulesets answer
    facts = [m["fact"] for m in server.timeline(user, 500) if not m["fact"]["type"].startswith(own)]
    told = Counter(
        (f["type"], datetime.fromisoformat(f["occurred_at"]).isoformat(timespec="milliseconds")) for f in facts
    )
    types = ["page_viewed", "identify", "order_completed", "screen_viewed", "group", "product_viewed", "alias"]
    assert told == Counter((type, instant(n)) for n, type in enumerate([*types, *["ping"] * PINGS]))
    said = {f["type"]: f["properties"] for f in facts}
    assert said["page_viewed"].items() >= {"name": "Home", "path": "/", "utm_source": "ads"}.items()
    assert said["order_completed"] == {"order_id": "o1", "total": 12.5, "products": [{"sku": "a"}, {"sku": "b"}]}
    assert said["screen_viewed"] == {"name": "Basket", "items": 2}
    assert said["group"] == {"group_id": "acme"}
    assert said["product_viewed"] == {"sku": "c"}
    assert sorted(f["properties"]["n"] for f in facts if f["type"] == "ping") == list(range(PINGS))
    contact = server.contact(user)
    traits = {"email": f"{user}@Example.org", "plan": "pro", "address": {"city": "Köln"}}
    assert contact["traits"].items() >= traits.items()
    for other in (f"anonymous_id:{user}-cookie", f"anonymous_id:{user}-phone", f"email:{user}@example.org"):
        assert server.contact(other)["id"] == user


@pytest.mark.parametrize("name", LIBRARIES)
def test_every_call_arrives_once(server: Server, name: str):
    """Of its first requests one is answered with 500, one with 429, and of one the answer is lost."""
    library, user = LIBRARIES[name], fresh("sdk-")
    with Proxy(server.port, [500, "lost", 429]) as proxy:
        library.ended(library.start(proxy.url, WRITE, plan(user)))
        assert proxy.faults == []
        assert {500, 429, 200} == set(proxy.answers)
    arrived(server, user)
    assert server.get("/v1/sources/refused") == []


def test_every_call_arrives_once_where_the_server_is_killed_while_it_has_some(server: Server):
    """All libraries at once, through one server that is killed in the middle and started again."""
    killed = threading.Event()

    def kill() -> None:
        server.stop(signal.SIGKILL)
        killed.set()

    users = {name: fresh("sdk-") for name in LIBRARIES}
    with Proxy(server.port, ["lost"] * 4 + [kill]) as proxy:
        started = [(library, library.start(proxy.url, WRITE, plan(users[name]))) for name, library in LIBRARIES.items()]
        assert killed.wait(60)
        server.start()
        proxy.target = server.port
        for library, process in started:
            library.ended(process)
    for user in users.values():
        arrived(server, user)
    assert server.get("/v1/sources/refused") == []


def test_a_key_that_is_not_known_is_told_to_the_library(server: Server):
    """Nothing is taken, and none goes on trying."""
    user = fresh("sdk-")
    for library in LIBRARIES.values():
        with Proxy(server.port) as proxy:
            process = library.start(proxy.url, "nobody", plan(user)[:3])
            out, _ = process.communicate(timeout=60)
            assert json.loads(out)["lost"], library
            assert set(proxy.answers) == {401}
            assert len(proxy.answers) <= 2  # RudderStack's for Node sends the first call by itself
    assert server.find(user) is None
