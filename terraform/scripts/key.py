"""Makes an API key of a running service and prints it, once: `make key URL=... WORKSPACE=...`."""

import json
import os
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

KEPT = Path(".data/bootstrap_key")
SECONDS = 10


def main() -> None:
    url = os.environ.get("URL") or "http://127.0.0.1:8000"
    made = _post(f"{url.rstrip('/')}/v1/keys", _wanted())
    print(made["key"])
    scopes = " and ".join(made["scopes"])
    print(f"A key of {made['workspace']} for {scopes}; it is not shown again.", file=sys.stderr)


def _wanted() -> dict[str, Any]:
    wanted: dict[str, Any] = {
        "label": os.environ.get("LABEL") or "made by hand",
        "scopes": (os.environ.get("SCOPES") or "tasks:read tasks:write").split(),
        "workspace": os.environ.get("WORKSPACE") or None,
        "expires_at": os.environ.get("EXPIRES_AT") or None,
    }
    return {name: value for name, value in wanted.items() if value is not None}


def _post(url: str, body: dict[str, Any]) -> dict[str, Any]:
    headers = {"Content-Type": "application/json"}
    if key := os.environ.get("BOOTSTRAP_KEY") or (KEPT.exists() and KEPT.read_text()):
        headers["Authorization"] = f"Bearer {key}"
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)  # noqa: S310 - the operator's own
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:  # noqa: S310 - likewise
            made: dict[str, Any] = json.load(answer)
            return made
    except urllib.error.HTTPError as error:
        sys.exit(f"{url} says {error.code}: {_detail(error)}")
    except OSError as error:
        sys.exit(f"{url} does not answer: {error}")


def _detail(error: urllib.error.HTTPError) -> str:
    try:
        problem = json.load(error)
    except ValueError:
        return error.reason
    return f"{problem['title']}. {problem.get('detail', '')}"


if __name__ == "__main__":
    main()
