"""G21: brute force: a thousand guesses a minute at passwords, pairing codes and device tokens.

The guesses go to two web processes and, by a trusted proxy, from a thousand addresses. A guess over
the limit is answered 429 without a check, whether or not it is right.
"""

from collections import Counter
from collections.abc import Callable
from functools import partial
from time import monotonic

from services.operations.login_throttle import PAIRING, PASSWORD, TOKENS, Attempts
from tests.admin.conftest import PASSWORD as RIGHT
from tests.server import Server
from torture.check import Check, Figures, Mutant, Scale
from torture.clients import HttpClient, run_parallel
from torture.environment import TestEnvironment, require

CHECKED_STATUSES = (401, 403)
CONNECTIONS = 8
KNOWN = "198.51.100.200"  # from where the operator signed in before
Make = Callable[[int], tuple[str, str, bytes, dict[str, str]]]
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
TARGETS: dict[str, tuple[Attempts, Make]] = {
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


def run(environment: TestEnvironment, scale: Scale) -> Figures:
    """Guess at every target, from one address and from a thousand."""
    server = environment.start_server(
        ADMIN_PASSWORD=RIGHT, TRUSTED_PROXIES="127.0.0.1", WEB_CONCURRENCY="2"
    )
    for known in ("", KNOWN):
        status = _sign_in(server, known)
        require(status == 303, f"the right password is answered {status}")
    count, figures = scale.pick(1_000, 2_000), {}
    for target, (guesses, make) in TARGETS.items():
        answers: Counter[int] = Counter()
        start = monotonic()

        def guess(first: int, make: Make = make, answers: Counter[int] = answers) -> None:
            client = HttpClient(server)
            for n in range(first, count, CONNECTIONS):
                method, path, body, headers = make(n)
                away = "198.51.100.7" if n % 2 else f"203.{n // 62_500}.{n // 250 % 250}.{n % 250}"
                all_headers = {**headers, "X-Forwarded-For": away}
                status, _ = client.call(method, path, body, **all_headers)
                answers[status] += 1

        run_parallel([partial(guess, client) for client in range(CONNECTIONS)])
        looked = sum(answers[status] for status in CHECKED_STATUSES)
        limit, span = guesses.all[0]
        most = limit * (
            2 + int((monotonic() - start) / span)
        )  # the guesses may fall into this many time windows
        require(sum(answers.values()) == looked + answers[429], f"{target}: {dict(answers)}")
        require(0 < looked <= most, f"{target}: {looked} of {count} guesses were looked at")
        figures[f"{target}: looked at of {count:,}"] = looked
    status = _sign_in(server)
    require(status == 303, f"others' guesses shut the operator out: {status}")
    return {**figures, "operators shut out": _lock_for_all(server)}


def _sign_in(server: Server, address: str = "", password: str = RIGHT) -> int:
    """The status of a sign-in, from an address that the trusted proxy names."""
    headers = {**FORM, "X-Forwarded-For": address} if address else FORM
    body = f"password={password}".encode()
    return HttpClient(server).call("POST", "/admin/sign-in", body, **headers)[0]


def _lock_for_all(server: Server) -> int:
    """A lock for all holds out strangers and, also after a restart, nobody who is known."""
    server.stop()
    server.start()
    for n in range(PASSWORD.all[0][0]):
        _sign_in(server, f"203.0.113.{n}", "wrong")
    status = _sign_in(server, "192.0.2.77")
    require(status == 429, f"there is no lock for all: {status}")
    status = _sign_in(server, KNOWN)
    require(status == 303, f"a lock for all holds out a known address: {status}")
    return 0


CHECK = Check(
    name="brute_force",
    claim=(
        "Of a thousand guesses a minute only a few are checked, from any number of "
        "addresses; the operator can still sign in."
    ),
    run=run,
    mutants=(
        Mutant(
            "services/operations/login_throttle.py",
            "return [*of_address, *self._of_all()]",
            "return of_address",
            "guesses are counted per address only",
        ),
        Mutant(
            "services/operations/login_throttle.py",
            "if alone or (address and",
            "if alone or (not address and",
            "a lock for all holds out an address from which the operator signed in before",
        ),
    ),
)
