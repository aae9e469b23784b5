"""Access of the operator: from the addresses of ADMIN_ALLOW, with ADMIN_PASSWORD."""

from ipaddress import ip_address

from flask import request
from werkzeug.exceptions import Forbidden

from blueprints.client_address import client_address
from services.config.sections import ServiceSettings
from services.core.secrets import same_secret
from services.operations.admin_auth import AdminAuth

USER = "admin"  # of HTTP Basic


class AdminAccess:
    """Decides whether the current request comes from the operator."""

    def __init__(self, auth: AdminAuth, service: ServiceSettings) -> None:
        self._auth = auth
        self._allowed = service.admin_allow
        self._trusted = service.trusted_proxies or ()
        self.has_password = service.admin_password is not None

    @property
    def address(self) -> str:
        """The address that this request comes from."""
        return client_address(self._trusted)

    def require_allowed_address(self) -> None:
        """Refuse, with a 403, a request from an address that ADMIN_ALLOW does not name."""
        if self._allowed is None:
            return
        try:
            calls_from = ip_address(self.address)
        except ValueError:
            raise Forbidden("Where this call comes from cannot be told.") from None
        if not any(calls_from in network for network in self._allowed):
            raise Forbidden(
                f"These pages may not be opened from {calls_from}. ADMIN_ALLOW in .env says from "
                "where they may."
            )

    def admits(self, password: str) -> bool:
        """Whether this is the operator's password; raises as ``AdminAuth.admits``."""
        return self._auth.admits(password, self.address)

    def is_operator(self) -> bool:
        """Whether the request signs in with HTTP Basic as the operator; raises as ``admits``."""
        offered = request.authorization
        if offered is None or offered.type != "basic":
            return False
        return self.admits(
            (offered.password or "") if same_secret(offered.username or "", USER) else ""
        )
