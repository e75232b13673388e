"""Identifiers: contacts, partitions, facts, and codes that follow from them."""

from __future__ import annotations

import base64
import os
from binascii import crc_hqx
from hashlib import blake2b

IDENTIFIERS = ("user_id", "external", "email", "anonymous_id")  # strongest first
RESERVED = ("external:", "email:", "anonymous_id:")  # how the id of a contact without user_id begins


def partition_of(contact: str, partitions: int) -> int:
    """The partition of a contact: CRC-16/XMODEM (what Redis Cluster uses) modulo their number."""
    return crc_hqx(contact.encode(), 0) % partitions


def new_fact_id(now: int) -> str:
    """An id for a fact that came without one: time-ordered, 80 random bits."""
    return f"f{now:011x}{os.urandom(10).hex()}"


def digest(*parts: str) -> bytes:
    """20 bytes that depend on every part and on where one ends and the next begins."""
    h = blake2b(digest_size=20)
    for part in parts:
        raw = part.encode("utf-8", "surrogatepass")
        h.update(len(raw).to_bytes(8, "big"))
        h.update(raw)
    return h.digest()


def message_id(contact: str, fact: str, rule: str, n: int) -> str:
    """``fact:rule:n:check``; the check keeps messages apart whose contacts have facts of the same id."""
    return f"{fact}:{rule}:{n}:{digest('message', contact, fact)[:4].hex()}"


def issued_code(contact: str, fact: str, rule: str, n: int) -> str:
    """A code of 16 characters in 4 groups, the same for the same fact, rule and position: a retry makes no other."""
    text = base64.b32encode(digest("issue", contact, fact, rule, str(n))[:10]).decode()
    return "-".join(text[i : i + 4] for i in range(0, 16, 4))
