"""The fixtures that pytest finds by itself: for tests with a loop and without, and free for others."""

from __future__ import annotations

import asyncio
import smtplib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.request import urlopen

from overture.testing import MailServer, OvertureServer, VirtualClock, WebhookReceiver, check_channel
from overture_channels.smtp import SmtpChannel, SmtpConfig

WELCOME = """\
apiVersion: overture/v1
kind: Ruleset
name: welcome
requires: {channels: [email]}
facts: {signed_up: {}}
traits: {email: "string?"}
rules:
  signed_up:
    when: fact.type == "signed_up"
    then: [{send: {channel: email, template: hello, purpose: transactional}}]
templates: {hello: {subject: Welcome, text: "Hello {{ contact.id }}"}}
"""


def test_a_server_sends_through_a_mail_server(
    overture_server: Callable[..., OvertureServer], mail_server: MailServer
) -> None:
    server = overture_server(channels={"email": {"url": mail_server.url, "sender": "news@example.org"}})
    server.deploy(WELCOME)
    server.post({"id": "1", "type": "signed_up", "contact": {"user_id": "ada", "email": "ada@example.com"}})
    (message,) = server.messages("ada")
    assert message["state"] == "sent"
    (mail,) = mail_server.mails()
    assert (mail.recipients, str(mail.message["Subject"])) == (("ada@example.com",), "Welcome")
    assert server.contact("nobody") is None
    assert server.stop() == 0
    server.start()
    assert server.contact("ada")["id"] == "ada"


def test_several_servers_whose_clocks_go_by_the_test(overture_server: Callable[..., OvertureServer]) -> None:
    one, two = overture_server(movable_clock=True), overture_server()
    assert one.port != two.port
    before = one.call("GET", "/v1/clock")[1]["now"]
    one.advance("2d")
    assert one.call("GET", "/v1/clock")[1]["now"][:10] > before[:10]
    assert {plugin["distribution"] for plugin in two.plugins()} >= {"overture"}


async def test_a_mail_server_of_another_loop_holds_a_channel_to_its_contract(mail_server: MailServer) -> None:
    config = SmtpConfig.model_validate({"url": mail_server.url, "sender": "news@example.org"})
    await check_channel(lambda: SmtpChannel(config), mail_server)


def test_a_receiver_for_a_test_without_a_loop(webhook_receiver: WebhookReceiver) -> None:
    asyncio.run(webhook_receiver.script(200))
    with urlopen(webhook_receiver.to, b"{}") as answer:
        assert answer.status == 200
    assert [request.body for request in webhook_receiver.requests] == [b"{}"]


async def test_a_clock(virtual_clock: VirtualClock) -> None:
    async with virtual_clock as clock:
        sleeping = asyncio.create_task(asyncio.sleep(86_400, "slept"))
        await clock.advance(86_400)
        assert await sleeping == "slept"


def test_who_tests_something_else_pays_nothing(tmp_path: Path) -> None:
    (tmp_path / "test_other.py").write_text(
        "import sys\n"
        "def test_nothing_of_it_is_imported():\n"
        "    found = {name for name in sys.modules if name.split('.')[0].startswith('overture')}\n"
        "    assert found == {'overture', 'overture.pytest_plugin'}\n"
        "    assert not {'aiohttp', 'pydantic', 'msgspec'} & set(sys.modules)\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:schemathesis", "test_other.py"]
    done = subprocess.run(
        [*command, "-p", "no:aiohttp", "-p", "no:hypothesispytest"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_smtplib_too(mail_server: MailServer) -> None:
    with smtplib.SMTP("127.0.0.1", mail_server.port, local_hostname="localhost") as client:
        client.sendmail("news@example.org", ["ada@example.com"], "To: ada@example.com\r\nSubject: Hi\r\n\r\nText")
    assert len(mail_server.mails()) == 1
