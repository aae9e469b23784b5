"""The connections beneath ``Http``: requests' own, without what every request can do without.

requests and urllib3 look for proxies, certificates and dead connections at each request in ways
that take as long as the request itself. The same is done here once, or by one system call.
"""

from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import requests
from certifi import where
from gevent import monkey
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

KEPT = 32  # hosts, and idle connections to each
_poll = monkey.get_original("select", "poll")
READABLE = 1  # POLLIN


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


class Connections(HTTPAdapter):
    """Keep-alive connections, certificates checked, no proxies, no repeats of their own."""

    def __init__(self) -> None:
        super().__init__(pool_connections=KEPT, pool_maxsize=KEPT, max_retries=0)
        self._pool_of = lru_cache(maxsize=KEPT)(self.poolmanager.connection_from_host)

    def init_poolmanager(self, *sizes: Any, **more: Any) -> None:
        """Trust the authorities that requests trusts."""
        super().init_poolmanager(*sizes, **more, cert_reqs="CERT_REQUIRED", ca_certs=where())
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TLSPool}

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
