"""VAPID (RFC 8292): how we show push services who we are.

One key pair for the life of the installation: a browser's subscription holds to the public key it
was made with. It follows from ``APP_KEY``, so that every node has the same one and nothing is kept.
"""

import ipaddress
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from services.config import derive, variable
from services.push.jwt import base64url, from_base64url, token
from services.values import email_address, url

CURVE = ec.SECP256R1()
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
TOKEN_SECONDS = 12 * 3600  # push services take at most 24 hours
RENEWED_SECONDS = 3600


def private_key(written: str) -> ec.EllipticCurvePrivateKey:
    """A private key as the usual tools print it: 32 bytes in base64url. Raises ``ValueError``."""
    raw = from_base64url(written)
    if len(raw) != 32:
        raise ValueError(f"it holds {len(raw)} bytes; it must hold 32.")
    return ec.derive_private_key(int.from_bytes(raw), CURVE)


def derived_key(app_key: bytes) -> ec.EllipticCurvePrivateKey:
    """The installation's own key pair."""
    seed = int.from_bytes(derive(app_key, "vapid"))
    return ec.derive_private_key(seed % (ORDER - 1) + 1, CURVE)


def subject(written: str) -> str:
    """A contact: an e-mail address, with ``mailto:`` or without, or an https address."""
    if written.startswith("https://"):
        return url(written)
    return f"mailto:{email_address(written.removeprefix('mailto:'))}"


@dataclass(frozen=True)
class VapidSettings:
    """Who we are to the push services; nothing of it has to be set."""

    private_key: ec.EllipticCurvePrivateKey | None = variable(  # noqa: RUF009 - it is frozen
        "VAPID key that devices subscribed with, in base64url; empty: derived from APP_KEY.",
        parse=private_key,
        optional=True,
        secret=True,
        remedy="It is the 43 signs that `npx web-push generate-vapid-keys` calls “Private Key”.",
    )
    subject: str | None = variable(
        "Whom push services may turn to: an e-mail or https address; empty: APP_URL.",
        parse=subject,
        optional=True,
        example="mailto:admin@example.com",
    )


def contact(subject: str | None, app_url: str) -> str | None:
    """Whom a push service may turn to: what the operator says, else the public address.

    Apple refuses every push of a sender who names itself “localhost”: then rather nobody.

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
    """Signs for the push service at each origin; a token is used again until it grows old."""

    def __init__(self, key: ec.EllipticCurvePrivateKey, subject: str | None) -> None:
        self._key = key
        self.subject = subject
        point = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        self.public_key = base64url(point)
        self._tokens: dict[str, tuple[str, float]] = {}

    def authorization(self, origin: str) -> str:
        """The ``Authorization`` header for a push service (RFC 8292 §3)."""
        written, expires = self._tokens.get(origin, ("", 0.0))
        if expires < time.time() + RENEWED_SECONDS:
            expires = int(time.time()) + TOKEN_SECONDS
            claims: dict[str, str | int] = {"aud": origin, "exp": expires}
            if self.subject is not None:
                claims["sub"] = self.subject
            written = token("ES256", claims, self._sign)
            self._tokens[origin] = written, expires
        return f"vapid t={written}, k={self.public_key}"

    def _sign(self, signed: bytes) -> bytes:
        """ES256 wants the two numbers side by side, not in ASN.1 (RFC 7518 §3.4)."""
        r, s = decode_dss_signature(self._key.sign(signed, ec.ECDSA(SHA256())))
        return r.to_bytes(32) + s.to_bytes(32)
