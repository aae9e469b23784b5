"""F22, F23: push services that say no, later, nothing, or hang, beside ones that are well."""

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
from torture.clock import WallClock
from torture.ground import EXTENSION, Ground, demand, wait_for, wait_until
from torture.hole import Hole
from torture.traffic import Carrier, Line, open_jobs, rows

DAY = 86_400
UNREGISTERED = (
    '{"error": {"code": 404, "status": "UNREGISTERED", "details": [{"@type": '
    '"type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": "UNREGISTERED"}]}}'
)
SOON = {"Retry-After": "2"}
# What is wrong with a service, what it answers to all that comes at first, and how it ends.
GONE = (
    ("browser, 410", "webpush", BrowserPush, Answer(410)),
    ("browser, 404", "unifiedpush", BrowserPush, Answer(404)),
    ("fcm, unregistered", "fcm", Firebase, Answer(404, UNREGISTERED)),
)
LATER = (
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
WELL = (("browser", "webpush", BrowserPush), ("ntfy", "ntfy", NtfyServer))


def run(ground: Ground, scale: Scale) -> Figures:
    """Push every text to all of them; the well ones have it at once, the others end right."""
    texts = scale.pick(6, 200)
    clock, hole = WallClock(ground.folder), ground.enter(Hole())
    well = {name: (channel, ground.enter(kind())) for name, channel, kind in WELL}
    unwell: dict[str, tuple[str, PushService]] = {}
    for cases, times in ((GONE, 1000), (LATER, 2), (REFUSED, 1000)):
        for name, channel, kind, answer in cases:
            service = ground.enter(kind())
            service.answers.extend([answer] * times)
            unwell[name] = (channel, service)
    firebase = unwell["fcm, unregistered"][1]
    assert isinstance(firebase, Firebase)
    services = [service for _, service in [*well.values(), *unwell.values()]]
    server = ground.started(
        PUSH_HOSTS=",".join([hole.url, hole.url.replace("http:", "https:")])
        + "".join(f",{service.url}" for service in services),
        **firebase.env,
        **clock.env,
    )
    keys = well["browser"][1].address["keys"]
    hung = {"endpoint": f"{hole.url}/push", "keys": keys}
    plain = f"https://{services[0].url.removeprefix('http://')}/push"
    ids = _register(
        server,
        {
            **{name: (kind, service.address) for name, (kind, service) in well.items()},
            **{name: (kind, service.address) for name, (kind, service) in unwell.items()},
            "hangs": ("webpush", hung),
            "no TLS": ("webpush", {"endpoint": plain, "keys": keys}),
        },
    )
    carrier, line = Carrier(server), Line(server)
    for index in range(texts):
        carrier.insist(line, index)
    for name, (_, service) in well.items():
        _all_at(service, texts, name)
    wait_for(lambda: len(ground.receiver.pushes), texts, "the pushes at the app's server")
    later = [unwell[name][1] for name, *_ in LATER]
    for _ in range(30):
        sleep(0.5)
        clock.skip(40)
        if all(len(service.taken) >= texts for service in later):
            break
    clock.skip(DAY)  # what is tried at all is tried for a day
    wait_until(lambda: not open_jobs(server.storage, "push"), "the end of all pushes", 600)
    for name, (_, service) in {**well, **{n: unwell[n] for n, *_ in LATER}}.items():
        demand(len(service.taken) == texts, f"{name} has {len(service.taken)} of {texts} pushes")
        demand(not service.wrong, f"{name}: {service.wrong[:1]}")
    forgotten = {ids[row[0]] for row in rows(server.storage, NOWHERE)}
    demand(forgotten == {name for name, *_ in GONE}, f"forgotten are {forgotten}")
    given_up = Counter(ids[target] for target, error in rows(server.storage, DEAD) if error)
    hopeless = {"hangs", "no TLS", *(name for name, *_ in REFUSED)}
    for name in hopeless:
        demand(given_up[name] == texts, f"{given_up[name]} of {texts} were given up: {name}")
    return {
        "services": len(ids) + 1,
        "pushes": len(ids) * texts + texts,
        "pushed once": (len(well) + len(LATER) + 1) * texts,
        "given up with a reason": len(hopeless) * texts,
        "addresses forgotten": len(forgotten),
    }


def _register(server: Server, addresses: dict[str, tuple[str, dict[str, Any]]]) -> dict[str, str]:
    """Devices of the extension with these names, channels and addresses; their names by the ids."""

    def add(tx: Connection) -> dict[str, str]:
        made = {}
        for name, (channel, address) in addresses.items():
            device, _ = devices.add(tx, EXTENSION, name, channel=channel, address=address)
            made[device.id] = name
        return made

    with closing(Store(None, server.storage)) as store:
        return store.write(add)


def _all_at(service: PushService, texts: int, name: str) -> None:
    wait_for(lambda: len(service.taken), texts, f"the pushes at {name}")


CHECK = Check(
    name="push_services",
    claim=(
        "Push services that are gone, refuse, put off, fail, hang or have no TLS keep nobody else "
        "waiting: what is gone is forgotten, the rest is pushed once or given up with a reason."
    ),
    run=run,
    needs=("gcc",),
    mutants=(
        Mutant(
            "services/delivery/push_devices.py",
            "if error.kind is Kind.GONE:",
            "if False:",
            "an address that is gone is not forgotten",
        ),
        Mutant(
            "services/push/webpush/channel.py",
            "if status >= 500 or status == 408:",
            "if status == 408:",
            "a failure of the service counts as its last word",
        ),
    ),
)
