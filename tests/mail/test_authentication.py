"""Results of DKIM, SPF and DMARC: only those of the named server and of the sender's domain."""

import pytest

from services.mail.authentication import AuthenticationPolicy

SENDER = "desk@example.com"
SERVER = "mx.example.net"


@pytest.mark.parametrize(
    ("method", "headers", "passes"),
    [
        ("dkim", [f"{SERVER}; dkim=pass header.d=example.com"], True),
        ("dkim", [f"{SERVER} 1; dkim=pass (2048-bit key) header.d=example.com"], True),
        ("dkim", ["MX.Example.NET;\r\n\tDKIM=Pass header.i=@Example.com header.s=a"], True),
        ("dkim", [f"{SERVER}; dkim=pass header.d=mail.example.com"], True),
        (
            "dkim",
            [f"{SERVER}; dkim=pass header.d=other.example; dkim=pass header.d=example.com"],
            True,
        ),
        ("dkim", [f"{SERVER}; dkim=pass header.d=evil.example"], False),
        ("dkim", [f"{SERVER}; dkim=pass header.d=com"], False),
        ("dkim", [f"{SERVER}; dkim=pass"], False),
        ("dkim", [f"{SERVER}; dkim=fail header.d=example.com"], False),
        ("dkim", [f"{SERVER}; dkim=passed header.d=example.com"], False),
        ("dkim", [f"{SERVER}; x-dkim=pass header.d=example.com"], False),
        ("dkim", [f"{SERVER}; none"], False),
        ("spf", [f"{SERVER}; spf=pass smtp.mailfrom=desk@example.com"], True),
        ("spf", [f"{SERVER}; spf=pass smtp.mailfrom=example.com"], True),
        ("spf", [f"{SERVER}; spf=pass smtp.mailfrom=bounce@evil.example"], False),
        ("spf", [f"{SERVER}; spf=pass smtp.helo=example.com"], False),
        ("spf", [f"{SERVER}; spf=softfail smtp.mailfrom=desk@example.com"], False),
        ("dmarc", [f"{SERVER}; spf=fail; dmarc=pass (p=REJECT) header.from=example.com"], True),
        ("dmarc", [f"{SERVER}; dmarc=pass header.from=evil.example"], False),
        ("dmarc", [f"{SERVER}; dmarc=none header.from=example.com"], False),
        # Another server, or one above it that did not pass.
        ("dmarc", ["mx.evil.example; dmarc=pass header.from=example.com"], False),
        ("dmarc", [f"x.{SERVER}; dmarc=pass header.from=example.com"], False),
        (
            "dmarc",
            [
                f"{SERVER}; dmarc=fail header.from=example.com",
                f"{SERVER}; dmarc=pass header.from=example.com",
            ],
            False,
        ),
        (
            "dmarc",
            [
                f"{SERVER}; spf=pass smtp.mailfrom=x@evil.example",
                f"{SERVER}; dmarc=pass header.from=example.com",
            ],
            False,
        ),
        ("dmarc", [], False),
        # What a sender may have written into a result.
        (
            "dmarc",
            [f'{SERVER}; spf=pass smtp.mailfrom="; dmarc=pass header.from=example.com "@b.example'],
            False,
        ),
        (
            "dmarc",
            [f"{SERVER}; spf=none (; dmarc=pass header.from=example.com) smtp.helo=b.com"],
            False,
        ),
        (
            "dmarc",
            [f'{SERVER}; spf=none ("\\) x; dmarc=pass header.from=example.com") smtp.helo=b.com'],
            False,
        ),
    ],
)
def test_what_passes(method: str, headers: list[str], passes: bool) -> None:
    failure = AuthenticationPolicy(method, SERVER).failure(headers, SENDER)
    assert (failure == "") is passes


def test_nothing_is_demanded_by_default() -> None:
    assert AuthenticationPolicy().failure([], SENDER) == ""
