"""Every id that POST /v1/facts takes can be asked for: percent-encoded, whatever characters it holds."""

from __future__ import annotations

import string
from urllib.parse import quote

import pytest
from serverkit import Server, fact, fresh

ODD = [
    *string.punctuation.replace("$", ""),  # a user_id does not begin with $
    *("{0}", "{id}", "{{x}}", "a}b", "%7B", "%2F", "a%252Fb", "100%", "a//b", "/a/", "..", ".", "a b", " a", "a+b"),
    *("é", "ß", "日本", "\U0001f600", "а́", "¡", "a?b=c#d", "a;b", "http://x/?y=1#z", "x" * 256, "日" * 256),
]


@pytest.mark.parametrize("id", ODD)
def test_a_contact_is_found_by_each_of_its_identifiers(server: Server, id: str) -> None:
    ids = {"user_id": id, "anonymous_id": id, "external": {"crm": id}}
    for name, contact in (("user_id", id), ("anonymous_id", f"anonymous_id:{id}"), ("external", f"external:crm:{id}")):
        receipt = server.facts(fact("whitepaper_downloaded", {name: ids[name]}))
        assert receipt["decisions"][0]["contact"] == contact
        path = f"/v1/contacts/{quote(contact, safe='')}"
        assert server.get(path)["id"] == contact
        assert server.get(f"{path}/timeline")["items"]


def test_a_message_is_tried_again_whatever_its_fact_is_called(server: Server) -> None:
    for id in ("{0}", "a/b", "100%", "..", "?#é"):
        ada = fresh("ada{}")
        server.facts(fact("identify", ada, email=f"{fresh('ada')}@example.com"))
        server.facts(fact("guide_downloaded", ada, id=id, guide="seo"))
        (message,) = server.messages(ada)
        answer = server.call("POST", f"/v1/messages/{quote(message['id'], safe='')}/retry")
        assert (answer.status, answer.json) == (200, {"id": message["id"]})


def test_paths_that_are_no_text(server: Server) -> None:
    for path in ("%FF", "%ED%A0%80", "%00", "%zz", "%ud800"):
        answer = server.call("GET", f"/v1/contacts/{path}")
        assert (answer.status, answer.json["code"]) == (404, "contact.unknown"), path
