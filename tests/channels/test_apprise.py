"""Alerts by Apprise, to a real server that plays one of its services."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from overture.model import Contact
from overture.plugin import AmbiguousHandOff, Outgoing, PluginManager, Rejected, RetryLater, Sent
from overture.testing import WebhookReceiver, check_channel
from overture_channels.team import AppriseChannel, AppriseConfig

SECRET = "s3cret-of-this-test"


class Service(WebhookReceiver):
    """Takes what Apprise posts as JSON."""

    @property
    def to(self) -> str:
        return "ops"

    @property
    def url(self) -> str:
        return f"json://ops:{SECRET}@127.0.0.1:{self.port}/alerts?rto=1.0"

    def keys(self) -> list[str]:
        return [request.path for request in self.requests]


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    async with Service() as service:
        yield service


def opened(service: Service, **settings: object) -> AppriseChannel:
    return AppriseChannel(AppriseConfig.model_validate({"urls": {"ops": service.url}, **settings}))


def outgoing(**changes: Any) -> Outgoing:
    message = Outgoing(
        id="f1:shop/big:0", channel="apprise", to="ops", subject="Big order", text="Ada <ada@example.com>: 3 & more",
        purpose="internal", contact="ada", created_at=1_774_605_600_000,
    )  # fmt: skip
    return replace(message, **changes)


async def test_the_contract(service: Service) -> None:
    def impatient() -> AppriseChannel:
        return opened(service, timeout=0.3)

    await check_channel(lambda: opened(service), service, secret=SECRET, open_impatient=impatient, keyed=False)


async def test_a_service_is_told_subject_and_text(service: Service) -> None:
    channel = opened(service)
    assert await channel.send(outgoing()) == Sent()
    await channel.close()
    (request,) = service.requests
    told = json.loads(request.body)
    assert (told["title"], told["message"]) == ("Big order", "Ada <ada@example.com>: 3 & more")
    assert request.path.startswith("/alerts")


async def test_one_that_does_not_open_changes_nothing_for_those_that_did(service: Service) -> None:
    channel = opened(service)
    with pytest.raises(RuntimeError):
        AppriseChannel(AppriseConfig.model_validate({"urls": {"ops": "nothing://that.apprise.knows"}}))
    await service.script(404)
    refused = await channel.send(outgoing())
    await channel.close()
    assert isinstance(refused, Rejected)
    assert refused.code == "apprise.404"


async def test_what_the_answers_mean(service: Service) -> None:
    channel = opened(service)
    await service.script(404, 503, "drop")
    refused = await channel.send(outgoing())
    with pytest.raises(RetryLater) as later:
        await channel.send(outgoing())
    with pytest.raises(AmbiguousHandOff) as lost:
        await channel.send(outgoing())
    unknown = await channel.send(outgoing(to="sales"))
    empty = await channel.send(outgoing(text=" "))
    await channel.close()
    assert isinstance(refused, Rejected)
    assert (refused.code, refused.permanent, later.value.code) == ("apprise.404", False, "apprise.503")
    assert lost.value.code == "apprise.unconfirmed"
    assert isinstance(unknown, Rejected)
    assert isinstance(empty, Rejected)
    assert (unknown.code, empty.code) == ("apprise.no_url", "apprise.empty")
    assert len(service.requests) == 3


@pytest.mark.parametrize("url", [f"nothing://{SECRET}", SECRET, f"json://a/{SECRET}, json://b/{SECRET}"])
def test_a_url_that_apprise_does_not_know_is_told_at_the_start(url: str, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(RuntimeError, match="The URL of ops is not one that Apprise knows") as caught:
        AppriseChannel(AppriseConfig.model_validate({"urls": {"ops": url}}))
    assert SECRET not in f"{caught.value!r} {caught.value.__cause__!r} {caplog.text}"


async def test_no_contact_has_an_address_there(service: Service) -> None:
    manager = PluginManager()
    manager.load()
    wrong = manager.configure("channel", {"apprise": {"urls": {"ops": service.url}}})
    assert [each for each in wrong if each.name == "apprise"] == []
    hosted = manager.open_channels()["apprise"]
    assert hosted.address_of(Contact("ada", traits={"apprise": "ops", "email": "ada@example.com"})) is None
    assert (await hosted.send(outgoing())).state == "sent"
    await hosted.close()
    assert len(service.requests) == 1
