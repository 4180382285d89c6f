"""Where DynamoDB is, as botocore would find it."""

import os
import re
from pathlib import Path

import botocore.session

# The regions whose endpoints follow one pattern.
STANDARD_REGION = re.compile(r"(us|eu|ap|sa|ca|me|af|il|mx)-[a-z]+-\d+", re.ASCII)
# Environment variables that can make botocore choose another endpoint.
ENDPOINT_VARIABLES = (
    "AWS_CONFIG_FILE",
    "AWS_DATA_PATH",
    "AWS_ENDPOINT_URL",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_USE_",
)


def endpoint_url(region: str) -> str:
    """Return the URL of DynamoDB in a region.

    Botocore's resolver is one of the slowest parts of a cold start, so it is used only where
    the endpoint may not follow the standard pattern.
    """
    if STANDARD_REGION.fullmatch(region) and not _is_configured():
        return f"https://dynamodb.{region}.amazonaws.com"
    client = botocore.session.get_session().create_client("dynamodb", region_name=region)
    url: str = client.meta.endpoint_url
    return url


def _is_configured() -> bool:
    # expanduser, because Path.home() raises where the container's user has no home directory.
    home = os.path.expanduser("~/.aws")  # noqa: PTH111
    return Path(home).exists() or any(name.startswith(ENDPOINT_VARIABLES) for name in os.environ)
