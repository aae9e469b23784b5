"""Proof that a call is the doctor's own, and that this installation answers it.

The doctor calls APP_URL as carriers do, with a token in a header that only who has APP_KEY can
make. A call with it is never stored, counted or warned of. It is good for five minutes, and lets
nobody in.
"""

import hmac
import time
from hashlib import sha256

from services.config.keys import derive
from services.core.secrets import same_secret

HEADER = "X-Textbridge-Probe"
VALID_SECONDS = 300


class ProbeKey:
    """Makes and checks the tokens of one installation."""

    def __init__(self, app_key: bytes) -> None:
        self._key = derive(app_key, "probe")

    def token(self) -> str:
        """A new token."""
        now = str(int(time.time()))
        return f"{now}.{self._mac('call', now)}"

    def is_valid(self, offered: str) -> bool:
        """Whether a header has a token that was made here just now."""
        age = self.age(offered)
        return age is not None and abs(age) <= VALID_SECONDS

    def age(self, offered: str) -> float | None:
        """How many seconds ago, by the clock here, a token was made; ``None`` for no token."""
        at, _, mac = offered.partition(".")
        if not (at.isascii() and at.isdigit() and len(at) <= 12):
            return None
        return time.time() - int(at) if same_secret(mac, self._mac("call", at)) else None

    def answer(self, token: str) -> str:
        """What shows that the server that answers a call with this token has the same key."""
        return self._mac("answer", token)

    def _mac(self, purpose: str, content: str) -> str:
        return hmac.new(self._key, f"{purpose}:{content}".encode(), sha256).hexdigest()[:40]
