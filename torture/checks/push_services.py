"""F22, F23: push services that refuse, defer, fail or hang, beside healthy ones."""

from collections import Counter
from contextlib import closing
from time import sleep
from typing import Any

from sqlalchemy import Connection

from services.store import devices
from services.store.database.store import Store
from tests.fakes.push_services import Answer, BrowserPush, Firebase, NtfyServer, PushService
from tests.server import Server
from torture.check import Check, Figures, Mutant, Scale
from torture.clients import CarrierClient, HttpClient
from torture.clock import WallClock
from torture.database import open_jobs, query
from torture.environment import EXTENSION, TestEnvironment, require, wait_for_count, wait_until
from torture.silent_server import SilentServer

DAY = 86_400
UNREGISTERED = (
    '{"error": {"code": 404, "status": "UNREGISTERED", "details": [{"@type": '
    '"type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": "UNREGISTERED"}]}}'
)
SOON = {"Retry-After": "2"}
# Name, channel, fake, and the answer to the first pushes; grouped by the expected outcome.
GONE = (
    ("browser, 410", "webpush", BrowserPush, Answer(410)),
    ("browser, 404", "unifiedpush", BrowserPush, Answer(404)),
    ("fcm, unregistered", "fcm", Firebase, Answer(404, UNREGISTERED)),
)
DEFERRED = (
    ("browser, 429", "webpush", BrowserPush, Answer(429, "", SOON)),
    ("browser, 429 without a time", "unifiedpush", BrowserPush, Answer(429)),
    ("browser, 500", "webpush", BrowserPush, Answer(500)),
    ("browser, 503", "unifiedpush", BrowserPush, Answer(503, "<html>", SOON)),
    ("ntfy, 429", "ntfy", NtfyServer, Answer(429)),
    ("ntfy, 507", "ntfy", NtfyServer, Answer(507)),
)
REFUSED = (
    ("browser, a redirect", "webpush", BrowserPush, Answer(307, "", {"Location": "/push/v1/abc"})),
    ("browser, 400", "unifiedpush", BrowserPush, Answer(400, "\x00" * 300_000)),
    ("ntfy, 403", "ntfy", NtfyServer, Answer(403)),
)
NOWHERE = "SELECT id FROM devices WHERE channel = 'none' AND last_error IS NOT NULL"
DEAD = "SELECT target, error FROM jobs WHERE kind = 'push' AND state = 'dead'"
HEALTHY = (("browser", "webpush", BrowserPush), ("ntfy", "ntfy", NtfyServer))


def run(environment: TestEnvironment, scale: Scale) -> Figures:
    """Push every text to all; the healthy ones get it at once, the others end as expected."""
    texts = scale.pick(6, 200)
    clock, silent_server = WallClock(environment.folder), environment.enter(SilentServer())
    healthy = {name: (channel, environment.enter(kind())) for name, channel, kind in HEALTHY}
    faulty: dict[str, tuple[str, PushService]] = {}
    for cases, times in ((GONE, 1000), (DEFERRED, 2), (REFUSED, 1000)):
        for name, channel, kind, answer in cases:
            service = environment.enter(kind())
            service.answers.extend([answer] * times)
            faulty[name] = (channel, service)
    firebase = faulty["fcm, unregistered"][1]
    assert isinstance(firebase, Firebase)
    services = [service for _, service in [*healthy.values(), *faulty.values()]]
    server = environment.start_server(
        PUSH_HOSTS=",".join([silent_server.url, silent_server.url.replace("http:", "https:")])
        + "".join(f",{service.url}" for service in services),
        **firebase.env,
        **clock.env,
    )
    keys = healthy["browser"][1].address["keys"]
    hung = {"endpoint": f"{silent_server.url}/push", "keys": keys}
    plain = f"https://{services[0].url.removeprefix('http://')}/push"
    ids = _register(
        server,
        {
            **{name: (kind, service.address) for name, (kind, service) in healthy.items()},
            **{name: (kind, service.address) for name, (kind, service) in faulty.items()},
            "hangs": ("webpush", hung),
            "no TLS": ("webpush", {"endpoint": plain, "keys": keys}),
        },
    )
    carrier, client = CarrierClient(server), HttpClient(server)
    for index in range(texts):
        carrier.post_until_accepted(client, index)
    for name, (_, service) in healthy.items():
        _wait_for_pushes(service, texts, name)
    wait_for_count(
        lambda: len(environment.receiver.pushes), texts, "the pushes at the app's server"
    )
    later = [faulty[name][1] for name, *_ in DEFERRED]
    for _ in range(30):
        sleep(0.5)
        clock.advance(40)
        if all(len(service.taken) >= texts for service in later):
            break
    clock.advance(DAY)  # retries end after a day
    wait_until(lambda: not open_jobs(server.storage, "push"), "the end of all pushes", 600)
    for name, (_, service) in {**healthy, **{n: faulty[n] for n, *_ in DEFERRED}}.items():
        require(len(service.taken) == texts, f"{name} has {len(service.taken)} of {texts} pushes")
        require(not service.wrong, f"{name}: {service.wrong[:1]}")
    forgotten = {ids[row[0]] for row in query(server.storage, NOWHERE)}
    require(forgotten == {name for name, *_ in GONE}, f"forgotten are {forgotten}")
    given_up = Counter(ids[target] for target, error in query(server.storage, DEAD) if error)
    hopeless = {"hangs", "no TLS", *(name for name, *_ in REFUSED)}
    for name in hopeless:
        require(given_up[name] == texts, f"{given_up[name]} of {texts} were given up: {name}")
    return {
        "services": len(ids) + 1,
        "pushes": len(ids) * texts + texts,
        "pushed once": (len(healthy) + len(DEFERRED) + 1) * texts,
        "given up with a reason": len(hopeless) * texts,
        "addresses forgotten": len(forgotten),
    }


def _register(server: Server, addresses: dict[str, tuple[str, dict[str, Any]]]) -> dict[str, str]:
    """Add devices with these names, channels and addresses; returns their names by id."""

    def add(tx: Connection) -> dict[str, str]:
        made = {}
        for name, (channel, address) in addresses.items():
            device, _ = devices.add(tx, EXTENSION, name, channel=channel, address=address)
            made[device.id] = name
        return made

    with closing(Store(None, server.storage)) as store:
        return store.write(add)


def _wait_for_pushes(service: PushService, texts: int, name: str) -> None:
    wait_for_count(lambda: len(service.taken), texts, f"the pushes at {name}")


CHECK = Check(
    name="push_services",
    claim=(
        "Push services that are gone, refuse, defer, fail, hang or have no TLS delay no "
        "others: a gone address is deleted, other pushes are delivered once or given up "
        "with a reason."
    ),
    run=run,
    needs=("gcc",),
    mutants=(
        Mutant(
            "services/delivery/push_devices.py",
            "if error.kind is Kind.GONE:",
            "if False:",
            "a gone push address is not deleted",
        ),
        Mutant(
            "services/push/webpush/channel.py",
            "if status >= 500 or status == 408:",
            "if status == 408:",
            "a server error counts as a refusal",
        ),
    ),
)
