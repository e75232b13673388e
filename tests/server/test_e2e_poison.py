"""Facts that are valid and yet make something go wrong further in: the others go on, and the reason is on record."""

from __future__ import annotations

from serverkit import Server, fact, fresh


def test_numbers_too_large_for_a_score_stop_nothing(server: Server) -> None:
    eve, ada = fresh("eve"), fresh("ada")
    for n, total in enumerate((1e20, -1e20, 1e308, 1e308)):
        server.facts(fact("order_completed", eve, order_id=str(n), total=total))
    server.facts(fact("order_completed", ada, order_id="1", total=10))
    server.drained()
    assert server.contact(ada)["scores"] == {"spend": 10, "orders": 1}
    assert server.contact(eve)["scores"] == {"orders": 4}
    refused = [
        effect["reason"]
        for moment in server.timeline(eve)
        for firing in moment["firings"]
        for effect in firing["effects"]
        if effect["name"] == "spend"
    ]
    assert refused == ["value.too_large"] * 4


NESTING = """\
apiVersion: overture/v1
kind: Ruleset
name: nesting
facts: {nested: {path: string, key: string}}
traits: {paths: "list?"}
scores: {by_key: {per: key}}
rules:
  first:
    when: fact.type == "nested" and not has(contact.paths)
    then:
      - set: {paths: "= [fact.path]"}
  next:
    when: fact.type == "nested" and has(contact.paths)
    then:
      - set: {paths: "= [contact.paths, fact.path]"}
      - score: {name: by_key, add: 1}
"""


def test_what_would_grow_for_ever_stops_and_the_contact_stays_readable(server: Server) -> None:
    server.deploy("nesting", NESTING)
    eve, ada = fresh("eve"), fresh("ada")
    keys = ["x" * 60_000] + [f"k{n}" for n in range(1_100)]
    server.facts(*(fact("nested", eve, path="/", key=key) for key in keys))
    server.facts(fact("nested", ada, path="/", key="k"))
    assert len(server.contact(eve)["scores"]["by_key"]) == 1_000
    assert server.contact(ada)["traits"] == {"paths": ["/"]}
    last = server.timeline(eve)[-1]
    assert [e["reason"] for f in last["firings"] for e in f["effects"]] == ["value.too_deep", "contact.full"]
