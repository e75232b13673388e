"""The libraries of PostHog, Snowplow, CloudEvents and Matomo, as installed from their registries, unchanged.

Every event arrives once, about the right contact and at the right time: also where the first requests are answered with
errors, where an answer is lost, and where the server is killed while it has a request. Where a library gives up by
itself, that is shown too, and that nothing it had given away was lost.
"""

from __future__ import annotations

import json
import signal
import threading
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest
from sdkkit import Fault, Library, Proxy, installed, node_tracker, python_tracker
from serverkit import WRITE, Client, Server, fresh

START = datetime(2026, 3, 27, 10, 0, 0, 123_000, UTC)
PINGS = 45  # more than two of the batches that the libraries are told to make
URL = "https://e.org/shop?utm_source=ads"
TRAITS = {"email": "ada@Example.org", "plan": "pro"}
ORDER = {"order_id": "o1", "total": 12.5}
OWN = ("$", "message.", "session.", "score.", "segment.", "trait.")  # of the server


class Plan(NamedTuple):
    """``calls`` of a library; ``facts``: type and time of what they make, without one where the library takes none;
    ``links``: identifiers that turn out to be the same person's.
    """

    calls: list[Any]
    facts: list[tuple[str, str | None]]
    links: tuple[str, ...] = ()


@pytest.fixture(scope="module", autouse=True)
def _installed() -> None:
    installed()


def instant(n: int, ms: bool = True) -> str:
    at = START + timedelta(minutes=n)
    return (at if ms else at.replace(microsecond=0)).isoformat(timespec="milliseconds")


def unix(n: int) -> int:
    return int((START + timedelta(minutes=n)).timestamp() * 1000)


def pings(first: int, ms: bool = True) -> list[tuple[str, str | None]]:
    return [("ping", instant(first + n, ms)) for n in range(PINGS)]


def posthog(user: str) -> Plan:
    cookie = f"{user}-cookie"
    page = {"$current_url": URL, "$pathname": "/shop", "$process_person_profile": False}
    calls: list[tuple[str, dict[str, Any]]] = [
        ("capture", {"event": "$pageview", "distinct_id": cookie, "properties": page}),
        ("alias", {"previous_id": cookie, "distinct_id": user}),
        ("set", {"distinct_id": user, "properties": TRAITS}),
        ("set_once", {"distinct_id": user, "properties": {"plan": "free", "first": "ads"}}),
        ("capture", {"event": "Order Completed", "distinct_id": user, "properties": ORDER}),
        ("group_identify", {"group_type": "company", "group_key": "acme", "distinct_id": user}),
    ]
    calls += [("capture", {"event": "Ping", "distinct_id": user, "properties": {"n": n}}) for n in range(PINGS)]
    types = ("page_viewed", "alias", "identify", "identify", "order_completed", "group")
    return Plan(
        [[name, {**said, "timestamp": instant(n)}] for n, (name, said) in enumerate(calls)],
        [*((type, instant(n)) for n, type in enumerate(types)), *pings(len(types))],
        (cookie,),
    )


def posthog_node(user: str) -> Plan:
    cookie, phone = f"{user}-cookie", f"{user}-phone"
    page = {"$current_url": URL, "$pathname": "/shop", "$process_person_profile": False}
    once = {"plan": "free", "first": "ads"}
    known = {"$set": TRAITS, "$set_once": once, "$anon_distinct_id": cookie}
    calls: list[Any] = [
        ["capture", {"event": "$pageview", "distinctId": cookie, "properties": page, "timestamp": instant(0)}],
        ["identify", {"distinctId": user, "properties": known}],
        ["capture", {"event": "Order Completed", "distinctId": user, "properties": ORDER, "timestamp": instant(1)}],
        ["groupIdentify", {"groupType": "company", "groupKey": "acme", "distinctId": user}],
        ["alias", {"distinctId": user, "alias": phone}],
    ]
    ping = {"event": "Ping", "distinctId": user}
    calls += [["capture", {**ping, "properties": {"n": n}, "timestamp": instant(2 + n)}] for n in range(PINGS)]
    unsaid = [("identify", None), ("identify", None), ("group", None), ("alias", None)]
    facts = [("page_viewed", instant(0)), ("order_completed", instant(1)), *unsaid, *pings(2)]
    return Plan(calls, facts, (cookie, phone))


def described(name: str, data: Any) -> list[Any]:
    return [f"iglu:com.acme/{name}/jsonschema/1-0-0", data]


def snowplow(user: str) -> Plan:
    cookie = f"{user}-cookie"
    unknown = {"set_domain_user_id": cookie}
    known = {"set_user_id": user, **unknown}
    context = [described("shop", {"id": 7})]
    calls: list[tuple[str, dict[str, Any]]] = [
        ("PageView", {"page_url": URL, "page_title": "Shop", "subject": unknown}),
        ("StructuredEvent", {"category": "shop", "action": "Add to Basket", "value": 2.5, "subject": known}),
        ("SelfDescribing", {"event_json": described("order_completed", ORDER), "context": context, "subject": known}),
    ]
    calls += [("SelfDescribing", {"event_json": described("ping", {"n": n}), "subject": known}) for n in range(PINGS)]
    types = ("page_viewed", "add_to_basket", "order_completed")
    return Plan(
        [[name, {**said, "true_timestamp": unix(n)}] for n, (name, said) in enumerate(calls)],
        [*((type, instant(n)) for n, type in enumerate(types)), *pings(len(types))],
        (cookie,),
    )


def snowplow_node(user: str) -> Plan:
    cookie = f"{user}-cookie"
    known = {"uid": user, "duid": cookie}

    def event(name: str, data: Any) -> dict[str, Any]:
        return {"event": dict(zip(("schema", "data"), described(name, data), strict=True))}

    entity = dict(zip(("schema", "data"), described("shop", {"id": 7}), strict=True))
    calls: list[Any] = [
        ["buildPageView", {"pageUrl": URL, "pageTitle": "Shop"}, {"duid": cookie}],
        ["buildStructEvent", {"category": "shop", "action": "Add to Basket", "value": 2.5}, known],
        ["buildSelfDescribingEvent", event("order_completed", ORDER), {**known, "context": [entity]}],
    ]
    calls += [["buildSelfDescribingEvent", event("ping", {"n": n}), known] for n in range(PINGS)]
    types = ("page_viewed", "add_to_basket", "order_completed")
    return Plan(
        [[name, said, unix(n), who] for n, (name, said, who) in enumerate(calls)],
        [*((type, instant(n)) for n, type in enumerate(types)), *pings(len(types))],
        (cookie,),
    )


def matomo(user: str) -> Plan:
    cookie = f"{user}-cookie"
    calls: list[dict[str, Any]] = [
        {"url": URL, "action_name": "Shop", "_id": cookie},
        {"url": URL, "e_c": "shop", "e_a": "Add to Basket", "e_v": 2.5, "_id": cookie, "uid": user},
        {"url": URL, "idgoal": 0, "ec_id": f"{user}-o1", "revenue": 12.5, "uid": user},
    ]
    calls += [{"url": URL, "e_c": "t", "e_a": "Ping", "e_n": n, "uid": user} for n in range(PINGS)]
    types = ("page_viewed", "add_to_basket", "order_completed")
    return Plan(
        [["track", {**said, "cdt": unix(n) // 1000, "rand": n}] for n, said in enumerate(calls)],
        [*((type, instant(n, ms=False)) for n, type in enumerate(types)), *pings(len(types), ms=False)],
        (cookie,),
    )


def cloudevents(user: str) -> Plan:
    told = [("identify", TRAITS), ("com.acme.OrderCompleted", ORDER), *(("ping", {"n": n}) for n in range(PINGS))]
    calls = [
        ["", {"type": type, "source": "/shop", "id": f"{user} {n}", "subject": user, "time": instant(n), "data": data,
              "datacontenttype": "application/json"}]
        for n, (type, data) in enumerate(told)
    ]  # fmt: skip
    facts = [("identify", instant(0)), ("com.acme.order_completed", instant(1)), *pings(2)]
    return Plan(calls, facts)


class Run(NamedTuple):
    library: Library
    plan: Callable[[str], Plan]
    path: str  # where its events go
    faults: tuple[Fault, ...] = (500, "lost", 429)


POSTHOG = Run(python_tracker("posthog", "7.91.1"), posthog, "/batch")
POSTHOG_NODE = Run(node_tracker("posthog-node", "5.70.0"), posthog_node, "/batch")
SNOWPLOW = Run(python_tracker("snowplow-tracker", "1.1.0"), snowplow, "/com.snowplowanalytics")
SNOWPLOW_NODE = Run(node_tracker("@snowplow/node-tracker", "4.8.0"), snowplow_node, "/com.snowplowanalytics")
MATOMO = Run(node_tracker("matomo-tracker", "2.2.4"), matomo, "/matomo.php")
EVENTS = {
    (language, mode): Run(tracker("cloudevents", version, mode), cloudevents, "/v1/facts")
    for language, tracker, version in (("py", python_tracker, "2.2.0"), ("js", node_tracker, "10.0.0"))
    for mode in ("structured", "binary", "batch")
}
RUNS = {
    "posthog": POSTHOG,
    "posthog-v1": Run(python_tracker("posthog", "7.91.1", "v1"), posthog, "/i/v1"),
    "posthog-node": POSTHOG_NODE,
    "snowplow": SNOWPLOW,
    "snowplow-get": Run(python_tracker("snowplow-tracker", "1.1.0", "get"), snowplow, "/i?", ()),
    "snowplow-node": SNOWPLOW_NODE,
    "snowplow-node-get": Run(node_tracker("@snowplow/node-tracker", "4.8.0", "get"), snowplow_node, "/i?"),
    "matomo": MATOMO,
    **{f"cloudevents-{language}-{mode}": run for (language, mode), run in EVENTS.items()},
}


def facts_of(server: Client, user: str) -> list[Any]:
    return [m["fact"] for m in server.timeline(user, 500) if not m["fact"]["type"].startswith(OWN)]


def arrived(server: Client, user: str, plan: Plan, since: datetime) -> None:
    """All of the plan is there once, and nothing else."""
    facts = facts_of(server, user)
    timed = {type for type, at in plan.facts if at is None}
    told = Counter[tuple[str, str | None]]()
    for fact in facts:
        at = datetime.fromisoformat(fact["occurred_at"])
        if fact["type"] in timed:
            assert since <= at <= datetime.now(UTC)
        told[fact["type"], None if fact["type"] in timed else at.isoformat(timespec="milliseconds")] += 1
    assert told == Counter(plan.facts)
    said = {fact["type"]: fact["properties"] for fact in facts}
    if "page_viewed" in said:
        assert said["page_viewed"].items() >= {"path": "/shop", "url": URL, "utm_source": "ads"}.items()
    if "add_to_basket" in said:
        assert said["add_to_basket"].items() >= {"category": "shop", "value": 2.5}.items()
    assert (said.get("order_completed") or said["com.acme.order_completed"])["total"] == 12.5
    assert WRITE not in json.dumps(facts)
    numbers = [fact["properties"].get("n", fact["properties"].get("name")) for fact in facts if fact["type"] == "ping"]
    assert sorted(map(int, numbers)) == list(range(PINGS))
    contact = server.contact(user)
    if "identify" in said:
        assert contact["traits"].items() >= TRAITS.items()
    if plan.links and "identify" in said:
        assert contact["traits"]["first"] == "ads"  # and the plan is the one that was known already
    for other in plan.links:
        assert server.contact(f"anonymous_id:{other}")["id"] == user


def everything(server: Client, user: str) -> set[str]:
    """The ids of what is there of a person, linked or not."""
    known = [name for name in (user, f"anonymous_id:{user}-cookie") if server.find(name)]
    return {fact["id"] for name in known for fact in facts_of(server, name)}


def unwanted(server: Client) -> list[Any]:
    return server.get("/v1/sources/refused")


@pytest.mark.parametrize("name", RUNS)
def test_every_event_arrives_once(server: Server, name: str):
    """Of its first requests one is answered with 500, one with 429, and of one the answer is lost; where a library can
    bear that."""
    run, user, since = RUNS[name], fresh("trk-"), datetime.now(UTC)
    plan = run.plan(user)
    with Proxy(server.port, run.faults, run.path) as proxy:
        run.library.ended(run.library.start(proxy.url, WRITE, plan.calls))
        assert proxy.faults == []
        assert {200, *run.faults} - {"lost"} == set(proxy.answers)
    arrived(server, user, plan, since)
    assert unwanted(server) == []


def test_every_event_arrives_once_where_the_server_is_killed_while_it_has_some(server: Server):
    """Several libraries at once, through one server that is killed in the middle and started again."""
    killed = threading.Event()

    def kill() -> None:
        server.stop(signal.SIGKILL)
        killed.set()

    runs = (POSTHOG, POSTHOG_NODE, SNOWPLOW, SNOWPLOW_NODE, MATOMO, EVENTS["py", "batch"], EVENTS["js", "batch"])
    since = datetime.now(UTC)
    plans = [(run, user, run.plan(user)) for run in runs for user in [fresh("trk-")]]
    with Proxy(server.port, ["lost"] * 4 + [kill]) as proxy:
        started = [(run, run.library.start(proxy.url, WRITE, plan.calls)) for run, _, plan in plans]
        assert killed.wait(60)
        server.start()
        proxy.target = server.port
        for run, process in started:
            run.library.ended(process)
    for _, user, plan in plans:
        arrived(server, user, plan, since)
    assert unwanted(server) == []


@pytest.mark.parametrize(
    ("library", "plan"),
    [
        (python_tracker("posthog", "7.91.1", "impatient"), posthog),
        (node_tracker("posthog-node", "5.70.0", "impatient"), posthog_node),
    ],
    ids=["posthog", "posthog-node"],
)
def test_a_library_that_is_told_to_give_up_gives_up_what_no_server_has_seen(
    server: Server, library: Library, plan: Callable[[str], Plan]
):
    """After the retries that it is set to make, PostHog's libraries drop a batch, and say so."""
    user = fresh("trk-")
    with Proxy(server.port, [500] * 50) as proxy:
        process = library.start(proxy.url, WRITE, plan(user).calls)
        out, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
        assert json.loads(out)["lost"]
        assert set(proxy.answers) == {500}
    assert server.find(user) is None


def test_snowplows_library_for_python_forgets_what_failed_before_one_that_did_not(server: Server):
    """By GET it looks at the last answer alone. All that reached the server is there."""
    user = fresh("trk-")
    library, plan = RUNS["snowplow-get"].library, snowplow(user)
    with Proxy(server.port, [500, 429], "/i?") as proxy:
        library.ended(library.start(proxy.url, WRITE, plan.calls))
        taken = proxy.answers.count(200)
        assert Counter(proxy.answers) == {500: 1, 429: 1, 200: taken}
    assert len(plan.calls) - 2 <= taken < len(plan.calls)
    assert len(everything(server, user)) == taken


def test_matomos_library_sends_once_and_says_what_was_not_taken(server: Server):
    """What is answered with 500 it does not send again: the app is told. All that reached the server is there."""
    user = fresh("trk-")
    library = node_tracker("matomo-tracker", "2.2.4", "single")
    plan = matomo(user)
    with Proxy(server.port, [500, 429], "/matomo.php") as proxy:
        process = library.start(proxy.url, WRITE, plan.calls)
        out, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
        assert sorted(json.loads(out)["lost"]) == ["429", "500"]
        assert Counter(proxy.answers) == {500: 1, 429: 1, 200: len(plan.calls) - 2}
    assert len(everything(server, user)) == len(plan.calls) - 2


def test_a_key_that_is_not_known_is_told_to_the_library(server: Server):
    """Nothing is taken."""
    for run in (POSTHOG, POSTHOG_NODE, EVENTS["js", "batch"]):
        user = fresh("trk-")
        with Proxy(server.port) as proxy:
            process = run.library.start(proxy.url, "nobody", run.plan(user).calls[-2:])
            out, _ = process.communicate(timeout=120)
            assert json.loads(out)["lost"], run
            assert set(proxy.answers) == {401}
        assert server.find(user) is None
