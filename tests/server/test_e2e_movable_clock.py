"""The clock of a server for trying things out: put ahead, it is as if the time had passed, for all its processes."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from http.client import HTTPException
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from serverkit import WRITE, Mailbox, Server, eventually, fact, fresh, overture, refused

DAY, SECOND = timedelta(days=1), timedelta(seconds=1)
DOCUMENT = """\
apiVersion: overture/v1
kind: Ruleset
name: moving
requires: {channels: [email]}
facts: {begun: {}, waits: {until: datetime}, pinged: {}, planned: {}, tried: {}, liked: {}}
scores: {over: {}}
rules:
  ping:
    when: fact.type == "pinged"
    then: [{send: {channel: email, template: one, purpose: transactional}}]
journeys:
  three:
    enter_when: fact.type == "begun"
    steps:
      - {id: first, wait: {for: 24h}}
      - {id: one, send: {channel: email, template: one, purpose: transactional, late: 1h}}
      - {id: second, wait: {for: 24h}}
      - {id: two, send: {channel: email, template: two, purpose: transactional, late: 1h}}
      - {id: third, wait: {for: 24h}}
      - {id: three, send: {channel: email, template: three, purpose: transactional, late: 1h}}
  many:
    enter_when: fact.type == "waits"
    steps:
      - {id: wait, wait: {at: = journey.fact.until}}
      - {id: over, score: {name: over, add: 1}}
  plan:
    enter_when: fact.type == "planned"
    steps:
      - {id: wait, wait: {for: 8d}}
      - {id: try, do: [{assert: {type: tried}}]}
  trial:
    enter_when: fact.type == "tried"
    goal: fact.type == "liked"
    steps:
      - id: which
        split: [{name: old, weight: 50, go: rest}, {name: new, weight: 50, go: rest}]
        winner: {within: 7d, certainty: 0.95}
      - {id: rest, wait: {for: 30d}}
templates:
  one: {subject: One, text: x}
  two: {subject: Two, text: x}
  three: {subject: Three, text: x}
"""


@pytest.fixture(scope="module")
def moving(tmp_path_factory: pytest.TempPathFactory, mailbox: Mailbox) -> Iterator[Server]:
    with begun(tmp_path_factory.mktemp("moving"), mailbox) as running:
        yield running


def begun(directory: Path, mailbox: Mailbox, **settings: str) -> Server:
    """A server that is to be entered; the ruleset is deployed on its first start."""
    (directory / "rulesets").mkdir()
    (directory / "rulesets" / "moving.yaml").write_text(DOCUMENT)
    own = {"MOVABLE_CLOCK": "true", "SMTP_URL": mailbox.url, "RULESETS": str(directory / "rulesets")}
    return Server(directory, **{**own, **settings})


def known(server: Server) -> tuple[str, str]:
    name = fresh("ada")
    server.facts(fact("identify", name, email=f"{name}@example.com"))
    return name, f"{name}@example.com"


def moments(server: Server, name: str, *types: str) -> list[tuple[str, datetime]]:
    found = [m["fact"] for m in server.timeline(name) if m["fact"]["type"] in types]
    return [(each["type"], datetime.fromisoformat(each["occurred_at"])) for each in found]


def test_waits_in_succession_are_over_each_at_its_own_instant(moving: Server, mailbox: Mailbox) -> None:
    """And no message is late, although each may be an hour late only."""
    name, address = known(moving)
    moving.facts(fact("begun", name))
    ((_, began),) = moments(moving, name, "begun")
    moving.advance("5d")
    assert mailbox.subjects(address) == ["One", "Two", "Three"]
    happened = moments(moving, name, "$tick", "message.sent")
    assert [type for type, _ in happened] == ["$tick", "message.sent"] * 3
    for n in range(3):
        (_, over), (_, gone) = happened[2 * n : 2 * n + 2]
        assert over == began + (n + 1) * DAY
        assert timedelta() <= gone - over < timedelta(hours=1)
    assert began + 5 * DAY <= moving.now() < began + 5 * DAY + timedelta(minutes=10)


def test_a_jump_is_an_outage(moving: Server, mailbox: Mailbox) -> None:
    name, address = known(moving)
    moving.facts(fact("begun", name))
    ((_, began),) = moments(moving, name, "begun")
    moving.advance("49h", jump=True)
    # What was due meanwhile is decided as of then: one is a day late, the other just an hour less a moment or more.
    assert [at for type, at in moments(moving, name, "$tick")] == [began + DAY, began + 2 * DAY]
    told = {m["template"]: m["reason"].partition(":")[0] for m in moving.messages(name) if m["state"] == "dropped"}
    assert told["one"] == "late.expired"
    assert "One" not in mailbox.subjects(address)


def test_what_is_refused_for_now_is_tried_again_in_its_time(moving: Server, mailbox: Mailbox) -> None:
    name, address = known(moving)
    mailbox.script("defer", "defer", "defer")
    moving.facts(fact("pinged", name))
    moving.advance("10m")
    (message,) = moving.messages(name)
    assert (message["state"], message["attempts"]) == ("sent", 4)
    created, updated = (datetime.fromisoformat(message[at]) for at in ("created_at", "updated_at"))
    assert timedelta(seconds=35 * 0.7) <= updated - created < timedelta(seconds=60)  # 5, 10 and 20 seconds
    assert mailbox.subjects(address) == ["One"]


def test_a_winner_is_found_on_the_way(moving: Server) -> None:
    """Who comes to a split after its winner was certain goes that way, within one advance."""
    early = [fresh("early") for _ in range(60)]
    moving.facts(*(fact("tried", name) for name in early))
    ways = {name: moving.contact(name)["journeys"][0]["variants"]["which"] for name in early}
    moving.facts(*(fact("liked", name) for name, way in ways.items() if way == "new"))
    later = [fresh("later") for _ in range(12)]
    moving.facts(*(fact("planned", name) for name in later))
    moving.advance("9d")
    gone = [p["variants"] for name in later for p in moving.contact(name)["journeys"] if p["journey"] == "moving/trial"]
    assert gone == [{"which": "new"}] * 12


def test_where_nobody_answers_it_is_given_up_as_often_as_in_its_time(tmp_path: Path, mailbox: Mailbox) -> None:
    with begun(tmp_path, mailbox, SMTP_URL="smtp://127.0.0.1:9") as server:
        name, _ = known(server)
        server.facts(fact("pinged", name))
        server.advance("4d")
        (message,) = server.messages(name)
        assert message["state"] == "dead"
        tried = re.match(r"delivery\.gave_up: After (\d+) attempts: smtp\.unreachable: ", message["reason"])
        assert tried
        assert 72 <= int(tried[1]) <= 120  # about each hour, a little more often
        created, updated = (datetime.fromisoformat(message[at]) for at in ("created_at", "updated_at"))
        assert 3 * DAY - timedelta(hours=1) < updated - created <= 3 * DAY


def test_a_rate_is_kept_as_time_passes(tmp_path: Path, mailbox: Mailbox) -> None:
    with begun(tmp_path, mailbox, CHANNEL_RATES="email=0.01") as server:
        names = [known(server)[0] for _ in range(4)]
        server.facts(*(fact("pinged", name) for name in names))
        server.advance("10m")
        sent = sorted(at for name in names for _, at in moments(server, name, "message.sent"))
        assert len(sent) == 4
        assert all(after - before >= 99 * SECOND for before, after in pairwise(sent))


def test_it_is_moved_by_one_at_a_time_and_stays_where_it_was_when_killed(tmp_path: Path, mailbox: Mailbox) -> None:
    with begun(tmp_path, mailbox) as server:
        names = [fresh("eve") for _ in range(300)]
        began = server.now()
        first = round(began.timestamp() * 1000)
        server.facts(*(fact("waits", name, until=first + n * 60_000) for n, name in enumerate(names, 1)))
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(server.call, "POST", "/v1/clock", {"advance": "400m"})
            told = eventually(
                lambda: (told := server.get("/v1/clock"))["to"] and told["ahead_ms"] and told, "under way"
            )
            assert abs(datetime.fromisoformat(told["to"]) - began - timedelta(minutes=400)) < 30 * SECOND
            other = server.call("POST", "/v1/clock", {"advance": "1d"})
            assert (other.status, other.json["code"]) == (409, "clock.moving")
            assert server.process is not None
            server.process.send_signal(signal.SIGKILL)
            server.process.wait(30)
            with pytest.raises((OSError, HTTPException)):
                asked.result(30)
        server.start()
        assert timedelta() < server.now() - began < timedelta(minutes=300), "it was killed on the way"
        assert 0 < len(over(server)) < 300
        eventually(lambda: server.call("POST", "/v1/clock", {"advance": "400m"}).status == 200, "nobody moves it now")
        assert over(server) == dict.fromkeys(names, 1)


def test_it_is_under_way_until_it_is_there_though_the_store_stands_still(tmp_path: Path, mailbox: Mailbox) -> None:
    with begun(tmp_path, mailbox) as server, ThreadPoolExecutor(8) as pool:
        first = round(server.now().timestamp() * 1000)
        server.facts(*(fact("waits", fresh("eve"), until=first + n * 60_000) for n in range(1, 301)))
        asked = pool.submit(server.call, "POST", "/v1/clock", {"advance": "400m"})
        eventually(lambda: server.get("/v1/clock")["ahead_ms"], "under way")
        store = server.process_of("valkey")
        os.kill(store, signal.SIGSTOP)
        try:
            looks = [pool.submit(server.call, "GET", "/v1/clock") for _ in range(6)]
            time.sleep(4)  # longer than it used to be believed without a word
        finally:
            os.kill(store, signal.SIGCONT)
        views = [look.result(30) for look in looks]
        assert {view.status for view in views} == {200}
        assert all(view.json["to"] for view in views if view.status == 200)
        assert asked.result(60).status in (200, 202)


def over(server: Server) -> dict[str, float]:
    """How often whose wait was over."""
    server.drained()
    return {row["contact"]: row["score"] for row in server.pages("/v1/scores/over/top?limit=500")}


def test_it_survives_a_restart_and_no_server_starts_without_the_setting(tmp_path: Path, mailbox: Mailbox) -> None:
    with begun(tmp_path, mailbox) as server:
        assert "its clock can be moved (movable_clock), and was not moved yet" in server.said()
        server.advance("3d")
        ahead = server.ready()["clock"]["ahead_ms"]
        assert abs(ahead - 3 * 86_400_000) < 60_000
        assert server.stop() == 0
        del server.settings["MOVABLE_CLOCK"]
        last = refused(tmp_path, **server.settings)
        assert last.startswith("overture: The clock of this store was put 3d ahead to try things out")
        server.settings["MOVABLE_CLOCK"] = "true"
        server.start()
        assert "and is 3d ahead: " in server.said()
        assert server.ready()["clock"]["ahead_ms"] == ahead
        name, _ = known(server)
        server.facts(fact("begun", name))
        assert abs(moments(server, name, "begun")[0][1] - server.now()) < 60 * SECOND


def test_other_processes_of_the_store_follow(tmp_path: Path, moving: Server, mailbox: Mailbox) -> None:
    store = json.loads((moving.data / "store.json").read_text())["url"]
    shared = {**moving.settings, "REDIS_URL": store, "DATA_DIR": str(moving.data)}
    with Server(tmp_path, **shared, ROLES="web") as web, Server(tmp_path / "w", **shared, ROLES="worker,delivery,web"):
        name, address = known(web)
        web.facts(fact("begun", name))
        web.advance("4d")  # by a process that decides and delivers nothing itself
        assert mailbox.subjects(address) == ["One", "Two", "Three"]
        assert abs(moving.now() - web.now()) < 5 * SECOND
        moving.advance("1d")
        moving.facts(fact("pinged", name))
        eventually(lambda: moving.now() - web.now() < 5 * SECOND, "the other process sees it")
        web.facts(fact("pinged", name))
        (_, one), (_, other) = moments(web, name, "pinged")
        assert abs(other - one) < 60 * SECOND


def test_the_command_line(moving: Server, tmp_path: Path) -> None:
    environ = {**moving.environ, "OVERTURE_PORT": str(moving.port)}
    before = json.loads(overture("clock", "--json", environ=environ, cwd=tmp_path).stdout)
    told = overture("clock", "advance", "1d", "--json", environ=environ, cwd=tmp_path)
    after = json.loads(told.stdout)
    assert (told.returncode, after["to"]) == (0, None)
    assert 0 <= after["ahead_ms"] - before["ahead_ms"] - 86_400_000 + 60_000 < 120_000
    shown = overture("clock", environ=environ, cwd=tmp_path).stdout
    assert shown.rstrip().endswith("days ahead")
    wrong = overture("clock", "advance", "soon", environ=environ, cwd=tmp_path)
    assert wrong.returncode == 2
    assert "a number of s, m, h, d or w" in wrong.stderr


def test_how_far_it_goes(moving: Server) -> None:
    answer = moving.call("POST", "/v1/clock", {"advance": "400d"})
    assert (answer.status, answer.json["code"], answer.json["pointer"]) == (409, "clock.too_far", "/advance")
    assert "400d" in answer.json["detail"]


def test_of_any_other_server_it_cannot_be_moved(server: Server) -> None:
    for answer in (server.call("GET", "/v1/clock"), server.call("POST", "/v1/clock", {"advance": "1s"})):
        assert (answer.status, answer.json["code"]) == (409, "clock.fixed")
        assert "OVERTURE_MOVABLE_CLOCK=true" in answer.json["hint"]
    assert server.ready()["clock"]["ahead_ms"] == 0


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_write_key_may_not(moving: Server, method: str) -> None:
    body: Any = {"advance": "1s"} if method == "POST" else None
    answer = moving.call(method, "/v1/clock", body, key=WRITE)
    assert (answer.status, answer.json["code"]) == (403, "auth.scope_missing")
