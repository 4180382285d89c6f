"""What a request has to keep to, whatever it asks for."""

from fastapi import Request

from api import errors

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"


async def json_only(request: Request) -> None:
    _require(request, JSON, accepted_by="Accept-Post")


async def merge_patch_only(request: Request) -> None:
    _require(request, MERGE_PATCH, accepted_by="Accept-Patch")


async def said_once(request: Request) -> None:
    """Refuse a query that says one thing twice: which of them is meant nobody can tell."""
    names = [name for name, _ in request.query_params.multi_items()]
    for name in sorted({name for name in names if names.count(name) > 1}):
        fault = {"location": "query", "field": name, "detail": "Say it once."}
        raise errors.InvalidRequest(f"query {name}: Say it once.", errors=[fault])


def _require(request: Request, wanted: str, accepted_by: str) -> None:
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given != wanted:
        raise errors.WrongMediaType(f"Send {wanted}.", headers={accepted_by: wanted})
