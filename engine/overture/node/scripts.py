"""Scripts of this process: the lanes in which they run, and what is told of them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, cast

import msgspec

from overture.model import Refused
from overture.model.clock import to_text
from overture.model.ids import digest
from overture.model.script import Ask, Call, Check, Said
from overture.rules.script import ScriptDecl
from overture.sandbox.check import Checker
from overture.sandbox.lanes import Lanes
from overture.web.metrics import SCRIPTS
from overture.web.scripted import ScriptView
from overture.worker.plans import Plans

FACTS = 100  # that one request is transformed into
_encode = msgspec.json.Encoder().encode


class ScriptService:
    """Implements `overture.web.scripted.Scripts`. Processes begin with the first call of a script.

    What is only looked at has lanes of its own: nothing that is asked about the past keeps a script from deciding.
    """

    def __init__(self, workers: int, timeout_ms: int, plans: Plans) -> None:
        self._live = Lanes(workers, timeout_ms)
        self._apart = Lanes(1, timeout_ms)
        self._checker = Checker()
        self._plans = plans

    async def run(self, calls: Sequence[Call]) -> Sequence[Said]:
        """Raises Overloaded where no process can be had."""
        found = await self._live.run(calls)
        for (path, outcome), n in Counter((c.script.path, s.code) for c, s in zip(calls, found, strict=True)).items():
            SCRIPTS.labels(path, outcome or "answered").inc(n)
        return found

    @property
    def ask(self) -> Ask:
        """For what is only looked at."""
        return self._apart.run_now

    @property
    def check(self) -> Check:
        return self._checker

    async def states(self) -> list[ScriptView]:
        """By name, those of the active rulesets."""
        left = {each.script.id: each for each in self._live.quarantined()}
        found: list[ScriptView] = []
        for ruleset in (await self._plans.active()).rulesets.values():
            for name, decl in sorted(ruleset.scripts.items()):
                view = ScriptView(ruleset.name, ruleset.revision, name, list(decl.takes), "active")
                if (alone := left.get(decl.script.id)) is not None:
                    state, last = "quarantined", f"{alone.message} [{alone.code}]"
                    view = msgspec.structs.replace(view, state=state, seconds=round(alone.seconds, 1), last=last)
                found.append(view)
        return found

    def quarantined(self) -> dict[str, str]:
        """By path, how each was cut off last."""
        return {each.script.path: each.message for each in self._live.quarantined()}

    async def transform(
        self, path: str, request: Mapping[str, Any], seed: str, now: int
    ) -> Sequence[Mapping[str, Any]]:
        """The facts that a script makes of a request; one without an id has one that follows from the request."""
        decl = await self._transform(path)
        given = _encode({"request": {**request, "at": to_text(now)}}).decode()
        (said,) = await self.run([Call(decl.script, given, now, seed)])
        if said.code:
            raise Refused(said.code, said.message, status=503 if said.code == "script.quarantined" else 422)
        value: Any = said.value
        facts = cast("list[Any]", value) if isinstance(value, list) else [None]
        if len(facts) > FACTS or not all(isinstance(each, dict) for each in facts):
            what = f"A script that transforms requests answers a list of at most {FACTS} facts."
            raise Refused("script.no_facts", what, status=422)
        made = cast("list[dict[str, Any]]", facts)
        return [{"id": f"{digest('transform', path, seed, str(n))[:12].hex()}", **fact} for n, fact in enumerate(made)]

    async def _transform(self, path: str) -> ScriptDecl:
        ruleset, _, name = path.partition("/")
        found = (await self._plans.active()).rulesets.get(ruleset)
        decl = None if found is None else found.scripts.get(name)
        if decl is None or not decl.transforms:
            message = f"No active ruleset has a script {path} that transforms requests."
            raise Refused("transform.unknown", message, "Activate the ruleset; then send it again.", status=503)
        return decl

    async def close(self) -> None:
        each = (self._live, self._apart, self._checker)
        await asyncio.gather(*(asyncio.to_thread(one.close) for one in each))
