"""One durable-rules network, driven in the only way that is safe with this engine.

Facts only, never events; one session id, used again for every evaluation; an action that was run once before anything
else; every fact retracted again; nothing of a session is used after an error. For one thread only.
"""

from __future__ import annotations

import json
import weakref
from collections.abc import Sequence
from typing import Any

import durable_rules_engine  # pyright: ignore[reportMissingTypeStubs]

from overture.match.lowering import Conjunction
from overture.match.projection import Projection
from overture.model import Contact, Fact

MAX_CONJUNCTIONS = 50
"""The engine's search has 64 places; with more than 64 matches at once it gives up (error 303)."""

_engine: Any = durable_rules_engine  # the binding has no types
_assert_fact: Any = _engine.assert_fact
_start_action: Any = _engine.start_action_for_state
_next_action: Any = _engine.complete_and_start_action
_retract_fact: Any = _engine.retract_fact

_SESSION = "w"
_FACT = '{"sid":"w","id":"f"'
_RETRACT = _FACT + "}"
_WARM_UP = '{"sid":"w","id":"w","warm":1}'
_STORED, _NOTHING_MATCHED = 0, 1


class EngineFailed(Exception):
    """The engine refused, or ran out of memory. The network starts afresh with its next evaluation."""


class Network:
    """At most `MAX_CONJUNCTIONS` conjunctions, each with the position of the rule that it is an alternative of."""

    def __init__(self, members: Sequence[tuple[int, Conjunction]]) -> None:
        projection = Projection(test for _, conjunction in members for test in conjunction)
        self._writers = projection.writers
        self._conditional = all(conjunction for _, conjunction in members)
        self._head = _FACT if self._conditional else _FACT + ',"any":1'
        self._positions = {f"{n:02}": position for n, (position, _) in enumerate(members)}
        rules = {name: members[n][1] for n, name in enumerate(self._positions)}
        tests = {name: [projection.condition(t) for t in c] or [{"$ex": {"any": 1}}] for name, c in rules.items()}
        tests["warm"] = [{"$ex": {"warm": 1}}]
        self._definition = json.dumps({name: {"all": [{"f": {"$and": ts}}]} for name, ts in tests.items()})
        self.handle: int | None = None
        self._discard: weakref.finalize[..., Network] | None = None
        self._open()

    def evaluate(self, fact: Fact, contact: Contact, hits: list[int]) -> None:
        """Append to ``hits`` the position of every rule that fires; one with several alternatives may come twice.

        Raises:
            EngineFailed: nothing is known about the rules of this network.
        """
        seen = "".join([write(fact, contact) for write in self._writers])
        if not seen and self._conditional:
            return  # every conjunction has a test, and no test can be true
        try:
            handle = self.handle or self._open()
            status, session = _assert_fact(handle, f"{self._head}{seen}}}")
            if status == _NOTHING_MATCHED:
                return  # and nothing was kept that must be retracted
            if status != _STORED:
                raise _engine.error(f"A fact was answered with {status}.")
            activation: str | None = _start_action(handle, session)[1]
            while activation:
                hits.append(self._positions[activation[2:4]])  # {"07":{"f":{…}}}
                activation = _next_action(handle, session)
            _retract_fact(handle, _RETRACT)
        except (_engine.error, MemoryError) as error:
            self.close()
            raise EngineFailed(str(error)) from error

    def close(self) -> None:
        """Give the engine's memory back; it is also given back when nothing refers to this network any more."""
        self.handle = None
        if self._discard is not None:
            self._discard()

    def _open(self) -> int:
        handle: int = _engine.create_ruleset("network", self._definition)
        # Deleting a session that never ran an action is a segmentation fault.
        _, session = _engine.assert_event(handle, _WARM_UP)
        _start_action(handle, session)
        _next_action(handle, session)
        self.handle = handle
        self._discard = weakref.finalize(self, _discard, handle)
        self._discard.atexit = False
        return handle


def _discard(handle: int) -> None:
    """Deleting only the ruleset would leak its session, 150 kB to 1 MB."""
    try:
        _engine.delete_state(handle, _SESSION)
        _engine.delete_ruleset(handle)
    except _engine.error:
        pass  # an engine that failed may not know its session any more
