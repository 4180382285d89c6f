"""Repeated headers of a request, and the security headers of every response."""

from collections.abc import Sequence

RawHeader = tuple[bytes, bytes]

# Sent over TLS only, as RFC 6797 demands.
HSTS: RawHeader = (b"strict-transport-security", b"max-age=31536000")


def join_repeated(headers: Sequence[RawHeader]) -> Sequence[RawHeader]:
    """Join the lines of each header by commas (RFC 9110 5.3), as gateways do for a function."""
    if len({name for name, _ in headers}) == len(headers):
        return headers
    lines: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        lines.setdefault(name, []).append(value)
    return [(name, b", ".join(values)) for name, values in lines.items()]


def security_headers(policy: bytes, *, cache: bytes = b"no-store") -> tuple[RawHeader, ...]:
    """Return the headers with a content security policy, and how the response may be cached."""
    return (
        (b"cache-control", cache),
        (b"content-security-policy", policy),
        (b"referrer-policy", b"no-referrer"),
        (b"x-content-type-options", b"nosniff"),
    )


# Responses are data: a browser must not render or cache them.
DATA_HEADERS = security_headers(b"default-src 'none'; frame-ancestors 'none'")
