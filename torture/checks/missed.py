"""G31: what carriers were told to keep while the storage was unwell is fetched from their lists."""

from collections import Counter
from collections.abc import Callable
from functools import partial

import requests

from tests.fakes.twilio import FakeTwilio
from tests.fakes.voipms import FakeVoipMs
from tests.fakes.wavix import FakeWavix
from torture import strace
from torture.check import Check, Figures, Mutant, Scale
from torture.checks.disk_trouble import WRITES
from torture.ground import EXTENSION, Ground, demand, serving, wait_for, wait_until
from torture.traffic import at_once, rows

TOKEN = "a-token-of-the-torture-long-enough"
NUMBERS = {"twilio": "+12025550143", "voipms": "+12025550144", "wavix": "+12025550145"}
TEXTS = "SELECT text FROM messages WHERE direction = 'in'"


class Refused(FakeTwilio):
    """A Twilio that goes on when a webhook is refused."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[int] = []

    def post(self, url: str, form: dict[str, str]) -> int:
        self.told.append(super().post(url, form))
        return 200


def run(ground: Ground, scale: Scale) -> Figures:
    """Refuse texts of three carriers, and start anew."""
    each = scale.pick(8, 340)
    twilio, voipms, wavix = Refused(), FakeVoipMs(), FakeWavix()
    for fake in (twilio, voipms, wavix):
        ground.enter(fake)
    server = ground.server(
        numbers=[
            {"number": number, "carrier": carrier, "extensions": [EXTENSION]}
            for carrier, number in NUMBERS.items()
        ],
        VOIPMS_WEBHOOK_TOKEN=TOKEN,
        WAVIX_WEBHOOK_TOKEN=TOKEN,
    )
    server.env |= {**twilio.env, **voipms.env, **wavix.env, "APP_URL": server.url}
    server.start()
    hook = f"{server.url}/webhook"
    twilio.webhook = f"{hook}/twilio/sms"
    wavix.webhook = f"{hook}/wavix/sms?token={TOKEN}"
    seen = "SELECT count(*) FROM counters WHERE name LIKE 'recovered:%'"
    wait_until(lambda: rows(server.storage, seen)[0][0] == len(NUMBERS), "the first look")
    statuses: list[int] = []

    def from_twilio(index: int) -> None:
        twilio.receive(f"twilio {index}", sender="+13035550177", to=NUMBERS["twilio"])

    def from_voipms(index: int) -> None:
        told = voipms.receive(f"voipms {index}", sender="3035550177", to="2025550144")
        url = f"{hook}/voipms/sms?token={TOKEN}"
        statuses.append(requests.post(url, json=told, timeout=30).status_code)

    def from_wavix(index: int) -> None:
        wavix.receive(f"wavix {index}", sender="13035550177", to="12025550145")

    works: list[Callable[[], object]] = [
        partial(work, index)
        for index in range(each)
        for work in (from_twilio, from_voipms, from_wavix)
    ]
    log = ground.folder / "strace.log"
    with strace.attached(serving(server)[0], log, WRITES, "error=ENOSPC:when=1+"):
        for start in range(0, len(works), 12):
            at_once(works[start : start + 12])
    statuses += [*twilio.told, *wavix.told]
    refused = Counter(statuses)
    demand(set(refused) == {503}, f"while nothing could be kept, answers were {dict(refused)}")
    demand(not rows(server.storage, TEXTS), "something was kept")
    server.stop()
    server.start()
    everything = {f"{carrier} {index}" for carrier in NUMBERS for index in range(each)}

    def found() -> Counter[str]:
        return Counter(str(row[0]) for row in rows(server.storage, TEXTS))

    def pushed() -> list[str]:
        return [told["data"]["message"]["text"] for told in list(ground.receiver.pushes)]

    wait_for(lambda: len(everything & set(found())), len(everything), "the texts that were refused")
    wait_for(lambda: len(pushed()), len(everything), "the pushes")
    again = server.flask("messages", "recover", "--since", "2020-01-01")
    demand(again.returncode == 0, again.stderr)
    demand(found().total() == len(everything), "texts were taken in twice")
    demand(sorted(pushed()) == sorted(everything), "texts were not pushed, or twice")
    return {
        "refused with 503": refused[503],
        "carriers": len(NUMBERS),
        "recovered": found().total(),
        "pushed": len(pushed()),
        "twice": 0,
    }


CHECK = Check(
    name="missed",
    claim=(
        "What was refused while nothing could be kept is fetched from Twilio's, VoIP.ms's and "
        "Wavix's lists at the next start, and pushed once."
    ),
    run=run,
    needs=("strace",),
    mutants=(
        Mutant(
            "services/messaging/recover.py",
            "if last is not None:",
            "if False:",
            "nobody asks the carriers",
        ),
        Mutant(
            "services/messaging/recover.py",
            "self.recover(provider, last - OVERLAP_SECONDS)",
            "self.recover(provider, now)",
            "only what comes from now on is asked for",
        ),
    ),
)
