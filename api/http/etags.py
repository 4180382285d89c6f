"""ETags: every write gives its task a new random revision, and the ETag is that revision.

docs/decisions/0004 says why it is not the version number. The ETag of a page is weak, because it
identifies the body and not a state to change.
"""

import hashlib
import os
import re
from typing import NamedTuple

from api.values import Matching

ETAG = re.compile(r'"([0-9a-f]{16})"', re.ASCII)
# A star, or RFC 9110's list of entity tags.
HEADER = Matching(
    r'^(\*|(W/)?"[!#-~]*"(\s*,\s*(W/)?"[!#-~]*")*)$',
    'put the ETag in double quotes, such as "a5a7d12d3d028369", or send * for any state',
)
# Room for fifty tags, well below the hundred values that DynamoDB compares in one condition.
HEADER_MAX_LENGTH = 1000


def new_revision() -> str:
    return os.urandom(8).hex()


def etag_of(revision: str) -> str:
    return f'"{revision}"'


def revision_of(etag: str) -> str:
    return etag.strip('"')


def weak_etag_of(body: bytes) -> str:
    """Return the ETag of a page: as long as a task's, so that the same parser serves both."""
    return f'W/"{hashlib.sha256(body).hexdigest()[:16]}"'


class Match(NamedTuple):
    """The revisions that an If-Match or If-None-Match header lists, or any at all."""

    revisions: frozenset[str]
    any_revision: bool = False

    def accepts(self, revision: str) -> bool:
        return self.any_revision or revision in self.revisions


def parse_strong(header: str) -> Match:
    """Parse If-Match, which compares strongly: weak and foreign tags match nothing."""
    if header == "*":
        return Match(frozenset(), any_revision=True)
    tags = (ETAG.fullmatch(part.strip()) for part in header.split(","))
    return Match(frozenset(found[1] for found in tags if found))


def parse_weak(header: str) -> Match:
    """Parse If-None-Match, which compares weakly: a cache may have made the tag weak."""
    return parse_strong(re.sub(r"\bW/", "", header))


def is_cached(etag: str, if_none_match: str | None) -> bool:
    """Return whether an If-None-Match header, if there is one, lists an ETag."""
    revision = revision_of(etag.removeprefix("W/"))
    return if_none_match is not None and parse_weak(if_none_match).accepts(revision)
