"""G19, G20: toll fraud: send limits and allowed countries under parallel sends.

Two devices of an extension send to two web processes; at the full scale one process is killed
meanwhile. The countries are those of all example numbers of the phonenumbers library.
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
from torture.clients import HttpClient, run_parallel
from torture.database import query
from torture.environment import (
    NUMBER,
    NUMBER_SETTINGS,
    TestEnvironment,
    new_device_token,
    require,
    web_process_pids,
)
from torture.in_process import full_env, open_service

PER_DAY, PER_PEER, CONNECTIONS = 40, 25, 8
KINDS = (
    phonenumbers.PhoneNumberType.MOBILE,
    phonenumbers.PhoneNumberType.FIXED_LINE,
    phonenumbers.PhoneNumberType.PREMIUM_RATE,
)
CARIBBEAN = (  # area codes that look like domestic ones
    *("242", "246", "264", "268", "284", "345", "441", "473", "649", "658", "664", "721", "758"),
    *("767", "784", "809", "829", "849", "868", "869", "876", "900"),
)
HOME = ("+12025550123", "+14155550123", "+13035550177")
HOME_REGIONS = {"US", "CA", "PR", "VI"}  # regions that share the country code 1


def run(environment: TestEnvironment, scale: Scale) -> Figures:
    """Send in parallel up to the limits, then to numbers of every country."""
    server = environment.start_server(
        numbers=[{**NUMBER_SETTINGS, "extensions": ["201", "202"]}],
        SEND_PER_MINUTE="0",
        SEND_PER_DAY=str(PER_DAY),
        SEND_PER_PEER_HOUR=str(PER_PEER),
        WEB_CONCURRENCY="2",
    )
    count = scale.pick(200, 1_000)
    alone = _sent(server, "201", count, kill=scale is Scale.FULL)
    kept = query(server.storage, "SELECT count(*) FROM messages WHERE extension = '201'")[0][0]
    require(kept == PER_DAY, f"an extension that may send {PER_DAY} sent {kept}")
    require(
        alone[202] <= PER_DAY, f"an extension that may send {PER_DAY} was told so {alone[202]}×"
    )
    one = _sent(server, "202", count, peer="+13035550188")
    require(one[202] == PER_PEER, f"one number that may be sent {PER_PEER} was sent {one[202]}")
    refused, accepted = _countries(environment)
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
    tokens = [new_device_token(server, extension) for _ in range(2)]
    answers: Counter[int] = Counter()

    def send(first: int) -> None:
        client = HttpClient(server)
        for n in range(first, count, CONNECTIONS):
            if kill and n == count // 50:
                os.kill(web_process_pids(server)[0], signal.SIGKILL)
            body = {"to": peer or f"+1303555{n:04}", "text": "x", "from": NUMBER}
            head = {"Authorization": f"Bearer {tokens[n % 2]}"}
            status, _ = client.call("POST", "/api/v1/messages", json.dumps(body).encode(), **head)
            require(status in (0, 202, 429), f"a send is answered {status}")
            answers[status] += 1

    run_parallel([partial(send, client) for client in range(CONNECTIONS)])
    return answers


def _countries(environment: TestEnvironment) -> tuple[int, int]:
    """Numbers of every country and type; returns how many were rightly refused and accepted."""
    gateway = open_service(environment, **full_env()).gateway

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
    require(not wrong, f"accepted: {wrong}")
    require(all(map(passes, HOME)), "a domestic number is refused")
    return len(abroad), len(HOME)


CHECK = Check(
    name="toll_fraud",
    claim=(
        "The limits per extension and per recipient hold exactly under parallel sends, and "
        "no message goes to a country that is not allowed."
    ),
    run=run,
    mutants=(
        Mutant(
            "services/messaging/send_limits.py",
            '_Limit(f"peer:{peer}"',
            '_Limit(f"peer:{peer}:{extension}:{parts[0].id}"',
            "the sends to one number are not added up",
        ),
        Mutant(
            "services/messaging/send_limits.py",
            'if recipient.startswith("+") and',
            'if not recipient.startswith("+1") and',
            "all of +1 counts as domestic",
        ),
    ),
)
