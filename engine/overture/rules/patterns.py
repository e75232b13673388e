"""Patterns of ``matches``: RE2's, and bounded in what they cost."""

from __future__ import annotations

from typing import Any

import re2 as _untyped  # pyright: ignore[reportMissingTypeStubs]

re2: Any = _untyped  # the library has no types
_PROGRAM = 5_000  # instructions; an address or a path takes some dozens, all letters of Unicode 3,000
_OPTIONS = re2.Options()
_OPTIONS.log_errors = False
_OPTIONS.max_mem = 1 << 20  # what one pattern may take; RE2's own default is 8 MiB


def pattern_problem(source: str) -> tuple[str, str] | None:
    """Message and hint about a pattern that cannot be used; None for a good one."""
    try:
        if re2.compile(source, _OPTIONS).programsize > _PROGRAM:
            return "The pattern is too costly", "Use smaller repetitions."
    except re2.error as error:
        detail = error.args[0] if error.args else ""
        text = detail.decode(errors="replace") if isinstance(detail, bytes) else str(detail)
        return f"The pattern does not compile: {text[:200]}", "The syntax is RE2's."
    return None
