"""Who a fact is about: a visitor becomes known, and nothing of the visitor is lost or counted twice."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from serverkit import Mailbox, Server, derived, fact, fired, fresh

SEEDS = range(5)


def page(contact: Any, **more: Any) -> Any:
    return fact("page_viewed", contact, path="/sales", **more)


def paper(contact: Any, **more: Any) -> Any:
    return fact("whitepaper_downloaded", contact, **more)


def order(contact: Any) -> Any:
    return fact("order_completed", contact, order_id=fresh("o"), total=10)


def types(moments: list[Any]) -> list[str]:
    return [m["fact"]["type"] for m in moments if not m["fact"]["type"].startswith("$")]


def test_a_visitor_becomes_known(server: Server) -> None:
    cookie, ada = fresh("cookie"), fresh("ada")
    visitor, both = {"anonymous_id": cookie}, {"anonymous_id": cookie, "user_id": ada}
    server.facts(page(visitor, offer="seo"))
    server.facts(fact("identify", visitor, country="AT", stage="lead"))
    server.facts(page(ada, offer="audit"))
    server.facts(fact("identify", both, stage="proposal"))
    server.facts(page(visitor, offer="seo"))
    contact = server.contact(ada)
    assert contact["id"] == ada
    assert contact["ids"] == {"user_id": ada, "anonymous_id": [cookie]}
    assert contact["scores"] == {"lead": 30, "interest": {"seo": 20, "audit": 10}}
    # What both said, the known contact said better.
    assert contact["traits"] == {"country": "AT", "stage": "proposal"}
    assert set(contact["segments"]) == {"proposal", "hot", "qualified"}
    # The visitor's cookie leads to the same contact, and only that one stands in rankings and segments.
    assert server.contact(f"anonymous_id:{cookie}") == contact
    rows = server.pages("/v1/scores/interest/top?key=audit&limit=100")
    assert {"contact": ada, "score": 10} in rows
    for path in ("/v1/scores/lead/top?limit=100", "/v1/segments/hot/contacts?limit=100"):
        assert f"anonymous_id:{cookie}" not in {row["contact"] for row in server.pages(path)}


def test_waiting_answers_for_the_known_contact(server: Server) -> None:
    cookie, ada = fresh("cookie"), fresh("ada")
    server.facts(paper({"anonymous_id": cookie}))
    (decision,) = server.facts(paper({"anonymous_id": cookie, "user_id": ada}))["decisions"]
    assert decision["contact"] == ada
    # The fact that links may be decided before or after what it brings; the next one sees it all.
    (decision,) = server.facts(paper({"anonymous_id": cookie}))["decisions"]
    assert (decision["contact"], decision["scores"]["lead"]) == (ada, 45)


def test_a_retry_after_the_link_is_a_duplicate(server: Server) -> None:
    for _ in range(8):  # different partitions, and sometimes the same one
        cookie, ada = fresh("cookie"), fresh("ada")
        first = paper({"anonymous_id": cookie})
        server.facts(first)
        server.facts(fact("identify", {"anonymous_id": cookie, "user_id": ada}))
        again = server.facts(first)
        assert (again["accepted"], again["duplicates"]) == (0, 1)
        other = server.call("POST", "/v1/facts", {**first, "properties": {"offer": "x"}}, key="write-key-of-this-test")
        assert (other.status, other.json["code"]) == (409, "fact.id_conflict")
        assert server.contact(ada)["scores"]["lead"] == 15


def test_the_same_fact_at_the_moment_of_the_link(server: Server) -> None:
    """An impatient client sends a fact twice at once, and the link comes in between."""
    for _ in range(30):
        cookie, ada = fresh("cookie"), fresh("ada")
        server.facts(page({"anonymous_id": cookie}))
        each = paper({"anonymous_id": cookie})
        link = fact("identify", {"anonymous_id": cookie, "user_id": ada})
        with ThreadPoolExecutor(5) as pool:
            list(pool.map(lambda fact: server.facts(fact, wait=False), [each, link, each, link, each]))
        assert server.contact(ada)["scores"]["lead"] == 25


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_lost_whenever_the_link_comes(server: Server, mailbox: Mailbox, seed: int) -> None:
    dice = random.Random(seed)
    cookie, ada, address = fresh("cookie"), fresh("ada"), f"{fresh('ada')}@example.com"
    visitor, known, both = {"anonymous_id": cookie}, ada, {"anonymous_id": cookie, "user_id": ada}
    consent = fact("consent", both, channel="email", purpose="marketing", state="granted")
    facts = [page(dice.choice([visitor, known, both]), offer="seo") for _ in range(6)]
    facts += [paper(visitor, offer="ads"), paper(known, offer="ads"), order(visitor), order(known), order(visitor)]
    facts += [fact("identify", both, email=address), consent, fact("guide_downloaded", visitor, guide="g")]
    posts = [each for each in facts for _ in range(3)]
    dice.shuffle(posts)
    for each in posts:
        server.facts(each, wait=dice.random() < 0.3)
    contact = server.contact(ada)
    assert contact["scores"] == {"lead": 105, "interest": {"seo": 60, "ads": 30}, "spend": 30, "orders": 3}
    assert {"hot", "qualified"} <= set(contact["segments"])
    moments = server.timeline(ada)
    assert sorted(types(moments)).count("page_viewed") == 6
    assert sorted(m["fact"]["id"] for m in moments if m["fact"]["id"].startswith("fact-")) == sorted(
        f["id"] for f in facts
    )
    assert fired(moments, "first_purchase/order") == 3
    # Both may have bought before they were known to be one; each code that was given stays good.
    assert len(contact["issued"]) == fired(moments, "first_purchase/first") in (1, 2)
    # Crossing 25 is told once for each of the two at most, and never again because of the link.
    assert derived(moments, "lead.qualified") in (1, 2)
    guides = [m for m in server.messages(ada) if m["template"] == "more-on-topic"]
    guides += [m for m in server.messages(f"anonymous_id:{cookie}") if m["template"] == "more-on-topic"]
    assert len(guides) == 1


def test_codes_and_memory_survive_the_link(server: Server) -> None:
    cookie, ada = fresh("cookie"), fresh("ada")
    visitor = {"anonymous_id": cookie}
    first = order(visitor)
    server.facts(first)
    (code,) = [issued["code"] for issued in server.contact(f"anonymous_id:{cookie}")["issued"]]
    server.facts(fact("identify", {"anonymous_id": cookie, "user_id": ada}))
    # The same order under another fact id, now by the known contact: it has been counted.
    server.facts({**first, "id": fresh("fact-"), "contact": ada})
    contact = server.contact(ada)
    assert [issued["code"] for issued in contact["issued"]] == [code]
    assert contact["scores"] == {"spend": 10, "orders": 1}
    server.facts(order(ada))
    contact = server.contact(ada)
    assert [issued["code"] for issued in contact["issued"]] == [code]
    assert contact["segments"] == ["loyal"]


def test_entering_is_told_once(server: Server) -> None:
    # The visitor has qualified: the known contact joins silently.
    cookie, ada = fresh("cookie"), fresh("ada")
    server.facts(fact("appointment_booked", {"anonymous_id": cookie}))
    server.facts(fact("identify", {"anonymous_id": cookie, "user_id": ada}))
    assert set(server.contact(ada)["segments"]) == {"hot", "qualified"}
    assert derived(server.timeline(ada), "lead.qualified") == 1
    # Neither has, but both together do: that is told, once.
    cookie, ada = fresh("cookie"), fresh("ada")
    server.facts(paper({"anonymous_id": cookie}), paper(ada))
    server.facts(fact("identify", {"anonymous_id": cookie, "user_id": ada}))
    assert set(server.contact(ada)["segments"]) == {"hot", "qualified"}
    assert derived(server.timeline(ada), "lead.qualified") == 1


def test_two_users_are_never_merged(server: Server) -> None:
    tablet, ada, bob = fresh("tablet"), fresh("ada"), fresh("bob")
    server.facts(paper({"anonymous_id": tablet}))
    server.facts(paper({"anonymous_id": tablet, "user_id": ada}))
    server.facts(paper({"anonymous_id": tablet, "user_id": bob}))
    server.facts(paper({"anonymous_id": tablet}))
    assert server.contact(ada)["scores"]["lead"] == 45  # the device stays with the first
    assert server.contact(bob)["scores"]["lead"] == 15
    server.facts(fact("identify", {"user_id": ada, "email": f"{ada}@example.com"}))
    server.facts(paper({"user_id": bob, "email": f"{ada}@example.com"}))
    assert server.contact(f"email:{ada}@example.com")["id"] == ada
    assert server.contact(bob)["scores"]["lead"] == 30


def test_two_users_on_one_device_at_once(server: Server) -> None:
    for _ in range(10):
        tablet, ada, bob = fresh("tablet"), fresh("ada"), fresh("bob")
        server.facts(paper({"anonymous_id": tablet}))
        both = [{"anonymous_id": tablet, "user_id": user} for user in (ada, bob)]
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda ids: server.facts(page(ids), wait=False), both))
        server.facts(page({"anonymous_id": tablet}))
        scores = sorted(server.contact(user)["scores"]["lead"] for user in (ada, bob))
        assert scores == [10, 35], "all of the device's go to one of the two"


def test_a_chain_from_cookie_over_e_mail_and_crm_to_the_user(server: Server) -> None:
    cookie, ada = fresh("cookie"), fresh("ada")
    address, crm = f"{ada}@Example.com", {"crm": f"0{ada}"}
    server.facts(paper({"anonymous_id": cookie}))
    server.facts(paper({"anonymous_id": cookie, "email": address}))
    assert server.contact(f"anonymous_id:{cookie}")["id"] == f"email:{address.lower()}"
    server.facts(paper({"email": address, "external": crm}))
    assert server.contact(f"email:{address.lower()}")["id"] == f"external:crm:0{ada}"
    server.facts(paper({"external": crm, "user_id": ada}))
    for ids in ({"anonymous_id": cookie}, {"email": address}, {"external": crm}, ada):
        server.facts(page(ids))
    contact = server.contact(ada)
    assert contact["scores"]["lead"] == 100
    assert contact["ids"] == {
        "user_id": ada,
        "anonymous_id": [cookie],
        "email": [address.lower()],
        "external": crm,
    }
    for name in (f"anonymous_id:{cookie}", f"email:{address.lower()}", f"external:crm:0{ada}"):
        assert server.contact(name)["id"] == ada
    assert types(server.timeline(ada)) == ["whitepaper_downloaded"] * 4 + ["page_viewed"] * 4


def test_two_devices_of_one_user(server: Server) -> None:
    phone, laptop, ada = fresh("phone"), fresh("laptop"), fresh("ada")
    for device in (phone, laptop):
        server.facts(paper({"anonymous_id": device}))
    for device in (phone, laptop):
        server.facts(page({"anonymous_id": device, "user_id": ada}))
    contact = server.contact(ada)
    assert contact["scores"]["lead"] == 50
    assert sorted(contact["ids"]["anonymous_id"]) == sorted([phone, laptop])


def test_the_timeline_keeps_what_the_visitor_did(server: Server) -> None:
    cookie, address, ada = fresh("cookie"), f"{fresh('ada')}@example.com", fresh("ada")
    visitor = {"anonymous_id": cookie}
    expected: list[str] = []

    def post(each: Any) -> None:
        server.facts(each)
        server.drained()
        expected.append(each["id"])

    post(page(visitor))
    post(paper(visitor))
    post(page({"email": address}))
    post(page({"anonymous_id": cookie, "email": address}))  # the visitor joins the e-mail address
    post(page(visitor))
    post(page(ada))
    post(paper({"email": address, "user_id": ada}))  # and both the user
    post(page(visitor))
    moments = server.timeline(ada)
    posted = [m["fact"]["id"] for m in moments if m["fact"]["id"] in expected]
    assert sorted(posted) == sorted(expected)
    # What each of them did comes in its own order.
    mine = [
        [expected[0], expected[1]],
        [expected[2], expected[3], expected[4]],
        [expected[5], expected[6], expected[7]],
    ]
    for part in mine:
        assert [id for id in posted if id in part] == part
    numbers = [m["seq"] for m in moments]
    assert numbers == sorted(set(numbers))
    for limit in (1, 2, 3):
        assert server.timeline(ada, limit) == moments
    # Asked by any of its names, it is the same timeline; and the last facts of the contact are of all of it.
    for name in (f"anonymous_id:{cookie}", f"email:{address}"):
        assert server.timeline(name) == moments
    recent = [f["id"] for f in server.contact(ada)["recent"] if f["id"] in expected]
    assert recent == posted[::-1][: len(recent)]
    assert len(recent) > 5


@pytest.mark.parametrize("how", ["the linking fact itself", "in one batch", "in the next request"])
def test_what_makes_known_is_decided_after_the_merge(server: Server, how: str) -> None:
    """The first purchase was the visitor's; the one that makes it known, or comes after, earns no second voucher."""
    cookies = [fresh("cookie") for _ in range(25)]
    users = {cookie: fresh("ada") for cookie in cookies}
    both = {cookie: {"anonymous_id": cookie, "user_id": user} for cookie, user in users.items()}
    server.facts(*(order({"anonymous_id": cookie}) for cookie in cookies))
    if how == "the linking fact itself":
        server.facts(*(order(both[cookie]) for cookie in cookies), wait=False)
    elif how == "in one batch":
        posts = [(fact("identify", both[c], country="AT"), order(users[c])) for c in cookies]
        server.facts(*(post for pair in posts for post in pair), wait=False)
    else:
        for cookie in cookies:
            server.facts(fact("identify", both[cookie], country="AT"), wait=False)
            server.facts(order(users[cookie]), wait=False)
    server.settled()
    found = [server.contact(user) for user in users.values()]
    assert [len(contact["issued"]) for contact in found] == [1] * len(found)
    assert [contact["segments"] for contact in found] == [["loyal"]] * len(found)


def test_namesakes_on_both_sides_of_a_link_both_count(server: Server) -> None:
    """Two facts of one id, one of the visitor and one of the user, were both answered 200: neither is dropped."""
    users = {fresh("cookie"): fresh("ada") for _ in range(20)}
    for cookie, user in users.items():
        server.facts(page({"anonymous_id": cookie}, id="1"), page(user, id="1", offer="seo"), wait=False)
        server.facts(page({"anonymous_id": cookie, "user_id": user}, id="2"), wait=False)
        server.facts(page({"anonymous_id": cookie}, id="3"), wait=False)
    server.settled()
    assert [server.contact(user)["scores"]["lead"] for user in users.values()] == [40] * len(users)


def test_a_batch_that_links_keeps_its_order(server: Server) -> None:
    for _ in range(8):  # different partitions, and sometimes the same one
        cookie, mail, ada = fresh("cookie"), fresh("mail") + "@example.com", fresh("ada")
        visitor = {"anonymous_id": cookie}
        server.facts(
            page(visitor, n=1),
            fact("identify", {**visitor, "email": mail}, n=2),
            page(visitor, n=3),
            fact("identify", {"email": mail, "user_id": ada}, n=4),
            page(ada, n=5),
        )
        moments = [m["fact"] for m in server.timeline(ada) if not m["fact"]["type"].startswith("$")]
        assert [moment["properties"].get("n") for moment in moments] == [1, 2, 3, 4, 5]
