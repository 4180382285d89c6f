"""Print a new API key, such as BOOTSTRAP_KEY takes: `new_key.py`. No store knows it.

`tt_<id>_<secret>_<check>`: a ULID of now, 256 random bits, and a CRC-32 over all before it.
"""

import secrets
import time
import zlib

# Crockford's: without the letters that are taken for digits, and without U.
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
ULID_LETTERS = 26
RANDOM_BITS = 80
SECRET_BYTES = 32


def ulid(milliseconds: int) -> str:
    value = milliseconds << RANDOM_BITS | secrets.randbits(RANDOM_BITS)
    return "".join(ALPHABET[value >> 5 * place & 31] for place in reversed(range(ULID_LETTERS)))


def key(key_id: str, secret: str) -> str:
    body = f"tt_{key_id}_{secret}"
    return f"{body}_{zlib.crc32(body.encode()):08x}"


if __name__ == "__main__":
    print(key(ulid(time.time_ns() // 1_000_000), secrets.token_hex(SECRET_BYTES)))
