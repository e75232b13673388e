"""E-mail by Twilio SendGrid: its Mail Send API, version 3."""

from __future__ import annotations

from collections.abc import Iterable
from email.headerregistry import Address
from typing import Any

import msgspec
from yarl import URL

from overture.model import clock
from overture.plugin import ChannelPlugin, Outgoing, Secret, hookimpl
from overture_channels.http import Reply, retry_after, text_of
from overture_channels.mail import own_headers, plain, recipient
from overture_channels.markup import readable
from overture_channels.service import OURS, MailConfig, Refusal, Request, ServiceChannel, mail_address


class SendgridConfig(MailConfig):
    """``api_key`` may send mail; ``base_url`` is ``https://api.eu.sendgrid.com`` for subusers in Europe."""

    base_url: str = "https://api.sendgrid.com"
    api_key: Secret


class SendgridChannel(ServiceChannel):
    name = "sendgrid"

    def __init__(self, config: SendgridConfig) -> None:
        super().__init__(config, config.api_key)
        self._config = config

    def request(self, message: Outgoing) -> Request:
        config = self._config
        text, html = readable(message.text, message.html)
        content = [("text/plain", text), ("text/html", html)]
        off = {"enable": False}
        mail: dict[str, Any] = {
            "personalizations": [{"to": [_shown(recipient(message.to))], "custom_args": {OURS: message.id}}],
            "from": _shown(config.origin),
            "subject": plain(message.subject),
            "content": [{"type": kind, "value": value} for kind, value in content if value],
            "headers": own_headers(message),
            "tracking_settings": {
                "click_tracking": {"enable": config.track_clicks, "enable_text": config.track_clicks},
                "open_tracking": {"enable": config.track_opens},
                "subscription_tracking": off,
                "ganalytics": off,
            },
        }
        if config.answers is not None:
            mail["reply_to"] = _shown(config.answers)
        return Request("POST", "/v3/mail/send", msgspec.json.encode(mail), {"Content-Type": "application/json"})

    def probe(self) -> Request:
        return Request("GET", "/v3/scopes")

    def healthy(self, reply: Reply) -> str:
        scopes = reply.told.get("scopes") if isinstance(reply.told, dict) else None
        if reply.status == 200 and isinstance(scopes, list) and "mail.send" not in scopes:
            return "the API key may not send mail (mail.send)"
        return super().healthy(reply)

    def authorized(self, request: Request, url: URL) -> dict[str, str]:
        return {**request.headers, "Authorization": f"Bearer {self._config.api_key.get_secret_value()}"}

    def provider_id(self, reply: Reply) -> str:
        return reply.headers.get("X-Message-Id", "")

    def pause(self, reply: Reply) -> float | None:
        """It says at which second more is allowed."""
        until = reply.headers.get("X-RateLimit-Reset", "")
        if reply.status == 429 and until.isascii() and until.isdigit():
            return max(0.0, float(until[:12]) - clock.wall() / 1000)
        return retry_after(reply.headers)

    def refusal(self, reply: Reply) -> Refusal:
        told = reply.told
        errors = told.get("errors") if isinstance(told, dict) else None
        first = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], dict) else {}
        text, where = text_of(first.get("message")) or "no reason", text_of(first.get("field"))
        if reply.status == 403 or where.startswith("from"):  # a key without the right, a sender that is not verified
            return Refusal(str(reply.status), text, "account")
        dead = where.startswith("personalizations.0.to")
        return Refusal(str(reply.status), text, "address" if dead else "message")


def _shown(who: Address) -> dict[str, str]:
    return {"email": who.addr_spec, **({"name": who.display_name} if who.display_name else {})}


@hookimpl
def overture_channels() -> Iterable[ChannelPlugin[SendgridConfig]]:
    yield ChannelPlugin(
        name="sendgrid", config=SendgridConfig, open=SendgridChannel, address_of=mail_address, serves="email"
    )
