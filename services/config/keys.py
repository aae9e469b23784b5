"""Secret keys: reading ``APP_KEY`` and deriving keys and tokens from it."""

import base64
import binascii
import hashlib
import hmac


def key(value: str) -> bytes:
    """Parse a secret key: Laravel's ``base64:…``, or a text of at least 16 characters."""
    if value.startswith("base64:"):
        try:
            raw = base64.b64decode(value.removeprefix("base64:"), validate=True)
        except binascii.Error:
            raise ValueError("what follows base64: is not base64.") from None
    else:
        raw = value.encode()
    if len(raw) < 16:
        raise ValueError("it is too short to be safe.")
    return raw


def derive(app_key: bytes, purpose: str) -> bytes:
    """Derive a key (32 bytes) for one purpose from ``APP_KEY``; each purpose has its own."""
    return hmac.digest(app_key, b"textbridge:" + purpose.encode(), hashlib.sha256)


def derived_token(app_key: bytes, purpose: str) -> str:
    """Derive a URL-safe token (32 characters, 192 bits) for one purpose."""
    return base64.urlsafe_b64encode(derive(app_key, purpose)[:24]).decode()
