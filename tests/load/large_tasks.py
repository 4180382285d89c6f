"""A store with large tasks that responds at once: pages of 1 MB, as DynamoDB ends them.

`python -m tests.load.large_tasks <API key>` prints its port.
"""

import asyncio
import sys
from functools import partial

import uvloop

from tests.bench import stub
from tests.bench.stub import CONSUMED, ITEM, Stub, distinct, key_responses, response

# A description of 8 000 characters of four bytes each: 31 items are 1 MB.
LARGE = ITEM | {"description": {"S": "\U0001f5fe" * 8000}}
ITEMS = distinct(LARGE, 31)
# Lists are newest first: the last task read is the first by its id.
PAGE = {"Items": ITEMS, "Count": 31, "ScannedCount": 31, "LastEvaluatedKey": ITEMS[0]}


async def main(key: str) -> None:
    stub.RESPONSES["Query"] = response({**PAGE, "ConsumedCapacity": CONSUMED})
    protocol = partial(Stub, key_responses([key]))
    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
