"""The connections beneath ``Http``: HTTP/1.1 over sockets that are kept and used again.

requests writes down what is to be sent, and the standard library reads what is answered. What goes
between the two in one packet is done here, as urllib3 takes longer for it than all the rest takes.
"""

import socket
import ssl
import zlib
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from functools import cache, lru_cache
from http.client import HTTPException, HTTPResponse, IncompleteRead
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

from certifi import where
from gevent import monkey
from requests import PreparedRequest

from services.in_turn import InTurn

KEPT = 32  # hosts, and idle connections to each
CONNECT_SECONDS = 5.0
_poll = monkey.get_original("select", "poll")
READABLE = 1  # POLLIN
Origin = tuple[str, str, int]  # scheme, host, port
BROKEN = (OSError, HTTPException, zlib.error)  # there is no whole answer
PORTS = {"http": 80, "https": 443}

INTERNET = ip_network("2000::/3")  # all of version 6 that is given out (RFC 4291)
NAT64 = ip_network("64:ff9b::/96")  # leads to the address of version 4 at its end (RFC 6052)
# What Python takes for the internet all the same (RFC 6890, RFC 7526, RFC 9637).
CLOSED = [ip_network(each) for each in ("192.0.0.0/24", "192.88.99.0/24", "3fff::/20")]


class NotConnected(Exception):
    """No connection came about; says why, without the address."""


class Connections:
    """Keep-alive connections, certificates checked, no proxies, no redirects, no repeats."""

    def __init__(self, *, in_turn: bool = False) -> None:
        """With ``in_turn`` a server is asked one thing after the other, see ``InTurn``."""
        self._turns = InTurn() if in_turn else None
        self._idle: dict[Origin, list[socket.socket]] = {}  # the host used last comes last

    def exchange(
        self, request: PreparedRequest, seconds: float, most: int
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Send a request; returns its answer's status, headers (lower-case) and decoded body.

        ``seconds`` is the longest silence, ``most`` the largest body in bytes: of a larger one
        there is a byte more. Raises ``NotConnected``; anything of ``BROKEN`` comes after the
        request has left.
        """
        try:
            origin, host, path = _parts(request.url or "")
            written = _written(request, host, path)
        except ValueError:
            raise NotConnected("The address is not valid.") from None
        with self._turns.at(origin) if self._turns else nullcontext():
            line = self._idle_one(origin) or self._connect(origin, min(CONNECT_SECONDS, seconds))
            try:
                line.settimeout(seconds)
                with suppress(BrokenPipeError, ConnectionResetError):  # it may have answered before
                    line.sendall(written)
                with HTTPResponse(line, method=request.method) as answer:
                    answer.begin()
                    body = _body(answer, most)
            except BaseException:
                line.close()
                raise
        if answer.will_close or len(body) > most:
            line.close()
        else:
            self._keep(origin, line)
        return answer.status, {name.lower(): value for name, value in answer.headers.items()}, body

    def _idle_one(self, origin: Origin) -> socket.socket | None:
        """A kept connection that is open: on an idle one, something to read is its end."""
        idle = self._idle.get(origin, [])
        while idle:
            line = idle.pop()
            look = _poll()
            look.register(line, READABLE)
            if not look.poll(0):
                return line
            line.close()
        return None

    def _keep(self, origin: Origin, line: socket.socket) -> None:
        idle = self._idle.pop(origin, [])
        self._idle[origin] = idle
        idle.append(line)
        if len(idle) > KEPT:
            idle.pop(0).close()
        if len(self._idle) > KEPT:
            for old in self._idle.pop(next(iter(self._idle))):
                old.close()

    def _connect(self, origin: Origin, seconds: float) -> socket.socket:
        scheme, host, port = origin
        try:
            line = self._reach(host, port, seconds)
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if scheme == "https":
                return authorities().wrap_socket(line, server_hostname=host)
            return line
        except TimeoutError:
            raise NotConnected("It did not take the connection in time.") from None
        except socket.gaierror:
            raise NotConnected("Its host name could not be resolved.") from None
        except ssl.SSLError:
            raise NotConnected("Its TLS certificate or handshake was not accepted.") from None
        except OSError:
            raise NotConnected("It did not take the connection.") from None

    def _reach(self, host: str, port: int, seconds: float) -> socket.socket:
        return socket.create_connection((host, port), seconds)

    def close(self) -> None:
        """Close what is idle."""
        while self._idle:
            for line in self._idle.popitem()[1]:
                line.close()

    __del__ = close  # a command or a check that is through does not think of it


class PublicConnections(Connections):
    """Connections to the internet only, for addresses that somebody else chose.

    To the very address that was looked at, whatever the name stands for a moment later.
    """

    def _reach(self, host: str, port: int, seconds: float) -> socket.socket:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = [str(address[0]) for *_, address in found]
        if not all(map(is_public, addresses)):
            raise NotConnected(
                "It is in a private network; the operator can allow it in PUSH_HOSTS."
            )
        for address in dict.fromkeys(addresses):
            with suppress(OSError):
                return socket.create_connection((address, port), seconds)
        raise OSError("No address took the connection.")


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


@cache
def authorities() -> ssl.SSLContext:
    """Trust the authorities that requests trusts."""
    context = ssl.create_default_context(cafile=where())
    context.set_alpn_protocols(["http/1.1"])
    return context


@lru_cache(maxsize=256)
def _parts(url: str) -> tuple[Origin, str, str]:
    """Where a URL leads to, and what stands in the ``Host`` header and in the first line."""
    scheme, netloc, path, query, _ = address = urlsplit(url)
    if scheme not in PORTS or not address.hostname:
        raise ValueError("It is no address of the web.")
    origin = (scheme, address.hostname, address.port or PORTS[scheme])
    return origin, netloc.rpartition("@")[2], f"{path or '/'}{query and f'?{query}'}"


def _written(request: PreparedRequest, host: str, path: str) -> bytes:
    """A request as it goes over the wire: head and body together, mostly in one packet."""
    lines = [f"{request.method} {path} HTTP/1.1", f"Host: {host}"]
    lines += [f"{name}: {value}" for name, value in request.headers.items()]
    body = request.body or b""
    head = "\r\n".join([*lines, "", ""]).encode("latin-1")
    return head + (body.encode() if isinstance(body, str) else body)


def _body(answer: HTTPResponse, most: int) -> bytes:
    """The decoded body, or its first ``most`` bytes and one more."""
    body = answer.read(most + 1)
    if answer.length and len(body) <= most:  # ``read`` is content with less than was promised
        raise IncompleteRead(body, answer.length)
    if body and answer.headers.get("content-encoding", "").lower() == "gzip":
        return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(body, most + 1)
    return body
