"""`python -m api.healthcheck`: ends with 0 if this container's API is alive."""

import http.client
import os
import sys

TIMEOUT_SECONDS = 2


def main() -> int:
    """Ask /livez, never /readyz: a container is not to be restarted because DynamoDB is away."""
    port = int(os.environ.get("PORT", "8000"))
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", "/livez")
        return 0 if connection.getresponse().status == http.client.OK else 1
    except OSError:
        return 1
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main())
