"""Backtests through the whole server: asked for over HTTP and by the command line, and what a killed server leaves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from serverkit import ADMIN, PATIENCE, WRITE, Mailbox, Server, eventually, fact, mail_server, overture

from overture.backtest.job import hold
from overture.model import clock

VIP = """\
apiVersion: overture/v1
kind: Ruleset
name: vip
requires: {channels: [email]}
facts: {order: {total: number}, opened: {}}
traits: {tier: "string?"}
scores: {spent: {}}
rules:
  spent:
    when: fact.type == "order"
    then:
      - score: {name: spent, add: = fact.total}
  thanks:
    when: fact.type == "order" and fact.total >= 100
    then:
      - send: {channel: email, template: thanks, purpose: transactional}
segments:
  vip: {when: contact.scores.spent >= 200}
templates:
  thanks: {subject: Thank you, text: Thank you}
"""
BUYERS = """\
apiVersion: overture/v1
kind: Ruleset
name: buyers
on_activate: apply
facts: {order: {total: number}}
segments:
  buyers:
    when: count("order", within="30d") >= 2
    on_enter: [{issue: {kind: star}}]
"""
CHEAPER = VIP.replace("fact.total >= 100", "fact.total >= 50").replace("spent >= 200", "spent >= 100")


@pytest.fixture(scope="module")
def mailbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mailbox]:
    with mail_server(tmp_path_factory.mktemp("mail")) as box:
        yield box


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, mailbox: Mailbox) -> Iterator[Server]:
    """One whose contacts have a past: a visitor who became known, and two others."""
    with Server(tmp_path_factory.mktemp("backtest"), RULESETS="", SMTP_URL=mailbox.url) as running:
        running.deploy("vip", VIP)
        ada = {"user_id": "ada", "email": "ada@example.com"}
        running.facts(fact("order", {"anonymous_id": "cookie"}, total=60))
        running.facts(fact("identify", {**ada, "anonymous_id": "cookie"}, email="ada@example.com"))
        running.facts(fact("order", "ada", total=70), fact("order", "bob", total=120), fact("order", "eve", total=10))
        running.facts(fact("order", "eve", total=10), backfill=True)
        running.settled()
        running.deploy("buyers", BUYERS)  # what it counts was there before
        eventually(lambda: running.ready()["sweep"]["over"], "every contact is reached")
        yield running


def ask(server: Server, text: str, query: str = "") -> Any:
    """A backtest when it has ended."""
    answer = server.call("POST", f"/v1/rulesets/vip/backtest{query}", text.encode())
    assert answer.status == 202, answer.body
    address = answer.headers["Location"]
    return eventually(lambda: ended(server.get(address)), "the backtest ends")


def ended(job: Any) -> Any:
    return job if job["state"] in ("done", "failed") else None


def environ(server: Server) -> dict[str, str]:
    return {"OVERTURE_ADMIN_KEY": ADMIN, "OVERTURE_WRITE_KEY": WRITE, "OVERTURE_PORT": str(server.port)}


def test_a_candidate_is_compared_and_nothing_else_happens(server: Server, mailbox: Mailbox):
    before = {name: server.contact(name) for name in ("ada", "bob", "eve")}
    mails = len(mailbox.to("ada@example.com"))
    messages = server.pages("/v1/messages?limit=500")
    job = ask(server, CHEAPER)
    assert job["error"] is None
    assert job["progress"]["facts"] == job["progress"]["of"] >= job["summary"]["facts"]["compared"] >= 9
    assert job["summary"]["facts"]["missing_entries"] == 0
    assert job["summary"]["contacts"] == {"recorded": 3, "changed": 2, "detailed": 2}
    found = {one["contact"]: one for one in server.pages(f"/v1/backtests/{job['id']}/contacts?limit=1")}
    assert found["ada"]["segments"] == {"vip": {"baseline": False, "candidate": True}}
    assert [m["side"] for m in found["ada"]["messages"]] == ["candidate", "candidate"]
    assert found["bob"]["segments"] == {"vip": {"baseline": False, "candidate": True}}
    assert "eve" not in found
    assert {name: server.contact(name) for name in before} == before
    assert server.pages("/v1/messages?limit=500") == messages
    assert len(mailbox.to("ada@example.com")) == mails
    assert [len(ruleset["revisions"]) for ruleset in server.get("/v1/rulesets")] == [1, 1]


@pytest.mark.parametrize("query", ["", "?since=1h"])
def test_the_active_revision_against_itself_is_an_empty_difference(server: Server, query: str):
    summary = ask(server, VIP, query)["summary"]
    assert summary["contacts"] == {"recorded": 3, "changed": 0, "detailed": 0}
    for rows in (summary["messages"], summary["codes"]):
        assert rows
        assert all(row["only"] == {"baseline": 0, "candidate": 0} for row in rows)


def test_against_what_was_decided_then(server: Server):
    """The codes came with the deploy; had it been active all the time, they had come with an order."""
    job = ask(server, VIP, "?baseline=recorded")
    found = {one["contact"]: one for one in server.pages(f"/v1/backtests/{job['id']}/contacts?limit=500")}
    assert set(found) == {"ada", "eve"}
    for one in found.values():
        assert {code["side"]: code["fact"].partition("-")[0] for code in one["codes"]} == {
            "baseline": "program:2",
            "candidate": "fact",
        }
        assert not one["scores"] | one["segments"] | one["traits"]


def test_the_baseline_ends_where_the_contacts_are(server: Server):
    summary = ask(server, VIP, "?baseline=recorded")["summary"]
    states = [server.contact(name) for name in ("ada", "bob", "eve")]
    assert summary["scores"]["spent"]["baseline"] == sum(state["scores"]["spent"] for state in states)
    assert summary["segments"]["buyers"]["baseline"] == sum("buyers" in state["segments"] for state in states) == 2
    (stars,) = summary["codes"]
    assert stars["baseline"] == sum(len(state["issued"]) for state in states) == 2
    sent = [m for m in server.pages("/v1/messages?limit=500") if m["template"] == "thanks"]
    (row,) = summary["messages"]
    assert row["baseline"] == len(sent) == 1


def test_what_a_deploy_would_set_off_is_seen_beforehand(server: Server):
    """Everybody who bought before is reached at once, and with `apply` given the code."""
    once = BUYERS.replace(">= 2", ">= 1").encode()
    now = clock.now()
    period = f"since={clock.to_text(now)}&until={clock.to_text(now + 3_600_000)}"
    answer = server.call("POST", f"/v1/rulesets/buyers/backtest?{period}", once)
    job = eventually(lambda: ended(server.get(answer.headers["Location"])), "the backtest ends")
    assert job["summary"]["segments"]["buyers"] == {"baseline": 2, "candidate": 3, "joined": 1, "left": 0}
    (bob,) = server.get(f"/v1/backtests/{job['id']}/contacts")["items"]
    assert (bob["contact"], [code["kind"] for code in bob["codes"]]) == ("bob", ["star"])


def test_what_is_refused(server: Server):
    answer = server.call("POST", "/v1/rulesets/vip/backtest", VIP.replace("fact.total", "fact.totl").encode())
    assert (answer.status, answer.json["code"]) == (422, "ruleset.invalid")
    answer = server.call("POST", "/v1/rulesets/vip/backtest?since=soon", VIP.encode())
    assert (answer.status, answer.json["code"]) == (400, "backtest.period")
    for address in ("/v1/backtests/bt-00000000", "/v1/backtests/..%2Farchive", "/v1/backtests/bt-00000000/contacts"):
        answer = server.call("GET", address)
        assert (answer.status, answer.json["code"]) == (404, "backtest.unknown")
    job = ask(server, VIP, "?since=2030-01-01T00:00:00Z")
    assert (job["state"], job["summary"], job["error"]["code"]) == ("failed", None, "backtest.period")
    answer = server.call("GET", f"/v1/backtests/{job['id']}/contacts")
    assert (answer.status, answer.json["code"]) == (409, "backtest.not_done")
    done = ask(server, CHEAPER)
    for cursor in ("1", "999999999", "999999999999999"):
        answer = server.call("GET", f"/v1/backtests/{done['id']}/contacts?cursor={cursor}")
        assert (answer.status, answer.json["code"]) == (400, "cursor.invalid")


def test_the_command_line(server: Server, tmp_path: Path):
    file, one, other = tmp_path / "vip.yaml", tmp_path / "one.ndjson", tmp_path / "other.ndjson"
    file.write_text(CHEAPER)
    done = overture("backtest", str(file), "--since", "1h", "--out", str(one), environ=environ(server))
    assert done.returncode == 0, done.stderr
    assert "2 of 3 contacts differ" in done.stdout
    assert "segment vip" in done.stdout
    assert "ada: segment vip False → True" in done.stdout
    again = overture("backtest", str(file), "--since", "1h", "--out", str(other), "--json", environ=environ(server))
    assert one.read_bytes() == other.read_bytes()
    lines = [json.loads(line) for line in one.read_text().splitlines()]
    assert lines[0] == json.loads(again.stdout)
    assert [line["contact"] for line in lines[1:]] == ["ada", "bob"]


def test_the_command_line_refuses_with_file_and_line(server: Server, tmp_path: Path):
    good, bad = tmp_path / "vip.yaml", tmp_path / "bad.yaml"
    good.write_text(VIP)
    bad.write_text(VIP.replace("name: vip", "name: bad").replace("fact.total >=", "fact.totl >="))
    done = overture("backtest", str(good), str(bad), environ=environ(server))
    assert done.returncode == 2
    assert f"{bad}:14:" in done.stdout
    alone = tmp_path / "alone.yaml"
    alone.write_text(VIP.replace("name: vip", "name: alone").replace("requires: {", "requires: {scores: [lead], "))
    done = overture("backtest", str(good), str(alone), environ=environ(server))
    assert done.returncode == 2
    assert "no active ruleset provides it" in done.stderr
    done = overture("backtest", str(good), "--since", "2030-01-01T00:00:00Z", environ=environ(server))
    assert done.returncode == 2
    assert "ends before it begins" in done.stderr


def backtests(parent: int) -> list[int]:
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [int(p) for p in children if b"overture.backtest" in Path(f"/proc/{p}/cmdline").read_bytes()]


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGINT])
def test_a_server_that_goes_leaves_no_process_and_no_half_answer(tmp_path: Path, sign: signal.Signals):
    server = Server(tmp_path, RULESETS="")
    try:
        server.start()
        server.deploy("vip", VIP)
        for _ in range(60):  # so many that it is not done before the server goes
            server.facts(*(fact("order", f"u{n % 50}", total=n % 7) for n in range(1000)), wait=False)
        server.drained()
        assert server.process is not None
        parent = server.process.pid
        answer = server.call("POST", "/v1/rulesets/vip/backtest", CHEAPER.encode())
        (child,) = eventually(lambda: backtests(parent), "its process runs")
        eventually(lambda: server.get(answer.headers["Location"])["state"] == "running", "it has begun")
        server.stop(sign)
        eventually(lambda: not Path(f"/proc/{child}").exists(), "the process is gone")
        server.start()
        job = server.get(answer.headers["Location"])
        assert (job["state"], job["summary"]) == ("failed", None)
        assert job["error"]["code"] == "backtest.interrupted"
        assert ask(server, CHEAPER)["state"] == "done"
    finally:
        server.close()


def test_ctrl_c_at_the_command_line_cancels_it(server: Server, tmp_path: Path):
    file = tmp_path / "vip.yaml"
    file.write_text(CHEAPER)
    kept = server.data / "backtests"
    before = set(kept.glob("bt-*"))
    with hold(kept / "turn"):  # as if another were running
        command = [sys.executable, "-m", "overture.cli", "backtest", str(file)]
        client = subprocess.Popen(command, env={**os.environ, **environ(server)}, stdout=subprocess.DEVNULL)
        eventually(lambda: set(kept.glob("bt-*")) - before, "it is asked for")
        time.sleep(1)  # the client has its answer by then
        client.send_signal(signal.SIGINT)
        assert client.wait(PATIENCE) == 130
        assert set(kept.glob("bt-*")) == before
