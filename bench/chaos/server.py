"""Overture's answers about itself, over HTTP."""

from __future__ import annotations

import asyncio
import time
from typing import Any
from urllib.parse import quote

import aiohttp

PAGE = 200


class Server:
    """A client with the admin key."""

    def __init__(self, http: aiohttp.ClientSession, url: str, admin_key: str) -> None:
        self._http = http
        self._url = url
        self._headers = {"Authorization": f"Bearer {admin_key}"}

    async def deploy(self, name: str, document: str) -> None:
        """Put a ruleset and activate it."""
        path = f"{self._url}/v1/rulesets/{name}"
        headers = {**self._headers, "Content-Type": "application/yaml"}
        async with self._http.put(path, data=document.encode(), headers=headers) as response:
            answer = await response.json(content_type=None)
            if response.status not in (200, 201):
                raise SystemExit(f"The ruleset is refused: {answer}")
        async with self._http.post(
            f"{path}/revisions/{answer['revision']}/activate", headers=self._headers
        ) as response:
            if response.status != 200:
                raise SystemExit(f"The ruleset cannot be activated: {await response.text()}")

    async def contact(self, contact: str) -> dict[str, Any] | None:
        return await self._get(f"/v1/contacts/{quote(contact, safe='')}")

    async def timeline(self, contact: str) -> list[dict[str, Any]]:
        """The facts of the contact's timeline, oldest first."""
        items = await self._pages(f"/v1/contacts/{quote(contact, safe='')}/timeline?", "items")
        return [item["fact"] for item in reversed(items)]

    async def messages(self, state: str) -> list[dict[str, Any]]:
        return await self._pages(f"/v1/messages?state={state}&", "items")

    async def until_ready(self, seconds: float) -> None:
        """Wait until the server says that it is ready."""
        deadline = time.monotonic() + seconds
        while await self._readiness() is None:
            if time.monotonic() > deadline:
                raise SystemExit(f"The server is not ready after {seconds:.0f} s.")
            await asyncio.sleep(0.1)

    async def drained(self, seconds: float) -> bool:
        """Wait until every accepted fact is decided and no message is open; False if that takes too long."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            ready = await self._readiness()
            if ready is not None and ready["lag"] == 0:
                states = ("queued", "sending", "retrying")
                if not any([await self._get(f"/v1/messages?state={state}&limit=1", "items") for state in states]):
                    return True
            await asyncio.sleep(0.2)
        return False

    async def _readiness(self) -> dict[str, Any] | None:
        try:
            async with self._http.get(f"{self._url}/readyz") as response:
                return await response.json(content_type=None) if response.status == 200 else None
        except (aiohttp.ClientError, TimeoutError):
            return None

    async def _get(self, path: str, field: str = "") -> Any:
        async with self._http.get(self._url + path, headers=self._headers) as response:
            if response.status == 404:
                return None
            if response.status != 200:
                raise SystemExit(f"GET {path} answered {response.status}: {(await response.text())[:300]}")
            answer = await response.json()
            return answer[field] if field else answer

    async def _pages(self, path: str, field: str) -> list[Any]:
        items: list[Any] = []
        cursor = ""
        while True:
            page = await self._get(f"{path}limit={PAGE}{cursor}")
            items += page[field] if page else []
            if not page or not page.get("next"):
                return items
            cursor = f"&cursor={quote(page['next'], safe='')}"
