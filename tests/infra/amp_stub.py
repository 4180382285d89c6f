"""A stub of what moto lacks of Amazon Managed Service for Prometheus: alert manager definitions."""

import json
from typing import Any

# Status, headers and body, as AwsProxy has them.
Response = tuple[int, list[tuple[str, str]], bytes]
CREATED_AT = 1_790_000_000


class AlertManagerDefinitions:
    """The definition of each workspace, which is active as soon as it is written."""

    def __init__(self) -> None:
        self._definitions: dict[str, str] = {}

    def response(self, operation: str, path: str, body: bytes) -> Response | None:
        """Return the response to a call about a definition, and None to any other."""
        if not operation.endswith("AlertManagerDefinition"):
            return None
        workspace = path.split("/")[2]
        if operation.startswith(("Create", "Put")):
            self._definitions[workspace] = json.loads(body)["data"]
            return _json(202, {"status": {"statusCode": "ACTIVE"}})
        if workspace not in self._definitions:
            return _json(
                404, {"message": "not found"}, ("x-amzn-ErrorType", "ResourceNotFoundException")
            )
        if operation.startswith("Delete"):
            del self._definitions[workspace]
            return _json(202, {})
        definition = {
            "data": self._definitions[workspace],
            "status": {"statusCode": "ACTIVE"},
            "createdAt": CREATED_AT,
            "modifiedAt": CREATED_AT,
        }
        return _json(200, {"alertManagerDefinition": definition})


def _json(status: int, document: dict[str, Any], *headers: tuple[str, str]) -> Response:
    body = json.dumps(document).encode()
    length = ("Content-Length", str(len(body)))
    return status, [("Content-Type", "application/json"), length, *headers], body
