"""The doctor's look at APP_URL: DNS, connection, certificate, redirects, and who answers there.

All calls go from this machine to its own public address. That is not the way of a carrier: a router
may not lead back in (hairpin NAT), and the resolver may have other answers than the internet's.
"""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from services.config.environment import Environment
from services.core.commands import flask_command
from services.core.errors import StorageUnwell, TextbridgeError
from services.core.ip_addresses import is_in, parse_address
from services.http.adapters import NotConnected
from services.http.client import Answer, Http
from services.http.public_addresses import is_public
from services.operations.doctor.diagnosis import Diagnosis, State, broken, ok, warning
from services.operations.doctor.network import Network
from services.operations.own_certificate import OwnCertificate
from services.operations.own_name import unresolved
from services.operations.probe_key import HEADER, ProbeKey
from services.operations.undeclared_proxies import UndeclaredProxies

SECONDS = 10.0  # of one call
INVENTED = "192.0.2.77"  # a caller's address that no caller has (RFC 5737)
PATH = "/probe"
REDIRECTS = {301, 302, 303, 307, 308}


class PublicAddress:
    """Looks at APP_URL from this machine."""

    def __init__(
        self,
        environment: Environment,
        key: ProbeKey,
        certificate: OwnCertificate,
        proxies: UndeclaredProxies,
        network: Network,
    ) -> None:
        self._environment = environment
        self._key = key
        self._certificate = certificate
        self._proxies = proxies
        self._network = network
        self._http = Http(connect=network.connect)
        self._url = environment.app_url
        self._address = urlsplit(self._url)
        self._host = self._address.hostname or ""
        self._port = self._address.port or (443 if certificate.is_encrypted else 80)

    def look(self) -> Iterator[Diagnosis]:
        """Each line as it is found; ends where the following could only fail, too."""
        if self._environment.service.app_url is None:
            reason = "APP_URL is empty: nothing outside can reach this installation."
            yield warning("app_url", reason, "Set it in .env, such as https://sms.example.com.")
            return
        for step in (self._dns, self._connection, self._encryption, self._redirects, self._caller):
            found = list(step())
            yield from found
            if any(each.state is State.BROKEN for each in found):
                return

    # DNS and connection

    def _dns(self) -> Iterator[Diagnosis]:
        own = self._network.public_own_addresses()
        record = f"Make an A record for it{f' with {own[0]}' if own else ''} at your DNS provider."
        try:
            addresses = self._network.resolve(self._host)
        except (OSError, UnicodeError) as error:
            yield broken("dns", *unresolved(self._host, error, own[0] if own else ""))
            return
        listed = ", ".join(addresses)
        ask = f"Ask from outside: dig @1.1.1.1 {self._host}"
        private = [each for each in addresses if not is_public(each)]
        if private == [self._host]:
            reason = f"APP_URL has the address {self._host}, which nobody outside reaches."
            yield warning("dns", reason, "Set it to the public name: https://sms.example.com.")
        elif private:
            reason = f"For this machine {self._host} is {listed}, which nobody outside reaches."
            yield warning("dns", reason, f"If the internet has that answer, too: {record} {ask}")
        elif own and not set(own) & set(addresses):
            reason = f"{self._host} is {listed}, and this machine is {', '.join(own)}."
            yield warning("dns", reason, f"Right with a server in front of it; else: {record}")
        elif not own:
            yield ok("dns", f"{self._host} is {listed}; this machine is behind a router.")
        else:
            yield ok("dns", f"{self._host} is {listed}.")

    def _connection(self) -> Iterator[Diagnosis]:
        addresses = self._network.resolve(self._host)
        shut = [one for one in addresses if not self._network.takes_connections(one, self._port)]
        if not shut:
            yield ok("connection", f"Port {self._port} of {self._host} takes connections.")
            return
        where = ", ".join(shut)
        if len(shut) < len(addresses):
            reason = f"{where} does not take connections at port {self._port}: some carriers fail."
            remedy = f"Open the port for it too, or remove its record from the DNS of {self._host}."
            yield warning("connection", reason, remedy)
            return
        reason = f"{self._host} ({where}) takes no connection from here at port {self._port}."
        start = "Start the web server, and open the port in the firewall."
        if self._network.public_own_addresses():
            yield broken("connection", reason, start)
        else:
            yield broken(
                "connection",
                f"{reason} The router may only refuse to lead back in (hairpin NAT).",
                f"Open {self._url}/up on a phone without Wi-Fi. If it shows “up”, outside all is "
                f"well, and the rest cannot be looked at from here. If not: {start} Forward the "
                "port in the router.",
            )

    def _encryption(self) -> Iterator[Diagnosis]:
        if not self._certificate.is_encrypted:
            reason = "APP_URL is not https: texts and tokens can be read on the way."
            yield warning("certificate", reason, "Let a web server in front end the encryption.")
            return
        try:
            found = self._certificate.look()
        except StorageUnwell as error:
            yield warning("certificate", str(error))
            return
        except NotConnected as error:
            reason = f"{self._host} does not speak TLS at port {self._port}: {error}"
            yield broken("certificate", reason, "Configure TLS there, see docs/deploy.md.")
            return
        trouble = self._certificate.trouble(found)
        if trouble is None:
            days = self._certificate.days_left(found)
            by = f", by {found.issuer}" if found.issuer else ""
            yield ok("certificate", f"The certificate is good for {days} more days{by}.")
        elif self._certificate.is_refused(found):
            yield broken("certificate", *trouble)
        else:
            yield warning("certificate", *trouble)

    def _redirects(self) -> Iterator[Diagnosis]:
        """What plain http answers, where APP_URL is https at its usual port."""
        if not self._certificate.is_encrypted or self._address.port is not None:
            return
        plain = f"http://{self._host}"
        try:
            answer = self._http.request("GET", f"{plain}/up", seconds=SECONDS)
        except TextbridgeError:
            yield ok("redirect", "Nothing answers at plain http.")
            return
        onward = answer.headers.get("location", "")
        if answer.status in REDIRECTS and onward.startswith("https://"):
            yield ok("redirect", f"Plain http is redirected to {_origin(onward)}.")
        elif answer.ok:
            reason = f"{plain} answers without encryption, too."
            yield warning(
                "redirect", reason, "Let it redirect: return 301 https://$host$request_uri;"
            )

    # Who answers

    def _caller(self) -> Iterator[Diagnosis]:
        token = self._key.token()
        try:
            answer = self._probe(token)
        except TextbridgeError as error:
            yield broken("reached", f"{self._url} does not answer: {error}", self._pass_on)
            return
        if self._is_ours(answer, token):
            yield ok("reached", f"{self._url} leads to this installation.")
            yield self._proxy(answer.json())
        else:
            yield self._other_clock(answer, token) or self._other(answer)

    @property
    def _pass_on(self) -> str:
        local = self._environment.local_url
        return (
            f"Let the web server pass all requests for {self._host} on to {local}, as in "
            "docs/deploy.md, and look whether Textbridge runs there."
        )

    def _is_ours(self, answer: Answer, token: str) -> bool:
        try:
            return answer.ok and bool(answer.json()["proof"] == self._key.answer(token))
        except (ValueError, KeyError, TypeError):
            return False

    def _other_clock(self, answer: Answer, token: str) -> Diagnosis | None:
        """This installation on a machine whose clock is another, where the token is too old."""
        try:
            content = answer.json()
            age = int(content["age"]) if content["proof"] == self._key.answer(token) else 0
        except (ValueError, KeyError, TypeError):
            return None
        if not age:
            return None
        reason = (
            f"The clocks of this machine and of the server at {self._url} are {abs(age)} s apart."
        )
        return broken("reached", reason, "Set both: timedatectl set-ntp true")

    def _other(self, answer: Answer) -> Diagnosis:
        if answer.status in REDIRECTS:
            onward = answer.headers.get("location", "")
            base = onward.rstrip("/").removesuffix(PATH)
            reason = f"{self._url} redirects calls to {_origin(onward)}; carriers do not follow."
            remedy = "Remove this redirect from the web server."
            if onward.rstrip("/").endswith(PATH) and urlsplit(base).hostname != self._host:
                remedy = f"Set APP_URL={base} in .env, or remove the redirect from the web server."
            return broken("reached", reason, remedy)
        if answer.status in (401, 403):
            reason = f"The web server at {self._url} refuses calls ({answer.status})."
            remedy = f"Let it ask for no password and no address for {self._host}."
            return broken("reached", reason, remedy)
        if answer.status >= 500:
            reason = f"The web server at {self._url} does not reach Textbridge ({answer.status})."
            return broken("reached", reason, self._pass_on)
        reason = f"Another program, or another installation, answers at {self._url}."
        again = "After an upgrade, start Textbridge again first."
        return broken("reached", f"{reason} ({answer.status})", f"{self._pass_on} {again}")

    def _probe(self, token: str, **headers: str) -> Answer:
        """Ask the server what it sees of a call. Raises ``NotSent``, ``NoAnswer``."""
        return self._http.request(
            "GET", self._url + PATH, headers={HEADER: token, **headers}, seconds=SECONDS
        )

    def _proxy(self, seen: dict[str, Any]) -> Diagnosis:
        """Whether TRUSTED_PROXIES fits, by what the server saw of the call."""
        peer, caller = parse_address(seen["peer"]), parse_address(seen["caller"])
        ends_encryption = self._certificate.is_encrypted and seen["direct"]
        if peer is not None and (caller is None or ends_encryption):
            return broken(
                "proxy", self._proxies.about(peer), f"Apply it: {flask_command('config reload')}"
            )
        trusted = self._environment.service.trusted_proxies or ()
        if not seen["direct"] and not is_in(caller, trusted) and self._believes():
            return broken(
                "proxy",
                "Every caller can claim any address: TRUSTED_PROXIES believes what callers "
                "themselves write into X-Forwarded-For.",
                "Let the web server add the caller's address (proxy_set_header X-Forwarded-For "
                "$proxy_add_x_forwarded_for;), and name only your web servers in TRUSTED_PROXIES.",
            )
        return ok("proxy", f"The server sees who calls: this call came from {caller}.")

    def _believes(self) -> bool:
        """Whether the server takes a caller at its word about its address."""
        try:
            answer = self._probe(self._key.token(), **{"X-Forwarded-For": INVENTED})
            return bool(answer.json()["caller"] == INVENTED)
        except (TextbridgeError, ValueError, KeyError, TypeError):
            return False


def _origin(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else address
