"""Scripts as people look at them, and as the routes have requests transformed by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec


class ScriptView(msgspec.Struct, frozen=True):
    """A script of an active ruleset. ``state``: ``active``, or ``quarantined``, by this process, for ``seconds`` more;
    ``last`` says how it was cut off last.
    """

    ruleset: str
    revision: str
    name: str
    takes: list[str]
    state: str
    seconds: float = 0.0
    last: str = ""


class Scripts(Protocol):
    async def states(self) -> list[ScriptView]:
        """Those of the active rulesets, by name."""
        ...

    async def transform(
        self, path: str, request: Mapping[str, Any], seed: str, now: int
    ) -> Sequence[Mapping[str, Any]]:
        """The facts that a script (``ruleset/script``) makes of a request. Raises Refused: 422 with the script's own
        code where it makes none, 503 ``transform.unknown`` where there is no such script now.
        """
        ...
