"""`python -m api.healthcheck`: exits with 0 if this container's API is alive."""

import http.client
import os
import ssl
import sys

TIMEOUT_SECONDS = 2


def main() -> int:
    """Request /livez, never /readyz: a restart does not help when DynamoDB is down."""
    port = int(os.environ.get("PORT", "8000"))
    connection = _connection(port)
    try:
        connection.request("GET", "/livez")
        return 0 if connection.getresponse().status == http.client.OK else 1
    except OSError:
        return 1
    finally:
        connection.close()


def _connection(port: int) -> http.client.HTTPConnection:
    if not os.environ.get("TLS_CERTFILE") and not os.environ.get("TLS_CERTIFICATE"):
        return http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
    return http.client.HTTPSConnection(
        "127.0.0.1", port, timeout=TIMEOUT_SECONDS, context=unverified()
    )


def unverified() -> ssl.SSLContext:
    """Accept any certificate from this machine itself: the API's is for its public name."""
    return ssl._create_unverified_context()  # noqa: S323,SLF001


if __name__ == "__main__":
    sys.exit(main())
