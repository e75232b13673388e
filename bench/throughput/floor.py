"""What aiohttp alone does with the same POST: rows (a) and, with a store, (b).

`python -m bench.throughput.floor PORT [STORE_URL]`. The body is read and parsed, since the answer names the fact's id,
and answered in the shape of ``POST /v1/facts``. With a store, each request first waits for one durable append.
"""

from __future__ import annotations

import sys

import msgspec
import uvloop
from aiohttp import web

from overture.state.wire import Wire


async def serve(port: int, store: str) -> web.Application:
    wire = await Wire.connect(store) if store else None

    async def facts(request: web.Request) -> web.Response:
        body = await request.read()
        fact = msgspec.json.decode(body)
        if wire is not None:
            await wire.call("XADD", "floor", "*", "f", body)
        answer = {"accepted": 1, "duplicates": 0, "rejected": [], "ids": [fact["id"]]}
        return web.Response(body=msgspec.json.encode(answer), content_type="application/json")

    async def ready(request: web.Request) -> web.Response:
        return web.json_response({"lag": 0})

    app = web.Application()
    app.router.add_post("/v1/facts", facts)
    app.router.add_get("/readyz", ready)
    return app


if __name__ == "__main__":
    uvloop.install()
    web.run_app(
        serve(int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else ""),
        host="127.0.0.1",
        port=int(sys.argv[1]),
        access_log=None,
        print=None,
    )
