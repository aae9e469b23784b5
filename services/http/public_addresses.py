"""The guard against private networks (SSRF): connects to public IP addresses only."""

import socket
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from services.http.adapters import NotConnected

INTERNET = ip_network("2000::/3")  # all of version 6 that is given out (RFC 4291)
NAT64 = ip_network("64:ff9b::/96")  # leads to the address of version 4 at its end (RFC 6052)
# What Python takes for public all the same (RFC 6890, RFC 7526, RFC 9637).
CLOSED = [ip_network(each) for each in ("192.0.0.0/24", "192.88.99.0/24", "3fff::/20")]


def connect_public(host: str, port: int, seconds: float) -> socket.socket:
    """Open a TCP connection to a host all of whose addresses are public.

    The name is resolved once, and the connection goes to an address that was checked: a name that
    means another address a moment later (DNS rebinding) leads nowhere else. ``seconds`` is the
    longest wait for one address. Raises ``NotConnected`` for a private address, else ``OSError``.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [str(address[0]) for *_, address in found]
    if not all(map(is_public, addresses)):
        raise NotConnected(
            "It is in a private network; the administrator can allow it in PUSH_HOSTS."
        )
    for address in dict.fromkeys(addresses):
        with suppress(OSError):
            return socket.create_connection((address, port), seconds)
    raise OSError("No address took the connection.")


def is_public(address: str) -> bool:
    """Whether an IP address is public: not of this machine, a private or a reserved network.

    >>> is_public("9.9.9.9"), is_public("10.0.0.1"), is_public("64:ff9b::10.0.0.1")
    (True, False, False)
    """
    ip = ip_address(address.partition("%")[0])
    if isinstance(ip, IPv6Address):
        wrapped = IPv4Address(int(ip) & 0xFFFFFFFF) if ip in NAT64 else None
        ip = ip.ipv4_mapped or ip.sixtofour or wrapped or ip
    closed = any(ip in network for network in CLOSED) or (ip.version == 6 and ip not in INTERNET)
    return ip.is_global and not ip.is_multicast and not closed
