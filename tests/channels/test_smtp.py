from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pydantic import ValidationError

from overture.model import Contact
from overture.plugin import AmbiguousHandOff, Outgoing, Rejected, RetryLater, Sent
from overture.testing import MailServer, check_channel
from overture_channels.smtp import SmtpChannel, SmtpConfig, overture_channels

SENDER = "Overture News <news@example.org>"
PASSWORD = "p4ss/w:rd"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[MailServer]:
    async with MailServer(tmp_path) as server:
        yield server


def opened(url: str, **settings: object) -> SmtpChannel:
    return SmtpChannel(SmtpConfig.model_validate({"url": url, "sender": SENDER, **settings}))


def outgoing(**changes: object) -> Outgoing:
    values: dict[str, object] = {
        "id": "f1:welcome/hello:0", "channel": "email", "to": "ada@example.com", "subject": "Hello", "text": "Hi Ada",
        "purpose": "marketing", "contact": "ada", "created_at": 1_774_605_600_000,
    }  # fmt: skip
    return Outgoing(**(values | changes))  # type: ignore[arg-type]


async def test_contract(server: MailServer):
    await check_channel(lambda: opened(server.url), server, open_impatient=lambda: opened(server.url, timeout=0.5))


async def test_contract_with_signatures_and_return_addresses(server: MailServer):
    key = rsa.generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    dkim = {"domain": "example.org", "selector": "s1", "key": key.decode()}
    settings = {"dkim": dkim, "bounces": "b+{token}@example.org", "bounce_key": PASSWORD * 2}
    await check_channel(lambda: opened(server.url, **settings), server, secret=PASSWORD * 2)
    assert {mail.raw.partition(b":")[0] for mail in server.mails()} == {b"DKIM-Signature"}


async def test_contract_with_a_login(tmp_path: Path):
    async with MailServer(tmp_path, "--login", f"ada:{PASSWORD}") as server:
        url = f"smtp://ada:p4ss%2Fw%3Ard@127.0.0.1:{server.port}?starttls=never"
        await check_channel(lambda: opened(url), server, secret=PASSWORD)


async def test_what_a_mail_looks_like(server: MailServer):
    channel = opened(server.url)
    unsubscribe = "https://t.example.org/u/" + "x" * 200 + "?a=b%20c"
    message = outgoing(subject="Grüße", text="Grüße an Ada\n", html="<p>Grüße</p>", unsubscribe=unsubscribe)
    answer = await channel.send(message)
    await channel.close()
    assert isinstance(answer, Sent)
    assert "queued as" in answer.provider_id
    [mail] = server.mails()
    assert mail.sender == "news@example.org"
    assert mail.recipients == ("ada@example.com",)
    assert mail.message["From"] == SENDER
    assert mail.message["To"] == "ada@example.com"
    assert mail.message["Subject"] == "Grüße"
    assert mail.message["Date"].datetime.isoformat() == "2026-03-27T10:00:00+00:00"
    assert mail.message["X-Overture-Message"] == "f1:welcome/hello:0"
    assert f"\r\nList-Unsubscribe: <{unsubscribe}>\r\n".encode() in mail.raw
    assert b"\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n" in mail.raw
    assert mail.message.get_content_type() == "multipart/alternative"
    text, html = mail.message.iter_parts()
    assert (text.get_content_type(), text.get_content().strip()) == ("text/plain", "Grüße an Ada")
    assert (html.get_content_type(), html.get_content().strip()) == ("text/html", "<p>Grüße</p>")


async def test_text_alone_is_one_part(server: MailServer):
    channel = opened(server.url)
    await channel.send(outgoing(text=".\r\n..\n" + "x" * 2000))
    await channel.close()
    [mail] = server.mails()
    assert mail.message.get_content_type() == "text/plain"
    assert mail.message.get_content().split() == [".", "..", "x" * 2000]
    assert max(map(len, mail.raw.splitlines())) < 998


async def test_a_second_hand_off_is_the_same_mail_byte_for_byte(server: MailServer):
    for _ in range(2):
        channel = opened(server.url)
        await channel.send(outgoing(html="<p>x</p>"))
        await channel.close()
    first, second = server.mails()
    assert first.raw == second.raw
    assert str(first.message["Message-ID"]).endswith("@example.org>")


@pytest.mark.parametrize(
    "subject",
    [
        "Hi\r\nBcc: eve@example.com",
        "Hi\nBcc: eve@example.com",
        "Hi =?utf-8?q?=0A?=Bcc: eve@example.com",
        "Hi =?utf-8?b?DQpCY2M6IGV2ZUBleGFtcGxlLmNvbQ==?= x",
        "=?=?utf-8?q?=0ABcc:_eve@example.com?=",
        "Hi\u2028Bcc: eve@example.com\x00\ud800",
        "=?utf-8?q?" + "=0ABcc:_eve@example.com" * 8 + "?= " + "long " * 40,
    ],
)
async def test_no_header_can_be_injected(server: MailServer, subject: str):
    channel = opened(server.url)
    await channel.send(outgoing(subject=subject, id="f\r\nBcc: eve@example.com"))
    await channel.close()
    [mail] = server.mails()
    assert sorted(name.lower() for name in mail.message) == [
        "content-transfer-encoding", "content-type", "date", "from", "message-id", "mime-version", "subject", "to",
        "x-overture-message",
    ]  # fmt: skip
    assert mail.recipients == ("ada@example.com",)
    assert "\n" not in mail.message["Subject"]
    assert mail.message["X-Overture-Message"] == "f%0D%0ABcc:%20eve@example.com"


@pytest.mark.parametrize(
    ("reply", "permanent"),
    [
        ("rcpt 550 5.1.1 No such user", True),
        ("rcpt 550 No such user", True),
        ("rcpt 551 User not local", True),
        ("rcpt 553 5.1.3 Bad address", True),
        ("rcpt 550 5.7.1 Blocked by policy", False),
        ("rcpt 552 Mailbox full", False),
        ("data 550 5.1.1 No such user after all", True),
        ("data 550 Looks like spam", False),
        ("data 554 5.6.0 Bad content", False),
    ],
)
async def test_a_5xx_is_a_refusal(server: MailServer, reply: str, permanent: bool):
    channel = opened(server.url)
    await server.script(reply)
    answer = await channel.send(outgoing())
    assert isinstance(answer, Rejected)
    assert answer.code == f"smtp.{reply.split()[1]}"
    assert reply.split(" ", 2)[2] in answer.message
    assert answer.permanent is permanent
    assert isinstance(await channel.send(outgoing()), Sent)
    await channel.close()


@pytest.mark.parametrize("reply", ["rcpt 451 4.3.0 Later", "rcpt 452 4.2.2 Full", "data 421 4.3.2 Going down"])
async def test_a_4xx_is_for_later(server: MailServer, reply: str):
    channel = opened(server.url)
    await server.script(reply)
    with pytest.raises(RetryLater) as caught:
        await channel.send(outgoing())
    assert caught.value.code == f"smtp.{reply.split()[1]}"
    assert isinstance(await channel.send(outgoing()), Sent)
    await channel.close()


async def test_a_server_that_is_down_is_for_later(server: MailServer):
    channel = opened(server.url)
    assert isinstance(await channel.send(outgoing()), Sent)
    await server.stop()
    for _ in range(2):
        with pytest.raises(RetryLater) as caught:
            await channel.send(outgoing())
        assert caught.value.code == "smtp.unreachable"
    with pytest.raises(RetryLater):
        await channel.check()
    await server.start()
    assert isinstance(await channel.send(outgoing()), Sent)
    await channel.close()
    assert len(server.mails()) == 2


async def test_a_restart_between_two_mails_goes_unnoticed(server: MailServer):
    channel = opened(server.url)
    await channel.send(outgoing(id="a"))
    await server.stop()
    await server.start()
    assert isinstance(await channel.send(outgoing(id="b")), Sent)
    await channel.close()
    assert len(set(server.keys())) == 2


@pytest.mark.parametrize("action", ["drop", "stall"])
async def test_an_unconfirmed_mail_is_ambiguous(server: MailServer, action: str):
    channel = opened(server.url, timeout=1.0)
    await server.script(action)
    with pytest.raises(AmbiguousHandOff) as caught:
        await channel.send(outgoing())
    assert caught.value.code == "smtp.unconfirmed"
    assert len(server.mails()) == 1
    await channel.close()


async def test_connections_are_shared_and_bounded(server: MailServer):
    channel = opened(server.url, connections=3)
    answers = await asyncio.gather(*(channel.send(outgoing(id=str(n))) for n in range(30)))
    await channel.close()
    assert all(isinstance(answer, Sent) for answer in answers)
    assert len(set(server.keys())) == 30


@pytest.mark.parametrize(
    "address",
    ["", "ada", "ada@", "@example.com", "a@b@example.com", "Ada <ada@example.com>", "ada@example.com, eve@example.com",
     "ada@example.com\r\nRCPT TO:<eve@example.com>", "ada @example.com", "ada@exa mple.com", "ada@example.com>",
     "ada\u202e@example.com", "ä" * 300 + "@x.example"],
)  # fmt: skip
async def test_what_is_no_address_is_refused_for_good(server: MailServer, address: str):
    channel = opened(server.url)
    answer = await channel.send(outgoing(to=address))
    await channel.close()
    assert isinstance(answer, Rejected)
    assert (answer.code, answer.permanent) == ("smtp.address_invalid", True)
    assert server.mails() == []


async def test_what_cannot_be_written_says_nothing_of_the_address(server: MailServer):
    channel = opened(server.url)
    answer = await channel.send(outgoing(created_at=10**18))
    await channel.close()
    assert answer == Rejected("smtp.message_invalid", "The mail cannot be written: ValueError.")
    assert server.mails() == []


async def test_an_address_beyond_ascii(server: MailServer):
    channel = opened(server.url)
    assert isinstance(await channel.send(outgoing(to="jörg@example.com", subject="Grüße")), Sent)
    assert isinstance(await channel.send(outgoing(to="ada@bücher.example")), Sent)
    await channel.close()
    local, domain = server.mails()
    assert local.recipients == ("jörg@example.com",)
    assert "To: jörg@example.com\r\n".encode() in local.raw
    assert domain.recipients == ("ada@xn--bcher-kva.example",)


async def test_an_address_beyond_ascii_needs_the_servers_support(tmp_path: Path):
    async with MailServer(tmp_path, "--no-smtputf8") as server:
        channel = opened(server.url)
        answer = await channel.send(outgoing(to="jörg@example.com"))
        assert isinstance(answer, Rejected)
        assert (answer.code, answer.permanent) == ("smtp.smtputf8_unsupported", False)
        assert isinstance(await channel.send(outgoing()), Sent)
        await channel.close()
        assert len(server.mails()) == 1


async def test_wrong_credentials_fail_without_dropping_mail(tmp_path: Path):
    async with MailServer(tmp_path, "--login", "ada:right") as server:
        channel = opened(f"smtp://ada:{'wrong' * 3}@127.0.0.1:{server.port}?starttls=never")
        with pytest.raises(ConnectionError) as caught:
            await channel.send(outgoing())
        assert "wrong" not in repr(caught.value) + repr(caught.value.__context__)
        with pytest.raises(ConnectionError):
            await channel.check()
        await channel.close()


async def test_a_password_is_not_sent_in_the_clear_unless_told_to(tmp_path: Path):
    async with MailServer(tmp_path, "--login", "ada:right") as server:
        channel = opened(f"smtp://ada:right@127.0.0.1:{server.port}")
        with pytest.raises(Exception, match="STARTTLS"):
            await channel.send(outgoing())
        await channel.close()


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A self-signed certificate for localhost with its key, in one PEM file."""
    made, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "2",
         "-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(made)],
        check=True, capture_output=True,
    )  # fmt: skip
    both = tmp_path / "both.pem"
    both.write_bytes(key.read_bytes() + made.read_bytes())
    return both


@pytest.mark.parametrize(
    ("options", "url"),
    [((), "smtp://localhost:{}?starttls=required"), ((), "smtp://localhost:{}"), (("--implicit-tls",), "smtps://localhost:{}")],
)  # fmt: skip
async def test_tls_is_checked(
    tmp_path: Path, certificate: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], url: str
):
    async with MailServer(
        tmp_path / "mail", "--certificate", str(certificate), "--host", "localhost", *options
    ) as server:
        untrusting = opened(url.format(server.port))
        with pytest.raises(RetryLater, match="certificate"):
            await untrusting.send(outgoing())
        await untrusting.close()
        assert server.mails() == []
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        trusting = opened(url.format(server.port))
        assert isinstance(await trusting.send(outgoing()), Sent)
        await trusting.close()


@pytest.mark.parametrize(
    "url",
    ["", "http://127.0.0.1", "smtp://", "smtp://host/path", "smtp://host?starttls=maybe", "smtp://host?tls=1", "smtp://host:x",
     "smtp://u:s3cret@host?x=1", "smtp://:s3cret@host", "smtp://host:0"],
)  # fmt: skip
def test_a_wrong_url_is_refused_without_showing_it(url: str):
    with pytest.raises(ValidationError) as caught:
        SmtpConfig.model_validate({"url": url, "sender": SENDER})
    assert "s3cret" not in str(caught.value) + repr(caught.value)


@pytest.mark.parametrize(
    "settings",
    [{"timeout": 0}, {"timeout": True}, {"timeout": "20"}, {"timeout": 61}, {"connections": True}, {"x": 1},
     {"sender": "A\r\nBcc: eve@example.com <ada@example.com>"}, {"sender": "A\nB <ada@example.com>"}],
)  # fmt: skip
def test_wrong_settings_are_refused(settings: dict[str, object]):
    with pytest.raises(ValidationError):
        SmtpConfig.model_validate({"url": "smtp://host", "sender": SENDER, **settings})


def test_secrets_come_by_reference_and_show_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    url = f"smtp://ada:{PASSWORD.replace('/', '%2F')}@mail.example.org"
    monkeypatch.setenv("MAIL_URL", url)
    (tmp_path / "url").write_text(url + "\n")
    for reference in ("env:MAIL_URL", f"file:{tmp_path / 'url'}", url):
        config = SmtpConfig.model_validate({"url": reference, "sender": SENDER})
        assert config.url.get_secret_value() == url
        assert "p4ss" not in repr(config) + str(config) + config.model_dump_json() + repr(SmtpChannel(config))
    for reference in ("env:NOT_SET", "file:/does/not/exist"):
        with pytest.raises(ValidationError, match=reference.split(":")[1]):
            SmtpConfig.model_validate({"url": reference, "sender": SENDER})


@pytest.mark.parametrize(
    ("contact", "address"),
    [
        (Contact("ada"), None),
        (Contact("ada", traits={"email": "t@example.com"}, ids={"email": ["i@example.com"]}), "t@example.com"),
        (Contact("ada", ids={"email": ["i@example.com", "j@example.com"]}), "i@example.com"),
        (Contact("ada", ids={"email": "i@example.com"}), "i@example.com"),
        (Contact("ada", traits={"email": 7}, ids={"email": []}), None),
        (Contact("ada", traits={"email": ""}, ids={"email": [None, "j@example.com"]}), "j@example.com"),
    ],
)
def test_the_contacts_own_address(contact: Contact, address: str | None):
    (channel,) = overture_channels()
    assert channel.address_of(contact) == address
