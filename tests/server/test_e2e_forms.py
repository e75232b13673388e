"""Forms against a real server: what is asked, what becomes of it, and what a stranger never learns."""

from __future__ import annotations

import re
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from serverkit import SHIPPED, WRITE, Answer, Mailbox, Server, eventually, fact, fresh

STARTS = 4_102_444_800_000  # far ahead
VALUES = ("Ada Lovelace", "36", "engineer", "Analytical Engines")
TRAITS = {"name": VALUES[0], "age": 36, "occupation": VALUES[2], "company": VALUES[3]}


def show(server: Server, name: str, *, key: str = WRITE, **who: str) -> Any:
    answer = server.call("GET", f"/v1/forms/{name}?{urlencode(who)}", key=key)
    assert answer.status == 200, answer.body
    return answer.json


def asked(form: Any) -> list[str]:
    return [each["trait"] + (f"={each['value']}" if "value" in each else "") for each in form["fields"]]


def submit(server: Server, name: str, answers: dict[str, Any], **more: Any) -> Answer:
    key = more.pop("key", WRITE)
    return server.call("POST", f"/v1/forms/{name}", {"answers": answers, **more}, key=key)


def taken(server: Server, name: str, answers: dict[str, Any], **more: Any) -> None:
    answer = submit(server, name, answers, **more)
    assert (answer.status, answer.json) == (200, {"form": name, "accepted": True}), answer.body


def webinar(name: str = "w1", **more: Any) -> dict[str, Any]:
    return {"webinar": name, "starts_at": STARTS, **more}


def mailed(server: Server, mailbox: Mailbox, address: str) -> str:
    """The token in the mail that follows the landing form."""
    (mail,) = eventually(lambda: mailbox.to(address), "the mail is there")
    (token,) = re.findall(r"visitor=([\w-]+)", mail.message.get_body(("plain",)).get_content())
    return token


@pytest.fixture
def ada(server: Server) -> str:
    """A contact of whom everything is known; answers her e-mail address."""
    user = fresh("ada-")
    email = f"{user}@example.com"
    server.facts(fact("identify", {"user_id": user, "email": email}, email=email, **TRAITS))
    return email


def test_the_way_of_r9(server: Server, mailbox: Mailbox) -> None:
    email, cookie = f"{fresh('grace-')}@example.com", fresh("cookie-")
    assert asked(show(server, "landing", anonymous_id=cookie)) == ["email", "name"]
    taken(server, "landing", {"email": email.upper(), "name": " Grace "}, anonymous_id=cookie)
    contact = server.contact(f"email:{email}")
    assert contact["traits"] == {"email": email, "name": "Grace"}
    assert contact["ids"]["anonymous_id"] == [cookie]

    token = mailed(server, mailbox, email)
    form = show(server, "webinar", visitor=token)
    assert form["identified"]
    assert asked(form) == [f"email={email}", "name=Grace", "age", "occupation", "company"]
    taken(server, "webinar", {"age": "41", "company": ""}, about=webinar(title="Forms"), visitor=token)
    contact = server.contact(f"email:{email}")
    assert contact["traits"]["age"] == 41
    assert [(j["journey"], j["key"], j["step"]) for j in contact["journeys"]] == [
        ("progressive_webinar/webinar", "w1", "day-before")
    ]
    assert asked(show(server, "webinar", visitor=token)) == [f"email={email}", "name=Grace", "occupation", "company"]


def test_what_a_cookie_said_is_not_asked_of_it_again(server: Server) -> None:
    cookie, email = fresh("cookie-"), f"{fresh('x-')}@example.com"
    taken(server, "webinar", {"email": email, "age": 30}, about=webinar(), anonymous_id=cookie)
    form = show(server, "webinar", anonymous_id=cookie)
    assert not form["identified"]
    assert asked(form) == ["email", "name", "occupation", "company"]
    taken(server, "webinar", {"email": email, "name": "X", "occupation": "y"}, about=webinar("w2"), anonymous_id=cookie)
    assert asked(show(server, "webinar", anonymous_id=cookie)) == ["email", "company"]


def test_a_cookie_alone_is_asked_what_it_has_not_said(server: Server) -> None:
    cookie = fresh("cookie-")
    server.facts(fact("identify", {"anonymous_id": cookie}, name="Somebody", occupation="baker"))
    assert asked(show(server, "webinar", anonymous_id=cookie)) == ["email", "age", "company"]


def test_a_stranger_with_her_address_learns_nothing(server: Server, ada: str) -> None:
    """Not her traits, not which are known, not whether she is there at all."""
    nobody = f"{fresh('nobody-')}@example.com"
    told: list[list[bytes]] = []
    for email in (ada, nobody):
        cookie = fresh("cookie-")
        answers = [
            server.call("GET", f"/v1/forms/webinar?anonymous_id={cookie}", key=WRITE),
            submit(server, "webinar", {"email": email, "name": "Mallory"}, about=webinar(), anonymous_id=cookie),
            server.call("GET", f"/v1/forms/webinar?anonymous_id={cookie}", key=WRITE),
            submit(server, "webinar", {"email": email, "name": "Mallory"}, about=webinar(), anonymous_id=cookie),
            submit(server, "webinar", {"email": email}, about=webinar()),
            submit(server, "webinar", {"email": email, **TRAITS}, about=webinar()),
            submit(server, "webinar", {"name": "no address"}, about=webinar(), anonymous_id=cookie),
            server.call("GET", f"/v1/forms/webinar?anonymous_id={cookie}", key=WRITE),
        ]
        told.append([answer.body for answer in answers])
        for answer in answers:
            assert not any(value in answer.body.decode() for value in VALUES), answer.body
    assert told[0] == told[1]


def test_a_stranger_adds_and_changes_nothing(server: Server, ada: str) -> None:
    before = server.contact(f"email:{ada}")["traits"]
    wrong = {"email": ada, "name": "Mallory", "age": 1, "company": "Other"}
    taken(server, "webinar", wrong, about=webinar())
    assert server.contact(f"email:{ada}")["traits"] == before


def test_what_is_accepted_and_not_yet_decided_is_known_too(tmp_path: Path, store_url: str) -> None:
    """Her app tells her name, and two strangers answer with her address, while the worker does nothing."""
    email = f"{fresh('soon-')}@example.com"
    with (
        Server(tmp_path / "web", ROLES="web", REDIS_URL=store_url, RULESETS=SHIPPED) as web,
        Server(tmp_path / "worker", ROLES="worker,web", REDIS_URL=store_url, RULESETS=SHIPPED) as worker,
        ThreadPoolExecutor() as pool,
    ):
        web.drained()
        assert worker.process is not None
        worker.process.send_signal(signal.SIGSTOP)
        try:
            web.facts(fact("identify", {"email": email}, name="Ada"), wait=False)
            answers = [{"name": "Mallory", "age": 1}, {"name": "Eve", "age": 2, "company": "Other"}]
            posted = []
            for n, said in enumerate(answers):
                posted.append(pool.submit(taken, web, "webinar", {"email": email, **said}, about=webinar()))
                eventually(lambda lag=3 + 2 * n: web.ready()["lag"] == lag, "it is in the log")
        finally:
            worker.process.send_signal(signal.SIGCONT)
        for each in posted:
            each.result()
        contact = web.contact(f"email:{email}")
        assert contact["traits"] == {"email": email, "name": "Ada", "age": 1, "company": "Other"}


def test_who_is_not_identified_is_refused_her_name_by_any_other_way(server: Server, ada: str) -> None:
    for who in ({"contact": f"email:{ada}"}, {"contact": ada.partition("@")[0]}):
        assert server.call("GET", f"/v1/forms/webinar?{urlencode(who)}", key=WRITE).status == 403
        assert submit(server, "webinar", {}, about=webinar(), **who).status == 403
    for token in ("x", "AAAA", "A" * 80):
        answer = server.call("GET", f"/v1/forms/webinar?visitor={token}", key=WRITE)
        assert (answer.status, answer.json["code"]) == (404, "link.invalid")
    assert server.call("GET", "/v1/forms/webinar?email=" + ada, key=WRITE).status == 400


def test_a_cookie_that_two_addresses_were_typed_at_makes_them_no_one(server: Server, ada: str) -> None:
    cookie, other = fresh("cookie-"), f"{fresh('mallory-')}@example.com"
    taken(server, "landing", {"email": ada}, anonymous_id=cookie)
    taken(server, "landing", {"email": other}, anonymous_id=cookie)
    assert server.contact(f"email:{ada}")["traits"]["name"] == VALUES[0]
    assert server.contact(f"email:{other}")["traits"] == {"email": other}


def test_two_addresses_typed_at_one_cookie_at_the_same_moment_make_no_one(server: Server) -> None:
    for _ in range(10):
        cookie, emails = fresh("cookie-"), [f"{fresh('twin-')}@example.com" for _ in range(2)]
        with ThreadPoolExecutor() as pool:
            posted = [pool.submit(taken, server, "landing", {"email": e}, anonymous_id=cookie) for e in emails]
        for each in posted:
            each.result()
        assert [server.contact(f"email:{email}")["traits"] for email in emails] == [{"email": e} for e in emails]


def test_an_identified_visitor_takes_nobody_over_by_typing_her_address(
    server: Server, mailbox: Mailbox, ada: str
) -> None:
    email = f"{fresh('mallory-')}@example.com"
    lone = f"{fresh('lone-')}@example.com"
    taken(server, "landing", {"email": lone, "name": VALUES[0]})
    taken(server, "landing", {"email": email})
    token = mailed(server, mailbox, email)
    for victim in (ada, lone):
        taken(server, "webinar", {"email": victim, "age": 20}, about=webinar(), visitor=token)
        assert server.contact(f"email:{victim}")["traits"]["name"] == VALUES[0]
        assert server.contact(f"email:{email}")["traits"] == {"email": email, "age": 20}


def test_a_link_identifies_while_its_address_is_still_the_contacts(server: Server, mailbox: Mailbox) -> None:
    email = f"{fresh('moved-')}@example.com"
    taken(server, "landing", {"email": email, "name": "Moved"})
    token = mailed(server, mailbox, email)
    assert show(server, "webinar", visitor=token)["identified"]
    server.facts(fact("identify", {"email": email}, email=f"new-{email}"))
    answer = server.call("GET", f"/v1/forms/webinar?visitor={token}", key=WRITE)
    assert (answer.status, answer.json["code"]) == (404, "link.invalid")
    assert server.call("GET", f"/subscription/{token}").status == 404  # nor does it lead to the preferences


def test_an_app_says_who_the_visitor_is(server: Server, ada: str) -> None:
    user, key = ada.partition("@")[0], "admin-key-of-this-test"
    form = show(server, "webinar", contact=user, key=key)
    assert asked(form) == [f"email={ada}", f"name={VALUES[0]}"]
    taken(server, "webinar", {"name": "Ada King"}, about=webinar(), contact=user, key=key)
    assert server.contact(user)["traits"]["name"] == "Ada King"
    new = fresh("new-")
    assert asked(show(server, "webinar", contact=new, key=key)) == ["email", "name", "age", "occupation"]
    taken(server, "webinar", {"email": f"{new}@example.com", "age": 5}, about=webinar(), contact=new, key=key)
    assert server.contact(new)["traits"] == {"email": f"{new}@example.com", "age": 5}
    answer = server.call("GET", "/v1/forms/webinar?contact=anonymous_id:c1", key=key)
    assert (answer.status, answer.json["code"]) == (400, "form.contact")


def test_sent_twice_it_is_taken_once_and_moved_back_it_is_another(server: Server) -> None:
    email = f"{fresh('twice-')}@example.com"
    first = {"email": email, "name": "T", "age": 7}

    def registered() -> int:
        return sum(m["fact"]["type"] == "webinar_registered" for m in server.timeline(f"email:{email}"))

    for _ in range(2):
        taken(server, "webinar", first, about=webinar(), id="s1")
    assert registered() == 1
    taken(server, "webinar", first, about=webinar() | {"starts_at": STARTS + 1}, id="s2")
    taken(server, "webinar", first, about=webinar(), id="s3")
    assert registered() == 3


@pytest.mark.parametrize(
    ("answers", "about", "errors"),
    [
        ({}, {}, {"/answers/email": "missing", "/about/webinar": "missing", "/about/starts_at": "missing"}),
        ({"email": "no address"}, None, {"/answers/email": "type"}),
        ({"email": "  "}, None, {"/answers/email": "missing"}),
        ({"email": "a@example.com", "age": "old"}, None, {"/answers/age": "type"}),
        ({"email": "a@example.com", "age": 1.5}, None, {"/answers/age": "type"}),
        ({"email": "a@example.com", "age": True}, None, {"/answers/age": "type"}),
        ({"email": "a@example.com", "name": "a\u0000b"}, None, {"/answers/name": "type"}),
        ({"email": "a@example.com", "name": "x" * 2001}, None, {"/answers/name": "type"}),
        ({"email": "a@b.c", "role": "x", "id": 5}, None, {"/answers/role": "unknown", "/answers/id": "unknown"}),
        ({"email": "a@example.com"}, webinar(seats=2), {"/about/seats": "unknown"}),
        ({"email": "a@example.com"}, webinar() | {"starts_at": "soon"}, {"/about/starts_at": "type"}),
    ],
)  # fmt: skip
def test_each_field_has_one_error(server: Server, answers: Any, about: Any, errors: dict[str, str]) -> None:
    answer = submit(server, "webinar", answers, about=webinar() if about is None else about, anonymous_id="errors")
    assert (answer.status, answer.json["code"]) == (422, "form.invalid")
    assert {e["pointer"]: e["code"] for e in answer.json["errors"]} == {at: f"answer.{c}" for at, c in errors.items()}
    assert server.find("anonymous_id:errors") is None


def test_times_may_be_written_out(server: Server) -> None:
    email = f"{fresh('times-')}@example.com"
    said = {"webinar": "w9", "starts_at": "2100-01-01T01:00:00+01:00"}
    taken(server, "webinar", {"email": email, "age": "036"}, about=said)
    moment = next(m for m in server.timeline(f"email:{email}") if m["fact"]["type"] == "webinar_registered")
    assert moment["fact"]["properties"] == {"webinar": "w9", "starts_at": STARTS}
    assert server.contact(f"email:{email}")["traits"]["age"] == 36


def test_somebody_must_be_there(server: Server) -> None:
    server.deploy("quiz", QUIZ)
    answer = submit(server, "quiz", {"size": "small"})
    assert (answer.status, answer.json["code"]) == (400, "form.nobody")
    assert submit(server, "quiz", {"size": "tiny"}, anonymous_id="q").json["errors"][0]["code"] == "answer.option"
    taken(server, "quiz", {"size": "small"}, anonymous_id="q")
    assert server.contact("anonymous_id:q")["traits"] == {"size": "small"}
    assert show(server, "quiz", anonymous_id="q")["fields"] == []


QUIZ = """\
apiVersion: overture/v1
kind: Ruleset
name: quiz
facts: {quiz_taken: {}}
traits: {size: "string?"}
forms:
  quiz: {fact: quiz_taken, fields: [{trait: size, options: [small, large], required: true}]}
"""
