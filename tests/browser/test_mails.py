"""HTML of mails in a browser: hostile texts run nothing and load nothing, and all fits a phone."""

from dataclasses import replace
from email.message import EmailMessage
from typing import Any

import pytest

from services.core.language import Language
from services.core.local_time import UTC_TIME
from services.mail.details import MailDetails
from services.mail.headers import parse_address
from services.mail.message import build_mail
from services.mail.words import MailWords
from tests.mail.smtp_server import MESSAGE

HOSTILE = (
    "</div></body><script>document.title = 'taken'</script>"
    "<img src=https://evil.example/x onerror=\"document.title='taken'\">"
    "<style>*{display:none;background:url(https://evil.example/y)}</style>"
    "\"'><svg onload=document.title='taken'><a href=\"javascript:document.title='taken'\">x</a>"
)
TEXT = f"{HOSTILE}\nשלום \u202eevil\n{'x' * 500} 👨‍👩‍👧🏽"


def html_with(written: str) -> str:
    members = tuple(f"+1303555018{n}" for n in range(9))
    names = dict.fromkeys((written, *members), written)
    message = replace(MESSAGE, text=TEXT, peer=written, participants=(written, *members))
    desk = parse_address("", "desk@example.com")
    details = MailDetails(names, written, "https://sms.example.com/phone/#/c/1")
    body = build_mail(
        message, details, desk, desk, "e.com", UTC_TIME, MailWords(Language())
    ).get_body(("html",))
    assert isinstance(body, EmailMessage)
    return str(body.get_content())


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 390, 820])
def test_a_hostile_mail_runs_and_loads_nothing_and_fits(
    browser: Any, width: int, scheme: str
) -> None:
    window = browser.new_context(
        viewport={"width": width, "height": 800}, color_scheme=scheme, offline=True
    )
    page = window.new_page()
    loaded: list[str] = []
    page.on("request", lambda request: loaded.append(request.url))
    page.set_content(html_with(HOSTILE))
    assert loaded == []
    assert page.title() == ""
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert "<script>document.title = 'taken'</script>" in page.inner_text("body")
    assert page.eval_on_selector_all("a", "links => links.map((link) => link.href)") == [
        "https://sms.example.com/phone/#/c/1"
    ]
    letters = "rgb(0, 0, 0)" if scheme == "light" else "rgb(255, 255, 255)"
    assert page.evaluate("getComputedStyle(document.body).color") == letters
    window.close()
