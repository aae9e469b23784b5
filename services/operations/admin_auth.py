"""Authentication of the operator: the caller who knows ``ADMIN_PASSWORD``."""

import secrets
from collections import OrderedDict
from hashlib import blake2b
from hmac import compare_digest
from ipaddress import ip_address

from services.operations.login_throttle import LoginThrottle

MOST_KNOWN = 64


class AdminAuth:
    """Checks the operator's password, a limited number of times.

    The password is readable in the configuration, so a slow hash of it would protect nothing. The
    throttle protects it against guessing.
    """

    def __init__(self, throttle: LoginThrottle, password: str | None) -> None:
        """Without a password every caller is refused."""
        self._throttle = throttle
        self._key = secrets.token_bytes(32)
        self._expected = self._hash(password) if password else None
        self._known: OrderedDict[str, None] = OrderedDict()  # addresses that were right last

    def admits(self, password: str, address: str) -> bool:
        """Whether a password that comes from an address is the operator's.

        Raises ``RequestRefused`` (429, with the wait in ``retry_after``) when too many were wrong,
        whether or not this one is right; and ``StorageUnwell``. Attempts from other
        addresses do not lock out an address that was right before, nor this machine.
        """
        if self._expected is None:
            return False
        if self._known.pop(address, ...) is None and self._is_right(password):
            self._remember(address)
            return True
        self._throttle.spend(address, alone=_is_this_machine(address))
        if not self._is_right(password):
            return False
        self._throttle.forget(address)
        self._remember(address)
        return True

    def _is_right(self, password: str) -> bool:
        return self._expected is not None and compare_digest(self._hash(password), self._expected)

    def _hash(self, password: str) -> bytes:
        return blake2b(password.encode("utf-8", "surrogateescape"), key=self._key).digest()

    def _remember(self, address: str) -> None:
        self._known[address] = None
        if len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)


def _is_this_machine(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False
