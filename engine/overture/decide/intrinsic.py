"""What a fact says by itself, before any rule: who the contact is, its traits, its consent, an address that fails."""

from __future__ import annotations

from overture.decide.merge import merge, merge_ids
from overture.decide.work import Work
from overture.model import Effect, Fact


def apply_fact(work: Work, fact: Fact) -> list[Effect]:
    """Apply ``identify``, ``consent``, ``$merge`` and the outcomes of messages; remember the identifiers presented."""
    for kind, value in fact.ids.items():
        merge_ids(work.contact.ids, kind, value)
    match fact.type:
        case "identify":
            return [e for name, value in fact.properties.items() if (e := work.set_trait(name, value))]
        case "consent":
            p = fact.properties
            return [work.set_consent(p["channel"], p["purpose"], p["state"])]
        case "$merge":
            return merge(work, fact)
        case "message.bounced" | "message.failed" | "message.complained":
            return _suppress(work, fact)
        case _:
            return []


def _suppress(work: Work, fact: Fact) -> list[Effect]:
    """An address that can never be reached, or whose owner complained, is not written to again."""
    p = fact.properties
    if not p.get("address") or not (p.get("permanent") or fact.type == "message.complained"):
        return []
    reason = "complaint" if fact.type == "message.complained" else "bounce"
    address = f"{p.get('channel', '')}:{p['address']}"
    work.contact.suppressed[address] = reason
    return [Effect("suppress", address, "", None, reason)]
