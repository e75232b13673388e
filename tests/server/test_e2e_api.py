"""What the HTTP API promises, against a real server: duplicates, conflicts, waiting, formats, rulesets, messages."""

from __future__ import annotations

import gzip
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import msgpack
import pytest
from serverkit import WRITE, Answer, Mailbox, Server, derived, fact, fresh


def post(server: Server, body: Any, type: str = "application/json", query: str = "", **headers: str) -> Answer:
    return server.call("POST", f"/v1/facts{query}", body, key=WRITE, headers={"Content-Type": type, **headers})


def paper(contact: Any, **more: Any) -> Any:
    return fact("whitepaper_downloaded", contact, **more)


# --- facts --------------------------------------------------------------------------------------------------------


def test_the_same_fact_is_a_duplicate_and_another_body_a_conflict(server: Server) -> None:
    ada = fresh("ada")
    first = paper(ada, offer="seo")
    assert post(server, first).json == {"accepted": 1, "duplicates": 0, "rejected": [], "ids": [first["id"]]}
    again = {name: first[name] for name in reversed(first)}  # written in another order
    assert post(server, again).json == {"accepted": 0, "duplicates": 1, "rejected": [], "ids": [first["id"]]}
    conflict = post(server, {**first, "properties": {"offer": "ads"}})
    assert (conflict.status, conflict.json["code"]) == (409, "fact.id_conflict")
    assert server.contact(ada)["scores"]["lead"] == 15


def test_a_batch_with_everything_in_it(server: Server) -> None:
    ada = fresh("ada")
    first, second = paper(ada), paper(ada)
    server.facts(first)
    batch = [second, {"type": "page viewed"}, first, {**first, "type": "page_viewed"}, second, paper(ada)]
    answer = post(server, batch, query="?wait=true")
    assert answer.status == 200
    summary = answer.json
    assert (summary["accepted"], summary["duplicates"]) == (2, 2)
    assert [r["index"] for r in summary["rejected"]] == [1, 3]
    assert summary["rejected"][1]["code"] == "fact.id_conflict"
    assert [id is None for id in summary["ids"]] == [False, True, False, True, False, False]
    decided = [d["scores"]["lead"] if d else None for d in summary["decisions"]]
    assert decided == [30, None, None, None, None, 45]


def test_a_fact_without_an_id_is_taken_each_time(server: Server) -> None:
    ada = fresh("ada")
    nameless = {"type": "whitepaper_downloaded", "contact": ada}
    ids = [post(server, nameless).json["ids"][0] for _ in range(3)]
    assert len(set(ids)) == 3
    assert server.contact(ada)["scores"]["lead"] == 45


def test_the_same_id_for_two_contacts_is_two_facts(server: Server) -> None:
    names = [fresh("ada") for _ in range(40)]  # some share a partition
    id = fresh("fact-")
    for name in names:
        assert server.facts(paper(name, id=id))["accepted"] == 1
        server.facts(fact("order_completed", name, id=f"{id}-order", order_id="o1", total=1))
    contacts = [server.contact(name) for name in names]
    assert [c["scores"]["lead"] for c in contacts] == [15] * 40
    assert len({c["issued"][0]["code"] for c in contacts}) == 40


def test_waiting_for_a_fact_that_is_posted_many_times_at_once(server: Server) -> None:
    for _ in range(10):
        each = paper(fresh("ada"))
        with ThreadPoolExecutor(6) as pool:
            answers = list(pool.map(lambda f: server.facts(f), [each] * 6))
        (taken,) = [a for a in answers if a["accepted"]]
        assert taken["decisions"][0]["scores"]["lead"] == 15
        assert [a["decisions"] for a in answers if not a["accepted"]] == [[None]] * 5


def test_waiting_for_a_batch_answers_in_its_order(server: Server) -> None:
    names = [fresh("ada") for _ in range(60)]
    decisions = server.facts(*(paper(name) for name in [*names, *reversed(names)]))["decisions"]
    assert [d["contact"] for d in decisions] == [*names, *reversed(names)]
    assert [d["scores"]["lead"] for d in decisions] == [15] * 60 + [30] * 60


def test_decide(server: Server) -> None:
    ada = fresh("ada")
    each = paper(ada)
    answer = server.call("POST", "/v1/decide", each, key=WRITE)
    assert answer.json["status"] == "accepted"
    assert answer.json["decision"]["scores"] == {"lead": 15}
    again = server.call("POST", "/v1/decide", each, key=WRITE)
    assert (again.json["status"], again.json["decision"]) == ("duplicate", None)


@pytest.mark.parametrize("compressed", [False, True])
def test_other_formats(server: Server, compressed: bool) -> None:
    ada = fresh("ada")
    facts = [paper(ada) for _ in range(300)]
    lines = "\n".join([*map(json.dumps, facts), "{broken", ""]).encode()
    bodies = [(lines, "application/x-ndjson"), (msgpack.packb(facts), "application/msgpack")]
    answers: list[Any] = []
    for body, type in bodies:
        headers = {"Content-Encoding": "gzip"} if compressed else {}
        answers.append(post(server, gzip.compress(body) if compressed else body, type, **headers).json)
    assert (answers[0]["accepted"], [r["index"] for r in answers[0]["rejected"]]) == (300, [300])
    assert (answers[1]["accepted"], answers[1]["duplicates"]) == (0, 300)
    assert server.contact(ada)["scores"]["lead"] == 4500


def test_keys_are_asked_for(server: Server) -> None:
    assert post(server, paper("ada"), Authorization="Bearer wrong").status == 401
    assert server.call("GET", "/v1/messages", key=WRITE).status == 403
    assert server.call("GET", "/v1/contacts/nobody").status == 404


def test_order_of_acceptance_is_the_order_of_decision(server: Server) -> None:
    names = [fresh("ada") for _ in range(5)]
    facts = [paper(names[i % 5]) for i in range(400)]
    for i in range(0, 400, 37):
        server.facts(*facts[i : i + 37], wait=False)
    for name in names:
        decided = [m["fact"]["id"] for m in server.timeline(name, limit=33)]
        assert decided == [f["id"] for f in facts if f["contact"] == name]


# --- rulesets -----------------------------------------------------------------------------------------------------

DOCUMENT = """\
apiVersion: overture/v1
kind: Ruleset
name: {name}
facts:
  {name}.seen: {{n: number}}
  {name}.many: {{}}
scores:
  {name}_points: {{}}
rules:
  seen:
    when: fact.type == "{name}.seen"
    then:
      - score: {{name: {name}_points, add: {points}}}
segments:
  {name}_many:
    when: contact.scores.{name}_points >= {many}
    on_enter:
      - assert: {{type: {name}.many}}
"""


def test_put_activate_and_roll_back(server: Server) -> None:
    name, ada = fresh("demo"), fresh("ada")
    one, two = (DOCUMENT.format(name=name, points=points, many=100) for points in (1, 10))
    seen = lambda: server.facts(fact(f"{name}.seen", ada, n=1))["decisions"][0]["scores"].get(f"{name}_points")  # noqa: E731

    put = server.call("PUT", f"/v1/rulesets/{name}", one.encode(), headers={"Content-Type": "application/yaml"})
    assert put.status == 201
    first = put.json["revision"]
    assert put.headers["ETag"] == f'"{first}"'
    again = server.call("PUT", f"/v1/rulesets/{name}", one.encode(), headers={"Content-Type": "application/yaml"})
    assert (again.status, again.json["revision"]) == (200, first)
    assert server.get(f"/v1/rulesets/{name}")["active"] is None
    assert seen() is None  # kept is not active
    assert server.activate(name, first, **{"If-Match": "*"}).status == 412
    assert server.activate(name, first).status == 200
    assert seen() == 1
    second = server.put(name, two)
    assert seen() == 2
    # Only over the revision that the author has seen.
    refused = server.activate(name, second, **{"If-Match": f'"{second}"'})
    assert (refused.status, refused.json["code"]) == (412, "ruleset.changed")
    assert seen() == 3
    assert server.activate(name, second, **{"If-Match": f'"0", "{first}"'}).status == 200
    assert seen() == 13
    state = server.get(f"/v1/rulesets/{name}")
    assert (state["active"], {r["revision"] for r in state["revisions"]}) == (second, {first, second})
    back = server.call("POST", f"/v1/rulesets/{name}/rollback")
    assert (back.status, back.json["revision"]) == (200, first)
    assert seen() == 14
    programs = [m["program"] for m in server.timeline(ada)]
    assert programs == sorted(programs)
    assert len(set(programs)) == 4


def test_every_fact_is_decided_by_the_set_active_at_its_place(server: Server) -> None:
    """Facts stream in while the set changes back and forth: no contact sees an older set after a newer one."""
    name, ada = fresh("demo"), fresh("ada")
    revisions = [server.put(name, DOCUMENT.format(name=name, points=p, many=9999)) for p in (1, 1000)]
    server.activate(name, revisions[0])
    done = threading.Event()

    def post() -> None:
        while not done.wait(0.1):
            server.facts(fact(f"{name}.seen", ada, n=1), wait=False)

    with ThreadPoolExecutor(1) as pool:
        posting = pool.submit(post)
        try:
            for revision in (*revisions, *revisions):
                assert server.activate(name, revision).status == 200
        finally:
            done.set()
        posting.result()
    moments = server.timeline(ada)
    points = {
        m["program"]: {
            e["after"] - (e["before"] or 0) for f in m["firings"] for e in f["effects"] if e["kind"] == "score"
        }
        for m in moments
    }
    assert [m["program"] for m in moments] == sorted(m["program"] for m in moments)
    assert set.union(*points.values()) <= {1, 1000}
    assert len(points) > 2
    assert sum(len(p) for p in points.values()) == len(points), "one set decides alike"


def test_a_deploy_brings_segments_up_to_date_silently(server: Server) -> None:
    name, ada, bob = fresh("demo"), fresh("ada"), fresh("bob")
    server.deploy(name, DOCUMENT.format(name=name, points=10, many=1000))
    server.facts(fact(f"{name}.seen", ada, n=1))
    server.deploy(name, DOCUMENT.format(name=name, points=1, many=5))
    (decision,) = server.facts(fact("page_viewed", ada, path="/"))["decisions"]
    assert f"{name}_many" in decision["segments"]
    assert derived(server.timeline(ada), f"{name}.many") == 0
    server.facts(*(fact(f"{name}.seen", bob, n=1) for _ in range(5)))
    assert derived(server.timeline(bob), f"{name}.many") == 1


def test_documents_that_are_refused(server: Server) -> None:
    name = fresh("demo")
    good = DOCUMENT.format(name=name, points=1, many=5)
    yaml = {"Content-Type": "application/yaml"}
    bad = good.replace(f"{name}_points, add", f"{name}_pionts, add").encode()
    for call in (("PUT", f"/v1/rulesets/{name}"), ("POST", f"/v1/rulesets/{name}/check")):
        answer = server.call(*call, bad, headers=yaml)
        assert answer.status == 422
        line = next(n for n, text in enumerate(bad.decode().splitlines(), 1) if "pionts" in text)
        (finding,) = [d for d in answer.json["errors"] if d["line"] == line]
        assert f"{name}_points" in finding["hint"]
    assert server.call("POST", f"/v1/rulesets/{name}/check", good.encode(), headers=yaml).status == 200
    assert server.call("GET", f"/v1/rulesets/{name}").status == 404
    other = server.call("PUT", "/v1/rulesets/other", good.encode(), headers=yaml)
    assert (other.status, other.json["code"]) == (422, "ruleset.name_differs")
    unknown = server.activate(name, "0123456789abcdef")
    assert (unknown.status, unknown.json["code"]) == (404, "ruleset.unknown")
    assert server.call("POST", f"/v1/rulesets/{name}/rollback").status == 404


def test_a_set_that_does_not_fit_together_never_becomes_active(server: Server) -> None:
    before = server.ready()
    text = server.document("web_engagement").replace("lead:", "leads:").replace("name: lead,", "name: leads,")
    text = text.replace("scores.lead ", "scores.leads ").replace("scores.lead\n", "scores.leads\n")
    text = text.replace("scores.lead}", "scores.leads}")
    answer = server.activate("web_engagement", server.put("web_engagement", text))
    assert answer.status == 422
    assert any("lead" in d["message"] for d in answer.json["errors"])
    after = server.ready()
    assert (after["program"], after["rulesets"]) == (before["program"], before["rulesets"])
    (decision,) = server.facts(paper(fresh("ada")))["decisions"]
    assert decision["scores"] == {"lead": 15}


# --- messages -----------------------------------------------------------------------------------------------------


def consent(contact: str) -> Any:
    return fact("consent", contact, channel="email", purpose="marketing", state="granted")


def retry(server: Server, id: str) -> Answer:
    return server.call("POST", f"/v1/messages/{quote(id, safe='')}/retry")


def test_a_dropped_message_tried_again_after_consent(server: Server, mailbox: Mailbox) -> None:
    ada, address = fresh("ada"), f"{fresh('ada')}@example.com"
    server.facts(fact("identify", ada, email=address), fact("guide_downloaded", ada, guide="g"))
    (message,) = server.messages(ada, "dropped")
    assert message["reason"].startswith("consent.missing: ")
    server.facts(consent(ada))
    assert retry(server, message["id"]).status == 200
    (sent,) = server.messages(ada)
    assert (sent["state"], sent["reason"]) == ("sent", "")
    assert len(mailbox.to(address)) == 1
    again = retry(server, message["id"])
    assert (again.status, again.json["code"]) == (409, "message.sent")
    server.messages(ada)
    assert len(mailbox.to(address)) == 1


def test_a_deferred_message_tried_at_once(server: Server, mailbox: Mailbox) -> None:
    ada, address = fresh("ada"), f"{fresh('ada')}@example.com"
    server.facts(fact("identify", ada, email=address), consent(ada))
    mailbox.script("defer")
    server.facts(fact("guide_downloaded", ada, guide="g"))
    (waiting,) = server.messages(ada)
    assert (waiting["state"], waiting["attempts"]) == ("retrying", 1)
    assert waiting["due_at"] is not None
    assert "451" in waiting["reason"]
    assert retry(server, waiting["id"]).status == 200
    (sent,) = server.messages(ada)
    assert (sent["state"], len(mailbox.to(address))) == ("sent", 1)


def test_an_address_that_does_not_exist_is_not_tried_again(server: Server, mailbox: Mailbox) -> None:
    ada, address = fresh("ada"), f"{fresh('ada')}@example.com"
    server.facts(fact("identify", ada, email=address), consent(ada))
    mailbox.script("refuse")
    server.facts(fact("guide_downloaded", ada, guide="g"))
    (dead,) = server.messages(ada)
    assert dead["state"] == "dead"
    assert "550" in dead["reason"]
    assert server.contact(ada)["suppressed"] == {f"email:{address}": "bounce"}
    server.facts(fact("guide_downloaded", ada, guide="h"))
    (dropped,) = server.messages(ada, "dropped")
    assert dropped["reason"].startswith("suppressed.bounce: ")
    assert mailbox.to(address) == []


def test_messages_in_pages(server: Server) -> None:
    names = [fresh("ada") for _ in range(9)]
    server.facts(*(fact("guide_downloaded", name, guide="g") for name in names))
    server.settled()
    for limit in (1, 4, 100):
        shown = [m["contact"] for m in server.pages(f"/v1/messages?state=dropped&limit={limit}")]
        assert sorted(c for c in shown if c in names) == sorted(names)
    assert retry(server, "no:such/message:0").status == 404
    assert server.call("GET", "/v1/messages?state=lost").status == 400
