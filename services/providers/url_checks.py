"""Checks of web addresses against a host or folder, before credentials are sent to them."""

import re
from urllib.parse import SplitResult, unquote, urlsplit

_DISGUISE = re.compile(r"[\\\x00-\x1f\x7f]|/\.\.?(/|\?|#|$)")


def is_below(address: str, folder: str) -> bool:
    """Whether an address has the scheme, host and port of a folder and lies inside it.

    User names, backslashes, control characters and dot segments are refused in every encoding: the
    path is decoded twice, because HTTP libraries and servers may decode it once each.

    >>> is_below("https://a.example/x/1.jpg", "https://a.example/x/")
    True
    >>> is_below("https://a.example/x/%252e%252e/1.jpg", "https://a.example/x/")
    False
    """
    try:
        asked, ours = urlsplit(address), urlsplit(folder)
        same_origin = _origin(asked) == _origin(ours)
    except ValueError:
        return False
    return (
        same_origin
        and "@" not in asked.netloc
        and asked.path.startswith(ours.path)
        and not _DISGUISE.search(unquote(unquote(address)))
    )


def is_at(address: str, domain: str) -> bool:
    """Whether an address is an https one, on the usual port, of a domain or a host below it.

    >>> is_at("https://files.voip.example/a", "voip.example")
    True
    >>> is_at("https://voip.example.org/a", "voip.example")
    False
    """
    try:
        host = urlsplit(address).hostname or ""
    except ValueError:
        return False
    return (host == domain or host.endswith(f".{domain}")) and is_below(address, f"https://{host}/")


def _origin(parts: SplitResult) -> tuple[str, str | None, int | None]:
    return parts.scheme, parts.hostname, parts.port or {"https": 443, "http": 80}.get(parts.scheme)
