"""Slack's incoming webhooks: what they are sent is what Slack's own library sends, and what their answers mean."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError
from slack_sdk.webhook import WebhookClient

from overture.plugin import Outgoing, Rejected, RetryLater, Sent
from overture.testing import Answer, WebhookReceiver, check_channel
from overture_channels.slack import SlackChannel, SlackConfig

SECRET = "T000/B000/s3cret-of-this-test"
BLOCKS = [{"type": "section", "text": {"type": "plain_text", "text": "Ada — 3 <orders> & more"}}]


class Slack(WebhookReceiver):
    """Plays Slack: ``invalid_payload`` is its refusal."""

    @property
    def to(self) -> str:
        return "#sales"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/services/{SECRET}"

    def keys(self) -> list[str]:
        return [request.path for request in self.requests]

    async def script(self, *answers: str | int | Answer) -> None:
        own = {"refuse": Answer(400, body=b"invalid_payload"), "defer": Answer(429, {"Retry-After": "7"})}
        await super().script(*(own.get(each, each) if isinstance(each, str) else each for each in answers))


@pytest.fixture
async def slack() -> AsyncIterator[Slack]:
    async with Slack() as slack:
        yield slack


def opened(slack: Slack, **settings: object) -> SlackChannel:
    given = {"webhooks": {"#sales": slack.url}, "egress_allow": ["127.0.0.0/8"]}
    return SlackChannel(SlackConfig.model_validate(given | settings))


def outgoing(**changes: Any) -> Outgoing:
    message = Outgoing(
        id="f1:shop/big:0", channel="slack", to="#sales", subject="Big", text="Ada bought for 3 — ça va",
        purpose="internal", contact="ada", created_at=1_774_605_600_000,
    )  # fmt: skip
    return replace(message, **changes)


async def test_the_contract(slack: Slack) -> None:
    def impatient() -> SlackChannel:
        return opened(slack, timeout=0.3)

    await check_channel(lambda: opened(slack), slack, secret=SECRET, open_impatient=impatient, keyed=False)


@pytest.mark.parametrize(
    "data",
    [{}, {"blocks": BLOCKS}, {"blocks": BLOCKS, "unfurl_links": False, "unfurl_media": True}, {"attachments": []}],
)
async def test_what_is_sent_is_what_slacks_own_library_sends(slack: Slack, data: dict[str, Any]) -> None:
    channel = opened(slack)
    assert await channel.send(outgoing(data=data | {"other": 1})) == Sent()
    await channel.close()
    await asyncio.to_thread(lambda: WebhookClient(slack.url).send(text="Ada bought for 3 — ça va", **data))
    ours, theirs = slack.requests
    assert json.loads(ours.body) == json.loads(theirs.body)
    assert ours.path == theirs.path
    assert ours.headers["content-type"] == theirs.headers["content-type"]


async def test_no_value_brings_a_mention_or_a_link_along(slack: Slack) -> None:
    channel = opened(slack)
    await channel.send(outgoing(text="<!channel> <https://evil.example|ok> & *bold*"))
    await channel.close()
    told = json.loads(slack.requests[0].body)
    assert told == {"text": "&lt;!channel&gt; &lt;https://evil.example|ok&gt; &amp; *bold*"}


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (404, b"no_service", "slack.no_service"),
        (410, b"channel_is_archived", "slack.channel_is_archived"),
        (403, b"action_prohibited", "slack.action_prohibited"),
        (400, b"<html>", "slack.400"),
        (302, b"", "slack.302"),
    ],
)
async def test_a_refusal_is_not_tried_again_and_says_why(slack: Slack, status: int, body: bytes, code: str) -> None:
    channel = opened(slack)
    await slack.script(Answer(status, body=body))
    answer = await channel.send(outgoing())
    await channel.close()
    assert isinstance(answer, Rejected)
    assert (answer.code, answer.permanent) == (code, False)
    assert SECRET not in answer.message


async def test_slack_says_when_it_takes_more(slack: Slack) -> None:
    channel = opened(slack)
    await slack.script(Answer(429, {"Retry-After": "30"}, b"rate_limited"), Answer(500, body=b"rollup_error"))
    seen: list[tuple[str, float | None]] = []
    for _ in range(2):
        with pytest.raises(RetryLater) as caught:
            await channel.send(outgoing())
        seen.append((caught.value.code, caught.value.after_seconds))
    await channel.close()
    assert seen == [("slack.429", 30), ("slack.500", None)]


async def test_only_names_of_the_settings_are_addresses(slack: Slack) -> None:
    channel = opened(slack)
    for to in ("#support", slack.url, ""):
        answer = await channel.send(outgoing(to=to))
        assert isinstance(answer, Rejected)
        assert (answer.code, answer.permanent) == ("slack.no_webhook", False)
    await channel.close()
    assert slack.requests == []


async def test_a_webhook_is_not_looked_for_behind_the_firewall(slack: Slack) -> None:
    channel = opened(slack, egress_allow=[])
    answer = await channel.send(outgoing())
    await channel.close()
    assert isinstance(answer, Rejected)
    assert answer.code == "slack.egress_refused"
    assert slack.requests == []


@pytest.mark.parametrize("url", ["http://hooks.slack.com/services/s3cret", "s3cret", "ftp://x/s3cret", "env:NOT_SET"])
def test_settings_that_cannot_be(url: str) -> None:
    with pytest.raises(ValidationError) as caught:
        SlackConfig.model_validate({"webhooks": {"#sales": url}})
    assert "s3cret" not in str(caught.value)
