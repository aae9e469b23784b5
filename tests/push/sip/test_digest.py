"""Digest authentication: the examples of the RFCs, and the choice of a challenge."""

from typing import Any

import pytest

from services.core.errors import Kind, PushError
from services.push.sip import digest
from services.push.sip.sip_message import Headers, Response

REALM, NONCE = "http-auth@example.org", "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
CNONCE = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
OPAQUE = "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"


def challenged(*values: str, status: int = 401) -> Response:
    name = digest.HEADERS[status][0]
    return Response(Headers([(name, value) for value in values]), b"", status, "")


def offer(algorithm: str = "", nonce: str = NONCE, realm: str = REALM, more: str = "") -> str:
    named = f", algorithm={algorithm}" if algorithm else ""
    return f'Digest realm="{realm}", nonce="{nonce}"{named}{more}'


def fields(value: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in value.removeprefix("Digest ").split(", "))
    return {name: text.strip('"') for name, _, text in pairs}


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_the_examples_of_rfc_7616(
    algorithm: str, response: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digest.secrets, "token_hex", lambda _: CNONCE)
    more = f', qop="auth, auth-int", opaque="{OPAQUE}"'
    found = digest.strongest(challenged(offer(algorithm, more=more)))
    value = digest.Credentials("Mufasa", "Circle of Life").answer(found, "GET", "/dir/index.html")
    assert fields(value) == {
        "username": "Mufasa",
        "realm": REALM,
        "nonce": NONCE,
        "uri": "/dir/index.html",
        "qop": "auth",
        "nc": "00000001",
        "cnonce": CNONCE,
        "response": response,
        "algorithm": algorithm,
        "opaque": OPAQUE,
    }


def test_without_qop_the_older_form_is_used() -> None:
    found = digest.strongest(
        challenged(offer(nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", realm="r"))
    )
    value = fields(digest.Credentials("u", "p").answer(found, "REGISTER", "sip:pbx.test"))
    # MD5(MD5("u:r:p") : nonce : MD5("REGISTER:sip:pbx.test")), by hand
    assert value["response"] == "75a81e5b69ecb1b383e6b86c78758474"
    assert "algorithm" not in value
    assert "nc" not in value


def test_uses_of_a_nonce_are_counted() -> None:
    credentials = digest.Credentials("u", "p")
    found = digest.strongest(challenged(offer(more=', qop="auth"')))
    other = digest.strongest(challenged(offer(nonce="other", more=', qop="auth"')))
    counts = [
        fields(credentials.answer(each, "MESSAGE", "sip:a@b"))["nc"]
        for each in (found, found, other, found)
    ]
    assert counts == ["00000001", "00000002", "00000001", "00000003"]


@pytest.mark.parametrize(
    ("offers", "algorithm"),
    [
        ([offer("MD5"), offer("SHA-256")], "SHA-256"),
        ([offer("SHA-512-256"), offer("md5")], "MD5"),
        ([offer("MD5-sess"), offer()], "MD5"),
        (["Bearer x", offer("sha-256")], "SHA-256"),
        (["Digest realm=, broken", offer()], "MD5"),
        ([offer("SHA-256", more=', qop="auth-int"'), offer("MD5")], "MD5"),
    ],
)
@pytest.mark.parametrize("status", [401, 407])
def test_the_strongest_that_is_known_is_chosen(
    offers: list[str], algorithm: str, status: int
) -> None:
    assert digest.strongest(challenged(*offers, status=status)).algorithm == algorithm


@pytest.mark.parametrize(
    ("offers", "named"),
    [
        ([offer("MD5-sess")], "MD5-SESS"),
        ([offer("MD5", more=', qop="auth-int"')], "qop auth-int"),
        (["Basic realm=x"], "Basic"),
        ([], "nothing"),
        (['Digest realm="x'], "unreadable"),
        (['Digest realm="x"'], "Digest"),
    ],
)
def test_what_cannot_be_answered_is_named(offers: list[str], named: str) -> None:
    with pytest.raises(PushError, match=named) as caught:
        digest.strongest(challenged(*offers))
    assert caught.value.kind is Kind.CONFIG


def test_no_secret_is_shown() -> None:
    credentials: Any = digest.Credentials("u", "the password")
    assert "the password" not in repr(credentials)
