"""Messages to channels of Slack, and of chats that take the same, by incoming webhooks."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator
from yarl import URL

from overture.plugin import (
    ChannelPlugin,
    EgressRefused,
    Limits,
    Outgoing,
    Rejected,
    RetryLater,
    Secret,
    Sent,
    hookimpl,
)
from overture.plugin.egress import networks
from overture_channels.http import Caller, Reply, retry_after
from overture_channels.service import here

TOLD = ("blocks", "attachments", "unfurl_links", "unfurl_media")
"""What of a template's data goes with the text."""
_ERROR = re.compile(rb"[a-z_]{1,40}")
_ESCAPED = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


class SlackConfig(BaseModel):
    """``webhooks``: what rules write in ``to`` → the URL of an incoming webhook, which is a secret. ``egress_allow``:
    networks (CIDR) besides the public internet. ``timeout`` in seconds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    webhooks: dict[str, Secret] = Field(min_length=1)
    egress_allow: tuple[str, ...] = ()
    timeout: float = Field(default=15.0, gt=0, le=Limits().timeout, strict=True)

    @field_validator("webhooks")
    @classmethod
    def _webhooks(cls, value: dict[str, SecretStr]) -> dict[str, SecretStr]:
        for name, secret in value.items():
            try:
                url = URL(secret.get_secret_value())
            except ValueError:
                url = URL()
            if not url.host or not (url.scheme == "https" or (url.scheme == "http" and here(url.host))):
                raise ValueError(f"the webhook of {name} must look like https://hooks.slack.com/services/…")
        return value

    @field_validator("egress_allow")
    @classmethod
    def _egress_allow(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        networks(value)
        return value


class SlackChannel:
    """Posts each message to the webhook that the settings have under its address."""

    def __init__(self, config: SlackConfig) -> None:
        self._webhooks = {name: URL(url.get_secret_value(), encoded=True) for name, url in config.webhooks.items()}
        self._http = Caller("slack", config.timeout, config.egress_allow)

    def __repr__(self) -> str:
        return f"<SlackChannel {', '.join(self._webhooks)}>"

    async def send(self, message: Outgoing) -> Sent | Rejected:
        url = self._webhooks.get(message.to)
        if url is None:
            return Rejected("slack.no_webhook", f"The settings have no webhook for {message.to[:80]}.")
        try:
            headers = {"Content-Type": "application/json;charset=utf-8"}
            reply = await self._http.call("POST", url, payload(message), headers)
        except EgressRefused:
            return Rejected("slack.egress_refused", f"{url.host} leads to an address that must not be called.")
        return _judge(reply, url.host or "")

    async def check(self) -> None:
        """A webhook can only be asked by sending something; a closed channel raises."""
        self._http.open()

    async def close(self) -> None:
        await self._http.close()


def payload(message: Outgoing) -> bytes:
    """The JSON body. No value of a contact brings a mention or a link along in the text."""
    text = "".join(_ESCAPED.get(letter, letter) for letter in message.text)
    told: dict[str, Any] = {"text": text, **{name: message.data[name] for name in TOLD if name in message.data}}
    return msgspec.json.encode(told)


def _judge(reply: Reply, host: str) -> Sent | Rejected:
    error = found[0].decode() if (found := _ERROR.fullmatch(reply.body.strip())) else ""
    said = f"{host} answered {reply.status}{f': {error}' if error else ''}."
    if 200 <= reply.status < 300:
        return Sent()
    if reply.later:
        raise RetryLater(retry_after(reply.headers), f"slack.{reply.status}", said)
    # Never permanent: it is the webhook that is gone, and the settings may have another one for the name tomorrow.
    return Rejected(f"slack.{error or reply.status}", said)


@hookimpl
def overture_channels() -> Iterable[ChannelPlugin[SlackConfig]]:
    """No contact has a webhook of its own: the rule names one in ``to``."""
    yield ChannelPlugin(name="slack", config=SlackConfig, open=SlackChannel, address_of=lambda contact: None)
