"""HTTP for requests with API keys: no redirects, no proxies, plain HTTP to this host only."""

import ssl
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any, NoReturn
from urllib.parse import urlsplit
from urllib.request import (
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
    build_opener,
)


class RefusedError(Exception):
    """No request was sent, because the API key could reach another program."""


class _NoRedirects(HTTPRedirectHandler):
    def redirect_request(self, req: Request, *response: Any) -> NoReturn:
        target = urlsplit(response[-1]).netloc
        raise RefusedError(
            f"{req.full_url} redirects to {target}, which must not receive the API key. "
            "If that is the API, set URL to it."
        )


def opener(url: str, environ: Mapping[str, str]) -> OpenerDirector:
    """Return an opener for requests to a URL.

    The environment's CA_FILE replaces the trusted certificate authorities.

    Raises:
        RefusedError: the URL is not one that an API key may be sent to, or CA_FILE is unreadable.
    """
    _check(url, environ)
    ca_file = environ.get("CA_FILE") or None
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise RefusedError(f"CA_FILE={ca_file} has no certificates: {error}") from error
    return build_opener(ProxyHandler({}), _NoRedirects, HTTPSHandler(context=context))


def _check(url: str, environ: Mapping[str, str]) -> None:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise RefusedError(f"URL must be like https://api.example.com, not {url!r}")
    allowed = _is_loopback(parts.hostname) or environ.get("ALLOW_PLAIN_HTTP") == "1"
    if parts.scheme == "http" and not allowed:
        raise RefusedError(
            f"http://{parts.netloc}: the API key would cross the network in the clear, readable by "
            "anyone on the path. Use https://, or set ALLOW_PLAIN_HTTP=1 for a trial."
        )


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
