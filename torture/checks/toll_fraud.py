"""G19, G20: a stolen phone sends as much as it can, to wherever it pays.

Two devices of an extension, two web processes; at the full scale one of them is killed meanwhile.
The countries are those of every example number that is known of.
"""

import json
import os
import signal
from collections import Counter
from functools import partial

import phonenumbers

from services.core.errors import RequestRefused
from tests.server import Server
from torture.check import Check, Figures, Mutant, Scale
from torture.ground import DESK, NUMBER, Ground, bearer, demand, serving
from torture.house import everything, open_house
from torture.traffic import Line, at_once, rows

PER_DAY, PER_PEER, LINES = 40, 25, 8
KINDS = (
    phonenumbers.PhoneNumberType.MOBILE,
    phonenumbers.PhoneNumberType.FIXED_LINE,
    phonenumbers.PhoneNumberType.PREMIUM_RATE,
)
CARIBBEAN = (  # written as if they were next door
    *("242", "246", "264", "268", "284", "345", "441", "473", "649", "658", "664", "721", "758"),
    *("767", "784", "809", "829", "849", "868", "869", "876", "900"),
)
HOME = ("+12025550123", "+14155550123", "+13035550177")
HOME_REGIONS = {"US", "CA", "PR", "VI"}  # which phone numbers do not set apart


def run(ground: Ground, scale: Scale) -> Figures:
    """Send side by side until it stops, then to every country."""
    server = ground.started(
        numbers=[{**DESK, "extensions": ["201", "202"]}],
        SEND_PER_MINUTE="0",
        SEND_PER_DAY=str(PER_DAY),
        SEND_PER_PEER_HOUR=str(PER_PEER),
        WEB_CONCURRENCY="2",
    )
    count = scale.pick(200, 1_000)
    alone = _sent(server, "201", count, kill=scale is Scale.FULL)
    kept = rows(server.storage, "SELECT count(*) FROM messages WHERE extension = '201'")[0][0]
    demand(kept == PER_DAY, f"an extension that may send {PER_DAY} sent {kept}")
    demand(alone[202] <= PER_DAY, f"an extension that may send {PER_DAY} was told so {alone[202]}×")
    one = _sent(server, "202", count, peer="+13035550188")
    demand(one[202] == PER_PEER, f"one number that may be sent {PER_PEER} was sent {one[202]}")
    refused, accepted = _countries(ground)
    return {
        "parallel sends": 2 * count,
        "passed, of an extension": PER_DAY,
        "passed, to one number": PER_PEER,
        "numbers abroad and premium ones refused": refused,
        "numbers at home accepted": accepted,
    }


def _sent(
    server: Server, extension: str, count: int, *, peer: str = "", kill: bool = False
) -> Counter[int]:
    tokens = [bearer(server, extension) for _ in range(2)]
    answers: Counter[int] = Counter()

    def send(first: int) -> None:
        line = Line(server)
        for n in range(first, count, LINES):
            if kill and n == count // 50:
                os.kill(serving(server)[0], signal.SIGKILL)
            body = {"to": peer or f"+1303555{n:04}", "text": "x", "from": NUMBER}
            head = {"Authorization": f"Bearer {tokens[n % 2]}"}
            status, _ = line.call("POST", "/api/v1/messages", json.dumps(body).encode(), **head)
            demand(status in (0, 202, 429), f"a send is answered {status}")
            answers[status] += 1

    at_once([partial(send, line) for line in range(LINES)])
    return answers


def _countries(ground: Ground) -> tuple[int, int]:
    """Numbers of every country and kind; returns how many were refused and taken, all rightly."""
    gateway = open_house(ground, **everything()).gateway

    def passes(number: str) -> bool:
        try:
            gateway.limits.check_countries([number])
        except RequestRefused:
            return False
        return True

    abroad = [f"+1{area}5550123" for area in CARIBBEAN]
    for region in sorted(phonenumbers.SUPPORTED_REGIONS - HOME_REGIONS):
        examples = (phonenumbers.example_number_for_type(region, kind) for kind in KINDS)
        abroad += [
            phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
            for example in examples
            if example is not None
        ]
    wrong = [number for number in abroad if passes(number)]
    demand(not wrong, f"accepted: {wrong}")
    demand(all(map(passes, HOME)), "a number at home is refused")
    return len(abroad), len(HOME)


CHECK = Check(
    name="toll_fraud",
    claim="Exactly as many messages leave as an extension may send and a number may be sent, and "
    "none to a country that is not allowed.",
    run=run,
    mutants=(
        Mutant(
            "services/messaging/send_limits.py",
            '_Limit(f"peer:{peer}"',
            '_Limit(f"peer:{peer}:{extension}:{parts[0].id}"',
            "what one number is sent is not counted together",
        ),
        Mutant(
            "services/messaging/send_limits.py",
            'if recipient.startswith("+") and',
            'if not recipient.startswith("+1") and',
            "all of +1 is taken for home",
        ),
    ),
)
