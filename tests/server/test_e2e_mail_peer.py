"""The channel `email` against another library's server: its parser reads each mail, its DKIM check passes."""

from __future__ import annotations

import asyncio
import base64
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mailkit import MailPeer, dkim_key
from serverkit import eventually

from overture.plugin import Outgoing, Rejected, RetryLater, Sent
from overture_channels.smtp import SmtpChannel, SmtpConfig

RSA, ED = dkim_key("rsa"), dkim_key("ed25519")
DNS = {"r._domainkey.example.org": RSA[1], "e._domainkey.example.org": ED[1]}
DKIM = [
    {"domain": "example.org", "selector": "r", "key": RSA[0]},
    {"domain": "example.org", "selector": "e", "key": ED[0]},
]
SHEET = "<style>p { color: red } @media (max-width: 400px) { p { color: blue } }</style>"


@pytest.fixture(scope="module")
def peer() -> Iterator[MailPeer]:
    with MailPeer(dns=DNS) as running:
        yield running


async def sent(peer: MailPeer, to: str, settings: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """What the peer makes of one message."""
    assert isinstance(await handed(peer, to, settings, **changes), Sent)
    return peer.mail(to)


async def handed(peer: MailPeer, to: str, settings: dict[str, Any] | None, **changes: Any) -> Sent | Rejected:
    config = {"url": peer.url, "sender": "Nachrichten für Sie <news@example.org>", "dkim": DKIM, **(settings or {})}
    channel = SmtpChannel(SmtpConfig.model_validate(config))
    told: dict[str, Any] = {
        "id": "f1:welcome/hello:0:00", "channel": "email", "to": to, "subject": "Hello", "text": "Hi",
        "purpose": "marketing", "contact": "ada", "created_at": 1_774_605_600_000,
    }  # fmt: skip
    try:
        return await channel.send(Outgoing(**(told | changes)))
    finally:
        await channel.close()


def passed(mail: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(each["result"], each["selector"], each["algorithm"]) for each in mail["dkim"]]


BOTH = [("pass", "r", "rsa-sha256"), ("pass", "e", "ed25519-sha256")]


@pytest.mark.parametrize("length", [76, 200, 900])
async def test_whoever_gets_a_mail_can_unsubscribe_by_one_click(peer: MailPeer, length: int):
    url = f"https://mail.example.org/subscription/{'x' * length}?a=b%20c&d=e"
    mail = await sent(peer, f"click{length}@example.com", unsubscribe=url)
    assert mail["list"]["unsubscribe"]["url"] == url
    assert mail["list"]["unsubscribe-post"]["name"] == "List-Unsubscribe=One-Click"
    assert mail["unsubscribe"] == f"List-Unsubscribe: <{url}>"  # in one line, and no encoded word
    assert passed(mail) == BOTH
    for each in mail["dkim"]:
        assert {"list-unsubscribe", "list-unsubscribe-post"} <= set(each["signed"].lower().split(": "))


async def test_html_alone_has_a_text_beside_it_and_its_sheets_in_its_elements(peer: MailPeer):
    html = (
        f"<html><head><title>t</title>{SHEET}<link rel='stylesheet' href='file:///etc/passwd'></head><body>"
        "<div style='display:none'>preview</div><h1>Grüße &amp; mehr</h1><p>Zum <a href='https://example.com/a?b=1&amp;c=2'>Angebot</a>"
        "<br>bald</p><ul><li>eins<li>zwei</ul><img src='x.png' alt='Bild'><a href='https://example.com'>https://example.com</a></body></html>"
    )
    mail = await sent(peer, "html@example.com", text="", html=html)
    assert mail["text"].split("\n") == [
        "Grüße & mehr", "", "Zum Angebot (https://example.com/a?b=1&c=2)", "bald", "", "- eins", "- zwei", "",
        "Bildhttps://example.com", "",
    ]  # fmt: skip
    assert '<p style="color: red;">' in mail["html"]
    assert "@media (max-width: 400px)" in mail["html"]
    assert "root:" not in mail["html"]
    assert b"multipart/alternative" in base64.b64decode(mail["raw"])
    assert passed(mail) == BOTH


async def test_the_authors_own_text_is_kept(peer: MailPeer):
    mail = await sent(peer, "own@example.com", text="Mine.", html="<p>Theirs.</p>")
    assert (mail["text"].strip(), mail["html"].strip()) == ("Mine.", "<p>Theirs.</p>")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("dots", ".\r\n..\n.x\n" + "x" * 2000),
        ("ends", "a\rb\n\n\n c \t \n\n\n"),
        ("umlauts", "Grüße \U0001f680 " * 300),
        ("empty", ""),
        ("odd", "\x00\x01\x7f\x85\u2028\ud800 x"),
    ],
)
async def test_the_signature_holds_whatever_the_text(peer: MailPeer, name: str, text: str):
    mail = await sent(peer, f"text-{name}@example.com", text=text, subject=text[:200])
    assert passed(mail) == BOTH
    assert "text-" in mail["to"][0]["address"]


async def test_an_address_beyond_ascii(peer: MailPeer):
    mail = await sent(peer, "jörg@example.com", subject="Für Jörg")
    assert (mail["to"][0]["address"], mail["subject"]) == ("jörg@example.com", "Für Jörg")
    assert passed(mail) == BOTH
    mail = await sent(peer, "ada@bücher.example")
    assert b"To: ada@xn--bcher-kva.example\r\n" in base64.b64decode(mail["raw"])


async def test_who_it_is_from_and_what_it_is_about_cannot_be_added_to(peer: MailPeer):
    mail = await sent(peer, "added@example.com")
    raw = base64.b64decode(mail["raw"])
    for header in (b"From: eve@example.com\r\n", b"Subject: Pay\r\n", b"Reply-To: eve@example.com\r\n"):
        other = await checked(peer, header + raw)
        assert {each["result"] for each in other["dkim"]} == {"fail"}, header
    assert passed(await checked(peer, b"Received: from a by b\r\n" + raw)) == BOTH


async def checked(peer: MailPeer, raw: bytes) -> dict[str, Any]:
    """What the peer makes of a mail that somebody changed on the way."""
    import aiosmtplib

    before = len(peer.mails())
    await aiosmtplib.send(
        raw, sender="a@example.org", recipients=["b@example.com"], hostname="127.0.0.1", port=peer.port
    )
    await asyncio.to_thread(eventually, lambda: len(peer.mails()) > before, "the peer has read it")
    return peer.mails()[before]


@pytest.mark.parametrize(
    "subject",
    ["Hi\r\nBcc: eve@example.com", "Hi =?utf-8?q?=0A?=Bcc: eve@example.com", "Hi\u2028Bcc: eve@example.com\x00"],
)
async def test_no_header_can_be_injected(peer: MailPeer, subject: str):
    to = f"inject{len(peer.mails())}@example.com"
    mail = await sent(peer, to, subject=subject, id="f\r\nBcc: eve@example.com")
    assert "bcc" not in mail["names"]
    assert re.sub(r"\W+", " ", mail["subject"]).endswith("Bcc eve example com")
    assert passed(mail) == BOTH


async def test_the_envelope_is_of_the_message_and_the_same_at_each_hand_off(peer: MailPeer):
    settings = {"bounces": "Bounces+{token}@example.org", "bounce_key": "k" * 32}
    mails = [
        await sent(peer, to, settings, id=id)
        for to, id in (
            ("r1@example.com", "a:r/s:0:1"),
            ("r2@example.com", "a:r/s:0:1"),
            ("r3@example.com", "b:r/s:0:1"),
        )
    ]
    first, again, other = (mail["sender"] for mail in mails)
    assert re.fullmatch(r"Bounces\+[a-z2-7]{24}@example\.org", first)
    assert first == again != other
    assert mails[0]["from"][0]["address"] == "news@example.org"


async def test_refusals(peer: MailPeer):
    answer = await handed(peer, "550-5.1.1-nobody@example.com", None)
    assert isinstance(answer, Rejected)
    assert (answer.code, answer.permanent) == ("smtp.550", True)
    answer = await handed(peer, "550-5.7.1-blocked@example.com", None)
    assert isinstance(answer, Rejected)
    assert answer.permanent is False
    with pytest.raises(RetryLater) as caught:
        await handed(peer, "451-4.3.0-later@example.com", None)
    assert caught.value.code == "smtp.451"


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[str, str]:
    """The files of a key and its certificate for 127.0.0.1, which nobody has reason to trust."""
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1", "-days", "2",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)],
        check=True, capture_output=True,
    )  # fmt: skip
    return str(key), str(cert)


async def test_starttls(certificate: tuple[str, str], monkeypatch: pytest.MonkeyPatch):
    key, cert = certificate
    with MailPeer(dns=DNS, key=key, cert=cert, requireTls=True) as peer:
        refusing = {"url": f"{peer.url}?starttls=never"}
        answer = await handed(peer, "ada@example.com", refusing)
        assert isinstance(answer, Rejected)
        assert answer.code == "smtp.530"
        with pytest.raises(RetryLater, match="certificate"):
            await handed(peer, "ada@example.com", {"url": f"{peer.url}?starttls=required"})
        monkeypatch.setenv("SSL_CERT_FILE", cert)
        mail = await sent(peer, "ada@example.com", {"url": f"{peer.url}?starttls=required"})
        assert mail["secure"] is True
        assert passed(mail) == BOTH


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"dkim": {"domain": "example.org", "selector": "s", "key": "no key"}}, "private key"),
        ({"dkim": {"domain": "exa mple", "selector": "s", "key": RSA[0]}}, "DNS"),
        ({"dkim": {"domain": "example.org", "selector": "s"}}, "Field required"),
        ({"dkim": {"domain": "example.org", "selector": "s", "key": "file:/not/there"}}, "/not/there"),
        ({"bounces": "bounces+{token}@example.org"}, "need each other"),
        ({"bounce_key": "k" * 32}, "need each other"),
        ({"bounces": "bounces@example.org", "bounce_key": "k" * 32}, "once before the @"),
        ({"bounces": "b{token}{token}@example.org", "bounce_key": "k" * 32}, "once before the @"),
        ({"bounces": "b@{token}.example.org", "bounce_key": "k" * 32}, "once before the @"),
        ({"bounces": "x" * 41 + "{token}@example.org", "bounce_key": "k" * 32}, "at most 40"),
        ({"bounces": "b {token}@example.org", "bounce_key": "k" * 32}, "e-mail address"),
        ({"bounces": "b+{token}@example.org", "bounce_key": "s3cret"}, "at least 16"),
    ],
)
def test_wrong_settings_are_told_without_a_secret(settings: dict[str, Any], said: str):
    with pytest.raises(ValueError, match=said) as caught:
        SmtpConfig.model_validate({"url": "smtp://host", "sender": "news@example.org", **settings})
    assert "s3cret" not in str(caught.value)
    assert "PRIVATE KEY" not in str(caught.value)


def test_keys_show_nowhere():
    config = SmtpConfig.model_validate({"url": "smtp://host", "sender": "news@example.org", "dkim": DKIM[0]})
    shown = repr(config) + config.model_dump_json() + repr(vars(SmtpChannel(config)))
    assert RSA[0][100:140] not in shown
    assert "PRIVATE KEY" not in shown
