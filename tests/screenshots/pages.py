"""The pages that are photographed, by endpoint, and the endpoints that are no pages."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.screenshots.data import Data


@dataclass(frozen=True, slots=True)
class Shown:
    """A page of a server: its endpoint, its path, and what is done on it before the picture."""

    name: str
    endpoint: str
    path: str | Callable[[Data], str]
    prepare: Callable[[Any], None] = lambda page: None

    def address(self, data: Data) -> str:
        """Its path with what the data has in it."""
        return self.path if isinstance(self.path, str) else self.path(data)


def _pair(page: Any) -> None:
    page.get_by_label("Extension", exact=True).fill("201")
    page.get_by_role("button", name="Create code").click()
    page.locator(".qr").wait_for()


def _choose_numbers(page: Any) -> None:
    page.get_by_role("checkbox").nth(1).check()
    page.get_by_role("heading", name="Edit selected numbers").wait_for()


def _doctor(page: Any) -> None:
    page.get_by_role("button", name="Check everything").click()
    page.get_by_role("region", name="Report").wait_for()


def _explained(page: Any) -> None:
    page.locator(".opblock").first.wait_for()


def _both_phones(page: Any) -> None:
    page.locator("html[data-phone]").wait_for()


OPERATOR = (
    Shown("start", "admin.start", "/admin/"),
    Shown("doctor", "admin.start_doctor", "/admin/doctor"),
    Shown("doctor-report", "admin.start_doctor", "/admin/doctor", _doctor),
    Shown("messages", "admin.messages", "/admin/messages"),
    Shown("messages-search", "admin.messages", "/admin/messages?state=failed&text=saturday"),
    Shown("message", "admin.messages_show", lambda data: f"/admin/messages/{data.picture}"),
    Shown("message-failed", "admin.messages_show", lambda data: f"/admin/messages/{data.failed}"),
    Shown("given-up", "admin.messages_given_up", "/admin/messages/given-up"),
    Shown("unassigned", "admin.messages_unrouted", "/admin/messages/unrouted"),
    Shown("quarantine", "admin.messages_quarantine", "/admin/messages/quarantine"),
    Shown("quarantined", "admin.messages_quarantined", "/admin/messages/quarantine/1"),
    Shown("bulk-sends", "admin.bulk_sends", "/admin/bulk-sends"),
    Shown("bulk-send-new", "admin.bulk_sends_new", "/admin/bulk-sends/new"),
    Shown("bulk-send", "admin.bulk_sends_show", lambda data: f"/admin/bulk-sends/{data.bulk_send}"),
    Shown("contacts", "admin.contacts", "/admin/contacts"),
    Shown("contacts-import", "admin.contacts_import", "/admin/contacts/import"),
    Shown("opt-outs", "admin.opt_outs", "/admin/opt-outs"),
    Shown("people", "admin.people", "/admin/people"),
    Shown("person", "admin.people_show", "/admin/people/201"),
    Shown("numbers", "admin.settings", "/admin/message-settings"),
    Shown("numbers-selected", "admin.settings", "/admin/message-settings", _choose_numbers),
    Shown("number", "admin.settings_edit", "/admin/message-settings/+12025550100"),
    Shown("number-new", "admin.settings_new", "/admin/message-settings/new"),
    Shown("numbers-import", "admin.settings_import", "/admin/message-settings/import"),
    Shown("rules", "admin.settings_rules", "/admin/rules"),
    Shown("templates", "admin.settings_templates", "/admin/templates"),
    Shown("carriers", "admin.carriers", "/admin/carriers"),
    Shown("carrier", "admin.carriers_show", "/admin/carriers/sandbox"),
    Shown("devices", "admin.devices", "/admin/devices"),
    Shown("pair", "admin.devices_pair", "/admin/devices/pair"),
    Shown("pair-code", "admin.devices_pair", "/admin/devices/pair", _pair),
    Shown("activity", "admin.activity", "/admin/activity"),
    Shown("not-found", "admin.not_found", "/admin/nothing/here"),
)
SIGN_IN = Shown("sign-in", "admin.sign_in", "/admin/sign-in")
OTHERS = (
    Shown("front", "home.home", "/", _both_phones),
    Shown("sandbox", "sandbox.show", "/sandbox", _both_phones),
    Shown("api-docs", "api_docs.show", "/api/docs", _explained),
)
PHONE = "phone.show"
# Views of the phone app, in the order in which ``phone_app`` comes to them.
PHONE_VIEWS = (
    "pairing",
    "list",
    "conversation",
    "menu",
    "message-menu",
    "viewer",
    "group",
    "scheduled",
    "later",
    "settings",
    "contacts-import",
    "new",
    "search",
)
LANGUAGES = {"en": "en-US", "es": "es-MX", "fr-CA": "fr-CA", "de": "de-DE"}

# Endpoints with GET that show nobody a page.
NO_PAGES = {
    "acrobits.": "called by the Acrobits app",
    "phone.": "files of the phone app",
    "signed_media.": "pictures and files of messages",
    "health.": "called by programs",
    "probe.": "called by the diagnosis",
    "sandbox.phone": "data of the sandbox",
    "sandbox.static": "files",
    "home.static": "files",
    "admin.static": "files",
    "admin.contacts_export": "a file",
    "admin.settings_export": "a file",
    "admin.messages_export": "a file",
    "admin.bulk_sends_export": "a file",
    "api_docs.static": "files",
    "api_docs.swagger_ui": "files",
}
