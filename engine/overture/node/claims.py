"""What whoever proves nothing may claim: who it is, and what it is like.

A web page's key can be read by anybody, so what comes with it is taken as what a visitor says who is not identified,
as in `overture.node.forms`: it is told nothing; its facts are about the anonymous id it has, and about one person more
that it says it is; of that one it adds traits that are not known, and changes none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from overture.decide.intrinsic import FIXED
from overture.model import Draft, Refused
from overture.state.identity import Identity, derived_ids
from overture.web.keyed import TrackingGrant

NEVER = frozenset({"consent", "list_changed"})  # what only the person itself, or an app that knows it, may say
_PROVED = ("user_id", "email")  # who somebody is, strongest first


async def claimed(identity: Identity, anonymous: str, who: dict[str, Any], now: int) -> dict[str, Any]:
    """The identifiers of somebody who has an anonymous id, if any, and says to be ``who`` (one identifier).

    An anonymous id that belongs to another contact is left out: nobody who proves nothing makes two known contacts one.
    Whose it is, the link decides: of two that claim it at the same moment only one gets it.
    """
    if not anonymous:
        return who
    (claim,) = derived_ids(who)
    target = await identity.find(claim)
    root = await identity.find(own := f"anonymous_id:{anonymous}")
    if (await identity.link(own, target, now) if root == own else root) != target:
        return who
    return {"anonymous_id": anonymous, **who}


class BrowserFacts:
    """Implements `overture.web.keyed.Browsers`."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity

    async def admit(self, drafts: Sequence[Draft], grant: TrackingGrant, now: int) -> list[Draft | Refused]:
        return [await self._admit(draft, grant, now) for draft in drafts]

    async def _admit(self, draft: Draft, grant: TrackingGrant, now: int) -> Draft | Refused:
        if draft.type in NEVER or (grant.types and draft.type not in grant.types):
            hint = "Post it from your server with a write key."
            return Refused(
                "auth.fact_type", f"The key {grant.name} may not post {draft.type}.", hint, "/type", status=403
            )
        anonymous = draft.ids.get("anonymous_id", "")
        known = next((name for name in _PROVED if name in draft.ids), "")
        if grant.types and "identify" not in grant.types:
            known = ""
        if not anonymous and not known:
            hint = "Send anonymous_id, user_id or email."
            return Refused("auth.contact", f"The key {grant.name} may not say this of anybody.", hint, "/contact")
        ids: dict[str, Any] = {"anonymous_id": anonymous}
        if known:
            ids = await claimed(self._identity, anonymous, {known: draft.ids[known]}, now)
        context = {name: value for name, value in draft.context.items() if name != "form"}
        if draft.type == "identify":
            context["form"] = {"answered": sorted(draft.properties), FIXED: sorted(draft.properties)}
        return msgspec.structs.replace(draft, ids=ids, context=context)
