"""What generated rules and facts are made of: small pools, so that they meet, of what an engine gets wrong."""

from __future__ import annotations

import math

TYPES = ("t", "u")
TEXTS = [
    "", "a", "b", "ab", "ab ", "a b", "ab!", "A", "5", "5.0", "1", "-1", "true", "false", "null", "é", "e\u0301", "ß",
    "\U0001f600", "\uffff", "\ud800", "a\x00b", "a\x00", "\x00", '"', "'", '\\"', "\\", "a\\nb", "a\nb", "{}", "$or",
    '"}', "x" * 65_536, "x" * 65_536 + "y", "x" * 3, "t", "u",
]  # fmt: skip
INTEGERS = [0, 1, -1, 2, 5, 10, 2**31, 2**53 - 1, 2**53, 2**53 + 1, -(2**53), 2**63, 2**64 + 1, 10**30, -(10**400)]
FLOATS = [0.0, -0.0, 0.5, 1.0, 5.0, 5.000000000000001, 1e-7, 1e16, 1e22, 1e300, -1e300, 5e-324, float(2**53), 0.1, 0.3]
NOT_FINITE = [math.nan, math.inf, -math.inf]
FACT_FIELDS = [
    ("type",),
    ("id",),
    ("occurred_at",),
    ("a",),
    ("a",),
    ("b",),
    ("b",),
    ("c",),
    ("n", "a"),
    ("n", "a", "b"),
]
CONTACT_FIELDS = [
    ("id",), ("a",), ("b",), ("n", "a"), ("scores", "s"), ("scores", "k"), ("scores", "k", "x"),
    ("segments",), ("lists",),
]  # fmt: skip
