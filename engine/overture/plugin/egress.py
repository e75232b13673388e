"""Outgoing connections that cannot reach what is behind the firewall.

The check sits where the socket is made, on the address that will really be connected to: a check of the URL or in the
resolver is passed by an address literal, a second DNS answer, or an unusual spelling of 127.0.0.1.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# Not public, whatever the interpreter's tables say (they changed in 3.11.10 and 3.12.4), and what clouds serve
# credentials from at an address that is formally public.
NEVER = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8", "100.64.0.0/10", "168.63.129.16/32", "192.0.0.0/24", "192.88.99.0/24", "198.18.0.0/15",
        "240.0.0.0/4", "::/96", "64:ff9b:1::/48", "2001::/23", "3fff::/20", "5f00::/16", "fec0::/10",
    )
)  # fmt: skip
NAT64 = IPv6Network("64:ff9b::/96")


class EgressRefused(OSError):
    """The address is not public and not allowed. Always with the same text, so that it survives several answers."""

    def __init__(self) -> None:
        super().__init__(errno.EACCES, "the address is not public and not in the allowed networks")


def networks(allow: Iterable[str]) -> tuple[Network, ...]:
    """Parse CIDRs such as ``10.0.0.0/8`` or single addresses; ValueError for anything else."""
    return tuple(ip_network(text.strip()) for text in allow)


def _inner(address: Address) -> Address:
    """The IPv4 address that an IPv6 form of it ends up at."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address.sixtofour is not None:
            return address.sixtofour
        if address in NAT64:
            return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def permitted(host: str, allow: Iterable[Network] = ()) -> bool:
    """Whether the IP address ``host`` is public, or inside one of ``allow``."""
    address = _inner(ip_address(host.split("%", 1)[0]))
    if any(address in network for network in allow):
        return True
    return address.is_global and not address.is_multicast and not any(address in network for network in NEVER)


def guarded_connector(allow: Iterable[str] = (), resolver: AbstractResolver | None = None) -> aiohttp.TCPConnector:
    """A connector that makes sockets to public addresses and to the networks in ``allow`` (CIDRs) only.

    Anything else fails to connect with `EgressRefused` as the ``os_error``. Use it with ``trust_env=False`` (a proxy
    would do the connecting) and without redirects. ``resolver`` is aiohttp's own by default. Needs a running loop.
    """
    allowed = networks(allow)

    def make(info: tuple[Any, ...]) -> socket.socket:
        family, kind, protocol, _, sockaddr = info
        if not permitted(str(sockaddr[0]), allowed):
            raise EgressRefused
        return socket.socket(family, kind, protocol)

    return aiohttp.TCPConnector(socket_factory=make, resolver=resolver)
