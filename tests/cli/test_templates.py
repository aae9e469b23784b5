"""``flask templates``: lists, adds, changes and removes message templates."""

import json

from tests.cli.conftest import NASTY, Terminal

HELLO = {"name": "Hello", "text": "Hello {contact}."}


def test_a_template_is_added_changed_and_removed(terminal: Terminal) -> None:
    assert "templates set Welcome --text" in terminal.flask("templates", "list").stdout
    told = terminal.flask("templates", "set", "Hello", "--text", "Hello {contact}.")
    assert told.stdout == "The template “Hello” was added.\n"
    terminal.flask("templates", "set", "Hello", "--extension", "201-220", "--extension", "3??")
    assert terminal.json("templates", "list") == {
        "templates": [{**HELLO, "extensions": ["201-220", "3??"]}]
    }
    assert terminal.flask("templates", "list").stdout == (
        "NAME   EXTENSIONS    TEXT\nHello  201-220, 3??  Hello {contact}.\n"
    )
    told = terminal.flask("templates", "set", "Hello", "--text", "Hi {contact}.")
    assert told.stdout == "The template “Hello” was changed.\n"
    terminal.flask("templates", "set", "Hello", "--for-all")
    assert terminal.json("templates", "list") == {
        "templates": [{"name": "Hello", "text": "Hi {contact}."}]
    }
    refused = terminal.flask("templates", "set", "Bye", "--text", NASTY, code=1).stderr
    assert "text: It has the control character U+001B." in refused
    terminal.flask("templates", "remove", "Hello")
    assert terminal.json("templates", "list") == {"templates": []}


def test_what_is_refused(terminal: Terminal) -> None:
    terminal.flask("templates", "set", "Hello", "--text", "Hello {contact}.")
    for arguments, code, complaint in (
        (("set", "New"), 2, "This template is new: write its --text."),
        (("set", "Hello", "--extension", "1", "--for-all"), 2, "not both"),
        (("set", "Hello", "--text", "{foo}"), 1, "text: There is no field “{foo}”."),
        (("set", "Hello", "--extension", "1 2"), 1, "extensions: “1 2”: Write an extension"),
        (("remove", "Hello", "Gone"), 1, "name: There is no template named “Gone”."),
    ):
        assert complaint in terminal.flask("templates", *arguments, code=code).stderr
    assert terminal.json("templates", "list") == {"templates": [HELLO]}


def test_an_export_for_older_versions_says_that_they_are_left_out(terminal: Terminal) -> None:
    terminal.flask("templates", "set", "Hello", "--text", "Hello {contact}.")
    assert json.loads(terminal.flask("settings", "export", "-").stdout)["templates"] == [HELLO]
    told = terminal.flask("settings", "export", "--version", "1", "-")
    assert sorted(json.loads(told.stdout)) == ["numbers", "version"]
    assert "Left out, as version 1 does not have it: templates." in told.stderr
