"""Any service that signs JSON: how, and where things stand in it, is in the settings."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from overture_sources.service import Service, Signed
from overture_sources.signing import Algorithm, Encoding, Scheme


class HmacContact(BaseModel):
    """Where the identifiers of the contact stand."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    user_id: str = ""
    anonymous_id: str = ""
    email: str = ""
    external: dict[str, str] = Field(default_factory=dict[str, str])

    @model_validator(mode="after")
    def _some(self) -> Self:
        if not (self.user_id or self.anonymous_id or self.email or self.external):
            raise ValueError("a fact is about somebody: say where one of the identifiers stands")
        return self


class HmacConfig(Signed):
    """How it signs: ``header``, ``algorithm``, ``encoding``, ``prefix``, ``timestamp`` (the header with the time),
    ``signed`` (what is hashed, with ``{body}`` and ``{timestamp}``), ``fields`` (the header is ``t=…,v1=…``). Where
    things stand: ``type``, ``id``, ``occurred_at``, ``contact``, ``properties`` (by name; without any the whole body),
    each ``$.a.path``, ``header:A-Name``, or the text itself. Or ``transform``: the script, as ``ruleset/script``, that
    makes the facts.
    """

    header: str = Field(default="X-Signature", pattern=r"^[A-Za-z0-9-]+$")
    algorithm: Algorithm = "sha256"
    encoding: Encoding = "hex"
    prefix: str = ""
    timestamp: str = Field(default="", pattern=r"^[A-Za-z0-9-]*$")
    signed: str = ""
    fields: bool = False
    type: str = ""
    id: str = ""
    occurred_at: str = ""
    contact: HmacContact | None = None
    properties: dict[str, str] = Field(default_factory=dict[str, str])
    transform: str = Field(default="", pattern=r"^([a-z0-9][a-z0-9_-]{0,63}/[A-Za-z0-9][A-Za-z0-9_-]{0,63})?$")

    @model_validator(mode="after")
    def _said(self) -> Self:
        if bool(self.transform) == bool(self.type or self.contact or self.id or self.occurred_at or self.properties):
            raise ValueError("say where things stand (type, contact …), or name a script with transform, not both")
        if not self.transform and not (self.type and self.contact):
            raise ValueError("without transform, type and contact are needed")
        return self

    @model_validator(mode="after")
    def _whole(self) -> Self:
        timed = bool(self.timestamp) or self.fields
        if self.signed and (self.signed.count("{body}") != 1 or ("{timestamp}" in self.signed) != timed):
            raise ValueError("signed needs {body} once, and {timestamp} where a time is sent, and only there")
        if self.timestamp and self.fields:
            raise ValueError("with fields, the time stands in the same header: leave timestamp out")
        return self

    def service(self) -> Service:
        timed = bool(self.timestamp) or self.fields
        contact = self.contact or HmacContact.model_construct()
        who = {"user_id": contact.user_id, "anonymous_id": contact.anonymous_id, "email": contact.email}
        return Service(
            name="hmac",
            scheme=Scheme(
                header=self.header.lower(),
                algorithm=self.algorithm,
                encoding=self.encoding,
                prefix=self.prefix,
                timestamp=self.timestamp.lower(),
                fields=self.fields,
                signed=self.signed or ("{timestamp}.{body}" if timed else "{body}"),
            ),
            type=(self.type,),
            id=(self.id,) if self.id else (),
            at=(self.occurred_at,) if self.occurred_at else (),
            contact={name: (where,) for name, where in who.items() if where},
            external={name: (where,) for name, where in contact.external.items()},
            properties=self.properties,
            literal=not self.type.startswith(("$", "header:")),
            transform=self.transform,
        )
