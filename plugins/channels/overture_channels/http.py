"""Requests that carry messages: one session, and what became of a request told apart: not made, lost, answered."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import msgspec
from yarl import URL

from overture.model import clock
from overture.plugin import AmbiguousHandOff, EgressRefused, RetryLater, guarded_connector

READ_AT_MOST = 16 * 1024  # bytes of an answer's body


@dataclass(frozen=True, slots=True)
class Reply:
    """``body`` is as much of it as came, at most what the `Caller` reads."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def told(self) -> Any:
        """The JSON in the body, None where it is none, or nested too deeply to be read."""
        with suppress(msgspec.DecodeError, ValueError, RecursionError):
            return msgspec.json.decode(self.body)
        return None

    def said(self, name: str) -> str:
        """A text or whole number of the JSON object in the body; empty where it has none of that name."""
        return text_of(self.told.get(name)) if isinstance(self.told, dict) else ""

    @property
    def good(self) -> bool:
        return 200 <= self.status < 300

    @property
    def later(self) -> bool:
        """Whether the peer asks for another try, or has a defect that may pass."""
        return self.status in (408, 429) or self.status >= 500


class Caller:
    """One client session, made at the first use. It follows no redirects and knows no proxy and no cookies."""

    def __init__(
        self, name: str, timeout: float, egress_allow: tuple[str, ...], read_at_most: int = READ_AT_MOST
    ) -> None:
        """``name``: what the codes of errors begin with; ``timeout``: seconds for a whole request; ``read_at_most``
        bytes of an answer.
        """
        self._name = name
        self._timeout = timeout
        self._allow = egress_allow
        self._most = read_at_most
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    async def call(self, method: str, url: URL, body: bytes | None, headers: Mapping[str, str]) -> Reply:
        """Raises `RetryLater` (not made), `AmbiguousHandOff` (made, no answer), `EgressRefused`, `aiohttp.InvalidURL`,
        and RuntimeError when closed.
        """
        try:
            request = self.open().request(method, url, data=body, headers=headers, allow_redirects=False)
            async with request as response:
                return Reply(response.status, response.headers, await _body(response, self._most))
        except aiohttp.ClientConnectorCertificateError:
            text = f"{url.host} has no valid certificate."
            raise RetryLater(code=f"{self._name}.certificate", message=text) from None
        except aiohttp.ClientConnectorError as error:
            if isinstance(error.os_error, EgressRefused):
                raise EgressRefused from None
            text = f"{url.host} cannot be reached."
            raise RetryLater(code=f"{self._name}.unreachable", message=text) from None
        except aiohttp.ConnectionTimeoutError:
            text = f"{url.host} cannot be reached in time."
            raise RetryLater(code=f"{self._name}.unreachable", message=text) from None
        except aiohttp.InvalidURL:
            raise
        except (aiohttp.ClientError, TimeoutError) as error:
            text = f"{url.host} did not confirm a request that was on its way: {type(error).__name__}."
            raise AmbiguousHandOff(text, f"{self._name}.unconfirmed") from None

    def open(self) -> aiohttp.ClientSession:
        """Raises RuntimeError when closed."""
        if self._closed:
            raise RuntimeError("the channel is closed")
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=guarded_connector(self._allow),
                timeout=aiohttp.ClientTimeout(total=self._timeout, sock_connect=min(self._timeout / 2, 5.0)),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
                headers={"User-Agent": "Overture", "Accept-Encoding": "identity"},
            )
        return self._session

    async def close(self) -> None:
        self._closed = True
        if self._session is not None:
            await self._session.close()


async def _body(response: aiohttp.ClientResponse, most: int) -> bytes:
    """What comes of it: the status has decided already."""
    body = bytearray()
    with suppress(aiohttp.ClientError, TimeoutError):
        while len(body) < most and (piece := await response.content.read(most - len(body))):
            body += piece
    return bytes(body)


def text_of(value: object) -> str:
    """A text or whole number of somebody else's JSON; empty for anything else, which may be nested without end."""
    return str(value) if type(value) in (str, int) else ""


def whole(value: object) -> int | None:
    """A whole number of somebody else's JSON; None for anything else."""
    return value if type(value) is int else None


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds, from either form of RFC 9110: a number, or a date. None where it is neither, or not there."""
    value = headers.get("Retry-After", "")
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - clock.wall() / 1000)
    except (ValueError, TypeError, OverflowError):
        return None
