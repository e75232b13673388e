"""Why and why not, through the live server and the command line: exactly what a rule saw, at any moment of the past."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from serverkit import Server, eventually, fact, fresh, overture

DOCUMENT = """\
apiVersion: overture/v1
kind: Ruleset
name: {name}
requires:
  channels: [email]
facts:
  visited: {{path: string}}
  bought: {{total: number}}
  chained: {{}}
  noticed: {{}}
traits:
  tier: "string?"
  email: "string?"
scores:
  warmth: {{}}
rules:
  warm:
    when: fact.type == "visited" and fact.path.startswith("/pricing")
    then:
      - score: {{name: warmth, add: 10}}
  offer:
    when: fact.type == "bought" and fact.total >= 50 and contact.scores.warmth >= {warmth}
    once_per: contact
    then:
      - set: {{tier: gold}}
      - send: {{channel: email, template: thanks, purpose: marketing}}
      - assert: {{type: noticed}}
  notice:
    when: fact.type == "noticed" and contact.tier == "gold"
    then:
      - score: {{name: warmth, add: 1}}
segments:
  warmest:
    when: contact.scores.warmth >= 15
    on_enter:
      - set: {{tier: warm}}
templates:
  thanks:
    subject: Thanks
    text: Thanks
"""


@pytest.fixture(scope="module")
def rules(server: Server) -> str:
    """The name of the deployed ruleset."""
    server.deploy("shop", DOCUMENT.format(name="shop", warmth=20))
    return "shop"


def ask(server: Server, contact: str, **query: str) -> Any:
    server.drained()
    return server.get(f"/v1/contacts/{quote(contact, safe='')}/explain?{urlencode(query)}")


def visit(contact: Any, path: str = "/pricing", **more: Any) -> Any:
    return fact("visited", contact, path=path, **more)


def bought(contact: Any, total: float = 60, **more: Any) -> Any:
    return fact("bought", contact, total=total, **more)


def leaves(node: Any) -> Iterator[tuple[str, bool, list[Any]]]:
    """(text, holds, values) of every test in a condition."""
    if node["kind"] == "test":
        yield node["text"], node["holds"], [o["value"] for o in node["operands"]]
    for term in node["terms"]:
        yield from leaves(term)


def failing(node: Any) -> list[str]:
    return ([node["text"]] if node["first_failing"] else []) + [t for n in node["terms"] for t in failing(n)]


def test_why_it_fired_and_what_became_of_the_message(server: Server, rules: str) -> None:
    ada = fresh("ada")
    server.facts(fact("identify", ada, email=f"{ada}@example.com"), visit(ada), visit(ada), bought(ada))
    server.settled()
    why = ask(server, ada, rule="offer")
    assert (why["outcome"], why["state"], why["fact"]["type"]) == ("fired", "then", "bought")
    assert why["revision"] == why["active_revision"] != ""
    assert list(leaves(why["condition"])) == [
        ('fact.type == "bought"', True, ["bought"]),
        ("fact.total >= 50", True, [60]),
        ("contact.scores.warmth >= 20", True, [20]),
    ]
    assert [e["kind"] for e in why["effects"]] == ["set", "send", "assert"]
    assert (why["change"], why["once_per"]) == (None, {"per": "contact", "last": None, "key": None})
    (message,) = why["messages"]
    assert (message["state"], message["reason"].partition(":")[0]) == ("dropped", "consent.missing")
    assert message["id"] == why["effects"][1]["key"]


def test_why_not_at_a_moment_long_past(server: Server, rules: str) -> None:
    ada = fresh("ada")
    first = bought(ada, 70)
    server.facts(visit(ada), first, *[visit(ada, "/" if n % 2 else "/pricing/team") for n in range(6)])
    assert server.contact(ada)["scores"]["warmth"] == 40
    why = ask(server, ada, rule="shop/offer", fact=first["id"])
    assert (why["outcome"], why["state"], why["note"]) == ("no_match", "then", "")
    assert failing(why["condition"]) == ["contact.scores.warmth >= 20"]
    assert why["change"]["sentence"] == "contact.scores.warmth was 10; 20 or more would do."
    assert why["sentence"] == f"It did not fire. contact.scores.warmth >= 20 did not hold. {why['change']['sentence']}"
    assert why["change"]["edits"] == [
        {"operand": "contact.scores.warmth", "was": 10, "needs": "20 or more", "value": 20, "name": ""}
    ]
    assert why["effects"] == []
    assert ask(server, ada, rule="offer")["fact"]["id"] == first["id"], "by default the newest that counts"


def test_held_back_by_once_per(server: Server, rules: str) -> None:
    ada = fresh("ada")
    server.facts(visit(ada), visit(ada), bought(ada, at="2026-03-01T10:00:00Z"), bought(ada, 99))
    why = ask(server, ada, rule="offer")
    assert (why["outcome"], why["condition"]["holds"]) == ("held_back", True)
    assert why["once_per"]["last"] == "2026-03-01T10:00:00.000Z"
    assert why["sentence"] == (
        "The condition held, but once_per held the rule back (once_per.contact). "
        "What counts happened at 2026-03-01T10:00:00.000Z."
    )


def test_a_contact_that_never_had_such_a_fact(server: Server, rules: str) -> None:
    ada = fresh("ada")
    seen = visit(ada)
    server.facts(seen)
    why = ask(server, ada, rule="offer")
    assert (why["outcome"], why["fact"], why["condition"]) == ("no_fact", None, None)
    assert why["sentence"] == "No fact of type bought was ever decided for this contact."
    why = ask(server, ada, rule="offer", fact=seen["id"])
    assert (why["outcome"], why["sentence"]) == (
        "wrong_type",
        "The fact is of type visited, and the rule is about bought.",
    )
    assert next(leaves(why["condition"])) == ('fact.type == "bought"', False, ["visited"])


def test_a_fact_that_a_rule_derived(server: Server, rules: str) -> None:
    ada = fresh("ada")
    root = bought(ada)
    server.facts(visit(ada), visit(ada), root)
    for asked in ({}, {"fact": root["id"]}, {"fact": f"{root['id']}:shop/offer:0"}):
        why = ask(server, ada, rule="notice", **asked)
        assert (why["outcome"], why["fact"]["id"]) == ("fired", f"{root['id']}:shop/offer:0")
        assert why["fact"]["cause"] == root["id"]
        assert list(leaves(why["condition"]))[1] == ('contact.tier == "gold"', True, ["gold"])


def test_what_a_visitor_did_before_it_became_known(server: Server, rules: str) -> None:
    cookie, ada = fresh("cookie"), fresh("ada")
    before = bought({"anonymous_id": cookie}, 55)
    server.facts(visit({"anonymous_id": cookie}), before)
    server.facts(fact("identify", {"user_id": ada, "anonymous_id": cookie}))
    server.facts(visit(ada))
    assert server.contact(ada)["scores"]["warmth"] == 20
    for asked in ({}, {"fact": before["id"]}):
        why = ask(server, ada, rule="offer", **asked)
        assert (why["contact"], why["decided_for"]) == (ada, f"anonymous_id:{cookie}")
        assert (why["outcome"], why["state"], why["fact"]["id"]) == ("no_match", "then", before["id"])
        assert why["change"]["sentence"] == "contact.scores.warmth was 10; 20 or more would do."
    server.facts(bought(ada))
    after = ask(server, ada, rule="offer")
    assert (after["decided_for"], after["outcome"]) == (ada, "fired")
    assert ask(server, f"anonymous_id:{cookie}", rule="offer") == after


def test_the_revision_that_decided_and_the_one_that_would_now(server: Server, rules: str) -> None:
    ada, name = fresh("ada"), "later"
    early = visit(ada)
    server.facts(early)
    text = """\
apiVersion: overture/v1
kind: Ruleset
name: later
facts:
  visited: {path: string}
traits:
  seen: "string?"
rules:
  see:
    when: fact.type == "visited" and fact.path == "/a"
    then:
      - set: {seen: "yes"}
"""
    old = server.deploy(name, text)
    why = ask(server, ada, rule="see", fact=early["id"])
    assert (why["outcome"], why["revision"], why["active_revision"]) == ("not_active", None, old)
    assert why["sentence"] == "The ruleset later was not active when this fact was decided."
    assert why["change"]["sentence"] == 'fact.path was "/pricing"; "/a" would do.'
    middle = visit(ada, "/b")
    server.facts(middle)
    new = server.deploy(
        name, text.replace('"/a"', '"/b"') + '  more:\n    when: fact.type == "visited"\n    then: []\n'
    )
    why = ask(server, ada, rule="see", fact=middle["id"])
    assert (why["outcome"], why["revision"], why["active_revision"]) == ("no_match", old, new)
    assert why["change"]["sentence"] == 'fact.path was "/b"; "/a" would do.'
    why = ask(server, ada, rule="later/more", fact=middle["id"])
    assert why["sentence"] == f"Revision {old} of later, which decided this fact, had no such rule."


def test_segments(server: Server, rules: str) -> None:
    ada = fresh("ada")
    first, second = visit(ada), visit(ada)
    server.facts(first)
    why = ask(server, ada, segment="warmest")
    assert (why["outcome"], why["state"], why["since"], why["fact"]) == ("out", "now", None, None)
    assert why["sentence"] == (
        "contact.scores.warmth >= 15 did not hold. contact.scores.warmth was 10; 15 or more would do."
    )
    server.facts(second)
    why = ask(server, ada, segment="warmest")
    assert (why["outcome"], why["fact"]["id"], why["sentence"]) == ("in", second["id"], "The condition holds.")
    assert why["since"] == server.timeline(ada)[-1]["fact"]["accepted_at"]
    assert [(e["kind"], e["name"], e["after"]) for e in why["effects"]] == [
        ("segment", "warmest", True), ("set", "tier", "warm"),
    ]  # fmt: skip
    past = ask(server, ada, segment="warmest", fact=first["id"])
    assert (past["outcome"], past["state"], past["effects"]) == ("out", "then", [])


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ({}, 400, "explain.question"),
        ({"rule": "offer", "segment": "warmest"}, 400, "explain.question"),
        ({"rule": "ofer"}, 404, "rule.unknown"),
        ({"rule": "shop/nothing", "fact": "none"}, 404, "fact.unknown"),
        ({"segment": "warmst"}, 404, "segment.unknown"),
        ({"segment": "warmest", "ruleset": "seo_guide"}, 404, "segment.unknown"),
        ({"rule": "offer", "fact": "none"}, 404, "fact.unknown"),
        ({"segment": "warmest", "fact": "none"}, 404, "fact.unknown"),
        ({"rules": "offer"}, 400, "request.query"),
    ],
)
def test_mistakes(server: Server, rules: str, query: dict[str, str], status: int, code: str) -> None:
    server.facts(visit("mistaken"))
    answer = server.call("GET", f"/v1/contacts/mistaken/explain?{urlencode(query)}")
    assert (answer.status, answer.json["code"]) == (status, code)


def test_a_name_that_several_rules_have(server: Server, rules: str) -> None:
    text = DOCUMENT.format(name="other", warmth=1).split("segments:")[0].replace("scores:\n  warmth: {}\n", "")
    text = "\n".join(line for line in text.splitlines() if "send:" not in line)
    server.deploy("other", text.replace("channels: [email]", "scores: [warmth]"))
    ada = fresh("ada")
    server.facts(bought(ada))
    answer = server.call("GET", f"/v1/contacts/{ada}/explain?rule=offer")
    assert (answer.status, answer.json["code"]) == (400, "rule.ambiguous")
    assert ask(server, ada, rule="offer", ruleset="other")["rule"] == "other/offer"
    server.deploy("other", "apiVersion: overture/v1\nkind: Ruleset\nname: other\n")
    assert ask(server, ada, rule="offer")["rule"] == "shop/offer"


def test_what_time_alone_did(server: Server, rules: str) -> None:
    server.deploy(
        "timed",
        """\
apiVersion: overture/v1
kind: Ruleset
name: timed
facts:
  visited: {path: string}
traits:
  left_at: "string?"
rules:
  missed:
    when: fact.type == "segment.left" and fact.name == "recent"
    then:
      - set: {left_at: "= fact.name"}
segments:
  recent:
    when: count("visited", within="1s") >= 1
""",
    )
    ada = fresh("ada")
    seen = visit(ada)
    server.facts(seen)
    assert ask(server, ada, segment="recent", fact=seen["id"])["outcome"] == "in"
    eventually(lambda: server.contact(ada)["traits"].get("left_at"), "the window is over")
    why = ask(server, ada, segment="recent")
    assert (why["outcome"], why["fact"]["type"]) == ("out", "$tick")
    assert why["change"]["sentence"] == 'count("visited", within="1s") was 0; 1 or more would do.'
    then = ask(server, ada, segment="recent", fact=why["fact"]["id"])
    assert (then["outcome"], then["state"]) == ("out", "then")
    server.facts(visit(ada, "/later"))
    for asked in ({}, {"fact": why["fact"]["id"]}):
        left = ask(server, ada, rule="missed", **asked)
        assert (left["outcome"], left["state"], left["fact"]["type"]) == ("fired", "then", "segment.left")
        assert left["fact"]["cause"] == why["fact"]["id"]


JOIN = """\
apiVersion: overture/v1
kind: Ruleset
name: joined
facts:
  visited: {path: string}
  bought: {total: number}
traits:
  city: "string?"
scores:
  joins: {}
  urban: {}
rules:
  both:
    when:
      all:
        - first: fact.type == "visited" and fact.path == "/pricing"
        - second: fact.type == "bought" and fact.total > 10 and fact.total < 1000
        - third: fact.type == "visited" and fact.path != first.path
      within: 1h
    then:
      - score: {name: joins, add: 1}
  in-town:
    while: contact.city == "NYC"
    then:
      - score: {name: urban, add: 5}
"""


def test_rules_over_several_facts(server: Server, rules: str) -> None:
    server.deploy("joined", JOIN)
    ada = fresh("ada")
    at = "2026-03-01T{}:00Z".format
    alone = bought(ada, 20, at=at("09:00"))
    server.facts(alone)
    why = ask(server, ada, rule="both")
    assert (why["outcome"], why["condition"]["text"]) == ("no_match", "first, second, third within 1h")
    assert failing(why["condition"]) == ['first: fact.type == "visited" and fact.path == "/pricing"']
    assert why["sentence"].startswith("It did not fire. first: fact.type ==")
    late, again, last = bought(ada, 30, at=at("11:30")), visit(ada, at=at("10:50")), visit(ada, "/x", at=at("11:40"))
    server.facts(visit(ada, at=at("10:00")), late)
    why = ask(server, ada, rule="both")
    assert failing(why["condition"]) == ["in this order, within 1h"]
    server.facts(again)
    why = ask(server, ada, rule="both")
    assert [term["holds"] for term in why["condition"]["terms"]] == [True, True, False]
    assert failing(why["condition"]) == ["in this order, within 1h"], "the first visit lies before the two"
    server.facts(last)
    why = ask(server, ada, rule="both", fact=last["id"])
    assert (why["outcome"], [e["kind"] for e in why["effects"]]) == ("fired", ["score"])
    values = [term["operands"][0]["value"] for term in why["condition"]["terms"]]
    assert values == [again["id"], late["id"], last["id"]]
    cheap = bought(ada, 5)
    server.facts(cheap)
    why = ask(server, ada, rule="both", fact=cheap["id"])
    assert (why["outcome"], why["change"]["sentence"]) == ("no_match", "fact.total was 5; 11 would do.")


def test_a_rule_that_holds_for_a_while(server: Server, rules: str) -> None:
    server.deploy("joined", JOIN)
    ada = fresh("ada")
    home = fact("identify", ada, city="NYC")
    server.facts(home)
    why = ask(server, ada, rule="in-town")
    assert (why["outcome"], why["sentence"], why["fact"]["id"]) == ("held", "The condition holds.", home["id"])
    assert ("score", "urban", 5) in [(e["kind"], e["name"], e["after"]) for e in why["effects"]]
    assert why["since"] == server.timeline(ada)[-1]["fact"]["accepted_at"]
    server.facts(fact("identify", ada, city="LA"))
    why = ask(server, ada, rule="in-town")
    assert (why["outcome"], why["since"]) == ("not_held", None)
    assert why["change"]["sentence"] == 'contact.city was "LA"; "NYC" would do.'
    assert ask(server, ada, rule="joined/in-town", fact=home["id"])["outcome"] == "held"


def test_where_to_look(server: Server, rules: str) -> None:
    ada, bob, eve = fresh("ada"), fresh("bob"), fresh("eve")
    server.facts(visit(ada), visit(ada), bought(ada), bought(ada, id="again"), bought(bob, 20))

    def told(outcome: str) -> list[Any]:
        server.drained()
        return server.get(f"/v1/rulesets/shop/rules/offer/traces?outcome={outcome}&limit=5")["items"]

    assert (told("held_back")[0]["contact"], told("held_back")[0]["fact"]) == (ada, "again")
    assert ada in [sample["contact"] for sample in told("fired")]

    def nearly() -> Any:
        """Facts are looked at now and then, so it takes some."""
        server.facts(bought(eve, 70))
        return next((sample for sample in told("near_miss") if sample["contact"] == eve), None)

    sample = eventually(nearly, "a near miss is noted")
    assert sample["failed"] == "contact.scores.warmth >= 20"
    why = ask(server, eve, rule="offer", fact=sample["fact"])
    assert (why["outcome"], failing(why["condition"])) == ("no_match", [sample["failed"]])
    for name, status in (("shop/rules/nothing", 404), ("nothing/rules/offer", 404)):
        assert server.call("GET", f"/v1/rulesets/{name}/traces").status == status
    assert server.call("GET", "/v1/rulesets/shop/rules/offer/traces?outcome=lost").status == 400


# --- the command line ---------------------------------------------------------------------------------------------


def test_the_command(server: Server, rules: str) -> None:
    ada = fresh("ada")
    server.facts(visit(ada), bought(ada, 70))
    environ = {"OVERTURE_PORT": str(server.port), "OVERTURE_ADMIN_KEY": server.environ["OVERTURE_ADMIN_KEY"]}
    run = overture("explain", ada, "shop/offer", environ=environ)
    assert run.returncode == 0, run.stderr
    lines = run.stdout.splitlines()
    assert lines[0] == f"shop/offer, {ada}: no match"
    assert "contact.scores.warmth was 10; 20 or more would do." in lines[1]
    tree = lines[lines.index("✗ all of") :]
    assert tree == [
        "✗ all of",
        '  ✓ fact.type == "bought"    fact.type = "bought"',
        "  ✓ fact.total >= 50    fact.total = 70",
        "  ✗ contact.scores.warmth >= 20    contact.scores.warmth = 10  ← failed first",
    ]
    told = json.loads(overture("explain", ada, "offer", "--json", environ=environ).stdout)
    assert told == ask(server, ada, rule="offer")
    run = overture("explain", ada, "--segment", "warmest", environ=environ)
    assert run.stdout.splitlines()[0] == f"segment warmest, {ada}: out"
    server.facts(visit(bob := fresh("bob")))
    said = overture("explain", bob, "shop/offer", environ=environ).stdout
    assert f"active is revision {told['active_revision']}" in said
    assert "none" not in said
    for arguments, words in (
        ((ada, "nothing"), "No active ruleset has the rule nothing."),
        ((ada,), "The question is about one rule, one segment, one journey or one choice."),
        (("nobody", "offer"), "There is no such contact."),
        ((ada, "offer", "--fact", "none"), "No fact none was decided for this contact."),
    ):
        run = overture("explain", *arguments, environ=environ)
        assert (run.returncode, run.stdout) == (2, "")
        assert run.stderr.startswith(f"overture: {words}")
        assert "Traceback" not in run.stderr
