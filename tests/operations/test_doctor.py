"""The doctor without a web server: DNS and connections, and the lines of mail, push and clock."""

import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from services.core.messages import Finding
from services.gateway import Gateway
from services.operations.doctor import doctor as doctor_module
from services.operations.doctor.diagnosis import Diagnosis, State, from_findings, ok
from services.operations.doctor.doctor import Doctor
from services.operations.doctor.network import Network
from tests.fakes.mailbox import Mailbox

Make = Callable[..., Gateway]
HOST = "sms.example.com"
OWN, OTHER, OWN_V6 = "9.9.9.9", "1.1.1.1", "2620:fe::fe"  # labels: nothing connects there


def nobody(host: str) -> list[str]:
    raise socket.gaierror("no such name")


def refuse(host: str, port: int, seconds: float) -> socket.socket:
    raise ConnectionRefusedError


def only_v4(host: str, port: int, seconds: float) -> socket.socket:
    if ":" in host:
        raise OSError("No route")
    return socket.socket()


def look(gateway: Gateway, network: Network) -> dict[str, Diagnosis]:
    return {each.name: each for each in gateway.doctor(network).public.look()}


def no_resolver(host: str) -> list[str]:
    raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")


@pytest.fixture
def gateway(make_gateway: Make) -> Gateway:
    return make_gateway(APP_URL=f"https://{HOST}")


@pytest.mark.parametrize(
    ("addresses", "own", "state", "reason", "remedy"),
    [
        (nobody, [OWN], "broken", f"{HOST} cannot be resolved", f"A record for it with {OWN}"),
        (no_resolver, [], "broken", "No name server answers this machine", "/etc/resolv.conf"),
        (["10.0.0.5"], [], "warning", "which nobody outside reaches", f"dig @1.1.1.1 {HOST}"),
        ([OTHER], [OWN], "warning", f"this machine is {OWN}", "a server in front of it"),
        ([OTHER], ["10.0.0.5"], "ok", "behind a router", ""),
        ([OWN], [OWN], "ok", f"{HOST} is {OWN}.", ""),
    ],
)
def test_what_dns_says(
    gateway: Gateway, addresses: Any, own: list[str], state: str, reason: str, remedy: str
) -> None:
    resolve = addresses if callable(addresses) else lambda host: addresses
    found = look(gateway, Network(resolve, lambda: own, refuse))["dns"]
    assert (found.state, reason in found.reason, remedy in found.remedy) == (state, True, True)


def test_a_closed_port_is_told_from_a_router_that_does_not_lead_back_in(gateway: Gateway) -> None:
    here = look(gateway, Network(lambda host: [OWN], lambda: [OWN], refuse))["connection"]
    behind = look(gateway, Network(lambda host: [OWN], lambda: ["10.0.0.5"], refuse))["connection"]
    assert "hairpin" not in here.reason
    assert "open the port in the firewall" in here.remedy
    assert "hairpin NAT" in behind.reason
    assert f"Open https://{HOST}/up on a phone without Wi-Fi" in behind.remedy


def test_an_ipv6_record_without_an_open_port_is_a_warning(gateway: Gateway) -> None:
    network = Network(lambda host: [OWN, OWN_V6], lambda: [OWN], only_v4)
    found = look(gateway, network)["connection"]
    assert found.state is State.WARNING
    assert found.reason.startswith(f"{OWN_V6} does not take connections at port 443")


def test_no_address_and_an_address_of_this_machine(make_gateway: Make) -> None:
    assert list(look(make_gateway(), Network())) == ["app_url"]
    found = look(
        make_gateway(APP_URL="http://127.0.0.1:1"), Network(own_addresses=list, connect=refuse)
    )
    assert found["dns"].reason == "APP_URL has the address 127.0.0.1, which nobody outside reaches."


def test_findings_are_one_line_if_all_are_good_and_else_the_bad_ones() -> None:
    good, bad = Finding(True, "Taken."), Finding(False, "Set it.")
    assert list(from_findings("push:x", "X", [good, good], "Try.")) == [ok("push:x", "X: Taken.")]
    (line,) = from_findings("push:x", "X", [good, bad], "Try.")
    assert (line.reason, line.remedy) == ("X: Set it.", "Try.")
    (line,) = from_findings("push:x", "X", [Finding(False, "X could not be reached.")], "Try.")
    assert line.reason == "X could not be reached.", "its name stands there once"
    assert list(from_findings("push:x", "X", [], "Try.")) == []


# The other groups


def lines(gateway: Gateway, **options: Any) -> dict[str, Diagnosis]:
    return {each.name: each for each in gateway.doctor().run(**options)}


def test_mail_is_tried_and_a_test_mail_arrives(make_gateway: Make) -> None:
    with Mailbox() as mailbox:
        found = lines(make_gateway(**mailbox.env), mail_to="you@example.com")
        assert found["mail server"].state is State.OK
        assert found["test mail"].state is State.OK
        (mail,) = mailbox.wait_for(1)
    assert (mail["To"], mail["Subject"]) == ("you@example.com", "Test mail")
    assert mail["Auto-Submitted"] == "auto-replied"


def test_without_a_mail_server_a_test_mail_is_refused(make_gateway: Make) -> None:
    found = lines(make_gateway(), mail_to="you@example.com")["test mail"]
    assert found.state is State.BROKEN
    assert "Set MAIL_HOST in .env" in found.reason


def test_what_ready_says_is_said_once(make_gateway: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = make_gateway()
    told = [each.name for each in gateway.doctor().run()]
    assert len(told) == len(set(told))
    worker = lines(gateway)["worker"]
    assert "Start the server" in worker.remedy
    assert worker.state is State.BROKEN
    assert worker.reason.startswith("No delivery worker")


def test_a_group_whose_time_is_up_says_so_and_the_others_go_on(
    make_gateway: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(self: Doctor) -> Iterator[Diagnosis]:
        yield ok("push:slow", "Slow.")
        yield ok("push:never", "Never.")

    monkeypatch.setattr(Doctor, "_push", slow)
    monkeypatch.setattr(doctor_module, "GROUP_SECONDS", -1.0)
    found = lines(make_gateway())
    assert "not done within" in found["push"].reason
    assert "push:never" not in found
    assert "database" in found
