"""The source ``snowplow``: its trackers, pointed here as to a collector. The write key is the app id (``aid``)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from overture.plugin import Answer, Endpoint, Incoming, NoFact, Posted, PushSourcePlugin, hookimpl
from overture_sources import normal
from overture_sources.bodies import json_of, listed, no_object
from overture_sources.normal import campaign_of, id_of, parted, path_of, type_of
from overture_sources.pixel import PIXEL
from overture_sources.reports import at_second, fact_id, rows, table, text

TP2 = "/com.snowplowanalytics.snowplow/tp2"
KINDS = {"pv": "page_viewed", "pp": "page_pinged", "tr": "order_completed", "ti": "order_item", "se": "", "ue": ""}
NAMED = {"screen_view": "screen_viewed", "page_view": "page_viewed", "page_ping": "page_pinged"}  # self-describing

_FIELDS = {
    "pv": {"url": "url", "title": "page", "referrer": "refr"},
    "pp": {"url": "url", "title": "page", "referrer": "refr", "x": "pp_max", "y": "pp_may"},
    "se": {"category": "se_ca", "action": "se_ac", "label": "se_la", "property": "se_pr", "value": "se_va"},
    "tr": {"order_id": "tr_id", "total": "tr_tt", "tax": "tr_tx", "shipping": "tr_sh", "currency": "tr_cu",
           "affiliation": "tr_af", "city": "tr_ci", "state": "tr_st", "country": "tr_co"},
    "ti": {"order_id": "ti_id", "sku": "ti_sk", "name": "ti_nm", "category": "ti_ca", "price": "ti_pr",
           "quantity": "ti_qu", "currency": "ti_cu"},
    "ue": {},
}  # fmt: skip
_NUMBERS = frozenset({"pp_max", "pp_may", "se_va", "tr_tt", "tr_tx", "tr_sh", "ti_pr", "ti_qu"})
_TAKEN = frozenset({"e", "eid", "aid", "uid", "dtm", "ttm", "stm", "cx", "co", "ue_px", "ue_pr"})


class SnowplowConfig(BaseModel):
    """There is nothing to set."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Snowplow:
    def __init__(self, config: SnowplowConfig) -> None: ...

    async def parse(self, request: Incoming) -> Posted | Answer:
        return await normal.beside(len(request.inflated), lambda: _read(request))

    async def close(self) -> None: ...


def _read(request: Incoming) -> Posted:
    events: list[Any] = [request.query]
    if request.method == "POST":
        body = json_of(request.inflated)
        if not isinstance(body, dict):
            raise no_object()
        events = listed(table(body).get("data"), "data")
    facts, refused = parted(fact(event, request.at) for event in events)
    key = next((app for event in events if (app := text(table(event).get("aid")))), "")
    return Posted(facts=facts, refused=refused, key=key, answer=PIXEL if request.method == "GET" else Answer())


def fact(event: Any, at: int) -> dict[str, Any] | NoFact:
    """One event as a fact. ``at``: when it came (ms)."""
    said = table(event)
    kind = text(said.get("e"))
    if kind not in KINDS:
        return NoFact(event, "source.unread", f"It is of no type that is known: {', '.join(KINDS)}.")
    name, context = KINDS[kind], {each: value for each, value in said.items() if each not in _TAKEN}
    properties = {ours: _value(theirs, said) for ours, theirs in _FIELDS[kind].items() if said.get(theirs)}
    for own in _FIELDS[kind].values():
        context.pop(own, None)
    if kind == "ue":
        schema, properties = _described(table(_json(said, "ue_px", "ue_pr")).get("data"))
        own_name = schema.removeprefix("iglu:").split("/")[1] if schema.count("/") > 1 else schema
        name, context["schema"] = NAMED.get(own_name) or type_of(own_name), schema
    elif kind == "se":
        name = type_of(said.get("se_ac"))
    if kind in ("pv", "pp") and (path := path_of(text(said.get("url")))):
        properties["path"] = path
    if entities := rows(table(_json(said, "cx", "co")).get("data")):
        context["entities"] = [dict(zip(("schema", "data"), _described(each), strict=True)) for each in entities]
    ids = {"user_id": id_of(said.get("uid")), "anonymous_id": _device(said)}
    when = said.get("ttm") or said.get("dtm")
    if when and (moment := _at(when)):
        when = normal.instant(moment.isoformat(), _at(said.get("stm")) if "ttm" not in said else None, at)
    properties = campaign_of(text(said.get("url"))) | properties
    id = fact_id("snowplow", text(said["eid"])) if text(said.get("eid")) else ""
    return normal.fact(name, ids, properties, context, id=id, occurred_at=when or None)


def _device(said: Mapping[str, Any]) -> str:
    """The cookie of the site, else the one of the collector, which spans sites."""
    return next((id for each in ("duid", "tnuid", "nuid") if (id := id_of(said.get(each)))), "")


def _described(value: Any) -> tuple[str, dict[str, Any]]:
    """Schema and data of what describes itself."""
    data = table(value).get("data")
    return text(table(value).get("schema")), dict(data) if isinstance(data, Mapping) else {"data": data}


def _json(said: Mapping[str, Any], encoded: str, plain: str) -> Any:
    """In base64 of either alphabet, with or without padding, or as it is."""
    if not (packed := text(said.get(encoded))):
        return json_of(text(said.get(plain)))
    packed = packed.translate({ord("+"): "-", ord("/"): "_", ord(" "): "-", ord("="): None})
    try:
        return json_of(base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4)))
    except (binascii.Error, ValueError):
        return None


def _value(name: str, said: Mapping[str, Any]) -> Any:
    try:
        return float(text(said[name])) if name in _NUMBERS else said[name]
    except ValueError:
        return said[name]


def _at(value: Any) -> datetime | None:
    """Unix time in milliseconds, to the millisecond."""
    told = text(value).strip()
    if not (told.isascii() and told.isdigit() and len(told) < 16):
        return None
    second = at_second(told[:-3] or "0")
    return second and second.replace(microsecond=int(told[-3:]) * 1000, tzinfo=UTC)


@hookimpl
def overture_sources() -> Iterable[PushSourcePlugin[SnowplowConfig]]:
    endpoints = [
        each
        for prefix in ("", "~")
        for each in (
            Endpoint(method="GET", path=f"{prefix}/i", browser=True),
            Endpoint(method="POST", path=f"{prefix}{TP2}", browser=True),
        )
    ]
    endpoints.append(Endpoint(method="POST", path="~/{vendor}/{version}", browser=True))  # a path that an app chose
    yield PushSourcePlugin(name="snowplow", config=SnowplowConfig, open=Snowplow, endpoints=endpoints)
