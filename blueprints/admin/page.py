"""Rendering of the operator's pages: the frame around each of them, and its menu."""

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from flask import Response, make_response, redirect, render_template, request, url_for

from blueprints.admin.session import SignIns, current


@dataclass(frozen=True, slots=True)
class MenuEntry:
    """One entry of the menu: its title, its icon, its endpoint.

    The endpoints of the pages below it begin with the same word.
    """

    title: str
    icon: str
    endpoint: str

    @property
    def is_here(self) -> bool:
        """Whether this page is below the entry."""
        return (request.endpoint or "").startswith(self.endpoint)


MENU = (
    MenuEntry("Start", "home", "admin.start"),
    MenuEntry("Messages", "messages", "admin.messages"),
    MenuEntry("Bulk sends", "bulk", "admin.bulk_sends"),
    MenuEntry("Contacts", "contacts", "admin.contacts"),
    MenuEntry("Opt-outs", "opt-out", "admin.opt_outs"),
    MenuEntry("People", "people", "admin.people"),
    MenuEntry("Message Settings", "settings", "admin.settings"),
    MenuEntry("Carriers", "carriers", "admin.carriers"),
    MenuEntry("Devices", "devices", "admin.devices"),
    MenuEntry("Activity", "activity", "admin.activity"),
)


class Pages:
    """Renders pages in their frame, with the notice of the request before."""

    def __init__(self, sign_ins: SignIns, app_name: str, menu: Sequence[MenuEntry] = MENU) -> None:
        self._sign_ins = sign_ins
        self._app_name = app_name
        self._menu = menu

    def render(self, template: str, status: int = HTTPStatus.OK, **known: Any) -> Response:
        """A page in its frame: a template of ``templates/admin`` and what it is to show."""
        signed_in = current() is not None
        frame = {
            "app_name": self._app_name,
            "menu": self._menu,
            "csrf": self._sign_ins.form_key() if signed_in else "",
            "notice": self._sign_ins.take_notice() if signed_in else None,
        }
        return make_response(render_template(f"admin/{template}", **frame, **known), status)

    def set_notice(self, notice: str, *, bad: bool = False) -> None:
        """Store a sentence that the next page of this browser shows."""
        self._sign_ins.set_notice(notice, bad=bad)


def redirect_to(endpoint: str, **values: Any) -> Response:
    """Redirect to another page after a change (303), so that “reload” does not repeat it."""
    return make_response(redirect(url_for(endpoint, **values), HTTPStatus.SEE_OTHER))
