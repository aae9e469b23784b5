"""The frame that all of the operator's pages share, and its menu."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from flask import Response, make_response, redirect, render_template, request, url_for

from blueprints.admin.session import current, form_key, house, told


@dataclass(frozen=True, slots=True)
class Room:
    """One entry of the menu: its words, its icon, the endpoint that it leads to.

    What is below it in the tree of pages has endpoints that begin with the same word.
    """

    title: str
    icon: str
    endpoint: str

    @property
    def is_here(self) -> bool:
        """Whether this page is in this room."""
        return (request.endpoint or "").startswith(self.endpoint)


MENU = (
    Room("Start", "home", "admin.start"),
    Room("Messages", "messages", "admin.messages"),
    Room("Message Settings", "settings", "admin.settings"),
    Room("Carriers", "carriers", "admin.carriers"),
    Room("Devices", "devices", "admin.devices"),
    Room("Activity", "activity", "admin.activity"),
)


def render(template: str, status: int = HTTPStatus.OK, **known: Any) -> Response:
    """A page in its frame: a template of ``templates/admin`` and what it is to show."""
    signed_in = current() is not None
    frame = {
        "app_name": house().environment.service.app_name,
        "menu": MENU,
        "csrf": form_key() if signed_in else "",
        "notice": told() if signed_in else None,
    }
    return make_response(render_template(f"admin/{template}", **frame, **known), status)


def onward(endpoint: str, **values: Any) -> Response:
    """To another page after a change (303), so that “reload” does not repeat it."""
    return make_response(redirect(url_for(endpoint, **values), HTTPStatus.SEE_OTHER))
