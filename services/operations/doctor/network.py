"""What the doctor asks the network: addresses of a name, and the addresses of this machine."""

import socket
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass

from services.http.adapters import CONNECT_SECONDS, Connect, connect_any
from services.http.public_addresses import is_public
from services.operations.own_name import resolve

# Addresses for documentation, at which nobody is; no packet goes there, only the route is found.
_FAR = ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"))


def own_addresses() -> list[str]:
    """The addresses from which this machine calls others; private ones are behind a router."""
    found = []
    for family, far in _FAR:
        with suppress(OSError), closing(socket.socket(family, socket.SOCK_DGRAM)) as one:
            one.connect((far, 53))
            found.append(str(one.getsockname()[0]))
    return found


@dataclass(frozen=True, slots=True)
class Network:
    """How the doctor reaches others; tests put something else in the place of each."""

    resolve: Callable[[str], list[str]] = resolve
    own_addresses: Callable[[], list[str]] = own_addresses
    connect: Connect = connect_any

    def takes_connections(self, address: str, port: int) -> bool:
        """Whether a server listens at an address."""
        try:
            self.connect(address, port, CONNECT_SECONDS).close()
        except OSError:
            return False
        return True

    def public_own_addresses(self) -> list[str]:
        """The public addresses of this machine; none behind a router."""
        return [each for each in self.own_addresses() if is_public(each)]
