"""The remedy for a web server that is not declared keeps those that are declared."""

import re
from collections.abc import Callable
from ipaddress import ip_address

from services.config.parsers import networks
from services.gateway import Gateway
from services.operations.undeclared_proxies import UndeclaredProxies


def test_the_value_to_set_keeps_what_is_declared(make_gateway: Callable[..., Gateway]) -> None:
    store = make_gateway().store
    declared = networks("10.0.0.0/30, 2001:db8::1")
    proxies = UndeclaredProxies(store, declared)
    proxies.note(ip_address("127.0.0.1"))
    [warning] = proxies.warnings()
    value = re.search(r"TRUSTED_PROXIES=(\S+)", warning)
    assert value is not None
    corrected = networks(value[1])
    assert set(corrected) == {*declared, *networks("127.0.0.1")}
    assert UndeclaredProxies(store, corrected).warnings() == []
