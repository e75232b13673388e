"""How far a partition's log has been decided."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where a partition stands: the last log entry wholly decided, how many facts of the next one are decided too, and
    the version of the active set there."""

    entry: str = "0-0"
    facts: int = 0
    version: int = 0

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        if not text:
            return cls()
        entry, facts, version = text.split("/")
        return cls(entry, int(facts), int(version))

    def __str__(self) -> str:
        return f"{self.entry}/{self.facts}/{self.version}"
