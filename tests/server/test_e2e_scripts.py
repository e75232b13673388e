"""Scripts in a real server: as actions, scores, payloads, transforms; what goes wrong in one costs its rule alone."""

from __future__ import annotations

import hashlib
import hmac
import json
import signal
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from serverkit import Answer, Server, effects, eventually, fact, fresh, overture, written

SECRET = "s3cret-of-this-test"
TOML = """
[sources.desk]
plugin = "hmac"
secret = "file:desk-secret"
transform = "scripted/desk"

[sources.other]
plugin = "hmac"
secret = "file:desk-secret"
transform = "scripted/missing"

[channels.webhook]
egress_allow = ["127.0.0.0/8"]
"""
SCRIPTED = """\
apiVersion: overture/v1
kind: Ruleset
name: scripted
requires: {channels: [webhook]}
facts:
  order: {total: number, lines: list}
  trouble: {how: string}
  ticket: {text: string}
traits: {tier: "string?", urgent: "bool?", did: "string?"}
scores: {lead: {min: 0, max: 100}, fit: {}, plain: {}}
scripts:
  sort:
    takes: [fact, contact.scores.lead]
    changes: {set: tier, score: lead}
    code: |
      def main(fact, contact):
          points = sum(len(line) for line in fact["lines"])
          total = contact["scores"]["lead"] + points
          return {"score": {"lead": points}, "set": {"tier": "gold" if total > 10 else "blue"}}
  worth: |
    def main(fact):
        share = fact["total"] / 10
        return {"value": share + 1, "contributions": {"total": share, "order": 1}}
  payload: |
    def main(fact, contact):
        return {"blocks": [{"line": line} for line in fact["lines"]], "tier": contact["traits"].get("tier")}
  trouble:
    changes: {set: did}
    code: |
      def main(fact):
          match fact["how"]:
              case "raises":
                  return {"set": {"did": 1 / 0}}
              case "loops":
                  while True:
                      pass
              case "eats":
                  return {"set": {"did": "x" * 10**9}}
              case "nonsense":
                  return {"set": {"did": 7, "tier": "x"}}
          return {"set": {"did": fact["how"]}}
  desk: |
    def main(request):
        ticket = request["body"]["ticket"]
        who = {"user_id": ticket["by"]}
        facts = [{"type": "ticket", "contact": who, "properties": {"text": ticket["text"]}}]
        if request["headers"].get("x-urgent"):
            facts.append({"type": "identify", "contact": who, "properties": {"urgent": True}})
        return facts
rules:
  sort: {when: fact.type == "order", then: [{run: sort}], priority: 5}
  fit: {when: fact.type == "order", then: [{score: {name: fit, by: worth}}]}
  tell:
    when: fact.type == "order" and fact.total >= 100
    then: [{send: {channel: webhook, template: order, purpose: transactional, to: "TO"}}]
  trouble: {when: fact.type == "trouble", then: [{run: trouble}]}
  plain: {when: 'fact.type in ["order", "trouble"]', then: [{score: {name: plain, add: 1}}]}
templates:
  order: {text: "{{ fact.total }}", data: {script: payload}}
"""


class Hook(ThreadingHTTPServer):
    def __init__(self) -> None:
        self.bodies: list[Any] = []
        bodies = self.bodies

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: Any) -> None: ...

        super().__init__(("127.0.0.1", 0), Handler)


@pytest.fixture(scope="module")
def hook() -> Iterator[Hook]:
    with Hook() as hook:
        threading.Thread(target=hook.serve_forever, daemon=True).start()
        yield hook
        hook.shutdown()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, hook: Hook) -> Iterator[Server]:
    here = written(tmp_path_factory.mktemp("scripts"), TOML)
    (here / "desk-secret").write_text(SECRET)
    with Server(here, RULESETS="") as running:
        running.deploy("scripted", document(hook))
        yield running


def document(hook: Hook) -> str:
    return SCRIPTED.replace("TO", f"http://127.0.0.1:{hook.server_port}/hook")


def posted(server: Server, body: bytes, source: str = "desk", **headers: str) -> Answer:
    signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    return server.call(
        "POST", f"/in/{source}", body, headers={"X-Signature": signature, "Authorization": "", **headers}
    )


def test_actions_and_scores_come_from_scripts(server: Server) -> None:
    ada = fresh("ada-")
    first, second = (
        server.facts(fact("order", ada, total=total, lines=lines))["decisions"][0]
        for total, lines in ((50, ["ab", "c"]), (120, ["a-long-line"]))
    )

    assert first["scores"]["lead"] == 3
    assert any(e["kind"] == "set" and e["after"] == "blue" for f in first["firings"] for e in f["effects"])
    contact = server.contact(ada)
    assert contact["traits"] == {"tier": "gold"}
    assert contact["scores"] == {"lead": 14, "fit": 13, "plain": 2}
    assert second["scores"]["fit"] == 13
    last = effects([moment for moment in server.timeline(ada) if moment["fact"]["type"] == "order"][-1])
    shares = {"value": 13, "contributions": {"total": 12, "order": 1}}
    assert ("script", "worth", "fit", shares, "") in last
    assert ("set", "tier", "", "gold", "") in last
    told = server.get(f"/v1/contacts/{ada}/explain?rule=scripted/sort")
    assert told["state"] == "then"
    assert {(e["kind"], e["name"]) for e in told["effects"]} >= {("script", "sort"), ("score", "lead"), ("set", "tier")}


def test_a_message_carries_what_its_script_has_built(server: Server, hook: Hook) -> None:
    ada = fresh("ada-")
    server.facts(fact("order", ada, total=120, lines=["a-long-line"]))
    (message,) = server.messages(ada)
    assert message["state"] == "sent"
    (sent,) = [body["data"] for body in hook.bodies if body["data"]["id"] == message["id"]]
    assert sent["data"] == {"blocks": [{"line": "a-long-line"}], "tier": "gold"}


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ("raises", "script.failed"),
        ("loops", "script.timeout"),
        ("eats", "script.memory"),
        ("nonsense", "script.wrong_type"),
    ],
)
def test_what_goes_wrong_costs_its_rule_alone_and_the_server_answers_meanwhile(
    server: Server, how: str, code: str
) -> None:
    bad, good = fresh("bad-"), fresh("good-")
    server.facts(fact("trouble", bad, how=how), wait=False)
    assert server.call("GET", "/healthz").status == 200
    server.facts(fact("trouble", good, how="well"))

    assert server.contact(good)["traits"] == {"did": "well"}
    assert server.contact(bad)["traits"] == {}
    assert server.contact(bad)["scores"]["plain"] == 1
    (moment,) = server.timeline(bad)
    assert code in {e[4] for e in effects(moment)}
    assert not moment["error"]


def test_a_request_is_transformed_once_and_what_cannot_be_is_kept_with_the_reason(server: Server) -> None:
    eve = fresh("eve-")
    body = json.dumps({"ticket": {"by": eve, "text": "It is broken"}}).encode()
    assert [posted(server, body, **{"X-Urgent": "1"}).status for _ in range(2)] == [200, 200]
    assert server.contact(eve)["traits"] == {"urgent": True}
    assert [m["fact"]["type"] for m in server.timeline(eve)].count("ticket") == 1

    refused = posted(server, b'{"event": "none"}')
    assert (refused.status, refused.json["code"]) == (422, "script.failed")
    newest = server.get("/v1/sources/refused?limit=1")[0]
    assert (newest["source"], newest["code"]) == ("desk", "script.failed")
    assert '"event"' in newest["fact"]
    later = posted(server, body, "other")
    assert (later.status, later.json["code"]) == (503, "transform.unknown")


def test_a_script_that_is_cut_off_again_and_again_is_left_alone_and_that_is_seen(server: Server) -> None:
    names = [fresh("loop-") for _ in range(8)]
    server.facts(*(fact("trouble", name, how="loops") for name in names))

    shown = {each["name"]: each for each in server.get("/v1/scripts")}
    assert shown["trouble"]["state"] == "quarantined"
    assert "script.timeout" in shown["trouble"]["last"]
    assert shown["sort"]["state"] == "active"
    told = server.get(f"/v1/contacts/{names[-1]}/explain?rule=scripted/trouble")["sentence"]
    assert "scripted/trouble was cut off" in told
    codes = {e[4] for name in names for e in effects(server.timeline(name)[-1]) if e[0] == "script"}
    assert codes == {"script.timeout", "script.quarantined"}
    assert 'outcome="script.quarantined",script="scripted/trouble"' in server.call("GET", "/metrics").body.decode()


def test_a_deploy_is_refused_where_a_script_is_wrong(server: Server, hook: Hook) -> None:
    text = document(hook).replace('fact["total"] / 10', 'fact["totals"] / 10')
    answer = server.call("PUT", "/v1/rulesets/scripted", text.encode(), headers={"Content-Type": "application/yaml"})
    assert answer.status == 422
    (finding,) = answer.json["errors"]
    assert finding["code"] == "script.types"
    assert text.splitlines()[finding["line"] - 1].strip() == 'share = fact["totals"] / 10'


def test_backtests_and_tests_run_them_too(server: Server, hook: Hook, tmp_path: Path) -> None:
    name = fresh("past-")
    server.facts(fact("order", name, total=10, lines=["abc"]))
    server.drained()
    twice = document(hook).replace("points = sum(", "points = 2 * sum(")
    answer = server.call("POST", "/v1/rulesets/scripted/backtest", twice.encode())
    assert answer.status == 202, answer.body
    path = f"/v1/backtests/{answer.json['id']}"
    done = eventually(lambda: (found := server.get(path))["state"] in ("done", "failed") and found, "it has ended")
    assert done["state"] == "done", done
    lead = done["summary"]["scores"]["lead"]
    assert lead["candidate"] == 2 * lead["baseline"] > 0
    fit = done["summary"]["scores"]["fit"]
    assert fit["candidate"] == fit["baseline"]
    live = server.get("/v1/scores/lead/top?limit=100")["items"]
    assert lead["baseline"] == sum(row["score"] for row in live), "decided again as they were live"

    (tmp_path / "scripted.yaml").write_text(document(hook))
    (tmp_path / "scripted.test.yaml").write_text(
        "tests:\n- name: sorted\n  contact: {tier: blue}\n  steps:\n"
        "  - fact: {type: order, total: 30, lines: [abcdefghijkl]}\n"
        "  - expect: {traits: {tier: gold}, scores: {lead: 12, fit: 4}}\n"
    )
    ran = overture("test", str(tmp_path))
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_after_a_kill_in_the_middle_each_effect_is_there_once(server: Server) -> None:
    names = [fresh("kill-") for _ in range(40)]
    server.facts(*(fact("order", name, total=10, lines=["abc"]) for name in names for _ in range(5)), wait=False)
    server.stop(signal.SIGKILL)
    server.start()

    server.drained()
    for name in names:
        assert server.find(name)["scores"] == {"lead": 15, "fit": 2, "plain": 5}
