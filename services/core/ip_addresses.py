"""IP addresses as connections and proxies write them: parsing, and membership in networks."""

import re
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address
_WITH_PORT = re.compile(r"\[(?P<v6>[^\]]*)\](?::\d+)?|(?P<v4>[^:\[\]]+):\d+")


@lru_cache(maxsize=256)
def parse_address(text: str) -> Address | None:
    """The address in a text, or ``None`` if there is none.

    It may have a port (``192.0.2.1:4711``, ``[2001:db8::1]:4711``). An IPv4 address that is mapped
    into IPv6, as a socket for both families gives it (RFC 4291 §2.5.5.2), is returned as IPv4.

    >>> parse_address("::ffff:192.0.2.1"), parse_address("192.0.2.1:4711"), parse_address("x")
    (IPv4Address('192.0.2.1'), IPv4Address('192.0.2.1'), None)
    """
    written = text.strip()
    found = _WITH_PORT.fullmatch(written)
    try:
        address = ip_address(found["v6"] or found["v4"] or "" if found else written)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        return address.ipv4_mapped
    return address


def is_in(address: Address | None, networks: Iterable[IPv4Network | IPv6Network]) -> bool:
    """Whether an address is in one of some networks; an unknown one (``None``) is in none."""
    return address is not None and any(address in network for network in networks)
