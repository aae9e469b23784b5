"""The address that a request comes from, behind the reverse proxies of ``TRUSTED_PROXIES``."""

from collections.abc import Sequence
from ipaddress import ip_address, ip_network  # noqa: F401 - the second in the examples

from flask import request

from services.config.parsers import Network


def client_address(trusted: Sequence[Network]) -> str:
    """The address of the client that makes this request, see ``forwarded``."""
    return forwarded(request.remote_addr, request.headers.getlist("X-Forwarded-For"), trusted)


def forwarded(peer: str | None, headers: Sequence[str], trusted: Sequence[Network]) -> str:
    """The client's address: the connection's ``peer``, or what ``X-Forwarded-For`` names.

    The header is believed only from a trusted proxy, and of it the last address that is none of
    the trusted proxies: any client could have written the ones before.

    >>> forwarded("127.0.0.1", ["203.0.113.7, 192.0.2.1"], [ip_network("127.0.0.1")])
    '192.0.2.1'
    >>> forwarded("203.0.113.9", ["192.0.2.1"], [ip_network("127.0.0.1")])
    '203.0.113.9'
    """
    hops = [hop.strip() for header in headers for hop in header.split(",")]
    address = peer or ""
    while hops and _is_in(address, trusted):
        address = hops.pop()
    return address


def _is_in(address: str, networks: Sequence[Network]) -> bool:
    try:
        return any(ip_address(address) in network for network in networks)
    except ValueError:
        return False
