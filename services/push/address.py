"""Where devices ask to be pushed to: its shape, and which hosts it may name.

A device names the host that we call, so it could name one that it should not reach through us.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import urlsplit

from marshmallow import ValidationError

from services.core.request_schema import RequestSchema

# The whole address in signs that every reader of addresses takes for the same thing.
WEB_ADDRESS = re.compile(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?(/[!-\[\]-~]*)?", re.ASCII)
LONGEST = 1000  # UnifiedPush's bound; browsers' are shorter


class Address(RequestSchema):
    """What a device registers."""


def web_address(value: str) -> None:
    """Refuse, with a ``ValidationError``, what is no plain web address."""
    if len(value) > LONGEST or WEB_ADDRESS.fullmatch(value) is None:
        raise ValidationError("Send a web address that begins with https://.")
    port = value.split("/")[2].partition(":")[2]
    if port and not 0 < int(port) < 65_536:
        raise ValidationError("There is no such port.")


def origin(address: str) -> str:
    """The part of a web address that names the server.

    >>> origin("https://push.example.com/a?b")
    'https://push.example.com'
    """
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"


@dataclass(frozen=True, slots=True)
class PushHostPolicy:
    """The hosts that the operator allows beside the ones that a channel knows.

    They may be in a private network, and without TLS where they are written with ``http://``.
    """

    allowed: tuple[str, ...] = ()  # origins, in which * stands for anything

    def are_allowed(self, address: str) -> bool:
        """Whether the operator named the host of an address."""
        return within(address, self.allowed)


def within(address: str, origins: tuple[str, ...]) -> bool:
    """Whether the origin of an address is one of these, in which * stands for anything.

    >>> within("https://updates.push.example.com/x", ("https://*.push.example.com",))
    True
    """
    return any(fnmatchcase(origin(address), pattern) for pattern in origins)


def host(address: Mapping[str, Any], field: str) -> str:
    """The host, with its port, of the web address in a field of a device's address."""
    return urlsplit(str(address.get(field, ""))).netloc
