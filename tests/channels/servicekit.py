"""What the services answer, as their documentation shows it, and channels that are open to whoever plays them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, parse_qsl

from overture.plugin import Outgoing
from overture.testing import Answer, ReceivedRequest, WebhookReceiver
from overture_channels.mailgun import MailgunChannel, MailgunConfig
from overture_channels.postmark import PostmarkChannel, PostmarkConfig
from overture_channels.sendgrid import SendgridChannel, SendgridConfig
from overture_channels.service import ServiceChannel, ServiceConfig
from overture_channels.ses import SesChannel, SesConfig
from overture_channels.twilio import TwilioChannel, TwilioConfig

SECRET = "s3cret-of-this-test-and-of-no-service"
ACCOUNT = "AC" + "0" * 32
MAIL = {"sender": "Ada's News <news@example.org>", "reply_to": "help@example.org"}


@dataclass(frozen=True)
class Service:
    """``key``: the id of our message in a request; the rest are answers as the service gives them."""

    channel: type[ServiceChannel]
    config: type[ServiceConfig]
    settings: Mapping[str, Any]
    key: Callable[[ReceivedRequest], str]
    accepted: Answer
    provider_id: str
    no_address: Answer
    refused: Answer
    account: Answer
    unauthorized: Answer
    to: str = "ada@example.com"
    later: dict[str, str] = field(default_factory=lambda: {"Retry-After": "7"})

    def open(self, base_url: str, **settings: Any) -> ServiceChannel:
        given = {"base_url": base_url, "egress_allow": ["127.0.0.0/8"], **self.settings, **settings}
        return self.channel(self.config.model_validate(given))


def told(code: int, /, **body: Any) -> Answer:
    return Answer(code, {"Content-Type": "application/json"}, json.dumps(body).encode())


def form(request: ReceivedRequest) -> dict[str, str]:
    return dict(parse_qsl(request.body.decode(), keep_blank_values=True, strict_parsing=True))


def _sendgrid_error(message: str, where: str | None) -> dict[str, Any]:
    return {"errors": [{"message": message, "field": where, "help": None}]}


def _ses_key(request: ReceivedRequest) -> str:
    headers = json.loads(request.body)["Content"]["Simple"]["Headers"]
    return next(each["Value"] for each in headers if each["Name"] == "X-Overture-Message")


def _ses(status: int, type: str, message: str) -> Answer:
    said = json.dumps({"message": message}).encode()
    return Answer(status, {"x-amzn-ErrorType": f"{type}:http://internal.amazon.com/coral/"}, said)


SERVICES: dict[str, Service] = {
    "sendgrid": Service(
        channel=SendgridChannel,
        config=SendgridConfig,
        settings={"api_key": SECRET, **MAIL},
        key=lambda request: json.loads(request.body)["personalizations"][0]["custom_args"]["overture_message"],
        accepted=Answer(202, {"X-Message-Id": "14c5d75ce93"}, b""),
        provider_id="14c5d75ce93",
        no_address=told(400, **_sendgrid_error("Does not contain a valid address.", "personalizations.0.to.0.email")),
        refused=told(400, **_sendgrid_error("The subject is required.", "subject")),
        account=told(403, **_sendgrid_error("The from address does not match a verified Sender Identity.", "from")),
        unauthorized=told(401, **_sendgrid_error("authorization required", None)),
    ),
    "mailgun": Service(
        channel=MailgunChannel,
        config=MailgunConfig,
        settings={"api_key": SECRET, "domain": "mg.example.org", **MAIL},
        key=lambda request: form(request)["v:overture_message"],
        accepted=told(200, id="<20261122.1@mg.example.org>", message="Queued. Thank you."),
        provider_id="<20261122.1@mg.example.org>",
        no_address=told(400, message="'to' parameter is not a valid address. please check documentation"),
        refused=told(400, message="Need at least one of 'text', 'html', 'amp-html' or 'template' parameters specified"),
        account=told(404, message="Domain not found: mg.example.org"),
        unauthorized=Answer(401, {"Content-Type": "text/html"}, b"Forbidden"),
    ),
    "postmark": Service(
        channel=PostmarkChannel,
        config=PostmarkConfig,
        settings={"server_token": SECRET, **MAIL},
        key=lambda request: json.loads(request.body)["Metadata"]["overture_message"],
        accepted=told(200, To="ada@example.com", MessageID="0a129aee-e1cd", ErrorCode=0, Message="OK"),
        provider_id="0a129aee-e1cd",
        no_address=told(422, ErrorCode=406, Message="You tried to send to a recipient that has been marked inactive."),
        refused=told(422, ErrorCode=300, Message="Provide either email TextBody or HtmlBody or both."),
        account=told(422, ErrorCode=400, Message="The 'From' address you supplied is not a Sender Signature."),
        unauthorized=told(401, ErrorCode=10, Message="No Account or Server API tokens were supplied."),
    ),
    "ses": Service(
        channel=SesChannel,
        config=SesConfig,
        settings={"region": "eu-west-1", "access_key_id": "AKIDEXAMPLE", "secret_access_key": SECRET, **MAIL},
        key=_ses_key,
        accepted=told(200, MessageId="0100018c-1111"),
        provider_id="0100018c-1111",
        no_address=_ses(400, "BadRequestException", "Missing final '@domain'"),
        refused=_ses(400, "MessageRejected", "Email address is not verified."),
        account=_ses(400, "SendingPausedException", "Sending paused for this account."),
        unauthorized=_ses(403, "SignatureDoesNotMatch", "The request signature we calculated does not match."),
    ),
    "twilio": Service(
        channel=TwilioChannel,
        config=TwilioConfig,
        settings={
            "account_sid": ACCOUNT,
            "auth_token": SECRET,
            "sender": "+15005550006",
            "status_url": "https://your.host/in/twilio",
        },
        key=lambda request: parse_qs(form(request)["StatusCallback"].partition("?")[2])["overture_message"][0],
        accepted=told(201, sid="SM" + "1" * 32, status="queued"),
        provider_id="SM" + "1" * 32,
        no_address=told(400, code=21610, message="Attempt to send to unsubscribed recipient", status=400),
        refused=told(400, code=21617, message="The concatenated message body exceeds the 1600 character limit"),
        account=told(400, code=21606, message="The 'From' phone number is not a valid, SMS-capable number"),
        unauthorized=told(401, code=20003, message="Authenticate", status=401),
        to="+4930901820",
    ),
}


class Played(WebhookReceiver):
    """Whoever plays a service: an HTTP server that records what it is sent and answers as the service does."""

    def __init__(self, service: Service) -> None:
        super().__init__()
        self._service = service

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def to(self) -> str:
        return self._service.to

    async def script(self, *answers: str | int | Answer) -> None:
        named: dict[str | int | Answer, Answer] = {
            "refuse": self._service.refused,
            "defer": Answer(429, self._service.later),
        }
        await super().script(*(named.get(each, each) if isinstance(each, str) else each for each in answers))

    def sent(self) -> list[ReceivedRequest]:
        """Those that carry a message."""
        return [request for request in self.requests if request.body]

    def keys(self) -> list[str]:
        return [self._service.key(request) for request in self.sent()]


def outgoing(service: Service, **changes: Any) -> Outgoing:
    values: dict[str, Any] = {
        "id": "f1:shop/welcome:1:0a1b2c3d", "channel": "email", "to": service.to, "subject": "Grüße & more",
        "text": "Hello Ada", "html": "<p>Hello Ada</p>", "purpose": "marketing", "contact": "ada",
        "created_at": 1_774_605_600_000, "properties": {"fact": {"total": 3}},
        "unsubscribe": "https://mail.example.org/u/abc?x=1",
    }  # fmt: skip
    return Outgoing(**(values | changes))
