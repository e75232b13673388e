"""What a backtest answers: exact sums over all contacts, and the contacts that differ most in detail.

Everything in it follows from the recorded facts, the two programs and the period: the same question has the same
answer, byte for byte.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

import msgspec

from overture.backtest.tally import BASELINE, CANDIDATE, SIDES, Counts, Difference, Tally
from overture.model import Contact
from overture.model.clock import to_text

DETAILED = 5_000  # contacts shown in detail
SHOWN = 50  # differences of one kind shown of one contact
TEXT = 200  # characters shown of a long value
MILLIONTHS = 1_000_000  # scores are kept to a millionth, so their sums are whole numbers of these

encode = msgspec.json.Encoder(order="deterministic").encode
Scores = Callable[[Contact], Mapping[str, float]]
"""The scores of a contact at the end of the period, as one side reads them: ``lead``, ``interest:seo`` where kept per
key."""


class Members(msgspec.Struct):
    """How many are in a segment or a list at the end, by side; ``joined`` only by the candidate, ``left`` only by the
    baseline."""

    count: list[int]
    joined: int = 0
    left: int = 0


class ScoreSum(msgspec.Struct):
    """One score over all contacts (and keys): how much by side, and how many have any; where the candidate is
    higher or lower."""

    contacts: list[int]
    sum: list[int]  # in millionths
    higher: int = 0
    lower: int = 0


class GivenSum(msgspec.Struct):
    """One message or code over all contacts, by side; ``only``: where the other side gave nothing of the kind."""

    given: list[int]
    only: list[int]
    contacts: list[int]
    only_contacts: list[int]


class Report:
    """Takes one contact after the other, as each side leaves it."""

    def __init__(self, baseline: Scores, candidate: Scores) -> None:
        self.firings: Counts = {}  # rule → how often it fired, by side
        self.contacts = self.changed = 0
        self._scores = (baseline, candidate)
        self._score_sums: dict[str, ScoreSum] = {}
        self._segments: dict[str, Members] = {}
        self._lists: dict[str, Members] = {}
        self._traits: Counts = {}
        self._given: dict[tuple[str, str, str, str], GivenSum] = {}
        self._detail: list[tuple[int, str, bytes]] = []  # minus the number of differences, contact, as JSON

    def same(self, contact: Contact) -> None:
        """A contact that is one on both sides: nothing happened to it in the period."""
        scores = self._scores[BASELINE](contact)
        if scores != self._scores[CANDIDATE](contact):  # they may decay otherwise
            self.add(contact, contact, Tally())
            return
        self.contacts += 1
        self._score_totals(scores, scores)
        for rows, there in ((self._segments, contact.segments), (self._lists, contact.lists)):
            for name in there:
                row = _row_of(rows, name)
                row.count = [n + 1 for n in row.count]

    def add(self, baseline: Contact, candidate: Contact, tally: Tally) -> None:
        """A contact as the two sides leave it, and what they gave to it."""
        self.contacts += 1
        scores = self._compare_scores(baseline, candidate)
        segments = _moves(self._segments, baseline.segments, candidate.segments)
        lists = _moves(self._lists, baseline.lists, candidate.lists)
        traits = self._compare_traits(baseline.traits, candidate.traits)
        self._sum(tally)
        messages = [d for d in tally.differences if d.given.what == "message"]
        codes = [d for d in tally.differences if d.given.what == "code"]
        kinds = (scores, segments, lists, traits, messages, codes)
        if not any(kinds):
            return
        self.changed += 1
        differences = sum(map(len, kinds)) + tally.more
        detail: dict[str, Any] = {
            "contact": baseline.id,
            "differences": differences,
            "messages": [_shown(d, "template") for d in messages],
            "codes": [_shown(d, "kind") for d in codes],
            "scores": _first(scores),
            "segments": _first(segments),
            "lists": _first(lists),
            "traits": _first({name: [_short(v) for v in pair] for name, pair in traits.items()}),
        }
        detail["omitted"] = differences - sum(len(detail[kind]) for kind in list(detail)[2:])
        self._detail.append((-differences, baseline.id, encode(detail)))
        if len(self._detail) >= 2 * DETAILED:
            self._keep()

    def summary(self) -> dict[str, Any]:
        """The sums, as JSON values."""
        return {
            "contacts": {
                "recorded": self.contacts,
                "changed": self.changed,
                "detailed": min(self.changed, DETAILED),
            },
            "messages": [*self._given_rows("message")],
            "codes": [*self._given_rows("code")],
            "scores": {name: _score_row(row) for name, row in sorted(self._score_sums.items())},
            "segments": {name: _members_row(row) for name, row in sorted(self._segments.items())},
            "lists": {name: _members_row(row) for name, row in sorted(self._lists.items())},
            "traits": {name: {"changed": changed} for name, (changed,) in sorted(self._traits.items())},
            "rules": {rule: _by_side(counts) for rule, counts in sorted(self.firings.items())},
        }

    def details(self) -> Iterator[bytes]:
        """One line of JSON a contact, those with the most differences first."""
        self._keep()
        for _, _, line in self._detail:
            yield line

    def _keep(self) -> None:
        self._detail.sort()
        del self._detail[DETAILED:]

    def _compare_scores(self, baseline: Contact, candidate: Contact) -> dict[str, list[float]]:
        before, after = self._scores[BASELINE](baseline), self._scores[CANDIDATE](candidate)
        self._score_totals(before, after)
        return {
            name: [before.get(name, 0), after.get(name, 0)]
            for name in {**before, **after}
            if before.get(name, 0) != after.get(name, 0)
        }

    def _score_totals(self, *sides: Mapping[str, float]) -> None:
        """Add one contact to the sums; of a score that is kept per key, all its keys together."""
        totals: dict[str, list[int]] = {}
        for side, scores in enumerate(sides):
            for name, value in scores.items():
                plain = name.partition(":")[0]
                totals.setdefault(plain, [0, 0])[side] += _millionths(value)
        for name, (before, after) in totals.items():
            row = self._score_sums.setdefault(name, ScoreSum([0, 0], [0, 0]))
            for side, total in ((BASELINE, before), (CANDIDATE, after)):
                row.sum[side] += total
                row.contacts[side] += total != 0
            row.higher += after > before
            row.lower += after < before

    def _compare_traits(self, baseline: dict[str, Any], candidate: dict[str, Any]) -> dict[str, list[Any]]:
        if baseline == candidate:
            return {}
        found: dict[str, list[Any]] = {}
        for name in {**baseline, **candidate}:
            pair = [baseline.get(name), candidate.get(name)]
            if pair[0] != pair[1]:
                found[name] = pair
                self._traits.setdefault(name, [0])[0] += 1
        return found

    def _sum(self, tally: Tally) -> None:
        for line in tally.lines:
            key = (line.what, line.name, line.channel, line.reason)
            row = self._given.setdefault(key, GivenSum([0, 0], [0, 0], [0, 0], [0, 0]))
            for side in (BASELINE, CANDIDATE):
                row.given[side] += line.given[side]
                row.only[side] += line.only[side]
                row.contacts[side] += line.given[side] > 0
                row.only_contacts[side] += line.given[side] > 0 and not line.given[1 - side]

    def _given_rows(self, what: str) -> Iterator[dict[str, Any]]:
        for (kind, name, channel, reason), row in sorted(self._given.items()):
            if kind != what:
                continue
            told = {"template": name, "channel": channel, "reason": reason} if what == "message" else {"kind": name}
            yield told | {
                **_by_side(row.given),
                "only": _by_side(row.only),
                "contacts": _by_side(row.contacts),
                "only_contacts": _by_side(row.only_contacts),
            }


def _by_side(counts: list[Any]) -> dict[str, Any]:
    return dict(zip(SIDES, counts, strict=True))


def _row_of(rows: dict[str, Members], name: str) -> Members:
    found = rows.get(name)
    if found is None:
        found = rows[name] = Members([0, 0])
    return found


def _moves(rows: dict[str, Members], baseline: dict[str, int], candidate: dict[str, int]) -> dict[str, list[bool]]:
    found: dict[str, list[bool]] = {}
    for name in {**baseline, **candidate}:
        row, pair = _row_of(rows, name), [name in baseline, name in candidate]
        for side in (BASELINE, CANDIDATE):
            row.count[side] += pair[side]
        if pair[0] != pair[1]:
            found[name] = pair
            row.joined += pair[CANDIDATE]
            row.left += pair[BASELINE]
    return found


def _first(pairs: Mapping[str, list[Any]]) -> dict[str, Any]:
    return {name: _by_side(pairs[name]) for name in sorted(pairs)[:SHOWN]}


def _shown(difference: Difference, name: str) -> dict[str, Any]:
    g = difference.given
    side = SIDES[difference.side]
    shown: dict[str, Any] = {"side": side, "at": to_text(g.at), "fact": g.fact, "rule": g.rule, name: g.name}
    return shown if name == "kind" else shown | {"channel": g.channel, "reason": g.reason}


def _score_row(row: ScoreSum) -> dict[str, Any]:
    sums = [_number(n) for n in row.sum]
    contacts = _by_side(row.contacts)
    return {**_by_side(sums), "contacts": contacts, "higher": row.higher, "lower": row.lower}


def _members_row(row: Members) -> dict[str, Any]:
    return {**_by_side(row.count), "joined": row.joined, "left": row.left}


def _millionths(value: float) -> int:
    return value * MILLIONTHS if type(value) is int else round(value * MILLIONTHS)


def _number(millionths: int) -> float:
    return millionths / MILLIONTHS if millionths % MILLIONTHS else millionths // MILLIONTHS


def _short(value: Any) -> Any:
    """A value, or the beginning of it as text where it is long."""
    if isinstance(value, str):
        return value if len(value) <= TEXT else value[:TEXT] + "…"
    if isinstance(value, list | dict):
        text = encode(cast(Any, value)).decode()
        return cast(Any, value) if len(text) <= TEXT else text[:TEXT] + "…"
    return value
