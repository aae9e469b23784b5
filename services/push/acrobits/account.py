"""Account settings that let an Acrobits app send and fetch texts here, as fields or account XML.

The app replaces each ``%…%`` by a value. The password is a device token, never the password of the
SIP account, and it is sent in request bodies only.
"""

import json
from collections.abc import Mapping
from xml.etree.ElementTree import Element, SubElement, indent, tostring

SEND = {"to": "%sms_to%", "body": "%sms_body%", "content_type": "%content_type%"}
FETCH = {"last_id": "%last_known_sms_id%", "last_sent_id": "%last_known_sent_sms_id%"}
REPORT = {
    "selector": "%selector%",
    "token_msgs": "%pushTokenOther%",
    "app_id_msgs": "%pushappid_other%",
}
# Name in the account XML, path, template. Provisioning tools use both names for sending.
CALLS = (
    ("genericSms", "send", SEND),
    ("genericSmsSend", "send", SEND),
    ("genericSmsFetch", "fetch", FETCH),
    ("pushTokenReporter", "push-token", REPORT),
    ("accountRemovalReporter", "removed", REPORT),
)
NO_URL = {"genericSms"}  # both names for sending share the field genericSmsSendUrl


def account(app_url: str, extension: str, token: str) -> dict[str, str]:
    """Every field of the account, by its name in the XML."""
    fields = {"allowMessage": "1"}
    credentials = {"username": extension, "password": token}
    for name, path, template in CALLS:
        if name not in NO_URL:
            fields[f"{name}Url"] = f"{app_url}/acrobits/{path}"
        fields[f"{name}PostData"] = json.dumps(credentials | template)
        fields[f"{name}ContentType"] = "application/json"
    return fields


def xml(fields: Mapping[str, str]) -> str:
    """Write the fields as account XML."""
    root = Element("account")
    for name, value in fields.items():
        SubElement(root, name).text = value
    indent(root)
    return tostring(root, encoding="unicode")
