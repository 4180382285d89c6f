"""An app that uses as much CPU time for a request as its path says, in microseconds."""

import time
from typing import Any


async def app(scope: dict[str, Any], _receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    end = time.process_time() + int(scope["path"].removeprefix("/")) / 1e6
    while time.process_time() < end:
        pass
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})
