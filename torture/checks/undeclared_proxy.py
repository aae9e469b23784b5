"""nginx in front that TRUSTED_PROXIES does not name: every request then comes from 127.0.0.1.

The check of the documented configuration, in which it is named, is ``front_proxy``.
"""

import json
from base64 import b64encode

from tests.admin.conftest import PASSWORD as RIGHT
from tests.server import Server
from torture.check import Check, Figures, Mutant, Scale
from torture.clients import HttpClient
from torture.environment import EXTENSION, TestEnvironment, require
from torture.proxy import Nginx, ProxyClient

INSIDE, OUTSIDE = "127.0.0.2", "127.0.0.3"  # the operator and a stranger, as nginx sees them
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
SIGN_IN = "/admin/sign-in"
BASIC = {"Authorization": "Basic " + b64encode(f"admin:{RIGHT}".encode()).decode()}
# What a stranger may write to look like somebody on this machine.
CLAIMS = ("", "127.0.0.1", INSIDE, "127.0.0.1, 127.0.0.1", "::1")
REMEDY = "TRUSTED_PROXIES=127.0.0.1"


def run(environment: TestEnvironment, scale: Scale) -> Figures:
    """Guess through nginx, claim to be local, and declare nginx in the end."""
    server = environment.start_server(ADMIN_PASSWORD=RIGHT)
    nginx = environment.enter(Nginx(environment.folder / "nginx", server))
    guesses = scale.pick(40, 400)
    _guess(nginx, guesses)
    _require_let_in(server, nginx)
    _require_warning(server)
    _restart(server, ADMIN_ALLOW="127.0.0.1, ::1")
    refused = _claim_to_be_local(nginx)
    require(_sign_in(HttpClient(server)) == 303, "the operator on this machine is refused")
    _restart(server, ADMIN_ALLOW=INSIDE, TRUSTED_PROXIES="127.0.0.1")
    _guess(nginx, guesses)
    declared = _sign_in(ProxyClient(nginx, INSIDE))
    require(declared == 303, f"with nginx declared, the operator is answered {declared}")
    require(not _warnings(server), "there is a warning although nginx is declared")
    return {
        "wrong passwords and codes through nginx": 4 * guesses,
        "claims to be on this machine, refused": refused,
        "operators and phones shut out": 0,
    }


def _restart(server: Server, **env: str) -> None:
    server.stop()
    server.env.update(env)
    server.start()


def _sign_in(client: HttpClient | ProxyClient) -> int:
    return client.call("POST", SIGN_IN, f"password={RIGHT}".encode(), **FORM)[0]


def _guess(nginx: Nginx, count: int) -> None:
    """Try passwords and pairing codes."""
    stranger = ProxyClient(nginx, OUTSIDE)
    for n in range(count):
        status, _ = stranger.call("POST", SIGN_IN, b"password=wrong+%d" % n, **FORM)
        require(status in (403, 429), f"a wrong password is answered {status}")
        code = b'{"code": "ABCD-2345", "device": {"name": "x"}}'
        status, _ = stranger.call("POST", "/api/v1/pair", code)
        require(status in (403, 429), f"a wrong code is answered {status}")


def _require_let_in(server: Server, nginx: Nginx) -> None:
    """After all the guesses the operator signs in on the machine, and a new phone is paired."""
    status = _sign_in(HttpClient(server))
    require(status == 303, f"strangers have locked the operator out: {status}")
    made = json.loads(server.flask("devices", "pair", EXTENSION, "--json").stdout)
    asked = json.dumps({"code": made["code"], "device": {"name": "phone"}}).encode()
    # nginx itself limits calls of one address to pair, so the phone has its own.
    status, _ = ProxyClient(nginx, INSIDE).call("POST", "/api/v1/pair", asked)
    require(status == 201, f"strangers keep a new phone out: {status}")


def _warnings(server: Server) -> list[str]:
    status, ready = HttpClient(server).call("GET", "/ready")
    require(status == 200, f"a stranger's header makes /ready answer {status}")
    return [each["reason"] for each in ready["warnings"] if each["name"] == "proxy"]


def _require_warning(server: Server) -> None:
    require(REMEDY in "".join(_warnings(server)), "/ready does not say what to set")
    for words in (("status",), ("config", "check")):
        told = server.flask(*words).stdout
        require(REMEDY in told, f"flask {' '.join(words)} does not say what to set")


def _claim_to_be_local(nginx: Nginx) -> int:
    """A stranger with the right password is refused by the list, and /ready says nothing."""
    stranger, refused = ProxyClient(nginx, OUTSIDE), 0
    for claim in CLAIMS:
        headers = {"X-Forwarded-For": claim} if claim else {}
        for path in (SIGN_IN, "/api/v1/message-settings"):
            status, page = stranger.call("GET", path, b"", **BASIC, **headers)
            require(status == 403, f"{path} answers {status} to a stranger with {headers}")
            require(b"TRUSTED_PROXIES" in page, f"{path} does not say why it refuses")
            refused += 1
        status, page = stranger.call("GET", "/ready", b"", **BASIC, **headers)
        require(status == 200 and b"checks" not in page, f"/ready says {page[:200]!r}")
    return refused


CHECK = Check(
    name="undeclared_proxy",
    claim=(
        "Behind a proxy that is not declared nobody is taken for local or locks the operator out, "
        "and a warning says what to set."
    ),
    run=run,
    needs=("nginx",),
    mutants=(
        Mutant(
            "blueprints/client_address.py",
            "address if is_told else None",
            "address",
            "a caller behind an undeclared proxy has the proxy's address",
        ),
        Mutant(
            "blueprints/client_address.py",
            'return "" if self.peer.is_loopback else str(self.peer)',
            "return str(self.peer)",
            "strangers use up the attempts of this machine",
        ),
        Mutant(
            "blueprints/client_address.py",
            "self._undeclared.note(current.peer)",
            "pass",
            "an undeclared proxy is not noticed",
        ),
    ),
)
