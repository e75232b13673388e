"""Every reason for which intake refuses a body or a fact. ``docs/fact-errors.md`` is made from this table."""

from __future__ import annotations

from typing import NamedTuple

from overture.model import Refused


class Code(NamedTuple):
    """``sentence`` says what is wrong in general, ``hint`` what to do; ``status`` answers a fact sent alone."""

    sentence: str
    hint: str
    status: int = 400


CODES: dict[str, Code] = {
    "body.empty": Code("The body is empty.", "Send one fact, a JSON array, NDJSON or msgpack."),
    "body.malformed": Code("The body is neither JSON, NDJSON nor msgpack.", "Check the body with a JSON linter."),
    "body.too_large": Code("The body is larger than 16 MiB.", "Send smaller batches.", 413),
    "body.inflated_too_large": Code(
        "The body inflates to more than 16 MiB, or than the source takes.", "Send smaller batches.", 413
    ),
    "body.too_many_facts": Code("The batch holds more than 10,000 facts.", "Send smaller batches.", 413),
    "body.too_many_values": Code(
        "The batch holds more than a million values and marks.", "Send smaller batches, or NDJSON.", 413
    ),
    "body.encoding": Code("The Content-Encoding is not known.", "Use gzip, deflate or none.", 415),
    "body.corrupt": Code("The compressed body cannot be inflated.", "Send whole gzip or deflate data."),
    "fact.malformed": Code("The fact is not well-formed JSON or msgpack.", "Check it with a JSON linter."),
    "fact.not_object": Code("The fact is not an object.", "Send an object with type and contact."),
    "fact.not_utf8": Code("The fact is not UTF-8.", "Encode text as UTF-8."),
    "fact.too_large": Code("The fact is larger than 64 KiB.", "Send a reference instead of the content.", 413),
    "fact.too_deep": Code("The fact is nested more than 32 levels deep.", "Flatten its properties."),
    "fact.too_many_keys": Code("The fact has more than 256 keys in all.", "Send only what rules use."),
    "fact.duplicate_key": Code("An object names the same key twice.", "Send each key once."),
    "fact.key_not_text": Code("An object has a key that is not text.", "Use text for keys."),
    "fact.unknown_key": Code(
        "The fact has a top-level key that means nothing here.",
        "Known keys: id, type, contact, occurred_at, properties, context. Anything else goes into properties.",
    ),
    "fact.number_range": Code("An integer lies outside ±2^53.", "Send it as text."),
    "fact.number_not_finite": Code("A number is NaN or infinite.", "Leave the key out or send null."),
    "fact.nul": Code("A text holds the character U+0000.", "Remove it before sending."),
    "fact.surrogate": Code("A text holds half of a surrogate pair.", "Send whole characters."),
    "fact.binary": Code("A value is msgpack bin.", "Send text; encode bytes as base64."),
    "fact.extension": Code("A value is a msgpack extension type.", "Send times as RFC 3339 text."),
    "fact.type_missing": Code("The fact has no type.", "Say what happened, as in page_viewed."),
    "fact.type_invalid": Code(
        "The type is not made of lower-case words joined by _ and dots, at most 128 characters.",
        "Write order_completed, not Order Completed.",
    ),
    "fact.type_reserved": Code(
        "Types that begin with $, message., score., segment. or trait., and session.ended, are Overture's own; "
        "message.opened and message.clicked may be posted.",
        "Choose another name.",
    ),
    "fact.id_invalid": Code("The id is not text of 1 to 200 printable characters.", "A UUID serves well."),
    "fact.time_invalid": Code(
        "occurred_at is not an RFC 3339 time.",
        "Write 2026-03-27T10:00:00Z. A second 60 only ends a month in UTC; it counts as the last millisecond before.",
    ),
    "fact.time_without_offset": Code("occurred_at has no offset from UTC.", "End it in Z or in +01:00."),
    "fact.future": Code("occurred_at lies more than 24 hours ahead.", "Check the sender's clock."),
    "fact.past": Code("occurred_at lies before 1970.", "Check the sender's clock."),
    "fact.properties_invalid": Code("properties is not an object.", "Send an object, or leave it out."),
    "fact.choices_invalid": Code(
        "choices is not a list of names.", "Send up to 20 names of choices, each once: hero, or shop/hero."
    ),
    "fact.context_invalid": Code("context is not an object.", "Send an object, or leave it out."),
    "fact.contact_missing": Code("The fact has no contact.", "Send contact: the user's id, or an object of ids."),
    "fact.contact_invalid": Code(
        "contact is neither text nor an object.", "Send the user's id as text, or an object of ids."
    ),
    "fact.contact_empty": Code(
        "contact holds no identifier.", "Give at least one of user_id, anonymous_id, email, external."
    ),
    "fact.contact_unknown_key": Code(
        "contact has a key that is no identifier.", "Identifiers: user_id, anonymous_id, email, external."
    ),
    "fact.message_unknown": Code(
        "It tells what became of a message that is not there, or no longer.",
        "Where its contact was erased this is as it should be; else see whose messages the service reports.",
    ),
    "fact.identifier_not_text": Code("An identifier is not text.", 'Send "42", not 42; leave out what is missing.'),
    "fact.identifier_invalid": Code(
        "An identifier is not 1 to 256 printable characters.", "Leave out what is missing."
    ),
    "fact.user_id_reserved": Code(
        "The user_id begins with $, external:, email: or anonymous_id:.", "Prefix it, or send the identifier it names."
    ),
    "fact.email_invalid": Code("The e-mail address is not one.", "Send name@example.org, at most 254 characters."),
    "fact.external_invalid": Code(
        "external is not an object of names (letters, digits, _ and -) and texts.", 'Send {"crm": "0031"}.'
    ),
    "fact.consent_invalid": Code(
        "A consent fact needs properties channel, purpose and state.",
        'Send {"channel": "email", "purpose": "news", "state": "granted"}; state is granted, pending or denied.',
    ),
    "fact.event_version": Code("The CloudEvent is of another version than 1.0.", 'Send "specversion": "1.0".'),
    "fact.event_attribute": Code("The CloudEvent lacks id, source or type.", "Each event has all three, as text."),
    "fact.event_data": Code("data_base64 is not base64.", "Send standard base64 with its padding."),
    "fact.unredacted": Code(
        "A plugin that takes out what must not be stored failed at it: it is not stored.", "Send it again.", 503
    ),
    "fact.id_conflict": Code("Another fact was accepted under this id.", "Give each fact an id of its own.", 409),
}


def refused(code: str, message: str = "", pointer: str = "") -> Refused:
    """The error for a code of the table; ``message`` replaces the general sentence by one about this case."""
    entry = CODES[code]
    return Refused(code, message or entry.sentence, entry.hint, pointer, entry.status)


def clip(value: object, limit: int = 40) -> str:
    """A value from outside, short and safe enough to stand in a message."""
    text = ascii(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def to_markdown() -> str:
    """The table as the text of ``docs/fact-errors.md``."""
    head = "# Why a body or a fact is refused\n\nMade from `overture.intake.codes`; a test holds both equal.\n\n"
    rows = [f"| `{code}` | {e.status} | {e.sentence} | {e.hint} |\n" for code, e in CODES.items()]
    return head + "| code | alone | what | what to do |\n|---|---|---|---|\n" + "".join(rows)
