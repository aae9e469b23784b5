"""The connections beneath ``Http``: requests' own, without what every request can do without.

requests and urllib3 look for proxies, certificates and dead connections at each request in ways
that take as long as the request itself. The same is done here once, or by one system call.
"""

import socket
from contextlib import suppress
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any, ClassVar
from urllib.parse import urlsplit

import requests
from certifi import where
from gevent import monkey
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import NameResolutionError, NewConnectionError
from urllib3.util.connection import create_connection

KEPT = 32  # hosts, and idle connections to each
_poll = monkey.get_original("select", "poll")
READABLE = 1  # POLLIN

INTERNET = ip_network("2000::/3")  # all of version 6 that is given out (RFC 4291)
NAT64 = ip_network("64:ff9b::/96")  # leads to the address of version 4 at its end (RFC 6052)
# What Python takes for the internet all the same (RFC 6890, RFC 7526, RFC 9637).
CLOSED = [ip_network(each) for each in ("192.0.0.0/24", "192.88.99.0/24", "3fff::/20")]


class _Kept(HTTPConnection):
    """A connection that is looked at before it is used again."""

    @property
    def is_connected(self) -> bool:
        """Whether it is open: on an idle connection, something to read is its end."""
        if self.sock is None:
            return False
        look = _poll()
        look.register(self.sock, READABLE)
        return not look.poll(0)


class _KeptTLS(_Kept, HTTPSConnection):
    """The same with TLS."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Kept


class _TLSPool(HTTPSConnectionPool):
    ConnectionCls = _KeptTLS


def is_public(address: str) -> bool:
    """Whether an IP address is one of the internet, not of this machine or a network of ours.

    >>> is_public("9.9.9.9"), is_public("10.0.0.1"), is_public("64:ff9b::10.0.0.1")
    (True, False, False)
    """
    ip = ip_address(address.partition("%")[0])
    if isinstance(ip, IPv6Address):
        wrapped = IPv4Address(int(ip) & 0xFFFFFFFF) if ip in NAT64 else None
        ip = ip.ipv4_mapped or ip.sixtofour or wrapped or ip
    closed = any(ip in network for network in CLOSED) or (ip.version == 6 and ip not in INTERNET)
    return ip.is_global and not ip.is_multicast and not closed


class NotPublic(NewConnectionError):
    """The host is in a private network; nothing was connected to."""


class _Public(_Kept):
    """A connection to a public address: to the very one that was looked at, whatever the name
    stands for a moment later."""

    def _new_conn(self) -> socket.socket:
        try:
            found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from None
        addresses = [str(address[0]) for *_, address in found]
        if not all(map(is_public, addresses)):
            raise NotPublic(self, "not a public address")
        for address in dict.fromkeys(addresses):
            with suppress(OSError):
                return create_connection(
                    (address, self.port), self.timeout, socket_options=self.socket_options
                )
        raise NewConnectionError(self, "no address took the connection")


class _PublicTLS(_Public, _KeptTLS):
    """The same with TLS."""


class _PublicPool(HTTPConnectionPool):
    ConnectionCls = _Public


class _PublicTLSPool(HTTPSConnectionPool):
    ConnectionCls = _PublicTLS


class Connections(HTTPAdapter):
    """Keep-alive connections, certificates checked, no proxies, no repeats of their own."""

    pools: ClassVar[dict[str, type[HTTPConnectionPool]]] = {"http": _Pool, "https": _TLSPool}

    def __init__(self) -> None:
        super().__init__(pool_connections=KEPT, pool_maxsize=KEPT, max_retries=0)
        self._pool_of = lru_cache(maxsize=KEPT)(self.poolmanager.connection_from_host)

    def init_poolmanager(self, *sizes: Any, **more: Any) -> None:
        """Trust the authorities that requests trusts."""
        super().init_poolmanager(*sizes, **more, cert_reqs="CERT_REQUIRED", ca_certs=where())
        self.poolmanager.pool_classes_by_scheme = self.pools

    def get_connection_with_tls_context(self, request: Any, *_: Any, **__: Any) -> Any:
        """The pool of connections to the request's host."""
        url = urlsplit(request.url)
        return self._pool_of(url.hostname, url.port, url.scheme)

    def cert_verify(self, *_: Any, **__: Any) -> None:
        """Every pool does so from the start."""

    def request_url(self, request: requests.PreparedRequest, *_: Any) -> str:
        """What stands in the request's first line."""
        return request.path_url

    def build_response(self, request: requests.PreparedRequest, answer: Any) -> requests.Response:
        """The answer without a browser's belongings, such as cookies."""
        response = requests.Response()
        response.status_code = answer.status
        response.headers = CaseInsensitiveDict(answer.headers)
        response.raw = answer
        response.url = request.url or ""
        response.request = request
        return response


class PublicConnections(Connections):
    """Connections to the internet only, for addresses that somebody else chose."""

    pools = {"http": _PublicPool, "https": _PublicTLSPool}  # noqa: RUF012 - as in the base
