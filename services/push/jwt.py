"""JSON Web Tokens as push services want them (RFC 7515 §7.1): made, never read."""

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any


def token(algorithm: str, claims: Mapping[str, Any], sign: Callable[[bytes], bytes]) -> str:
    """A signed token; ``sign`` makes the signature of the algorithm over the given bytes."""
    header = {"typ": "JWT", "alg": algorithm}
    signed = ".".join(base64url(json.dumps(part).encode()) for part in (header, claims))
    return f"{signed}.{base64url(sign(signed.encode()))}"


def base64url(raw: bytes) -> str:
    """Bytes in the alphabet of web addresses, without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def from_base64url(written: str) -> bytes:
    """The bytes behind base64url, padded or not. Raises ``ValueError`` for anything else."""
    plain = written.rstrip("=")
    if not plain.isascii():
        raise ValueError("This is not base64url.")
    return base64.b64decode(plain + "=" * (-len(plain) % 4), altchars=b"-_", validate=True)
