"""E-mail by Postmark: its Email API."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from pydantic import Field
from yarl import URL

from overture.plugin import ChannelPlugin, Outgoing, Secret, hookimpl
from overture_channels.http import Reply, text_of, whole
from overture_channels.mail import own_headers, plain, recipient
from overture_channels.markup import readable
from overture_channels.service import OURS, MailConfig, Refusal, Request, ServiceChannel, mail_address

LONGEST = 80  # characters of a value in metadata
MOST = 10  # values
_ACCOUNT = frozenset({10, 400, 401, 405, 412, 413})  # token, sender's signature, credits, approval
INVALID, INACTIVE = 300, 406


class PostmarkConfig(MailConfig):
    """``server_token`` is that of one server; ``message_stream`` the stream that mails go into."""

    base_url: str = "https://api.postmarkapp.com"
    server_token: Secret
    message_stream: str = Field(default="outbound", min_length=1)


class PostmarkChannel(ServiceChannel):
    name = "postmark"

    def __init__(self, config: PostmarkConfig) -> None:
        super().__init__(config, config.server_token)
        self._config = config

    def request(self, message: Outgoing) -> Request:
        config, (text, html) = self._config, readable(message.text, message.html)
        mail: dict[str, Any] = {
            "From": str(config.origin),
            "To": recipient(message.to).addr_spec,
            "Subject": plain(message.subject),
            "TextBody": text,
            "HtmlBody": html,
            "ReplyTo": str(config.answers or ""),
            "Headers": [{"Name": name, "Value": value} for name, value in own_headers(message).items()],
            "TrackOpens": config.track_opens,
            "TrackLinks": "HtmlAndText" if config.track_clicks else "None",
            "Metadata": carried(message.id),
            "MessageStream": config.message_stream,
        }
        body = msgspec.json.encode({name: value for name, value in mail.items() if value != ""})
        return Request("POST", "/email", body, {"Content-Type": "application/json"})

    def probe(self) -> Request:
        return Request("GET", "/server")

    def authorized(self, request: Request, url: URL) -> dict[str, str]:
        token = self._config.server_token.get_secret_value()
        return {**request.headers, "Accept": "application/json", "X-Postmark-Server-Token": token}

    def provider_id(self, reply: Reply) -> str:
        return reply.said("MessageID")

    def refusal(self, reply: Reply) -> Refusal:
        told = reply.told
        said = told if isinstance(told, dict) else {}
        number, text = whole(said.get("ErrorCode")), text_of(said.get("Message")) or "no reason"
        code = str(reply.status if number is None else number)
        if number in _ACCOUNT or reply.status in (403, 404):
            return Refusal(code, text, "account")
        dead = number == INACTIVE or (number == INVALID and "'To'" in text)
        return Refusal(code, text, "address" if dead else "message")


def carried(id: str) -> dict[str, str]:
    """The id of a message as metadata, in pieces where it is too long for one value."""
    pieces = [id[at : at + LONGEST] for at in range(0, len(id), LONGEST)][:MOST]
    return {OURS if at == 0 else f"{OURS}_{at + 1}": piece for at, piece in enumerate(pieces)}


@hookimpl
def overture_channels() -> Iterable[ChannelPlugin[PostmarkConfig]]:
    yield ChannelPlugin(
        name="postmark", config=PostmarkConfig, open=PostmarkChannel, address_of=mail_address, serves="email"
    )
