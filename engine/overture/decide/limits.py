"""How much one contact and one step may hold, so that nobody who can post facts makes deciding slow for others.

What would grow beyond a limit stays as it is, and an effect says why; the fact is decided all the same. What is only a
memory (of `once_per`, codes, failed addresses) forgets the oldest instead. What rulesets name (plain scores, segments,
lists, rules) they bound themselves.
"""

from __future__ import annotations

from typing import Any

import msgspec

STATE_BYTES = 256 * 1024  # of one contact: identifiers, traits, keys of scores, codes, values remembered by `once_per`
VALUE_BYTES = 64 * 1024  # of one trait or property
VALUE_DEPTH = 32  # levels of one trait or property; a list of numbers has one
NAME_BYTES = 200  # of a trait's name, of a score's key
TRAITS = 1_000
SCORE_KEYS = 1_000  # of one score
IDENTIFIERS = 1_000  # of one kind
PURPOSES = 100  # of consent, on all channels together
CODES = 100  # of one kind; the oldest goes first
ADDRESSES = 100  # suppressed ones; the oldest goes first
FIRINGS = 50  # of a rule with `once_per` and a span, for each rule; the newest
KEYS_REMEMBERED = 1024  # values of a `once_per` key, for each rule; the oldest goes first

KEPT_MESSAGES = 20  # messages that the send gate keeps; the one with the lowest priority goes
SENT = 1_000  # messages remembered for caps; the newest
CHANNELS = 50  # on which messages were opened or clicked

POSITIONS = 50  # journeys under way
EXPOSED = 50  # splits with a winner that a contact is counted by; the newest
SHOWN_VARIANTS = 50  # impressions of choices remembered; the newest
EXAMPLES = 64  # for models to learn from, of which it is not known yet what came
CARRIED = 8  # messages remembered that carried the same variant; the newest
JOURNEY_STEPS = 100  # of one journey at one fact

LATE = 7 * 86_400_000  # ms: how late a fact may come and still find the others of its join, or its visit
CANDIDATES = 20  # facts remembered of one part of a join; the newest
PART_BYTES = 512  # of the properties of such a fact together; the largest are missing there
SESSIONS = 8  # visits remembered; the newest
EVENTS = 32  # facts remembered of one visit; of the earlier ones, the time on each page
PATHS = 50  # pages of one visit of which that is remembered

TICKS = 1_000  # instants at which something was due, in one step
TICK_WORK = 20_000  # conditions looked at and effects told at these instants
MESSAGES = 100  # of one step
EFFECTS = 10_000  # of rules in one step
SCRIPT_CALLS = 16  # of scripts, in one step
SCRIPT_CHANGES = 200  # that one answer of a script says are to be made
LINKS = 5_000  # pairs of facts looked at for joins, in one step
DEPTH_LIMIT = 16  # derived facts of derived facts of …
DERIVED_LIMIT = 256  # derived facts in one step
DERIVED_BYTES = 256 * 1024  # of their properties together
SHOWN_BYTES = 1024  # of one value in a timeline
MESSAGE_BYTES = 32 * 1024  # of a contact that a message carries whole

_NESTED = frozenset({list, dict})
_SCALAR = 9  # bytes of the largest number
_SHORT = 200  # characters
_pack = msgspec.msgpack.Encoder().encode


def size(value: Any) -> int:
    """About how many bytes a value takes where it is stored."""
    if value.__class__ is str:
        return len(value) if value.isascii() else len(value.encode("utf-8", "surrogatepass"))
    return len(_pack(value)) if value.__class__ in _NESTED else _SCALAR


def too_much(value: Any, length: int) -> str:
    """Why a value of this `size` must not be kept; empty if it may be."""
    if length <= VALUE_DEPTH:  # each level takes a byte
        return ""
    if length > VALUE_BYTES:
        return "value.too_large"
    # A list in a list in a list … could get one level deeper at every fact.
    return "value.too_deep" if value.__class__ in _NESTED and _deeper(value, VALUE_DEPTH) else ""


def shown(value: Any) -> Any:
    """A value as the timeline has it: a large one is told by its beginning, or by its size."""
    if value.__class__ is str:
        if len(value) <= _SHORT or (length := size(value)) <= SHOWN_BYTES:
            return value
        return f"{value[:_SHORT]}… ({length} bytes)"
    if value.__class__ not in _NESTED or (length := size(value)) <= SHOWN_BYTES:
        return value
    return f"({'a list' if value.__class__ is list else 'an object'} of {length} bytes)"


def _deeper(value: Any, levels: int) -> bool:
    """Whether a list or object has more levels than that; looks no deeper."""
    if not levels:
        return True
    for inner in value.values() if value.__class__ is dict else value:
        if inner.__class__ in _NESTED and _deeper(inner, levels - 1):
            return True
    return False
