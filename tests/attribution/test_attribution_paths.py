"""Recorded facts made paths: what is a touch and what it is called, which conversion it belongs to, and whose it is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from overture.attribution.gather import LABELLED, LONGEST, OTHER, Found, Gathered
from overture.attribution.question import Question, asked
from overture.backtest.period import Period
from overture.model import Fact, Refused
from overture.records import Recorded

DAY = 86_400_000
MESSAGE = "f1:offers/spring:1:00c0ffee"


def fact(type: str, at: float, contact: str = "ada", **properties: Any) -> Fact:
    """On day ``at``."""
    when = int(at * DAY)
    return Fact(f"{type}{at}", type, contact, when, when, properties)


def visit(at: float, medium: str, contact: str = "ada", **properties: Any) -> Fact:
    return fact("page_viewed", at, contact, utm_medium=medium, **properties)


def ordered(at: float, contact: str = "ada", **properties: Any) -> Fact:
    return fact("ordered", at, contact, **properties)


def told(
    *partitions: Iterable[Fact], since: float = 0, until: float = 1000, found: Found | None = None, **question: Any
) -> list[tuple[str, float, float]]:
    """Each path as ``a > b``, its conversions and its value."""
    asks = Question("ordered", **question)
    gathered = Gathered(asked(asks))
    for facts in partitions:
        gathered.read(Recorded("1-1", n, each, 1) for n, each in enumerate(facts))
    within = Period(int(since * DAY), int(until * DAY))
    paths = list(gathered.paths(within, found or Found(), each=asks.repeats == "each"))
    gathered.close()
    return [(" > ".join(path.touches), path.conversions, path.value) for path in paths]


def test_what_is_a_touch():
    clicked = fact("message.clicked", 5, channel="email", message=MESSAGE)
    facts = [
        visit(1, "cpc"),
        visit(2, "bot", machine=True),
        fact("page_viewed", 3, url="https://www.shop.example/a", referrer="https://shop.example/"),
        fact("page_viewed", 4, url="https://shop.example/a", referrer="https://www.blog.example/x"),
        clicked,
        fact("message.opened", 6, channel="push", message="theirs", machine=True),
        fact("message.sent", 7, channel="email", message=MESSAGE),
        fact("page_viewed", 8, utm_source="flyer", path="/"),
        ordered(9),
    ]
    assert told(facts) == [("cpc > referral > email > campaign", 1, 0)]
    assert told(facts, by="source") == [("(none) > blog.example > email > flyer", 1, 0)]
    assert told(facts, by="ruleset", repeats="each") == [("(none) > (none) > offers > (none)", 1, 0)]
    sends = 'fact.type == "message.sent" or fact.type == "page_viewed" and fact.path == "/"'
    assert told(facts, touches=sends, by="fact.type") == [("message.sent > page_viewed", 1, 0)]


@pytest.mark.parametrize(
    ("by", "label"),
    [
        ("channel", "email"),
        ("campaign", "offers/drip"),
        ("ruleset", "offers"),
        ("template", "offers/hello"),
        ("fact.n", "3"),
    ],
)
def test_what_a_message_is_called(by: str, label: str):
    clicked = fact("message.clicked", 1, message=MESSAGE, channel="email", template="hello", journey="offers/drip", n=3)
    assert told([clicked, ordered(2)], by=by) == [(label, 1, 0)]


def test_which_touches_belong_to_a_conversion():
    facts = [
        visit(1, "a"),
        visit(40, "b"),
        ordered(41, total=7),
        visit(42, "c"),
        ordered(43),
        ordered(44, total="much"),
    ]
    found = Found()
    # a is over 30 days before, so it led to nothing; nothing lies between the second and the third.
    assert told(facts, value="fact.total", found=found) == [("a", 0, 0), ("b", 1, 7), ("c", 1, 0)]
    assert (found.conversions, found.value, found.worthless, found.nulls) == ([2, 1], [7, 0], 2, 1)
    assert told(facts, window="60d") == [("a > b", 1, 0), ("c", 1, 0)]
    # In the period are conversions, and paths that ended there; what came before is known all the same.
    assert told(facts, since=40.5, until=42.5) == [("b", 1, 0), ("c", 0, 0)]
    assert told(facts, since=41.5) == [("c", 1, 0)]


def test_touches_alike_and_paths_without_end():
    facts = [visit(1, "a"), visit(2, "a"), visit(3, "b"), visit(4, "a"), visit(40, "a"), visit(41, "c")]
    assert told(facts) == [("a > c", 0, 0), ("a > b > a", 0, 0)]
    assert told(facts, repeats="each") == [("a > c", 0, 0), ("a > a > b > a", 0, 0)]


def test_at_one_instant_a_touch_comes_before_a_conversion_and_history_where_it_belongs():
    late = Fact("h", "page_viewed", "ada", DAY, 9 * DAY, {"utm_medium": "old"}, backfill=True)
    ahead = Fact("i", "page_viewed", "ada", 99 * DAY, 4 * DAY, {"utm_medium": "ahead"})
    facts = [ordered(5), visit(5, "b"), visit(2, "a"), ahead, late]
    assert told(facts) == [("old > a > ahead > b", 1, 0)]


def test_contacts_that_became_known():
    anonymous, mail, user = "anonymous_id:1", "email:a@example.org", "ada"
    link = fact("$link", 3, anonymous, into=mail)
    again = fact("$link", 6, mail, into=user)
    first = [visit(1, "a", anonymous), link, visit(4, "b", anonymous)]
    second = [fact("$merge", 3, mail), visit(4, "b", mail), again, ordered(7, mail)]
    third = [visit(2, "c", user), ordered(7, user)]
    for order in ((first, second, third), (third, second, first)):
        assert told(*order) == [("a > c > b", 1, 0)]


def test_contacts_that_were_erased():
    erased = [visit(1, "a", "eve"), fact("$erase", 2, "eve"), visit(3, "b", "eve"), ordered(4, "eve")]
    assert told([visit(1, "x"), *erased, ordered(4)]) == [("x", 1, 0), ("b", 1, 0)]
    # Who was linked and erased is somebody new.
    linked = [visit(1, "a", "anonymous_id:1"), fact("$link", 2, "anonymous_id:1", into="ada")]
    new = [fact("$erase", 3, "anonymous_id:1"), visit(4, "c", "anonymous_id:1")]
    assert sorted(told([*linked, *new], [ordered(5)])) == [("c", 0, 0)]


def test_many_labels_and_endless_paths():
    facts = [visit(1 + n / 1000, f"m{n // 2 if n < 2 * LABELLED else n}") for n in range(3 * LABELLED)]
    (path, _, _) = told([*facts, ordered(5)], repeats="each")[0]
    assert set(path.split(" > ")) == {*(f"m{n}" for n in range(LABELLED)), OTHER}
    found = Found()
    bot = [visit(1 + n / 10_000, "ab"[n % 2]) for n in range(LONGEST + 5)]
    ((path, _, _),) = told([*bot, ordered(5)], found=found)
    assert (len(path.split(" > ")), found.left_out) == (LONGEST, 5)


@pytest.mark.parametrize(
    ("question", "code", "says"),
    [
        ({"conversion": "ordered now"}, "attribution.condition", "conversion: not an expression"),
        ({"conversion": "fact.total > 3"}, "attribution.condition", "does not say on which facts"),
        ({"conversion": 'fact.type == "a" and fact.type == "b"'}, "attribution.condition", "no fact can meet"),
        (
            {"conversion": 'fact.type == "a" and contact.plan == "pro"'},
            "attribution.condition",
            "the name 'contact' is not known",
        ),
        ({"touches": 'fact.type == "a" and age(fact.at) > days("3d")'}, "attribution.condition", "touches: age() asks"),
        ({"value": 'total("a", "b")'}, "attribution.condition", "value: total() asks about the contact"),
        ({"value": 'matches(fact.a, "(")'}, "attribution.condition", "value: "),
        ({"by": "chanel"}, "attribution.condition", "by: the name 'chanel' is not known (character 1)"),
        ({"window": "soon"}, "attribution.setting", "window is no duration: 'soon'"),
        ({"half_life": "0d"}, "attribution.setting", "half_life is no duration"),
        ({"position": "40/40/40"}, "attribution.setting", "position is not three parts of 100"),
        ({"order": 9}, "attribution.setting", "order is 9"),
    ],
)
def test_questions_that_make_no_sense(question: dict[str, Any], code: str, says: str):
    with pytest.raises(Refused) as refused:
        asked(Question(**{"conversion": "ordered", **question}))
    assert refused.value.code == code
    assert says in refused.value.message
    assert refused.value.hint or "expression" in says
