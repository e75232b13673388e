"""The hour at which a contact is there, and messages that wait for it."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from decidekit import HEAD, encode
from hypothesis import given, settings
from hypothesis import strategies as st

from overture.decide import Plan, step
from overture.decide.presence import HALF_LIFE, best_time, seen
from overture.model import Contact, Effect, Fact, Message
from overture.model.chosen import Presence
from overture.rules import link, load
from overture.rules.sending import Quiet

HOUR, DAY = 3_600_000, 86_400_000
WEEK = 7 * DAY
BERLIN = ZoneInfo("Europe/Berlin")

DIGEST = """
requires: {channels: [email]}
facts: {due: {}, viewed: {}}
traits: {timezone: "string?"}
rules:
  digest:
    when: fact.type == "due"
    then:
      - send: {channel: email, template: digest, purpose: transactional, when: best, within: 24h, otherwise: "10:00"}
templates: {digest: {subject: Digest, text: Digest}}
"""


def ms(text: str, zone: ZoneInfo = BERLIN, fold: int = 0) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold).timestamp() * 1000)


def wall(at: int, zone: ZoneInfo = BERLIN) -> str:
    return datetime.fromtimestamp(at / 1000, zone).isoformat(timespec="minutes")


class On:
    def __init__(self, text: str = DIGEST, contact: str = "ada") -> None:
        self.plan = Plan(link([load(HEAD.format(name="o") + text)], 1), "reference")
        self.contact = Contact(contact)
        self.contact.traits["timezone"] = "Europe/Berlin"
        self.messages: list[Message] = []
        self.n = 0

    def fact(self, at: int, type: str, **more: Any) -> list[Effect]:
        """The verdicts of the gate."""
        self.n += 1
        return self.take(Fact(f"f{self.n}", type, self.contact.id, at, at, more))

    def take(self, fact: Fact) -> list[Effect]:
        before = encode(self.contact)
        outcome = step(self.contact, fact, self.plan, fact.accepted_at)
        assert encode(self.contact) == before
        self.contact = outcome.contact
        self.messages += outcome.messages
        return [e for trace in outcome.traces for e in trace.effects if e.kind == "gate"]

    def opens(self, at: int, weeks: int = 4, **more: Any) -> None:
        for week in range(weeks):
            self.fact(at + week * WEEK, "message.opened", channel="email", **more)


def test_it_waits_for_the_hour_at_which_the_contact_opens_its_mail() -> None:
    ada = On()
    ada.opens(ms("2026-02-03T19:20"))  # Tuesdays
    (held,) = ada.fact(ms("2026-03-09T22:00"), "due")
    assert (held.reason, held.after) == ("best.held", "2026-03-10T19:00:00+01:00")
    assert held.before == "most often there tue 19:00–20:00"
    assert ada.contact.due == ms("2026-03-10T19:00")
    (passed,) = ada.fact(ms("2026-03-11T09:00"), "$tick")
    assert (passed.reason, passed.after) == ("", "email")
    assert [m.template for m in ada.messages] == ["digest"]


def test_it_goes_at_once_where_that_hour_is_now_and_only_within_its_time() -> None:
    ada = On()
    ada.opens(ms("2026-02-03T19:20"))
    ada.fact(ms("2026-03-10T19:30"), "due")
    assert len(ada.messages) == 1
    # Wednesday's evening is what is left within a day; the same hour of another day speaks for it.
    (held,) = ada.fact(ms("2026-03-11T08:00"), "due")
    assert held.after == "2026-03-11T19:00:00+01:00"


def test_of_whom_nothing_is_known_gets_it_at_the_time_of_day_that_is_said_or_at_once() -> None:
    (held,) = On().fact(ms("2026-03-09T22:00"), "due")
    assert (held.after, held.before) == ("2026-03-10T10:00:00+01:00", "its hours are not known")
    at_once = On(DIGEST.replace(', otherwise: "10:00"', ""))
    at_once.fact(ms("2026-03-09T22:00"), "due")
    assert len(at_once.messages) == 1
    machines = On()
    machines.opens(ms("2026-02-03T03:20"), machine=True)
    assert machines.contact.presence == Presence()


def test_visits_tell_too_an_hour_counts_once_and_what_is_long_ago_fades() -> None:
    ada = On(f"{DIGEST}sessions: {{idle: 30m, types: [viewed]}}\n")
    at = ms("2026-03-02T08:05")
    for minute in range(0, 50, 5):
        ada.fact(at + minute * 60_000, "viewed")
    assert ada.contact.presence.weights == {"8": 1.0}
    zone = BERLIN
    faded = seen(ada.contact.presence, ada.contact.presence.at + HALF_LIFE, zone)
    assert faded.weights["8"] == 0.5 or faded.weights["9"] == 1.0
    old = Presence()
    for week in range(8):
        old = seen(old, at + week * WEEK, zone)
    for week in range(60, 66):
        old = seen(old, at + week * WEEK + 5 * HOUR, zone)
    best = best_time(old, at + 66 * WEEK - HOUR, at + 67 * WEEK, None, [], zone)
    assert wall(best.at)[11:13] == "14", "the newer habit, as the clocks of summer show it"


QUIET = 'sending: {quiet_hours: [{from: "18:30", to: "20:00"}]}\n'


def test_quiet_hours_are_passed_over_and_the_message_does_not_wait_for_another_day() -> None:
    quiet = DIGEST.replace("purpose: transactional", "purpose: news") + QUIET
    ada = On(quiet)
    ada.fact(ms("2026-02-01T10:00"), "identify", email="ada@example.com")
    ada.fact(ms("2026-02-01T10:00"), "consent", channel="email", purpose="news", state="granted")
    ada.opens(ms("2026-02-03T19:20"))
    (held,) = ada.fact(ms("2026-03-09T22:00"), "due")
    assert (held.reason, held.after) == ("best.held", "2026-03-10T18:00:00+01:00")
    quiets = [Quiet(0, 1439, frozenset())]
    best = best_time(ada.contact.presence, ms("2026-03-10T10:00"), ms("2026-03-10T19:30"), None, quiets, BERLIN)
    assert wall(best.at) == "2026-03-10T19:00+01:00", "where it is quiet all the time the gate decides"


def test_a_message_that_expires_first_goes_before_that() -> None:
    ada = On(DIGEST.replace("when: best", "late: 3h, when: best"))
    ada.opens(ms("2026-02-03T19:20"))
    (held,) = ada.fact(ms("2026-03-10T15:30"), "due")
    assert held.after == "2026-03-10T18:00:00+01:00", "the hour before the best one, and its time is up at 18:30"


def test_one_that_becomes_known_brings_its_hours() -> None:
    guest, ada = On(contact="anonymous_id:1"), On()
    guest.opens(ms("2026-02-03T19:20"))
    said = {"from": "anonymous_id:1", "state": msgspec.to_builtins(guest.contact)}
    ada.fact(ms("2026-03-01T12:00"), "viewed")
    ada.take(Fact("m", "$merge", "ada", ms("2026-03-02T12:00"), ms("2026-03-02T12:00"), said))
    (held,) = ada.fact(ms("2026-03-09T22:00"), "due")
    assert held.after == "2026-03-10T19:00:00+01:00"


@pytest.mark.parametrize(
    ("now", "hour", "expected"),
    [
        ("2026-03-28T23:30", 2, "2026-03-29T01:00+01:00"),  # clocks skip that hour: the one before it
        ("2026-10-24T23:30", 2, "2026-10-25T02:00+02:00"),  # they show it twice: the first
        ("2026-03-28T23:30", 9, "2026-03-29T09:00+02:00"),
        ("2026-10-24T23:30", 9, "2026-10-25T09:00+01:00"),
    ],
)
def test_clocks_that_are_put(now: str, hour: int, expected: str) -> None:
    presence = Presence(ms(now), 0, {str(24 * 6 + hour): 5.0})  # on Sundays
    best = best_time(presence, ms(now), ms(now) + 12 * HOUR, None, [], BERLIN)
    assert wall(best.at) == expected


ZONES = [
    ZoneInfo(name) for name in ("Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu", "America/St_Johns", "UTC")
]


@given(
    st.sampled_from(ZONES),
    st.integers(1_700_000_000_000, 1_800_000_000_000),
    st.dictionaries(st.integers(0, 167).map(str), st.floats(0.02, 9), max_size=20),
    st.integers(0, WEEK),
)
@settings(max_examples=150)
def test_the_instant_is_in_its_window_begins_an_hour_and_none_is_better(
    zone: ZoneInfo, now: int, weights: dict[str, float], within: int
) -> None:
    presence = Presence(now - DAY, 0, weights)
    best = best_time(presence, now, now + within, None, [], zone)
    assert now <= best.at <= now + within
    assert best == best_time(presence, now, now + within, None, [], zone)
    local = datetime.fromtimestamp(best.at / 1000, zone)
    assert best.at == now or (local.minute in (0, 30) and local.second == 0), wall(best.at, zone)
    if sum(weights.values()) < 2 and best.at != now:
        raise AssertionError("nothing is known")
