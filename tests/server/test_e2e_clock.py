"""What time alone changes, live over HTTP: scores that decay, segments and `while` that end, visits, a merge."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import pytest
from serverkit import Server, effects, eventually, fact, fresh

HALF_LIFE = 4.0  # seconds

DOCUMENT = """\
apiVersion: overture/v1
kind: Ruleset
name: {name}
facts:
  {name}.won: {{n: number}}
  {name}.seen: {{}}
scores:
  {name}_heat: {{decay: {{half_life: 4s}}}}
  {name}_held: {{}}
  {name}_visits: {{}}
  {name}_regular: {{}}
rules:
  won:
    when: fact.type == "{name}.won"
    then:
      - score: {{name: {name}_heat, add: = fact.n}}
  keen:
    while: count("{name}.seen", within="2s") >= 1
    then:
      - score: {{name: {name}_held, add: 5}}
  visit:
    when: fact.type == "session.ended"
    then:
      - score: {{name: {name}_visits, add: 1}}
  regular:
    when: fact.type == "{name}.seen" and count("{name}.seen", within="7d") >= 2
    then:
      - score: {{name: {name}_regular, add: 100}}
segments:
  {name}_hot:
    when: contact.scores.{name}_heat >= 8
"""


def deployed(server: Server) -> str:
    name = fresh("clock").replace("-", "_")
    server.deploy(name, DOCUMENT.format(name=name))
    return name


def left(points: float, won: float, at: float) -> float:
    return points * 2 ** (-(at - won) / HALF_LIFE)


def test_a_score_is_right_whenever_it_is_read_and_a_segment_ends_by_itself(server: Server) -> None:
    name, ada = deployed(server), fresh("ada")
    before = time.time()
    (decision,) = server.facts(fact(f"{name}.won", ada, n=10))["decisions"]
    after = time.time()
    assert decision["scores"][f"{name}_heat"] == 10
    assert f"{name}_hot" in decision["segments"]
    for _ in range(3):
        asked = time.time()
        score = server.contact(ada)["scores"][f"{name}_heat"]
        assert left(10, before, time.time()) - 1e-3 <= score <= left(10, after, asked) + 1e-3
        time.sleep(0.3)
    eventually(lambda: f"{name}_hot" not in server.contact(ada)["segments"], "left with no fact")
    last = server.timeline(ada)[-1]
    assert last["fact"]["type"] == "$tick"
    assert effects(last)[0][:2] == ("segment", f"{name}_hot")
    assert not server.pages(f"/v1/segments/{name}_hot/contacts?limit=10")


def test_the_ranking_is_right_without_anything_being_rewritten(server: Server) -> None:
    name, ada, bob = deployed(server), fresh("ada"), fresh("bob")
    server.facts(fact(f"{name}.won", ada, n=10))
    time.sleep(1)
    server.facts(fact(f"{name}.won", bob, n=9.5))  # less, but later
    for _ in range(2):
        rows = server.pages(f"/v1/scores/{name}_heat/top?limit=10")
        assert [row["contact"] for row in rows] == [bob, ada]
        scores = {contact: server.contact(contact)["scores"][f"{name}_heat"] for contact in (ada, bob)}
        for row in rows:
            assert scores[row["contact"]] <= row["score"] <= 10
        time.sleep(0.3)


def test_what_holds_for_a_while_ends_with_it_and_once_after_a_merge(server: Server) -> None:
    name, visitor, ada = deployed(server), {"anonymous_id": fresh("v")}, fresh("ada")
    server.facts(fact(f"{name}.seen", visitor), fact(f"{name}.seen", ada))
    server.facts(fact("identify", {"user_id": ada, **visitor}, plan="x"))
    contact = server.contact(ada)
    held = contact["scores"].get(f"{name}_held", 0)
    assert held in (0, 5)  # never twice; 0 where two seconds have gone already
    eventually(lambda: server.contact(ada)["scores"].get(f"{name}_held", 0) == 0, "taken back with no fact")
    told = [e for m in server.timeline(ada) for e in effects(m) if e[:2] == ("while", "keen")]
    assert told[-1][3] is False


def test_a_visit_of_a_visitor_goes_on_when_it_becomes_known(server: Server) -> None:
    name, visitor, ada = deployed(server), {"anonymous_id": fresh("v")}, fresh("ada")

    def page(contact: Any) -> Any:
        return fact("page_viewed", contact, path="/")

    server.facts(page(visitor))
    server.facts(fact("identify", {"user_id": ada, **visitor}, plan="x"))
    server.facts(page(ada))
    assert server.contact(ada)["scores"].get(f"{name}_visits", 0) == 0  # one visit, and it is not over


DAY = 86_400.0


def iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()


@pytest.mark.parametrize("batches", [1, 4])
def test_who_becomes_known_in_recorded_history_stays_there(server: Server, batches: int) -> None:
    """The windows of what is imported after the link end where that happened, not at the moment of the import."""
    name, ada, cookie = deployed(server), fresh("ada"), {"anonymous_id": fresh("cookie")}
    both, year_ago = {"user_id": ada, **cookie}, time.time() - 365 * DAY
    history = [
        fact(f"{name}.seen", cookie, at=iso(year_ago)),
        fact(f"{name}.seen", both, at=iso(year_ago + DAY)),  # the second within a week: 100 points
        fact(f"{name}.seen", ada, at=iso(year_ago + 60 * DAY)),
        fact(f"{name}.seen", cookie, at=iso(year_ago + 61 * DAY)),  # and again
    ]
    for part in range(0, 4, 4 // batches):
        server.facts(*history[part : part + 4 // batches], backfill=True)
    assert server.contact(ada)["scores"].get(f"{name}_regular") == 200
