"""The channel `hubspot` against a CRM in a process of its own: what is written, in which order, and what is not."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from crmkit import TOKEN, Crm, account, crm
from pydantic import ValidationError

from overture.model import Contact
from overture.plugin import AmbiguousHandOff, Outgoing, Rejected, RetryLater, Sent
from overture_channels.hubspot import HubspotChannel, HubspotConfig, overture_channels

ADA = "ada@example.org"


@pytest.fixture(scope="module")
def peer() -> Iterator[Crm]:
    with crm() as made:
        yield made


def opened(peer: Crm, **more: Any) -> HubspotChannel:
    return HubspotChannel(HubspotConfig.model_validate(account(peer, **more)))


def message(to: str, order: int = 1, **data: Any) -> Outgoing:
    at = int(time.time() * 1000)
    return Outgoing(id=f"m{order}", channel="hubspot", to=to, purpose="transactional", contact="c", created_at=at,
                    order=order, data=data)  # fmt: skip


async def test_a_message_that_had_to_wait_does_not_undo_a_later_one(peer: Crm) -> None:
    channel = opened(peer)
    id = peer.edit("late@example.org", phone="0")
    first = message(str(id), 1, phone="1", lead_score=1)
    second = replace(first, id="other", order=2, data={"phone": "2"})  # decided in the same millisecond
    assert await channel.send(second) == Sent(str(id))
    assert await channel.send(first) == Sent(str(id))
    held = peer.contact("late@example.org")
    assert (held["phone"], held["lead_score"]) == ("2", "1")
    writes = peer.writes()
    assert await channel.send(first) == Sent(str(id))
    assert await opened(peer).send(second) == Sent(str(id))
    assert peer.writes() == writes
    await channel.close()


async def test_a_lost_answer_is_ambiguous_and_what_it_wrote_is_found(peer: Crm) -> None:
    channel = opened(peer)
    peer.behave(lose=1)
    sent = message("lost@example.org", phone="1", job="Cook")
    with pytest.raises(AmbiguousHandOff):
        await channel.send(sent)
    assert isinstance(await channel.send(sent), Sent)
    assert peer.versions("lost@example.org", "jobtitle") == [("Cook", "INTEGRATION")]
    await channel.close()


async def test_of_several_fields_those_are_written_that_nobody_changed_later(peer: Crm) -> None:
    channel = opened(peer)
    decided = message(ADA, phone="1", job="Cook")
    peer.edit(ADA, phone="0")
    both = replace(decided, created_at=peer.now())  # equal times: the CRM's
    peer.edits([{"properties": {"email": ADA, "phone": "at once"}, "at": both.created_at}])
    assert isinstance(await channel.send(both), Sent)
    held = peer.contact(ADA)
    assert (held["phone"], held["jobtitle"]) == ("at once", "Cook")
    refused = await channel.send(replace(both, order=2, data={"phone": "2"}))
    assert refused == Rejected("hubspot.later", "Changed later at 127.0.0.1: phone.")
    assert isinstance(await channel.send(replace(both, created_at=both.created_at + 1, data={"phone": "2"})), Sent)
    assert peer.contact(ADA)["phone"] == "2"
    await channel.close()


async def test_what_is_refused(peer: Crm) -> None:
    channel = opened(peer)
    await channel.check()
    for data, code in (({}, "data"), ({"firstname": "A"}, "data"), ({"nothing": 1}, "data"), ({"phone": [1]}, "data"),
                       ({"lead_score": "much"}, "400")):  # fmt: skip
        refused = await channel.send(message(ADA, 9, **data))
        assert isinstance(refused, Rejected), data
        assert (refused.code, refused.permanent) == (f"hubspot.{code}", False)
    for to, code in (("404404", "unknown"), ("nobody@", "400")):
        refused = await channel.send(message(to, phone="1"))
        assert isinstance(refused, Rejected), to
        assert (refused.code, refused.permanent) == (f"hubspot.{code}", True)
    peer.behave(throttle=["7", None])
    with pytest.raises(RetryLater) as later:
        await channel.send(message(ADA, phone="1"))
    assert (later.value.after_seconds, later.value.code) == (7.0, "hubspot.429")
    with pytest.raises(ConnectionError):
        await channel.check()
    await channel.close()


async def test_what_is_wrong_with_the_account_is_no_message_s_fault(peer: Crm) -> None:
    for wrong in ({"access_token": "another"}, {"marker": "not_made"}):
        channel = opened(peer, **wrong)
        with pytest.raises(ConnectionError) as error:
            await channel.send(message(ADA, phone=str(time.time())))
        assert "another" not in str(error.value)
        await channel.close()
    channel = opened(peer)
    assert TOKEN not in repr(channel)
    await channel.close()
    with pytest.raises(RuntimeError):
        await channel.send(message(ADA, phone="1"))


def test_the_address_is_the_id_there_else_the_mail() -> None:
    (plugin,) = overture_channels()
    known = Contact("c", ids={"email": [ADA], "external": {"hubspot": "7"}})
    assert [plugin.address_of(each) for each in (known, Contact("c", ids={"email": [ADA]}), Contact("c"))] == [
        "7", ADA, None,
    ]  # fmt: skip


@pytest.mark.parametrize(
    "wrong",
    [
        'firstname = {owner = "nobody"}',
        'firstname = {owner = "crm"}\nlastname = {owner = "crm", trait = "firstname"}',
        'phone = {owner = "latest"}\ncrm_phone = {owner = "crm"}',
        'type = {owner = "crm"}',
        '"?" = {owner = "crm"}',
        "",
        "no toml",
    ],
)
def test_fields_that_cannot_be(tmp_path: Path, wrong: str) -> None:
    given = {"access_token": "s", "app_id": "1", "fields": f"file:{tmp_path / 'fields.toml'}"}
    with pytest.raises(ValidationError):
        HubspotConfig.model_validate(given)
    (tmp_path / "fields.toml").write_text('firstname = {owner = "crm"}')
    assert HubspotConfig.model_validate(given).fields["firstname"].trait == "firstname"
    (tmp_path / "fields.toml").write_text(wrong)
    with pytest.raises(ValidationError):
        HubspotConfig.model_validate(given)
