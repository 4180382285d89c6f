"""What a Prometheus says of its rules."""

import json
import urllib.request
from typing import Any

from monitoring import local_stack


def rule_groups(port: int) -> list[dict[str, Any]]:
    """Return the rule groups that a Prometheus runs, once it responds.

    Raises:
        NotHereError: it did not respond.
    """
    url = f"http://127.0.0.1:{port}/api/v1/rules"
    local_stack._wait_for(url, ())
    with urllib.request.urlopen(url, timeout=1) as response:
        groups: list[dict[str, Any]] = json.load(response)["data"]["groups"]
    return groups
