"""Base64 in the URL-safe alphabet without padding (RFC 4648 §5)."""

import base64


def base64url(raw: bytes) -> str:
    """Bytes in the alphabet of web addresses, without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def from_base64url(written: str) -> bytes:
    """The bytes behind base64url, padded or not. Raises ``ValueError`` for anything else."""
    plain = written.rstrip("=")
    if not plain.isascii():
        raise ValueError("This is not base64url.")
    return base64.b64decode(plain + "=" * (-len(plain) % 4), altchars=b"-_", validate=True)
