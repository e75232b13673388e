"""What we send, judged by others: Prism with the vendors' own descriptions of their APIs, and moto as Amazon SES."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import boto3
import pytest
from servicekit import ACCOUNT, SECRET, SERVICES, outgoing

from overture.plugin import Outgoing, Rejected, Sent
from overture_channels.sendgrid import SendgridChannel
from overture_channels.service import Request
from overture_channels.twilio import TwilioChannel

PEERS = Path(__file__).parents[1] / "peers"
PATIENCE = 60.0


@asynccontextmanager
async def process(*command: str, port: int) -> AsyncIterator[str]:
    """A server in a process of its own, once it listens; its address."""
    child = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(PATIENCE):
            while True:
                assert child.returncode is None, f"{command[0]} ended with {child.returncode}"
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except OSError:
                    await asyncio.sleep(0.05)
                    continue
                writer.close()
                break
        yield f"http://127.0.0.1:{port}"
    finally:
        if child.returncode is None:
            child.terminate()
        await child.wait()


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


@asynccontextmanager
async def prism(description: str) -> AsyncIterator[str]:
    port = free_port()
    cli = PEERS / "node_modules" / "@stoplight" / "prism-cli" / "dist" / "index.js"
    described = PEERS / "openapi" / f"{description}.json"
    command = ("node", str(cli), "mock", "-h", "127.0.0.1", "-p", str(port), str(described))
    async with process(*command, port=port) as address:
        yield address


async def posted(url: str, body: bytes, headers: dict[str, str]) -> tuple[int, Any]:
    async with aiohttp.ClientSession() as session, session.post(url, data=body, headers=headers) as answer:
        text = await answer.text()
        return answer.status, json.loads(text) if text else None


class AtRoot(SendgridChannel):
    """Prism serves the paths of the description, which stand below ``/v3`` at SendGrid."""

    def request(self, message: Outgoing) -> Request:
        return self._below(super().request(message))

    def probe(self) -> Request:
        return self._below(super().probe())

    def _below(self, request: Request) -> Request:
        assert request.path.startswith("/v3/")
        return replace(request, path=request.path.removeprefix("/v3"))


async def test_sendgrids_description_takes_what_we_send_and_refuses_what_is_wrong() -> None:
    service = replace(SERVICES["sendgrid"], channel=AtRoot)
    async with prism("sendgrid") as address:
        channel = service.open(address)
        await channel.check()
        assert isinstance(await channel.send(outgoing(service)), Sent)
        assert isinstance(await channel.send(outgoing(service, html="", unsubscribe="")), Sent)
        good = channel.request(outgoing(service))
        refused = await channel.send(outgoing(service, subject=""))
        await channel.close()
        assert isinstance(refused, Rejected)  # a subject has one character at least
        assert refused.permanent is False
        assert good.body is not None
        mail = json.loads(good.body)
        headers = {**good.headers, "Authorization": f"Bearer {SECRET}"}
        assert (await posted(address + good.path, good.body, headers))[0] == 202
        for wrong in (
            {name: value for name, value in mail.items() if name != "personalizations"},
            {name: value for name, value in mail.items() if name != "from"},
            {**mail, "from": "news@example.org"},
            {**mail, "personalizations": [{"custom_args": {}}]},
            {**mail, "content": [{"type": "text/plain", "value": ""}]},
            {**mail, "tracking_settings": {"open_tracking": {"enable": "no"}}},
            {**mail, "headers": [{"Name": "X", "Value": "y"}]},
        ):
            status, why = await posted(address + good.path, json.dumps(wrong).encode(), headers)
            assert (status, bool(why)) in ((400, True), (422, True)), wrong
        status, _ = await posted(address + good.path, good.body, good.headers)
        assert status == 401


async def test_twilios_description_takes_what_we_send_and_refuses_what_is_wrong() -> None:
    service = SERVICES["twilio"]
    async with prism("twilio") as address:
        for settings in ({}, {"sender": "", "messaging_service": "MG" + "a" * 32, "status_url": ""}):
            channel = service.open(address, **settings)
            await channel.check()
            answer = await channel.send(outgoing(service))
            await channel.close()
            assert isinstance(answer, Sent)
            assert answer.provider_id
        assert isinstance(channel, TwilioChannel)
        good = channel.request(outgoing(service))
        assert good.body is not None
        headers = channel.authorized(good, aiohttp.client.URL(address))
        assert (await posted(address + good.path, good.body, headers))[0] == 201
        for path, body, sent in (
            (good.path, b"Body=x", headers),
            (good.path, good.body + b"&ValidityPeriod=soon", headers),
            (good.path, good.body + b"&MessagingServiceSid=MG1", headers),
            (good.path.replace(ACCOUNT, "AC1"), good.body, headers),
            (good.path, b"{}", {**headers, "Content-Type": "application/json"}),
            (good.path, good.body, good.headers),
        ):
            status, why = await posted(address + path, body, sent)
            assert status in (400, 401, 415, 422), (path, body, why)


async def test_ses_takes_mail_of_a_verified_sender_alone() -> None:
    service, port = SERVICES["ses"], free_port()
    command = (sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port))
    async with process(*command, port=port) as address:
        ses = boto3.client(
            "sesv2", endpoint_url=address, region_name="eu-west-1",
            aws_access_key_id="AKIDEXAMPLE", aws_secret_access_key=SECRET,
        )  # fmt: skip
        await asyncio.to_thread(ses.create_email_identity, EmailIdentity="news@example.org")
        channel = service.open(address)
        answer = await channel.send(outgoing(service))
        await channel.close()
        assert isinstance(answer, Sent)
        stranger = service.open(address, sender="Stranger <stranger@example.net>")
        with pytest.raises(ConnectionError) as refused:
            await stranger.send(outgoing(service))
        await stranger.close()
        async with aiohttp.ClientSession() as session, session.get(f"{address}/moto-api/data.json") as told:
            kept = (await told.json(content_type=None))["ses"]["Message"]
    assert [(mail["id"], mail["destinations"]["ToAddresses"]) for mail in kept] == [
        (answer.provider_id, ["ada@example.com"])
    ]
    assert "not verified" in str(refused.value)
