"""What lies below ``requests``: an adapter whose connections report exactly what was not sent.

``HTTPAdapter.send`` stays as it is. The pools that it takes its connections from are of classes of
ours, which open a socket, check the certificate, and look whether a kept connection is still open.
"""

import logging
import socket
import ssl
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any

from gevent import monkey
from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError
from urllib3.response import BaseHTTPResponse

from services.http.deadline import DeadlineExceeded

KEPT = 32  # hosts, and idle connections to each
CONNECT_SECONDS = 5.0
READABLE = 1  # POLLIN
# gevent's own ``poll`` starts a watcher and waits for its loop, only to look.
_poll = monkey.get_original("select", "poll")

# urllib3 logs the whole URL, and any secret in it, for each answer with an odd header.
logging.getLogger("urllib3").setLevel(logging.CRITICAL)

Connect = Callable[[str, int, float], socket.socket]  # host, port, seconds; may raise OSError


class NotConnected(Exception):
    """No connection came about, so nothing was sent; says why, without the address.

    It is no error that urllib3 or requests knows, so both let it through as it is.
    """


def connect_any(host: str, port: int, seconds: float) -> socket.socket:
    """Open a TCP connection to any host. Raises ``OSError``."""
    return socket.create_connection((host, port), seconds)


class Adapter(HTTPAdapter):
    """Keep-alive connections that ``connect`` opens; nothing is tried a second time."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._pool = lru_cache(maxsize=KEPT)(self._look_up)
        super().__init__(pool_connections=KEPT, pool_maxsize=KEPT, max_retries=0)

    def init_poolmanager(
        self, connections: int, maxsize: int, block: bool = False, **pool_kwargs: Any
    ) -> None:
        """Make the pools, of our classes."""
        super().init_poolmanager(connections, maxsize, block, **pool_kwargs)
        self.poolmanager.pool_classes_by_scheme = _pool_classes(self._connect)

    def get_connection_with_tls_context(
        self, request: PreparedRequest, *_: Any, **_options: Any
    ) -> HTTPConnectionPool:
        """The pool of an address; requests works it out anew for each request."""
        return self._pool(str(request.url))

    def _look_up(self, url: str) -> HTTPConnectionPool:
        pool: HTTPConnectionPool = self.poolmanager.connection_from_url(url)
        return pool

    def build_response(self, req: PreparedRequest, resp: BaseHTTPResponse) -> Response:
        """An answer without its cookies, which nothing here wants.

        This and the kept pools spare a fifth of a request's CPU time.
        """
        response = Response()
        response.status_code, response.raw = resp.status, resp
        response.headers = CaseInsensitiveDict(resp.headers)
        response.url, response.request = str(req.url), req
        return response

    def close(self) -> None:
        """Close every idle connection."""
        self._pool.cache_clear()
        super().close()


class _Connection(HTTPConnection):
    """Raises ``NotConnected`` for all that fails before anything is sent."""

    open_socket: Connect = staticmethod(connect_any)

    _held: list[bytes] | None = None  # what is written of a request that is not yet sent

    def _new_conn(self) -> socket.socket:
        seconds = CONNECT_SECONDS if self.timeout is None else min(CONNECT_SECONDS, self.timeout)
        opened = self.open_socket(self.host, self.port, seconds)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return opened

    def connect(self) -> None:
        """Open the connection, TLS included. Raises ``NotConnected``."""
        try:
            super().connect()
            # While it connects, a socket waits for a shorter time than for the answer.
            self.sock.settimeout(self.timeout)
        except (DeadlineExceeded, TimeoutError):
            raise NotConnected("It did not take the connection in time.") from None
        except socket.gaierror:
            raise NotConnected("Its host name could not be resolved.") from None
        except (ssl.SSLError, HTTPError):
            raise NotConnected("Its TLS certificate or handshake was not accepted.") from None
        except OSError:
            raise NotConnected("It did not take the connection.") from None
        except ValueError:
            raise NotConnected("The address is not valid.") from None

    def request(self, *arguments: Any, **options: Any) -> None:
        """Send a request in one packet: urllib3 sends the body after the head, in another one."""
        self._held = []
        try:
            super().request(*arguments, **options)
            whole = b"".join(self._held)
        finally:
            self._held = None
        self.send(whole)

    def send(self, data: Any) -> None:
        """Send bytes, or hold them until the request is complete."""
        if self._held is None:
            super().send(data)
        else:
            self._held.append(data)

    @property
    def is_connected(self) -> bool:
        """Whether a kept connection is open: on an idle one, something to read is its end."""
        if self.sock is None:
            return False
        look = _poll()
        look.register(self.sock, READABLE)
        return not look.poll(0)


class _TlsConnection(_Connection, HTTPSConnection):
    """The same with TLS: the certificate must be valid, and of the host's name."""

    def connect(self) -> None:
        """Open the connection with the authorities that are kept. Raises ``NotConnected``."""
        self.ssl_context, self.ca_certs = authorities(), None
        super().connect()


def _pool_classes(connect: Connect) -> dict[str, type[HTTPConnectionPool]]:
    """The pools of each scheme, whose connections ``connect`` opens."""

    class Plain(_Connection):
        open_socket = staticmethod(connect)

    class Tls(_TlsConnection):
        open_socket = staticmethod(connect)

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class TlsPool(HTTPSConnectionPool):
        ConnectionCls = Tls

    return {"http": PlainPool, "https": TlsPool}


@cache
def authorities() -> ssl.SSLContext:
    """The authorities that requests trusts; read once, as that takes longer than a request."""
    return ssl.create_default_context(cafile=DEFAULT_CA_BUNDLE_PATH)
