"""Telnyx's webhook signature: Ed25519 over ``timestamp|body``, right for five minutes.

https://developers.telnyx.com/docs/messaging/messages/receiving-webhooks; the window is also that of
Telnyx's own SDKs (https://github.com/team-telnyx/telnyx-python, ``lib/webhook_verification.py``).
"""

import base64
import re
from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from services.core.errors import InvalidWebhook
from services.core.messages import WebhookCall
from services.core.secrets import same_secret
from services.providers.proofs import NoSigningKey, Part, Proof

NO_KEY = (
    "Telnyx signs with a private key that only Telnyx has. For a trial make a pair of your own and "
    "give its private half as --signing-key: docs/carriers/telnyx.md says how."
)

_SECONDS = re.compile(r"[0-9]{1,12}", re.ASCII)


def public_key(value: str) -> str:
    """A public key as the portal shows it: the 32 bytes of an Ed25519 key in base64."""
    try:
        Ed25519PublicKey.from_public_bytes(base64.b64decode(value, validate=True))
    except ValueError:
        raise ValueError("it must be the key as Telnyx shows it, 44 letters of base64.") from None
    return value


class TelnyxSignature(Proof):
    """The signature of the body and of the time at which it was signed.

    ``key`` is a ``public_key``; ``clock`` returns seconds since 1970.
    """

    header = "telnyx-signature-ed25519"
    timestamp = "telnyx-timestamp"
    covers: ClassVar[frozenset[Part]] = frozenset(("body",))
    window = 300.0
    foreign_key = True

    def __init__(self, key: str, clock: Callable[[], float]) -> None:
        self._key = Ed25519PublicKey.from_public_bytes(base64.b64decode(key))
        self._clock = clock

    def require_head(self, call: WebhookCall) -> None:
        """Raise ``InvalidWebhook`` unless the call was signed just now, and has a signature."""
        at = call.headers.get(self.timestamp, "")
        if not _SECONDS.fullmatch(at) or abs(self._clock() - int(at)) > self.window:
            raise InvalidWebhook("Telnyx's time is missing, or five minutes away from our clock.")
        super().require_head(call)

    def require(self, call: WebhookCall) -> None:
        """Verify the time of signing, then the Ed25519 signature."""
        self.require_head(call)
        at, offered = call.headers.get(self.timestamp, ""), call.headers.get(self.header, "")
        try:
            raw = base64.b64decode(offered, validate=True)
            self._key.verify(raw, _signed(at, call.body))
            if not same_secret(offered, base64.b64encode(raw).decode()):
                raise ValueError("the same bytes, written in another way")
        except (ValueError, InvalidSignature):
            raise InvalidWebhook("Telnyx's signature is missing or wrong.") from None

    def sign(self, call: WebhookCall, key: bytes | None = None) -> WebhookCall:
        """Sign with a private key in PEM whose public half is configured."""
        try:
            private = load_pem_private_key(key, None) if key else None
        except (ValueError, TypeError, UnsupportedAlgorithm):
            private = None
        if not isinstance(private, Ed25519PrivateKey):
            raise NoSigningKey(NO_KEY)
        at = str(int(self._clock()))
        written = base64.b64encode(private.sign(_signed(at, call.body))).decode()
        return replace(call, headers={**call.headers, self.timestamp: at, self.header: written})


def _signed(at: str, body: bytes) -> bytes:
    return at.encode() + b"|" + body
