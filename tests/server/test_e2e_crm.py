"""The pair `hubspot` between a real server and a CRM that people edit: whose a field is, who was later, no circle."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

from crmkit import APP, FIELDS, TOKEN, Crm, crm
from serverkit import Server, eventually, fact, refused

RULESET = """\
apiVersion: overture/v1
kind: Ruleset
name: crm
requires: {channels: [hubspot]}
facts: {order_completed: {total: number}}
traits:
  {firstname: "string?", vip: "bool?", phone: "string?", phone_at: "datetime?", crm_phone: "string?",
   crm_phone_at: "datetime?", job: "string?", job_at: "datetime?", crm_job: "string?", crm_job_at: "datetime?"}
scores: {lead: {}, told: {}}
rules:
  our-phone:
    when: fact.type == "identify" and has(fact.phone)
    priority: 2
    then:
      - set: {phone_at: = now()}
      - send: {channel: hubspot, template: phone, purpose: transactional}
  their-phone:
    when: >-
      fact.type == "identify" and has(fact.crm_phone_at)
      and (not has(contact.phone_at) or fact.crm_phone_at >= contact.phone_at)
    priority: 1
    then:
      - set: {phone: = fact.crm_phone, phone_at: = fact.crm_phone_at}
  our-job:
    when: fact.type == "identify" and has(fact.job)
    priority: 2
    then:
      - set: {job_at: = now()}
      - send: {channel: hubspot, template: job, purpose: transactional}
  their-job:
    when: >-
      fact.type == "identify" and has(fact.crm_job_at)
      and (not has(contact.job_at) or fact.crm_job_at >= contact.job_at)
    priority: 1
    then:
      - set: {job: = fact.crm_job, job_at: = fact.crm_job_at}
  told:
    when: fact.type == "identify" and fact.context.source == "hubspot"
    then: [{score: {name: told, add: 1}}]
  lead:
    when: fact.type == "order_completed"
    then: [{score: {name: lead, add: = fact.total}}]
  lead-to-crm:
    when: fact.type == "score.changed" and fact.name == "lead"
    then: [{send: {channel: hubspot, template: lead, purpose: transactional}}]
  owned:
    when: fact.type == "order_completed" and fact.total > 100
    then: [{send: {channel: hubspot, template: owned, purpose: transactional}}]
templates:
  phone: {text: Phone, data: '{"phone": {{ fact.phone }}}'}
  job: {text: Job, data: '{"job": {{ fact.job }}}'}
  lead: {text: Lead, data: '{"lead_score": {{ fact.after }}}'}
  owned: {text: Owned, data: '{"firstname": "Ours"}'}
"""


def configured(directory: Path, peer: Crm, more: str = "", token: str = TOKEN) -> Server:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "token").write_text(token)
    (directory / "fields.toml").write_text(FIELDS)
    account = f"""
base_url = "{peer.url}"
egress_allow = ["127.0.0.0/8"]
access_token = "file:{directory / "token"}"
app_id = "{APP}"
fields = "file:{directory / "fields.toml"}"
"""
    (directory / "overture.toml").write_text(
        f"[channels.hubspot]{account}\n[sources.hubspot]{account}every = 0.2\nlag = 5\n{more}"
    )
    return Server(directory, RULESETS="")


def traits(server: Server, email: str) -> dict[str, Any]:
    found = server.find(f"email:{email}")
    return {} if found is None else found["traits"]


def told(server: Server, email: str) -> int:
    """How many facts came from the CRM."""
    found = server.find(f"email:{email}")
    return 0 if found is None else found["scores"].get("told", 0)


def quiet(server: Server, peer: Crm, looks: int = 5) -> None:
    """When all messages have come to an end, and so many looks into the CRM later."""
    server.settled()
    eventually(lambda: not server.get("/v1/messages?state=retrying&limit=1")["items"], "none is tried again")
    until = peer.requests("POST /search") + looks
    eventually(lambda: peer.requests("POST /search") >= until, "it looked")
    server.settled()


def test_each_side_has_what_the_other_owns_and_nothing_comes_back(tmp_path: Path) -> None:
    with crm() as peer, configured(tmp_path, peer) as server:
        server.deploy("crm", RULESET)
        id = peer.edit("ada@example.org", firstname="Ada", vip="true", phone="1", lead_score="999")
        eventually(lambda: told(server, "ada@example.org") == 1, "it came")
        found = server.contact("email:ada@example.org")
        assert found["ids"]["external"] == {"hubspot": str(id)}
        assert {n: found["traits"].get(n) for n in ("firstname", "vip", "phone", "crm_phone", "lead_score")} == {
            "firstname": "Ada", "vip": True, "phone": "1", "crm_phone": "1", "lead_score": None,
        }  # fmt: skip
        server.facts(fact("order_completed", {"email": "ada@example.org"}, total=20))
        server.facts(fact("identify", {"email": "ada@example.org"}, phone="2", firstname="Nobody"))
        server.facts(fact("identify", {"email": "new@example.org"}, phone="3"))
        quiet(server, peer)
        assert peer.versions("ada@example.org", "lead_score") == [("999", "CRM_UI"), ("20", "INTEGRATION")]
        assert peer.versions("ada@example.org", "phone") == [("1", "CRM_UI"), ("2", "INTEGRATION")]
        assert peer.versions("ada@example.org", "firstname") == [("Ada", "CRM_UI")]
        assert peer.versions("new@example.org", "phone") == [("3", "INTEGRATION")]
        assert (told(server, "ada@example.org"), told(server, "new@example.org")) == (1, 0)
        assert peer.writes() == 3
        known = traits(server, "ada@example.org")
        assert (known["phone"], known["crm_phone"]) == ("2", "1")
        peer.edit("new@example.org", phone="4")  # what only Overture had made is known by its id from now on
        eventually(lambda: traits(server, "new@example.org").get("phone") == "4", "it came")
        peer.edit("ada@example.org", note="nothing that is a field", firstname="Ada")
        peer.edit("ada@example.org", firstname="")
        eventually(lambda: "firstname" not in traits(server, "ada@example.org"), "it is empty")
        quiet(server, peer)
        server.facts(fact("order_completed", {"email": "new@example.org"}, total=200))
        (refusal,) = server.messages(server.find("email:new@example.org")["id"], "dead")
        assert refusal["reason"] == "hubspot.data: firstname is no field that Overture may write."
        assert (told(server, "ada@example.org"), told(server, "new@example.org")) == (2, 1)
        assert peer.writes() == 4
        assert server.get("/v1/sources/refused") == []


def test_of_two_changes_of_a_field_the_later_one_counts_on_both_sides(tmp_path: Path) -> None:
    with crm() as peer, configured(tmp_path, peer) as server:
        server.deploy("crm", RULESET)
        for email in ("ours@example.org", "theirs@example.org"):
            peer.edit(email, phone="0")
            eventually(lambda email=email: told(server, email) == 1, "it came")
        peer.behave(delay=1.5)  # the search does not know of it before ours is there
        peer.edit("ours@example.org", phone="earlier")
        server.facts(fact("identify", {"email": "ours@example.org"}, phone="later"))
        quiet(server, peer, 15)
        assert peer.contact("ours@example.org")["phone"] == traits(server, "ours@example.org")["phone"] == "later"
        assert told(server, "ours@example.org") == 1

        peer.behave(throttle=["1"] * 2)  # ours cannot be written before theirs is there
        server.facts(fact("identify", {"email": "theirs@example.org"}, phone="earlier"))
        peer.edit("theirs@example.org", phone="later")
        eventually(lambda: traits(server, "theirs@example.org").get("phone") == "later", "it came")
        quiet(server, peer, 15)
        assert peer.versions("theirs@example.org", "phone") == [("0", "CRM_UI"), ("later", "CRM_UI")]
        assert traits(server, "theirs@example.org")["phone"] == "later"
        (message,) = server.messages(server.find("email:theirs@example.org")["id"])
        assert (message["state"], message["reason"].partition(":")[0]) == ("dead", "hubspot.later")


def test_many_changes_on_both_sides_settle_whatever_is_killed(tmp_path: Path) -> None:
    people = [f"p{n}@example.org" for n in range(130)]
    edits = [{"properties": {"email": each, "firstname": "F", "phone": "0"}} for each in people]
    with crm() as peer, configured(tmp_path, peer) as server:
        server.deploy("crm", RULESET)
        peer.edits(edits)  # all in one millisecond: more than a page of them
        eventually(lambda: all(told(server, each) == 1 for each in people), "all came")
        before = peer.requests() - peer.requests("POST /search")
        peer.behave(delay=0.5, throttle=["1", None, "0", "1"], lose=3)
        server.facts(  # of one instant: the order of messages is not told by their times
            *(fact("identify", {"email": each}, phone=f"ours {n}") for n, each in enumerate(people[:60])),
            *(fact("identify", {"email": each}, phone=f"ours again {n}") for n, each in enumerate(people[:30])),
            wait=False,
        )
        ids = peer.edits([{"properties": {"email": each, "phone": "theirs"}} for each in people[40:100]])
        eventually(lambda: peer.writes() > 15, "it is under way")
        server.stop(signal.SIGKILL)
        peer.edits([{"id": id, "properties": {"firstname": "G", "jobtitle": "T"}} for id in ids[:40]])
        server.start()
        server.facts(*(fact("identify", {"email": each}, job="ours") for each in people[90:100]), wait=False)
        eventually(lambda: told(server, people[70]) == 3, "it goes on")
        quiet(server, peer, 10)
        made = peer.requests() - peer.requests("POST /search"), peer.writes()
        for n, each in enumerate(people):
            here, there = traits(server, each), peer.contact(each)
            assert here.get("firstname") == there["firstname"] == ("G" if 40 <= n < 80 else "F")
            assert here.get("phone") == there["phone"], each
            assert here.get("job") == there["jobtitle"], each
        assert peer.contact(people[3])["phone"] == "ours again 3"
        assert peer.contact(people[80])["phone"] == "theirs"
        assert [told(server, each) for each in people[:40]] == [1] * 40  # nothing of ours came back
        assert [told(server, each) for each in people[60:100]] == [3] * 20 + [2] * 20  # each of theirs, once
        assert made[1] <= 100  # changes of ours
        assert made[0] - before < 300  # to look and to write, a few again, and theirs by fifties
        seen = [made]
        while len(seen) < 5 and seen[-1:] != seen[-2:-1]:  # a look that came late may still be under way
            quiet(server, peer, 10)
            seen.append((peer.requests() - peer.requests("POST /search"), peer.writes()))
        assert seen[-1] == seen[-2]
        assert seen[-1][1] == made[1]


def state(server: Server) -> str:
    offers = [offer for plugin in server.get("/v1/plugins") for offer in plugin["offers"]]
    return next(each for each in offers if each["name"] == "hubspot" and each["kind"] == "source")["open"]["hubspot"]


def test_a_search_that_gets_nowhere_is_told_and_tried_again(tmp_path: Path) -> None:
    with crm() as peer, configured(tmp_path, peer) as server:
        server.deploy("crm", RULESET)
        peer.behave(heedless=True)
        ids = peer.edits([{"properties": {"email": f"p{n}@example.org", "firstname": "F"}} for n in range(120)])
        eventually(lambda: "does not heed" in state(server), "it says so")
        peer.behave(heedless=False)
        peer.edits([{"id": ids[-1], "properties": {"firstname": "G"}}])
        eventually(lambda: traits(server, "p119@example.org").get("firstname") == "G", "it goes on")


def test_an_account_that_refuses_is_told_and_the_token_is_not(tmp_path: Path) -> None:
    with crm() as peer:
        with configured(tmp_path, peer, token="wrong-one") as server:
            server.deploy("crm", RULESET)
            server.facts(fact("identify", {"email": "ada@example.org"}, phone="2"))
            eventually(lambda: "answered 401" in state(server), "it says so")
            eventually(lambda: server.get("/v1/messages?state=retrying")["items"], "the message waits")
            said = json.dumps([server.get("/v1/plugins"), server.get("/v1/messages?state=retrying")])
            assert "answered 401" in said
            assert "wrong-one" not in said + server.said()
            assert peer.contact("ada@example.org") == {}
        with configured(tmp_path, peer) as server:
            eventually(lambda: peer.contact("ada@example.org").get("phone") == "2", "it was written after all")
            assert TOKEN not in server.said()


def test_settings_that_cannot_be(tmp_path: Path) -> None:
    with crm() as peer:
        configured(tmp_path, peer)
        (tmp_path / "fields.toml").write_text('firstname = {owner = "nobody"}')
        assert ".hubspot.fields" in refused(tmp_path)
