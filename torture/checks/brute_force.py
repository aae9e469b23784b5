"""G21: a thousand guesses a minute at each secret that a person can type.

By two processes and from a thousand addresses, told by a proxy that is trusted. A guess that is
not looked at is answered 429, whether or not it is right.
"""

from collections import Counter
from collections.abc import Callable
from functools import partial
from time import monotonic

from services.operations.login_throttle import PAIRING, PASSWORD, TOKENS, Attempts
from tests.admin.conftest import PASSWORD as RIGHT
from torture.check import Check, Figures, Mutant, Scale
from torture.ground import Ground, demand
from torture.traffic import Line, at_once

LOOKED_AT = (401, 403)
LINES = 8
Make = Callable[[int], tuple[str, str, bytes, dict[str, str]]]
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
DOORS: dict[str, tuple[Attempts, Make]] = {
    "the operator's password": (
        PASSWORD,
        lambda n: ("POST", "/admin/sign-in", b"password=guess+%d" % n, FORM),
    ),
    "pairing codes": (
        PAIRING,
        lambda n: (
            "POST",
            "/api/v1/pair",
            b'{"code": "ABCD-%04d", "device": {"name": "x"}}' % n,
            {},
        ),
    ),
    "tokens of devices": (
        TOKENS,
        lambda n: ("GET", "/api/v1/me", b"", {"Authorization": f"Bearer tb_{n:043}"}),
    ),
}


def run(ground: Ground, scale: Scale) -> Figures:
    """Guess at every door, from one address and from a thousand."""
    server = ground.started(ADMIN_PASSWORD=RIGHT, TRUSTED_PROXIES="127.0.0.1", WEB_CONCURRENCY="2")
    sign_in = f"password={RIGHT}".encode()
    first, _ = Line(server).call("POST", "/admin/sign-in", sign_in, **FORM)
    demand(first == 303, f"the right password is answered {first}")
    count, figures = scale.pick(1_000, 2_000), {}
    for door, (guesses, make) in DOORS.items():
        answers: Counter[int] = Counter()
        start = monotonic()

        def guess(first: int, make: Make = make, answers: Counter[int] = answers) -> None:
            line = Line(server)
            for n in range(first, count, LINES):
                method, path, body, headers = make(n)
                away = "198.51.100.7" if n % 2 else f"203.{n // 62_500}.{n // 250 % 250}.{n % 250}"
                told = {**headers, "X-Forwarded-For": away}
                status, _ = line.call(method, path, body, **told)
                answers[status] += 1

        at_once([partial(guess, line) for line in range(LINES)])
        looked = sum(answers[status] for status in LOOKED_AT)
        limit, span = guesses.all[0]
        most = limit * (2 + int((monotonic() - start) / span))  # as many spans may be touched
        demand(sum(answers.values()) == looked + answers[429], f"{door}: {dict(answers)}")
        demand(0 < looked <= most, f"{door}: {looked} of {count} guesses were looked at")
        figures[f"{door}: looked at of {count:,}"] = looked
    again, _ = Line(server).call("POST", "/admin/sign-in", sign_in, **FORM)
    demand(again == 303, f"others' guesses shut the operator out: {again}")
    return {**figures, "operators shut out": 0}


CHECK = Check(
    name="brute_force",
    claim="Of a thousand guesses a minute hardly any is looked at, whoever guesses from wherever; "
    "the operator is not shut out by them.",
    run=run,
    mutants=(
        Mutant(
            "services/operations/login_throttle.py",
            "wanted = [*self._of(address), *([] if alone else self._of_all())]",
            "wanted = self._of(address)",
            "guesses are counted for each address alone",
        ),
    ),
)
