"""Create an API key on a running service and print it: `make key URL=... WORKSPACE=...`.

The bootstrap key comes from BOOTSTRAP_KEY in the environment or from the directory of `make run`,
never from an argument: every user of this host can read the arguments of processes.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request

# These scripts run by path, so the repository is not on Python's path.
sys.path.insert(0, str(Path(__file__).parents[2]))

from terraform.scripts.safe_http import RefusedError, opener

# Written by `make run`.
LOCAL_BOOTSTRAP_KEY = Path(".data/bootstrap_key")
TIMEOUT_SECONDS = 10


def main() -> None:
    url = os.environ.get("URL") or f"http://127.0.0.1:{os.environ.get('PORT') or 8000}"
    created = _post(f"{url.rstrip('/')}/v1/keys", _body())
    print(created["key"])
    scopes = " and ".join(created["scopes"])
    print(
        f"API key of workspace {created['workspace']} for {scopes}. It is not shown again.",
        file=sys.stderr,
    )


def _body() -> dict[str, Any]:
    fields: dict[str, Any] = {
        "label": os.environ.get("LABEL") or "created with make key",
        "scopes": (os.environ.get("SCOPES") or "tasks:read tasks:write").split(),
        "workspace": os.environ.get("WORKSPACE") or None,
        "expires_at": os.environ.get("EXPIRES_AT") or None,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _post(url: str, body: dict[str, Any]) -> dict[str, Any]:
    headers = {"Content-Type": "application/json"}
    if key := os.environ.get("BOOTSTRAP_KEY") or _local_bootstrap_key():
        headers["Authorization"] = f"Bearer {key}"
    try:
        request = Request(url, json.dumps(body).encode(), headers)  # noqa: S310 - checked by opener
        with opener(url, os.environ).open(request, timeout=TIMEOUT_SECONDS) as response:
            created: dict[str, Any] = json.load(response)
            return created
    except RefusedError as error:
        sys.exit(str(error))
    except HTTPError as error:
        sys.exit(f"{url} returned {error.code}: {_detail(error)}")
    except OSError as error:
        sys.exit(f"{url} cannot be reached: {error}. URL=... or PORT=... names another address")


def _local_bootstrap_key() -> str:
    return LOCAL_BOOTSTRAP_KEY.read_text() if LOCAL_BOOTSTRAP_KEY.exists() else ""


def _detail(error: HTTPError) -> str:
    try:
        problem = json.load(error)
    except ValueError:
        return error.reason
    return f"{problem['title']}. {problem.get('detail', '')}"


if __name__ == "__main__":
    main()
