"""ETags: each write gives its task a revision of its own, and the tag is that revision.

docs/decisions/0004 says why it is not the version number.
"""

import os
import re
from typing import NamedTuple

TAG = re.compile(r'"([0-9a-f]{16})"', re.ASCII)
# A star, or RFC 9110's list of entity tags.
HEADER_PATTERN = r'^(\*|(W/)?"[!#-~]*"(\s*,\s*(W/)?"[!#-~]*")*)$'
# Room for fifty tags, well under the hundred values that DynamoDB compares in one condition.
HEADER_MAX_LENGTH = 1000


def new_revision() -> str:
    return os.urandom(8).hex()


def tag(revision: str) -> str:
    return f'"{revision}"'


def revision_of(etag: str) -> str:
    return etag.strip('"')


class Match(NamedTuple):
    """The revisions that an If-Match or If-None-Match header names, or any at all."""

    revisions: frozenset[str]
    any_revision: bool = False

    def accepts(self, revision: str) -> bool:
        return self.any_revision or revision in self.revisions


def parse_strong(header: str) -> Match:
    """Read If-Match, which compares strongly: weak tags and tags not ours match nothing."""
    if header == "*":
        return Match(frozenset(), any_revision=True)
    tags = (TAG.fullmatch(part.strip()) for part in header.split(","))
    return Match(frozenset(found[1] for found in tags if found))


def parse_weak(header: str) -> Match:
    """Read If-None-Match, which compares weakly: a cache may have made the tag weak."""
    return parse_strong(re.sub(r"\bW/", "", header))
