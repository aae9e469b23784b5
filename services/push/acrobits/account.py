"""What an Acrobits app has to know to text through us: entered by hand, or as account XML.

``%…%`` are the app's own words, which it fills in. The password is a device's token, never that of
the SIP account, and it travels in bodies only.
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
# Their names in the account XML; provisioners write the second of the two for sending, too.
CALLS = (
    ("genericSms", "send", SEND),
    ("genericSmsSend", "send", SEND),
    ("genericSmsFetch", "fetch", FETCH),
    ("pushTokenReporter", "push-token", REPORT),
    ("accountRemovalReporter", "removed", REPORT),
)
NO_URL = {"genericSms"}  # its address is genericSmsSendUrl, both spellings have it in common


def account(app_url: str, extension: str, token: str) -> dict[str, str]:
    """Every field of the account by its name in the XML."""
    fields = {"allowMessage": "1"}
    who = {"username": extension, "password": token}
    for name, path, template in CALLS:
        if name not in NO_URL:
            fields[f"{name}Url"] = f"{app_url}/acrobits/{path}"
        fields[f"{name}PostData"] = json.dumps(who | template)
        fields[f"{name}ContentType"] = "application/json"
    return fields


def xml(fields: Mapping[str, str]) -> str:
    """The fields as account XML."""
    root = Element("account")
    for name, value in fields.items():
        SubElement(root, name).text = value
    indent(root)
    return tostring(root, encoding="unicode")
