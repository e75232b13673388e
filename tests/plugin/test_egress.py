from __future__ import annotations

import errno
import socket
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from overture.plugin import EgressRefused, guarded_connector
from overture.plugin.egress import networks, permitted
from overture.testing import WebhookReceiver


@pytest.fixture
async def inside() -> AsyncIterator[WebhookReceiver]:
    """What must not be reached."""
    async with WebhookReceiver() as receiver:
        yield receiver


class Answering(AbstractResolver):
    """Resolves any name to the given addresses, one look-up after the other."""

    def __init__(self, *addresses: str) -> None:
        self._left = list(addresses)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        address = self._left.pop(0)
        return [
            ResolveResult(
                hostname=host, host=address, port=port, family=socket.AF_INET, proto=0, flags=socket.AI_NUMERICHOST
            )
        ]

    async def close(self) -> None:
        pass


async def get(url: str, connector: aiohttp.TCPConnector) -> int:
    timeout = aiohttp.ClientTimeout(total=5, sock_connect=1)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session, session.get(url) as response:
        return response.status


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "localhost", "[::1]", "0.0.0.0", "0x7f000001", "[::]",
        "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[2002:7f00:1::]", "[64:ff9b::7f00:1]",
        "169.254.169.254", "[fe80::1]", "[fd00::1]", "10.0.0.1", "100.64.0.1", "192.168.1.1", "224.0.0.1",
    ],
)  # fmt: skip
async def test_forms_of_an_inner_address(host: str, inside: WebhookReceiver):
    with pytest.raises(aiohttp.ClientConnectorError) as caught:
        await get(f"http://{host}:{inside.port}/", guarded_connector())
    assert isinstance(caught.value.os_error, EgressRefused)
    assert inside.requests == []


@pytest.mark.parametrize("host", ["2130706433", "127.1", "0177.0.0.1"])
async def test_old_spellings_of_an_ipv4_address_never_reach_a_socket(host: str, inside: WebhookReceiver):
    with pytest.raises((aiohttp.InvalidURL, aiohttp.ClientConnectorError)):
        await get(f"http://{host}:{inside.port}/", guarded_connector())
    assert inside.requests == []


async def test_a_second_dns_answer_is_checked_too(inside: WebhookReceiver):
    resolver = Answering("127.0.0.1", "127.0.0.1")
    allowed = guarded_connector(["127.0.0.1"], resolver)
    refused = guarded_connector(resolver=resolver)
    assert await get(f"http://rebind.example:{inside.port}/", allowed) == 200
    with pytest.raises(aiohttp.ClientConnectorError) as caught:
        await get(f"http://rebind.example:{inside.port}/", refused)
    assert isinstance(caught.value.os_error, EgressRefused)
    assert len(inside.requests) == 1


async def test_allowed_networks_are_reached(inside: WebhookReceiver):
    assert await get(f"http://127.0.0.1:{inside.port}/", guarded_connector(["10.0.0.0/8", "127.0.0.0/8"])) == 200
    assert await get(f"http://localhost:{inside.port}/", guarded_connector(["127.0.0.1", "::1"])) == 200


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0", "0.1.2.3", "10.1.2.3", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.255.254",
        "168.63.129.16", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.192", "192.0.2.1",
        "192.88.99.1", "192.168.0.1",
        "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255",
        "::", "::1", "::7f00:1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1",
        "100::1", "2001::1", "2001:2::1", "2001:db8::1", "2002:a00:1::", "2002:a9fe:a9fe::", "3fff::1", "5f00::1",
        "fc00::1", "fd00:ec2::254", "fe80::1%eth0", "fec0::1", "ff02::1",
    ],
)  # fmt: skip
def test_what_is_not_public(address: str):
    assert not permitted(address)


@pytest.mark.parametrize(
    "address",
    ["1.1.1.1", "8.8.8.8", "93.184.216.34", "172.32.0.1", "2606:4700::1111", "2a00:1450::1", "::ffff:8.8.8.8",
     "64:ff9b::808:808"],
)  # fmt: skip
def test_what_is_public(address: str):
    assert permitted(address)


@pytest.mark.parametrize(
    ("address", "allow", "expected"),
    [
        ("10.1.2.3", ["10.0.0.0/8"], True),
        ("10.1.2.3", [" 10.1.2.3 "], True),
        ("11.1.2.3", ["10.0.0.0/8"], True),
        ("192.168.0.1", ["10.0.0.0/8"], False),
        ("::ffff:10.1.2.3", ["10.0.0.0/8"], True),
        ("fd00::1", ["10.0.0.0/8", "fd00::/8"], True),
        ("127.0.0.1", ["::/0"], False),
    ],
)
def test_allowed_networks(address: str, allow: list[str], expected: bool):
    assert permitted(address, networks(allow)) is expected


@pytest.mark.parametrize("text", ["localhost", "10.0.0.1/8", "", "10.0.0.0/33"])
def test_what_is_no_network(text: str):
    with pytest.raises(ValueError):
        networks([text])


def test_the_error_is_the_same_for_each_answer():
    assert str(EgressRefused()) == str(EgressRefused())
    assert EgressRefused().errno == errno.EACCES
