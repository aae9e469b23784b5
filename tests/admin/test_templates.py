"""The page of message templates: added, changed and removed; mistakes keep what was written."""

from collections.abc import Callable
from html import unescape

import pytest

from tests.admin.conftest import Operator, plain

HELLO = {"name": "Hello", "text": "Hello {contact}, <b>welcome</b>."}


def save(operator: Operator, status: int = 303, **fields: str) -> str:
    form = {"generation": operator.gateway.settings.generation, "known": "", "extensions": ""}
    return operator.post("/templates", status, **form | fields)


def test_a_template_is_added_changed_and_removed(make_operator: Callable[..., Operator]) -> None:
    operator = make_operator()
    settings = operator.gateway.settings
    settings.put_sections({"inbound": [{"name": "Hi", "reply": "Hi"}]})
    assert "No template" in plain(operator.get("/templates"))
    assert "/admin/templates" in operator.get("/message-settings")
    page = save(operator, **HELLO, extensions="201, 3??")
    assert "The template is saved." in plain(page)
    assert "Hello {contact}, &lt;b&gt;welcome&lt;/b&gt;." in page
    assert settings.sections["templates"] == [{**HELLO, "extensions": ["201", "3??"]}]
    form = operator.get("/templates?edit=Hello")
    assert 'value="201, 3??"' in form
    save(operator, known="Hello", name="Good day", text="One\r\ntwo", extensions="")
    assert settings.sections["templates"] == [{"name": "Good day", "text": "One\ntwo"}]
    page = save(operator, do="remove", known="Good day")
    assert "The template is removed." in plain(page)
    assert not settings.templates
    assert [rule.name for rule in settings.rules.inbound] == ["Hi"]
    operator.get("/templates?edit=Hello", 404)


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"text": "Hello {foo} <i>"}, "There is no field “{foo}”."),
        ({"text": ""}, "A text has 1 to 1600 characters."),
        ({"name": "", "text": "<i>"}, "A name has up to 80 characters"),
        ({"name": "Hello", "text": "<i>"}, "Two templates are named “Hello”."),
        ({"extensions": "201," + "9" * 41, "text": "<i>"}, "9”: Write an extension such as 201"),
        ({"known": "Gone", "text": "<i>"}, "There is no template named “Gone”."),
    ],
)
def test_a_mistake_is_told_and_what_was_written_stays(
    make_operator: Callable[..., Operator], fields: dict[str, str], complaint: str
) -> None:
    operator = make_operator()
    save(operator, **HELLO)
    page = save(operator, 422, **{"name": "New", **fields})
    assert complaint in plain(page)
    assert unescape(page).count(fields["text"]) >= 1
    assert "<i>" not in page
    assert operator.gateway.settings.sections["templates"] == [HELLO]


def test_a_change_by_somebody_else_is_not_overwritten(
    make_operator: Callable[..., Operator],
) -> None:
    operator = make_operator()
    seen = operator.gateway.settings.generation
    save(operator, **HELLO)
    page = save(operator, 409, generation=seen, name="Mine", text="Mine.")
    assert "Somebody else has changed Message Settings" in plain(page)
    assert "Mine." in page
    assert operator.gateway.settings.sections["templates"] == [HELLO]
