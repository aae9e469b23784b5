"""Authentication of webhook calls: token in the address, HTTP Basic; base class of signatures.

Each carrier declares its proofs (``Provider.proofs``); one of them is enough. The declaration says
where a proof is in the call and what it covers, so that tests can spoil each of these things.
"""

import base64
from abc import ABC, abstractmethod
from dataclasses import replace
from typing import ClassVar, Literal
from urllib.parse import quote

from services.core.errors import InvalidWebhook, TextbridgeError
from services.core.messages import WebhookCall
from services.core.secrets import same_secret

Part = Literal["body", "query"]


class NoSigningKey(TextbridgeError):
    """A call cannot be signed, because the key is the carrier's own; says what to do instead."""


class Proof(ABC):
    """One proof that a call comes from the carrier.

    It is in the header ``header`` (lower case) or in the argument ``argument`` of the query.
    The parts of the call in ``covers`` cannot be changed without it. With a ``window`` (seconds) it
    is only right for so long around the time of signing, which is in the header ``timestamp``
    (seconds since 1970) and is signed as well. ``foreign_key`` says that the carrier signs with a
    private key that we do not have.
    """

    header: ClassVar[str] = ""
    argument: ClassVar[str] = ""
    covers: ClassVar[frozenset[Part]] = frozenset()
    timestamp: ClassVar[str] = ""
    window: ClassVar[float] = 0.0
    foreign_key: ClassVar[bool] = False

    @abstractmethod
    def require(self, call: WebhookCall) -> None:
        """Raise ``InvalidWebhook`` unless the call has this proof, and it is right."""

    def require_head(self, call: WebhookCall) -> None:
        """Raise ``InvalidWebhook`` unless this proof may still turn out to be right.

        Runs before the body is read: ``call.body`` is empty. A proof that does not cover the body
        is checked completely; of any other one, that it is there.
        """
        if "body" not in self.covers:
            self.require(call)
        elif not call.headers.get(self.header):
            raise InvalidWebhook(f"The header {self.header.title()} is missing.")

    @abstractmethod
    def sign(self, call: WebhookCall, key: bytes | None = None) -> WebhookCall:
        """The call with this proof, as the carrier would make it.

        Only a proof with a ``foreign_key`` uses ``key``: a private key in PEM, of a pair whose
        public half is configured in place of the carrier's. Raises ``NoSigningKey`` without it.
        """


class Token(Proof):
    """The webhook's token as ``?token=`` in the address, for carriers that have nothing better."""

    argument = "token"

    def __init__(self, token: str) -> None:
        self._token = token

    def require(self, call: WebhookCall) -> None:
        """Compare the token of the query in constant time."""
        if not same_secret(call.argument(self.argument), self._token):
            raise InvalidWebhook("The webhook's token is missing or wrong.")

    @property
    def query(self) -> str:
        """The token as an argument of an address."""
        return f"{self.argument}={quote(self._token, safe='')}"

    def sign(self, call: WebhookCall, key: bytes | None = None) -> WebhookCall:
        """Add the token to the query."""
        return replace(call, query="&".join(filter(None, (call.query, self.query))))


class Basic(Proof):
    """User name and password (RFC 7617)."""

    header = "authorization"

    def __init__(self, user: str, password: str) -> None:
        self._expected = basic(user, password)

    def require(self, call: WebhookCall) -> None:
        """Compare the ``Authorization`` header in constant time."""
        scheme, _, offered = call.headers.get(self.header, "").partition(" ")
        if scheme.lower() != "basic" or not same_secret(f"Basic {offered.strip()}", self._expected):
            raise InvalidWebhook("The user name or the password is missing or wrong.")

    def sign(self, call: WebhookCall, key: bytes | None = None) -> WebhookCall:
        """Add the ``Authorization`` header."""
        return replace(call, headers={**call.headers, self.header: self._expected})


def basic(user: str, password: str) -> str:
    """The value of an ``Authorization`` header for a user name and a password (RFC 7617)."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
