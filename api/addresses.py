"""Where a request comes from: the socket's peer, or what trusted proxies say of it."""

from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network

from starlette.types import Scope

FORWARDED = b"x-forwarded-for"
# One household or machine has a whole network of this size to itself.
IPV6_PREFIX = 64


def client(scope: Scope, trusted_hops: int) -> str:
    """Name the address of a request's sender.

    Each proxy adds the one that it heard from at the end: what stands further in front than the
    trusted ones reach was written by anybody.
    """
    if trusted_hops:
        values = [value for name, value in scope["headers"] if name == FORWARDED]
        hops = b",".join(values).decode("latin-1").split(",")
        if len(hops) >= trusted_hops and (address := _address(hops[-trusted_hops])):
            return address
    peer = scope.get("client")
    return (peer and _address(peer[0])) or "unknown"


def is_loopback(host: str) -> bool:
    """Tell whether a peer is on this host; what is no address is not."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def network(address: str) -> str:
    """Name what one sender is likely to hold: an IPv4 address, or an IPv6 network."""
    if ":" not in address:
        return address
    return str(ip_network((address, IPV6_PREFIX), strict=False))


@lru_cache(maxsize=1024)
def _address(text: str) -> str | None:
    try:
        found = ip_address(text.strip())
    except ValueError:
        return None
    if isinstance(found, IPv6Address) and found.ipv4_mapped:
        return str(found.ipv4_mapped)
    return str(found)
