"""Authentication of the operator: the caller who knows ``ADMIN_PASSWORD``."""

import secrets
from collections import OrderedDict
from hashlib import blake2b
from hmac import compare_digest

from services.core.ip_addresses import parse_address
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

    def admits(
        self, password: str, address: str, *, is_allowed: bool = False, by_basic: bool = False
    ) -> bool:
        """Whether a password that comes from an address is the operator's.

        Raises ``RequestRefused`` (429, with the wait in ``retry_after``) when too many were wrong,
        whether or not this one is right; and ``StorageUnwell``. Attempts from other
        addresses do not lock out an address that was right before, this machine, or an address
        that ``ADMIN_ALLOW`` names (``is_allowed``). At the latter, attempts by HTTP Basic
        (``by_basic``), as of a script with an old password, count apart from those of the sign-in.
        """
        if self._expected is None:
            return False
        if address and self._known.pop(address, ...) is None and self._is_right(password):
            self._remember(address)
            return True
        part = "basic" if is_allowed and by_basic else ""
        alone = is_allowed or _is_this_machine(address)
        self._throttle.spend(address, alone=alone, part=part)
        if not self._is_right(password):
            return False
        self._throttle.note_success(address, part=part)
        if address:
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
    parsed = parse_address(address)
    return parsed is not None and parsed.is_loopback
