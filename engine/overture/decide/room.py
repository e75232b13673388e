"""Room in a contact for what senders make it hold: identifiers, traits, keys, codes. Too much of it stays outside.

``Contact.weight`` is kept up to date with each change, so that asking whether there is room costs nothing. A ``reason``
is empty where the thing was kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from overture.decide import limits
from overture.decide.limits import STATE_BYTES, size, too_much
from overture.model import Contact, Issued, Position, Waiting

FULL = "contact.full"
ENTRY = 16  # what an entry takes beside its texts: their lengths, a number
INSTANT = 9  # what an instant takes
BASE = 256  # a contact that holds nothing; never 0, which says that it was not weighed yet


def weigh(contact: Contact) -> int:
    """About how many bytes the contact takes where it is stored, as far as senders decide it."""
    ids = contact.ids
    texts: list[str] = [*ids.get("anonymous_id", ()), *ids.get("email", ())]
    texts += (name + value for name, value in ids.get("external", {}).items())
    for keyed in (*contact.scores.values(), *contact.fired.values(), *contact.ended.values()):
        if type(keyed) is dict:
            texts += keyed
    instants = sum(len(fired) for fired in contact.fired.values() if type(fired) is list)
    traits = sum(size(name) + size(value) + ENTRY for name, value in contact.traits.items())
    return (
        BASE
        + traits
        + instants * INSTANT
        + sum(size(text) + ENTRY for text in texts)
        + sum((*map(_of_code, contact.issued), *map(_of_message, contact.waiting)))
        + sum(map(_of_position, contact.journeys))
    )


def keep_trait(contact: Contact, name: str, value: Any) -> str:
    """Put a trait in its place; answers the reason."""
    traits = contact.traits
    length = size(value)
    if reason := too_much(value, length):
        return reason
    if name in traits:
        growth = length - size(traits[name])
    elif (named := size(name)) > limits.NAME_BYTES:
        return "key.too_long"
    elif len(traits) >= limits.TRAITS:
        return FULL
    else:
        growth = named + length + ENTRY
    if growth and (reason := _grow(contact, growth)):
        return reason
    traits[name] = value
    return ""


def drop_trait(contact: Contact, name: str) -> None:
    contact.weight -= size(name) + size(contact.traits.pop(name)) + ENTRY


def admit_key(contact: Contact, keyed: Mapping[str, Any], key: str) -> str:
    """Room for a key that a score does not have yet, and that the caller puts there; answers the reason."""
    length = size(key)
    if length > limits.NAME_BYTES:
        return "key.too_long"
    return FULL if len(keyed) >= limits.SCORE_KEYS else _grow(contact, length + ENTRY)


def keep_ids(contact: Contact, kind: str, value: Any) -> Sequence[str]:
    """Add identifiers of one kind: one user_id, any number of the others (external: one per system).

    Answers those without room. They lead to the contact all the same: it only does not list them.
    """
    ids = contact.ids
    if kind == "user_id":
        ids.setdefault(kind, value)
        return ()
    refused: list[str] = []
    if kind == "external":
        systems: dict[str, str] = ids.get(kind, {})
        for system, name in value.items():
            if system in systems:
                continue
            if len(systems) >= limits.IDENTIFIERS or _grow(contact, size(system) + size(name) + ENTRY):
                refused.append(name)
            else:
                systems = ids[kind] = {**systems, system: name}
        return refused
    known: list[str] = ids.get(kind, [])
    presented: Sequence[str] = value if value.__class__ is list else (value,)
    for name in presented:
        if name in known:
            continue
        if len(known) >= limits.IDENTIFIERS or _grow(contact, size(name) + ENTRY):
            refused.append(name)
        else:
            known = ids[kind] = [*known, name]
    return refused


def keep_consent(contact: Contact, channel: str, purpose: str, state: str) -> str:
    """What was said about one purpose; answers the reason. What is not kept counts as never asked."""
    purposes = contact.consent.get(channel, {})
    if purpose not in purposes and sum(map(len, contact.consent.values())) >= limits.PURPOSES:
        return FULL
    contact.consent.setdefault(channel, purposes)[purpose] = state
    return ""


def suppress(contact: Contact, address: str, reason: str) -> None:
    """Remember an address (``channel:address``) that is not to be written to; forgets the oldest."""
    suppressed = contact.suppressed
    suppressed[address] = reason
    if len(suppressed) > limits.ADDRESSES:
        del suppressed[next(iter(suppressed))]


def keep_code(contact: Contact, code: Issued) -> Issued:
    """Add a code and forget the oldest of its kind; answers it as kept: without its properties, if they do not fit."""
    same = [issued for issued in contact.issued if issued.kind == code.kind]
    if len(same) >= limits.CODES:
        contact.issued.remove(same[0])
        contact.weight -= _of_code(same[0])
    if _grow(contact, _of_code(code)):
        code = msgspec.structs.replace(code, properties={})
        contact.weight += _of_code(code)
    contact.issued.append(code)
    return code


def remember(contact: Contact, rule: str, keys: Mapping[str, int]) -> None:
    """Add to the values that a rule has fired for (`once_per`); forgets the oldest."""
    seen = contact.fired.get(rule)
    if type(seen) is not dict:
        if type(seen) is list:  # the rule went by a span before a deploy
            contact.weight -= len(seen) * INSTANT
        seen = contact.fired[rule] = {}
    _remember(contact, seen, keys)


def firings(contact: Contact, rule: str) -> list[int]:
    """When a rule fired that may do so once, or once in a span, oldest first: by occurred_at, the newest `FIRINGS`."""
    memory = contact.fired.get(rule)
    return [memory] if type(memory) is int else memory if type(memory) is list else []


def remember_firings(contact: Contact, rule: str, instants: Sequence[int]) -> None:
    """Add to when a rule fired; forgets the oldest."""
    before = contact.fired.get(rule)
    contact.fired[rule] = after = sorted({*firings(contact, rule), *instants})[-limits.FIRINGS :]
    if type(before) is dict:  # the rule went by a value before a deploy
        contact.weight = weigh(contact)
    else:
        contact.weight += (len(after) - (len(before) if type(before) is list else 0)) * INSTANT


def remember_end(contact: Contact, journey: str, keys: Mapping[str, int]) -> None:
    """Add to the keys of positions in a journey that have ended; forgets the oldest."""
    _remember(contact, contact.ended.setdefault(journey, {}), keys)


def _remember(contact: Contact, seen: dict[str, int], keys: Mapping[str, int]) -> None:
    contact.weight += sum(size(key) + ENTRY for key in keys if key not in seen)
    seen.update(keys)
    while len(seen) > limits.KEYS_REMEMBERED or (contact.weight > STATE_BYTES and len(seen) > 1):
        oldest = next(iter(seen))
        del seen[oldest]
        contact.weight -= size(oldest) + ENTRY


def keep_message(contact: Contact, waiting: Waiting) -> str:
    """Add a message that waits; answers the reason. How many wait is the gate's to bound."""
    if reason := _grow(contact, _of_message(waiting)):
        return reason
    contact.waiting.append(waiting)
    return ""


def drop_message(contact: Contact, waiting: Waiting) -> None:
    """Give back the room of a message that waits no longer."""
    contact.weight -= _of_message(waiting)


def keep_habit(contact: Contact, channel: str, n: int) -> str:
    """Count messages opened or clicked on a channel; answers the reason."""
    habits = contact.habits
    if channel not in habits and (len(habits) >= limits.CHANNELS or size(channel) > limits.NAME_BYTES):
        return FULL
    habits[channel] = habits.get(channel, 0) + n
    return ""


def _of_message(waiting: Waiting) -> int:
    message = waiting.message
    return 16 * ENTRY + size(message.to) + size(message.fact) + size(message.context)


def keep_position(contact: Contact, position: Position) -> str:
    """Room for a position that the caller adds; answers the reason."""
    if size(position.key) > limits.NAME_BYTES:
        return "key.too_long"
    return _grow(contact, _of_position(position))


def change_position(contact: Contact, position: Position, fact: dict[str, Any]) -> str:
    """Another fact has begun it anew; answers the reason."""
    if reason := _grow(contact, size(fact) - size(position.fact)):
        return reason
    position.fact = fact
    return ""


def drop_position(contact: Contact, position: Position) -> None:
    contact.weight -= _of_position(position)


def _of_position(position: Position) -> int:
    return 8 * ENTRY + size(position.key) + size(position.fact)


def _of_code(code: Issued) -> int:
    return 4 * ENTRY + size(code.kind) + size(code.code) + size(code.fact) + size(code.properties)


def _grow(contact: Contact, growth: int) -> str:
    weight = contact.weight + growth
    if growth > 0 and weight > STATE_BYTES:
        return FULL
    contact.weight = weight
    return ""
