"""What Mailgun and Postmark are sent keeps to their documented rules, as strict servers of our own hold them."""

from __future__ import annotations

import pytest
from rulekit import Strict, mailgun_refuses, postmark_refuses
from servicekit import SECRET, SERVICES, outgoing

from overture.plugin import Rejected, Sent

LONG = "f" * 190 + ":shop/welcome:1:0a1b2c3d"


@pytest.mark.parametrize("name", ["mailgun", "postmark"])
async def test_what_is_sent_keeps_to_the_rules(name: str) -> None:
    service = SERVICES[name]
    async with Strict(SECRET) as strict:
        for settings in (
            {},
            {"track_opens": True},
            {"track_clicks": True},
            {"reply_to": "", "sender": "a@example.org"},
        ):
            channel = service.open(strict.url, **settings)
            await channel.check()
            before = len(strict.taken)
            for message in (
                outgoing(service),
                outgoing(service, id=LONG, html="", unsubscribe=""),
                outgoing(service, id="ä/ü %", text="", subject="a\r\nBcc: eve@example.org"),
            ):
                assert isinstance(await channel.send(message), Sent)
            assert len(strict.taken) == before + 3
            empty = await channel.send(outgoing(service, text="", html=""))
            await channel.close()
            assert isinstance(empty, Rejected)
            assert empty.permanent is False
    assert len(strict.refused) >= 4


@pytest.mark.parametrize("name", ["mailgun", "postmark"])
async def test_wrong_credentials_are_refused(name: str) -> None:
    service = SERVICES[name]
    async with Strict("another-secret") as strict:
        channel = service.open(strict.url)
        for call in (channel.check(), channel.send(outgoing(service))):
            with pytest.raises(ConnectionError, match="401"):
                await call
        await channel.close()
        assert strict.taken == []


def test_our_servers_do_refuse() -> None:
    mailgun = [("from", "a@example.org"), ("to", "b@example.org"), ("text", "x")]
    assert mailgun_refuses(mailgun) == ""
    for wrong in ([("to", "b@example.org")], [*mailgun, ("o:trackin", "no")], [*mailgun, ("to", "c@example.org")]):
        assert mailgun_refuses(wrong)
    assert "'to' parameter" in mailgun_refuses([("from", "a@example.org"), ("to", "b"), ("text", "x")])
    postmark = {"From": "a@example.org", "To": "b@example.org", "TextBody": "x"}
    assert postmark_refuses(postmark) == (0, "")
    for wrong in (
        {"Tracking": True}, {"TrackOpens": "no"}, {"Metadata": {"overture_message": "x" * 81}}, {"To": "b"},
        {"TrackLinks": "no"}, {"Headers": [{"Name": "a b", "Value": ""}]}, {"TextBody": ""},
    ):  # fmt: skip
        assert postmark_refuses({**postmark, **wrong})[0] >= 300, wrong
