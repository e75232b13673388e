"""What others say became of a message changes whether its contact may be written to."""

from __future__ import annotations

from typing import Any

import pytest
from decidekit import Show, plan


def shown(**traits: Any) -> Show:
    show = Show(plan("facts:\n  seen: {}\n"))
    show.fact("identify", **traits)
    for purpose in ("marketing", "news"):
        show.fact("consent", channel="email", purpose=purpose, state="granted")
    show.fact("consent", channel="sms", purpose="news", state="granted")
    return show


def test_whoever_unsubscribes_takes_back_the_purpose_of_the_message() -> None:
    show = shown()
    show.fact("message.unsubscribed", channel="email", address="a@x.org", purpose="news")
    assert show.contact.consent == {"email": {"marketing": "granted", "news": "denied"}, "sms": {"news": "granted"}}
    assert show.contact.suppressed == {}


@pytest.mark.parametrize("said", [{}, {"purpose": "transactional"}, {"purpose": 7}])
def test_where_no_purpose_is_known_all_on_the_channel_is_taken_back(said: dict[str, Any]) -> None:
    show = shown()
    show.fact("message.unsubscribed", channel="email", **said)
    assert show.contact.consent == {"email": {"marketing": "denied", "news": "denied"}, "sms": {"news": "granted"}}
    before = show.contact.consent
    show.fact("message.unsubscribed", **said)  # from what?
    assert show.contact.consent == before


def test_what_a_service_does_not_even_send_suppresses_where_nobody_is_there() -> None:
    show = shown()
    show.fact("message.rejected", channel="email", address="a@x.org", reason="blocked", permanent=False)
    show.fact("message.deferred", channel="email", address="a@x.org")
    show.fact("message.delivered", channel="email", address="a@x.org")
    assert show.contact.suppressed == {}
    show.fact("message.rejected", channel="email", address="a@x.org", reason="bounced", permanent=True)
    assert show.contact.suppressed == {"email:a@x.org": "bounce"}


def test_an_address_is_suppressed_as_the_contact_writes_it() -> None:
    show = shown(email="Ada@Example.org")
    show.fact("message.bounced", channel="email", address="ada@example.org", permanent=True)
    show.fact("message.complained", channel="email", address="Other@example.org")
    assert show.contact.suppressed == {"email:Ada@Example.org": "bounce", "email:Other@example.org": "complaint"}
