"""Journeys in the pure step: where a contact stands, when it goes on, and what becomes of it at a deploy or a merge."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest
from decidekit import HEAD, encode
from hypothesis import given, settings
from hypothesis import strategies as st

from overture.decide import Plan, limits, step
from overture.model import Contact, Effect, Fact, Position, Step
from overture.rules import Ruleset, link, load

START = 1_790_000_000_000
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000

CART = """
requires: {channels: [email]}
facts: {cart_updated: {cart: string}, checkout: {cart: string}, other: {}}
templates: {reminder: {subject: "Cart {{ journey.key }}", text: x}}
journeys:
  cart:
    enter_when: fact.type == "cart_updated"
    key: fact.cart
    reentry: REENTRY
    restart_when: fact.type == "cart_updated" and fact.cart == journey.key
    exit_when: fact.type == "checkout" and fact.cart == journey.key
    on_redeploy: finish_on_old
    steps:
      - {id: pause, wait: {for: 1h}}
      - {id: remind, send: {channel: email, template: reminder, purpose: marketing, late: 24h}}
      - {id: day, wait: {for: 24h}}
      - {id: again, send: {channel: email, template: reminder, purpose: marketing}}
""".replace("REENTRY", "always")


class On:
    """One contact, shown facts at instants of a virtual clock; a worker looks only when a fact comes, or when asked."""

    def __init__(self, plan: Plan, contact: str = "ada") -> None:
        self.plan = plan
        self.contact = Contact(contact)
        self.n = 0
        self.messages: list[tuple[int, str]] = []
        self.effects: list[tuple[str, Effect]] = []

    def fact(self, at: int, type: str, /, **properties: Any) -> Step:
        self.n += 1
        return self.take(Fact(f"f{self.n}", type, self.contact.id, START + at, START + at, properties))

    def look(self, at: int) -> Step:
        return self.take(Fact(f"look:{at}", "$tick", self.contact.id, START + at, START + at))

    def take(self, fact: Fact) -> Step:
        before = encode(self.contact)
        outcome = step(self.contact, fact, self.plan, fact.accepted_at)
        assert encode(self.contact) == before, "a step leaves the contact that it is given alone"
        self.contact = outcome.contact
        self.messages += [(m.created_at - START, m.id) for m in outcome.messages]
        for trace in (*outcome.ticks, outcome.trace):
            assert not trace.error
            told = (*trace.effects, *(e for firing in trace.firings for e in firing.effects))
            self.effects += [(trace.fact.id, effect) for effect in told]
        return outcome

    @property
    def at(self) -> dict[str, str]:
        """Key → step."""
        return {position.key: position.step for position in self.contact.journeys}

    @property
    def moves(self) -> list[tuple[str, str, str]]:
        return [(str(e.before), str(e.after), e.reason) for _, e in self.effects if e.kind == "journey"]


def ruleset(document: str, name: str = "a") -> Ruleset:
    return load(HEAD.format(name=name) + document)


def plan(document: str, version: int = 1, older: tuple[Ruleset, ...] = ()) -> Plan:
    return Plan(link([ruleset(document)], version, older=older), "reference")


def test_a_wait_ends_at_its_own_instant_however_late_a_worker_looks() -> None:
    on = On(plan(CART))
    on.fact(0, "cart_updated", cart="c1")
    assert on.contact.due == START + HOUR
    on.look(HOUR - 1)
    assert (on.messages, on.at) == ([], {"c1": "pause"})
    on.look(40 * DAY)
    assert [at for at, _ in on.messages] == [HOUR, 25 * HOUR]
    assert (on.at, on.contact.due) == ({}, 0)


def test_a_message_of_a_step_names_it_and_expires_with_its_plan() -> None:
    on = On(plan(CART))
    on.fact(0, "cart_updated", cart="c1")
    (message,) = on.look(2 * HOUR).messages
    assert (message.rule, message.journey, message.step) == ("a/cart.remind", "a/cart", "remind")
    assert message.expires == START + HOUR + DAY
    assert message.context["journey"]["key"] == "c1"


def test_the_trace_names_the_fact_that_prevented_a_message() -> None:
    on = On(plan(CART))
    on.fact(0, "cart_updated", cart="c1")
    outcome = on.fact(HOUR - 1000, "checkout", cart="c1")
    (firing,) = outcome.trace.firings
    assert (firing.rule, firing.fact) == ("a/cart.pause", "f2")
    assert firing.effects == [Effect("journey", "a/cart", "c1", "pause", "end:exit")]
    on.look(9 * DAY)
    assert on.messages == []


@pytest.mark.parametrize("type", ["cart_updated", "checkout"])
def test_history_from_before_somebody_entered_moves_nobody(type: str) -> None:
    on = On(plan(CART))
    on.fact(0, "cart_updated", cart="c1")
    before = on.contact.journeys
    on.take(Fact("old", type, "ada", START - 30 * DAY, START + MINUTE, {"cart": "c1"}, backfill=True))
    assert on.contact.journeys == before
    on.look(3 * DAY)
    assert [at for at, _ in on.messages] == [HOUR, 25 * HOUR]


def test_history_from_after_somebody_entered_ends_the_journey() -> None:
    on = On(plan(CART))
    on.fact(0, "cart_updated", cart="c1")
    on.fact(10 * MINUTE, "other")
    on.take(Fact("missed", "checkout", "ada", START + MINUTE, START + 20 * MINUTE, {"cart": "c1"}, backfill=True))
    assert on.at == {}


CIRCLE = """
facts: {begin: {}, x: {}}
traits: {plan: "string?"}
scores: {lead: {}, y: {}}
rules:
  counted: {when: fact.type == "x", then: [{score: {name: y, add: 1}}]}
segments:
  s: {when: contact.scores.lead > 5, on_enter: [{start: j}]}
journeys:
  j:
    enter_when: fact.type == "begin"
    reentry: always
    steps:
      - {id: pro, wait: {until: contact.plan == "pro"}}
      - {id: up, score: {name: lead, add: 10}}
      - {id: down, score: {name: lead, add: -10}}
"""


def test_a_journey_that_is_rolled_back_where_its_wait_is_over_does_not_stop_all_facts_after_it() -> None:
    made, contact = plan(CIRCLE), Contact("ada")
    errors: list[str] = []
    for n, (type, said) in enumerate((("begin", {}), ("identify", {"plan": "pro"}), ("x", {}), ("x", {}))):
        outcome = step(contact, Fact(f"f{n}", type, "ada", START + n, START + n, said), made, START + n)
        contact = outcome.contact
        errors.append(outcome.trace.error.partition(":")[0])
    assert errors == ["", "chain.too_deep", "", ""]
    assert (contact.scores, contact.journeys) == ({"y": 2}, [])


ROUND = """
facts: {begin: {}, paid: {}}
journeys:
  j:
    enter_when: fact.type == "begin"
    steps:
      - {id: ways, split: [{name: p, weight: 1, go: one}, {name: q, weight: 1, go: two}]}
      - {id: one, wait: {for: 1d}, then: ways}
      - {id: two, wait: {for: 1d}, then: ways}
"""


@pytest.mark.parametrize("visitor", [f"anonymous_id:{n}" for n in range(8)])
def test_who_becomes_known_goes_on_the_way_of_a_split_that_it_went_before(visitor: str) -> None:
    made = plan(ROUND)
    weak, known = On(made, visitor), On(made)
    weak.fact(0, "begin")
    (before,) = weak.contact.journeys
    (merge,) = weak.take(Fact("l", "$link", visitor, START + 1, START + 1, {"into": "ada"})).forwards
    known.take(merge)
    known.look(3 * DAY)
    (after,) = known.contact.journeys
    assert (after.variants, after.step) == (before.variants, before.step)


@pytest.mark.parametrize("n", range(8))
def test_who_becomes_known_on_a_journey_stays_in_its_group_of_the_holdout(n: int) -> None:
    made = plan("holdout: 50\n" + CART)
    weak, known = On(made, f"anonymous_id:{n}"), On(made, f"u{n}")
    weak.fact(0, "cart_updated", cart="c1")
    (position,) = weak.contact.journeys
    link_to = Fact("l", "$link", weak.contact.id, START + 1, START + 1, {"into": f"u{n}"})
    (merge,) = weak.take(link_to).forwards
    known.take(merge)
    known.look(2 * HOUR)
    assert len(known.messages) == (0 if position.holdout else 1)


LATER = """
facts: {begin: {at: "number?", on: "datetime?"}, opened: {}, go: {}}
scores: {points: {}}
journeys:
  j:
    enter_when: fact.type == "begin"
    reentry: always
    steps:
      - STEP
      - {id: point, score: {name: points, add: 1}}
      - {id: stay, wait: {for: 99w}}
"""


def begun(wait: str, at: int = 0, **properties: Any) -> On:
    on = On(plan(LATER.replace("STEP", wait)))
    on.fact(0, "identify", timezone="Europe/Berlin")
    on.fact(at, "begin", **properties)
    return on


def test_a_wait_for_a_fact_goes_on_at_the_fact_or_when_its_time_is_up() -> None:
    step = "{id: open, wait: {for: 3h, until: 'fact.type == \"opened\"'}}"
    early, late = begun(step), begun(step)
    early.fact(HOUR, "opened")
    assert early.moves[-2:] == [("open", "point", "wait.until"), ("point", "stay", "")]
    assert early.contact.journeys[0].matched
    late.look(3 * HOUR)
    assert late.moves[-2:] == [("open", "point", ""), ("point", "stay", "")]
    assert not late.contact.journeys[0].matched


def test_what_a_wait_waits_for_may_hold_already() -> None:
    step = "{id: rich, wait: {until: 'contact.scores.points >= 0'}}"
    assert begun(step).at == {"": "stay"}


def test_an_instant_in_the_past_goes_on_at_once_and_one_that_is_missing_ends_it() -> None:
    step = '{id: moment, wait: {at: "= journey.fact.on"}}'
    past = begun(step, on=START - HOUR)
    assert past.at == {"": "stay"}
    future = begun(step, on=START + HOUR)
    assert (future.at, future.contact.due) == ({"": "moment"}, START + HOUR)
    missing = begun(step)
    assert missing.moves[-1] == ("moment", "end:no_instant", "journey.no_instant")


def test_who_moves_to_another_zone_waits_for_the_time_there() -> None:
    on = begun('{id: nine, wait: {until_local: "09:00"}}')
    there = on.contact.due
    on.fact(1000, "identify", timezone="America/New_York")
    assert on.contact.due == there + 6 * HOUR or on.contact.due == there + 6 * HOUR - DAY


def test_a_journey_that_never_rests_ends_with_the_reason() -> None:
    on = On(plan(LATER.replace("STEP", "{id: a, wait: {for: 1h}}")))
    program = on.plan.program
    journey = program.journeys["a/j"]
    steps = {**journey.steps, "point": replace(journey.steps["point"], next="point")}  # the checker refuses it
    spinning = replace(program, journeys={"a/j": replace(journey, steps=steps)})
    on.plan = Plan(spinning, "reference")
    on.fact(0, "begin")
    on.look(HOUR)
    assert on.moves[-1] == ("point", "end:too_many_steps", "journey.too_many_steps")
    assert on.contact.scores["points"] <= limits.JOURNEY_STEPS


def test_there_is_room_for_so_many_positions() -> None:
    on = On(plan(CART))
    for n in range(limits.POSITIONS + 1):
        on.fact(n, "cart_updated", cart=f"c{n}")
    assert len(on.contact.journeys) == limits.POSITIONS
    assert on.moves[-1] == ("None", "None", "journey.full")
    weight = on.contact.weight
    on.look(3 * DAY)
    assert on.contact.weight < weight


@pytest.mark.parametrize(
    ("reentry", "gap", "enters"),
    [
        ("never", 400 * DAY, False),
        ("always", 0, True),
        ("{after: 30d}", 29 * DAY, False),
        ("{after: 30d}", 30 * DAY, True),
    ],
)
def test_reentry(reentry: str, gap: int, enters: bool) -> None:
    on = On(plan(CART.replace("reentry: always", f"reentry: {reentry}")))
    on.fact(0, "cart_updated", cart="c1")
    on.fact(1, "checkout", cart="c1")
    on.fact(1 + gap, "cart_updated", cart="c1")
    assert on.at == ({"c1": "pause"} if enters else {})
    if not enters:
        assert on.moves[-1] == ("None", "None", "journey.reentry")
    on.fact(2 + gap, "cart_updated", cart="c2")
    assert "c2" in on.at, "another key is another matter"


def test_a_split_is_the_same_for_a_contact_every_time_and_near_its_weights() -> None:
    document = """
facts: {begin: {}}
journeys:
  j:
    enter_when: fact.type == "begin"
    reentry: always
    steps:
      - {id: ab, split: [{name: a, weight: 30, go: left}, {name: b, weight: 70, go: right}]}
      - {id: left, wait: {for: 1h}, then: end}
      - {id: right, wait: {for: 1h}}
"""
    program, ways = plan(document), dict[str, str]()
    for n in range(1000):
        on = On(program, f"contact-{n}")
        on.fact(0, "begin")
        on.fact(2 * HOUR, "begin")
        first, second = [e.after for _, e in on.effects if e.kind == "journey" and e.before == "ab"]
        assert first == second
        ways[on.contact.id] = str(first)
    assert 250 <= list(ways.values()).count("left") <= 350


START_STOP = """
facts: {go: {}, halt: {}}
scores: {points: {}}
rules:
  begin: {when: fact.type == "go", then: [start: j]}
  halt: {when: fact.type == "halt", then: [stop: j]}
segments:
  rich: {when: contact.scores.points >= 2, on_enter: [start: k]}
journeys:
  j:
    reentry: always
    steps:
      - {id: two, score: {name: points, add: 2}}
      - id: sure
        branch:
          - {if: '"rich" in contact.segments', go: stay}
          - {else: end}
      - {id: stay, wait: {for: 1h}}
  k:
    steps:
      - {id: here, wait: {for: 2h}}
"""


def test_actions_begin_and_end_journeys_and_a_branch_sees_what_a_step_before_it_did() -> None:
    on = On(plan(START_STOP))
    on.fact(0, "go")
    assert [(p.journey, p.step) for p in on.contact.journeys] == [("a/j", "stay"), ("a/k", "here")]
    on.fact(1, "halt")
    assert [(p.journey, p.step) for p in on.contact.journeys] == [("a/k", "here")]
    assert on.moves[-1] == ("stay", "end:stopped", "")


def test_recorded_history_moves_it_and_sends_nothing_of_what_was_due_then() -> None:
    on = On(plan(CART))
    on.fact(10 * DAY, "identify", first_name="Ada")
    for at, cart in ((0, "old"), (9 * DAY + 12 * HOUR, "new")):
        on.n += 1
        on.take(Fact(f"f{on.n}", "cart_updated", "ada", START + at, START + 10 * DAY, {"cart": cart}, backfill=True))
    assert (on.messages, on.at) == ([], {"new": "day"})
    on.look(20 * DAY)
    assert [at for at, _ in on.messages] == [10 * DAY + 13 * HOUR]


# --- deploys -------------------------------------------------------------------------------------------------------

OTHER = CART.replace("for: 24h", "for: 48h").replace("id: again", "id: last")


def redeployed(policy: str, second: str = OTHER, known: bool = True) -> On:
    """A contact that stands at ``day`` when the second revision comes."""
    first = ruleset(CART)
    on = On(Plan(link([first], 1), "reference"))
    on.fact(0, "cart_updated", cart="c1")
    on.look(2 * HOUR)
    assert on.at == {"c1": "day"}
    on.plan = plan(second.replace("finish_on_old", policy), 2, (first,) if known else ())
    return on


def test_who_is_under_way_finishes_on_the_revision_of_then() -> None:
    on = redeployed("finish_on_old")
    outcome = on.look(25 * HOUR)
    assert [m.rule for m in outcome.messages] == ["a/cart.again"]
    assert outcome.messages[0].revision == ruleset(CART).revision
    assert on.plan.program.template("a", outcome.messages[0].revision, "reminder") is not None


def test_who_migrates_goes_on_by_the_new_revision_from_where_it_stood() -> None:
    on = redeployed("migrate")
    on.fact(3 * HOUR, "other")
    assert on.contact.due == START + 49 * HOUR
    outcome = on.look(49 * HOUR)
    assert [(m.rule, m.revision) for m in outcome.messages] == [("a/cart.last", on.plan.program.rulesets["a"].revision)]


def test_who_migrates_to_nowhere_is_told_of() -> None:
    on = redeployed("migrate", OTHER.replace("id: day", "id: days"))
    on.fact(3 * HOUR, "other")
    assert on.moves[-1] == ("day", "end:stranded", "journey.stranded")


@pytest.mark.parametrize("gone", [False, True])
def test_a_journey_may_end_with_its_revision(gone: bool) -> None:
    on = redeployed("exit", "facts: {other: {}}\n" if gone else OTHER, known=False)
    on.fact(3 * HOUR, "other")
    assert on.moves[-1] == ("day", "end:redeployed", "journey.redeployed")
    on.look(9 * DAY)
    assert len(on.messages) == 1


def test_where_the_old_revision_decides_no_more_the_new_one_does() -> None:
    on = redeployed("finish_on_old", known=False)
    assert [m.rule for m in on.look(60 * HOUR).messages] == ["a/cart.last"]


# --- merges --------------------------------------------------------------------------------------------------------


def test_two_contacts_that_become_one_have_one_position_for_each_key() -> None:
    anonymous, known = On(plan(CART), "anonymous_id:x"), On(plan(CART))
    anonymous.fact(0, "cart_updated", cart="both")
    anonymous.fact(1, "cart_updated", cart="theirs")
    known.fact(1000, "cart_updated", cart="both")
    linked = Fact("l", "$link", "anonymous_id:x", START + 2000, START + 2000, {"into": "ada"})
    (merge,) = anonymous.take(linked).forwards
    assert (anonymous.contact.journeys, anonymous.contact.due) == ([], 0)
    known.take(merge)
    assert [(p.key, p.entered_at - START) for p in known.contact.journeys] == [("both", 0), ("theirs", 1)]
    assert known.moves[-1] == ("pause", "end:merged", "journey.merged")
    known.look(HOUR + 1)
    assert [at for at, _ in known.messages] == [HOUR, HOUR + 1]


# --- properties ----------------------------------------------------------------------------------------------------

acts = st.lists(
    st.tuples(
        st.sampled_from(["cart_updated", "checkout", "other"]), st.sampled_from(["c1", "c2", "c3"]), st.integers(0, 30)
    ),
    min_size=1,
    max_size=12,
)


def oracle(steps: list[tuple[str, str, int]], horizon: int) -> list[int]:
    """When messages are due, worked out by hand for each cart: an hour after the last change, a day after that."""
    sent: list[int] = []
    for cart in ("c1", "c2", "c3"):
        at, since = 0, None
        ends: list[tuple[int, str]] = []
        for type, which, gap in steps:
            at += gap * 10 * MINUTE
            if which == cart and type != "other":
                ends.append((at, type))
        ends.append((horizon, "end"))
        for when, type in ends:
            if since is not None:
                # A fact at the instant itself comes after it.
                sent += [due for due in (since + HOUR, since + 25 * HOUR) if due <= when]
            since = when if type == "cart_updated" else None
    return sorted(sent)


@given(acts, st.lists(st.integers(0, 300), max_size=6), st.booleans())
@settings(max_examples=150)
def test_nobody_is_stuck_nobody_twice_never_early_and_it_does_not_matter_when_a_worker_looks(
    steps: list[tuple[str, str, int]], looks: list[int], redelivered: bool
) -> None:
    horizon = 400 * HOUR
    punctual, late = On(plan(CART)), On(plan(CART))
    at, facts = 0, list[Fact]()
    for n, (type, cart, gap) in enumerate(steps):
        at += gap * 10 * MINUTE
        properties = {} if type == "other" else {"cart": cart}
        facts.append(Fact(f"f{n}", type, "ada", START + at, START + at, properties))
    times = sorted([(START + look * 10 * MINUTE) for look in looks])
    for fact in facts:
        while times and times[0] <= fact.accepted_at:
            late.take(Fact("look", "$tick", "ada", times[0], times.pop(0)))
        while 0 < punctual.contact.due <= fact.accepted_at:
            due = punctual.contact.due
            punctual.take(Fact("look", "$tick", "ada", due, due))
        punctual.take(fact)
        late.take(fact)
        if redelivered:  # a step decided again from the same state is the same step
            again = step(late.contact, Fact("look", "$tick", "ada", 0, fact.accepted_at), late.plan, 0)
            assert not again.messages
    punctual.look(horizon)
    late.look(horizon)
    assert sorted(at for at, _ in late.messages) == oracle(steps, horizon)
    assert late.messages == punctual.messages
    ids = [id for _, id in late.messages]
    assert len(ids) == len(set(ids))
    assert late.contact.journeys == punctual.contact.journeys == []
    assert late.contact.weight >= 0
    assert late.contact.due == 0


@given(acts)
@settings(max_examples=50)
def test_a_state_that_was_stored_goes_on_like_one_that_was_not(steps: list[tuple[str, str, int]]) -> None:
    kept, stored = On(plan(CART)), On(plan(CART))
    at = 0
    for type, cart, gap in steps:
        at += gap * 10 * MINUTE
        properties = {} if type == "other" else {"cart": cart}
        kept.fact(at, type, **properties)
        stored.fact(at, type, **properties)
        stored.contact = msgspec.msgpack.decode(msgspec.msgpack.encode(stored.contact), type=Contact)
    kept.look(400 * HOUR)
    stored.look(400 * HOUR)
    assert kept.messages == stored.messages
    assert encode(kept.contact) == encode(stored.contact)


def test_an_old_state_without_positions_is_readable() -> None:
    old = msgspec.to_builtins(Contact("ada"))[:-5]
    assert msgspec.convert(old, Contact).journeys == []
    assert msgspec.convert(msgspec.to_builtins(Position("a/j", "r", "i"))[:12], Position).value is None


@pytest.mark.parametrize("which", ["goal", "exit_when"])
def test_who_would_leave_at_once_does_not_begin(which: str) -> None:
    """It would get the first message of a journey that is not for it, and leave at its next fact."""
    text = CART.replace(
        "exit_when: fact",
        f"{which}: contact.plan == 'pro' or contact.fax == journey.key or fact.type == 'other'\n    #",
    )
    text = text.replace("requires:", "traits: {plan: string, fax: string}\nrequires:").replace(
        "{id: pause", "{id: at-once"
    )
    text = text.replace("wait: {for: 1h}", "send: {channel: email, template: reminder, purpose: marketing}", 1)
    on = On(plan(text))
    on.fact(0, "identify", plan="pro", fax="c9")
    on.fact(1, "cart_updated", cart="c1")
    assert (on.messages, on.at) == ([], {})
    assert on.moves[-1] == ("None", "None", "journey.over")
    on.fact(2, "identify", plan="free")
    on.fact(3, "cart_updated", cart="c1")
    assert on.at == {"c1": "day"}
    on.fact(4, "cart_updated", cart="c9")
    assert on.at == {"c1": "day"}


def test_a_goal_that_asks_for_a_fact_is_not_about_the_one_that_begins_it() -> None:
    on = On(plan(CART.replace('fact.type == "checkout" and', 'fact.type in ["checkout", "cart_updated"] and')))
    on.fact(0, "cart_updated", cart="c1")
    assert on.at == {"c1": "pause"}
