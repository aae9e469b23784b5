"""The DNS name of APP_URL: a warning while it cannot be resolved, and none afterwards."""

import socket
from collections.abc import Callable

import pytest

from services.gateway import Gateway
from services.operations.own_name import OwnName

Make = Callable[..., Gateway]
URL = "https://sms.example.com"


def said(gateway: Gateway) -> list[str]:
    return [str(each) for each in gateway.health.warnings() if each.name == "dns"]


class Resolver:
    """A resolver that answers, or fails with an error."""

    def __init__(self) -> None:
        self.error: Exception | None = None

    def __call__(self, host: str) -> list[str]:
        if self.error is not None:
            raise self.error
        return ["9.9.9.9"]


@pytest.mark.parametrize(
    ("error", "reason", "remedy"),
    [
        (socket.gaierror(socket.EAI_NONAME, "?"), "sms.example.com cannot be", "Correct APP_URL"),
        (socket.gaierror(socket.EAI_AGAIN, "?"), "No name server answers", "/etc/resolv.conf"),
        (UnicodeError("label too long"), "sms.example.com cannot be resolved", "an A record"),
    ],
)
def test_a_name_without_an_address_is_a_warning_until_it_has_one(
    make_gateway: Make, error: Exception, reason: str, remedy: str
) -> None:
    gateway, resolver = make_gateway(APP_URL=URL), Resolver()
    name = OwnName(gateway.store, URL, resolver)
    name.check()
    assert said(gateway) == []
    resolver.error = error
    name.check()
    name.check()
    [words] = said(gateway)
    assert reason in words
    assert remedy in words
    resolver.error = None
    name.check()
    assert said(gateway) == []


def test_a_name_that_app_url_had_before_is_no_warning(make_gateway: Make) -> None:
    gateway, resolver = make_gateway(APP_URL="https://texts.example.com"), Resolver()
    resolver.error = socket.gaierror(socket.EAI_NONAME, "?")
    OwnName(gateway.store, URL, resolver).check()
    assert said(gateway) == []


def test_the_worker_looks(make_gateway: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway, resolver = make_gateway(APP_URL=URL), Resolver()
    resolver.error = socket.gaierror(socket.EAI_NONAME, "?")
    monkeypatch.setattr(gateway.own_name, "_resolve", resolver)
    with gateway.new_worker() as worker:
        worker.step()
        worker.finish(lambda: None)
    assert len(said(gateway)) == 1
