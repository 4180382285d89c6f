"""Who is calling, and therefore which partition of the table is theirs."""

from typing import Annotated, NamedTuple

from fastapi import Depends, Request


class Principal(NamedTuple):
    """A caller whose tasks are those of one workspace."""

    workspace: str


# Until there are keys, everyone is the same caller.
ANYONE = Principal(workspace="default")


async def principal(request: Request) -> Principal:
    request.scope["workspace"] = ANYONE.workspace
    return ANYONE


Caller = Annotated[Principal, Depends(principal)]
