"""The five questions of ``flask setup``, and the check of each answer."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import click

from blueprints.cli import setup_answers
from blueprints.cli.setup_answers import public_address
from blueprints.cli.setup_check import CarrierCheck
from blueprints.cli.terminal import escaped
from services.config import variables
from services.config.parsers import is_placeholder
from services.config.variables import Variable
from services.core.errors import ConfigError, NumberError, StorageUnwell
from services.core.messages import Finding
from services.core.phone_numbers import e164
from services.gateway import Gateway, load_environment
from services.providers import NAMES, PROVIDERS
from services.providers.base import Provider
from services.providers.sandbox import Sandbox

CARRIERS = tuple(each for each in PROVIDERS if each is not Sandbox)
LOOPBACK = ("127.0.0.1", "localhost", "::1", "[::1]")


@dataclass(frozen=True, slots=True)
class Plan:
    """What the questions have found: what to write, and what is left to do at the carrier.

    ``values`` are variables of ``.env``; ``later`` are findings that pasting the webhook's address
    settles; ``unconfirmed`` names the answers that the carrier has not confirmed.
    """

    values: Mapping[str, str]
    secrets: frozenset[str]
    provider: Provider
    number: str
    extension: str
    extensions: tuple[str, ...]
    later: tuple[Finding, ...]
    gateway: Gateway
    is_checked: bool
    unconfirmed: tuple[str, ...]


class Questions:
    """Asks, or with ``asks=False`` takes what is given; ``env`` are the variables in force."""

    def __init__(self, env: Mapping[str, str], *, asks: bool, is_checking: bool) -> None:
        self._env = env
        self._asks = asks
        self._is_checking = is_checking
        self._carrier_check = CarrierCheck(asks=asks, is_checking=is_checking)
        self._given: dict[str, str | None] = {}

    def ask(
        self, address: str | None, carrier: str | None, number: str | None, extension: str | None
    ) -> Plan:
        """Ask all five questions; what is given is not asked for.

        Raises ``ConfigError`` for what no answer can mend, ``click.ClickException`` for a given
        answer that cannot be used, and ``click.Abort`` at Ctrl-C.
        """
        self._require_usable()
        self._given = {"--carrier": carrier, "--number": number, "--extension": extension}
        if self._asks:
            click.echo("Five questions; nothing is written before the end. Ctrl-C stops.\n")
        values = {"APP_ENV": "production"}
        values["APP_URL"] = public_address(
            self._value(
                "1. Public address of this server, such as https://sms.example.com",
                "--address",
                self._current("APP_URL"),
                public_address,
                address,
            )
        )
        if self._is_behind_proxy_here():
            values["TRUSTED_PROXIES"] = "127.0.0.1"
        kind = self._carrier(carrier)
        gateway = self._credentials(kind, values)
        try:
            return self._rest(kind, values, gateway, number, extension)
        except BaseException:  # also Ctrl-C; it goes on
            gateway.close()
            raise

    def _rest(
        self,
        kind: type[Provider],
        values: Mapping[str, str],
        gateway: Gateway,
        number: str | None,
        extension: str | None,
    ) -> Plan:
        provider = gateway.providers[kind.name]
        ours, later = self._number(gateway, provider, number)
        try:
            known = gateway.settings.for_number(ours)
        except StorageUnwell:  # no database yet
            known = None
        before = known.extensions if known else ()
        if before and self._asks:
            click.echo(f"   {ours} belongs to extension {', '.join(before)} already.")
        wanted = self._value(
            "5. Extension of the PBX that gets its texts, such as 201",
            "--extension",
            before[0] if before else "",
            setup_answers.extension,
            extension,
        )
        secrets = (v.name for v in variables.variables(kind.Settings, kind.prefix()) if v.secret)
        return Plan(
            values,
            frozenset(secrets),
            provider,
            ours,
            wanted,
            tuple(dict.fromkeys((*before, wanted))),
            tuple(later),
            gateway,
            self._is_checking,
            tuple(self._carrier_check.unconfirmed),
        )

    def _require_usable(self) -> None:
        """Raise ``ConfigError`` with what is wrong and is no matter of these questions."""
        prefixes = tuple(each.prefix() for each in CARRIERS)
        try:
            load_environment(self._env)
        except ConfigError as error:
            others = [
                one
                for one in error.problems
                if one.variable not in ("APP_URL", "APP_ENV")
                and not one.variable.startswith(prefixes)
            ]
            if others:
                raise ConfigError(others) from None

    def _current(self, name: str) -> str:
        """A value in force; empty for none and for a placeholder."""
        try:
            value = variables.read(self._env, name) or ""
        except (OSError, ValueError):
            return ""
        return "" if is_placeholder(value) else value

    def _is_behind_proxy_here(self) -> bool:
        """Whether only a web server on this machine can be in front, and none is declared."""
        host = self._current("HOST") or LOOPBACK[0]
        return host in LOOPBACK and not self._current("TRUSTED_PROXIES")

    def _carrier(self, given: str | None) -> type[Provider]:
        on = self._carriers_on()
        names = ", ".join(each.name for each in CARRIERS)

        def parse(written: str) -> None:
            if self._named(written) is None:
                more = ", or its number in the list" if self._asks else ""
                raise ValueError(f"it must be one of {names}{more}.")

        if self._asks and given is None:
            for position, each in enumerate(CARRIERS, start=1):
                state = "   (its variables are set)" if each.name in on else ""
                click.echo(f"   {position}  {each.title}{state}")
        default = on[0] if on else ""
        written = self._value("2. Your carrier", "--carrier", default, parse, given)
        found = self._named(written)
        assert found is not None  # noqa: S101 - parse has seen it
        return found

    @staticmethod
    def _named(written: str) -> type[Provider] | None:
        wanted = written.strip().lower()
        if wanted.isdigit() and 1 <= int(wanted) <= len(CARRIERS):
            return CARRIERS[int(wanted) - 1]
        by_title = {each.title.lower(): each.name for each in CARRIERS}
        name = NAMES.get(wanted) or by_title.get(wanted)
        return next((each for each in CARRIERS if each.name == name), None)

    def _credentials(self, kind: type[Provider], values: dict[str, str]) -> Gateway:
        """Ask for the required variables of a carrier until it takes them."""
        needed = [v for v in variables.variables(kind.Settings, kind.prefix()) if v.required]
        if not self._asks:
            lacking = [v.name for v in needed if not self._current(v.name)]
            if lacking:
                names = ", ".join(lacking)
                raise click.UsageError(f"Set {names} in the environment of this command.")
        else:
            click.echo(f"3. Credentials of {kind.title} (secrets are not shown)")
        while True:
            for each in needed:
                current = values.get(each.name) or self._current(each.name)
                values[each.name] = self._credential(each, current)
            environment = load_environment({**self._env, **values})
            section = environment.carriers[kind.name]
            swapped = [Finding(False, str(one)) for one in section.warnings(time.time())]
            gateway = Gateway(environment)
            try:
                _, is_taken = self._carrier_check.check(gateway.providers[kind.name], [], swapped)
            except BaseException:
                gateway.close()
                raise
            if is_taken:
                return gateway
            gateway.close()

    def _credential(self, variable: Variable, current: str) -> str:
        question = f"   {variable.name}: {variable.doc.rstrip('.')}"
        return self._value(
            question, variable.name, current, variable.parse, None, is_secret=variable.secret
        )

    def _number(
        self, gateway: Gateway, provider: Provider, given: str | None
    ) -> tuple[str, list[Finding]]:
        """A number that the carrier has, and what is still to be done there about the webhook."""
        country = gateway.environment.service.default_country
        try:
            entries = gateway.settings.all()
        except StorageUnwell:  # no database yet
            entries = []
        mine = [entry.number for entry in entries if entry.carrier == provider.name]

        def parse(written: str) -> None:
            try:
                e164(written, country)
            except NumberError as error:
                raise ValueError(str(error)) from None

        while True:
            written = self._value(
                "4. Your number there, such as +12025550143",
                "--number",
                mine[0] if mine else "",
                parse,
                given,
            )
            number = e164(written, country)
            later, is_taken = self._carrier_check.check(provider, [number])
            if is_taken:
                return number, later
            given = None

    def _value(
        self,
        question: str,
        name: str,
        current: str,
        parse: Callable[[str], object],
        given: str | None,
        *,
        is_secret: bool = False,
    ) -> str:
        """An answer that ``parse`` takes; it raises ``ValueError`` with the reason for others."""
        while True:
            written = given
            if written is None:
                written = self._typed(question, current, is_secret) if self._asks else current
            written = written.strip()
            is_typed = self._asks and given is None
            if not written:
                if not is_typed:
                    raise click.ClickException(self._missing(name))
                click.echo("   An answer is needed.")
                continue
            try:
                parse(written)
            except ValueError as error:
                shown = "" if is_secret else f"“{escaped(written[:60])}”"
                if is_typed:
                    click.echo(f"   {shown or 'This'} cannot be used: {escaped(str(error))}")
                    current = current if current != written else ""
                else:
                    reason = f"{name} {shown}".rstrip() + f" cannot be used: {error}"
                    raise click.ClickException(escaped(reason)) from None
            else:
                return written

    def _missing(self, name: str) -> str:
        """Which options a script lacks, from this one on.

        Those after the carrier may have a value in Message Settings; without a carrier in
        ``.env`` none can.
        """
        lacking = [name]
        if not self._carriers_on():
            lacking += [each for each, given in self._given.items() if not given]
        names = ", ".join(dict.fromkeys(lacking))
        return f"--yes asks nothing, and these are missing: {names}. Nothing was changed."

    def _carriers_on(self) -> list[str]:
        """The carriers whose variables are set."""
        return [
            each.name
            for each in CARRIERS
            if variables.is_on(each.Settings, each.prefix(), self._env)
        ]

    @staticmethod
    def _typed(question: str, current: str, is_secret: bool) -> str:
        shown = "is set; Enter keeps it" if is_secret else current
        hint = f" [{escaped(shown)}]" if current else ""
        return str(
            click.prompt(question + hint, default=current, show_default=False, hide_input=is_secret)
        )
