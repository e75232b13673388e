from __future__ import annotations

import msgspec
import pytest

from overture.delivery.gate import verdict
from overture.model import Contact, Message
from overture.model.reasons import REASONS, sentence

GRANTED = {"smtp": {"marketing": "granted"}}


def message(**changes: str) -> Message:
    values = {"channel": "smtp", "purpose": "marketing", "to": ""} | changes
    return Message(
        "f1:welcome/hello:0", "ada", template="hello", ruleset="welcome", revision="r", rule="hello", fact="f1",
        created_at=0, **values,
    )  # fmt: skip


def test_consent_and_an_address_let_it_pass():
    passed = verdict(message(), Contact("ada", consent=GRANTED), "ada@example.com", 0)
    assert (passed.passed, passed.reason, passed.text) == (True, "", "")


@pytest.mark.parametrize(
    ("given", "contact", "address", "reason"),
    [
        ({}, None, "ada@example.com", "contact.unknown"),
        ({"to": "https://example.com"}, None, None, "contact.unknown"),
        ({}, Contact("ada", consent=GRANTED), None, "address.missing"),
        ({}, Contact("ada", consent=GRANTED), "", "address.missing"),
        ({"purpose": "transactional"}, Contact("ada"), None, "address.missing"),
        ({}, Contact("ada"), "ada@example.com", "consent.missing"),
        ({}, Contact("ada", consent={"sms": {"marketing": "granted"}}), "ada@example.com", "consent.missing"),
        ({}, Contact("ada", consent={"smtp": {"news": "granted"}}), "ada@example.com", "consent.missing"),
        ({}, Contact("ada", consent={"smtp": {"marketing": "denied"}}), "ada@example.com", "consent.denied"),
        ({}, Contact("ada", consent={"smtp": {"marketing": "perhaps"}}), "ada@example.com", "consent.denied"),
    ],
)
def test_what_keeps_a_message_back(given: dict[str, str], contact: Contact | None, address: str | None, reason: str):
    kept = verdict(message(**given), contact, address, 0)
    assert not kept.passed
    assert kept.reason == reason
    assert kept.text.endswith(".")
    assert "{" not in kept.text


@pytest.mark.parametrize(
    ("listed", "reason"),
    [("bounce", "suppressed.bounce"), ("complaint", "suppressed.complaint"), ("by hand", "suppressed.other")],
)
def test_a_suppressed_address_gets_nothing(listed: str, reason: str):
    contact = Contact("ada", consent=GRANTED, suppressed={"smtp:ada@example.com": listed})
    kept = verdict(message(), contact, "ada@example.com", 0)
    assert kept.reason == reason
    assert "ada@example.com" in kept.text
    assert verdict(message(purpose="transactional"), contact, "ada@example.com", 0).reason == reason
    assert verdict(message(to="ada@example.com"), contact, None, 0).reason == reason
    assert verdict(message(), contact, "ada@example.org", 0).passed


def test_refusal_comes_before_suppression():
    contact = Contact("ada", consent={"smtp": {"marketing": "denied"}}, suppressed={"smtp:a@example.com": "bounce"})
    assert verdict(message(), contact, "a@example.com", 0).reason == "consent.denied"


def test_what_comes_later_than_it_may_is_not_sent():
    late = msgspec.structs.replace(message(), expires=5_000)
    contact = Contact("ada", consent=GRANTED)
    assert verdict(late, contact, "a@example.com", 5_000).passed
    kept = verdict(late, contact, "a@example.com", 5_001)
    assert (kept.reason, "1970-01-01T00:00:05.000Z" in kept.text) == ("late.expired", True)


def test_transactional_needs_no_consent():
    assert verdict(message(purpose="transactional"), Contact("ada"), "ada@example.com", 0).passed


def test_an_explicit_address_is_not_the_contacts():
    assert verdict(message(to="sales@example.com"), Contact("ada"), None, 0).passed


def test_each_reason_is_a_sentence():
    said = {"contact": "ada", "channel": "smtp", "purpose": "news", "address": "a@example.com"}
    filled = [sentence(reason, before="1 within today", after="08:00", **said) for reason in REASONS]
    assert all(text[0].isupper() and text.endswith(".") for text in filled)
    assert len(set(filled)) == len(REASONS)
