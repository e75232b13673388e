"""The page of channels is the code's: settings, what becomes of reports, and examples that work."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from dockit import blocks, code, page, part, table
from pydantic import BaseModel

from overture.rules import load
from overture.rules.mjml import NESTED, WAYS
from overture_channels.markup import MOST_TAGS
from overture_channels.smtp import SmtpConfig
from overture_sources.bounces import BouncesConfig
from overture_sources.returned import ACTIONS, FEEDBACK

PAGE = page("channels.md")
HEAD = """\
apiVersion: overture/v1
kind: Ruleset
name: hello
requires: {channels: [email]}
facts: {signed_up: {plan: string}}
traits: {first_name: "string?"}
rules:
  hello:
    when: fact.type == "signed_up"
    then:
      - send: {channel: email, template: hello, purpose: transactional}
"""


@pytest.mark.parametrize(("title", "config"), [("## E-mail", SmtpConfig), ("### Mail that comes back", BouncesConfig)])
def test_the_settings_are_the_codes(title: str, config: type[BaseModel]) -> None:
    rows = table(part(PAGE, title), "setting")
    assert [code(row[0]) for row in rows] == list(config.model_fields)
    for name, *_, default in rows:
        field = config.model_fields[code(name)]
        if config is BouncesConfig and isinstance(field.default, str):
            assert default == f"`{field.default}`"


def test_what_becomes_of_a_report_is_the_codes() -> None:
    said = part(PAGE, "### Mail that comes back")
    for action, kind in ACTIONS.items():
        assert re.search(rf"`{action}` \| `message\.{kind}`", said), action
    for what, kind in FEEDBACK.items():
        assert re.search(rf"`{what}`[^|]*\| `message\.{kind}`", said), what


def test_numbers_are_the_codes() -> None:
    assert f"more than {MOST_TAGS:,} tags" in PAGE
    assert f"(up to {WAYS})" in PAGE
    assert f"more than {NESTED} in one another" in PAGE


def test_the_example_of_mjml_is_right() -> None:
    (example,) = blocks(PAGE, "yaml")
    assert load(HEAD + example).templates["hello"].mjml.startswith("<mjml>")


def test_the_settings_of_the_examples_are_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMTP_URL", "smtp://127.0.0.1")
    found = [each for each in blocks(PAGE, "toml") if "email" in each or "sources.bounces" in each]
    assert len(found) == 3
    (tmp_path / "bounce-key").write_text("k" * 32)
    old, new = rsa.generate_private_key(65537, 2048), ed25519.Ed25519PrivateKey.generate()
    for name, key in (("dkim.pem", old), ("dkim-rsa.pem", old), ("dkim-ed25519.pem", new)):
        (tmp_path / name).write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    for text in found:
        said: dict[str, Any] = tomllib.loads(text.replace("/run/secrets", str(tmp_path)))
        if "sources" in said:
            BouncesConfig.model_validate(said["sources"]["bounces"])
        else:
            given = {"url": "smtp://127.0.0.1", "sender": "news@example.com", **said["channels"]["email"]}
            assert len(SmtpConfig.model_validate(given).dkim) in (1, 2)
