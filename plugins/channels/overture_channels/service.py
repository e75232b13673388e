"""A channel that hands messages to a service by its HTTP API: what all of these have in common."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from email.headerregistry import Address
from ipaddress import ip_address
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator
from yarl import URL

from overture.model.contact import Contact
from overture.plugin import EgressRefused, Limits, Outgoing, Rejected, RetryLater, Sent, own_address
from overture.plugin.egress import networks
from overture_channels.http import Caller, Reply, retry_after
from overture_channels.mail import AddressInvalid, mailbox, plain

OURS = "overture_message"
"""What carries the id of a message through a service and back, in what it reports (docs/sources.md)."""
Blame = Literal["message", "address", "account", "later"]


class ServiceConfig(BaseModel):
    """``base_url``: where the API is, https or on this machine; ``timeout`` in seconds for a whole request;
    ``egress_allow``: networks (CIDR) besides the public internet in which it may be.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    base_url: str
    egress_allow: tuple[str, ...] = ()
    timeout: float = Field(default=20.0, gt=0, le=Limits().timeout, strict=True)

    @field_validator("base_url")
    @classmethod
    def _base_url(cls, value: str) -> str:
        url = URL(value)
        if url.scheme not in ("http", "https") or not url.host or url.user or url.password or url.query_string:
            raise ValueError("the address of the service must look like https://host")
        if url.scheme == "http" and not here(url.host):
            raise ValueError("the address of the service must be https, since the credentials go there")
        return value.rstrip("/")

    @field_validator("egress_allow")
    @classmethod
    def _egress_allow(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        networks(value)
        return value


class MailConfig(ServiceConfig):
    """``sender`` is whom mails are from, ``reply_to`` where answers go: ``Name <name@example.com>``. ``track_opens``,
    ``track_clicks``: whether the service changes mails so that it learns of these.
    """

    sender: str
    reply_to: str = ""
    track_opens: bool = Field(default=False, strict=True)
    track_clicks: bool = Field(default=False, strict=True)

    @field_validator("sender", "reply_to")
    @classmethod
    def _mailbox(cls, value: str) -> str:
        if value:
            mailbox(value)
        return value

    @property
    def origin(self) -> Address:
        return mailbox(self.sender)

    @property
    def answers(self) -> Address | None:
        return mailbox(self.reply_to) if self.reply_to else None


@dataclass(frozen=True, slots=True)
class Request:
    """``path`` is below the base URL, as it is to be sent; ``query`` is encoded."""

    method: str
    path: str
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict[str, str])
    query: str = ""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a service did not take a message. ``code`` is the service's own, ``text`` what it says.

    ``blame``: ``address`` where no message can go there; ``account`` where none can go at all, until somebody has seen
    to it; ``later`` where it is a matter of time.
    """

    code: str
    text: str
    blame: Blame = "message"


class ServiceChannel(ABC):
    """Makes the request of a message and judges the answer."""

    name: str
    """What the codes of errors begin with."""

    def __init__(self, config: ServiceConfig, *secrets: SecretStr) -> None:
        self._at = config.base_url
        self._host = URL(config.base_url).host or ""
        self._secrets = [told for each in secrets if (told := each.get_secret_value())]
        self._http = Caller(self.name, config.timeout, config.egress_allow)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._host}>"

    @abstractmethod
    def request(self, message: Outgoing) -> Request:
        """Raises `AddressInvalid` where the address is none; another ValueError is a fault of the content."""

    @abstractmethod
    def probe(self) -> Request:
        """A request that sends nothing and costs little, and needs the same credentials."""

    @abstractmethod
    def provider_id(self, reply: Reply) -> str:
        """The service's id of a message that it took; empty where it says none."""

    @abstractmethod
    def refusal(self, reply: Reply) -> Refusal:
        """What an answer means that is no success and asks for no other try."""

    def authorized(self, request: Request, url: URL) -> dict[str, str]:
        """The headers of a request, with the credentials."""
        return request.headers

    def healthy(self, reply: Reply) -> str:
        """A sentence where the answer to `probe` says that nothing could be sent; empty where all is well."""
        return "" if 200 <= reply.status < 300 else f"{self._host} answered {reply.status}"

    async def send(self, message: Outgoing) -> Sent | Rejected:
        try:
            request = await asyncio.to_thread(self.request, message)  # style sheets of large mails take a while
        except AddressInvalid as error:
            return Rejected(f"{self.name}.address_invalid", f"{error}.", permanent=True)
        except ValueError as error:
            return Rejected(f"{self.name}.message_invalid", f"The message cannot be written: {type(error).__name__}.")
        reply = await self._call(request)
        if 200 <= reply.status < 300:
            return Sent(plain(self.provider_id(reply)))
        if reply.later:
            text = f"{self._host} answered {reply.status}."
            raise RetryLater(self.pause(reply), f"{self.name}.{reply.status}", text)
        return self._refused(reply)

    async def check(self) -> None:
        reply = await self._call(self.probe())
        if wrong := self.healthy(reply):
            raise ConnectionError(self._clean(wrong))

    async def close(self) -> None:
        await self._http.close()

    def pause(self, reply: Reply) -> float | None:
        """Seconds after which to try again, where the service says."""
        return retry_after(reply.headers)

    async def _call(self, request: Request) -> Reply:
        query = f"?{request.query}" if request.query else ""
        url = URL(f"{self._at}{request.path}{query}", encoded=True)
        try:
            return await self._http.call(request.method, url, request.body, self.authorized(request, url))
        except EgressRefused:
            raise ConnectionError(f"{url.host} leads to an address that must not be called") from None

    def _refused(self, reply: Reply) -> Rejected:
        why = self.refusal(reply)
        if reply.status == 401 or 300 <= reply.status < 400:
            why = Refusal(why.code, why.text, "account")
        said = f"{self._host} answered {reply.status}: {self._clean(why.text)}"[:500]
        if why.blame == "account":  # not a RetryLater: what no message gets past must open the circuit breaker
            raise ConnectionError(said)
        if why.blame == "later":
            raise RetryLater(code=f"{self.name}.{why.code}", message=said)
        return Rejected(f"{self.name}.{why.code}", said, permanent=why.blame == "address")

    def _clean(self, text: str) -> str:
        """What a service says may quote what it was given."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return plain(text)


def mail_address(contact: Contact) -> str | None:
    return own_address(contact, "email")


def here(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
