"""Bodies that anyone may send to a source: they cost little, and nothing that is well signed beside them."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import tracemalloc
from typing import Any

import pytest
import trackkit
from aiokafka.structs import ConsumerRecord
from pydantic import ValidationError
from signkit import SECRET, SendgridKey, hexed, now, request

from overture.plugin import Incoming, Posted, PushSource, Refuse
from overture.plugin.listening import HostedPush
from overture_channels.smtp import SmtpConfig
from overture_sources import sendgrid
from overture_sources.generic import HmacConfig
from overture_sources.kafka import Kafka, KafkaConfig
from overture_sources.mailgun import Mailgun, MailgunConfig
from overture_sources.postgres import Postgres, PostgresConfig
from overture_sources.records import Unreadable
from overture_sources.redis_stream import StreamConfig
from overture_sources.segment import Segment, SegmentConfig
from overture_sources.service import Business
from overture_sources.twilio import Twilio, TwilioConfig

UNENDING = """
import asyncio, json, sys
from overture_sources.bodies import json_of
head, piece, times = json.loads(sys.argv[1])
print(json_of(head.encode() + piece.encode() * times))
"""


@pytest.mark.parametrize("piece", ['\\"', "\\\n", '"\\\n', "x", '"'], ids=repr)
def test_a_text_without_an_end_is_looked_through_once(piece: str):
    """In a process of its own: were it quadratic, it would take minutes, in which nothing could stop it."""
    given = json.dumps(["[" * 100_000 + '"', piece, 500_000])
    done = subprocess.run([sys.executable, "-c", UNENDING, given], capture_output=True, timeout=60, check=True)
    assert done.stdout.strip() == b"None"


def test_what_stands_around_a_batch_is_not_copied_whole_for_each_of_its_events():
    context = {f"c{n}": n for n in range(4_000)}
    events = [{"type": "track", "event": "Seen", "userId": "ada", "messageId": f"m{n}"} for n in range(2_000)]
    body = json.dumps({"batch": events, "context": context}).encode()
    tracemalloc.start()
    try:
        posted = trackkit.posted(Segment(SegmentConfig()), body, "/v1/batch")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(posted.facts) == 2_000
    assert peak < 80 * 2**20  # whole copies take 200 MB and more
    first: Any = posted.facts[0]
    assert first["context"]["cut"] is True
    assert first["context"]["c0"] == 0


async def test_more_values_than_events_have_are_refused_before_they_are_made():
    body = b'{"batch":[' + b"[]," * 300_000 + b"[]]}"
    with pytest.raises(Refuse, match="250,000 values") as refused:
        await Segment(SegmentConfig()).parse(trackkit.asked(body, "/v1/batch"))
    assert (refused.value.code, refused.value.status) == ("source.too_many", 413)


TWILIO = Twilio(TwilioConfig.model_validate({"auth_token": SECRET, "url": "https://your.host/in/twilio"}))
MAILGUN = Mailgun(MailgunConfig.model_validate({"signing_key": SECRET}))
NESTED = "(" * 1_900


@pytest.mark.parametrize("source", [TWILIO, MAILGUN], ids=["twilio", "mailgun"])
@pytest.mark.parametrize(
    ("type", "head"),
    [
        ("multipart/form-data; boundary=b", f'Content-Disposition: form-data; name="x" {NESTED}'),
        ("multipart/form-data; boundary=b", f"Content-Disposition: {NESTED}"),
        ("multipart/form-data; boundary=b", f'Content-Disposition: form-data; name="x"\r\nContent-Type: {NESTED}'),
        ("multipart/form-data; boundary=b", 'Content-Disposition: form-data; name="x"; name*=x\'\ud800'),
        (f"multipart/form-data; {NESTED}", "x: y"),
        ("multipart/form-data; boundary*=q'x", "x: y"),
    ],
    ids=range(6),
)
async def test_a_form_that_no_program_makes_is_not_signed(source: PushSource, type: str, head: str):
    """It is no failure of the source: twenty of those would shut it for everybody."""
    body = f"--b\r\n{head}\r\n\r\nvalue\r\n--b--".encode("utf-8", "surrogatepass")
    with pytest.raises(Refuse) as refused:
        await source.parse(request(body, Content_Type=type))
    assert refused.value.code == "source.signature"


async def test_a_large_signed_batch_of_programs_that_nobody_has_seen_is_taken_at_once():
    key = SendgridKey()
    (plugin,) = sendgrid.overture_sources()
    config = sendgrid.SendgridConfig.model_validate({"public_key": key.public})
    source = HostedPush("sendgrid", plugin, sendgrid.Sendgrid(config))
    events = [
        {
            "email": f"p{n}@example.com", "timestamp": int(time.time()), "event": "open", "sg_event_id": f"e{n}",
            "useragent": f"Mozilla/5.0 (Linux; Android {n % 7 + 8}; SM-G{n}F Build/QP1A.{n:06d}) AppleWebKit/537.36 "
            f"(KHTML, like Gecko) Version/4.0 Chrome/{100 + n % 40}.0.{n}.{n % 90} Mobile Safari/537.36",
        }
        for n in range(2_000)
    ]  # fmt: skip
    body = json.dumps(events).encode()
    said = await source.parse(request(body, **key.headers(body, now())))
    assert isinstance(said, Posted)
    assert len(said.facts) == 2_000
    assert source.breaker.failures == 0


async def test_two_services_that_call_different_things_by_the_same_id_are_two():
    ids: list[Any] = []
    for name in ("hmac", "acme"):
        settings = {"secret": SECRET, "type": "paid", "id": "$.id", "contact": {"user_id": "$.who"}}
        config = HmacConfig.model_validate(settings)
        body = b'{"id": 17, "who": "ada"}'
        made = request(body, X_Signature=hexed(body))
        given = {each: getattr(made, each) for each in Incoming.__dataclass_fields__}
        said = await Business(config, config.service()).parse(Incoming(**{**given, "source": name}))
        assert isinstance(said, Posted)
        ids += [fact["id"] for fact in said.facts]
    assert ids == ["hmac:17", "acme:17"]


@pytest.mark.parametrize("timestamp", [1_785_000_000_000_000, 2**63 - 1])
def test_a_time_that_is_none_costs_its_message_alone(timestamp: int):
    source = Kafka(KafkaConfig.model_validate({"brokers": ["127.0.0.1:9"], "topics": ["orders"]}))
    record = ConsumerRecord("orders", 0, 7, timestamp, 0, None, b'{"type": "x", "contact": "ada"}', None, 1, 1, ())
    with pytest.raises(Unreadable):
        source.fact(record)


@pytest.mark.parametrize("mark", "/#?")
async def test_a_password_that_breaks_an_address_is_not_told(mark: str):
    part = f"s3cr{mark}et"
    told: list[str] = []
    with pytest.raises(ValidationError) as wrong:
        StreamConfig.model_validate({"url": f"redis://:{part}@store:6379/0", "key": "k", "json_field": "fact"})
    told.append(str(wrong.value))
    with pytest.raises(ValidationError) as wrong:
        SmtpConfig.model_validate({"url": f"smtp://u:{part}@mail.example.com", "sender": "a@example.com"})
    told.append(str(wrong.value))
    settings = {"url": f"postgresql://u:{part}@db/shop", "table": "t", "type": "x", "contact": {"user_id": "id"}}
    with pytest.raises(ConnectionError) as unread:
        await Postgres(PostgresConfig.model_validate(settings)).run(_never)
    told.append(str(unread.value))
    assert all("%23" in each and "s3cr" not in each for each in told)


_never: Any = None  # nothing is ever emitted
