"""What others send, cut to what a fact may hold: what stands near the top is kept, what lies deep goes first."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

VALUES, DEPTH, TEXT = 150, 8, 4_000
SPENT = 30_000  # bytes of all texts together
LARGEST = 2**53


def fitted(value: Mapping[str, Any], *, values: int = VALUES, spent: int = SPENT) -> dict[str, Any]:
    """A copy with at most so many values, levels and bytes; numbers too large for a fact become text."""
    kept: dict[str, Any] = {}
    left = values
    waiting = deque[tuple[Iterable[tuple[Any, Any]], Any, int]]([(value.items(), kept, 1)])
    while waiting:
        pairs, into, depth = waiting.popleft()
        for name, each in pairs:
            left -= 1
            if left < 0 or spent <= 0:
                return kept
            one: Any
            if isinstance(each, Mapping | list | tuple):
                if depth == DEPTH:
                    continue
                one = {} if isinstance(each, Mapping) else []
                inner: Any = each.items() if isinstance(each, Mapping) else ((None, item) for item in each)
                waiting.append((inner, one, depth + 1))
            else:
                one = plain(each)
                spent -= len(one.encode()) if isinstance(one, str) else 0
            if name is None:
                into.append(one)
            else:
                key = clean(str(name))[:200]
                spent -= len(key.encode())
                into[key] = one
    return kept


def plain(value: object) -> Any:
    """One value that is no object or list, as a fact may hold it."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return value if abs(value) < LARGEST else str(value)[:TEXT]  # NaN too: it is not less than anything
    return clean(str(value))[:TEXT]


def clean(text: str) -> str:
    """Without NUL and lone surrogates, which no fact may hold."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()
