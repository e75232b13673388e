"""A small CRM in a process of its own, with the REST interface of HubSpot's contacts as its documentation shows it.

``python crm.py TOKEN APP_ID`` prints its port. Below ``/_/`` is what a person at the CRM does, and what its network.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

PROPERTIES = {"email", "firstname", "phone", "jobtitle", "lead_score", "vip", "note", "overture_sync"}
CONTACTS = "/crm/v3/objects/contacts"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def text_of(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def error(status: int, message: str, *codes: str, category: str = "VALIDATION_ERROR") -> web.Response:
    errors = [{"code": code, "message": message} for code in codes]
    return web.json_response(
        {"status": "error", "message": message, "category": category, "errors": errors}, status=status
    )


class Contact:
    """Its properties with their history, newest first, and all instants at which it changed."""

    def __init__(self, id: int) -> None:
        self.id = id
        self.history: dict[str, list[dict[str, str]]] = {}
        self.changed: list[int] = []

    def value(self, name: str) -> str | None:
        return self.history[name][0]["value"] if name in self.history else None

    def write(self, properties: Mapping[str, str], at: int, source: tuple[str, str]) -> None:
        """A value that stays as it is makes no version."""
        new = {name: str(value) for name, value in properties.items() if self.value(name) != str(value)}
        for name, value in new.items():
            version = {"value": value, "timestamp": text_of(at), "sourceType": source[0], "sourceId": source[1]}
            self.history.setdefault(name, []).insert(0, version)
        if new or not self.changed:
            self.changed.append(at)

    def told(self, names: list[str], history: list[str], changed: int | None = None) -> dict[str, Any]:
        at = self.changed[-1] if changed is None else changed
        known = {name: self.value(name) for name in names}
        properties = {**known, "hs_object_id": str(self.id), "lastmodifieddate": text_of(at)}
        made: dict[str, Any] = {
            "id": str(self.id),
            "properties": properties,
            "updatedAt": text_of(at),
            "archived": False,
        }
        if history:
            made["propertiesWithHistory"] = {name: self.history.get(name, []) for name in history}
        return made


class Crm:
    def __init__(self, token: str, app_id: str) -> None:
        self.token = token
        self.source = ("INTEGRATION", app_id)
        self.contacts: dict[int, Contact] = {}
        self.delay = 0.0  # seconds until the search knows of a change
        self.heedless = False  # whether the search answers the same page whatever it is asked for
        self.throttled: deque[str | None] = deque()
        self.lost = 0
        self.seen: Counter[str] = Counter()
        self.clock = 0

    def now(self) -> int:
        self.clock = max(self.clock, int(time.time() * 1000))
        return self.clock

    def by_email(self, email: str) -> Contact | None:
        return next((each for each in self.contacts.values() if each.value("email") == email.lower()), None)

    def find(self, id: str, by: str = "") -> Contact | None:
        if by == "email":
            return self.by_email(id)
        return self.contacts.get(int(id)) if id.isdigit() else None

    def make(self) -> Contact:
        made = Contact(1001 + len(self.contacts))
        self.contacts[made.id] = made
        return made

    @web.middleware
    async def guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith("/_/"):
            return await handler(request)
        self.seen[f"{request.method} {request.path.removeprefix(CONTACTS)}"] += 1
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            said = f"Authentication credentials not found: {request.headers.get('Authorization')}"
            return error(401, said, category="INVALID_AUTHENTICATION")
        if self.throttled:
            after = self.throttled.popleft()
            said = error(429, "You have reached your ten_secondly_rolling limit.", category="RATE_LIMITS")
            if after is not None:
                said.headers["Retry-After"] = after
            return said
        answer = await handler(request)
        if self.lost and request.method in ("PATCH", "POST") and not request.path.endswith(("search", "read")):
            self.lost -= 1
            assert request.transport is not None
            request.transport.abort()
        return answer

    def wrong(self, properties: Mapping[str, Any]) -> web.Response | None:
        for name, value in properties.items():
            if name not in PROPERTIES:
                return error(400, f'Property "{name}" does not exist', "PROPERTY_DOESNT_EXIST")
            if not isinstance(value, str):
                return error(400, f"{name} is no text", "INVALID_TYPE")
            if name == "email" and "@" not in value.strip("@"):
                return error(400, f"Email address {value} is invalid", "INVALID_EMAIL")
            if name == "lead_score" and value and not value.lstrip("-").replace(".", "", 1).isdigit():
                return error(400, f"{value} was not a valid number.", "INVALID_DOUBLE")
        return None

    async def look(self, request: web.Request) -> web.Response:
        found = self.find(request.match_info["id"], request.query.get("idProperty", ""))
        if found is None:
            return error(404, "resource not found", category="OBJECT_NOT_FOUND")
        names, history = (request.query.get(n, "") for n in ("properties", "propertiesWithHistory"))
        return web.json_response(found.told([*filter(None, names.split(","))], [*filter(None, history.split(","))]))

    async def page(self, request: web.Request) -> web.Response:
        limit = int(request.query.get("limit", "10"))
        return web.json_response(
            {"results": [each.told(["email"], []) for each in list(self.contacts.values())[:limit]]}
        )

    async def patch(self, request: web.Request) -> web.Response:
        found, body = self.find(request.match_info["id"]), await request.json()
        if found is None:
            return error(404, "resource not found", category="OBJECT_NOT_FOUND")
        if wrong := self.wrong(body["properties"]):
            return wrong
        found.write(body["properties"], self.now(), self.source)
        return web.json_response(found.told(list(body["properties"]), []))

    async def create(self, request: web.Request) -> web.Response:
        body = await request.json()
        if wrong := self.wrong(body["properties"]):
            return wrong
        if known := self.by_email(body["properties"].get("email", "")):
            return error(409, f"Contact already exists. Existing ID: {known.id}", category="CONFLICT")
        made = self.make()
        made.write(body["properties"], self.now(), self.source)
        return web.json_response(made.told(list(body["properties"]), []), status=201)

    async def upsert(self, request: web.Request) -> web.Response:
        results: list[dict[str, Any]] = []
        for each in (await request.json())["inputs"]:
            if wrong := self.wrong(each["properties"]):
                return wrong
            assert each["idProperty"] == "email"
            found = self.by_email(each["id"])
            into = found or self.make()
            into.write({**each["properties"], "email": each["id"].lower()}, self.now(), self.source)
            results.append({**into.told(list(each["properties"]), []), "new": found is None})
        return web.json_response({"status": "COMPLETE", "results": results})

    async def read(self, request: web.Request) -> web.Response:
        body = await request.json()
        if len(body["inputs"]) > (50 if body.get("propertiesWithHistory") else 100):
            return error(400, "Too many inputs", "INVALID_BATCH")
        found = [self.find(each["id"]) for each in body["inputs"]]
        told = [c.told(body.get("properties", []), body.get("propertiesWithHistory", [])) for c in found if c]
        return web.json_response({"status": "COMPLETE", "results": told}, status=200 if all(found) else 207)

    async def search(self, request: web.Request) -> web.Response:
        body = await request.json()
        limit, after = int(body.get("limit", 10)), int(body.get("after", 0))
        if limit > 100 or after + limit > 10_000:
            return error(400, "You can page through 10,000 results, 100 at once", "PAGING")
        horizon = self.now() - int(self.delay * 1000) if self.delay else sys.maxsize
        known = {
            each.id: max(before)
            for each in self.contacts.values()
            if (before := [c for c in each.changed if c <= horizon])
        }

        def holds(id: int, filter: Mapping[str, str]) -> bool:
            value = known[id] if filter["propertyName"] == "lastmodifieddate" else id
            asked = int(filter["value"])
            return {"GTE": value >= asked, "GT": value > asked, "EQ": value == asked}[filter["operator"]]

        by, groups = body["sorts"][0]["propertyName"], body["filterGroups"]
        if self.heedless:
            by, groups = "lastmodifieddate", [{"filters": []}]
        found = [i for i in known if any(all(holds(i, f) for f in g["filters"]) for g in groups)]
        found.sort(key=lambda id: (known[id], -id) if by == "lastmodifieddate" else id)  # of one instant: in any order
        results = [
            self.contacts[id].told(body.get("properties", []), [], known[id]) for id in found[after : after + limit]
        ]
        answer: dict[str, Any] = {"total": len(found), "results": results}
        if after + limit < len(found):
            answer["paging"] = {"next": {"after": str(after + limit)}}
        return web.json_response(answer)

    async def edit(self, request: web.Request) -> web.Response:
        """A person saves some properties; without an id of a contact that is there, of a new one. Answers the ids."""
        ids: list[int] = []
        at = self.now()
        for each in await request.json():
            found = (
                self.contacts.get(each.get("id", 0))
                or self.by_email(each["properties"].get("email", ""))
                or self.make()
            )
            found.write(each["properties"], each.get("at", at), ("CRM_UI", "userId:7"))
            ids.append(found.id)
        return web.json_response(ids)

    async def behave(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.delay = body.get("delay", self.delay)
        self.heedless = body.get("heedless", self.heedless)
        self.lost += body.get("lose", 0)
        self.throttled.extend(body.get("throttle", []))
        return web.json_response({})

    async def time(self, request: web.Request) -> web.Response:
        return web.json_response(self.now())

    async def state(self, request: web.Request) -> web.Response:
        contacts = {
            each.value("email"): each.told(sorted(PROPERTIES), sorted(PROPERTIES)) for each in self.contacts.values()
        }
        return web.json_response({"contacts": contacts, "requests": self.seen})


async def main(token: str, app_id: str) -> None:
    crm = Crm(token, app_id)
    app = web.Application(middlewares=[crm.guard], client_max_size=2**24)
    app.router.add_post(f"{CONTACTS}/search", crm.search)
    app.router.add_post(f"{CONTACTS}/batch/read", crm.read)
    app.router.add_post(f"{CONTACTS}/batch/upsert", crm.upsert)
    app.router.add_get(f"{CONTACTS}/{{id}}", crm.look)
    app.router.add_patch(f"{CONTACTS}/{{id}}", crm.patch)
    app.router.add_get(CONTACTS, crm.page)
    app.router.add_post(CONTACTS, crm.create)
    app.router.add_post("/_/edit", crm.edit)
    app.router.add_post("/_/behave", crm.behave)
    app.router.add_get("/_/state", crm.state)
    app.router.add_get("/_/time", crm.time)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(json.dumps({"port": runner.addresses[0][1]}), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)  # until whoever started it lets go
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
