"""Addresses that cannot be a host: certainly nothing was sent."""

import pytest

from services.http.client import Http, NotSent

ADDRESSES = [
    "http://a..b/",
    "http://" + "a" * 64 + ".example/",
    "http://[::1/",
    "http://exa mple.com/",
    "http://x:99999/",
    "http://*.example.com/",
    "http://\u00e9..com/",
    "http:///x",
    "nothing",
    "http://\x00a/",
    "http://[v1.a]/",
    "http://user:pa@ss@/",
    "ftp://x/",
    "http://\ud800/",
    "http://localhost:-1/",
]


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("address", ADDRESSES, ids=ascii)
def test_a_request_to_no_host_was_not_sent(address: str, scheme: str) -> None:
    address = address.replace("http:", f"{scheme}:")
    http = Http()
    with pytest.raises(NotSent):
        http.request("POST", address, data=b"x", seconds=3)
    with pytest.raises(NotSent):
        http.post(address, headers={}, data=b"x", seconds=3)
    http.close()
