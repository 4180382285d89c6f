"""Whose word it is that DynamoDB is itself: botocore's authorities, Amazon's own first.

DynamoDB's certificates come from Amazon's authorities. To read all the others too is one of the
longer parts of a cold start: that is done where a certificate turns out to be somebody else's.
"""

import re
import ssl
from pathlib import Path

from botocore.httpsession import where

# In a bundle each certificate stands under a line that says whose it is.
AMAZONS = re.compile(
    r"^# Subject: CN=Amazon Root CA \d+ O=Amazon\n(?:#.*\n)*"
    r"(-----BEGIN CERTIFICATE-----\n[^-]+-----END CERTIFICATE-----)",
    re.MULTILINE,
)


def in_amazon() -> ssl.SSLContext:
    """Trust Amazon's authorities, or all of them in a bundle that does not say which those are."""
    own = AMAZONS.findall(Path(where()).read_text())
    return ssl.create_default_context(cadata="\n".join(own)) if own else in_everybody()


def in_everybody() -> ssl.SSLContext:
    """Trust whom botocore does."""
    return ssl.create_default_context(cafile=where())


def is_lacking(error: BaseException) -> bool:
    """Tell whether a connection was not made for want of trust."""
    return isinstance(error.__cause__, ssl.SSLCertVerificationError)
