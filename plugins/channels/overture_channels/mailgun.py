"""E-mail by Mailgun: its Messages API."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from urllib.parse import urlencode

from pydantic import Field
from yarl import URL

from overture.plugin import ChannelPlugin, Outgoing, Secret, hookimpl
from overture_channels.http import Reply
from overture_channels.mail import own_headers, plain, recipient
from overture_channels.markup import readable
from overture_channels.service import OURS, MailConfig, Refusal, Request, ServiceChannel, mail_address

_FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class MailgunConfig(MailConfig):
    """``api_key`` may be a sending key of the ``domain``; ``base_url`` is ``https://api.eu.mailgun.net`` for domains in
    Europe.
    """

    base_url: str = "https://api.mailgun.net"
    api_key: Secret
    domain: str = Field(pattern=r"^[A-Za-z0-9.-]{1,253}$")


class MailgunChannel(ServiceChannel):
    name = "mailgun"

    def __init__(self, config: MailgunConfig) -> None:
        credentials = base64.b64encode(f"api:{config.api_key.get_secret_value()}".encode()).decode()
        super().__init__(config, config.api_key)
        self._config = config
        self._credentials = f"Basic {credentials}"

    def request(self, message: Outgoing) -> Request:
        config, (text, html) = self._config, readable(message.text, message.html)
        fields = {
            "from": str(config.origin),
            "to": recipient(message.to).addr_spec,
            "subject": plain(message.subject),
            "text": text,
            "html": html,
            "o:tracking-opens": "yes" if config.track_opens else "no",
            "o:tracking-clicks": "yes" if config.track_clicks else "no",
            "o:tracking": "yes" if config.track_opens or config.track_clicks else "no",
            **{f"h:{name}": value for name, value in own_headers(message).items()},
            "h:Reply-To": str(config.answers or ""),
            f"v:{OURS}": message.id,
        }
        body = urlencode({name: value for name, value in fields.items() if value}, errors="replace").encode()
        return Request("POST", self._path, body, dict(_FORM))

    def probe(self) -> Request:
        """A message without anything, which is refused: a sending key may do nothing else."""
        return Request("POST", self._path, b"", dict(_FORM))

    def healthy(self, reply: Reply) -> str:
        return "" if reply.status == 400 else super().healthy(reply)

    def authorized(self, request: Request, url: URL) -> dict[str, str]:
        return {**request.headers, "Authorization": self._credentials}

    def provider_id(self, reply: Reply) -> str:
        return reply.said("id")

    def refusal(self, reply: Reply) -> Refusal:
        text = reply.said("message") or "no reason"
        if reply.status in (402, 403, 404):  # unpaid, closed, or no such domain
            return Refusal(str(reply.status), text, "account")
        dead = reply.status == 400 and text.lower().startswith("'to' parameter is not a valid address")
        return Refusal(str(reply.status), text, "address" if dead else "message")

    @property
    def _path(self) -> str:
        return f"/v3/{self._config.domain}/messages"


@hookimpl
def overture_channels() -> Iterable[ChannelPlugin[MailgunConfig]]:
    yield ChannelPlugin(
        name="mailgun", config=MailgunConfig, open=MailgunChannel, address_of=mail_address, serves="email"
    )
