"""Calls of Acrobits' apps: their parameters, their authentication, and the answers."""

import json
import re
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element, SubElement, tostring

from flask import Response, request
from werkzeug.exceptions import RequestEntityTooLarge

from blueprints.device_auth import DeviceAuth
from blueprints.request_body import unproven_body
from services.core.errors import RequestRefused
from services.core.messages import Device, WebhookCall, clean
from services.core.secrets import same_secret

MOST_BYTES = 1_000_000  # contains small previews of files

# Our name of a parameter, and the names that known templates use for it.
NAMES = {
    "username": ("username", "from", "cloud_username"),
    "password": ("password", "cloud_password"),
    "to": ("to", "sms_to"),
    "body": ("body", "sms_body", "message_body"),
    "content_type": ("content_type",),
    "last_id": ("last_id", "last_known", "last_known_sms_id"),
    "last_sent_id": ("last_sent_id", "last_known_sent_sms_id"),
    "selector": ("selector",),
    "token": ("token_msgs", "pushTokenOther"),
    "app_id": ("app_id_msgs", "appid_msgs", "appId_msgs", "pushappid_other"),
}
UNFILLED = re.compile(
    r"%[A-Za-z_\[\]]+%", re.ASCII
)  # a placeholder that this build of the app does not know
UNFILLED_NAMES = NAMES.keys() - {"body"}  # a text may look like a placeholder
NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Call:
    """One call of an app: the device that it is, and its parameters by our names."""

    device: Device
    parameters: dict[str, str]

    def __getitem__(self, name: str) -> str:
        return self.parameters.get(name, "")


def read_call(auth: DeviceAuth) -> Call:
    """Read a call and authenticate its device. Raises ``RequestRefused`` and ``StorageUnwell``."""
    if any(name in request.args for name in NAMES["password"]):
        raise RequestRefused(
            "password_in_url",
            "Put the password into the POST data, never into the address, and make a new one.",
            status=400,
        )
    if request.method != "POST":
        raise RequestRefused("method", "Call this address with POST.", status=405)
    parameters = {**request.args.to_dict(), **_body()}
    read = {name: _first(parameters, names) for name, names in NAMES.items()}
    read |= {name: "" for name in UNFILLED_NAMES if UNFILLED.fullmatch(read[name])}
    return Call(_device(auth, read["username"], read["password"]), read)


def answer(content: dict[str, Any], status: int = 200) -> Response:
    """The answer to the app, as JSON or, where it accepts that and no JSON, as XML."""
    accepts = request.headers.get("Accept", "")
    if "xml" in accepts and "json" not in accepts:
        root = Element("response")
        _fill(root, content)
        body = tostring(root, encoding="unicode")
        return Response(body, status, content_type="application/xml; charset=utf-8")
    return Response(json.dumps(content), status, content_type="application/json")


def _body() -> dict[str, str]:
    """The parameters in the body: a JSON object, or else a form."""
    try:
        raw = unproven_body(MOST_BYTES)
    except RequestEntityTooLarge:
        raise RequestRefused("too_large", "That is too much at once.", status=413) from None
    call = WebhookCall("POST", {}, "", raw)
    if not raw.lstrip().startswith(b"{"):
        return dict(call.form())
    try:
        data = call.json()
    except ValueError:
        raise RequestRefused("unreadable", "The call cannot be read.", status=400) from None
    plain = {name: value for name, value in data.items() if isinstance(value, (str, int, float))}
    return {name: str(value) for name, value in plain.items()}


def _first(parameters: dict[str, str], names: tuple[str, ...]) -> str:
    return clean(next((parameters[name] for name in names if parameters.get(name)), ""))


def _device(auth: DeviceAuth, username: str, password: str) -> Device:
    """The device that calls. Raises ``RequestRefused``."""
    device = auth.by_token(password) if password else None
    if device is not None and same_secret(username, device.extension):
        return auth.seen(device)
    auth.count_failure()
    raise RequestRefused(
        "unauthorized",
        "The user name or the password is wrong. Ask your administrator for new settings of this "
        "app.",
        status=401,
    )


def _fill(parent: Element, content: dict[str, Any]) -> None:
    for name, value in content.items():
        child = SubElement(parent, name)
        if isinstance(value, list):
            for each in value:
                _fill(SubElement(child, "item"), each)
        else:
            text = str(value).lower() if isinstance(value, bool) else str(value)
            child.text = NOT_XML.sub("\ufffd", text)
