"""The shipped rulesets that take days: R5 to R10, live over HTTP, with real mails, the clock put ahead.

What each of them promises stands beside it under `overture test`; here the same happens to a running server.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, timezone
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import pytest
from erasekit import erased
from serverkit import SHIPPED, WRITE, Mailbox, Server, derived, effects, eventually, fact, fired, fresh, overture

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
BERLIN = ZoneInfo("Europe/Berlin")
SALES = "sales@example.com"


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory, mailbox: Mailbox) -> Iterator[Server]:
    with Server(
        tmp_path_factory.mktemp("live"), SMTP_URL=mailbox.url, MOVABLE_CLOCK="true", RULESETS=SHIPPED
    ) as running:
        yield running


@pytest.fixture
def year(tmp_path: Path, mailbox: Mailbox) -> Iterator[Server]:
    """A server whose clock has a whole year before it."""
    with Server(tmp_path / "year", SMTP_URL=mailbox.url, MOVABLE_CLOCK="true", RULESETS=SHIPPED) as running:
        yield running


def known(server: Server, *purposes: str, channels: tuple[str, ...] = ("email",), **traits: Any) -> tuple[str, str]:
    """A contact that agreed to mail: its id and its address."""
    name = fresh("ada")
    address = f"{name}@example.com"
    given = [(channel, purpose) for channel in channels for purpose in purposes]
    server.facts(
        fact("identify", name, email=address, **traits),
        *(fact("consent", name, channel=channel, purpose=purpose, state="granted") for channel, purpose in given),
    )
    return name, address


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)


def journeys(server: Server, name: str) -> dict[str, str]:
    """Where the contact stands, by journey."""
    return {each["journey"].partition("/")[2]: each["step"] for each in server.contact(name)["journeys"]}


def ticks(server: Server, name: str) -> list[datetime]:
    """The instants that came by themselves, as the contact's timeline tells them."""
    return [instant(m["fact"]["occurred_at"]) for m in server.timeline(name) if m["fact"]["type"] == "$tick"]


def happened(server: Server, name: str, type: str) -> list[datetime]:
    return [instant(m["fact"]["occurred_at"]) for m in server.timeline(name) if m["fact"]["type"] == type]


def sent(server: Server, name: str) -> list[str]:
    """The templates whose messages were reported as sent, in that order."""
    found = [m["fact"] for m in server.timeline(name) if m["fact"]["type"] == "message.sent"]
    return [each["properties"]["template"] for each in found]


def states(server: Server, name: str) -> dict[str, str]:
    return {each["template"]: each["state"] for each in server.messages(name)}


# --- R5 welcome ---------------------------------------------------------------------------------------------------


def next_change(after: datetime, *, forward: bool) -> datetime:
    """When clocks in Berlin are put forward or back next."""
    hour = after.replace(minute=0, second=0, microsecond=0).astimezone(UTC)
    while True:
        before, then = (each.astimezone(BERLIN).utcoffset() for each in (hour, hour + HOUR))
        assert before is not None
        assert then is not None
        if then != before and (then > before) == forward:
            return hour + HOUR
        hour += HOUR


@pytest.mark.parametrize("forward", [True, False], ids=["clocks go forward", "clocks go back"])
def test_r5_a_week_later_at_the_same_time_on_the_wall(year: Server, mailbox: Mailbox, forward: bool) -> None:
    put = next_change(year.now() + 5 * DAY, forward=forward).astimezone(BERLIN)
    begin = datetime.combine(put.date() - 3 * DAY, time(15), BERLIN)
    year.advance_to(begin)
    name, address = known(year, "marketing", first_name="Ada", timezone="Europe/Berlin")
    year.facts(fact("newsletter_subscribed", name))
    (position,) = year.contact(name)["journeys"]
    entered, due = (instant(position[at]) for at in ("entered_at", "due"))
    assert due - entered == 7 * DAY + (-HOUR if forward else HOUR)
    wall = [at.astimezone(BERLIN).replace(tzinfo=None) for at in (entered, due)]
    assert wall[1] - wall[0] == 7 * DAY
    assert wall[0].hour == 15

    year.advance_to(due - MINUTE)
    assert states(year, name) == {"welcome": "sent"}
    assert mailbox.subjects(address) == ["Welcome, Ada"]
    year.advance_to(due)
    assert mailbox.subjects(address) == ["Welcome, Ada", "How others use it"]
    assert ticks(year, name) == [due]
    assert journeys(year, name) == {}
    year.advance("14d")
    assert states(year, name) == {"welcome": "sent", "tips": "sent"}


def test_r5_who_unsubscribes_on_day_3_gets_no_second_one(live: Server, mailbox: Mailbox) -> None:
    name, address = known(live, "marketing")
    live.facts(fact("newsletter_subscribed", name))
    live.advance("3d")
    assert journeys(live, name) == {"welcome": "week"}
    live.facts(fact("newsletter_unsubscribed", name))
    assert journeys(live, name) == {}
    live.advance("14d")
    assert mailbox.subjects(address) == ["Welcome, there"]
    assert states(live, name) == {"welcome": "sent"}


def test_r5_after_an_outage_it_is_sent_once_or_has_expired(live: Server, mailbox: Mailbox) -> None:
    """Less than 24 hours late: sent. More: not any more, with the reason."""
    told: dict[int, tuple[str, str]] = {}
    for late in (23, 25):
        name, address = known(live, "marketing")
        live.facts(fact("newsletter_subscribed", name))
        (position,) = live.contact(name)["journeys"]
        live.settled()
        live.advance(f"{7 * 24 + late}h", jump=True)
        assert ticks(live, name) == [instant(position["due"])], "decided as of when it was due"
        live.advance("7d")
        (_, tips) = sorted(live.messages(name), key=lambda each: each["template"] == "tips")
        told[late] = tips["state"], tips["reason"]
        assert mailbox.subjects(address) == ["Welcome, there", *(["How others use it"] if late == 23 else [])]
    assert told[23] == ("sent", "")
    assert told[25][0] == "dropped"
    assert told[25][1].startswith("late.expired: It could not be sent before ")


# --- R6 first_purchase --------------------------------------------------------------------------------------------


def test_r6_a_purchase_a_month_later_is_no_first_one(live: Server, mailbox: Mailbox) -> None:
    name, address = known(live, "marketing")

    def ordered(number: str, at: datetime | None = None) -> Any:
        day = at.isoformat() if at else None
        return fact("order_completed", name, day, order_id=f"{name}-{number}", total=20, currency="EUR")

    began = live.now()
    live.facts(ordered("1"))
    live.advance("30d")
    live.facts(ordered("2"))
    live.facts(ordered("0", began - DAY), ordered("1"), ordered("2"))  # one that came before; two that were counted
    contact = live.contact(name)
    (voucher,) = [each for each in contact["issued"] if each["kind"] == "voucher"]
    assert voucher["properties"] == {"percent": 25}
    assert contact["segments"] == ["loyal"]
    assert contact["scores"] == {"spend": 60, "orders": 3}
    moments = live.timeline(name)
    assert [fired(moments, f"first_purchase/{rule}") for rule in ("first", "earlier-than-known", "again")] == [1, 1, 2]
    assert states(live, name) == {"voucher": "sent"}
    assert mailbox.subjects(address) == ["Your 25 % voucher"]
    assert timedelta() <= instant(voucher["at"]) - began < HOUR


# --- R7 whitepaper_to_onboarding ----------------------------------------------------------------------------------


def test_r7_the_whole_way_eight_messages_in_order(live: Server, mailbox: Mailbox) -> None:
    name, address = known(live, "marketing", first_name="Ada")

    def post(type: str, **properties: Any) -> Any:
        live.facts(fact(type, name, **properties))
        return live.contact(name)

    assert post("whitepaper_requested")["scores"] == {"readiness": 15}
    (began,) = happened(live, name, "whitepaper_requested")
    live.advance("2d")
    assert journeys(live, name) == {"nurture": "three-days"}
    live.advance("3d")
    live.advance("1d")
    contact = post("pricing_viewed")
    assert contact["scores"] == {"readiness": 25}
    assert contact["segments"] == ["ready-for-sales"]
    assert journeys(live, name) == {"deal": "demo"}
    live.advance("4d")
    post("demo_attended")
    live.advance("3d")
    live.advance("2d")
    assert post("purchase_completed", order_id="o1")["segments"] == ["customers"]
    live.advance("30d")

    subjects = [
        "Your white paper",
        "How others did it",
        "What it costs",
        f"A lead for you: {name}",
        "May we show you?",
        "Thank you for your time",
        "Any questions left?",
        "Welcome aboard",
    ]
    assert mailbox.subjects(address) == [each for each in subjects if not each.startswith("A lead")]
    came = [each for each in mailbox.subjects(address, SALES) if not each.startswith("A lead") or each in subjects]
    assert came == subjects
    assert sent(live, name) == [
        "welcome-1", "welcome-2", "welcome-3", "notice", "demo-invitation", "follow-up-1", "follow-up-2", "onboarding",
    ]  # fmt: skip
    (attended,) = happened(live, name, "demo_attended")
    assert ticks(live, name) == [began + 2 * DAY, began + 5 * DAY, attended + 3 * DAY]
    notices = [e for m in live.timeline(name) for e in effects(m) if e[:2] == ("assert", "sales_notified")]
    assert [after for *_, after, _ in notices] == [{"score": 25}]
    (notice,) = [m for m in mailbox.to(SALES) if m.message["Subject"] == f"A lead for you: {name}"]
    assert "25 points" in notice.message.get_content()


def test_r7_prices_on_day_3_and_a_purchase_cancel_what_is_left(live: Server, mailbox: Mailbox) -> None:
    (looked, lookeds), (bought, boughts) = known(live, "marketing"), known(live, "marketing")
    live.facts(fact("whitepaper_requested", looked), fact("whitepaper_requested", bought))
    live.advance("1d")
    live.facts(fact("purchase_completed", bought, order_id="o1"))
    live.advance("2d")
    assert mailbox.subjects(lookeds) == ["Your white paper", "How others did it"]
    live.facts(fact("pricing_viewed", looked), fact("pricing_viewed", bought))
    live.advance("10d")
    assert sent(live, looked) == ["welcome-1", "welcome-2", "notice", "demo-invitation"]
    assert mailbox.subjects(lookeds) == ["Your white paper", "How others did it", "May we show you?"]
    assert sent(live, bought) == ["welcome-1", "onboarding"]
    assert mailbox.subjects(boughts) == ["Your white paper", "Welcome aboard"]
    assert derived(live.timeline(bought), "sales_notified") == 0


def test_r7_one_notice_in_either_order_and_after_a_rejection_none_for_30_days(live: Server, mailbox: Mailbox) -> None:
    def notices(name: str) -> tuple[int, int]:
        """As decided, and as received."""
        received = mailbox.subjects(SALES).count(f"A lead for you: {name}")
        return derived(live.timeline(name), "sales_notified"), received

    (one, _), (other, _) = known(live, "marketing"), known(live, "marketing")
    for name, types in (
        (one, ("whitepaper_requested", "pricing_viewed")),
        (other, ("pricing_viewed", "whitepaper_requested")),
    ):
        for type in types * 2:
            live.facts(fact(type, name))
        live.settled()
        assert notices(name) == (1, 1)
        assert live.contact(name)["scores"] == {"readiness": 25}
    live.advance("1d")
    live.facts(fact("sales_rejected", one, reason="too small"))
    assert journeys(live, one) == {"nurture": "two-days"}
    live.advance("10d")
    assert sent(live, one)[-3:] == ["welcome-1", "welcome-2", "welcome-3"]
    live.facts(fact("pricing_viewed", one))
    live.settled()
    assert notices(one) == (1, 1)
    live.advance("20d")
    live.facts(fact("pricing_viewed", one))
    live.settled()
    assert notices(one) == (2, 2)


# --- R8 abandoned_cart --------------------------------------------------------------------------------------------


def test_r8_each_cart_has_a_timer_that_a_change_puts_back_and_a_checkout_ends(live: Server, mailbox: Mailbox) -> None:
    ada, address = known(live, "marketing")
    live.facts(fact("cart_updated", ada, cart="left", total=20), fact("cart_updated", ada, cart="changed", total=30))
    live.advance("30m")
    live.facts(fact("cart_updated", ada, cart="changed", total=40), fact("cart_updated", ada, cart="bought", total=50))
    live.advance("31m")
    reminded = mailbox.subjects(address)
    assert reminded == ["You left something behind"], "of the cart that was left; the other one's hour began anew"
    assert "your cart left is still here" in mailbox.to(address)[0].message.get_content()

    due = next(p["due"] for p in live.contact(ada)["journeys"] if p["key"] == "bought")
    live.advance_to(instant(due) - timedelta(seconds=3))
    paid = fact("checkout_completed", ada, cart="bought")
    live.facts(paid)
    assert live.now() < instant(due), "in time"
    live.advance("1h")
    assert [re.findall("your cart (.*) is", mail.message.get_content()) for mail in mailbox.to(address)] == [
        ["left"],
        ["changed"],
    ]
    why = live.get(f"/v1/contacts/{ada}/explain?journey=cart&fact={paid['id']}")
    assert (why["fact"]["id"], [e["after"] for e in why["effects"]]) == (paid["id"], ["end:goal"])
    assert why["sentence"] == "It stood at step pause and ended: its goal was reached."

    live.advance("25h")
    assert mailbox.subjects(address) == ["You left something behind"] * 2 + ["Your cart is about to go"] * 2
    live.advance("3d")
    assert sent(live, ada) == ["reminder", "reminder", "last-reminder", "last-reminder"]
    assert live.contact(ada)["journeys"] == []


# --- R9 progressive_webinar ---------------------------------------------------------------------------------------


def asked(server: Server, form: str, **who: str) -> list[str]:
    answer = server.call("GET", f"/v1/forms/{form}?{urlencode(who)}", key=WRITE)
    assert answer.status == 200, answer.body
    return [each["trait"] + (f"={each['value']}" if "value" in each else "") for each in answer.json["fields"]]


def submit(server: Server, form: str, answers: dict[str, Any], **more: Any) -> None:
    answer = server.call("POST", f"/v1/forms/{form}", {"answers": answers, **more}, key=WRITE)
    assert (answer.status, answer.json) == (200, {"form": form, "accepted": True}), answer.body


def test_r9_from_the_landing_form_to_thanks_or_the_recording(live: Server, mailbox: Mailbox) -> None:
    starts = (live.now() + 4 * DAY).replace(microsecond=0)
    webinar = fresh("webinar")
    about = {"webinar": webinar, "starts_at": ms(starts)}
    grace, cookie = f"{fresh('grace')}@example.com", fresh("cookie")

    assert asked(live, "landing", anonymous_id=cookie) == ["email", "name"]
    submit(live, "landing", {"email": grace, "name": "Grace"}, anonymous_id=cookie)
    live.settled()
    (mail,) = mailbox.to(grace)
    (token,) = re.findall(r"visitor=([\w-]+)", mail.message.get_content())
    assert asked(live, "webinar", anonymous_id=cookie) == ["email", "age", "occupation", "company"], "no values"
    assert asked(live, "webinar", visitor=token) == [f"email={grace}", "name=Grace", "age", "occupation", "company"]
    submit(live, "webinar", {"age": 41, "occupation": "admiral", "company": "Navy"}, about=about, visitor=token)
    assert asked(live, "webinar", visitor=token) == [f"email={grace}", "name=Grace"], "never asked again"
    by_mail = {"email": grace}
    live.facts(fact("consent", by_mail, channel="email", purpose="marketing", state="granted"))
    missing, missings = known(live, "marketing")
    moved, moveds = known(live, "marketing")
    live.facts(fact("webinar_registered", missing, **about), fact("webinar_registered", moved, **about))

    invited = mailbox.subjects(grace)
    live.advance_to(starts - DAY - MINUTE)
    assert mailbox.subjects(grace, missings, moveds) == invited
    live.advance_to(starts - DAY)
    assert mailbox.subjects(grace, missings, moveds) == [*invited, *3 * ["Tomorrow is the day"]]
    later = starts + 7 * DAY
    live.facts(fact("webinar_rescheduled", moved, webinar=webinar, starts_at=ms(later)))
    live.advance_to(starts - HOUR - MINUTE)
    assert len(mailbox.subjects(grace, missings, moveds)) == len(invited) + 3
    live.advance_to(starts - HOUR)
    assert mailbox.subjects(moveds) == ["Tomorrow is the day"], "its timers have moved with it"
    live.advance_to(starts + 5 * MINUTE)
    live.facts(fact("webinar_attended", by_mail, webinar=webinar))
    live.advance_to(starts + 2 * HOUR - MINUTE)
    assert mailbox.subjects(missings) == ["Tomorrow is the day", "In an hour"]
    live.advance_to(starts + 2 * HOUR)
    assert mailbox.subjects(missings) == ["Tomorrow is the day", "In an hour", "We missed you"]
    assert mailbox.subjects(grace) == [*invited, "Tomorrow is the day", "In an hour", "Thank you for coming"]
    live.advance_to(later + 3 * HOUR)
    assert mailbox.subjects(moveds) == ["Tomorrow is the day", "Tomorrow is the day", "In an hour", "We missed you"]
    assert ticks(live, missing) == [starts - DAY, starts - HOUR, starts + 2 * HOUR]
    assert ticks(live, moved) == [starts - DAY, later - DAY, later - HOUR, later + 2 * HOUR]
    assert mailbox.subjects(grace)[-1] == "Thank you for coming", "and nothing after that"


# --- R10 send_gate_lifecycle --------------------------------------------------------------------------------------

LAGOS = timezone(HOUR)  # where no clocks are put
CART, BIRTHDAY, DORMANT = "rule=send_gate_lifecycle/cart", "segment=birthday", "segment=dormant"
PHONE = "+4930123456"


def verdict(server: Server, name: str, question: str) -> tuple[str, str]:
    """State and reason of the message in question, as `explain` tells them."""
    (told,) = server.get(f"/v1/contacts/{name}/explain?{question}")["messages"]
    return told["state"], told["reason"]


def test_r10_birthday_cart_and_silence_collide_under_one_a_day(live: Server, mailbox: Mailbox) -> None:
    day = (live.now() + 32 * DAY).astimezone(LAGOS).date()

    def local(hour: int, minute: int = 0, days: int = 0) -> datetime:
        return datetime.combine(day + days * DAY, time(hour, minute), LAGOS)

    live.advance_to(local(7, 45, -30))
    born = {"birth_month": day.month, "birth_day": day.day, "timezone": "Africa/Lagos", "phone": PHONE}
    name, address = known(live, "lifecycle", channels=("email", "sms"), **born)
    live.facts(fact("page_viewed", name, path="/"))
    live.advance_to(local(7, 30))
    quiet = f"It came in the contact's quiet hours (21:00–08:00) and waits until {local(8).isoformat()}."
    assert verdict(live, name, BIRTHDAY) == ("waiting", f"quiet.held: {quiet}")
    live.facts(fact("cart_abandoned", name, cart=f"{name}-cart"))
    live.advance_to(local(7, 46))
    assert set(live.contact(name)["segments"]) >= {"birthday", "dormant"}
    for question in (CART, BIRTHDAY, DORMANT):
        assert verdict(live, name, question) == ("waiting", f"quiet.held: {quiet}")
    assert (live.messages(name), mailbox.subjects(address)) == ([], [])

    live.advance_to(local(8))
    assert mailbox.subjects(address) == ["Your cart is still here"]
    assert verdict(live, name, CART) == ("sent", "")
    state, reason = verdict(live, name, BIRTHDAY)
    assert state == "waiting"
    assert re.fullmatch(
        r"cap\.held: The contact has had as many messages as it may get \(1 within today.*\), so it waits until "
        + re.escape(f"{local(8, days=1).isoformat()}."),
        reason,
    )
    state, reason = verdict(live, name, DORMANT)
    assert state == "left_out"
    assert re.fullmatch(
        re.escape(f"late.expired: It could not be sent before {day.isoformat()}T19:45:")
        + r".*, and later its rule does not want it sent\.",
        reason,
    )
    gates = [e for m in live.timeline(name) for e in m["effects"] if e["kind"] == "gate" and e["reason"]]
    assert [(e["name"], e["reason"]) for e in gates] == [
        ("birthday", "quiet.held"),
        ("cart", "quiet.held"),
        ("miss-you", "quiet.held"),
        ("birthday", "cap.held"),
        ("miss-you", "late.expired"),
    ]
    assert all(e["sentence"] for e in gates)

    live.advance_to(local(7, 59, 1))
    assert mailbox.subjects(address) == ["Your cart is still here"]
    live.advance_to(local(8, days=1))
    assert mailbox.subjects(address) == ["Your cart is still here", "Happy birthday, dear reader"]
    assert verdict(live, name, BIRTHDAY) == ("sent", "")
    live.advance("7d")
    assert states(live, name) == {"cart": "sent", "birthday": "sent"}


def test_r10_the_channel_and_the_erased(live: Server, mailbox: Mailbox) -> None:
    """By e-mail what has an image, else by what this contact clicks; nothing to whom there is no more."""
    noon = (live.now() + DAY).replace(hour=12, minute=0, second=0, microsecond=0)
    live.advance_to(noon)
    name, address = known(live, "lifecycle", channels=("email", "sms"), phone=PHONE)
    live.facts(fact("message.clicked", name, channel="sms"))
    live.facts(fact("identify", name, birth_month=noon.month, birth_day=noon.day))
    live.settled()
    assert mailbox.subjects(address) == ["Happy birthday, dear reader"]
    live.advance("1d")
    live.facts(fact("cart_abandoned", name, cart=f"{name}-cart"))
    live.drained()
    (gate,) = [e for e in live.timeline(name)[-1]["effects"] if e["kind"] == "gate"]
    assert (gate["name"], gate["after"]) == ("cart", "sms")
    live.advance("4d")  # no plugin offers the channel; it was tried as often as it would have been
    cart = next(each for each in live.messages(name) if each["template"] == "cart")
    assert (cart["channel"], cart["state"]) == ("sms", "dead")
    assert re.match(r"delivery\.gave_up: After \d{2} attempts: channel\.not_configured: ", cart["reason"])
    assert 3 * DAY - HOUR < instant(cart["updated_at"]) - instant(cart["created_at"]) <= 3 * DAY

    gone, goness = known(live, "lifecycle")
    mailbox.script("defer")
    live.facts(fact("cart_abandoned", gone, cart=f"{gone}-cart"))
    eventually(lambda: [m["state"] for m in live.messages(gone)] == ["retrying"], "it is to be tried again")
    counts = erased(live, gone)["counts"]
    assert (counts["withdrawn"], counts["consents"]) == (1, 1)
    live.advance("1h")
    assert live.messages(gone) == []
    assert mailbox.subjects(goness) == []
    environ = {**live.environ, "OVERTURE_PORT": str(live.port)}
    done = overture("consent", "verify", "--json", environ=environ, cwd=live.directory)
    assert (done.returncode, json.loads(done.stdout)["erased"]) == (0, 1)


def test_r10_who_was_born_on_29_february(year: Server, mailbox: Mailbox) -> None:
    name, address = known(year, "lifecycle", birth_month=2, birth_day=29)
    today = year.now().date()
    days = [last_of_february(today.year + n) for n in (0, 1)]
    birthday = next(day for day in days if day > today)
    year.advance_to(datetime.combine(birthday - DAY, time(23, 59), UTC))
    assert year.contact(name)["segments"] == []
    year.advance_to(datetime.combine(birthday, time(7, 59), UTC))
    assert year.contact(name)["segments"] == ["birthday"]
    assert mailbox.subjects(address) == []
    year.advance_to(datetime.combine(birthday, time(8), UTC))
    assert mailbox.subjects(address) == ["Happy birthday, dear reader"]
    year.advance("1d")
    assert year.contact(name)["segments"] == []
    days = [at.date() for at in ticks(year, name)]
    assert all(before <= after for before, after in pairwise(days))
    assert birthday in days


def last_of_february(year: int) -> date:
    """The 29th, or the 28th in the years that have none."""
    return date(year, 3, 1) - DAY
