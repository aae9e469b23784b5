"""Base64 in the URL-safe alphabet without padding (RFC 4648 §5)."""

import base64


def base64url(raw: bytes) -> str:
    """Encode bytes as base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def from_base64url(encoded: str) -> bytes:
    """Decode base64url with or without padding. Raises ``ValueError`` for anything else."""
    plain = encoded.rstrip("=")
    if not plain.isascii():
        raise ValueError("This is not base64url.")
    return base64.b64decode(plain + "=" * (-len(plain) % 4), altchars=b"-_", validate=True)
