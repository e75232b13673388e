"""Attribution on a real server: visits posted, a mail really sent and followed, and the question asked as people do."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from serverkit import Answer, Mailbox, Server, eventually, fact, mail_server, overture

from overture.attribution import MODELS

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
DOCUMENT = """
apiVersion: overture/v1
kind: Ruleset
name: offers
requires: {channels: [email]}
facts:
  offered: {}
templates:
  spring: {subject: Spring, html: '<a href="https://shop.example/spring">See</a>'}
rules:
  spring:
    when: fact.type == "offered"
    then: [{send: {channel: email, template: spring, purpose: marketing}}]
"""


@pytest.fixture(scope="module")
def mails(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mailbox]:
    with mail_server(tmp_path_factory.mktemp("mails")) as box:
        yield box


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, mails: Mailbox) -> Iterator[Server]:
    """Ada came by an advertisement, became known, followed a mail and ordered; Bob came and left; Cy ordered."""
    settings = {"SMTP_URL": mails.url, "TRACKING": "email=clicks", "RULESETS": "", "MOVABLE_CLOCK": "true"}
    with Server(tmp_path_factory.mktemp("attribution"), **settings) as running:
        running.deploy("offers", DOCUMENT)
        running.facts(
            fact("page_viewed", {"anonymous_id": "a1"}, url="https://shop.example/", utm_medium="cpc", utm_source="g"),
            fact("page_viewed", {"anonymous_id": "b1"}, url="https://shop.example/", referrer="https://blog.example/"),
        )
        running.facts(fact("identify", {"user_id": "ada", "anonymous_id": "a1"}, email="ada@example.org"))
        consent = {"channel": "email", "purpose": "marketing", "state": "granted"}
        running.facts(fact("consent", "ada", **consent), fact("offered", "ada"))
        running.settled()
        running.advance("30s")  # who follows a link sooner is a scanner
        (mail,) = mails.to("ada@example.org")
        body = mail.message.get_body(("html",))
        assert body is not None
        (link,) = re.findall(r'href="([^"]+)"', body.get_content())
        headers = {"Authorization": "", "User-Agent": FIREFOX}
        assert running.call("GET", unescape(link).removeprefix(running.url), headers=headers).status == 302
        running.drained()
        running.advance("2s")
        running.facts(fact("order_completed", "ada", total=50), fact("order_completed", "cy", total=9))
        running.drained()
        yield running


def asked(server: Server, **query: str) -> Any:
    answer = tried(server, **query)
    assert answer.status == 200, answer.body
    return answer.json


def tried(server: Server, **query: str) -> Answer:
    return server.call("GET", f"/v1/attribution?{urlencode({'conversion': 'order_completed', **query})}")


def given(answer: Any, model: str, what: str = "conversions") -> dict[str, float]:
    return {row["label"]: pytest.approx(row["models"][model][what]) for row in answer["rows"]}


def test_what_a_conversion_is_owed_to(server: Server):
    answer = asked(server, value="fact.total")
    assert answer["conversions"] == {"total": 2, "attributed": 1, "direct": 1}
    assert answer["value"] == {"total": 59, "attributed": 50, "direct": 9}
    assert (answer["paths"], answer["null_paths"], answer["missing_entries"], answer["refused"]) == (1, 1, 0, {})
    assert given(answer, "first") == {"cpc": 1, "email": 0, "referral": 0}
    assert given(answer, "last", "value") == {"cpc": 0, "email": 50, "referral": 0}
    for model in ("linear", "position", "markov", "shapley"):
        assert given(answer, model, "share") == {"cpc": 0.5, "email": 0.5, "referral": 0}
    for model in MODELS:
        assert sum(row["models"][model]["conversions"] for row in answer["rows"]) == pytest.approx(1, abs=1e-9)
    by = asked(server, by="template", model="last")
    assert {row["label"]: row["models"]["last"]["conversions"] for row in by["rows"]} == {
        "(none)": 0,
        "offers/spring": 1,
    }


def test_the_same_question_is_answered_from_what_is_kept_until_more_is_decided(server: Server):
    before = asked(server, by="source")
    assert asked(server, by="source") == before
    one = asked(server, by="source", model="linear")
    assert given(one, "linear") == given(before, "linear")
    assert list(one["rows"][0]["models"]) == ["linear"]
    server.facts(fact("page_viewed", "cy", utm_source="g"), fact("order_completed", "cy", total=1))
    server.drained()
    after = asked(server, by="source")
    assert after["facts"] > before["facts"]
    assert given(after, "first") == {**given(before, "first"), "g": 2}


def test_who_is_erased_is_counted_no_more(server: Server):
    server.facts(fact("page_viewed", "eve", utm_medium="tv"), fact("order_completed", "eve", total=1))
    server.drained()
    assert "tv" in given(asked(server), "first")
    assert server.call("DELETE", "/v1/contacts/eve").status == 202
    eventually(lambda: "tv" not in given(asked(server), "first"), "eve is counted no more")


def test_who_may_ask_and_what(server: Server):
    assert server.call("GET", "/v1/attribution?conversion=x", key="none").status == 401
    refused = tried(server, since="tomorrow")
    assert (refused.status, refused.json["code"]) == (400, "attribution.period")
    assert asked(server, conversion="order_refunded")["not_recorded"] == ["order_refunded"]


def test_on_the_command_line(server: Server, tmp_path: Path):
    environ = {**server.environ, "OVERTURE_PORT": str(server.port)}
    done = overture("attribution", "order_completed", "--value", "fact.total", environ=environ, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert re.match(r"\d conversions, worth \d+\.00, .* without; 1 paths led to none", lines[0])
    rows = {line.split()[0]: line.split()[1:] for line in lines[1:] if line.strip()}
    assert rows["channel"] == ["touches", *MODELS]
    assert rows["email"][2] == "50.00"
    assert len(set(rows["value"])) == 1
    done = overture("attribution", "order_completed", "--json", environ=environ, cwd=tmp_path)
    assert json.loads(done.stdout) == asked(server)
    done = overture("attribution", "fact.total > 1", environ=environ, cwd=tmp_path)
    assert (done.returncode, "does not say on which facts" in done.stderr) == (2, True)
