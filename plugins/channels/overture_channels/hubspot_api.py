"""One account at HubSpot: requests to its API, and what it tells of the history of a property."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from urllib.parse import urlencode

import msgspec
from pydantic import Field
from yarl import URL

from overture.plugin import EgressRefused, Secret
from overture_channels.crm import Fields
from overture_channels.http import Caller, Reply
from overture_channels.mail import plain
from overture_channels.service import ServiceConfig

READ_AT_MOST = 16 * 2**20  # bytes of an answer: fifty contacts with the history of their properties


class AccountConfig(ServiceConfig):
    """``access_token`` of a private app; ``app_id``, its id: what it wrote is ours. ``fields`` by property, or
    ``file:PATH`` of a file of TOML with them.
    """

    base_url: str = "https://api.hubapi.com"
    access_token: Secret
    app_id: str = Field(pattern=r"^[0-9]{1,20}$")
    fields: Fields


@dataclass(frozen=True, slots=True)
class Version:
    """What a property is, since when (ms), and whether that is by Overture."""

    value: str
    at: int
    ours: bool


class Account:
    """Calls HubSpot with the token of a private app."""

    def __init__(self, config: AccountConfig) -> None:
        self._base = config.base_url
        self._token = config.access_token.get_secret_value()
        self._http = Caller("hubspot", config.timeout, config.egress_allow, READ_AT_MOST)
        self.host = URL(config.base_url).host or ""

    def __repr__(self) -> str:
        return f"<Account {self.host}>"

    def open(self) -> None:
        """Raises RuntimeError when closed."""
        self._http.open()

    async def ask(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, query: Mapping[str, str] | None = None
    ) -> Reply:
        """Raises as `Caller.call`, and ConnectionError where the address must not be called."""
        url = URL(f"{self._base}{path}{'?' + urlencode(query) if query else ''}", encoded=True)
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        try:
            return await self._http.call(method, url, None if body is None else msgspec.json.encode(body), headers)
        except EgressRefused:
            raise ConnectionError(f"{self.host} leads to an address that must not be called") from None

    def clean(self, text: str) -> str:
        """What a service says may quote what it was given."""
        return plain(text.replace(self._token, "***"))

    async def close(self) -> None:
        await self._http.close()


def newest(history: object, app_id: str) -> Version | None:
    """The present version of a property, from its history; None where it never was anything."""
    versions: list[Version] = []
    for each in cast("list[Any]", history) if isinstance(history, list) else ():
        told = table(each)
        if (at := millis(told.get("timestamp"))) is not None:
            versions.append(Version(str(told.get("value") or ""), at, str(told.get("sourceId", "")) == app_id))
    return max(versions, key=lambda version: version.at, default=None)


def millis(text: object) -> int | None:
    """RFC 3339 as milliseconds since the epoch; None for what is no time."""
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return round(moment.timestamp() * 1000) if moment.tzinfo else None


def rowed(value: object) -> list[Mapping[str, Any]]:
    """A JSON list of objects, or an empty one for anything else."""
    return [table(each) for each in cast("list[Any]", value)] if isinstance(value, list) else []


def table(value: object) -> Mapping[str, Any]:
    """A JSON object, or an empty one for anything else."""
    return cast("dict[str, Any]", value) if isinstance(value, Mapping) else {}
