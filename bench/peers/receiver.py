"""A receiver of webhooks: /quick answers at once, /slow after half a minute.

The body of a message to /quick is the time at which it was sent, in nanoseconds of the machine's monotonic clock. GET
returns how many seconds each message took to arrive, for those since the last GET.
"""

import asyncio
import json
import sys
import time

from aiohttp import web

SLOW_SECONDS = 30


def application() -> web.Application:
    """Return the receiver."""
    seen: list[float] = []

    async def quick(request: web.Request) -> web.Response:
        seen.append((time.monotonic_ns() - int(await request.read())) / 1e9)
        return web.Response(status=204)

    async def slow(_request: web.Request) -> web.Response:
        await asyncio.sleep(SLOW_SECONDS)
        return web.Response(status=204)

    async def told(_request: web.Request) -> web.Response:
        answer = json.dumps(seen)
        seen.clear()
        return web.Response(text=answer)

    app = web.Application()
    app.add_routes([web.post("/quick", quick), web.post("/slow", slow), web.get("/", told)])
    return app


if __name__ == "__main__":
    web.run_app(application(), host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=lambda _: None)
