"""G31: recovery of texts from the carriers' lists after an outage of the storage."""

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
from torture.clients import run_parallel
from torture.database import query
from torture.environment import (
    EXTENSION,
    TestEnvironment,
    require,
    wait_for_count,
    wait_until,
    web_process_pids,
)

TOKEN = "a-token-of-the-torture-long-enough"
NUMBERS = {"twilio": "+12025550143", "voipms": "+12025550144", "wavix": "+12025550145"}
TEXTS = "SELECT text FROM messages WHERE direction = 'in'"


class TwilioWithoutRetries(FakeTwilio):
    """Fake Twilio that ignores a refused webhook."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[int] = []

    def post(self, url: str, form: dict[str, str]) -> int:
        self.told.append(super().post(url, form))
        return 200


def run(environment: TestEnvironment, scale: Scale) -> Figures:
    """Refuse texts of three carriers, restart, and count the recovered texts."""
    each = scale.pick(8, 340)
    twilio, voipms, wavix = TwilioWithoutRetries(), FakeVoipMs(), FakeWavix()
    for fake in (twilio, voipms, wavix):
        environment.enter(fake)
    server = environment.server(
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
    wait_until(lambda: query(server.storage, seen)[0][0] == len(NUMBERS), "the first look")
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
    log = environment.folder / "strace.log"
    with strace.attached(web_process_pids(server)[0], log, WRITES, "error=ENOSPC:when=1+"):
        for start in range(0, len(works), 12):
            run_parallel(works[start : start + 12])
    statuses += [*twilio.told, *wavix.told]
    refused = Counter(statuses)
    require(set(refused) == {503}, f"while nothing could be kept, answers were {dict(refused)}")
    require(not query(server.storage, TEXTS), "something was kept")
    server.stop()
    server.start()
    everything = {f"{carrier} {index}" for carrier in NUMBERS for index in range(each)}

    def found() -> Counter[str]:
        return Counter(str(row[0]) for row in query(server.storage, TEXTS))

    def pushed() -> list[str]:
        return [told["data"]["message"]["text"] for told in list(environment.receiver.pushes)]

    wait_for_count(
        lambda: len(everything & set(found())), len(everything), "the texts that were refused"
    )
    wait_for_count(lambda: len(pushed()), len(everything), "the pushes")
    again = server.flask("messages", "recover", "--since", "2020-01-01")
    require(again.returncode == 0, again.stderr)
    require(found().total() == len(everything), "texts were taken in twice")
    require(sorted(pushed()) == sorted(everything), "texts were not pushed, or twice")
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
        "Texts that were refused during an outage of the storage are fetched from the lists "
        "of Twilio, VoIP.ms and Wavix at the next start, and pushed once."
    ),
    run=run,
    needs=("strace",),
    mutants=(
        Mutant(
            "services/messaging/recover.py",
            "if last is not None:",
            "if False:",
            "the carriers' lists are not read",
        ),
        Mutant(
            "services/messaging/recover.py",
            "self.recover(provider, last - OVERLAP_SECONDS)",
            "self.recover(provider, now)",
            "only texts from now on are requested",
        ),
    ),
)
