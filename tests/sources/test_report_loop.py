"""What a channel gives a service to carry, its source finds again in what the service reports."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from overture.plugin import Outgoing
from overture_channels.postmark import PostmarkChannel, PostmarkConfig
from overture_channels.ses import SesChannel, SesConfig
from overture_sources import postmark, ses

RECORDED = Path(__file__).parent / "recorded"
IDS = ["f1:shop/welcome:1:0a1b2c3d", "ä/ö ü:%?&=+#", "f" * 190 + ":shop/welcome:1:0a1b2c3d"]
SENDER = {"sender": "news@example.org"}


def outgoing(id: str) -> Outgoing:
    return Outgoing(
        id=id, channel="email", to="ada@example.org", subject="Hello", text="Hello", purpose="marketing",
        contact="ada", created_at=0,
    )  # fmt: skip


def recorded(service: str, n: int) -> Any:
    return json.loads(
        json.loads((RECORDED / f"{service}_webhooks.json").read_text("utf-8"))["requests"][n]["body_text"]
    )


@pytest.mark.parametrize("id", IDS)
async def test_ses_gives_back_the_header(id: str) -> None:
    keys = {"region": "eu-west-1", "access_key_id": "A", "secret_access_key": "s"}
    channel = SesChannel(SesConfig.model_validate({**keys, **SENDER}))
    sent = channel.request(outgoing(id))
    await channel.close()
    assert sent.body is not None
    headers = json.loads(sent.body)["Content"]["Simple"]["Headers"]
    notice = recorded("amazon_ses", 0)
    event = json.loads(notice["Message"])
    event["mail"]["headers"] = [{"name": each["Name"], "value": each["Value"]} for each in headers]
    (report,) = ses.reports({**notice, "Message": json.dumps(event)})
    assert (report.kind, report.message, report.permanent) == ("bounced", id, True)


@pytest.mark.parametrize("id", IDS)
async def test_postmark_gives_back_the_pieces(id: str) -> None:
    channel = PostmarkChannel(PostmarkConfig.model_validate({"server_token": "s", **SENDER}))
    sent = channel.request(outgoing(id))
    await channel.close()
    assert sent.body is not None
    body = {**recorded("postmark", 0), "Metadata": {**json.loads(sent.body)["Metadata"], "campaign": "spring"}}
    report = postmark.report(body)
    assert (report.kind, report.message, report.metadata) == ("bounced", id, {"campaign": "spring"})
