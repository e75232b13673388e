"""What whoever proves nothing may claim: who it is, and what it is like.

A web page's key can be read by anybody, so what comes with it is taken as what a visitor says who is not identified,
as in `overture.node.forms`: it is told nothing; its facts are about the anonymous id it has, and about one person more
that it says it is; of that one it adds traits that are not known, and changes none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from overture.decide.intrinsic import FIXED
from overture.model import Draft, Overloaded, Refused
from overture.state.identity import Identity, derived_ids
from overture.web.keyed import TrackingGrant

NEVER = frozenset({"consent", "list_changed"})  # what only the person itself, or an app that knows it, may say
AT_ONCE = 32  # visitors of one request who are asked for side by side
PATIENCE = 20.0  # seconds that those of one request may take
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
        said = [_said(draft, grant) for draft in drafts]
        found = await self._claimed([*dict.fromkeys(each for each in said if isinstance(each, _Claim))], now)
        return [
            each if isinstance(each, Refused) else _admitted(draft, found[each])
            for draft, each in zip(drafts, said, strict=True)
        ]

    async def _claimed(self, claims: Sequence[_Claim], now: int) -> Mapping[_Claim, dict[str, Any]]:
        """The identifiers by which each of them goes, asked once and those of different visitors side by side; those of
        one visitor in their order, as the first of two decides. Raises Overloaded 503 ``identity.slow``.
        """
        found: dict[_Claim, dict[str, Any]] = {}
        visitors: dict[str, list[_Claim]] = {}
        for claim in claims:
            if claim.anonymous and claim.name:
                visitors.setdefault(claim.anonymous, []).append(claim)
            else:
                found[claim] = claim.ids()
        left = iter(visitors.values())
        try:
            async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
                for _ in range(min(AT_ONCE, len(visitors))):
                    group.create_task(self._claim(left, found, now))
        except TimeoutError:
            what = "To find out who the visitors are takes too long. Nothing of the request was taken."
            raise Overloaded("identity.slow", what, status=503) from None
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        return found

    async def _claim(self, left: Iterator[list[_Claim]], found: dict[_Claim, dict[str, Any]], now: int) -> None:
        for claims in left:
            for claim in claims:
                found[claim] = await claimed(self._identity, claim.anonymous, {claim.name: claim.value}, now)


class _Claim(NamedTuple):
    """Of a visitor with an anonymous id, that it has this identifier; either may be empty."""

    anonymous: str
    name: str
    value: str

    def ids(self) -> dict[str, Any]:
        return {self.name: self.value} if self.name else {"anonymous_id": self.anonymous}


def _said(draft: Draft, grant: TrackingGrant) -> _Claim | Refused:
    if draft.type in NEVER or (grant.types and draft.type not in grant.types):
        hint = "Post it from your server with a write key."
        return Refused("auth.fact_type", f"The key {grant.name} may not post {draft.type}.", hint, "/type", status=403)
    anonymous = draft.ids.get("anonymous_id", "")
    known = next((name for name in _PROVED if name in draft.ids), "")
    if grant.types and "identify" not in grant.types:
        known = ""
    if not anonymous and not known:
        hint = "Send anonymous_id, user_id or email."
        return Refused("auth.contact", f"The key {grant.name} may not say this of anybody.", hint, "/contact")
    return _Claim(anonymous, known, draft.ids[known] if known else "")


def _admitted(draft: Draft, ids: dict[str, Any]) -> Draft:
    context = {name: value for name, value in draft.context.items() if name != "form"}
    if draft.type == "identify":
        context["form"] = {"answered": sorted(draft.properties), FIXED: sorted(draft.properties)}
    return msgspec.structs.replace(draft, ids=dict(ids), context=context)
