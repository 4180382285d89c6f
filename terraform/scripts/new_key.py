"""Print a new API key for BOOTSTRAP_KEY: `tt_<id>_<secret>_<CRC-32>`. It is stored nowhere.

A script without dependencies; a test checks that the API and Terraform accept its keys.
"""

import secrets
import zlib

# Crockford's base 32. An id has the form of a ULID, whose first digit is at most 7.
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def key(key_id: str, secret: str) -> str:
    body = f"tt_{key_id}_{secret}"
    return f"{body}_{zlib.crc32(body.encode()):08x}"


def random_id() -> str:
    return secrets.choice("01234567") + "".join(secrets.choice(ALPHABET) for _ in range(25))


if __name__ == "__main__":
    print(key(random_id(), secrets.token_hex(32)))
