"""Status of each carrier: its variables, its numbers, its last events, pauses and checks."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, fields

from sqlalchemy import Connection

from services.config.sections import CarrierSettings
from services.config.variables import Variable, described, variables
from services.core.errors import SendError, StorageUnwell
from services.core.messages import Finding
from services.message_settings import MessageSettings
from services.providers import PROVIDERS
from services.providers.base import Provider
from services.providers.sandbox import Sandbox
from services.store import carrier_events, circuit_breakers
from services.store.carrier_events import CarrierEvent, CarrierEventKind
from services.store.circuit_breakers import Pause
from services.store.database.store import Store


@dataclass(frozen=True, slots=True)
class Carrier:
    """One carrier; ``provider`` is ``None`` where it is off.

    ``variables`` are those of its section of ``.env`` with their values, secrets hidden;
    ``pauses`` are its paused destinations; ``findings`` are those of the last check.
    """

    name: str
    title: str
    provider: Provider | None
    variables: tuple[tuple[Variable, str], ...]
    numbers: tuple[str, ...]
    seen: Mapping[CarrierEventKind, CarrierEvent]
    pauses: tuple[Pause, ...]
    findings: tuple[Finding, ...]

    @property
    def is_on(self) -> bool:
        """Whether it is configured."""
        return self.provider is not None

    @property
    def is_checked(self) -> bool:
        """Whether its last check found no problem."""
        return bool(self.findings) and all(finding.ok for finding in self.findings)

    @property
    def refusal(self) -> CarrierEvent | None:
        """The last call that was refused, unless an authentic one came since."""
        return newest_refusal(self.seen)

    @property
    def error(self) -> CarrierEvent | None:
        """The last send that did not succeed, unless one succeeded since."""
        error, sent = self.seen.get(CarrierEventKind.ERROR), self.seen.get(CarrierEventKind.SENT)
        return error if error and (sent is None or sent.at < error.at) else None


@dataclass(eq=False)
class CarrierStatus:
    """Collects the status of every carrier, and checks the credentials of one.

    ``configured`` and ``providers`` hold the carriers that are on, by name.
    """

    store: Store
    settings: MessageSettings
    configured: Mapping[str, CarrierSettings]
    providers: Mapping[str, Provider]

    def all(self) -> list[Carrier]:
        """Every carrier, those that are on first. Raises ``StorageUnwell``."""
        known = self.store.read(lambda tx: [self._carrier(tx, each) for each in PROVIDERS])
        return sorted(
            (one for one in known if one.is_on or one.name != Sandbox.name),
            key=lambda one: not one.is_on,
        )

    def one(self, name: str) -> Carrier | None:
        """One carrier, or ``None`` where there is none of this name. Raises ``StorageUnwell``."""
        return next((one for one in self.all() if one.name == name), None)

    def check(self, provider: Provider) -> list[Finding]:
        """Ask a carrier whether the credentials work and its numbers can text; keep the answer."""
        try:
            findings = list(provider.check(self._numbers(provider.name)))
        except SendError as error:
            findings = [Finding(False, error.reason)]
        detail = json.dumps([asdict(finding) for finding in findings])
        with suppress(StorageUnwell):  # the answer is useful without being stored
            self.store.write(
                lambda tx: carrier_events.put(tx, provider.name, CarrierEventKind.CHECK, detail)
            )
        return findings

    def _numbers(self, carrier: str) -> list[str]:
        return [entry.number for entry in self.settings.all() if entry.carrier == carrier]

    def _carrier(self, tx: Connection, kind: type[Provider]) -> Carrier:
        seen = carrier_events.of(tx, kind.name)
        last = seen.get(CarrierEventKind.CHECK)
        pauses = circuit_breakers.unwell(tx)
        return Carrier(
            kind.name,
            kind.title,
            self.providers.get(kind.name),
            tuple(_shown(kind, self.configured.get(kind.name))),
            tuple(self._numbers(kind.name)),
            seen,
            tuple(pause for pause in pauses if pause.name.endswith(f":{kind.name}")),
            tuple(Finding(**each) for each in json.loads(last.detail)) if last else (),
        )


def newest_refusal(seen: Mapping[CarrierEventKind, CarrierEvent]) -> CarrierEvent | None:
    """The last call of a carrier that was refused, unless an authentic one came since."""
    refused, webhook = seen.get(CarrierEventKind.REFUSED), seen.get(CarrierEventKind.WEBHOOK)
    return refused if refused and (webhook is None or webhook.at < refused.at) else None


def _shown(kind: type[Provider], settings: CarrierSettings | None) -> list[tuple[Variable, str]]:
    """The carrier's own variables before those that every carrier has."""
    common = {field.name for field in fields(CarrierSettings)}
    known = (
        described(settings, kind.prefix())
        if settings is not None
        else ((variable, "") for variable in variables(kind.Settings, kind.prefix()))
    )
    return sorted(known, key=lambda each: each[0].field in common)
