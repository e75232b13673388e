"""Posting batches of facts as an app would: again and again until the server has answered for them."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import aiohttp

from overture.cli.client import no_api
from overture.model import OvertureError, Refused

PATIENCE = 60.0  # seconds without an answer, or without progress of the worker, before giving up


class Poster:
    """Posts NDJSON to the server at ``url`` with a write key; without ``deliver`` it is backfill."""

    def __init__(self, http: aiohttp.ClientSession, url: str, key: str, *, deliver: bool) -> None:
        self._http = http
        self._url = url
        self._target = f"{url}/v1/facts" + ("" if deliver else "?backfill=true")
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/x-ndjson"}

    async def post(self, facts: list[bytes]) -> dict[str, Any]:
        """The server's summary: ``accepted``, ``duplicates``, ``rejected``. A server that is overloaded, restarting or
        unreachable gets the same facts again.

        Raises `Refused` (``client.refused``: key or URL are wrong) and `OvertureError` (``client.no_answer``).
        """
        body = b"\n".join(facts)
        deadline = time.monotonic() + PATIENCE
        pause, trouble = 0.2, ""
        while time.monotonic() < deadline:
            try:
                async with self._http.post(self._target, data=body, headers=self._headers) as response:
                    if response.status == 200:
                        return await _taken(response)
                    trouble = f"{response.status} {(await response.text())[:300]}"
                    if response.status not in (429, 503):
                        raise Refused(
                            "client.refused", f"The server answered {trouble}.", "Check the write key and the URL."
                        )
                    after = response.headers.get("Retry-After", "")
                    wait = float(after) if after.isdigit() else pause
            except (aiohttp.ClientError, TimeoutError) as error:
                trouble, wait = str(error) or type(error).__name__, pause
            await asyncio.sleep(min(wait, 10.0))
            pause = min(pause * 2, 5.0)
        raise OvertureError(
            "client.no_answer", f"No batch was taken for {PATIENCE:.0f} s: {trouble}.", "Is it running?"
        )

    async def until_decided(self) -> None:
        """Poll ``/readyz`` until ``lag``, the facts accepted but undecided, is 0; give up when it stops falling."""
        least, deadline = float("inf"), time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                async with self._http.get(f"{self._url}/readyz") as response:
                    lag = (await response.json(content_type=None)).get("lag", least)
            except (aiohttp.ClientError, TimeoutError, ValueError):
                lag = least
            if lag == 0:
                return
            if lag < least:
                least, deadline = lag, time.monotonic() + PATIENCE
            await asyncio.sleep(0.1)
        raise OvertureError("client.no_answer", f"The server does not decide: {least} facts are left.", "See its log.")


def session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PATIENCE))


async def _taken(response: aiohttp.ClientResponse) -> dict[str, Any]:
    try:
        return await response.json(content_type=None)
    except ValueError:
        raise no_api(str(response.url.origin()), "it answers facts with something else than JSON") from None
