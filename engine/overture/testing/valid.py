"""Facts that a source brings, held to what the server takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import msgspec

from overture.intake import Caps, parse
from overture.model import clock
from overture.model.fact import REPORTED_TYPES


def check_facts(facts: Sequence[Mapping[str, Any]], *, own: bool = False) -> None:
    """AssertionError where the server would not take one of them as it is.

    ``own``: they may tell what became of messages, as those of a source that checks who calls may.
    """
    caps = Caps(own=REPORTED_TYPES) if own else Caps()
    for fact in facts:
        try:
            body = msgspec.msgpack.encode([_addressed(fact)], enc_hook=str)
        except (TypeError, ValueError, RecursionError, OverflowError) as error:
            raise AssertionError(f"a fact is JSON: {error}: {fact!r}") from None
        for wrong in parse(body, clock.now(), caps, "", "application/msgpack").rejected:
            raise AssertionError(f"the server refuses a fact: {wrong.message} [{wrong.code}] {wrong.pointer}: {fact!r}")


def _addressed(fact: Mapping[str, Any]) -> Mapping[str, Any]:
    """A fact about a message is one about whom that went to, whom the server knows."""
    contact: Any = fact.get("contact")
    if not isinstance(contact, Mapping) or "message" not in contact:
        return fact
    others = {name: value for name, value in cast("Mapping[str, Any]", contact).items() if name != "message"}
    return {**fact, "contact": others or {"user_id": "whom-it-went-to"}}
