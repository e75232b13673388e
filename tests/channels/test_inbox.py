"""The channel that keeps messages: it holds the contract; what is kept where, tests/server/test_e2e_inbox.py has."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pydantic import ValidationError

from overture.plugin import Outgoing, Rejected
from overture.testing import RecordingInbox, check_channel
from overture_channels.inbox import LARGEST, InboxChannel, InboxConfig

MESSAGE = Outgoing(id="m1", channel="inbox", to="ada", text="Hello", purpose="lifecycle", contact="ada", created_at=1)


async def test_the_contract() -> None:
    inbox = RecordingInbox()
    await check_channel(lambda: InboxChannel(InboxConfig(), inbox), inbox)


async def test_what_is_too_large_is_not_kept() -> None:
    inbox = RecordingInbox()
    channel = InboxChannel(InboxConfig(), inbox)
    answer = await channel.send(replace(MESSAGE, html="x" * LARGEST))
    await channel.close()
    assert isinstance(answer, Rejected)
    assert (answer.code, answer.permanent, inbox.kept) == ("inbox.too_large", False, {})


@pytest.mark.parametrize("wrong", [{"most": 0}, {"most": 5000}, {"days": 0}, {"days": 1.5}, {"url": "x"}])
def test_settings_that_cannot_be(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        InboxConfig.model_validate(wrong)
