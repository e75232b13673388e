"""Twilio says what became of text messages and what people write: whose word it is, and the facts that it makes."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from urllib.parse import quote, urlencode

import pytest
from pydantic import ValidationError
from signkit import request

from overture.intake import Caps, parse
from overture.model.fact import REPORTED_TYPES
from overture.plugin import Incoming, Outgoing, Posted, Refuse
from overture_channels.twilio import TwilioChannel
from overture_channels.twilio import TwilioConfig as ChannelConfig
from overture_sources.forms import Form
from overture_sources.twilio import MOST, Twilio, TwilioConfig, signature

TOKEN, URL = "12345", "https://your.host/in/twilio"
SID, ID = "SM" + "0" * 32, "f1:shop/welcome:1:0a1b2c3d"
SAID = {"MessageSid": SID, "AccountSid": "AC1", "From": "+15005550006", "To": "+4930901820"}
SOURCE = Twilio(TwilioConfig.model_validate({"auth_token": TOKEN, "url": URL}))


def posted(
    fields: dict[str, str], *, message: str = ID, path: str = "", token: str = TOKEN, url: str = URL
) -> Incoming:
    """A request as Twilio makes it, to the address that it thinks it calls."""
    query = f"?overture_message={quote(message, safe='')}" if message else ""
    given = Form([(name, value.encode(), "") for name, value in fields.items()])
    headers = {
        "Content_Type": "application/x-www-form-urlencoded",
        "X_Twilio_Signature": signature(token, f"{url}{path}{query}", given),
    }
    made = request(urlencode(fields).encode(), **headers)
    return replace(made, endpoint=f"~{path}", query={"overture_message": message} if message else {})


async def told(asked: Incoming, source: Twilio = SOURCE) -> dict[str, object]:
    """The one fact in it, which intake takes."""
    said = await source.parse(asked)
    assert isinstance(said, Posted)
    (fact,) = said.facts
    known = {**fact, "contact": {k: v for k, v in fact["contact"].items() if k != "message"} or "ada"}
    assert parse(json.dumps(known).encode(), int(time.time() * 1000), Caps(own=REPORTED_TYPES)).rejected == []
    return dict(fact)


def test_the_signature_is_that_of_twilios_documentation() -> None:
    fields = {
        "CallSid": "CA1234567890ABCDE", "Caller": "+14158675309", "Digits": "1234", "From": "+14158675309",
        "To": "+18005551212",
    }  # fmt: skip
    filled = Form([(name, value.encode(), "") for name, value in reversed(fields.items())])
    told = signature("12345", "https://mycompany.com/myapp.php?foo=1&bar=2", filled)
    assert told == "RSOYDt4T1cUTdK1PDd93/VVr8B8="


@pytest.mark.parametrize(
    ("status", "error", "type", "more"),
    [
        ("delivered", "", "message.delivered", {}),
        ("read", "", "message.opened", {}),
        ("undelivered", "30005", "message.bounced", {"reason": "invalid", "permanent": True, "detail": "30005"}),
        ("undelivered", "30003", "message.bounced", {"reason": "other", "permanent": False, "detail": "30003"}),
        ("undelivered", "", "message.bounced", {"reason": "other", "permanent": False}),
        ("failed", "21610", "message.rejected", {"reason": "unsubscribed", "permanent": True, "detail": "21610"}),
        ("queued", "", "sms_queued", {}),
        ("sent", "", "sms_sent", {}),
        ("Canceled", "", "sms_canceled", {}),
        ("brand-new", "", "sms_unknown", {}),
    ],
)
async def test_what_became_of_a_message(status: str, error: str, type: str, more: dict[str, object]) -> None:
    fact = await told(posted({**SAID, "MessageStatus": status, **({"ErrorCode": error} if error else {})}))
    assert fact == {
        "id": f"twilio:{SID}:{status.lower()}",
        "type": type,
        "contact": {"message": ID, "external": {"phone": "+4930901820"}},
        "properties": {"channel": "sms", "address": "+4930901820", "provider_id": SID, **more},
        "context": {"source": "twilio"},
    }


@pytest.mark.parametrize("id", [ID, "ä/ö ü:%?&=+#", "x" * 200])
async def test_it_is_posted_where_the_channel_said(id: str) -> None:
    """The whole way: the address is signed as the channel wrote it, and the id comes back from it."""
    config = {"account_sid": "AC" + "0" * 32, "auth_token": TOKEN, "sender": "Shop", "status_url": URL}
    channel = TwilioChannel(ChannelConfig.model_validate(config))
    message = Outgoing(
        id=id, channel="sms", to="+4930901820", text="Hello", purpose="marketing", contact="ada", created_at=0
    )
    sent = channel.request(message)
    await channel.close()
    assert sent.body is not None
    assert urlencode({"StatusCallback": f"{URL}?overture_message={quote(id, safe='')}"}).encode() in sent.body
    fact = await told(posted({**SAID, "MessageStatus": "delivered"}, message=id))
    assert fact["contact"] == {"message": id, "external": {"phone": "+4930901820"}}


@pytest.mark.parametrize(
    ("said", "type"),
    [
        ({"Body": "STOP"}, "message.unsubscribed"),
        ({"Body": "\tunsubscribe \n"}, "message.unsubscribed"),
        ({"Body": "Stop it", "OptOutType": "STOP"}, "message.unsubscribed"),
        ({"Body": "Start"}, "sms_resubscribed"),
        ({"Body": "yes", "OptOutType": "START"}, "sms_resubscribed"),
        ({"Body": "please do not stop"}, "sms_received"),
        ({"Body": "help", "OptOutType": "HELP"}, "sms_received"),
    ],
)
async def test_what_people_write(said: dict[str, str], type: str) -> None:
    who = {"MessageSid": SID, "From": "+4930901820", "To": "+15005550006"}
    fact = await told(posted({**who, **said}, message="", path="/inbound"))
    properties = fact["properties"]
    assert isinstance(properties, dict)
    assert (fact["type"], fact["contact"]) == (type, {"external": {"phone": "+4930901820"}})
    assert properties["text"] == said["Body"].strip() or properties["text"] == said["Body"]
    if type == "sms_received":
        assert (properties["from"], properties["address"]) == ("+4930901820", "+15005550006")
    else:
        assert properties["address"] == "+4930901820"


async def test_who_is_not_twilio_is_refused() -> None:
    right = posted({**SAID, "MessageStatus": "delivered"})
    await SOURCE.parse(right)
    many = {f"n{n}": "x" for n in range(MOST + 1)}
    for wrong in (
        posted({**SAID, "MessageStatus": "delivered"}, token="12346"),
        posted({**SAID, "MessageStatus": "delivered"}, url="https://another.host/in/twilio"),
        replace(right, query={"overture_message": "another"}),
        replace(right, query={}),
        replace(right, endpoint="~/inbound"),
        replace(right, inflated=right.inflated + b"&ErrorCode=30005"),
        replace(right, headers={**right.headers, "x-twilio-signature": "é"}),
        replace(right, headers={k: v for k, v in right.headers.items() if k != "x-twilio-signature"}),
        posted(many),
    ):
        with pytest.raises(Refuse) as refused:
            await SOURCE.parse(wrong)
        assert (refused.value.code, refused.value.status) == ("source.signature", 401)


async def test_what_is_no_report_is_refused() -> None:
    for wrong in (
        posted({"MessageStatus": "delivered"}),
        posted(SAID),
        posted({"MessageSid": SID}, path="/inbound"),
        request(b"{}", Content_Type="application/json"),
    ):
        with pytest.raises(Refuse) as refused:
            await SOURCE.parse(wrong)
        assert (refused.value.code, refused.value.status) == ("source.body", 400)


async def test_the_usual_port_may_be_signed_or_not() -> None:
    fields = {**SAID, "MessageStatus": "delivered"}
    for own, signed in (
        ("https://your.host/in/twilio", "https://your.host:443/in/twilio"),
        ("https://your.host:443/in/twilio", "https://your.host/in/twilio"),
        ("http://your.host/in/twilio/", "http://your.host:80/in/twilio"),
        ("https://your.host:8443/in/twilio", "https://your.host:8443/in/twilio"),
        ("https://[::1]/in/twilio", "https://[::1]:443/in/twilio"),
    ):
        source = Twilio(TwilioConfig.model_validate({"auth_token": TOKEN, "url": own}))
        assert (await told(posted(fields, url=signed), source))["type"] == "message.delivered"
    with pytest.raises(Refuse):
        await SOURCE.parse(posted(fields, url="https://your.host:8443/in/twilio"))


@pytest.mark.parametrize("wrong", [{"url": "your.host"}, {"url": f"{URL}?a=b"}, {"auth_token": ""}, {"more": "x"}])
def test_settings_that_cannot_be(wrong: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        TwilioConfig.model_validate({"auth_token": TOKEN, "url": URL, **wrong})
