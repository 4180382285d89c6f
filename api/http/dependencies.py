"""Checks that routes share, as FastAPI dependencies."""

from collections.abc import Awaitable, Callable, Sequence

from fastapi import Request

from api.errors import InvalidRequest, UnsupportedMediaType

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"


def reject_duplicates_except(*repeatable: str) -> Callable[[Request], Awaitable[None]]:
    """Return a dependency that refuses any other query parameter that occurs twice."""

    async def reject_duplicate_params(request: Request) -> None:
        names = [name for name, _ in request.query_params.multi_items() if name not in repeatable]
        for name in sorted({name for name in names if names.count(name) > 1}):
            raise InvalidRequest.of("query", name, "Duplicate query parameter.")

    return reject_duplicate_params


def require_media_type(request: Request, accepted: Sequence[str]) -> None:
    """Refuse a body of any other media type.

    Raises:
        UnsupportedMediaType: with the accepted ones in Accept-Post or Accept-Patch.
    """
    sent = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if sent not in accepted:
        listed_in = f"Accept-{request.method.capitalize()}"
        headers = {listed_in: ", ".join(accepted)}
        raise UnsupportedMediaType(f"Send {' or '.join(accepted)}.", headers=headers)
