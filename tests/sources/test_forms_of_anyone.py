"""Forms that anyone may have sent: nothing is known of them before their signature, which is in them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from signkit import request

from overture.plugin import Incoming, PushSource, Refuse
from overture_sources import twilio
from overture_sources.forms import HEAD, MOST, form
from overture_sources.mailgun import Mailgun, MailgunConfig
from overture_sources.twilio import LARGEST, Twilio, TwilioConfig

TWILIO = Twilio(TwilioConfig.model_validate({"auth_token": "t", "url": "https://your.host/in/twilio"}))
MAILGUN = Mailgun(MailgunConfig.model_validate({"signing_key": "k"}))


def multipart(*parts: bytes) -> Incoming:
    body = b"".join(b"--b\r\n" + part + b"\r\n" for part in parts) + b"--b--\r\n"
    return request(body, Content_Type="multipart/form-data; boundary=b")


def part(name: str, value: bytes, head: bytes = b"") -> bytes:
    return b'Content-Disposition: form-data; name="' + name.encode() + b'"' + head + b"\r\n\r\n" + value


@pytest.mark.parametrize("source", [TWILIO, MAILGUN])
async def test_other_requests_go_on_while_a_large_form_is_read(source: PushSource) -> None:
    large = multipart(*[part(f"n{n}", b"") for n in range(MOST // 4)])
    asked = asyncio.ensure_future(source.parse(large))
    await asyncio.sleep(0)
    assert not asked.done()
    with pytest.raises(Refuse) as refused:
        await asked
    assert refused.value.status == 401


def test_a_part_whose_head_is_no_head_of_a_form_is_left_out() -> None:
    filled = form(multipart(part("a", b"1"), part("b", b"2", b"\r\nX: y" * (HEAD // 6)), part("c", b"3")))
    assert filled is not None
    assert [(name, filled.first(name)) for name in filled.names()] == [("a", "1"), ("c", "3")]


def test_the_charset_of_host_names_is_none_of_a_form() -> None:
    odd = b"\r\nContent-Type: text/plain; charset=punycode"
    filled = form(multipart(part("a", b"bcher-kva", odd)))
    assert filled is not None
    assert filled.first("a") == "bcher-kva"


def test_twilio_sends_little() -> None:
    (plugin,) = list[Any](twilio.overture_sources())
    assert [each.most for each in plugin.endpoints] == [LARGEST, LARGEST]
