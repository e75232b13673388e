"""HubSpot's contacts as facts: what others than Overture change there, each change once."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec
from pydantic import Field

from overture.model import clock
from overture.plugin import AmbiguousHandOff, Emit, NoFact, PullSourcePlugin, RetryLater, hookimpl
from overture_channels.crm import CrmField, read, theirs
from overture_channels.http import retry_after
from overture_channels.hubspot_api import Account, AccountConfig, millis, newest, table
from overture_sources.fitting import clean
from overture_sources.reports import rows

CONTACTS = "/crm/v3/objects/contacts"
CHANGED = "lastmodifieddate"
PAGE = 100  # contacts in an answer of the search
READ = 50  # contacts whose histories may be read at once
EMIT = 500  # facts
PAUSE = 10.0  # seconds after a 429 that does not say how many
REMEMBERED = 20_000  # contacts, and facts, that are known to need no other look


class HubspotConfig(AccountConfig):
    """``every``: seconds between two looks; ``lag``: how many seconds after a change the search may not know of it."""

    every: float = Field(default=10.0, ge=0.1, le=86_400)
    lag: float = Field(default=60.0, ge=0, le=86_400)
    backfill: bool = False


class Place(msgspec.Struct, frozen=True, array_like=True):
    """``changed``: up to where the search was read; ``since``: up to where all changes are told (ms)."""

    changed: int = 0
    since: int = 0


@dataclass(slots=True)
class Found:
    """What is to be told of some contacts; ``known``: when each changed last (ms)."""

    facts: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    known: dict[str, int] = field(default_factory=dict[str, int])
    refused: list[NoFact] = field(default_factory=list[NoFact])


class Hubspot:
    """An open source for the contacts of one account."""

    def __init__(self, config: HubspotConfig) -> None:
        self._config = config
        self._fields = {name: each for name, each in config.fields.items() if each.owner != "overture"}
        self._lag = round(config.lag * 1000)
        self._account = Account(config)
        self._known = _Memory()
        self._told = _Memory()

    def __repr__(self) -> str:
        return f"<Hubspot {self._account.host}>"

    async def run(self, emit: Emit) -> None:
        if not self._fields:
            return
        while True:
            await self._look(emit)
            await asyncio.sleep(self._config.every)

    async def close(self) -> None:
        await self._account.close()

    async def _look(self, emit: Emit) -> None:
        """All that changed since the last look, oldest first. Each page is searched anew from the last change that was
        seen, not by its number: a contact that changes meanwhile moves to the end, and the others up by one.

        No place lies ahead, as the change of a contact may: all that changes before that time would never be seen.
        """
        place = msgspec.json.decode(emit.place, type=Place) if emit.place else Place()
        now = clock.wall()
        place = Place(min(place.changed, now), min(place.since, now - self._lag))
        since, at = place.since, max(place.changed - self._lag, 0)
        while True:
            page = await self._search(at)
            last = _changed(page[-1]) if page else at
            whole = len(page) < PAGE
            if last < at and not whole:
                raise self._heedless()
            changed = min(max(place.changed, last), clock.wall())
            place = Place(changed, max(changed - self._lag, 0) if whole else since)
            await self._take(emit, page, since, place)
            if whole:
                return
            if last == at:
                await self._same(emit, at, place)
                last += 1
            at = last

    async def _same(self, emit: Emit, at: int, place: Place) -> None:
        """All that changed in one and the same millisecond, by their ids."""
        after = 0
        while page := await self._search(at, after):
            await self._take(emit, page, place.since, place)
            before, after = after, max(int(row["id"]) for row in page)
            if after <= before:
                raise self._heedless()

    def _heedless(self) -> ConnectionError:
        return ConnectionError(f"The search of {self._account.host} does not heed what it is asked for.")

    async def _search(self, at: int, after: int | None = None) -> list[Mapping[str, Any]]:
        """A page of those that changed at ``at`` or later; with ``after``, exactly then, with a greater id."""
        filters: list[dict[str, str]] = [{"propertyName": CHANGED, "operator": "GTE", "value": str(at)}]
        by = CHANGED
        if after is not None:
            by = "hs_object_id"
            filters = [
                {"propertyName": CHANGED, "operator": "EQ", "value": str(at)},
                {"propertyName": by, "operator": "GT", "value": str(after)},
            ]
        body = {
            "filterGroups": [{"filters": filters}],
            "sorts": [{"propertyName": by, "direction": "ASCENDING"}],
            "properties": [CHANGED],
            "limit": PAGE,
        }
        return [table(row) for row in rows((await self._ask(f"{CONTACTS}/search", body)).get("results"))]

    async def _take(self, emit: Emit, page: Sequence[Mapping[str, Any]], since: int, place: Place) -> None:
        """Emit what a page of the search has to tell, and then its place."""
        fresh = [row for row in page if self._known.get(str(row["id"])) != _changed(row)]
        found = Found()
        for first in range(0, len(fresh), READ):
            for contact in await self._read(fresh[first : first + READ]):
                self._tell(contact, since, found)
        for first in range(0, len(found.facts) - EMIT, EMIT):
            await emit(found.facts[first : first + EMIT], backfill=self._config.backfill)
        text = msgspec.json.encode(place).decode()
        if found.facts or found.refused or text != emit.place:
            rest = found.facts[-(len(found.facts) % EMIT or EMIT) :]
            await emit(rest, text, backfill=self._config.backfill, refused=found.refused)
        for fact in found.facts:
            self._told.keep(fact["id"], 0)
        for id, changed in found.known.items():
            self._known.keep(id, changed)

    async def _read(self, page: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """The contacts as they are now, with the histories of the fields: the search may be behind."""
        body = {
            "inputs": [{"id": str(row["id"])} for row in page],
            "properties": ["email", CHANGED],
            "propertiesWithHistory": list(self._fields),
        }
        return [table(row) for row in rows((await self._ask(f"{CONTACTS}/batch/read", body)).get("results"))]

    def _tell(self, contact: Mapping[str, Any], since: int, found: Found) -> None:
        """One fact for each instant at which others changed what the contact has now."""
        id = str(contact["id"])
        made: dict[int, dict[str, Any]] = defaultdict(dict)
        for name, each in self._fields.items():
            version = newest(table(contact.get("propertiesWithHistory")).get(name), self._config.app_id)
            if version is None or version.ours or version.at <= since:
                continue
            try:
                made[version.at] |= _traits(each, version.value, version.at)
            except ValueError:
                what = {"id": id, "property": name, "value": clean(version.value)[:1000]}
                found.refused.append(NoFact(what, "source.entry", f"The property {name} is not of type {each.type}."))
        email = str(table(contact.get("properties")).get("email") or "")
        who: dict[str, Any] = {"external": {"hubspot": id}, **({"email": email} if email else {})}
        for at, properties in sorted(made.items()):
            fact = {
                "id": f"hubspot:{id}:{at}",
                "type": "identify",
                "contact": who,
                "occurred_at": datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds"),
                "properties": properties,
                "context": {"source": "hubspot"},
            }
            if self._told.get(fact["id"]) is None:
                found.facts.append(fact)
        found.known[id] = _changed(contact)

    async def _ask(self, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """The JSON of an answer. Waits where HubSpot has had enough requests; raises ConnectionError otherwise."""
        host = self._account.host
        while True:
            try:
                reply = await self._account.ask("POST", path, body)
            except (RetryLater, AmbiguousHandOff) as error:
                raise ConnectionError(error.message) from None
            if reply.status != 429:
                break
            pause = retry_after(reply.headers)
            await asyncio.sleep(PAUSE if pause is None else pause)
        told = table(reply.told)
        if not reply.good:
            why = self._account.clean(str(told.get("message", "")))
            raise ConnectionError(f"{host} answered {reply.status}: {why}"[:500])
        if "results" not in told:
            raise ConnectionError(f"{host} answered with no results.")
        return told


class _Memory:
    """The newest of many names, each with a number."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, int] = OrderedDict()

    def get(self, name: str) -> int | None:
        return self._kept.get(name)

    def keep(self, name: str, number: int) -> None:
        self._kept[name] = number
        self._kept.move_to_end(name)
        if len(self._kept) > REMEMBERED:
            self._kept.popitem(last=False)


def _changed(contact: Mapping[str, Any]) -> int:
    """When it changed last (ms)."""
    return millis(table(contact.get("properties")).get(CHANGED)) or 0


def _traits(field: CrmField, text: str, at: int) -> dict[str, Any]:
    """A version as properties of a fact. Of what both may change the CRM's word is kept by itself, with its time."""
    value = read(field, clean(text))
    if field.owner == "crm":
        return {field.trait: value}
    name, when = theirs(field.trait)
    return {name: value, when: at}


@hookimpl
def overture_sources() -> Iterable[PullSourcePlugin[HubspotConfig]]:
    yield PullSourcePlugin(name="hubspot", config=HubspotConfig, open=Hubspot)
