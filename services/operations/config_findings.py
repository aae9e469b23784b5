"""Findings about the configuration: what is in force and should be corrected, with the remedy.

``flask config check``, ``flask status``, ``/ready`` and the start page of ``/admin/`` show the same
ones. Whatever can be seen without asking another machine is a finding.
"""

import stat
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from shlex import quote
from typing import Any

from services import providers, push
from services.config import address_warnings, env_file
from services.config.environment import (
    BUCKET,
    BULK,
    MAILBOX,
    OPT_OUT,
    REPLIES,
    SCHEDULED,
    SENDING,
    Environment,
    declared_names,
    sections,
)
from services.config.parsers import ANYWHERE
from services.config.sections import MailSettings, ServiceSettings
from services.core.commands import flask_command
from services.core.errors import ConfigError, Problem, StorageUnwell
from services.core.phone_numbers import destination, home_countries, is_country
from services.message_settings import MessageSettings, NumberSetting
from services.operations.open_files import is_open, open_to_others
from services.operations.server_process import pid_file, running_pid
from services.providers import PROVIDERS
from services.providers.sandbox import Sandbox
from services.push import CHANNELS

COMPARED = 100  # numbers whose country is looked at; it takes 50 µs each
LISTED = 5  # names before “and 12 more”
SECTIONS = tuple(sections(providers.SECTIONS, push.SECTIONS))
NAMES = declared_names(providers.SECTIONS, push.SECTIONS)


class ConfigFindings:
    """Finds what should be corrected; cheap enough for every call of ``/ready``.

    What is in an open storage folder is looked at once, as it may be many files. Whether the
    folder is open is looked at each time.
    """

    def __init__(
        self,
        environment: Environment,
        settings: MessageSettings,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """``clock`` returns seconds since 1970."""
        self._environment = environment
        self._settings = settings
        self._clock = clock
        self._storage = environment.service.storage_path.resolve()
        self._open: list[Path] = []

    def all(self) -> list[Problem]:
        """Every finding. Never raises for what is wrong with ``.env`` meanwhile."""
        environment, entries = self._environment, self._entries()
        return list(
            chain(
                _address(environment.service),
                _base_addresses(environment),
                address_warnings.widest("TRUSTED_PROXIES", environment.service.trusted_proxies),
                address_warnings.widest("ADMIN_ALLOW", environment.service.admin_allow),
                _carriers(environment.carriers, entries),
                _countries(environment, entries),
                _mail(environment.mail, entries, self._mailing_rules()),
                _answers(environment),
                environment.warnings(self._clock()),
                _env_file(environment.file),
                self._open_files(),
                self.outdated(),
            )
        )

    def outdated(self) -> list[Problem]:
        """The finding that ``.env`` was changed after it was read, also by a running server."""
        file, read_at = self._environment.file, self._environment.read_at
        if file is None:
            return []
        try:
            changed_at = file.stat().st_mtime
            if running_pid(self._storage) is not None:
                read_at = min(read_at, pid_file(self._storage).stat().st_mtime)
        except OSError:
            return []
        if changed_at <= read_at:
            return []
        reason = "was changed after the running server read it."
        return [Problem(file.name, reason, f"Run: {flask_command('config reload')}")]

    def _entries(self) -> list[NumberSetting]:
        """Those of enabled numbers; none before the settings could be read for the first time."""
        try:
            return [entry for entry in self._settings.all() if entry.enabled]
        except StorageUnwell:  # the check of the settings says so
            return []

    def _mailing_rules(self) -> list[str]:
        """The names of the rules that deliver to e-mail addresses."""
        try:
            rules = self._settings.rules
        except StorageUnwell:  # the check of the settings says so
            return []
        return [f"the rule “{rule.name}”" for rule in rules.inbound if rule.emails]

    def _open_files(self) -> Iterator[Problem]:
        storage = self._storage
        if not is_open(storage):
            self._open = []
            return
        self._open = self._open or open_to_others(storage)
        inside = [str(path.relative_to(storage)) for path in self._open[1:]]
        more = f", and so is what is in it: {_named(inside)}" if inside else ""
        mode = stat.S_IMODE(storage.stat().st_mode)
        reason = f"{storage} is open to other users of this machine (mode {mode:04o}){more}."
        yield Problem("STORAGE_PATH", reason, f"Run: chmod -R u=rwX,go= {quote(str(storage))}")


def in_force(environment: Environment) -> dict[str, Any]:
    """What was loaded, by the prefix of its variables; sections that are off are left out."""
    on: dict[str, Any] = {"": environment.service, SENDING: environment.sending}
    on[SCHEDULED] = environment.schedule
    on[BULK] = environment.bulk
    on[OPT_OUT] = environment.opt_out
    if environment.mail.host is not None:
        on["MAIL_"] = environment.mail
    if environment.mail_replies.address is not None:
        on[REPLIES] = environment.mail_replies
    if environment.mailbox is not None:
        on[MAILBOX] = environment.mailbox
    on["VAPID_"] = environment.vapid
    if environment.bucket is not None:
        on[BUCKET] = environment.bucket
    for provider in PROVIDERS:
        if provider.name in environment.carriers:
            on[provider.prefix()] = environment.carriers[provider.name]
    for channel in CHANNELS:
        if channel.prefix and channel.name in environment.channels:
            on[channel.prefix] = environment.channels[channel.name]
    return on


def _address(service: ServiceSettings) -> Iterator[Problem]:
    if service.app_env == "local":
        return
    example = "Write the public address, such as https://sms.example.com."
    if service.app_url is None:
        yield Problem("APP_URL", "is empty: carriers and apps cannot reach this machine.", example)
    elif not service.app_url.startswith("https://"):
        yield Problem(
            "APP_URL", "is not https: texts and tokens could be read on the way.", example
        )
    if service.app_url is not None:
        yield from address_warnings.public_address("APP_URL", service.app_url)
    if service.admin_password is None:
        reason = "is empty: nobody can open the administrator's pages."
        yield Problem("ADMIN_PASSWORD", reason, "Set it to at least 8 characters.")
    if service.app_debug:
        yield Problem("APP_DEBUG", "is on: the logs grow quickly.", "Set it to false.")


def _base_addresses(environment: Environment) -> Iterator[Problem]:
    if environment.service.app_env != "local":
        for prefix, section in in_force(environment).items():
            yield from address_warnings.base_addresses(section, prefix)


def _carriers(carriers: Collection[str], entries: Sequence[NumberSetting]) -> Iterator[Problem]:
    if not carriers:
        reason = "are missing: no carrier is configured, so no text comes in or goes out."
        remedy = f"Set those of yours; `{flask_command('config check')}` lists them."
        yield Problem("The variables of a carrier", reason, remedy)
    unconfigured: dict[str, list[str]] = {}
    for entry in entries:
        if entry.carrier not in carriers:
            unconfigured.setdefault(entry.carrier, []).append(entry.number)
    for carrier, numbers in unconfigured.items():
        if carrier == Sandbox.name:
            yield _left_by_sandbox(numbers)
            continue
        reason = f"{_named(numbers)} cannot send or receive: {carrier} is not configured."
        command = flask_command("config check")
        remedy = f"Set the variables of {carrier}, which `{command}` lists, or choose another one."
        yield Problem("Message Settings", reason, remedy)


def _left_by_sandbox(numbers: list[str]) -> Problem:
    """An extension would send from such a number, its default one perhaps, and be refused."""
    belong = "belongs" if len(numbers) == 1 else "belong"
    remove = flask_command(f"settings remove {' '.join(numbers)}")
    return Problem(
        "Message Settings",
        f"{_named(numbers)} {belong} to the sandbox, which is off: nothing is sent from there.",
        f"Remove what the sandbox has made up: `{remove}`. Give a number of yours its carrier.",
    )


def _countries(environment: Environment, entries: Iterable[NumberSetting]) -> Iterator[Problem]:
    """Numbers of ours in a country to which no text may be sent: DEFAULT_COUNTRY is not set."""
    given = environment.sending.countries
    allowed = home_countries(environment.service.default_country) if given is None else given
    abroad = None
    for entry in islice(entries, COMPARED):
        where = destination(entry.number)
        if where in allowed or ANYWHERE in allowed:
            return
        abroad = abroad or ((entry.number, where) if is_country(where) else None)
    if abroad is None:
        return
    number, where = abroad
    if given is None:
        yield Problem(
            "DEFAULT_COUNTRY",
            f"is {environment.service.default_country}, while {number} is a number of {where}: "
            f"texts to {where} are refused, and numbers without a country code are misread.",
            f"Set DEFAULT_COUNTRY={where}.",
        )
    else:
        reason = f"does not have {where}, the country of {number}: texts to it are refused."
        yield Problem("SEND_COUNTRIES", reason, f"Add {where} to the list.")


def _mail(
    mail: MailSettings, entries: Iterable[NumberSetting], rules: list[str]
) -> Iterator[Problem]:
    mailed = [*(entry.number for entry in entries if entry.emails), *rules]
    if mail.host is None and mailed:
        reason = f"is empty, and texts of {_named(mailed)} should go to e-mail addresses."
        yield Problem("MAIL_HOST", reason, "Set it, MAIL_FROM_ADDRESS and what your server wants.")
    if mail.host is not None and mail.from_address is None:
        remedy = "Write the sender of the mails, such as texts@example.com."
        yield Problem("MAIL_FROM_ADDRESS", "is empty: no mail can be sent.", remedy)
    if mail.host is not None:
        yield from address_warnings.host_alone("MAIL_HOST", mail.host)
    if (
        mail.host is not None
        and mail.port == 465
        and mail.encryption in ("tls", "starttls", "none")
    ):
        reason = f"is {mail.encryption}, while port 465 is encrypted from the first byte."
        yield Problem("MAIL_ENCRYPTION", reason, "Set it to ssl, or MAIL_PORT to 587.")
    if mail.host is not None and mail.port == 587 and mail.encryption in ("ssl", "smtps"):
        reason = f"is {mail.encryption}, while at port 587 encryption begins after STARTTLS."
        yield Problem("MAIL_ENCRYPTION", reason, "Set it to tls, or MAIL_PORT to 465.")


def _answers(environment: Environment) -> Iterator[Problem]:
    """What keeps answers to mails from becoming texts."""
    asked, mailbox = environment.mail_replies, environment.mailbox
    takes_in = mailbox is not None or asked.listen is not None
    if asked.address is not None and not takes_in:
        reason = "is set, and nothing takes answers in, so mails cannot be answered."
        remedy = "Set the IMAP_ variables of its mailbox, or MAIL_ANSWERS_LISTEN."
        yield Problem("MAIL_ANSWERS_ADDRESS", reason, remedy)
    if asked.listen is not None:
        yield from address_warnings.open_listener("MAIL_ANSWERS_LISTEN", asked.listen)
    if asked.address is None and takes_in:
        reason = "is empty, so mails cannot be answered."
        yield Problem("MAIL_ANSWERS_ADDRESS", reason, "Write the address that gets the answers.")
    if asked.address is not None and environment.mail.host is None:
        reason = "is empty, while mails should be answered: refusals are mailed, too."
        yield Problem("MAIL_HOST", reason, "Set it and MAIL_FROM_ADDRESS.")
    if mailbox is not None:
        yield from address_warnings.host_alone("IMAP_HOST", mailbox.host)


def _env_file(path: Path | None) -> Iterator[Problem]:
    """What is wrong with ``.env`` as it is now: it may have been edited since the start."""
    if path is None:
        return
    try:
        readable = bool(path.stat().st_mode & stat.S_IROTH)
        yield from env_file.findings(path, NAMES)
    except FileNotFoundError:
        return
    except ConfigError as error:
        yield from error.problems
    if readable:
        reason = "can be read by everybody on this machine, and it holds secrets."
        yield Problem(path.name, reason, f"Run: chmod 600 {quote(str(path))}")


def _named(names: list[str]) -> str:
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more
