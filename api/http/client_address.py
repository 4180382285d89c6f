"""The address of a client: the socket's peer, or what trusted proxies report."""

from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network

from starlette.types import Scope

FORWARDED = b"x-forwarded-for"
# One household or machine usually has a whole network of this size.
IPV6_PREFIX = 64


def client_address(scope: Scope, trusted_hops: int) -> str:
    """Return the address of a request's client.

    Each proxy appends the address of its own peer to X-Forwarded-For. Entries before those of
    the trusted proxies may be forged.
    """
    if trusted_hops:
        values = [value for name, value in scope["headers"] if name == FORWARDED]
        hops = b",".join(values).decode("latin-1").split(",")
        if len(hops) >= trusted_hops and (address := _normalise(hops[-trusted_hops])):
            return address
    return peer_address(scope.get("client"))


def peer_address(peer: tuple[str, int] | None) -> str:
    return (peer and _normalise(peer[0])) or "unknown"


def client_network(address: str) -> str:
    """Return what one client is likely to control: an IPv4 address, or an IPv6 network."""
    if ":" not in address:
        return address
    return str(ip_network((address, IPV6_PREFIX), strict=False))


@lru_cache(maxsize=1024)
def _normalise(text: str) -> str | None:
    try:
        found = ip_address(text.strip())
    except ValueError:
        return None
    if isinstance(found, IPv6Address) and found.ipv4_mapped:
        return str(found.ipv4_mapped)
    return str(found)
