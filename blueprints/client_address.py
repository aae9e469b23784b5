"""The client's address (``Caller``), behind the proxies of ``TRUSTED_PROXIES``, for all lists.

Every decision that depends on an address is made with ``Callers``: allow lists, the login throttle,
and what is for this machine only.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_network  # noqa: F401 - for the examples
from urllib.parse import urlsplit

from flask import request

from services.config.parsers import Network
from services.core.ip_addresses import Address, is_in, parse_address
from services.operations.undeclared_proxies import UndeclaredProxies

CLIENT = "X-Forwarded-For"
# What a proxy adds to a request (RFC 7239, RFC 9110 §7.6.3, what came before them, and what the
# makers of proxies have thought of).
ADDED = re.compile(
    r"x-forwarded.*|forwarded|x-original-forwarded.*|via|x-envoy-external-address|cdn-loop|"
    r"(.*-)?(real|client|connecting)-ip",
    re.IGNORECASE | re.ASCII,
)
OLD_PROTOCOL = "HTTP/1.0"  # in which nginx passes requests on, where nothing else is configured


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes a request.

    ``peer`` is the other end of the connection. ``address`` is the client's address; ``None`` where
    it cannot be told, as behind an undeclared proxy. ``is_direct`` means that no proxy has added
    anything.
    """

    peer: Address | None
    address: Address | None
    is_direct: bool

    @property
    def is_this_machine(self) -> bool:
        """Whether the client is on this machine, and not a proxy on it."""
        return self.is_direct and self.peer is not None and self.peer.is_loopback

    @property
    def is_behind_undeclared_proxy(self) -> bool:
        """Whether a proxy does not say, or may not say, who calls."""
        return self.address is None and self.peer is not None and not self.is_direct

    @property
    def counted_as(self) -> str:
        """The address under which wrong passwords, codes and tokens count.

        It is empty behind an undeclared proxy on this machine: one stranger would use up the
        attempts of everybody, so only those of all together count.
        """
        if self.is_behind_undeclared_proxy and self.peer is not None:
            return "" if self.peer.is_loopback else str(self.peer)
        return str(self.address or "unknown")

    @property
    def shown(self) -> str:
        """The address for a log, or the proxy behind which it is not known."""
        if self.is_behind_undeclared_proxy:
            return f"an unknown address behind {self.peer}"
        return str(self.address or "an unknown address")

    def is_in(self, networks: Iterable[Network]) -> bool:
        """Whether an allow list names the client; one that cannot be told is in none."""
        return is_in(self.address, networks)


class Callers:
    """Tells who makes the current request."""

    def __init__(
        self, trusted: Sequence[Network] = (), undeclared: UndeclaredProxies | None = None
    ) -> None:
        """``trusted`` is ``TRUSTED_PROXIES``; ``undeclared`` notes other proxies."""
        self._trusted = trusted
        self._undeclared = undeclared

    def caller(self) -> Caller:
        """The caller of the current request."""
        added = {
            name: request.headers.getlist(name)
            for name, _ in request.headers
            if ADDED.fullmatch(name)
        }
        peer = request.remote_addr
        if not added and _is_passed_on(peer):
            added = {"Host": [request.host]}
        current = caller(peer, added, self._trusted)
        if current.is_behind_undeclared_proxy and current.peer and self._undeclared:
            self._undeclared.note(current.peer)
        return current


def _is_passed_on(peer: str | None) -> bool:
    """Whether a proxy on this machine passes a request on that has none of the headers of one.

    Its request asks for the public name, or is in an old version of HTTP. So does what a page of
    another site makes a browser on this machine send (DNS rebinding).
    """
    connected = parse_address(peer or "")
    if connected is None or not connected.is_loopback:
        return False
    return request.environ.get("SERVER_PROTOCOL") == OLD_PROTOCOL or not names_this_machine(
        request.host
    )


def names_this_machine(host: str) -> bool:
    """Whether a ``Host`` header is one by which a program on this machine calls it.

    >>> names_this_machine("localhost:8000"), names_this_machine("[::1]"), names_this_machine("x.y")
    (True, True, False)
    """
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    address = parse_address(name)
    if address is not None:
        return address.is_loopback or address.is_unspecified
    return name == "localhost" or name.endswith(".localhost")


def caller(
    peer: str | None, added: Mapping[str, Sequence[str]], trusted: Sequence[Network]
) -> Caller:
    """Who makes a request of ``peer`` with the headers ``added``, which show that a proxy did.

    ``X-Forwarded-For`` is believed only from a trusted proxy, and of it the last address that is
    none of the trusted proxies: any client could have written the ones before. A header of another
    peer may be made up, or that of a proxy that is not declared: the address cannot be told.

    >>> proxy = [ip_network("127.0.0.1")]
    >>> caller("127.0.0.1", {CLIENT: ["203.0.113.7, 192.0.2.1:80"]}, proxy).address
    IPv4Address('192.0.2.1')
    >>> print(caller("203.0.113.9", {CLIENT: ["192.0.2.1"]}, proxy).address)
    None
    """
    connected = parse_address(peer or "")
    if not added:
        return Caller(connected, connected, is_direct=True)
    hops = [hop for header in added.get(CLIENT, ()) for hop in header.split(",")]
    address = connected
    while hops and is_in(address, trusted):
        address = parse_address(hops.pop())
    is_told = CLIENT in added and is_in(connected, trusted)
    return Caller(connected, address if is_told else None, is_direct=False)
