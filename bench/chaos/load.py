"""Writers: apps that post facts and retry the same ids until each is acknowledged."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import aiohttp
import msgspec

from bench.chaos.ledger import Ledger

RETRY = (429, 500, 502, 503, 504)
NDJSON = "application/x-ndjson"


class Writer:
    """One app with contacts of its own: it waits for the acknowledgement of a contact's fact before it sends the next.

    ``fresh_ids``: retries and repeats carry a new id, as a client without ids would: the bed must then find doubles.
    """

    def __init__(
        self,
        number: int,
        contacts: int,
        http: aiohttp.ClientSession,
        url: str,
        key: str,
        ledger: Ledger,
        fresh_ids: bool,
    ) -> None:
        self._contacts = [f"c{number}x{i}" for i in range(contacts)]
        self._dice = random.Random(f"{ledger.run}/{number}")
        self._http = http
        self._url = f"{url}/v1/facts"
        self._headers = {"Authorization": f"Bearer {key}"}
        self._ledger = ledger
        self._fresh_ids = fresh_ids
        self._attempts = 0

    async def run(self, stop: asyncio.Event, pause: float) -> None:
        """Post until ``stop``, with random pauses around ``pause`` seconds; what is under way is still acknowledged."""
        while not stop.is_set():
            wait = self._dice.random() < 0.15
            count = 1 if wait or self._dice.random() < 0.4 else self._dice.randint(2, 60)
            facts = [self._ledger.new_fact(self._dice.choice(self._contacts), self._dice) for _ in range(count)]
            await self._until_acknowledged(facts, wait)
            if self._dice.random() < 0.08:
                await self._repeat(facts)
            await asyncio.sleep(self._dice.uniform(0, 2 * pause))

    async def _until_acknowledged(self, facts: list[dict[str, Any]], wait: bool) -> None:
        twice = self._dice.random() < 0.03  # an impatient client: the same request on two connections at once
        while True:
            answers = await asyncio.gather(*(self._post(facts, wait) for _ in range(1 + twice)))
            answer = next((answer for answer in answers if answer is not None), None)
            if answer is None:
                self._ledger.retries += 1
                await asyncio.sleep(self._dice.uniform(0.05, 0.3))
                continue
            if answer["rejected"]:
                self._ledger.unexpected.append(f"rejected: {answer['rejected'][0]}")
                return
            if answer["accepted"] + answer["duplicates"] != len(facts):
                self._ledger.unexpected.append(f"{len(facts)} facts sent, answered {answer}")
            self._ledger.acknowledge(facts)
            if wait:
                self._ledger.waited_for(facts[0], answer["decisions"][0])
            return

    async def _repeat(self, facts: list[dict[str, Any]]) -> None:
        self._ledger.repeats += 1
        answer = await self._post(facts, wait=False)
        if answer is not None:
            self._ledger.taken_twice += answer["accepted"]

    async def _post(self, facts: list[dict[str, Any]], wait: bool) -> dict[str, Any] | None:
        """The answer to 200; None where nothing is known or the server said "later"."""
        if self._fresh_ids:
            self._attempts += 1
            facts = [{**fact, "id": f"{fact['id']}.{self._attempts}"} for fact in facts]
        body = b"\n".join(map(msgspec.json.encode, facts))
        headers = {**self._headers, "Content-Type": NDJSON if len(facts) > 1 else "application/json"}
        try:
            async with self._http.post(self._url + "?wait=true" * wait, data=body, headers=headers) as response:
                text = await response.text()
                if response.status == 200:
                    return msgspec.json.decode(text)
                if response.status not in RETRY:
                    self._ledger.unexpected.append(f"{response.status} {text[:300]}")
        except (aiohttp.ClientError, TimeoutError):
            pass
        return None
