"""Warnings about web addresses that are well formed and will hardly work."""

from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from services.config.variables import variables
from services.core.errors import Problem

LOCAL_NAMES = (".localhost", ".local", ".internal", ".lan", ".home.arpa")


def is_private(host: str) -> bool:
    """Whether a host is known to be out of reach from the internet."""
    try:
        return not ip_address(host).is_global
    except ValueError:
        name = host.rstrip(".").lower()
        return "." not in name or name.endswith(LOCAL_NAMES)


def public_address(name: str, value: str) -> Iterator[Problem]:
    """Warnings about the public address of this installation."""
    parts = urlsplit(value)
    if is_private(parts.hostname or ""):
        reason = f"has the host {parts.hostname}, which carriers and apps outside cannot reach."
        yield Problem(name, reason, "Write the public name, such as https://sms.example.com.")
    if parts.path.strip("/"):
        reason = f"has the path {parts.path}, and nothing is served below it."
        remedy = "Leave it out, unless the proxy in front takes it off before it passes a call on."
        yield Problem(name, reason, remedy)


def base_addresses(section: Any, prefix: str) -> Iterator[Problem]:
    """Warnings about the addresses of services outside, in one loaded section.

    They are the variables that have such an address as their default.
    """
    for variable in variables(type(section), prefix):
        default, value = variable.default or "", getattr(section, variable.field)
        if not default.startswith("https://"):
            continue
        usual, parts = urlsplit(variable.parse(default)), urlsplit(value)
        if is_private(parts.hostname or ""):
            reason = f"has the host {parts.hostname}, which is in a private network."
            yield Problem(variable.name, reason, f"Its usual value is {default}.")
        elif parts.hostname == usual.hostname and parts.path != usual.path:
            reason = f"has the path {parts.path or '/'}, and the API is at {usual.path or '/'}."
            yield Problem(variable.name, reason, f"Its usual value is {default}.")
