"""Choices: who is shown what, with which probability, for how long, and what counts as a success."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec
import pytest
from decidekit import HEAD, encode
from hypothesis import given, settings
from hypothesis import strategies as st

from overture.decide import Plan, step
from overture.decide.choosing import learned_as
from overture.deploy.choices import differs, posterior
from overture.model import Contact, Effect, Fact, Step, Trace
from overture.model.artefact import Artefact, Posterior, digest, pack, unpack
from overture.model.sampler import beliefs, best_of, drawn, shares
from overture.rules import Program, link, load
from overture.rules.ruleset import Choice
from overture.state.choices import Counts
from overture.worker.impressions import shown

START = 1_790_000_000_000
HOUR, DAY = 3_600_000, 86_400_000
HERO = """
requires: {channels: [email]}
facts: {seen: {}, bought: {}, other: {}}
traits: {country: "string?"}
choices:
  hero:
    variants: [a, b, c]
    goal: fact.type == "bought" or fact.type == "message.clicked"
    within: 3d
rules:
  offer:
    when: fact.type == "seen"
    then: [{send: {channel: email, template: {choice: hero}, purpose: transactional}}]
templates: {a: {subject: A, text: A}, b: {subject: B, text: B}, c: {subject: C, text: C}}
"""
ID = "o/hero"


def program(text: str = HERO, version: int = 1, learned: dict[str, Artefact] | None = None) -> Program:
    return link([load(HEAD.format(name="o") + text)], version, learned=learned or {})


def plan(text: str = HERO, version: int = 1, **arms: tuple[float, float]) -> Plan:
    """``arms``: what was learned, good and bad."""
    found = program(text)
    learned = {learned_as(ID): _posterior(found.choices[ID], arms)} if arms else {}
    return Plan(program(text, version, learned), "reference")


def _posterior(choice: Choice, arms: dict[str, tuple[float, float]]) -> Posterior:
    best = best_of(beliefs([*arms.values()]))
    return Posterior(choice.edition, arms, 0, {}, dict(zip(arms, best, strict=True)))


class On:
    """One contact that is shown facts; ``counts`` are those that commits would have made."""

    def __init__(self, plan: Plan, contact: str = "ada") -> None:
        self.plan = plan
        self.contact = Contact(contact)
        self.counts: Counts = Counter()
        self.n = 0

    def fact(self, at: int, type: str, id: str = "", **more: Any) -> Step:
        self.n += 1
        id = id or f"f{self.n}"
        asked = more.pop("choices", [])
        return self.take(Fact(id, type, self.contact.id, START + at, START + at, more, choices=asked))

    def take(self, fact: Fact) -> Step:
        before = encode(self.contact)
        outcome = step(self.contact, fact, self.plan, fact.accepted_at)
        assert encode(self.contact) == before
        assert encode(step(self.contact, fact, self.plan, 0).contact) == encode(outcome.contact), "once more, the same"
        self.contact = outcome.contact
        shown(self.counts, outcome)
        return outcome

    def asks(self, at: int, name: str = "hero") -> Effect:
        return told(self.fact(at, "other", choices=[name]), "choice")[-1]

    def count(self, what: str) -> int:
        return sum(n for cell, n in self.counts.items() if cell.what == what)


def told(outcome: Step, kind: str) -> list[Effect]:
    return [e for trace in outcome.traces for e in trace.all_effects if e.kind == kind]


# --- the sampler -----------------------------------------------------------------------------------------------------


def test_how_often_one_is_the_best_is_what_mathematics_says() -> None:
    assert best_of(((1, 1), (1, 1), (1, 1))) == pytest.approx([1 / 3] * 3, abs=1e-4)
    assert best_of(((1, 1), (3, 1))) == pytest.approx([1 / 4, 3 / 4], abs=1e-4)
    assert best_of(((2, 1), (1, 2))) == pytest.approx([5 / 6, 1 / 6], abs=1e-4)
    # Beta(1001, 9001) and Beta(1101, 8901) are nearly normal: P = Φ(Δ / σ).
    assert best_of(((1001, 9001), (1101, 8901)))[0] == pytest.approx(0.01056, abs=2e-4)


def test_what_was_hardly_shown_is_thought_to_be_like_the_others() -> None:
    assert beliefs([(0, 0), (0, 0)]) == ((1, 1), (1, 1))
    rare = beliefs([(50, 9_950), (0, 3), (40, 9_960)])
    assert rare[1][0] / sum(rare[1]) == pytest.approx(91 / 20_000, rel=0.02), "a rate that is usual here"
    assert best_of(rare)[1] < 0.4
    assert beliefs([(99, 0), (0, 0)])[1] == (100, 1), "and where nearly all succeed, so may it"


belief = st.tuples(st.floats(0, 1e6), st.floats(0, 1e6)).map(lambda counts: (1 + counts[0], 1 + counts[1]))


@given(st.lists(belief, min_size=2, max_size=6), st.floats(0.001, 1))
@settings(max_examples=60)
def test_propensities_sum_to_one_and_none_falls_below_the_floor(beliefs: list[Any], explore: float) -> None:
    parts = shares(best_of(tuple(beliefs)), explore)
    assert sum(parts) == pytest.approx(1, abs=1e-9)
    assert min(parts) >= explore / len(beliefs) - 1e-12
    again = shares(best_of(tuple(beliefs[::-1])), explore)
    assert parts == pytest.approx(again[::-1], abs=1e-6)


@pytest.mark.parametrize(
    "arms", [{}, {"a": (10, 90), "b": (16, 84), "c": (12, 88)}, {"a": (0, 500), "b": (9, 991), "c": (3, 97)}]
)
def test_what_is_logged_as_propensity_is_how_often_it_is_drawn(arms: dict[str, tuple[float, float]]) -> None:
    at, n = plan(HERO, 1, **arms), 6_000
    seen: Counter[str] = Counter()
    logged: dict[str, float] = {}
    for i in range(n):
        (effect,) = told(On(at, f"c{i}").fact(0, "seen", f"f{i}"), "choice")
        seen[effect.key] += 1
        logged[effect.key] = effect.after["propensity"]
    for variant, p in logged.items():
        assert abs(seen[variant] / n - p) < 4 * (p * (1 - p) / n) ** 0.5, (variant, p, seen)
    assert sum(logged.values()) == pytest.approx(1)


def test_the_better_one_comes_to_be_shown_to_nearly_all_and_the_floor_remains() -> None:
    choice = program().choices[ID]
    rates = {"a": 0.05, "b": 0.12, "c": 0.05}
    counts: Counts = Counter()
    learned: Posterior | None = None
    history: list[float] = []
    for day in range(30):
        found = Plan(program(HERO, day + 1, {learned_as(ID): learned} if learned else {}), "reference")
        assert found.choosing is not None
        sampler = found.choosing.active[ID].sampler
        parts = sampler.shares((0, 1, 2))
        history.append(parts[1])
        for i in range(100):
            at = drawn(parts, f"{day}", f"{i}")
            variant = "abc"[at]
            came = drawn((rates[variant], 1 - rates[variant]), "outcome", f"{day}", f"{i}") == 0
            _count(counts, choice, variant, came)
        new = posterior(choice, counts)
        learned = new if differs(choice, learned, new) else learned
    assert history[0] == pytest.approx(1 / 3)
    assert history[-1] == pytest.approx(1 - 2 * 0.05 / 3, abs=0.01), "the floor goes to the others"


def _count(counts: Counts, choice: Choice, variant: str, came: bool) -> None:
    after = "reached" if came else "missed"
    effect = Effect("result", choice.id, variant, {"edition": choice.edition, "propensity": 0.5}, after)
    shown(counts, Step(Contact("x"), _trace([effect])))


def _trace(effects: list[Effect]) -> Any:
    return Trace(1, Fact("f", "x", "x", 0, 0), 1, 0, [], effects)


def test_what_was_learned_is_data_and_decides_by_its_edition_only() -> None:
    choice = program().choices[ID]
    found = _posterior(choice, {"a": (1, 99), "b": (90, 10), "c": (1, 99)})
    assert unpack(pack(found)) == found
    known = On(Plan(program(HERO, 2, {learned_as(ID): found}), "reference")).asks(0)
    assert (known.key, known.before) == ("b", digest(found))
    assert known.after["propensity"] == pytest.approx(0.95 + 0.05 / 3, abs=1e-4)
    other = HERO.replace("within: 3d", "within: 4d")
    assert On(Plan(program(other, 2, {learned_as(ID): found}), "reference")).asks(0).before is None
    same = Plan(program(), "reference")
    again = same.learned(program(HERO, 2, {learned_as(ID): found}))
    assert On(again).asks(0).before == digest(found), "a plan that only learned is compiled no further"
    assert On(same).asks(0).before is None


# --- who keeps what --------------------------------------------------------------------------------------------------


def test_a_contact_keeps_its_variant_whatever_is_learned_later() -> None:
    ada = On(plan())
    first = ada.asks(0)
    other = next(name for name in "abc" if name != first.key)
    arms = dict.fromkeys("abc", (1.0, 99.0)) | {other: (99.0, 1.0)}
    ada.plan = plan(HERO, 2, **arms)
    again = ada.asks(DAY)
    assert (again.key, again.before, again.after["kept"]) == (first.key, None, True)
    assert again.after["propensity"] == first.after["propensity"]
    assert (ada.count("shown"), len(ada.contact.choices)) == (1, 1)
    mail = ada.fact(2 * DAY, "seen")
    assert [m.template for m in mail.messages] == [first.key]


def test_after_keep_it_is_drawn_again_and_counts_again() -> None:
    ada = On(plan(HERO.replace("within: 3d", "within: 3d\n    keep: 7d")))
    first = ada.asks(0)
    assert ada.asks(7 * DAY - 1).after["kept"]
    ada.plan = plan(HERO.replace("within: 3d", "within: 3d\n    keep: 7d"), 2, a=(1, 9999), b=(9999, 1), c=(1, 9999))
    second = ada.asks(7 * DAY)
    assert (first.after["kept"], second.after["kept"], second.key) == (False, False, "b")
    ada.fact(11 * DAY, "$tick")
    assert (ada.count("shown"), ada.count("counted")) == (2, 2)


def test_a_variant_is_shown_only_to_whom_it_is_meant_for() -> None:
    text = HERO.replace("[a, b, c]", '{a: {if: contact.country == "DE"}, b: {if: contact.country == "AT"}, c: }')
    nobody = text.replace("c: }", 'c: {if: contact.country == "CH"}}')
    strangers = [On(plan(text), f"c{i}").asks(0) for i in range(5)]
    assert {(e.key, e.after["propensity"]) for e in strangers} == {("c", 1.0)}
    none = On(plan(nobody))
    assert (none.asks(0).key, none.asks(0).reason) == ("", "choice.none_eligible")
    sent = none.fact(0, "seen")
    assert (sent.messages, [e.reason for e in told(sent, "send")]) == ([], ["choice.none_eligible"])
    german = On(plan(text, 1, a=(99, 1), b=(1, 1), c=(1, 99)), "greta")
    german.fact(0, "identify", country="DE")
    assert german.asks(0).key == "a"
    german.fact(1, "identify", country="AT")
    assert german.asks(1).key in ("b", "c"), "it is not meant for it any more"
    german.fact(2, "identify", country="DE")
    assert german.asks(2).key == "a"
    assert german.asks(2).after["kept"]


def test_who_becomes_known_keeps_the_first_and_counts_once() -> None:
    text = plan()
    anonymous, known = On(text, "anonymous_id:1"), On(text, "ada")
    i = 0
    while (first := anonymous.asks(0)).key == known.asks(HOUR).key and (i := i + 1):
        anonymous, known = On(text, f"anonymous_id:{i}"), On(text, "ada")
    anonymous.fact(2 * HOUR, "bought")
    state = msgspec.to_builtins(anonymous.contact)
    merged = known.take(
        Fact("m", "$merge", "ada", START + DAY, START + DAY, {"from": anonymous.contact.id, "state": state})
    )
    assert [(e.key, e.reason) for e in told(merged, "choice")] != []
    kept = known.asks(DAY + HOUR)
    assert (kept.key, kept.after["kept"]) == (first.key, True)
    (result,) = told(known.fact(5 * DAY, "$tick"), "result")
    assert (result.key, result.after) == (first.key, "reached")
    assert known.count("shown") + anonymous.count("shown") == known.count("counted") == 1


# --- outcomes --------------------------------------------------------------------------------------------------------


def test_all_count_at_the_same_age_whatever_came_of_it() -> None:
    buyer, other = On(plan()), On(plan())
    shown_ = [each.asks(0) for each in (buyer, other)]
    assert told(buyer.fact(HOUR, "bought"), "result") == []
    assert buyer.contact.due == other.contact.due == START + 3 * DAY
    (a,), (b,) = (told(each.fact(4 * DAY, "$tick"), "result") for each in (buyer, other))
    assert (a.after, b.after, a.key, b.key) == ("reached", "missed", shown_[0].key, shown_[1].key)
    assert a.before["propensity"] == pytest.approx(1 / 3)
    assert (buyer.count("counted"), buyer.count("reached")) == (1, 1)
    assert buyer.count("w") == buyer.count("wr") == 3000
    assert told(buyer.fact(9 * DAY, "bought"), "result") == [], "it counts once"


@pytest.mark.parametrize(
    ("at", "type", "about", "reached"),
    [
        (3 * DAY - 1, "bought", {}, True),
        (3 * DAY, "bought", {}, False),
        (HOUR, "other", {}, False),
        (HOUR, "message.clicked", {"message": "own"}, True),
        (HOUR, "message.clicked", {"message": "another"}, False),
        (HOUR, "message.clicked", {"message": "own", "machine": True}, False),
    ],
)
def test_what_is_a_success(at: int, type: str, about: dict[str, Any], reached: bool) -> None:
    ada = On(plan())
    (message,) = ada.fact(0, "seen").messages
    said = {**about, "message": message.id} if about.get("message") == "own" else about
    ada.fact(at, type, channel="email", **said)
    results = [*told(ada.fact(4 * DAY, "$tick"), "result")]
    assert (ada.count("counted"), ada.count("reached")) == (1, int(reached))
    assert [e.after for e in results] in ([["reached"]] if reached else [["missed"], []])


def test_what_happened_before_it_was_shown_and_history_is_no_success() -> None:
    ada = On(plan())
    ada.asks(DAY)
    late = Fact("late", "bought", "ada", START, START + DAY + HOUR)
    ada.take(late)
    assert told(ada.fact(5 * DAY, "$tick"), "result")[0].after == "missed"
    past = On(plan())
    outcome = past.take(Fact("p", "other", "ada", START, START, backfill=True, choices=["hero"]))
    assert [(e.key, e.reason) for e in told(outcome, "choice")] == [("", "backfill")]


def test_a_message_that_the_gate_keeps_from_the_contact_showed_nothing() -> None:
    out = On(plan(HERO.replace("purpose: transactional", "purpose: news") + "holdout: 100\n"))
    sent = out.fact(0, "seen")
    assert sent.messages == []
    assert {e.reason for e in told(sent, "choice")} == {"", "choice.withdrawn"}
    assert (out.contact.choices, out.count("shown")) == ([], 0)


@pytest.mark.parametrize(
    ("reason", "shown_"), [("consent.denied: It was taken back.", 0), ("template.failed: It has no end.", 1)]
)
def test_a_message_that_was_not_handed_over_showed_nothing_but_for_a_template_that_fails(
    reason: str, shown_: int
) -> None:
    ada = On(plan())
    (message,) = ada.fact(0, "seen").messages
    ada.fact(HOUR, "message.dropped", message=message.id, channel="email", reason=reason)
    assert ada.count("shown") == len(ada.contact.choices) == shown_


def test_a_choice_whose_goal_is_another_now_does_not_count_what_was_shown_for_the_old_one() -> None:
    ada = On(plan())
    ada.asks(0)
    ada.plan = plan(HERO.replace("within: 3d", "within: 4d"), 2)
    ada.asks(HOUR)
    outcome = ada.fact(5 * DAY, "$tick")
    assert [e.after for e in told(outcome, "result")] == ["missed"]
    assert (ada.count("shown"), ada.count("counted")) == (1, 1)


CAPPED = """
    variants:
      a:
        if: >-
          count("choice.made", within="7d", where='fact.variant == "a"') < 2
      b:
"""
HEARD = """
  heard:
    when: fact.type == "choice.made"
    then: [{set: {country: = fact.variant}}]
templates:"""


def test_rules_hear_of_what_is_shown_and_can_cap_it() -> None:
    text = HERO.replace("    variants: [a, b, c]\n", CAPPED).replace("templates:", HEARD)
    ada = On(plan(text, 1, a=(999, 1), b=(1, 999)), "ada")
    shown_ = [ada.asks(n).key for n in range(4)]
    assert shown_[:2] == ["a", "a"]
    assert set(shown_[2:]) == {"b"}
    assert ada.contact.traits["country"] == "b"


@pytest.mark.parametrize(("name", "reason"), [("nothing", "choice.unknown"), ("o/nothing", "choice.unknown")])
def test_a_choice_that_is_not_there(name: str, reason: str) -> None:
    assert On(plan()).asks(0, name).reason == reason
    assert On(Plan(link([], 1), "reference")).asks(0, name).reason == reason


moves = st.lists(
    st.tuples(st.integers(0, 30), st.sampled_from(["seen", "bought", "other", "$tick", "merge"])), max_size=14
)


@given(moves)
@settings(max_examples=60)
def test_nothing_is_counted_twice_and_nothing_gets_lost(moves: list[tuple[int, str]]) -> None:
    """Whatever comes, in whatever order: what was shown has counted, or is to count."""
    text = plan(HERO.replace("within: 3d", "within: 3d\n    keep: 5d"))
    ada = On(text)
    other = 0
    at = 0
    for hours, what in moves:
        at += hours * HOUR
        if what == "merge":
            other += 1
            guest = On(text, f"anonymous_id:{other}")
            guest.asks(max(at - DAY, 0))
            state = msgspec.to_builtins(guest.contact)
            said = {"from": guest.contact.id, "state": state}
            ada.take(Fact(f"m{other}", "$merge", "ada", START + at, START + at, said))
            ada.counts.update(guest.counts)
        else:
            ada.fact(at, what, choices=["hero"] if what == "other" else [])
    pending = [each for each in ada.contact.choices if not each.counted]
    assert ada.count("shown") == ada.count("counted") + len(pending)
    ada.fact(at + 9 * DAY, "$tick")
    assert ada.count("shown") == ada.count("counted")
    assert ada.count("reached") <= ada.count("counted")
