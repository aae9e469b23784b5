"""Access of the operator: from the addresses of ADMIN_ALLOW, with ADMIN_PASSWORD."""

from flask import request
from werkzeug.exceptions import Forbidden

from blueprints.client_address import Caller, Callers
from services.config.sections import ServiceSettings
from services.core.commands import flask_command
from services.core.secrets import same_secret
from services.operations.admin_auth import AdminAuth
from services.operations.undeclared_proxies import UndeclaredProxies

USER = "admin"  # of HTTP Basic


class AdminAccess:
    """Decides whether the current request comes from the operator."""

    def __init__(
        self, auth: AdminAuth, service: ServiceSettings, proxies: UndeclaredProxies
    ) -> None:
        self._auth = auth
        self._allowed = service.admin_allow
        self.callers = Callers(service.trusted_proxies or (), proxies)
        self.has_password = service.admin_password is not None

    @property
    def address(self) -> str:
        """The address that this request comes from, for a log."""
        return self.callers.caller().shown

    def require_allowed_address(self) -> None:
        """Refuse, with a 403, a request from an address that ADMIN_ALLOW does not name."""
        caller = self.callers.caller()
        if self._allowed is None or caller.is_in(self._allowed):
            return
        if caller.is_behind_undeclared_proxy:
            raise Forbidden(
                f"This request came through a web server at {caller.peer} that TRUSTED_PROXIES in "
                ".env does not name, or that sends no X-Forwarded-For. Where it comes from cannot "
                f"be told, so ADMIN_ALLOW refuses it. `{flask_command('status')}` says what to "
                "set. On this machine itself, open it as localhost."
            )
        if caller.address is None:
            raise Forbidden("Where this call comes from cannot be told.")
        raise Forbidden(
            f"This may not be opened from {caller.address}. ADMIN_ALLOW in .env says from where "
            "it may."
        )

    def admits(self, password: str, *, by_basic: bool = False) -> bool:
        """Whether this is the operator's password; raises as ``AdminAuth.admits``."""
        caller = self.callers.caller()
        return self._auth.admits(
            password,
            caller.counted_as,
            is_allowed=self._is_named(caller),
            by_basic=by_basic,
        )

    def is_operator(self) -> bool:
        """Whether the request signs in with HTTP Basic as the operator; raises as ``admits``.

        Also ``Forbidden`` from an address that ADMIN_ALLOW does not name: nothing is counted there.
        """
        self.require_allowed_address()
        offered = request.authorization
        if offered is None or offered.type != "basic":
            return False
        right_name = same_secret(offered.username or "", USER)
        return self.admits((offered.password or "") if right_name else "", by_basic=True)

    def _is_named(self, caller: Caller) -> bool:
        return self._allowed is not None and caller.is_in(self._allowed)
