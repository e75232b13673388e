"""The shipped rulesets R1 to R4 and R6, live over HTTP: facts in any order they may come in, each posted thrice."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from serverkit import Mailbox, Server, derived, effects, fact, fired, fresh

ADA = "ada@example.com"
SEEDS = range(6)


def post_shuffled(server: Server, seed: int, facts: list[Any]) -> None:
    """Post every fact three times, in random order and in requests of random size; the first of each takes effect."""
    dice = random.Random(seed)
    posts = [each for each in facts for _ in range(3)]
    dice.shuffle(posts)
    accepted = duplicates = 0
    while posts:
        n = dice.randint(1, 4)
        answer = server.facts(*posts[:n], wait=dice.random() < 0.5)
        accepted += answer["accepted"]
        duplicates += answer["duplicates"]
        del posts[:n]
    assert (accepted, duplicates) == (len(facts), 2 * len(facts))


def ago(seconds: int) -> str:
    return (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat()


def granted(contact: Any, state: str = "granted") -> Any:
    return fact("consent", contact, channel="email", purpose="marketing", state=state)


# --- R1 web_engagement --------------------------------------------------------------------------------------------


def test_r1_points_as_they_come(server: Server) -> None:
    ada = fresh("ada")
    last = fact("newsletter_unsubscribed", ada, offer="seo")
    steps = [
        (fact("page_viewed", ada, path="/landing/seo", offer="seo"), 10),
        (fact("whitepaper_downloaded", ada, offer="seo"), 25),
        (fact("appointment_booked", ada, offer="audit"), 50),
        (last, 40),
        (fact("page_viewed", ada, path="/blog"), 40),
    ]
    for each, lead in steps:
        (decision,) = server.facts(each)["decisions"]
        assert decision["scores"]["lead"] == lead
    again = server.facts(last)
    assert (again["accepted"], again["duplicates"]) == (0, 1)
    contact = server.contact(ada)
    assert contact["scores"] == {"lead": 40, "interest": {"seo": 15, "audit": 25}}
    assert derived(server.timeline(ada), "lead.qualified") == 1


@pytest.mark.parametrize("seed", SEEDS)
def test_r1_shuffled_and_repeated(server: Server, seed: int) -> None:
    ada = fresh("ada")
    facts = [
        fact("page_viewed", ada, path="/sales", offer="seo"),
        fact("whitepaper_downloaded", ada, offer="seo"),
        fact("appointment_booked", ada, offer="audit"),
        fact("newsletter_unsubscribed", ada, offer="seo"),
        fact("whitepaper_downloaded", ada),
    ]
    post_shuffled(server, seed, facts)
    assert server.contact(ada)["scores"] == {"lead": 55, "interest": {"seo": 15, "audit": 25}}
    # Whatever the order: it crosses 25 upward once and never falls below 20 after that.
    moments = server.timeline(ada)
    assert len(moments) == len(facts)
    assert derived(moments, "lead.qualified") == 1
    assert derived(moments, "lead.cooled") == 0
    assert ada in {row["contact"] for row in server.pages("/v1/segments/qualified/contacts?limit=100")}


def test_r1_qualified_and_cooled_at_the_crossings(server: Server) -> None:
    ada = fresh("ada")
    told: list[tuple[int, int]] = []
    for type in (
        "appointment_booked",  # 25: qualified
        "newsletter_unsubscribed",  # 15: cooled
        "whitepaper_downloaded",  # 30: qualified again
        "newsletter_unsubscribed",  # 20: not below 20, stays
        "appointment_booked",  # 45: stays
    ):
        server.facts(fact(type, ada))
        moments = server.timeline(ada)
        told.append((derived(moments, "lead.qualified"), derived(moments, "lead.cooled")))
    assert told == [(1, 0), (1, 1), (2, 1), (2, 1), (2, 1)]


def test_r1_ranking_with_ties_and_pages_that_never_skip_or_repeat(server: Server) -> None:
    offer, names = fresh("offer"), [fresh("rank") for _ in range(23)]
    dice = random.Random(7)
    points = {name: dice.choice([1, 1, 2, 3]) for name in names}
    facts = [fact("whitepaper_downloaded", name, offer=offer) for name in names for _ in range(points[name])]
    dice.shuffle(facts)
    server.facts(*facts)
    server.drained()
    expected = sorted(((name, 15 * n) for name, n in points.items()), key=lambda row: (-row[1], row[0]))
    for limit in (1, 2, 5, 23, 100):
        rows = server.pages(f"/v1/scores/interest/top?key={offer}&limit={limit}")
        assert [(row["contact"], row["score"]) for row in rows] == expected


def test_r1_pages_hold_while_others_move(server: Server) -> None:
    offer, names = fresh("offer"), [fresh("move") for _ in range(12)]
    server.facts(*(fact("whitepaper_downloaded", name, offer=offer) for name in names))
    first = server.get(f"/v1/scores/interest/top?key={offer}&limit=4")
    # One already shown and one not yet shown climb to the top: what stands still is shown exactly once.
    climbers = {first["items"][0]["contact"], sorted(names)[-1]}
    server.facts(*(fact("appointment_booked", name, offer=offer) for name in climbers))
    rest = server.pages(f"/v1/scores/interest/top?key={offer}&limit=4", first["next"])
    shown = [row["contact"] for row in [*first["items"], *rest]]
    still = [name for name in shown if name not in climbers]
    assert still == sorted(set(names) - climbers)


# --- R2 fit_and_dwell ---------------------------------------------------------------------------------------------


def visit(contact: Any, pages: list[tuple[int, str]]) -> list[Any]:
    """Facts of a visit that is long over: (seconds after its beginning, page); an empty one closes the last page."""
    at = [(ago(7200 - seconds), path) for seconds, path in pages]
    return [fact("page_viewed", contact, t, path=p) if p else fact("page_left", contact, t) for t, p in at]


def test_r2_new_york_prices_and_careers(server: Server) -> None:
    ada = fresh("ada")
    server.facts(fact("identify", ada, city="New York"))
    server.facts(*visit(ada, [(0, "/pricing"), (90, "/careers"), (120, "")]))
    assert server.contact(ada)["scores"]["fit"] == 9
    server.facts(*visit(ada, [(5000, "/careers")]))
    assert server.contact(ada)["scores"]["fit"] == 8
    server.facts(fact("identify", ada, city="Boston"))
    contact = server.contact(ada)
    assert contact["scores"]["fit"] == 3
    assert contact["scores"].get("lead", 0) == 0  # R1 counts for itself


@pytest.mark.parametrize("seed", SEEDS)
def test_r2_shuffled_and_repeated(server: Server, seed: int) -> None:
    """Most of these facts come after their visit was over, and correct it: in the end it was judged by all of them."""
    ada = fresh("ada")
    pages = [(0, "/about"), (40, "/pricing"), (100, "/careers"), (190, "/pricing"), (260, "/testimonials"), (300, "")]
    post_shuffled(server, seed, [*visit(ada, pages), fact("identify", ada, city="New York")])
    contact = server.contact(ada)
    assert contact["scores"]["fit"] == 9  # New York, and two minutes on prices
    moments = server.timeline(ada)
    undone = [e for m in moments for e in m["effects"] if e["reason"] == "corrected"]
    scored = [r for m in moments for f in m["firings"] if (r := f["rule"].partition("/")[2]) in DWELL]
    assert len(scored) == len(undone) + 1


DWELL = ("testimonials", "about", "prices-or-products", "careers")


# --- R3 auto_segments ---------------------------------------------------------------------------------------------


def test_r3_segments_follow_in_the_same_decision(server: Server) -> None:
    ada = fresh("ada")
    steps = [
        (fact("identify", ada, stage="proposal"), {"proposal"}),
        (fact("cart.updated", ada, cart_id="c1", total=20), {"proposal", "cart"}),
        (fact("appointment_booked", ada), {"proposal", "cart", "hot", "qualified"}),
        (fact("newsletter_unsubscribed", ada), {"proposal", "cart"}),
        (fact("order_completed", ada, order_id=fresh("o"), total=20), {"proposal"}),
        (fact("order_completed", ada, order_id=fresh("o"), total=20), {"proposal", "loyal"}),
        (fact("identify", ada, stage="ex-customer"), {"loyal"}),
        (fact("page_viewed", ada, path="/"), {"loyal", "ex-customer-seen"}),
        (fact("identify", ada, stage="customer"), {"loyal"}),
    ]
    for each, segments in steps:
        (decision,) = server.facts(each)["decisions"]
        assert set(decision["segments"]) == segments, each
        for name in ("hot", "proposal", "cart", "loyal", "ex-customer-seen"):
            members = {row["contact"] for row in server.pages(f"/v1/segments/{name}/contacts?limit=100")}
            assert (ada in members) == (name in segments), (each, name)


@pytest.mark.parametrize("seed", SEEDS)
def test_r3_shuffled_and_repeated(server: Server, seed: int) -> None:
    ada = fresh("ada")
    last = ["cart.updated", "order_completed"][seed % 2]
    facts = [
        fact("identify", ada, stage="proposal"),
        fact("page_viewed", ada, path="/sales"),
        fact("whitepaper_downloaded", ada),
        fact("cart.updated", ada, ago(2), cart_id="c1", total=5),
        fact("order_completed", ada, ago(3), order_id=fresh("o"), total=20),
        fact("order_completed", ada, ago(1 if last == "order_completed" else 4), order_id=fresh("o"), total=30),
    ]
    post_shuffled(server, seed, facts)
    contact = server.contact(ada)
    moments = server.timeline(ada)
    cart = {"cart"} if last == "cart.updated" else set()  # by when they happened, in whatever order they came
    assert set(contact["segments"]) == {"hot", "qualified", "proposal", "loyal"} | cart
    entered = [name for m in moments for kind, name, _, after, _ in effects(m) if kind == "segment" and after]
    assert {name: entered.count(name) for name in ("hot", "proposal", "loyal", "qualified")} == {
        "hot": 1,
        "proposal": 1,
        "loyal": 1,
        "qualified": 1,
    }


# --- R4 seo_guide -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
def test_r4_with_consent(server: Server, mailbox: Mailbox, seed: int) -> None:
    ada, address = fresh("ada"), f"{fresh('ada')}@example.com"
    server.facts(fact("identify", ada, email=address, first_name="Ada"), granted(ada))
    same = [fact("guide_downloaded", ada, guide="seo", topic="links") for _ in range(3)]
    post_shuffled(server, seed, same)
    (message,) = server.messages(ada)
    assert (message["state"], message["channel"], message["template"]) == ("sent", "email", "more-on-topic")
    (mail,) = mailbox.to(address)
    assert mail.message["Subject"] == "More on links"
    assert "Hello Ada," in mail.message.get_content()
    contact = server.contact(ada)
    assert contact["scores"]["lead"] == 15
    assert contact["lists"] == ["newsletter"]
    moments = server.timeline(ada)
    assert [m["fact"]["type"] for m in moments].count("message.sent") == 1
    first = next(m for m in moments if m["fact"]["type"] == "guide_downloaded")
    # All three in one decision.
    assert [kind for kind, *_ in effects(first)] == ["score", "list", "send"]
    # Another guide is another e-mail and more points.
    server.facts(fact("guide_downloaded", ada, guide="ads"))
    assert [m["state"] for m in server.messages(ada)] == ["sent", "sent"]
    assert [mail.message["Subject"] for mail in mailbox.to(address)] == ["More on links", "More on your topic"]
    assert server.contact(ada)["scores"]["lead"] == 30


@pytest.mark.parametrize(
    ("asked", "reason"),
    [((), "consent.missing"), (("denied",), "consent.denied"), (("granted", "denied"), "consent.denied")],
)
def test_r4_without_consent(server: Server, mailbox: Mailbox, asked: tuple[str, ...], reason: str) -> None:
    ada, address = fresh("ada"), f"{fresh('ada')}@example.com"
    server.facts(fact("identify", ada, email=address))
    for state in asked:
        server.facts(granted(ada, state))
    download = fact("guide_downloaded", ada, guide="seo")
    for _ in range(3):
        server.facts(download)
    (message,) = server.messages(ada)
    assert message["state"] == "dropped"
    assert message["reason"].startswith(f"{reason}: ")
    assert mailbox.to(address) == []
    contact = server.contact(ada)
    assert contact["scores"]["lead"] == 15
    assert contact["lists"] == []
    moments = server.timeline(ada)
    (decided,) = [m for m in moments if m["fact"]["type"] == "guide_downloaded"]
    assert ("list", "newsletter", "", None, reason) in effects(decided)
    (dropped,) = [m for m in moments if m["fact"]["type"] == "message.dropped"]
    assert dropped["fact"]["properties"]["reason"] == reason


def test_r4_consent_withdrawn_while_the_message_waits(server: Server, mailbox: Mailbox) -> None:
    ada, address = fresh("ada"), f"{fresh('ada')}@example.com"
    server.facts(fact("identify", ada, email=address), granted(ada))
    # One request: when delivery looks, both have been decided, or the withdrawal comes after the mail has gone.
    server.facts(fact("guide_downloaded", ada, guide="seo"), granted(ada, "denied"))
    (message,) = server.messages(ada)
    assert message["state"] in ("dropped", "sent")
    assert len(mailbox.to(address)) == (message["state"] == "sent")


# --- R6 first_purchase --------------------------------------------------------------------------------------------


def order(contact: Any, order_id: str, at: str | None = None, id: str | None = None) -> Any:
    return fact("order_completed", contact, at, id, order_id=order_id, total=12.5, currency="EUR")


def vouchers(contact: Any) -> list[str]:
    return [issued["code"] for issued in contact["issued"] if issued["kind"] == "voucher"]


def test_r6_first_and_next_purchase(server: Server, mailbox: Mailbox) -> None:
    ada, address = fresh("ada"), f"{fresh('ada')}@example.com"
    server.facts(fact("identify", ada, email=address), granted(ada))
    server.facts(order(ada, "o1", "2026-03-01T10:00:00Z"))
    contact = server.contact(ada)
    (code,) = vouchers(contact)
    assert contact["issued"][0]["properties"] == {"percent": 25}
    assert contact["segments"] == []
    assert [m["state"] for m in server.messages(ada)] == ["sent"]
    (mail,) = mailbox.to(address)
    assert mail.message["Subject"] == "Your 25 % voucher"
    assert code in mail.message.get_content()

    # A later one, a late one of an earlier day, and both orders once more under other fact ids.
    for each in (
        order(ada, "o2", "2026-03-02T10:00:00Z"),
        order(ada, "o0", "2026-02-01T10:00:00Z"),
        order(ada, "o1", "2026-03-01T10:00:00Z"),
        order(ada, "o2", "2026-03-02T10:00:00Z"),
    ):
        server.facts(each)
    contact = server.contact(ada)
    assert vouchers(contact) == [code]
    assert contact["segments"] == ["loyal"]
    assert contact["scores"] == {"spend": 37.5, "orders": 3}
    assert len(server.messages(ada)) == 1
    assert len(mailbox.to(address)) == 1
    # The late one has put the record right, once, and the timeline says by which rule.
    moments = server.timeline(ada)
    assert fired(moments, "first_purchase/earlier-than-known") == 1
    moved = [e for m in moments for e in effects(m) if e[:2] == ("set", "first_purchase_at")]
    assert len(moved) == 2


@pytest.mark.parametrize("seed", SEEDS)
def test_r6_shuffled_and_repeated(server: Server, mailbox: Mailbox, seed: int) -> None:
    ada, address = fresh("ada"), f"{fresh('ada')}@example.com"
    server.facts(fact("identify", ada, email=address), granted(ada))
    days = ["2026-01-03", "2026-01-01", "2026-01-02"]
    facts = [order(ada, f"{ada}-{day}", f"{day}T12:00:00+01:00") for day in days]
    facts += [order(ada, f"{ada}-{day}", f"{day}T12:00:00+01:00") for day in days]  # same orders, other fact ids
    post_shuffled(server, seed, facts)
    contact = server.contact(ada)
    assert len(vouchers(contact)) == 1
    assert contact["segments"] == ["loyal"]
    assert contact["scores"] == {"spend": 37.5, "orders": 3}
    assert [m["state"] for m in server.messages(ada)] == ["sent"]
    assert len(mailbox.to(address)) == 1
    moments = server.timeline(ada)
    assert fired(moments, "first_purchase/first") == 1
    assert fired(moments, "first_purchase/again") == 2
    assert fired(moments, "first_purchase/order") == 3


def test_r6_two_purchases_at_the_same_moment(server: Server) -> None:
    for _ in range(8):
        ada = fresh("ada")
        at = "2026-05-05T05:05:05Z"
        both = [order(ada, fresh("o"), at), order(ada, fresh("o"), at)]
        with ThreadPoolExecutor(6) as pool:
            answers = list(pool.map(lambda each: server.facts(each), both * 3))
        assert sum(answer["accepted"] for answer in answers) == 2
        contact = server.contact(ada)
        assert len(vouchers(contact)) == 1
        assert contact["segments"] == ["loyal"]
        moments = server.timeline(ada)
        assert (fired(moments, "first_purchase/first"), fired(moments, "first_purchase/again")) == (1, 1)


def test_r6_codes_are_unique(server: Server) -> None:
    names = [fresh("buyer") for _ in range(40)]
    server.facts(*(order(name, "o1") for name in names))
    codes = [code for name in names for code in vouchers(server.contact(name))]
    assert len(codes) == len(set(codes)) == 40


def test_r6_backfill_sends_nothing(server: Server, mailbox: Mailbox) -> None:
    ada, address = fresh("ada"), f"{fresh('ada')}@example.com"
    server.facts(fact("identify", ada, email=address), granted(ada))
    history = [order(ada, "o1", "2025-01-01T00:00:00Z"), order(ada, "o2", "2025-02-01T00:00:00Z")]
    server.facts(*history, fact("guide_downloaded", ada, guide="seo"), backfill=True)
    contact = server.contact(ada)
    assert len(vouchers(contact)) == 1
    assert contact["segments"] == ["loyal"]
    assert contact["lists"] == ["newsletter"]
    assert server.messages(ada) == []
    assert mailbox.to(address) == []
    sends = [e for m in server.timeline(ada) for e in effects(m) if e[0] == "send"]
    assert [(name, reason) for _, name, _, _, reason in sends] == [
        ("voucher", "backfill"),
        ("more-on-topic", "backfill"),
    ]
    # Live again, the past is known: the next purchase is no first one.
    server.facts(order(ada, "o3"))
    assert len(vouchers(server.contact(ada))) == 1
    assert server.messages(ada) == []
