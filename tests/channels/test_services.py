"""Channels that send by a service's API: what they send, and what each of the service's answers means."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from email.header import decode_header, make_header

import pytest
from pydantic import ValidationError
from servicekit import SECRET, SERVICES, Played, Service, form, outgoing, told

from overture.plugin import ChannelPlugin, HostedChannel, PluginManager, Rejected, RetryLater, Sent
from overture.testing import Answer, check_channel
from overture_channels.postmark import carried
from overture_channels.service import ServiceChannel

EVERY = pytest.mark.parametrize("name", SERVICES)


@pytest.fixture
def service(name: str) -> Service:
    return SERVICES[name]


@pytest.fixture
async def played(service: Service) -> AsyncIterator[Played]:
    async with Played(service) as peer:
        yield peer


def plugin(name: str) -> ChannelPlugin[object]:
    manager = PluginManager()
    manager.load()
    return manager.channels[name]


@EVERY
async def test_the_contract(name: str, service: Service, played: Played) -> None:
    def impatient() -> ServiceChannel:
        return service.open(played.base_url, timeout=0.5)

    await check_channel(lambda: service.open(played.base_url), played, secret=SECRET, open_impatient=impatient)


@EVERY
async def test_what_it_accepts_is_sent_with_its_id(name: str, service: Service, played: Played) -> None:
    channel = service.open(played.base_url)
    await played.script(service.accepted, Answer(service.accepted.status, body=b"not json"))
    assert await channel.send(outgoing(service)) == Sent(service.provider_id)
    answer = await channel.send(outgoing(service))
    await channel.close()
    assert isinstance(answer, Sent)
    assert not answer.ambiguous


NESTED = b"[" * 16_000, b'{"id": %s}' % (b"[" * 900 + b"]" * 900), b'{"message": [1], "code": [1], "ErrorCode": [1]}'


@EVERY
@pytest.mark.parametrize("body", NESTED)
async def test_the_status_decides_whatever_the_body_is(
    name: str, service: Service, played: Played, body: bytes
) -> None:
    channel = service.open(played.base_url)
    kind = {"Content-Type": "application/json"}
    await played.script(Answer(200, kind, body), Answer(400, kind, body))
    assert await channel.send(outgoing(service)) == Sent("")
    refused = await channel.send(outgoing(service))
    await channel.close()
    assert isinstance(refused, Rejected)
    assert (refused.code, refused.permanent) == (f"{name}.400", False)


@EVERY
async def test_only_a_refusal_of_the_address_is_permanent(name: str, service: Service, played: Played) -> None:
    channel = service.open(played.base_url)
    await played.script(service.no_address, service.refused, Answer(418, body=b"\xff"))
    dead = await channel.send(outgoing(service))
    refused = await channel.send(outgoing(service))
    odd = await channel.send(outgoing(service))
    none = await channel.send(outgoing(service, to="no address"))
    await channel.close()
    for answer in (dead, refused, odd, none):
        assert isinstance(answer, Rejected)
        assert answer.code.startswith(f"{name}.")
        assert answer.message
    assert [dead.permanent, refused.permanent, odd.permanent, none.permanent] == [True, False, False, True]
    assert none.code == f"{name}.address_invalid"
    assert len(played.sent()) == 3


@EVERY
async def test_what_cannot_be_written_says_nothing_of_the_address(name: str, service: Service, played: Played) -> None:
    channel = service.open(played.base_url)
    await played.script(service.accepted)
    answer = await channel.send(outgoing(service, text="\ud800", html="\ud800"))
    await channel.close()
    said = "The message cannot be written: UnicodeEncodeError."
    assert answer in (Rejected(f"{name}.message_invalid", said), Sent(service.provider_id))


@EVERY
@pytest.mark.parametrize("status", [408, 429, 500, 502, 503])
async def test_later(name: str, status: int, service: Service, played: Played) -> None:
    channel = service.open(played.base_url)
    await played.script(Answer(status, {"Retry-After": "90"}))
    with pytest.raises(RetryLater) as caught:
        await channel.send(outgoing(service))
    await channel.close()
    assert (caught.value.code, caught.value.after_seconds) == (f"{name}.{status}", 90)


async def test_sendgrid_says_at_which_second_more_is_allowed() -> None:
    service = SERVICES["sendgrid"]
    async with Played(service) as played:
        channel = service.open(played.base_url)
        await played.script(Answer(429, {"X-RateLimit-Reset": str(int(time.time()) + 100)}))
        with pytest.raises(RetryLater) as caught:
            await channel.send(outgoing(service))
        await channel.close()
    assert caught.value.after_seconds is not None
    assert 90 < caught.value.after_seconds <= 101


async def test_what_is_a_matter_of_time_though_it_is_an_error() -> None:
    for name, answer in (
        ("ses", told(400, __type="com.amazonaws.sesv2#LimitExceededException", message="too many")),
        ("twilio", told(400, code=21611, message="This 'From' number has exceeded the maximum number of messages")),
    ):
        service = SERVICES[name]
        async with Played(service) as played:
            channel = service.open(played.base_url)
            await played.script(answer)
            with pytest.raises(RetryLater):
                await channel.send(outgoing(service))
            await channel.close()


@EVERY
async def test_what_no_message_gets_past_opens_the_breaker(name: str, service: Service, played: Played) -> None:
    """Wrong credentials, a sender that is not verified, an account that is paused, an address that moved."""
    hosted = HostedChannel(plugin(name), service.open(played.base_url))
    moved = Answer(302, {"Location": "https://example.org/"})
    await played.script(service.unauthorized, service.account, moved, service.account, service.unauthorized)
    for _ in range(5):
        handed = await hosted.send(outgoing(service))
        assert (handed.state, handed.reason, handed.permanent) == ("retry", "channel.raised", False)
    handed = await hosted.send(outgoing(service))
    await hosted.close()
    assert (handed.reason, handed.attempted) == ("channel.breaker_open", False)
    assert len(played.sent()) == 5


@EVERY
async def test_a_service_that_repeats_the_credentials_does_not_show_them(
    name: str, service: Service, played: Played
) -> None:
    channel = service.open(played.base_url)
    quoting = {
        "errors": [{"message": f"no {SECRET}", "field": "x"}], "message": f"no {SECRET}", "Message": f"no {SECRET}",
    }  # fmt: skip
    await played.script(told(400, **quoting), told(401, **quoting), told(200, id=SECRET, sid=SECRET))
    refused = await channel.send(outgoing(service))
    with pytest.raises(ConnectionError) as caught:
        await channel.send(outgoing(service))
    await channel.close()
    assert isinstance(refused, Rejected)
    assert "no ***" in refused.message
    assert SECRET not in f"{refused} {caught.value!r} {channel!r}"


@EVERY
async def test_it_can_be_asked_whether_it_could_send(name: str, service: Service, played: Played) -> None:
    channel = service.open(played.base_url)
    await channel.check()
    assert [request.body for request in played.requests] == [b""]
    for answer in (service.unauthorized, Answer(500), Answer(302)):
        await played.script(answer)
        with pytest.raises(ConnectionError):
            await channel.check()
    await channel.close()


async def test_it_says_when_the_key_is_right_and_still_nothing_can_be_sent() -> None:
    for name, answer, sends in (
        ("sendgrid", told(200, scopes=["alerts.read"]), False),
        ("sendgrid", told(200, scopes=["alerts.read", "mail.send"]), True),
        ("mailgun", told(400, message="from parameter is missing"), True),
        ("mailgun", told(404, message="Domain not found"), False),
        ("ses", told(200, SendingEnabled=False), False),
        ("ses", told(200, SendingEnabled=True), True),
        ("ses", Answer(403, {"x-amzn-ErrorType": "AccessDeniedException"}, b"{}"), True),
    ):
        service = SERVICES[name]
        async with Played(service) as played:
            channel = service.open(played.base_url)
            await played.script(answer)
            if sends:
                await channel.check()
            else:
                with pytest.raises(ConnectionError):
                    await channel.check()
            await channel.close()
            assert len(played.requests) == 1


@EVERY
async def test_the_service_is_not_looked_for_behind_the_firewall(name: str, service: Service, played: Played) -> None:
    channel = service.open(played.base_url, egress_allow=[])
    with pytest.raises(ConnectionError, match="must not be called"):
        await channel.send(outgoing(service))
    await channel.close()
    assert played.requests == []


@EVERY
@pytest.mark.parametrize(
    "wrong",
    [
        {"base_url": "http://api.example.org"},
        {"base_url": "ftp://127.0.0.1"},
        {"base_url": f"https://user:{SECRET}@example.org"},
        {"base_url": "nowhere"},
        {"egress_allow": ["10.0.0.1/8"]},
        {"timeout": 61.0},
        {"unknown": SECRET},
    ],
)
def test_settings_that_cannot_be(name: str, wrong: dict[str, object], service: Service) -> None:
    with pytest.raises(ValidationError) as caught:
        service.config.model_validate({**service.settings, **wrong})
    assert SECRET not in str(caught.value)


@EVERY
def test_settings_show_no_secret(name: str, service: Service) -> None:
    config = service.config.model_validate(service.settings)
    assert SECRET not in f"{config!r} {config}"
    assert config.base_url.startswith("https://")


def test_settings_of_mail_and_of_text_messages() -> None:
    for name, wrong in (
        ("sendgrid", {"sender": "nobody"}),
        ("mailgun", {"domain": "mg.example.org/../x"}),
        ("postmark", {"reply_to": "nobody"}),
        ("ses", {"region": "eu west"}),
        ("ses", {"track_opens": True}),
        ("twilio", {"sender": ""}),
        ("twilio", {"messaging_service": "MG" + "0" * 32}),
        ("twilio", {"account_sid": "AC1"}),
        ("twilio", {"status_url": "your.host"}),
    ):
        with pytest.raises(ValidationError):
            SERVICES[name].config.model_validate({**SERVICES[name].settings, **wrong})
    config = SERVICES["ses"].config.model_validate(SERVICES["ses"].settings)
    assert config.base_url == "https://email.eu-west-1.amazonaws.com"


UNSUBSCRIBE = {
    "X-Overture-Message": "f1:shop/welcome:1:0a1b2c3d",
    "List-Unsubscribe": "<https://mail.example.org/u/abc?x=1>",
    "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
}


async def one(name: str, **settings: object) -> tuple[str, dict[str, str], bytes]:
    """The path, headers and body of one message."""
    service = SERVICES[name]
    async with Played(service) as played:
        channel = service.open(played.base_url, **settings)
        assert isinstance(await channel.send(outgoing(service)), Sent)
        await channel.close()
        (request,) = played.requests
        return request.path, dict(request.headers), request.body


async def test_what_sendgrid_is_sent() -> None:
    path, headers, body = await one("sendgrid")
    assert (path, headers["authorization"]) == ("/v3/mail/send", f"Bearer {SECRET}")
    off = {"enable": False}
    assert json.loads(body) == {
        "personalizations": [
            {
                "to": [{"email": "ada@example.com"}],
                "custom_args": {"overture_message": "f1:shop/welcome:1:0a1b2c3d"},
            }
        ],
        "from": {"email": "news@example.org", "name": "Ada's News"},
        "reply_to": {"email": "help@example.org"},
        "subject": "Grüße & more",
        "content": [
            {"type": "text/plain", "value": "Hello Ada"},
            {"type": "text/html", "value": "<p>Hello Ada</p>"},
        ],
        "headers": UNSUBSCRIBE,
        "tracking_settings": {
            "click_tracking": {"enable": False, "enable_text": False},
            "open_tracking": off,
            "subscription_tracking": off,
            "ganalytics": off,
        },
    }
    _, _, body = await one("sendgrid", track_opens=True, track_clicks=True)
    tracking = json.loads(body)["tracking_settings"]
    assert tracking["open_tracking"] == {"enable": True}
    assert tracking["click_tracking"] == {"enable": True, "enable_text": True}


async def test_what_mailgun_is_sent() -> None:
    path, headers, body = await one("mailgun")
    assert path == "/v3/mg.example.org/messages"
    assert headers["authorization"].startswith("Basic ")
    service = SERVICES["mailgun"]
    async with Played(service) as played:
        channel = service.open(played.base_url)
        await channel.send(outgoing(service))
        await channel.close()
        assert played.requests[0].body == body  # the same at each hand-off
        filled = form(played.requests[0])
    assert filled == {
        "from": "Ada's News <news@example.org>",
        "to": "ada@example.com",
        "subject": "Grüße & more",
        "text": "Hello Ada",
        "html": "<p>Hello Ada</p>",
        "o:tracking": "no",
        "o:tracking-opens": "no",
        "o:tracking-clicks": "no",
        **{f"h:{name}": value for name, value in UNSUBSCRIBE.items()},
        "h:Reply-To": "help@example.org",
        "v:overture_message": "f1:shop/welcome:1:0a1b2c3d",
    }


async def test_what_postmark_is_sent() -> None:
    path, headers, body = await one("postmark", message_stream="broadcast", track_clicks=True)
    assert (path, headers["x-postmark-server-token"]) == ("/email", SECRET)
    assert json.loads(body) == {
        "From": "Ada's News <news@example.org>",
        "To": "ada@example.com",
        "ReplyTo": "help@example.org",
        "Subject": "Grüße & more",
        "TextBody": "Hello Ada",
        "HtmlBody": "<p>Hello Ada</p>",
        "Headers": [{"Name": name, "Value": value} for name, value in UNSUBSCRIBE.items()],
        "TrackOpens": False,
        "TrackLinks": "HtmlAndText",
        "Metadata": {"overture_message": "f1:shop/welcome:1:0a1b2c3d"},
        "MessageStream": "broadcast",
    }


def test_an_id_that_is_too_long_for_postmark_goes_in_pieces() -> None:
    id = "f" * 200 + ":shop/welcome:1:0a1b2c3d"
    pieces = carried(id)
    assert list(pieces) == ["overture_message", "overture_message_2", "overture_message_3"]
    assert "".join(pieces.values()) == id
    assert max(map(len, pieces.values())) == 80


@pytest.mark.parametrize("name", ["sendgrid", "mailgun", "postmark", "ses"])
async def test_what_has_only_html_is_sent_with_a_text_and_its_styles_inlined(
    name: str, service: Service, played: Played
) -> None:
    channel = service.open(played.base_url)
    html = "<style>p {color: red}</style><p>Hello</p>"
    assert isinstance(await channel.send(outgoing(service, text="", html=html)), Sent)
    assert isinstance(await channel.send(outgoing(service, text="Only this", html="")), Sent)
    await channel.close()
    first, second = (str(form(r) if name == "mailgun" else json.loads(r.body)) for r in played.requests)
    assert "Hello\\n" in first
    assert 'style="color: red' in first
    assert "Only this" in second
    assert "html" not in second.lower()


async def test_what_ses_is_sent() -> None:
    path, headers, body = await one("ses", sender="Jörg <news@example.org>", configuration_set="marketing")
    assert path == "/v2/email/outbound-emails"
    assert headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")
    assert SECRET not in str(headers)
    told = json.loads(body)
    sender = told.pop("FromEmailAddress")
    assert sender.isascii()
    assert str(make_header(decode_header(sender))) == "Jörg <news@example.org>"
    assert told == {
        "ReplyToAddresses": ["help@example.org"],
        "Destination": {"ToAddresses": ["ada@example.com"]},
        "Content": {
            "Simple": {
                "Subject": {"Data": "Grüße & more", "Charset": "UTF-8"},
                "Body": {
                    "Text": {"Data": "Hello Ada", "Charset": "UTF-8"},
                    "Html": {"Data": "<p>Hello Ada</p>", "Charset": "UTF-8"},
                },
                "Headers": [{"Name": name, "Value": value} for name, value in UNSUBSCRIBE.items()],
            }
        },
        "ConfigurationSetName": "marketing",
    }


async def test_what_twilio_is_sent() -> None:
    service = SERVICES["twilio"]
    async with Played(service) as played:
        channel = service.open(played.base_url)
        await channel.send(outgoing(service, to="+49 (30) 901-820"))
        await channel.close()
        plain = service.open(played.base_url, sender="", messaging_service="MG" + "a" * 32, status_url="")
        await plain.send(outgoing(service))
        await plain.close()
        first, second = played.requests
    assert first.path == f"/2010-04-01/Accounts/{service.settings['account_sid']}/Messages.json"
    assert form(first) == {
        "To": "+4930901820",
        "From": "+15005550006",
        "Body": "Hello Ada",
        "StatusCallback": "https://your.host/in/twilio?overture_message=f1%3Ashop%2Fwelcome%3A1%3A0a1b2c3d",
    }
    assert form(second) == {"To": "+4930901820", "MessagingServiceSid": "MG" + "a" * 32, "Body": "Hello Ada"}
    for text in ("030901820", "004930901820", "+0930901820", "+49", "+1234567890123456", "ada@example.com"):
        answer = await channel.send(outgoing(service, to=text))
        assert answer == Rejected(
            "twilio.address_invalid", "the address is no telephone number with + and its country's code.", True
        )


UNVERIFIED = "Email address is not verified. The following identities failed the check in region EU-WEST-1: "


def unverified(named: str) -> Answer:
    said = json.dumps({"message": UNVERIFIED + named}).encode()
    return Answer(400, {"x-amzn-ErrorType": "MessageRejected"}, said)


@pytest.mark.parametrize("named", ["News <news@Example.org>", "example.org", "ada@example.com, news@example.org"])
async def test_a_sender_that_amazon_has_not_verified_is_a_matter_of_the_account(named: str) -> None:
    service = SERVICES["ses"]
    async with Played(service) as played:
        await played.script(unverified(named))
        channel = service.open(played.base_url)
        with pytest.raises(ConnectionError, match="not verified"):
            await channel.send(outgoing(service))
        await channel.close()


@pytest.mark.parametrize(
    "named", ["ada@example.com", "ada@example.org", "ada@mail.example.org", "ada@example.org.example.com"]
)
async def test_a_receiver_that_amazon_has_not_verified_is_a_matter_of_one_mail(named: str) -> None:
    """It asks for that while the account is in the sandbox."""
    service = SERVICES["ses"]
    async with Played(service) as played:
        await played.script(unverified(named))
        channel = service.open(played.base_url)
        answer = await channel.send(outgoing(service))
        await channel.close()
    assert isinstance(answer, Rejected)
    assert (answer.code, answer.permanent) == ("ses.MessageRejected", False)
