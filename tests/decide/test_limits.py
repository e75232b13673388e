"""What one contact and one step may hold: beyond it nothing is kept, the reason is on record, and decisions go on."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from decidekit import Show, encode, made, plan
from hypothesis import given, settings
from hypothesis import strategies as st

from overture.decide import limits
from overture.decide.room import FULL, weigh
from overture.model import Contact, Effect, Fact, Step

HEAD = """\
facts:
  ev: {k: string?, v: any?, d: any?}
  copy: {v: any?, n: int?}
traits:
  seen: list?
  a: any?
  b: any?
scores:
  n: {}
  by: {per: k}
"""
COUNT = "      - score: {name: n, add: 1}\n"
RULES = """\
rules:
  keyed:
    when: fact.type == "ev" and has(fact.k)
    then:
      - score: {name: by, add: 1}
  once:
    when: fact.type == "ev" and has(fact.k)
    once_per: fact.k
    then:
      - issue: {kind: voucher, about: = fact.v}
  kept:
    when: fact.type == "ev" and has(fact.v)
    then:
      - set: {a: = fact.v}
"""
BOUND = limits.STATE_BYTES + 64 * 1024
"""With what is counted rather than weighed (consent, failed addresses), and what rulesets name."""


def effects(step: Step, kind: str) -> list[Effect]:
    return [e for f in step.trace.firings for e in f.effects if e.kind == kind] + [
        e for e in step.trace.effects if e.kind == kind
    ]


def reasons(step: Step) -> set[str]:
    return {e.reason for f in step.trace.firings for e in f.effects} | {e.reason for e in step.trace.effects}


def levels(value: Any) -> int:
    return 1 + max(map(levels, value), default=0) if isinstance(value, list) else 0


def test_a_list_that_holds_itself_stops_growing() -> None:
    show = Show(
        plan(
            HEAD + "rules:\n"
            '  first:\n    when: fact.type == "ev" and not has(contact.seen)\n'
            '    then:\n      - set: {seen: "= [fact.k]"}\n'
            '  more:\n    when: fact.type == "ev" and has(contact.seen)\n'
            f'    then:\n      - set: {{seen: "= [contact.seen, fact.k]"}}\n{COUNT}'
        )
    )
    for _ in range(100):
        show.fact("ev", k="/")
    assert levels(show.contact.traits["seen"]) == limits.VALUE_DEPTH
    assert effects(show.steps[-1], "set") == [Effect("set", "seen", reason="value.too_deep")]
    assert show.contact.scores == {"n": 99}


def test_a_value_that_is_too_deep_is_neither_derived_nor_put_into_a_code() -> None:
    deep = "= " + "[" * 20 + "fact.v" + "]" * 20
    show = Show(
        plan(
            HEAD + f'rules:\n  r:\n    when: fact.type == "ev"\n    then:\n'
            f'      - assert: {{type: copy, properties: {{n: 1, v: "{deep}"}}}}\n'
            f'      - issue: {{kind: voucher, n: 1, v: "{deep}"}}\n'
        )
    )
    shallow, nested = show.fact("ev", v=[]), show.fact("ev", v=[[[[[[[[[[[[[1]]]]]]]]]]]]])
    assert effects(shallow, "assert")[0].after.keys() == {"n", "v"}
    assert [(e.name, e.key, e.reason) for e in effects(nested, "assert")][1:] == [("copy", "v", "value.too_deep")]
    assert [e.reason for e in effects(nested, "issue")] == ["", "value.too_deep"]
    assert [set(code.properties) for code in show.contact.issued] == [{"n", "v"}, {"n"}]


def test_a_merge_brings_no_value_that_is_too_deep() -> None:
    deep: list[Any] = []
    for _ in range(limits.VALUE_DEPTH):
        deep = [deep]
    theirs = Contact("anonymous_id:x", 1, traits={"seen": deep, "a": 1})
    show = Show(plan(HEAD))
    state = {"from": theirs.id, "state": msgspec.to_builtins(theirs)}
    assert show.fact("$merge", **state).contact.traits == {"a": 1}
    assert reasons(show.steps[-1]) == {"", FULL}


def test_a_key_of_a_score_is_short_and_there_are_not_too_many() -> None:
    show = Show(plan(HEAD + RULES))
    assert effects(show.fact("ev", k="x" * 60_000), "score")[0].reason == "key.too_long"
    assert len(encode(show.steps[-1].trace.firings)) < 2_000
    assert effects(show.fact("ev", k="ü" * 101), "score")[0].reason == "key.too_long"
    for n in range(limits.SCORE_KEYS):
        assert effects(show.fact("ev", k=f"{n:0100}"), "score")[0].after == 1
    refused = show.fact("ev", k="one more")
    assert effects(refused, "score") == [Effect("score", "by", "one more", reason=FULL)]
    assert refused.scores == {}
    assert effects(show.fact("ev", k=f"{7:0100}"), "score")[0].after == 2
    by = show.contact.scores["by"]
    assert isinstance(by, dict)
    assert len(by) == limits.SCORE_KEYS


def test_traits_are_bounded_in_number_name_and_bytes() -> None:
    show = Show(plan(HEAD))
    assert reasons(show.fact("identify", **{"x" * 201: 1})) == {"key.too_long"}
    assert reasons(show.fact("identify", big="x" * (limits.VALUE_BYTES + 1))) == {"value.too_large"}
    for n in range(0, limits.TRAITS, 200):
        show.fact("identify", **{f"t{m}": m for m in range(n, n + 200)})
    assert reasons(show.fact("identify", more=1)) == {FULL}
    assert reasons(show.fact("identify", t7="other")) == {""}
    assert reasons(show.fact("identify", t8=None, more=1)) == {""}
    assert len(show.contact.traits) == limits.TRAITS
    for n in range(6):
        show.fact("identify", **{f"t{n}": "x" * 60_000})
    kept = [n for n in range(6) if show.contact.traits[f"t{n}"] != n]
    assert kept == [0, 1, 2]
    assert reasons(show.steps[-1]) == {FULL}
    assert reasons(show.fact("identify", t0=None)) == {""}
    assert reasons(show.fact("identify", t5="x" * 60_000)) == {""}
    assert len(encode(show.contact)) < limits.STATE_BYTES


def test_a_full_contact_is_decided_and_what_only_remembers_forgets_the_oldest() -> None:
    show = Show(plan(HEAD + RULES))
    show.fact("ev", k="early")
    for n in range(9):
        show.fact("identify", **{f"t{n}": "x" * (limits.VALUE_BYTES // 2 - 100)})
    assert reasons(show.steps[-1]) == {FULL}
    show.fact("identify", fill="x" * (limits.STATE_BYTES - show.contact.weight - 30))
    late = show.fact("ev", k="late" * 20, v="y" * 1000)
    voucher, left_out = effects(late, "issue")
    assert (voucher.after, left_out) == ({}, Effect("issue", "voucher", "about", reason=FULL))
    assert effects(late, "score") == [Effect("score", "by", "late" * 20, reason=FULL)]
    assert [code.properties for code in show.contact.issued] == [{}, {}]
    assert len(show.contact.fired["a/once"]) == 1  # type: ignore[arg-type]
    assert effects(show.fact("ev", k="late" * 20), "once_per")[0].reason == "once_per.key"
    assert reasons(show.fact("consent", channel="email", purpose="news", state="denied")) == {""}
    assert reasons(show.fact("message.failed", channel="email", address="a@x.org", permanent=True)) == {""}
    assert show.contact.suppressed == {"email:a@x.org": "bounce"}


def test_codes_addresses_consent_and_identifiers_are_bounded_in_number() -> None:
    show = Show(plan(HEAD + RULES))
    for n in range(limits.CODES + 5):
        show.fact("ev", k=f"k{n}")
        show.fact("message.failed", channel="email", address=f"a{n}@x.org", permanent=True)
        show.fact("consent", channel="email", purpose=f"p{n}", state="granted")
    assert [code.fact for code in show.contact.issued] == [f"f{3 * n + 1}" for n in range(5, limits.CODES + 5)]
    assert list(show.contact.suppressed) == [f"email:a{n}@x.org" for n in range(5, limits.ADDRESSES + 5)]
    assert list(show.contact.consent["email"]) == [f"p{n}" for n in range(limits.PURPOSES)]
    assert effects(show.steps[-1], "consent") == [Effect("consent", "email", "p104", reason=FULL)]
    assert reasons(show.fact("consent", channel="email", purpose="p7", state="denied")) == {""}
    for n in range(limits.IDENTIFIERS + 1):
        ids = {"anonymous_id": f"v{n}", "external": {"crm": f"c{n}"}}
        show.take(msgspec.structs.replace(made("ev", 1000 + n), ids=ids))
    assert show.contact.ids["external"] == {"crm": "c0"}
    assert show.contact.ids["anonymous_id"] == [f"v{n}" for n in range(limits.IDENTIFIERS)]
    assert effects(show.steps[-1], "identify") == [Effect("identify", "anonymous_id", "v1000", reason=FULL)]


def filled(contact: str, mark: str) -> Show:
    """A contact that has as much of everything as it may have."""
    show = Show(plan(HEAD + RULES), contact)
    for n in range(limits.SCORE_KEYS):
        show.fact("ev", k=f"{mark}{n}")
    for n in range(30):
        show.fact("identify", **{f"{mark}{n}-{m}": f"{m}" * 40 for m in range(40)})
    for n in range(30):
        show.fact("identify", **{f"{mark}{n}-0": "x" * 30_000})
    assert reasons(show.steps[-1]) == {FULL}
    return show


def test_two_full_contacts_become_one_that_is_no_larger() -> None:
    known, visitor = filled("ada", "a"), filled("anonymous_id:x", "x")
    before = known.contact
    (merge,) = visitor.take(made("$link", 9000, 0, {"into": "ada"}, visitor.contact.id)).forwards
    outcome = known.take(merge)
    assert len(encode(outcome.contact)) < BOUND
    assert outcome.contact.traits.items() >= before.traits.items()
    assert outcome.contact.scores["by"] == before.scores["by"]
    left_out = {e.name: e.after for e in outcome.trace.effects if e.reason}
    assert left_out["scores"] == limits.SCORE_KEYS
    assert left_out["traits"] == len(msgspec.convert(merge.properties["state"], Contact).traits)
    assert len(encode(outcome.trace)) < 1_000
    assert known.fact("ev", k="a1").trace.error == ""


def test_a_state_from_before_there_were_limits_is_decided_and_does_not_grow() -> None:
    show = Show(plan(HEAD + RULES))
    traits = {f"t{n}": "x" * 1000 for n in range(2 * limits.TRAITS)}
    show.contact = Contact("ada", 5, 1, traits=traits, scores={"by": {"y" * 300: 1}})
    assert reasons(show.fact("ev", k="k", v=1)) == {FULL, ""}
    assert reasons(show.fact("identify", t1=None, t2="x")) == {""}
    assert reasons(show.fact("identify", t2="xx")) == {FULL}
    assert show.contact.weight == weigh(show.contact)
    assert show.fact("ev", k="y" * 300).contact.scores["by"] == {"y" * 300: 2}


def test_what_one_step_derives_is_bounded_and_the_trace_is_short() -> None:
    copies = "      - assert: {type: copy, properties: {v: = fact.v}}\n" * 80
    sets = "".join(f"      - set: {{x{n}: = fact.v}}\n" for n in range(80))
    declared = "".join(f"  x{n}: any?\n" for n in range(80))
    document = HEAD.replace("traits:\n", f"traits:\n{declared}")
    show = Show(
        plan(
            f'{document}rules:\n  r:\n    when: fact.type == "ev"\n    then:\n{copies}{sets}'
            f'  tail:\n    when: fact.type == "copy"\n    then:\n{COUNT}'
        )
    )
    outcome = show.fact("ev", v="y" * 60_000)
    asserted = effects(outcome, "assert")
    fit = limits.DERIVED_BYTES // 60_000
    assert [e.reason for e in asserted] == [""] * fit + ["step.too_large"] * (80 - fit)
    assert asserted[0].after == {"v": "y" * 200 + "… (60000 bytes)"}
    assert [e.reason for e in effects(outcome, "set")] == [""] * 4 + [FULL] * 76
    assert outcome.contact.traits["x0"] == "y" * 60_000
    assert len(encode(outcome.trace)) < 60_000 + 80 * 400
    assert outcome.contact.scores == {"n": 1}  # equal facts count once
    small = show.fact("ev", v="y")
    assert effects(small, "assert")[0].after == {"v": "y"}
    listed = effects(show.fact("ev", v=["y" * 2000]), "set")
    assert (listed[0].before, listed[0].after) == ("y", "(a list of 2004 bytes)")


def test_a_message_carries_what_its_template_names_of_a_contact_that_holds_a_lot() -> None:
    show = Show(
        plan(
            HEAD + 'rules:\n  r:\n    when: fact.type == "ev"\n    then:\n'
            "      - score: {name: by, add: 1}\n      - issue: {kind: voucher}\n      - issue: {kind: other}\n"
            "      - send: {channel: email, template: hello, purpose: transactional}\n"
            "requires: {channels: [email]}\ntemplates:\n  hello:\n    subject: Is it b?\n"
            """    text: "{{ contact.a | default('') }} {{ contact.scores.by['k 1'] }} {{ issued.voucher.code }}"\n"""
        )
    )
    show.fact("identify", a="y", b="n")
    whole = show.fact("ev", k="k 1").messages[0].context
    assert whole["contact"].keys() == {"a", "b", "id", "scores", "segments", "lists"}
    assert whole["issued"].keys() == {"voucher", "other"}
    show.fact("identify", a="x" * 1000, b="x" * limits.MESSAGE_BYTES)
    context = show.fact("ev", k="k 2").messages[0].context
    assert context["fact"].keys() == {"k", "type", "id", "occurred_at"}
    assert context["issued"].keys() == {"voucher"}
    assert context["contact"] == {
        "a": "x" * 1000,
        "id": "ada",
        "scores": {"n": 0, "by": {"k 1": 1}},
        "segments": [],
        "lists": [],
    }


def test_what_a_template_names_is_read_as_the_template_engine_reads_it() -> None:
    """Quotes may hold the end of a tag, and what stands in a comment is not named."""
    show = Show(
        plan(
            HEAD + 'rules:\n  r:\n    when: fact.type == "ev"\n    then:\n'
            "      - send: {channel: email, template: hello, purpose: transactional}\n"
            "requires: {channels: [email]}\ntemplates:\n  hello:\n    subject: Hello\n    text: |\n"
            """      {% if fact.k | default("") == "}}" and contact.a | default("") == "x" %}x{% endif %}\n"""
            "      {# {{ contact.b }} #}\n"
        )
    )
    show.fact("identify", a="x", b="x" * limits.MESSAGE_BYTES)
    context = show.fact("ev", k="}}").messages[0].context
    assert context["contact"] == {"a": "x", "id": "ada", "scores": {"n": 0, "by": {}}, "segments": [], "lists": []}


TEXTS = st.sampled_from(["a", "b", "ü" * 30, "x" * 201, "y" * 30_000, "z" * 3000])
VALUES = st.one_of(TEXTS, st.lists(TEXTS, max_size=3), st.integers(-5, 5), st.none(), st.dictionaries(TEXTS, TEXTS))
IDS = st.fixed_dictionaries(
    {}, optional={"anonymous_id": TEXTS, "email": TEXTS, "external": st.dictionaries(st.sampled_from("pq"), TEXTS)}
)
FACTS = st.lists(
    st.tuples(
        st.booleans(),
        IDS,
        st.one_of(
            st.tuples(st.just("identify"), st.dictionaries(TEXTS, VALUES, max_size=3)),
            st.tuples(st.just("ev"), st.fixed_dictionaries({}, optional={"k": TEXTS, "v": VALUES})),
        ),
    ),
    max_size=20,
)
PER_KEY = plan(HEAD + RULES, kind="reference")
PLAIN = plan(
    (HEAD + RULES).replace("by: {per: k}", "by: {}").replace("once_per: fact.k", "once_per: contact"),
    version=2,
    kind="reference",
)


@settings(max_examples=200)
@given(FACTS, FACTS)
def test_the_weight_is_right_and_the_state_within_its_bound(mine: list[Any], theirs: list[Any]) -> None:
    show, visitor = Show(PER_KEY), Show(PER_KEY, "anonymous_id:x")
    for who, facts in ((visitor, theirs), (show, mine)):
        for n, (redeployed, ids, (type, properties)) in enumerate(facts):
            who.plan = PLAIN if redeployed else PER_KEY
            who.take(msgspec.structs.replace(made(type, n, 0, properties, who.contact.id), ids=ids))
            assert who.contact.weight == weigh(who.contact)
    (merge,) = visitor.take(made("$link", 300, 0, {"into": "ada"}, "anonymous_id:x")).forwards
    merged = show.take(merge).contact
    assert merged.weight == weigh(merged)
    assert len(encode(merged)) < BOUND
    assert len(encode(merged)) <= merged.weight + 500


def sending(asserts: int, sends: int) -> str:
    """Derived facts, each of which sends."""
    derive = "".join(f"      - assert: {{type: told, properties: {{n: {n}}}}}\n" for n in range(asserts))
    send = "      - send: {channel: email, template: hello, purpose: transactional}\n" * sends
    return f"""\
requires:
  channels: [email]
facts:
  ev: {{}}
  told: {{n: number}}
templates:
  hello: {{subject: s, text: t}}
rules:
  derive:
    when: fact.type == "ev"
    then:
{derive}
  send:
    when: fact.type == "told"
    then:
{send}
"""


def test_a_step_sends_so_many_messages_and_no_more():
    outcome = Show(plan(sending(3, 60))).fact("ev")
    assert len(outcome.messages) == limits.MESSAGES
    sent = effects(outcome, "send")
    assert [e.reason for e in sent] == [""] * 100 + ["step.too_many_messages"] * 80
    assert {m.id for m in outcome.messages} == {e.key for e in sent if not e.reason}


def test_a_step_has_so_many_effects_and_no_more():
    outcome = Show(plan(sending(200, 100))).fact("ev")
    assert limits.EFFECTS <= sum(len(f.effects) + 1 for f in outcome.trace.firings) < limits.EFFECTS + 200
    assert [(e.kind, e.reason) for e in outcome.trace.effects] == [("step", "step.too_many_effects")]


def test_joins_are_looked_at_so_far_and_no_further():
    rules = "".join(
        f"""\
  r{n}:
    when:
      all:
        - first: fact.type == "ev"
        - second: fact.type == "ev"
        - third: fact.type == "ev"
        - fourth: fact.type == "ev" and fact.n > first.n + {n}
      within: 7d
    then:
      - score: {{name: s, add: 1}}
"""
        for n in range(9)
    )
    show = Show(plan(f"facts:\n  ev: {{n: number}}\nscores:\n  s: {{}}\nrules:\n{rules}", kind="reference"))
    assert not any(effects(show.fact("ev", n=1), "join") for _ in range(10))
    for _ in range(10):
        show.fact("ev", n=1)
    costly = effects(show.fact("ev", n=1), "join")
    assert costly
    assert {e.reason for e in costly} == {"join.too_costly"}
    # All facts are remembered all the same: where a join is found soon, its rule fires.
    assert len(show.fact("ev", n=100).trace.firings) == 9


def test_what_passed_unseen_is_gone_through_so_far_and_the_state_is_right():
    segments = "".join(f'  s{n}:\n    when: total("ev", "n", within="{n}h") >= {n % 20 + 1}\n' for n in range(1, 401))
    text = f"facts:\n  ev: {{n: number}}\nsegments:\n{segments}"
    late, watched = Show(plan(text, kind="reference")), Show(plan(text, kind="reference"))
    at = 1_800_000_000_000
    for show in (late, watched):
        for n in range(20):
            show.take(Fact(f"f{n}", "ev", "ada", at + n * 420_000, at + n * 420_000, {"n": 1}))
    after = Fact("f99", "ev", "ada", at + 50 * 3_600_000, at + 50 * 3_600_000, {"n": 1})
    while 0 < watched.contact.due < after.occurred_at:
        due = watched.contact.due
        watched.take(Fact(f"tick:{due}", "$tick", "ada", due, due))
    outcome = late.take(after)
    watched.take(after)
    assert outcome.ticks[-1].effects[-1].reason == "ticks.too_many"
    assert len(outcome.ticks) <= limits.TICK_WORK // 400 + 1
    assert set(late.contact.segments) == set(watched.contact.segments)
    assert late.contact.due == watched.contact.due


@pytest.mark.parametrize("value", ["x" * 1024, "ü" * 200, 7, None, True, ["x" * 1000], {"a": 1}])
def test_what_is_not_large_is_shown_as_it_is(value: Any) -> None:
    assert limits.shown(value) == value
