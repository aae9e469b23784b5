"""The certificate of the own web server: judged as carriers do, kept, and named near its end."""

import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest

from services.core.durations import DAY
from services.gateway import Gateway
from services.http.adapters import NotConnected
from services.http.certificates import ServedCertificate, served_certificate
from services.operations.own_certificate import OwnCertificate, near_end
from tests.tls_server import TlsServer, trusted

Make = Callable[..., Gateway]


def said(gateway: Gateway, certificate: OwnCertificate | None = None) -> list[str]:
    about = certificate or gateway.own_certificate
    return [reason for reason, _ in gateway.store.read(lambda tx: list(about.warnings(tx)))]


@pytest.mark.parametrize(
    ("days_left", "host", "is_trusted", "words"),
    [
        (60, "localhost", True, ""),
        (-3, "localhost", True, "expired on "),
        (5.5, "localhost", True, "ends in 5 days, on "),
        (0.5, "localhost", True, "ends in less than a day, on "),
        (60, "localhost", False, "is signed by itself"),
        (60, "pbx.example.com", True, "is for pbx.example.com"),
    ],
)
def test_what_carriers_would_refuse_is_a_warning(
    make_gateway: Make,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    days_left: float,
    host: str,
    is_trusted: bool,
    words: str,
) -> None:
    with TlsServer(tmp_path / "tls", days_left, host) as server:
        gateway = make_gateway(APP_URL=server.url)
        trust = trusted(server.certificate, monkeypatch) if is_trusted else nullcontext()
        with trust:
            gateway.own_certificate.check()
    (found,) = said(gateway) or [""]
    assert words in found
    assert bool(found) is bool(words)


def test_an_end_that_comes_between_two_looks_is_named(
    make_gateway: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway, now = make_gateway(APP_URL="https://sms.example.com"), time.time()
    seen = ServedCertificate(("sms.example.com",), "An authority", now - 70 * DAY, now + 20 * DAY)
    certificate = OwnCertificate(gateway.store, gateway.environment.app_url, lambda *_: seen)
    certificate.check()
    assert said(gateway) == []
    monkeypatch.setattr(time, "time", lambda: now + 21 * DAY)
    assert "expired on" in said(gateway)[0]


def test_a_server_that_cannot_be_reached_from_here_changes_nothing(make_gateway: Make) -> None:
    gateway, now = make_gateway(APP_URL="https://sms.example.com"), time.time()

    def unreachable(host: str, port: int) -> ServedCertificate:
        raise NotConnected("It did not take the connection.")

    bad = ServedCertificate((), "", now - 90 * DAY, now - DAY, "expired")
    OwnCertificate(gateway.store, gateway.environment.app_url, lambda *_: bad).check()
    OwnCertificate(gateway.store, gateway.environment.app_url, unreachable).check()
    assert "expired on" in said(gateway)[0]


def test_of_another_address_and_of_plain_http_nothing_is_said(make_gateway: Make) -> None:
    gateway, now = make_gateway(APP_URL="https://sms.example.com"), time.time()
    bad = ServedCertificate((), "", now - 90 * DAY, now - DAY, "expired")
    OwnCertificate(gateway.store, gateway.environment.app_url, lambda *_: bad).check()
    for url in ("https://texts.example.com", "http://sms.example.com"):
        assert said(gateway, OwnCertificate(gateway.store, url)) == []
    OwnCertificate(gateway.store, "http://127.0.0.1:1").check()  # asks nobody


def test_a_certificate_for_six_days_is_no_warning_at_once() -> None:
    now = time.time()
    assert near_end(ServedCertificate((), "", now, now + 6 * DAY)) == 1.5 * DAY
    assert near_end(ServedCertificate((), "", now, now + 90 * DAY)) == 14 * DAY


def test_a_server_without_tls_is_not_connected(tmp_path: Path) -> None:
    with pytest.raises(NotConnected):
        served_certificate("127.0.0.1", 1, 2.0)
