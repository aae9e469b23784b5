"""G16: server-side request forgery: no URL from outside leads to a private network.

Runs in this process with a fake resolver, and intercepts every ``connect()``. No connection may go
to an address that is not public, and credentials may be sent only to their own carrier.
"""

import ipaddress
import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import chain, count, cycle, repeat
from typing import Any
from unittest.mock import patch
from urllib.parse import urlsplit

from services.core.errors import MediaError
from services.core.messages import Attachment, Message
from services.http.client import Answer, Http
from tests import payload_files
from tests.api.conftest import Phone, Service
from torture.check import Check, Figures, Mutant, Scale
from torture.environment import TestEnvironment, require
from torture.in_process import full_env, open_service, receive, ringotel_event, run_due_jobs

PUBLIC = "9.9.9.9"
KEYS = {  # of the example of RFC 8291, section 5
    "p256dh": "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIA"
    "iw4",
    "auth": "BTBZMqHH6r4Tts7J_aSIgg",
}

# Networks that are not public: the IANA registries of special addresses (RFC 6890 and later),
# and IPv6 addresses that contain an IPv4 address.
NOT_PUBLIC = [
    ipaddress.ip_network(network)
    for network in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16"),
        *("172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16"),
        *("198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
        *("::/3", "4000::/2", "8000::/1", "2001::/23", "2001:db8::/32", "3fff::/20"),
    )
]
NAT64, SIX_TO_FOUR = ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("2002::/16")

CREDENTIAL_HOSTS = {"api.bandwidth.com"}  # hosts that get credentials before a file is downloaded

DISGUISED_HOSTS = (  # private addresses in forms that hide them
    *("127.0.0.1", "127.1", "2130706433", "0x7f.1", "0x7f000001", "0177.0.0.1", "017700000001"),
    *("127.0.0.1.", "localhost", "LOCALHOST", "localhost.", "0", "0.0.0.0", "10.0.0.5", "10.5"),
    *("172.16.0.1", "192.168.1.1", "3232235777", "169.254.169.254", "0xa9fea9fe", "100.64.0.1"),
    *("192.0.0.8", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "192.88.99.1"),
    *("[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[fe80::1]"),
    *("[fc00::1]", "[fec0::1]", "[ff02::1]", "[64:ff9b::7f00:1]", "[64:ff9b::a9fe:a9fe]"),
    *("[64:ff9b:1::7f00:1]", "[2002:7f00:1::]", "[2002:a9fe:a9fe::1]", "[2001::1]", "[5f00::1]"),
    *("[3fff::1]", "[fe80::1%25lo]", "①②⑦.0.0.1", "127。0。0。1", "evil.example@127.0.0.1"),
    *("127.0.0.1#.evil.example", "127.0.0.1\\.evil.example", "evil.example:x@127.0.0.1"),
)
NAMES: dict[str, tuple[tuple[str, ...], ...]] = {  # the answers of the resolver, one per query
    "private.example": (("10.0.0.5",),),
    "loop.example": (("127.0.0.1",),),
    "six.example": (("::1",),),
    "mapped.example": (("::ffff:10.0.0.5",),),
    "nat.example": (("64:ff9b::a00:5",),),
    "relay.example": (("2002:a00:5::",),),
    "site.example": (("fec0::5",),),
    "meta.example": (("169.254.169.254",),),
    "both.example": ((PUBLIC, "127.0.0.1"),),
    "turns.example": ((PUBLIC,), ("127.0.0.1",)),
    "turns-six.example": ((PUBLIC,), ("::1",)),
    "turns-late.example": ((PUBLIC,), (PUBLIC,), ("10.0.0.5",)),
    "public.example": ((PUBLIC,),),
}


@dataclass
class FakeNetwork:
    """Fake resolver and intercepted connections."""

    port: int
    connected: list[str] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)  # foreign hosts that got a credential
    resolved: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._answers = {
            name: chain(answers, cycle(answers)) if len(answers) > 1 else repeat(answers[0])
            for name, answers in NAMES.items()
        }
        self._resolve = socket.getaddrinfo

    def resolve(self, host: Any, port: Any, *more: Any, **how: Any) -> Any:
        """Replaces ``getaddrinfo``: names of ``NAMES``, and numeric addresses."""
        name = host.decode() if isinstance(host, bytes) else str(host)
        self.resolved.add(name)
        if name in self._answers:
            found = next(self._answers[name])
            return [one for address in found for one in self._resolve(address, port, *more, **how)]
        if name.lower().rstrip(".") == "localhost":
            return self._resolve("127.0.0.1", port, *more, **how)
        how = {"type": socket.SOCK_STREAM, **how}
        return self._resolve(name, port, flags=socket.AI_NUMERICHOST, **how)

    def connect(self, address: Any) -> None:
        """Replaces ``connect``: records the address and refuses."""
        self.connected.append(str(address[0]))
        raise ConnectionRefusedError("nothing leaves this check")

    def reached(self) -> list[str]:
        """The addresses that must not be connected to, but were."""
        return [address for address in self.connected if not _is_internet(address)]


def _is_internet(address: str) -> bool:
    ip = ipaddress.ip_address(address.partition("%")[0])
    if ip in NAT64:
        ip = ipaddress.ip_address(int(ip) & 0xFFFFFFFF)
    elif ip in SIX_TO_FOUR:
        ip = ipaddress.ip_address(int(ip) >> 80 & 0xFFFFFFFF)
    return not any(ip in network for network in NOT_PUBLIC)


@contextmanager
def watched() -> Iterator[FakeNetwork]:
    """A fake network, and a local listener that must not get a connection."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        network = FakeNetwork(listener.getsockname()[1])
        stack.enter_context(patch.object(socket, "getaddrinfo", network.resolve))
        stack.enter_context(
            patch.object(socket.socket, "connect", lambda _, to: network.connect(to))
        )
        yield network
        listener.settimeout(0)
        try:
            listener.accept()
        except BlockingIOError:
            return
        require(False, "somebody called a port of this machine")


def addresses(port: int) -> list[str]:
    """All URLs that the check registers or sends."""
    hosts = [*DISGUISED_HOSTS, *NAMES]
    https = [f"https://{host}/a.jpg" for host in hosts]
    own = ("127.0.0.1", "localhost", "[::1]", "loop.example", "turns.example")
    ports = [f"{scheme}://{host}:{port}/a.jpg" for host in own for scheme in ("http", "https")]
    odd = (
        *("file:///etc/passwd", "gopher://127.0.0.1/x", "ftp://127.0.0.1/x", "//127.0.0.1/x"),
        *("https:127.0.0.1/x", "data:text/html,x", "https://", "unix:///x", "\nhttps://[::1]/"),
    )
    return [*https, *ports, *odd]


def run(environment: TestEnvironment, scale: Scale) -> Figures:
    """Use every URL everywhere a URL is accepted, and check the connections."""
    numbers = [
        {"number": f"+1202555014{n}", "carrier": carrier, "extensions": ["201"]}
        for n, carrier in enumerate(payload_files.carriers())
    ]
    service = open_service(environment, *numbers, **full_env())
    service.gateway.media.seconds = 1.0
    ann = service.pair("201")
    named: dict[str, int] = {}
    with watched() as network:
        named["push addresses"] = _devices(ann, network)
        named["carriers' media"] = _carriers(service, network)
        named["Ringotel's files"] = _ringotel(service, network)
        named["Acrobits' files"] = _acrobits(service, ann, network)
        named["redirects"] = _redirects(service, ann, network)
    require(PUBLIC in network.connected, "not even a public address was called: nothing is shown")
    require(not network.reached(), f"connected to {sorted(set(network.reached()))}")
    require(not network.shown, f"credentials were shown to {sorted(set(network.shown))}")
    return {
        "addresses": len(addresses(0)),
        **named,
        "connections to the internet": len(network.connected),
        "connections elsewhere": 0,
        "credentials shown to others": 0,
    }


def _devices(ann: Phone, network: FakeNetwork) -> int:
    """Push addresses of apps: each one that is accepted gets two pushes."""
    tried = 0
    for address in addresses(network.port):
        for push in (
            {"type": "unifiedpush", "endpoint": address, "keys": KEYS},
            {"type": "webpush", "endpoint": address, "keys": KEYS},
            {"type": "ntfy", "server": address.removesuffix("/a.jpg"), "topic": "t", "token": "s"},
        ):
            answer = ann.call("PUT", f"/devices/{ann.id}", json={"push": push})
            require(answer.status_code in (200, 422), f"{push}: {answer.status_code} {answer.text}")
            for _ in range(2 * (answer.status_code == 200)):
                ann.post(f"/devices/{ann.id}/test")
            tried += 1
    ann.call("PUT", f"/devices/{ann.id}", json={"push": {"type": "none"}})
    return tried


def _carriers(service: Service, network: FakeNetwork) -> int:
    """Media URLs in carriers' webhooks, which the worker downloads."""
    ids = count()
    tried = 0
    for n, carrier in enumerate(payload_files.carriers()):
        for address in addresses(network.port):
            file = Attachment(source_url=address, name="a.jpg")
            message = Message(
                "in", f"+1202555014{n}", "+13035550177", text="look", media=(file,),
                provider_id=f"m{next(ids)}",
            )  # fmt: skip
            if receive(service, carrier, message) < 300:
                tried += 1
            try:  # the credentials that the worker would send
                headers = service.gateway.providers[carrier].media_headers(address)
            except MediaError:
                continue
            network.shown += [address] if headers else []
    run_due_jobs(service.gateway)
    return tried


def _ringotel(service: Service, network: FakeNetwork) -> int:
    """URLs of files in Ringotel's webhooks."""
    service.gateway.channels["ringotel"].show_sentence = lambda *_: None  # type: ignore[attr-defined]
    urls = addresses(network.port)
    for n, address in enumerate(urls):
        status, body = ringotel_event(service, 2, address, f"f{n}")
        require(status < 500, f"{address}: {status} {body}")
    return len(urls)


def _acrobits(service: Service, ann: Phone, network: FakeNetwork) -> int:
    """URLs of files in requests of Acrobits apps."""
    urls = addresses(network.port)
    for address in urls:
        require(_send_file(service, ann, address) < 500, f"Acrobits: {address}")
    return len(urls)


def _send_file(service: Service, ann: Phone, address: str) -> int:
    listed = {"body": "x", "attachments": [{"content-url": address, "content-type": "image/jpeg"}]}
    form = {
        "username": "201", "password": ann.token, "to": "+13035550177",
        "content_type": "application/x-acro-filetransfer+json", "body": json.dumps(listed),
    }  # fmt: skip
    return service.client.post("/acrobits/send", data=form).status_code


# Redirects from an allowed host to an address that is not allowed


def _own_addresses(carrier: str) -> list[str]:
    """Addresses of files at a carrier that may be fetched with its credentials."""
    [first, *_] = payload_files.expected(payload_files.FOLDER / carrier / "media.json")
    return list(first["ours"])


def _redirects(service: Service, ann: Phone, network: FakeNetwork) -> int:
    """The file hosts of carriers, Acrobits and Ringotel answer with a redirect."""
    tried = 0
    own = {
        carrier: ours[0]
        for carrier in payload_files.carriers()
        if (ours := _own_addresses(carrier))
    }
    files = "https://files.acrobits.net/a.jpg"
    ringotel = service.gateway.channels["ringotel"].public_http  # type: ignore[attr-defined]
    for address in addresses(network.port):
        redirector = Redirector(
            address, (*own.values(), files, "https://public.example/b.jpg"), network
        )
        with redirector.installed(service.gateway.http), redirector.installed(ringotel):
            for carrier, url in own.items():
                provider = service.gateway.providers[carrier]
                try:
                    service.gateway.media.fetch(
                        service.gateway.http, url, provider.media_headers(url, renew=False),
                        redirects=provider.media_redirects,
                        file_id="01a1f912-29fd-798d-b9d5-d4199fe17a55", name="", max_bytes=1000,
                    )  # fmt: skip
                except MediaError:
                    tried += 1
            require(_send_file(service, ann, files) < 500, address)
            ringotel_event(service, 2, "https://public.example/b.jpg", f"r{address}")
            tried += 2
    return tried


@dataclass
class Redirector:
    """Answers the first request of a download with a redirect; passes on all other requests."""

    to: str
    first: tuple[str, ...]
    network: FakeNetwork

    @contextmanager
    def installed(self, http: Http) -> Iterator[None]:
        """Redirect the requests of one HTTP client."""
        original = http.request

        def request(
            method: str, url: str, *, headers: Mapping[str, str] | None = None, **how: Any
        ) -> Answer:
            if url in self.first:
                return Answer(302, {"location": self.to}, b"")
            shows = any(name.lower() == "authorization" for name in headers or {})
            if shows and urlsplit(url).netloc not in CREDENTIAL_HOSTS:
                self.network.shown.append(urlsplit(url).netloc)
            return original(method, url, headers=headers, **how)

        with patch.object(http, "request", request):
            yield


CHECK = Check(
    name="ssrf",
    claim=(
        "A URL from outside is fetched from a public address or not at all, also after "
        "redirects, and credentials go to their own carrier only."
    ),
    run=run,
    mutants=(
        Mutant(
            "services/http/public_addresses.py",
            " or (ip.version == 6 and ip not in INTERNET)",
            "",
            "an unassigned IPv6 address is called",
        ),
        Mutant(
            "services/http/public_addresses.py",
            "if not all(map(is_public, addresses)):",
            "if not any(map(is_public, addresses)):",
            "a name with a public and a private address is called",
        ),
        Mutant(
            "services/http/public_addresses.py",
            "socket.create_connection((address, port), seconds)",
            "socket.create_connection((host, port), seconds)",
            "a name is resolved again after its check",
        ),
        Mutant(
            "services/providers/twilio/provider.py",
            "is_below(url, base + folder)",
            "True",
            "Twilio's credentials are sent to any host",
        ),
        Mutant(
            "blueprints/ringotel/inbox.py",
            "self.channel.public_http,  # the address of the file is from outside",
            '__import__("services.http", fromlist=["Http"]).Http(),',
            "Ringotel's files are fetched from any address",
        ),
    ),
)
