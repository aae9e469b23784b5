"""Who is the operator: whoever knows ``ADMIN_PASSWORD``, from where ``ADMIN_ALLOW`` lets them."""

from ipaddress import ip_address

from flask import request
from werkzeug.exceptions import Forbidden

from blueprints.webhooks import caller
from services.gateway import Gateway
from services.providers.base import same

USER = "admin"  # of HTTP Basic


def address(gateway: Gateway) -> str:
    """Where this call comes from."""
    trusted = gateway.environment.service.trusted_proxies or ()
    return caller(request.remote_addr, request.headers.getlist("X-Forwarded-For"), trusted)


def require_allowed_address(gateway: Gateway) -> None:
    """Refuse, with a 403, a call that comes from where the operator never is."""
    allowed = gateway.environment.service.admin_allow
    if allowed is None:
        return
    try:
        calls_from = ip_address(address(gateway))
    except ValueError:
        raise Forbidden("Where this call comes from cannot be told.") from None
    if not any(calls_from in network for network in allowed):
        raise Forbidden(
            f"These pages may not be opened from {calls_from}. ADMIN_ALLOW in .env says from where "
            "they may."
        )


def is_operator(gateway: Gateway) -> bool:
    """Whether the call signs in with HTTP Basic as the operator."""
    offered = request.authorization
    if offered is None or offered.type != "basic":
        return False
    password = gateway.environment.service.admin_password or ""
    right_user = same(offered.username or "", USER)
    return same(offered.password or "", password) and right_user and bool(password)
