"""Signed JSON Web Tokens for push services (JWS compact serialization, RFC 7515 §7.1)."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from services.core.base64url import base64url


def signed_token(algorithm: str, claims: Mapping[str, Any], sign: Callable[[bytes], bytes]) -> str:
    """Encode claims as a signed token; ``sign`` returns the algorithm's signature of the bytes."""
    header = {"typ": "JWT", "alg": algorithm}
    signed = ".".join(base64url(json.dumps(part).encode()) for part in (header, claims))
    return f"{signed}.{base64url(sign(signed.encode()))}"
