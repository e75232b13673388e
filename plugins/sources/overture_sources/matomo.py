"""The source ``matomo``: its Tracking API. The write key is ``token_auth``, or stands in place of the site's id.

The protocol has no id of an event. Orders have theirs (``ec_id``); anything else is told from another one by all that
it says, where that includes when it happened (``cdt``) or a number drawn for it (``rand``). Else each request is one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from overture.plugin import Answer, Endpoint, Incoming, NoFact, Posted, PushSourcePlugin, hookimpl
from overture_sources import normal
from overture_sources.bodies import json_of, listed
from overture_sources.normal import campaign_of, id_of, parted, path_of, query_of, type_of
from overture_sources.pixel import PIXEL
from overture_sources.reports import at_second, at_text, digest, fact_id, rows, table, text

_KEYS = frozenset({"token_auth", "idsite"})
_ITEM = ("sku", "name", "category", "price", "quantity")
_ORDER = {
    "order_id": "ec_id", "total": "revenue", "subtotal": "ec_st", "tax": "ec_tx", "shipping": "ec_sh",
    "discount": "ec_dt",
}  # fmt: skip
_EVENT = {"category": "e_c", "action": "e_a", "name": "e_n", "value": "e_v"}
_CAMPAIGN = {"utm_campaign": "_rcn", "utm_term": "_rck"}
_NUMBERS = frozenset({"revenue", "ec_st", "ec_tx", "ec_sh", "ec_dt", "e_v", "search_count"})
# What says that it is of a kind, in order; the kind, and its properties. None of them: a page.
KINDS: tuple[tuple[str, str, Mapping[str, str]], ...] = (
    ("ec_id", "order_completed", _ORDER),
    ("e_a", "", _EVENT),
    ("search", "searched", {"query": "search", "category": "search_cat", "results": "search_count"}),
    ("download", "file_downloaded", {"url": "download"}),
    ("link", "link_clicked", {"url": "link"}),
    ("c_i", "content_clicked", {"name": "c_n", "piece": "c_p", "target": "c_t", "interaction": "c_i"}),
    ("c_n", "content_viewed", {"name": "c_n", "piece": "c_p", "target": "c_t"}),
    ("ping", "page_pinged", {"url": "url"}),
)
_PAGE = {"url": "url", "title": "action_name", "referrer": "urlref"}


class MatomoConfig(BaseModel):
    """There is nothing to set."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Matomo:
    def __init__(self, config: MatomoConfig) -> None: ...

    async def parse(self, request: Incoming) -> Posted | Answer:
        return await normal.beside(len(request.inflated), lambda: _read(request))

    async def close(self) -> None: ...


def _read(request: Incoming) -> Posted:
    body = request.inflated.strip()
    bulk = json_of(body) if body.startswith(b"{") else None
    around: Mapping[str, Any] = table(bulk) or {**request.query, **query_of(body.decode("utf-8", "replace"))}
    asked = listed(around["requests"], "requests") if "requests" in around else [around]
    events = [_asked(each) for each in asked]
    seen = Counter[str]()
    facts, refused = parted(fact(event, seen) for event in events)
    first = events[0] if events else {}
    keys = (around.get("token_auth"), first.get("token_auth"), around.get("idsite"), first.get("idsite"))
    answer = Answer(body={"status": "success", "tracked": len(facts), "invalid": len(refused)}) if body else PIXEL
    return Posted(facts=facts, refused=refused, answer=answer, key=next(filter(None, map(text, keys)), ""))


def _asked(each: Any) -> Mapping[str, Any]:
    """One request of many: an address from its ``?`` on, or its fields."""
    return each if isinstance(each, Mapping) else query_of(text(each).partition("?")[2] or text(each))


def fact(said: Mapping[str, Any], seen: Counter[str]) -> dict[str, Any] | NoFact:
    """One request as a fact. ``seen``: how often the same was said before in the same body; it was meant as often."""
    if text(said.get("rec")) != "1":
        return NoFact(dict(said), "source.unread", "It is not to be recorded: rec is not 1.")
    basket = text(said.get("idgoal")) == "0"
    marks = ("", "cart_updated", {"total": "revenue"}) if basket else ("", "page_viewed", _PAGE)
    if not basket and text(said.get("idgoal")):
        marks = ("", "goal_reached", {"goal_id": "idgoal", "revenue": "revenue"})
    _, kind, fields = next((each for each in KINDS if text(said.get(each[0]))), marks)
    properties = {ours: _value(theirs, said) for ours, theirs in fields.items() if text(said.get(theirs))}
    if basket and (items := rows(json_of(text(said.get("ec_items"))))):
        properties["products"] = [dict(zip(_ITEM, rows(item), strict=False)) for item in items]
    if kind == "page_viewed" and (path := path_of(text(said.get("url")))):
        properties["path"] = path
    campaign = {ours: text(said.get(theirs)) for ours, theirs in _CAMPAIGN.items() if text(said.get(theirs))}
    dimensions = {each: value for each, value in said.items() if each.startswith("dimension")}
    used = {"rec", "uid", "cdt", "rand", *_KEYS, *fields.values(), *dimensions}
    return normal.fact(
        kind or type_of(said.get("e_a")),
        {"user_id": id_of(said.get("uid")), "anonymous_id": id_of(said.get("cid")) or id_of(said.get("_id"))},
        campaign_of(text(said.get("url"))) | campaign | dimensions | properties,
        {each: value for each, value in said.items() if each not in used},
        id=_id(said, seen),
        occurred_at=_at(said["cdt"]) or said["cdt"] if said.get("cdt") else None,
    )


def _id(said: Mapping[str, Any], seen: Counter[str]) -> str:
    if order := text(said.get("ec_id")):
        site = digest(text(said.get("idsite")))[:8]  # not as it stands: it may be the write key
        return fact_id("matomo", f"order:{site}:{order}")
    if not (said.get("cdt") or said.get("rand")):
        return ""
    key = digest(*sorted((name, text(value) or repr(value)) for name, value in said.items() if name != "token_auth"))
    seen[key] += 1
    return fact_id("matomo", key if seen[key] == 1 else f"{key}:{seen[key]}")


def _at(value: Any) -> str:
    """``cdt``: Unix time in seconds, or ``2026-03-27 10:00:00`` in UTC; empty for what is neither."""
    told = text(value).strip()
    moment: datetime | None = at_second(told) if told.replace(".", "", 1).isdigit() else at_text(told)
    return moment.isoformat() if moment else ""


def _value(name: str, said: Mapping[str, Any]) -> Any:
    try:
        return float(text(said[name])) if name in _NUMBERS else text(said[name])
    except ValueError:
        return said[name]


@hookimpl
def overture_sources() -> Iterable[PushSourcePlugin[MatomoConfig]]:
    endpoints = [
        Endpoint(method=method, path=f"{prefix}/{name}.php", browser=True)
        for prefix in ("", "~")
        for name in ("matomo", "piwik")
        for method in ("GET", "POST")
    ]
    yield PushSourcePlugin(name="matomo", config=MatomoConfig, open=Matomo, endpoints=endpoints)
