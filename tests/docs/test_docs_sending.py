"""``docs/sending.md`` is true: every reason with its sentence, the numbers, the example."""

from __future__ import annotations

import json

from dockit import blocks, code, page, table
from ruamel.yaml import YAML

from overture.decide import limits
from overture.model.addresses import own_address
from overture.model.contact import Contact
from overture.model.reasons import REASONS, sentence
from overture.rules.keys import SENDING
from overture.trial.reading import inspect

PAGE = page("sending.md")


def test_the_keys_are_the_codes():
    assert {code(row[0]) for row in table(PAGE, "key of `sending`")} == SENDING.keys.keys()


def test_every_reason_has_its_sentence():
    assert {code(row[0]): row[1] for row in table(PAGE, "reason")} == REASONS


def test_a_sentence_is_said_about_a_message():
    said = sentence("cap.held", before="1 within today, taken by shop/cart", after="2026-03-22T08:00:00+01:00")
    assert "1 within today, taken by shop/cart" in said
    assert "2026-03-22T08:00:00+01:00" in said
    assert sentence("score.no_key") == ""


def test_the_numbers_are_the_codes():
    assert f"At most {limits.KEPT_MESSAGES} wait for one contact" in PAGE


def test_the_addresses_are_the_codes():
    contact = Contact("ada", traits={"phone": "+1", "push_token": "t", "fax": "2"}, ids={"email": ["a@example.com"]})
    found = {channel: own_address(contact, channel) for channel in ("email", "sms", "push", "fax", "post")}
    assert found == {"email": "a@example.com", "sms": "+1", "push": "t", "fax": "2", "post": None}


def test_the_example_passes_the_checker():
    (example,) = blocks(PAGE, "yaml")
    frame = {"apiVersion": "overture/v1", "kind": "Ruleset", "name": "shown"}
    ruleset, _, findings = inspect(json.dumps({**frame, **YAML(typ="safe").load(example)}))
    assert [finding.message for finding in findings] == []
    assert ruleset is not None
    assert ruleset.sending is not None
