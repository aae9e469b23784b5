"""JSON Web Tokens as push services want them (RFC 7515 §7.1): made, never read."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from services.core.base64url import base64url


def token(algorithm: str, claims: Mapping[str, Any], sign: Callable[[bytes], bytes]) -> str:
    """A signed token; ``sign`` makes the signature of the algorithm over the given bytes."""
    header = {"typ": "JWT", "alg": algorithm}
    signed = ".".join(base64url(json.dumps(part).encode()) for part in (header, claims))
    return f"{signed}.{base64url(sign(signed.encode()))}"
