"""Of Overture's own types apps may post those that only they know of."""

from __future__ import annotations

import json

import pytest

from overture.intake import Caps, parse


@pytest.mark.parametrize("type", ["message.opened", "message.clicked"])
def test_what_was_opened_and_clicked_may_be_posted(type: str):
    fact = {"type": type, "contact": "ada", "properties": {"channel": "email"}}
    parsed = parse(json.dumps(fact).encode(), 1_800_000_000_000, Caps())
    assert parsed.rejected == []
    assert [(draft.type, draft.properties) for draft in parsed.drafts] == [(type, {"channel": "email"})]


@pytest.mark.parametrize("type", ["message.sent", "message.opened.twice", "message.bounced"])
def test_others_may_not(type: str):
    parsed = parse(json.dumps({"type": type, "contact": "ada"}).encode(), 1_800_000_000_000, Caps())
    assert [rejected.code for rejected in parsed.rejected] == ["fact.type_reserved"]
