"""Patterns of ``matches``: RE2's, and bounded in what they cost."""

from __future__ import annotations

from typing import Any

import re2 as _untyped  # pyright: ignore[reportMissingTypeStubs]

re2: Any = _untyped  # the library has no types
_PROGRAM = 5_000  # instructions; an address or a path takes some dozens, all letters of Unicode 3,000
OPTIONS = re2.Options()
OPTIONS.log_errors = False
OPTIONS.max_mem = 1 << 20  # one pattern's automaton; RE2's own default is 8 MiB, beyond it RE2 goes on, slower


def pattern_problem(source: str) -> tuple[str, str] | None:
    """Message and hint about a pattern that cannot be used; None for a good one."""
    try:
        if re2.compile(source, OPTIONS).programsize > _PROGRAM:
            return "The pattern is too costly", "Use smaller repetitions."
    except re2.error as error:
        detail = error.args[0] if error.args else ""
        text = detail.decode(errors="replace") if isinstance(detail, bytes) else str(detail)
        return f"The pattern does not compile: {text[:200]}", "The syntax is RE2's."
    return None
