"""What the writers sent and what was acknowledged: the truth that the server is held against."""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

SAYINGS = ("email", "webhook")


@dataclass
class Ledger:
    """Facts by contact and number. A contact's facts are numbered 1, 2, 3 … and sent in that order."""

    run: str
    message_share: float
    acknowledged: defaultdict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    sent: defaultdict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    messages: dict[str, str] = field(default_factory=dict)  # fact id -> channel that must carry exactly one message
    retries: int = 0
    repeats: int = 0  # deliberate duplicates
    taken_twice: int = 0  # deliberate duplicates of acknowledged facts that were accepted again
    unexpected: list[str] = field(default_factory=list)  # answers that the contract does not know
    waited: int = 0  # `wait=true` answers that carry a decision
    undecided: int = 0  # … that do not: the decision did not come in time, or the retry was a duplicate
    wrong_decisions: list[str] = field(default_factory=list)  # … that show another count than the fact must lead to

    def new_fact(self, contact: str, dice: random.Random) -> dict[str, Any]:
        """The contact's next fact; noted as sent."""
        n = len(self.sent[contact]) + 1
        self.sent[contact].add(n)
        fact_id = f"{self.run}-{contact}-{n}"
        say = dice.choice(SAYINGS) if dice.random() < self.message_share else "nothing"
        if say in SAYINGS:
            self.messages[fact_id] = say
        return {
            "id": fact_id,
            "type": "tick",
            "contact": {"user_id": contact, "email": f"{contact}@example.test"},
            "properties": {"n": n, "say": say},
        }

    def acknowledge(self, facts: list[dict[str, Any]]) -> None:
        for fact in facts:
            self.acknowledged[fact["contact"]["user_id"]].add(fact["properties"]["n"])

    def waited_for(self, fact: dict[str, Any], decision: dict[str, Any] | None) -> None:
        """Check the answer to `wait=true`: after its n-th fact a contact's count is n."""
        if decision is None:
            self.undecided += 1
            return
        self.waited += 1
        seen, n = decision["scores"].get("seen"), fact["properties"]["n"]
        if seen != n:
            self.wrong_decisions.append(f"{fact['id']}: counted {seen}")

    def total(self) -> int:
        return sum(map(len, self.acknowledged.values()))

    def is_acknowledged(self, fact_id: str) -> bool:
        contact, _, n = fact_id.removeprefix(f"{self.run}-").rpartition("-")
        return int(n) in self.acknowledged[contact]
