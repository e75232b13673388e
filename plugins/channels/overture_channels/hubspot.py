"""Traits of contacts to HubSpot's properties: each message is one write, in the order decided, whatever is retried."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import msgspec
from pydantic import Field

from overture.model.contact import Contact
from overture.plugin import AmbiguousHandOff, ChannelPlugin, Outgoing, Rejected, RetryLater, Sent, hookimpl, own_address
from overture_channels.crm import said
from overture_channels.http import Reply, retry_after, text_of
from overture_channels.hubspot_api import Account, AccountConfig, Version, newest, rowed, table
from overture_channels.mail import plain

NAME = "hubspot"
CONTACTS = "/crm/v3/objects/contacts"


class HubspotConfig(AccountConfig):
    """``marker``: a property of text at HubSpot, which notes when what was written into the others was decided."""

    marker: str = Field(default="overture_sync", pattern=r"^[a-z][a-z0-9_]{0,99}$")


Decided = tuple[int, int]
"""When a message was decided (ms), and its place among those of the contact."""


@dataclass(frozen=True, slots=True)
class Held:
    """What HubSpot has of a contact. ``written``: by property, by which message of ours."""

    id: str
    versions: Mapping[str, Version]
    written: Mapping[str, Decided]


@dataclass(slots=True)
class Judged:
    """``write``: properties that are to be written; ``late``: whose later change at HubSpot counts."""

    write: dict[str, str] = field(default_factory=dict[str, str])
    late: list[str] = field(default_factory=list[str])


class HubspotChannel:
    """Writes what a message has as ``data``: traits that are fields which may be written."""

    def __init__(self, config: HubspotConfig) -> None:
        self._config = config
        self._account = Account(config)
        self._names = {each.trait: name for name, each in config.fields.items() if each.owner != "crm"}
        self._latest = [name for name, each in config.fields.items() if each.owner == "latest"]

    def __repr__(self) -> str:
        return f"<HubspotChannel {self._account.host}>"

    async def send(self, message: Outgoing) -> Sent | Rejected:
        self._account.open()
        try:
            wanted = self._wanted(message.data)
        except ValueError as error:
            return Rejected("hubspot.data", f"{error}.")
        held = await self._held(message.to)
        if isinstance(held, Rejected):
            return held
        if held is None:
            if "@" not in message.to:
                return Rejected("hubspot.unknown", f"{self._account.host} has no contact {message.to}.", True)
            held = Held("", {}, {})
        decided = (message.created_at, message.order)
        judged = self._judge(wanted, held, decided)
        if not judged.write:
            if judged.late:
                return Rejected("hubspot.later", f"Changed later at {self._account.host}: {', '.join(judged.late)}.")
            return Sent(held.id)
        written = {**held.written, **dict.fromkeys(judged.write, decided)}
        properties = {**judged.write, self._config.marker: msgspec.json.encode(written, order="sorted").decode()}
        return await self._write(message.to, held.id, properties)

    async def check(self) -> None:
        reply = await self._account.ask("GET", CONTACTS, query={"limit": "1"})
        if not reply.good:
            raise ConnectionError(f"{self._account.host} answered {reply.status}")

    async def close(self) -> None:
        await self._account.close()

    def _wanted(self, data: Mapping[str, Any]) -> dict[str, str]:
        """The properties that a message is to set, as HubSpot takes them. ValueError with a sentence."""
        if not data:
            raise ValueError("the template says no data")
        wanted: dict[str, str] = {}
        for trait, value in data.items():
            name = self._names.get(trait)
            if name is None:
                raise ValueError(f"{trait[:64]} is no field that Overture may write")
            try:
                wanted[name] = said(value)
            except ValueError as error:
                raise ValueError(f"{trait}: {error}") from None
        return wanted

    async def _held(self, to: str) -> Held | Rejected | None:
        """What is there now; None where there is no such contact."""
        query = {"properties": self._config.marker, "propertiesWithHistory": ",".join(self._latest)}
        if "@" in to:
            query["idProperty"] = "email"
        path = f"{CONTACTS}/{quote(to.encode('utf-8', 'replace'), safe='')}"
        try:
            reply = await self._account.ask("GET", path, query={name: each for name, each in query.items() if each})
        except AmbiguousHandOff as error:  # nothing was written yet
            raise RetryLater(code="hubspot.unread", message=error.message) from None
        if reply.status == 404:
            return None
        told = table(reply.told)
        if refused := self._refused(reply):
            return refused
        if "id" not in told:
            raise RetryLater(code="hubspot.unread", message=f"{self._account.host} did not say what it has.")
        histories = table(told.get("propertiesWithHistory"))
        versions = {name: newest(histories.get(name), self._config.app_id) for name in self._latest}
        return Held(
            str(told["id"]),
            {name: version for name, version in versions.items() if version is not None},
            _marked(table(told.get("properties")).get(self._config.marker)),
        )

    def _judge(self, wanted: Mapping[str, str], held: Held, decided: Decided) -> Judged:
        judged = Judged()
        for name, value in wanted.items():
            version = held.versions.get(name)
            if held.written.get(name, (0, 0)) >= decided:
                continue  # it is there already, or what was decided later is: this is another attempt
            if version is not None and not version.ours and version.at >= decided[0]:
                judged.late.append(name)
            else:
                judged.write[name] = value
        return judged

    async def _write(self, to: str, id: str, properties: Mapping[str, str]) -> Sent | Rejected:
        if id:
            reply = await self._account.ask("PATCH", f"{CONTACTS}/{quote(id, safe='')}", {"properties": properties})
        else:  # not made by a plain POST: somebody else may be making it at this moment
            made = {"id": to, "idProperty": "email", "properties": {"email": to, **properties}}
            reply = await self._account.ask("POST", f"{CONTACTS}/batch/upsert", {"inputs": [made]})
        if (refused := self._refused(reply)) is not None:
            return refused
        told = table(reply.told)
        rows, errors = rowed(told.get("results")), rowed(told.get("errors"))
        if not id and not rows and reply.told is not None:
            why = text_of(errors[0].get("message")) if errors else "no reason"
            return Rejected("hubspot.upsert", f"{self._account.host}: {self._account.clean(why)}")
        return Sent(plain(id or (text_of(rows[0].get("id")) if rows else "")))

    def _refused(self, reply: Reply) -> Rejected | None:
        """What an answer means that is no success. Raises what asks for another try."""
        if reply.good:
            return None
        told = table(reply.told)
        said = f"{self._account.host} answered {reply.status}: {self._account.clean(reply.said('message'))}"[:500]
        codes = {text_of(each.get("code")) for each in rowed(told.get("errors"))}
        if reply.later or reply.status in (404, 409, 423):  # gone or made meanwhile, locked
            raise RetryLater(retry_after(reply.headers), f"hubspot.{reply.status}", said)
        if reply.status in (401, 403) or 300 <= reply.status < 400 or "PROPERTY_DOESNT_EXIST" in codes:
            raise ConnectionError(said)  # what no message gets past must open the circuit breaker
        return Rejected(f"hubspot.{reply.status}", said, permanent="INVALID_EMAIL" in codes)


def _marked(text: object) -> dict[str, Decided]:
    """What stands in the marker; nothing where somebody else wrote into it."""
    try:
        return msgspec.json.decode(str(text), type=dict[str, Decided])
    except msgspec.MsgspecError:
        return {}


def _address(contact: Contact) -> str | None:
    """HubSpot's own id of the contact, else its e-mail address."""
    external: Any = contact.ids.get("external")
    id = table(external).get(NAME)
    return id if isinstance(id, str) and id else own_address(contact, "email")


@hookimpl
def overture_channels() -> Iterable[ChannelPlugin[HubspotConfig]]:
    yield ChannelPlugin(name=NAME, config=HubspotConfig, open=HubspotChannel, address_of=_address)
