"""VAPID (RFC 8292): authenticates this server at Web Push services.

The installation keeps one key pair for its whole life, because a browser's subscription is bound to
the public key that it was made with. The key pair is derived from ``APP_KEY``, so that every node
has the same one and nothing is stored.
"""

import ipaddress
import time
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from services.config.keys import derive
from services.config.parsers import VAPID_CURVE
from services.core.base64url import base64url
from services.push.jwt import signed_token

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
TOKEN_SECONDS = 12 * 3600  # push services accept at most 24 hours
RENEW_SECONDS = 3600  # a token is replaced this long before it expires


def derived_key(app_key: bytes) -> ec.EllipticCurvePrivateKey:
    """The key pair of this installation, derived from ``APP_KEY``."""
    seed = int.from_bytes(derive(app_key, "vapid"))
    return ec.derive_private_key(seed % (ORDER - 1) + 1, VAPID_CURVE)


def contact(subject: str | None, app_url: str) -> str | None:
    """The contact for push services (claim ``sub``): the operator's setting, else the public URL.

    ``None`` for a local URL, because Apple refuses every push whose contact is “localhost”.

    >>> contact(None, "https://sms.example.com"), contact(None, "http://127.0.0.1:8000")
    ('https://sms.example.com', None)
    """
    if subject is not None:
        return subject
    parts = urlsplit(app_url)
    name = parts.hostname or ""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        local = "." not in name or name.endswith((".localhost", ".local", ".internal", ".test"))
        return app_url if parts.scheme == "https" and not local else None
    return None


class Vapid:
    """Makes the ``Authorization`` header for push services; keeps one token per origin."""

    def __init__(self, key: ec.EllipticCurvePrivateKey, subject: str | None) -> None:
        self._key = key
        self.subject = subject
        point = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        self.public_key = base64url(point)
        self._tokens: dict[str, tuple[str, float]] = {}

    def authorization(self, origin: str) -> str:
        """The ``Authorization`` header for a push service (RFC 8292 §3)."""
        token, expires = self._tokens.get(origin, ("", 0.0))
        if expires < time.time() + RENEW_SECONDS:
            expires = int(time.time()) + TOKEN_SECONDS
            claims: dict[str, str | int] = {"aud": origin, "exp": expires}
            if self.subject is not None:
                claims["sub"] = self.subject
            token = signed_token("ES256", claims, self._sign)
            self._tokens[origin] = token, expires
        return f"vapid t={token}, k={self.public_key}"

    def _sign(self, signed: bytes) -> bytes:
        """ES256 has the two numbers in sequence, not in ASN.1 (RFC 7518 §3.4)."""
        r, s = decode_dss_signature(self._key.sign(signed, ec.ECDSA(SHA256())))
        return r.to_bytes(32) + s.to_bytes(32)
