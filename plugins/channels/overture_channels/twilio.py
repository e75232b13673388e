"""Text messages by Twilio: its Messages API."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from typing import Self
from urllib.parse import quote, urlencode

from pydantic import Field, field_validator, model_validator
from yarl import URL

from overture.model.contact import Contact
from overture.plugin import ChannelPlugin, Outgoing, Secret, hookimpl, own_address
from overture_channels.http import Reply, text_of, whole
from overture_channels.mail import AddressInvalid
from overture_channels.service import OURS, Refusal, Request, ServiceChannel, ServiceConfig

_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_SENDER = r"^(\+[1-9][0-9]{6,14}|[0-9]{3,8}|[A-Za-z0-9 +&_-]{1,11})?$"  # a number, a short code or a name
_DEAD = frozenset({21211, 21214, 21217, 21610, 21614})  # no number, not reachable, STOP was written, a landline
_ACCOUNT = frozenset({20003, 20005, 21212, 21603, 21606, 21659, 21660, 21661})  # credentials, suspended, the sender
_LATER = frozenset({14107, 20429, 21611})  # rate, the sender's queue is full


class TwilioConfig(ServiceConfig):
    """``auth_token`` is the account's, or with ``api_key`` (its SID) that key's secret. Either ``sender`` or
    ``messaging_service`` (its SID). ``status_url``: the public address of the source ``twilio``, which then says what
    became of messages.
    """

    base_url: str = "https://api.twilio.com"
    account_sid: str = Field(pattern=r"^AC[0-9a-fA-F]{32}$")
    auth_token: Secret
    api_key: str = Field(default="", pattern=r"^(SK[0-9a-fA-F]{32})?$")
    sender: str = Field(default="", pattern=_SENDER)
    messaging_service: str = Field(default="", pattern=r"^(MG[0-9a-fA-F]{32})?$")
    status_url: str = ""

    @field_validator("status_url")
    @classmethod
    def _status_url(cls, value: str) -> str:
        url = URL(value)
        if value and (url.scheme not in ("http", "https") or not url.host or url.query_string):
            raise ValueError("it must look like https://your.host/in/twilio")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if bool(self.sender) == bool(self.messaging_service):
            raise ValueError("either sender or messaging_service is needed")
        return self


class TwilioChannel(ServiceChannel):
    name = "twilio"

    def __init__(self, config: TwilioConfig) -> None:
        user, password = config.api_key or config.account_sid, config.auth_token.get_secret_value()
        super().__init__(config, config.auth_token)
        self._config = config
        self._credentials = f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"

    def request(self, message: Outgoing) -> Request:
        config = self._config
        fields = {
            "To": number(message.to),
            "From": config.sender,
            "MessagingServiceSid": config.messaging_service,
            "Body": message.text,
            "StatusCallback": status_callback(config.status_url, message.id),
        }
        body = urlencode({name: value for name, value in fields.items() if value}, errors="replace").encode()
        return Request("POST", self._path, body, {"Content-Type": "application/x-www-form-urlencoded"})

    def probe(self) -> Request:
        """Its last message: an API key may not look at the account."""
        return Request("GET", self._path, query="PageSize=1")

    def authorized(self, request: Request, url: URL) -> dict[str, str]:
        return {**request.headers, "Authorization": self._credentials}

    def provider_id(self, reply: Reply) -> str:
        return reply.said("sid")

    def refusal(self, reply: Reply) -> Refusal:
        told = reply.told
        said = told if isinstance(told, dict) else {}
        number, text = whole(said.get("code")), text_of(said.get("message")) or "no reason"
        code = str(reply.status if number is None else number)
        if number in _ACCOUNT or (reply.status in (403, 404) and number not in _DEAD):
            return Refusal(code, text, "account")
        if number in _LATER:
            return Refusal(code, text, "later")
        return Refusal(code, text, "address" if number in _DEAD else "message")

    @property
    def _path(self) -> str:
        return f"/2010-04-01/Accounts/{self._config.account_sid}/Messages.json"


def number(text: str) -> str:
    """E.164, from what people write; `AddressInvalid` where it is no international number."""
    bare = re.sub(r"[\s()./-]", "", text)
    if not _E164.fullmatch(bare):
        raise AddressInvalid("the address is no telephone number with + and its country's code")
    return bare


def status_callback(base: str, id: str) -> str:
    """Where the outcomes of a message are posted to; empty where nowhere. Its source makes the same of the id."""
    return f"{base}?{OURS}={quote(id.encode('utf-8', 'replace'), safe='')}" if base else ""


def _address(contact: Contact) -> str | None:
    return own_address(contact, "sms")


@hookimpl
def overture_channels() -> Iterable[ChannelPlugin[TwilioConfig]]:
    yield ChannelPlugin(name="twilio", config=TwilioConfig, open=TwilioChannel, address_of=_address, serves="sms")
