"""Push addresses that devices register: their schema, and which push hosts are allowed.

The device names the host that the server calls. A check of that host is therefore a defence
against server-side request forgery (SSRF).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import urlsplit

from marshmallow import ValidationError

from services.core.request_schema import RequestSchema

# Only characters that every URL parser reads in the same way.
WEB_ADDRESS = re.compile(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?(/[!-\[\]-~]*)?", re.ASCII)
MAX_ADDRESS_LENGTH = 1000  # the limit of UnifiedPush; the addresses of browsers are shorter


class PushAddress(RequestSchema):
    """Schema of the push address that a device registers for one channel."""


def validate_web_address(value: str) -> None:
    """Raise ``ValidationError`` unless the value is a plain http or https URL."""
    if len(value) > MAX_ADDRESS_LENGTH or WEB_ADDRESS.fullmatch(value) is None:
        raise ValidationError("Send a web address that begins with https://.")
    port = value.split("/")[2].partition(":")[2]
    if port and not 0 < int(port) < 65_536:
        raise ValidationError("There is no such port.")


def origin(url: str) -> str:
    """The origin (scheme, host and port) of a URL.

    >>> origin("https://push.example.com/a?b")
    'https://push.example.com'
    """
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


@dataclass(frozen=True, slots=True)
class PushHostPolicy:
    """The push hosts that the operator allows in addition to those that a channel knows.

    These hosts may be in a private network. They may be called without TLS where the operator
    writes ``http://``.
    """

    allowed: tuple[str, ...] = ()  # origins; * matches any characters

    def allows(self, url: str) -> bool:
        """Whether the operator allows the host of a URL."""
        return origin_matches(url, self.allowed)


def origin_matches(url: str, origins: tuple[str, ...]) -> bool:
    """Whether the origin of a URL matches one of these patterns; * matches any characters.

    >>> origin_matches("https://updates.push.example.com/x", ("https://*.push.example.com",))
    True
    """
    return any(fnmatchcase(origin(url), pattern) for pattern in origins)


def host_of(address: Mapping[str, Any], field: str) -> str:
    """The host and port of the URL in one field of a device's push address."""
    return urlsplit(str(address.get(field, ""))).netloc
