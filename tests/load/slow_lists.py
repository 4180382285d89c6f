"""A store in which the lists of one workspace take long: a filter leaves nothing of each page.

`python -m tests.load.slow_lists <API keys>` prints its port. The second key's workspace is slow.
"""

import asyncio
import sys
from functools import partial

import uvloop

from tests.bench.stub import CONSUMED, ITEM, Stub, key_responses, response

SECONDS = 0.1
EMPTY = {"Items": [], "Count": 0, "ScannedCount": 100, "LastEvaluatedKey": ITEM}
EMPTY_PAGE = response({**EMPTY, "ConsumedCapacity": CONSUMED})


class SlowStub(Stub):
    """Delays the queries of one workspace."""

    def on_message_complete(self) -> None:
        if self._operation == "Query" and b"workspace-1" in self._body:
            loop = asyncio.get_running_loop()
            loop.call_later(SECONDS, self._transport.write, EMPTY_PAGE)
        else:
            super().on_message_complete()


async def main(keys: str) -> None:
    protocol = partial(SlowStub, key_responses(keys.split(",")))
    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
