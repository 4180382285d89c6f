"""AWS's clients for the scripts beside this file, which run by path."""

import os
import sys
from typing import Any

try:
    import boto3
except ModuleNotFoundError:
    sys.exit(
        "boto3 is not installed in this Python. Run `make run-venv` once, and then "
        f"`.venv/bin/python {' '.join(sys.argv)}`."
    )


def client(service: str, region: str | None = None) -> Any:
    """Return a client of a region, or else of AWS_REGION, which boto3 itself does not read."""
    region = region or os.environ.get("AWS_REGION")
    return boto3.client(service, region_name=region)  # type: ignore[call-overload]
