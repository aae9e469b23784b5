"""Who is the operator: whoever knows ``ADMIN_PASSWORD``, from where ``ADMIN_ALLOW`` lets them."""

from ipaddress import ip_address

from flask import request
from werkzeug.exceptions import Forbidden

from blueprints.webhooks import address
from services.gateway import Gateway
from services.providers.base import same

USER = "admin"  # of HTTP Basic


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
    """Whether the call signs in with HTTP Basic as the operator; raises as ``Operator.admits``."""
    offered = request.authorization
    if offered is None or offered.type != "basic":
        return False
    password = (offered.password or "") if same(offered.username or "", USER) else ""
    return gateway.admin_auth.admits(password, address(gateway))
