"""The pure step: chaining, refraction, depth, segments, once_per, catching up after a deploy."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import msgspec
import pytest
from decidekit import Show, done, made, plan, rules

from overture.decide.room import weigh

DAY = 86_400_000


def chain(length: int) -> str:
    """``begin`` derives c1 derives c2 …; each adds a point."""
    facts = "".join(f"  c{n}: {{}}\n" for n in range(length + 1))
    links = "".join(
        f'  r{n}:\n    when: fact.type == "c{n}"\n    then:\n      - score: {{name: s, add: 1}}\n'
        f"      - assert: {{type: c{n + 1}}}\n"
        for n in range(length)
    )
    return f"facts:\n{facts}scores:\n  s: {{}}\ntraits:\n  stage: string?\nrules:\n{links}"


def test_derived_facts_go_through_the_rules_in_the_same_step() -> None:
    show = Show(plan(chain(5)))
    outcome = show.fact("c0")
    assert rules(outcome) == [f"a/r{n}" for n in range(5)]
    assert outcome.contact.scores == {"s": 5}
    causes = [f.fact for f in outcome.trace.firings]
    assert causes[0] == "f1"
    assert len(set(causes)) == 5
    assert outcome.contact.seq == 1


def test_a_chain_that_is_too_deep_is_rolled_back_and_later_facts_go_on() -> None:
    document = (
        chain(20) + '  on-stage:\n    when: fact.type == "trait.changed"\n    then:\n      - assert: {type: c0}\n'
    )
    document += 'segments:\n  proposal:\n    when: contact.stage == "proposal"\n'
    show = Show(plan(document))
    assert show.fact("c4").contact.scores == {"s": 16}  # exactly as deep as may be
    outcome = show.fact("c0")
    assert outcome.trace.error.startswith("chain.too_deep: Derived facts do not come to rest: ")
    assert outcome.trace.error.endswith(" → c16 → c17.")
    assert (outcome.trace.firings, outcome.messages) == ([], [])
    assert outcome.contact.scores == {"s": 16}
    # What the fact itself says is kept, and the segments that follow from it are right.
    outcome = show.fact("identify", stage="proposal")
    assert outcome.trace.error.startswith("chain.too_deep")
    assert outcome.contact.traits == {"stage": "proposal"}
    assert set(outcome.contact.segments) == {"proposal"}
    assert outcome.segments == {"proposal"}
    outcome = show.fact("c19")
    assert (outcome.trace.error, outcome.contact.scores) == ("", {"s": 17})
    assert [s.contact.seq for s in show.steps] == [1, 2, 3, 4]


def test_segments_that_push_each_other_are_rolled_back() -> None:
    show = Show(
        plan(
            """\
facts:
  go: {}
scores:
  s: {}
rules:
  go:
    when: fact.type == "go"
    then:
      - score: {name: s, add: 1}
segments:
  high:
    when: contact.scores.s >= 1
    on_enter:
      - score: {name: s, add: -1}
    on_leave:
      - score: {name: s, add: 1}
"""
        )
    )
    outcome = show.fact("go")
    assert outcome.trace.error == (
        "chain.too_deep: Segments do not come to rest: each change of one sets off a change of another."
    )
    assert (outcome.contact.scores, outcome.contact.segments, outcome.scores) == ({}, {}, {})


def test_a_rule_fires_once_on_the_same_derived_fact() -> None:
    show = Show(
        plan(
            """\
facts:
  go: {n: number}
  note: {n: number}
scores:
  s: {}
rules:
  one:
    when: fact.type == "go"
    then:
      - assert: {type: note, properties: {n: = fact.n}}
      - assert: {type: note, properties: {n: = fact.n}}
      - assert: {type: note, properties: {n: = fact.n + 1}}
  two:
    when: fact.type == "go"
    then:
      - assert: {type: note, properties: {n: = fact.n}}
  count:
    when: fact.type == "note"
    then:
      - score: {name: s, add: 1}
"""
        )
    )
    assert show.fact("go", n=1).contact.scores == {"s": 2}  # one for each value, not for each time it was said
    assert show.fact("go", n=1).contact.scores == {"s": 4}  # and again on the next fact


EXCLUSIVE = """\
facts:
  bought: {}
traits:
  first_at: datetime?
scores:
  first: {}
  again: {}
rules:
  again:
    when: fact.type == "bought" and has(contact.first_at)
    priority: -1
    then:
      - score: {name: again, add: 1}
  first:
    when: fact.type == "bought" and not has(contact.first_at)
    priority: 1
    then:
      - score: {name: first, add: 1}
      - set: {first_at: = fact.occurred_at}
"""


def test_all_rules_on_a_fact_see_the_state_before_it() -> None:
    for document in (EXCLUSIVE, EXCLUSIVE.replace("priority: -1", "priority: 2")):
        show = Show(plan(document))
        assert show.fact("bought").contact.scores == {"first": 1}
        assert show.fact("bought").contact.scores == {"first": 1, "again": 1}


SEGMENTS = """\
facts:
  went: {n: number}
  told: {}
scores:
  s: {}
  edges: {}
rules:
  went:
    when: fact.type == "went"
    then:
      - score: {name: s, add: = fact.n}
  told:
    when: fact.type == "told"
    then:
      - score: {name: edges, add: 1}
  entered:
    when: fact.type == "segment.entered" and fact.name == "both"
    then:
      - set: {entered: true}
traits:
  entered: bool?
segments:
  # In no order: each comes after those that it reads all the same.
  both:
    when: '"high" in contact.segments and "marked" in contact.segments'
    on_enter:
      - assert: {type: told}
    on_leave:
      - assert: {type: told}
  high:
    when: contact.scores.s >= 10 or ("high" in contact.segments and contact.scores.s >= 5)
    on_enter:
      - segment: {enter: marked}
    on_leave:
      - segment: {leave: marked}
  marked: {}
"""


def test_segments_come_to_rest_within_the_step() -> None:
    show = Show(plan(SEGMENTS))
    told = []
    for n in (9, 1, -5, -1, 6):  # 9, 10, 5, 4, 10
        outcome = show.fact("went", n=n)
        told.append((set(outcome.contact.segments), outcome.contact.scores.get("edges", 0)))
    everything = {"high", "marked", "both"}
    assert told == [(set(), 0), (everything, 1), (everything, 1), (set(), 2), (everything, 3)]
    assert show.contact.traits == {"entered": True}
    assert outcome.segments == everything


def test_segment_entered_carries_what_it_is_about() -> None:
    show = Show(plan(SEGMENTS))
    outcome = show.fact("went", n=10)
    assert ("a/high.on_enter", "segment", "marked", True) in done(outcome)
    assert ("a/both.on_enter", "assert", "told", {}) in done(outcome)
    assert rules(outcome)[0] == "a/went"


def test_the_values_of_one_set_are_those_before_it_in_whatever_order_it_is_written() -> None:
    head = "facts: {swap: {}}\ntraits: {a: int, b: int}\nrules:\n"
    rule = '  r:\n    when: fact.type == "swap"\n    then: [{set: {%s}}]\n'
    for pairs in ("a: = contact.b, b: = contact.a", "b: = contact.a, a: = contact.b"):
        show = Show(plan(head + rule % pairs))
        show.fact("identify", a=1, b=2)
        assert show.fact("swap").contact.traits == {"a": 2, "b": 1}


# --- once_per -----------------------------------------------------------------------------------------------------


def once(what: str) -> str:
    return f"""\
facts:
  seen: {{key: "string?"}}
scores:
  s: {{}}
rules:
  seen:
    when: fact.type == "seen"
    once_per: {what}
    then:
      - score: {{name: s, add: 1}}
"""


def test_once_per_contact() -> None:
    show = Show(plan(once("contact")))
    assert done(show.fact("seen")) == [("a/seen", "score", "s", 1)]
    assert done(show.fact("seen")) == [("a/seen", "once_per", "seen", "once_per.contact")]


def test_once_per_window_counts_by_when_it_happened() -> None:
    show = Show(plan(once("1d")))
    at = 1_700_000_000_000
    fired = [rules(show.fact("seen", at + delta)) != [] for delta in (0, DAY - 1, DAY, DAY + 1, 2 * DAY - 1, 2 * DAY)]
    assert fired == [True, False, True, False, False, True]
    # Late ones: within a day of any firing they are held back, whichever it was.
    assert rules(show.fact("seen", at + DAY + 2)) == []
    assert done(show.fact("seen", at + 1)) == [("a/seen", "once_per", "seen", "once_per.window")]
    assert rules(show.fact("seen", at - DAY + 1)) == []
    assert rules(show.fact("seen", at - DAY)) == ["a/seen"]
    assert show.contact.scores == {"s": 4}


@pytest.mark.parametrize("seed", range(5))
def test_once_per_window_holds_in_whatever_order_facts_come(seed: int) -> None:
    show = Show(plan(once("1d"), kind="reference"))
    instants = [1_700_000_000_000 + n * DAY // 7 for n in range(200)]
    Random(seed).shuffle(instants)
    fired = sorted(at for at in instants if rules(show.fact("seen", at)))
    assert len(fired) > 10
    assert all(after - before >= DAY for before, after in pairwise(fired))
    assert show.contact.fired["a/seen"] == fired


def test_once_per_window_forgets_the_oldest_and_says_so() -> None:
    show = Show(plan(once("1d")))
    at = 1_700_000_000_000
    for n in range(51):
        assert rules(show.fact("seen", at + n * DAY)) == ["a/seen"]
    assert done(show.fact("seen", at + 1)) == [("a/seen", "once_per", "seen", "once_per.window")]
    assert done(show.fact("seen", at)) == [("a/seen", "once_per", "seen", "once_per.forgotten")]
    assert rules(show.fact("seen", at + 51 * DAY)) == ["a/seen"]
    assert show.contact.weight == weigh(show.contact)


def test_once_per_window_reads_what_was_remembered_before() -> None:
    show = Show(plan(once("1d")))
    at = 1_700_000_000_000
    show.contact.fired = {"a/seen": at}
    assert rules(show.fact("seen", at + 1)) == []
    assert rules(show.fact("seen", at + DAY)) == ["a/seen"]
    assert rules(show.fact("seen", at - DAY)) == ["a/seen"]
    assert rules(show.fact("seen", at)) == []


def test_once_per_window_of_two_contacts_that_become_one() -> None:
    both = plan(once("1d"))
    known, visitor = Show(both), Show(both, "anonymous_id:x")
    at = 1_700_000_000_000
    for n in range(30):
        known.fact("seen", at + 4 * n * DAY)
        visitor.fact("seen", at + (4 * n + 2) * DAY)
    (merge,) = visitor.take(made("$link", 300, 0, {"into": "ada"}, "anonymous_id:x")).forwards
    known.take(merge)
    assert len(known.contact.fired["a/seen"]) == 50  # type: ignore[arg-type]
    assert known.contact.weight == weigh(known.contact)
    for n in (11, 58):  # the 50 newest of both are remembered
        assert done(known.fact("seen", at + 2 * n * DAY + 1)) == [("a/seen", "once_per", "seen", "once_per.window")]
    assert done(known.fact("seen", at)) == [("a/seen", "once_per", "seen", "once_per.forgotten")]


def test_a_rule_that_goes_by_something_else_after_a_deploy() -> None:
    show = Show(plan(once("1d")))
    for n, what in enumerate(("1d", "fact.key", "1d", "contact", "1d")):
        show.plan = plan(once(what), version=n + 2)
        show.fact("seen", key="a")
        assert show.contact.weight == weigh(show.contact)


def test_once_per_key() -> None:
    show = Show(plan(once("fact.key")))
    long = "x" * 200
    for key in ("a", "b", "a", long, long, long + "y"):
        show.fact("seen", key=key)
    assert show.contact.scores == {"s": 4}
    assert done(show.fact("seen")) == [("a/seen", "once_per", "seen", "once_per.no_key")]


def test_once_per_forgets_the_oldest_key_first() -> None:
    show = Show(plan(once("fact.key")))
    for n in range(1025):
        show.fact("seen", key=f"k{n}")
    assert rules(show.fact("seen", key="k1024")) == []
    assert rules(show.fact("seen", key="k1")) == []
    assert rules(show.fact("seen", key="k0")) == ["a/seen"]
    assert len(show.contact.fired["a/seen"]) == 1024  # type: ignore[arg-type]


def test_a_rolled_back_step_forgets_that_a_rule_fired() -> None:
    document = chain(20).replace("  r19:\n", "  r19:\n    once_per: contact\n")
    document = document.replace("  r3:\n", "  r3:\n    once_per: contact\n")
    show = Show(plan(document))
    assert show.fact("c0").trace.error
    assert rules(show.fact("c19")) == ["a/r19"]
    assert show.contact.fired.keys() == {"a/r19"}


# --- after a deploy -----------------------------------------------------------------------------------------------


def many(threshold: int, *, name: str = "many") -> str:
    return f"""\
facts:
  seen: {{n: number}}
  told: {{}}
scores:
  s: {{}}
rules:
  seen:
    when: fact.type == "seen"
    then:
      - score: {{name: s, add: = fact.n}}
segments:
  {name}:
    when: contact.scores.s >= {threshold}
    on_enter:
      - assert: {{type: told}}
    on_leave:
      - assert: {{type: told}}
"""


def test_a_deploy_moves_nobody_aloud() -> None:
    show = Show(plan(many(100)))
    show.fact("seen", n=10)
    show.plan = plan(many(5), version=2)
    outcome = show.fact("other")
    assert (outcome.trace.firings, set(outcome.contact.segments), outcome.contact.program) == ([], {"many"}, 2)
    (effect,) = outcome.trace.effects
    assert (effect.kind, effect.name, effect.key, effect.before, effect.after) == (
        "segment",
        "many",
        "deploy",
        False,
        True,
    )
    assert outcome.segments == {"many"}
    # What the fact itself then does is told.
    show.plan = plan(many(20), version=3)
    outcome = show.fact("seen", n=10)
    assert [e.after for e in outcome.trace.effects] == [False]
    assert ("a/many.on_enter", "assert", "told", {}) in done(outcome)


def test_a_segment_that_is_gone_is_left() -> None:
    show = Show(plan(many(5)))
    show.fact("seen", n=10)
    show.plan = plan(many(5, name="lots"), version=2)
    outcome = show.fact("other")
    assert set(outcome.contact.segments) == {"lots"}
    assert outcome.segments == {"many", "lots"}
    assert outcome.trace.firings == []


def test_a_new_contact_is_in_the_segments_that_ask_for_nothing() -> None:
    text = "segments:\n  new:\n    when: contact.scores.s < 1\n    on_enter:\n      - score: {name: t, add: 1}\n"
    text += "scores:\n  s: {}\n  t: {}\n"
    outcome = Show(plan(text)).fact("anything")
    assert (set(outcome.contact.segments), outcome.contact.scores) == ({"new"}, {"t": 1})


# --- what a fact says by itself -----------------------------------------------------------------------------------


def test_identify_consent_and_bounces() -> None:
    show = Show(plan(many(5)))
    show.fact("identify", country="AT", age=7)
    show.fact("identify", age=None, country="AT")
    assert show.contact.traits == {"country": "AT"}
    show.fact("consent", channel="email", purpose="marketing", state="granted")
    show.fact("consent", channel="email", purpose="marketing", state="denied")
    assert show.contact.consent == {"email": {"marketing": "denied"}}
    show.fact("message.failed", channel="email", address="a@x.org", reason="later")
    assert show.contact.suppressed == {}
    show.fact("message.bounced", channel="email", address="a@x.org", permanent=True)
    show.fact("message.complained", channel="email", address="b@x.org")
    assert show.contact.suppressed == {"email:a@x.org": "bounce", "email:b@x.org": "complaint"}


def test_link_and_merge() -> None:
    visitor, known = Show(plan(many(10)), "anonymous_id:x"), Show(plan(many(10)), "ada")
    visitor.fact("seen", n=6)
    visitor.fact("identify", country="AT", plan="free")
    known.fact("seen", n=5)
    known.fact("identify", plan="pro")
    order = made("$link", 90, 0, {"into": "ada"}, "anonymous_id:x")
    linked = visitor.take(order)
    (merge,) = linked.forwards
    assert (merge.type, merge.contact, merge.cause) == ("$merge", "ada", "anonymous_id:x")
    assert (linked.contact.merged_into, linked.contact.scores, linked.scores) == ("ada", {}, {"s": None})
    assert visitor.take(order).forwards == []
    merged = known.take(merge)
    assert merged.contact.scores == {"s": 11}
    assert merged.contact.traits == {"plan": "pro", "country": "AT"}
    assert ("a/many.on_enter", "assert", "told", {}) in done(merged)
    assert merged.contact.seq == 2 + 2 + 1
    # Later facts are handed on as they are.
    late = made("seen", 91, 0, {"n": 1}, "anonymous_id:x")
    (onward,) = visitor.take(late).forwards
    assert (onward.id, onward.contact, onward.properties) == (late.id, "ada", late.properties)
    assert known.take(onward).contact.scores == {"s": 12}


def test_a_visitor_who_has_not_seen_the_last_deploy() -> None:
    """What it stood in may be gone: the contact that takes it in is not left in a segment that nobody declares."""
    visitor, known = Show(plan(many(1)), "anonymous_id:x"), Show(plan(many(5, name="lots"), version=2))
    visitor.fact("seen", n=2)
    (merge,) = visitor.take(made("$link", 90, 0, {"into": "ada"}, "anonymous_id:x")).forwards
    known.take(merge)
    outcome = known.fact("other")
    assert (outcome.contact.segments, outcome.segments, outcome.contact.program) == ({}, {"many"}, 2)


@pytest.mark.parametrize("kind", ["durable", "reference"])
def test_backfill_decides_and_sends_nothing(kind: str) -> None:
    text = """\
requires:
  channels: [email]
facts:
  seen: {}
rules:
  seen:
    when: fact.type == "seen"
    then:
      - send: {channel: email, template: t, purpose: marketing}
templates:
  t: {subject: s, text: t}
"""
    show = Show(plan(text, kind=kind))  # type: ignore[arg-type]
    live = show.fact("seen")
    assert [m.id.rpartition(":")[0] for m in live.messages] == ["f1:a/seen:0"]
    outcome = show.take(msgspec.structs.replace(made("seen", 2), backfill=True))
    assert (outcome.messages, done(outcome)) == ([], [("a/seen", "send", "t", "backfill")])


@pytest.mark.parametrize(("visitor", "user"), [("granted", "denied"), ("denied", "granted")])
def test_a_merge_overrules_no_refusal(visitor: str, user: str) -> None:
    nothing = plan("facts: {seen: {}}\n")
    weaker, known = Show(nothing, "anonymous_id:x"), Show(nothing)
    weaker.fact("consent", channel="email", purpose="marketing", state=visitor)
    weaker.fact("consent", channel="sms", purpose="marketing", state="granted")
    known.fact("consent", channel="email", purpose="marketing", state=user)
    (merge,) = weaker.take(made("$link", 90, 0, {"into": "ada"}, "anonymous_id:x")).forwards
    merged = known.take(merge)
    assert merged.contact.consent == {"email": {"marketing": "denied"}, "sms": {"marketing": "granted"}}
