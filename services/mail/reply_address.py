"""Signed addresses for answers to mails: ``texts+<signed part>@example.com``.

The signed part names the conversation and the day on which it ends. Its signature also covers the
recipient of the mail, so that only the address that was mailed can use it.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from services.core.durations import DAY

SIGNED_LENGTH = 45  # characters of 28 bytes in base32
_SIGNED = re.compile(rf"[a-z2-7]{{{SIGNED_LENGTH}}}")
_ID_BYTES, _DAY_BYTES, _MAC_BYTES = 16, 2, 10


@dataclass(frozen=True, slots=True)
class SignedPart:
    """The signed part of an address; ``text`` is how it is written.

    Nothing is proved before ``ReplyAddresses.is_for`` says so.
    """

    text: str
    conversation_id: str
    last_day: int  # days since 1970, in UTC
    mac: bytes

    def has_ended(self, now: float) -> bool:
        """Whether its last day is over; ``now`` is in seconds since 1970."""
        return now // DAY > self.last_day


@dataclass(frozen=True, slots=True)
class AnswerAddress:
    """The address to which a mail is answered, and for how many days."""

    address: str
    days: int


class ReplyAddresses:
    """Makes signed addresses, and finds and proves them in mails."""

    def __init__(self, key: bytes, address: str, days: int) -> None:
        """``address`` is the one to which the signed part is added; ``days`` its validity."""
        self._key = key
        self._local, _, self._domain = address.casefold().rpartition("@")
        self._days = days

    def address_for(self, conversation_id: str, recipient: str, now: float) -> AnswerAddress:
        """The address for answers of one recipient; ``now`` is in seconds since 1970."""
        head = UUID(conversation_id).bytes
        head += (int(now // DAY) + self._days).to_bytes(_DAY_BYTES)
        signed = base64.b32encode(head + self._mac(head, recipient)).decode().rstrip("=").lower()
        return AnswerAddress(f"{self._local}+{signed}@{self._domain}", self._days)

    def pattern(self, sender: str | None) -> re.Pattern[str]:
        """Finds the address, with and without a signed part, and that of a sender, in a text."""
        own = rf"{re.escape(self._local)}(?:\+{_SIGNED.pattern})?@{re.escape(self._domain)}"
        return re.compile(rf"{own}|{re.escape(sender)}" if sender else own, re.IGNORECASE)

    def find(self, addresses: Iterable[str]) -> list[SignedPart]:
        """The signed parts among the addresses of a mail, each once, none of them proved."""
        found = {}
        for address in addresses:
            local, _, domain = address.casefold().rpartition("@")
            signed = local.removeprefix(f"{self._local}+")
            if domain == self._domain and signed != local and _SIGNED.fullmatch(signed):
                found[signed] = _parsed(signed)
        return list(found.values())

    def is_for(self, signed: SignedPart, recipient: str) -> bool:
        """Whether an address was made here for this recipient, in any case."""
        head = UUID(signed.conversation_id).bytes + signed.last_day.to_bytes(_DAY_BYTES)
        return hmac.compare_digest(signed.mac, self._mac(head, recipient))

    def _mac(self, head: bytes, recipient: str) -> bytes:
        content = head + recipient.casefold().encode("utf-8", "surrogatepass")
        return hmac.digest(self._key, content, hashlib.sha256)[:_MAC_BYTES]


def _parsed(signed: str) -> SignedPart:
    raw = base64.b32decode(signed.upper() + "===")
    head, mac = raw[: _ID_BYTES + _DAY_BYTES], raw[_ID_BYTES + _DAY_BYTES :]
    last_day = int.from_bytes(head[_ID_BYTES:])
    return SignedPart(signed, str(UUID(bytes=head[:_ID_BYTES])), last_day, mac)
