"""One deployment that sends by five services, each on the channel that its settings say, and hears what came of it.

What plays the services is one HTTP server; what it is posted back has the form of recorded webhooks.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from serverkit import Answer, Server, eventually, fact, fresh, overture, refused

SECRET = "s3cret-of-this-test-of-services"
KEY = ec.generate_private_key(ec.SECP256R1())
PUBLIC = base64.b64encode(KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()
RECORDED = Path(__file__).parents[1] / "sources" / "recorded"
ACCOUNT, PUBLIC_URL = "AC" + "0" * 32, "https://overture.example.org/in/twilio"
STOPPED = "+4930000021610"
CHANNELS = ("email", "newsletter", "letters", "bulk", "sms")

TOML = f"""\
mail_from = "Shop <shop@example.org>"
egress_allow = ["127.0.0.1"]
[channels.email]
plugin = "sendgrid"
base_url = "{{url}}"
api_key = "file:secret"
[channels.newsletter]
plugin = "mailgun"
base_url = "{{url}}"
api_key = "file:secret"
domain = "mg.example.org"
[channels.letters]
plugin = "postmark"
base_url = "{{url}}"
server_token = "file:secret"
sender = "Letters <letters@example.org>"
[channels.bulk]
plugin = "ses"
base_url = "{{url}}"
region = "eu-west-1"
access_key_id = "AKIDEXAMPLE"
secret_access_key = "file:secret"
[channels.sms]
plugin = "twilio"
base_url = "{{url}}"
account_sid = "{ACCOUNT}"
auth_token = "file:secret"
sender = "+15005550006"
status_url = "{PUBLIC_URL}"
[sources.sendgrid]
public_key = "{PUBLIC}"
[sources.mailgun]
signing_key = "file:secret"
channel = "newsletter"
[sources.postmark]
username = "postmark"
password = "file:secret"
channel = "letters"
[sources.twilio]
auth_token = "file:secret"
url = "{PUBLIC_URL}"
"""

RULES = (
    """\
apiVersion: overture/v1
kind: Ruleset
name: services
requires: {channels: [email, newsletter, letters, bulk, sms]}
facts:
  called: {by: string}
traits: {phone: "string?"}
rules:
"""
    + "".join(
        f"""\
  {name}:
    when: fact.type == "called" and fact.by == "{name}"
    then:
      - send: {{channel: {name}, template: call, purpose: marketing}}
"""
        for name in CHANNELS
    )
    + """\
templates:
  call: {subject: Hello, text: Hello there}
tests:
  - name: a channel of another name is addressed as its plugin says
    contact: {user_id: ada, email: ada@example.org, consent: {newsletter: {marketing: granted}}}
    steps:
      - fact: {type: called, by: newsletter}
      - expect: {sent: [{channel: newsletter, to: ada@example.org}]}
"""
)


class Vendor:
    """Plays the services: takes what they would and remembers it."""

    def __init__(self) -> None:
        vendor = self
        self.taken: list[tuple[str, dict[str, str], bytes]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                vendor.taken.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                status, headers, said = vendor.answer(self.path, body)
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(said))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(said)

            def log_message(self, format: str, *args: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def answer(self, path: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        id = f"{len(self.taken):032d}"
        if path == "/v3/mail/send":
            return 202, {"X-Message-Id": id}, b""
        if path.endswith("/Messages.json"):
            if dict(parse_qsl(body.decode()))["To"] == STOPPED:
                said = {"code": 21610, "message": "Attempt to send to unsubscribed recipient", "status": 400}
                return 400, {}, json.dumps(said).encode()
            return 201, {}, json.dumps({"sid": f"SM{id}", "status": "queued"}).encode()
        return 200, {}, json.dumps({"id": f"<{id}@mg>", "MessageID": id, "MessageId": id, "ErrorCode": 0}).encode()

    def last(self, path: str) -> bytes:
        return next(body for asked, _, body in reversed(self.taken) if asked == path)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture(scope="module")
def vendor() -> Iterator[Vendor]:
    playing = Vendor()
    yield playing
    playing.close()


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory, vendor: Vendor) -> Iterator[Server]:
    here = tmp_path_factory.mktemp("services")
    (here / "overture.toml").write_text(TOML.replace("{url}", vendor.url))
    (here / "secret").write_text(SECRET + "\n")
    with Server(here, RULESETS="") as server:
        server.deploy("services", RULES)
        yield server
        assert SECRET not in server.said()


def called(server: Server, by: str, **traits: str) -> tuple[str, Any]:
    """A new contact and the message that was sent to it on a channel."""
    ada = fresh("ada")
    told = {"email": f"{ada}@example.org", **traits}
    external = {"external": {"phone": told["phone"]}} if "phone" in told else {}
    agreed = {"channel": by, "purpose": "marketing", "state": "granted"}
    who = {"user_id": ada, **external}
    server.facts(fact("identify", who, **told), fact("consent", ada, **agreed), fact("called", ada, by=by))
    (message,) = server.messages(ada)
    return ada, message


def about(server: Server, contact: str, type: str) -> Any:
    """The one fact of a type in a contact's timeline."""
    (found,) = [m["fact"] for m in server.timeline(contact) if m["fact"]["type"] == type]
    return found


def recorded(service: str, n: int) -> str:
    return json.loads((RECORDED / f"{service}_webhooks.json").read_text("utf-8"))["requests"][n]["body_text"]


def bounced(server: Server, contact: str, message: Any, channel: str) -> None:
    """The report of a bounce came back to the message, and its address is written to no more on this channel."""
    told = about(server, contact, "message.bounced")["properties"]
    address = f"{contact}@example.org"
    assert (told["message"], told["channel"], told["address"]) == (message["id"], channel, address)
    assert server.contact(contact)["suppressed"] == {f"{channel}:{address}": "bounce"}
    server.facts(fact("called", contact, by=channel))
    (dropped,) = server.messages(contact, "dropped")
    assert dropped["reason"].startswith("suppressed.bounce")


def test_email_by_sendgrid_and_back(serving: Server, vendor: Vendor) -> None:
    ada, message = called(serving, "email")
    assert (message["state"], message["channel"], len(message["provider_id"])) == ("sent", "email", 32)
    sent = json.loads(vendor.last("/v3/mail/send"))
    assert sent["from"] == {"email": "shop@example.org", "name": "Shop"}
    (one,) = sent["personalizations"]
    assert one["to"] == [{"email": f"{ada}@example.org"}]
    (event,) = json.loads(recorded("sendgrid", 0))
    del event["anymail_id"]
    body, at = json.dumps([{**event, **one["custom_args"]}]).encode(), str(int(time.time()))
    signature = base64.b64encode(KEY.sign(at.encode() + body, ec.ECDSA(SHA256()))).decode()
    headers = {
        "X-Twilio-Email-Event-Webhook-Signature": signature, "X-Twilio-Email-Event-Webhook-Timestamp": at,
        "Authorization": "",
    }  # fmt: skip
    assert serving.call("POST", "/in/sendgrid", body, headers=headers).status == 200
    bounced(serving, ada, message, "email")


def test_another_channel_by_mailgun_and_back(serving: Server, vendor: Vendor) -> None:
    ada, message = called(serving, "newsletter")
    assert (message["state"], message["provider_id"][-4:]) == ("sent", "@mg>")
    sent = dict(parse_qsl(vendor.last("/v3/mg.example.org/messages").decode()))
    carried = {name.removeprefix("v:"): value for name, value in sent.items() if name.startswith("v:")}
    body = json.loads(recorded("mailgun", 17))
    body["event-data"]["user-variables"] = carried
    at, token = str(int(time.time())), "f" * 50
    signature = hmac.new(SECRET.encode(), f"{at}{token}".encode(), hashlib.sha256).hexdigest()
    body["signature"] = {"timestamp": at, "token": token, "signature": signature}
    assert serving.call("POST", "/in/mailgun", body, headers={"Authorization": ""}).status == 200
    bounced(serving, ada, message, "newsletter")


def test_a_third_by_postmark_and_back(serving: Server, vendor: Vendor) -> None:
    ada, message = called(serving, "letters")
    sent = json.loads(vendor.last("/email"))
    assert sent["From"] == "Letters <letters@example.org>"
    body = {**json.loads(recorded("postmark", 0)), "Metadata": sent["Metadata"]}
    basic = base64.b64encode(f"postmark:{SECRET}".encode()).decode()
    assert serving.call("POST", "/in/postmark", body, headers={"Authorization": f"Basic {basic}"}).status == 200
    bounced(serving, ada, message, "letters")


def test_a_fourth_by_ses(serving: Server, vendor: Vendor) -> None:
    """Back from there is Amazon's signature, which only Amazon can make: see tests/sources."""
    _, message = called(serving, "bulk")
    assert (message["state"], len(message["provider_id"])) == ("sent", 32)
    sent = json.loads(vendor.last("/v2/email/outbound-emails"))
    headers = {each["Name"]: each["Value"] for each in sent["Content"]["Simple"]["Headers"]}
    assert headers["X-Overture-Message"] == message["id"]


def twilio(server: Server, query: str = "", path: str = "", token: str = SECRET, **fields: str) -> Answer:
    """As Twilio posts it: to the address that it was given, which here is another one than it thinks."""
    told = f"{PUBLIC_URL}{path}{query}" + "".join(f"{name}{fields[name]}" for name in sorted(fields))
    signature = base64.b64encode(hmac.new(token.encode(), told.encode(), hashlib.sha1).digest()).decode()
    headers = {
        "Content-Type": "application/x-www-form-urlencoded", "X-Twilio-Signature": signature, "Authorization": "",
    }  # fmt: skip
    return server.call("POST", f"/in/twilio{path}{query}", urlencode(fields).encode(), headers=headers)


def test_a_text_message_by_twilio_and_back(serving: Server, vendor: Vendor) -> None:
    ada, message = called(serving, "sms", phone="+49 30 901820")
    assert (message["state"], message["provider_id"][:2]) == ("sent", "SM")
    sent = dict(parse_qsl(vendor.last(f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json").decode()))
    assert (sent["To"], sent["Body"]) == ("+4930901820", "Hello there")
    address, _, query = sent["StatusCallback"].partition("?")
    assert address == PUBLIC_URL
    assert parse_qs(query) == {"overture_message": [message["id"]]}
    said = {"MessageSid": message["provider_id"], "AccountSid": ACCOUNT, "From": sent["From"], "To": sent["To"]}
    forged = twilio(serving, f"?{query}", token="another", **said, MessageStatus="undelivered")
    assert (forged.status, forged.json["code"]) == (401, "source.signature")
    for status in ("sent", "delivered", "delivered"):
        assert twilio(serving, f"?{query}", **said, MessageStatus=status).status == 200
    told = about(serving, ada, "message.delivered")["properties"]
    assert (told["message"], told["channel"], told["address"]) == (message["id"], "sms", "+49 30 901820")
    gone = twilio(serving, f"?{query}", **said, MessageStatus="undelivered", ErrorCode="30005")
    assert gone.status == 200
    assert serving.contact(ada)["suppressed"] == {"sms:+49 30 901820": "bounce"}


def test_whoever_writes_stop_is_asked_no_more(serving: Server) -> None:
    ada, message = called(serving, "sms", phone="+4930555001")
    assert message["state"] == "sent"
    said = {"MessageSid": "SM" + "9" * 32, "From": "+4930555001", "To": "+15005550006", "Body": " Stop "}
    answer = twilio(serving, path="/inbound", **said)
    assert (answer.status, answer.headers["Content-Type"], answer.body) == (200, "text/xml", b"<Response/>")
    eventually(lambda: serving.contact(ada)["consent"] == {"sms": {"marketing": "denied"}}, "consent is withdrawn")
    serving.facts(fact("called", ada, by="sms"))
    (dropped,) = serving.messages(ada, "dropped")
    assert dropped["reason"].startswith("consent.denied")
    (last, *_) = serving.get(f"/v1/contacts/{ada}/consent?limit=5")["items"]
    assert (last["after"], last["source"]) == ("denied", "twilio")


def test_a_number_that_twilio_refuses_is_written_to_no_more(serving: Server) -> None:
    ada, message = called(serving, "sms", phone=STOPPED)
    assert message["state"] == "dead"
    assert message["reason"].startswith("twilio.21610: ")
    assert serving.contact(ada)["suppressed"] == {f"sms:{STOPPED}": "bounce"}


def test_the_channels_are_told_by_their_names(serving: Server) -> None:
    assert set(serving.ready()["channels"]) == {*CHANNELS, "inbox", "webhook"}
    assert not [plugin for plugin in serving.ready()["plugins"] if plugin["state"] == "failed"]


@pytest.mark.parametrize(
    ("toml", "sentence"),
    [
        (
            "[channels.sendgrid]\napi_key = 's3cret'",
            'channels.sendgrid (overture.toml) is no channel of its own: write plugin = "sendgrid" in channels.email.',
        ),
        (
            "[channels.email]\nplugin = 'sendgird'",
            "channels.email.plugin (overture.toml) is for a channel that no plugin offers; did you mean sendgrid?",
        ),
        ("[channels.email]\nplugin = 'sendgrid'", "channels.email.api_key (overture.toml) is missing."),
        (
            "[channels.email]\nplugin = 'sendgrid'\napi_key = 'env:NOT_SET_ANYWHERE'",
            "channels.email.api_key (overture.toml): the environment variable NOT_SET_ANYWHERE is not set.",
        ),
        (
            "[channels.email]\nplugin = 'postmark'\nserver_tokn = 's3cret'",
            "channels.email.server_tokn (overture.toml) is no setting of the channel; did you mean server_token?",
        ),
        (
            "mail_from = 'nobody'\n[channels.email]\nplugin = 'sendgrid'\napi_key = 's3cret'",
            "mail_from (overture.toml): the address is not an e-mail address.",
        ),
        (
            "[channels.Email]\nplugin = 'sendgrid'\napi_key = 's3cret'",
            "channels.Email (overture.toml) must be named with lower-case letters, digits and _, at most 64.",
        ),
    ],
)
def test_a_mistake_is_told_before_anything_is_started(tmp_path: Path, toml: str, sentence: str) -> None:
    (tmp_path / "overture.toml").write_text(toml)
    said = refused(tmp_path)
    assert sentence in said
    assert "s3cret" not in said


def test_tests_of_rulesets_know_the_channels_of_the_settings(tmp_path: Path) -> None:
    (tmp_path / "services.yaml").write_text(RULES)
    without = overture("test", "services.yaml", cwd=tmp_path)
    assert without.returncode == 2, without.stdout
    (tmp_path / "overture.toml").write_text(TOML)
    (tmp_path / "secret").write_text(SECRET)
    within = overture("test", "services.yaml", cwd=tmp_path)
    assert within.returncode == 0, within.stdout + within.stderr
