"""Encryption of Web Push messages (RFC 8291), so that push services cannot read them."""

import os

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from services.core.base64url import from_base64url

CURVE = ec.SECP256R1()
RECORD_BYTES = 4096  # the largest body that push services must accept …
MAX_CONTENT_BYTES = 3993  # … and what remains of it for the content
AUTH_BYTES = 16


def receiver_key(p256dh: str) -> ec.EllipticCurvePublicKey:
    """Decode the public key of a subscription. Raises ``ValueError`` if it is invalid."""
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(CURVE, from_base64url(p256dh))
    except UnsupportedAlgorithm:
        raise ValueError("This is no point of the curve.") from None


def encrypt(
    content: bytes,
    p256dh: str,
    auth: str,
    *,
    key: ec.EllipticCurvePrivateKey | None = None,
    salt: bytes | None = None,
) -> bytes:
    """Encrypt the body of a push (``aes128gcm``, one record) for a subscription with these keys.

    ``key`` and ``salt`` are new and random for every body; tests set them. Raises ``ValueError``
    for content of more than ``MAX_CONTENT_BYTES`` bytes.
    """
    if len(content) > MAX_CONTENT_BYTES:
        raise ValueError(f"A push holds {MAX_CONTENT_BYTES} bytes; this has {len(content)}.")
    key = key or ec.generate_private_key(CURVE)
    salt = salt or os.urandom(16)
    receiver = receiver_key(p256dh)
    points = _point(receiver) + (sender := _point(key.public_key()))
    shared = key.exchange(ec.ECDH(), receiver)
    secret = _derive(shared, from_base64url(auth), b"WebPush: info\0" + points, 32)
    content_key = _derive(secret, salt, b"Content-Encoding: aes128gcm\0", 16)
    nonce = _derive(secret, salt, b"Content-Encoding: nonce\0", 12)
    sealed = AESGCM(content_key).encrypt(nonce, content + b"\2", None)  # 2 marks the last record
    return salt + RECORD_BYTES.to_bytes(4) + len(sender).to_bytes(1) + sender + sealed


def _point(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def _derive(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    return HKDF(SHA256(), length, salt, info).derive(secret)
