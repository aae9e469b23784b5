"""Loading the environment as a whole: service, mail server, carriers and push channels.

Read once at start; everything wrong is named at once, with its remedy.
"""

import base64
import os
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

from services.config import variables
from services.config.keys import derived_token
from services.config.misspelt import misspelt
from services.config.parsers import is_placeholder
from services.config.sections import (
    BulkSettings,
    CarrierSettings,
    ImapSettings,
    MailReplySettings,
    MailSettings,
    OptOutSettings,
    S3Settings,
    ScheduleSettings,
    SendSettings,
    ServiceSettings,
    VapidSettings,
)
from services.config.storage_access import refuse_root, require_writable
from services.config.storage_layout import KEY
from services.core.errors import ConfigError, Problem

T = TypeVar("T")
ROOT = Path(__file__).resolve().parents[2]  # a relative STORAGE_PATH is in here
BUCKET = "MEDIA_S3_"
REPLIES = "MAIL_ANSWERS_"
MAILBOX = "IMAP_"
SENDING = "SEND_"
OPT_OUT = "OPT_OUT_"
SCHEDULED = "SCHEDULED_"
BULK = "BULK_"
REMEDY_KEY = (
    "If there was one, put it back: the webhooks' addresses are made from it. For a new one run "
    "`make install`, which writes it into .env."
)


@dataclass(frozen=True, slots=True)
class Section:
    """The variables of one carrier or push channel, as its registry offers them.

    ``settings`` is the class that declares them. A ``built_in`` one needs no variables: it is on by
    itself with ``APP_ENV=local`` while no other carrier is, and is not described to operators.
    While it is on, the sections that it ``replaces`` are off.
    """

    name: str
    title: str
    prefix: str
    settings: type
    built_in: bool = False
    replaces: tuple[str, ...] = ()

    @property
    def variables(self) -> list[variables.Variable]:
        """What it declares, in order."""
        return variables.variables(self.settings, self.prefix)

    @property
    def needs_no_variable(self) -> bool:
        """Whether it can be used with nothing set."""
        return all(variable.default is not None for variable in self.variables)


@dataclass(frozen=True)
class Environment:
    """The configuration in force. ``carriers`` and ``channels`` hold those that are on, by name.

    Without a ``bucket`` attachments are kept in the storage folder; without a ``mailbox`` none is
    looked at for answers.
    """

    service: ServiceSettings
    mail: MailSettings
    mail_replies: MailReplySettings
    vapid: VapidSettings
    sending: SendSettings
    schedule: ScheduleSettings
    bulk: BulkSettings
    opt_out: OptOutSettings
    carriers: Mapping[str, CarrierSettings]
    channels: Mapping[str, Any]
    bucket: S3Settings | None = None
    mailbox: ImapSettings | None = None
    file: Path | None = None  # the .env that was read …
    read_at: float = 0.0  # … and when
    notes: tuple[Problem, ...] = ()  # what was found while loading and stops nothing

    def warnings(self, now: float) -> list[Problem]:
        """What stops nothing and should be fixed; ``now`` is in seconds since 1970."""
        of_carriers = (each.warnings(now) for each in self.carriers.values())
        return [*self.notes, *chain.from_iterable(of_carriers)]

    @property
    def app_key(self) -> bytes:
        """The key of the installation."""
        if self.service.app_key is None:
            raise ConfigError([Problem("APP_KEY", "is missing.", REMEDY_KEY)])
        return self.service.app_key

    @property
    def app_url(self) -> str:
        """The public address, without a slash at its end."""
        return self.service.app_url or self.local_url

    @property
    def local_url(self) -> str:
        """The address under which this machine reaches the server."""
        host = _in_brackets(self.service.host)
        host = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}.get(host, host)  # noqa: S104
        return f"http://{host}:{self.service.port}"

    @property
    def bind(self) -> str:
        """The address and port that the server listens on; IPv6 in brackets (RFC 3986 §3.2.2)."""
        return f"{_in_brackets(self.service.host)}:{self.service.port}"

    def webhook_token(self, carrier: str) -> str:
        """The token in a carrier's webhook address."""
        settings = self.carriers[carrier]
        return settings.webhook_token or derived_token(self.app_key, f"webhook:{carrier}")


def sections(
    carriers: Sequence[Section], channels: Sequence[Section]
) -> Iterator[tuple[str, str, type]]:
    """Every section of the environment: its title, its prefix and its declaration."""
    yield "Textbridge", "", ServiceSettings
    yield "Sending", SENDING, SendSettings
    yield "Sending later", SCHEDULED, ScheduleSettings
    yield "Bulk sends", BULK, BulkSettings
    yield "Opt-out", OPT_OUT, OptOutSettings
    yield "E-mail", "MAIL_", MailSettings
    yield "Answers by e-mail", REPLIES, MailReplySettings
    yield "Mailbox of the answers", MAILBOX, ImapSettings
    yield "Web Push", "VAPID_", VapidSettings
    yield "Attachments in a bucket", BUCKET, S3Settings
    for carrier in carriers:
        if not carrier.built_in:
            yield carrier.title, carrier.prefix, carrier.settings
    for channel in channels:
        if channel.variables:
            yield channel.title, channel.prefix, channel.settings


def load(
    env: Mapping[str, str], carriers: Sequence[Section], channels: Sequence[Section]
) -> Environment:
    """Read the whole environment, with the sections of the carriers and push channels that exist.

    Raises ``ConfigError`` with every problem it has.
    """
    notes: list[Problem] = []
    service, problems = variables.load(ServiceSettings, "", env)
    mail = _load_mail(env, problems, notes)
    mail_replies, more = variables.load(MailReplySettings, REPLIES, env)
    problems += more
    mailbox = None
    if mail_replies is not None and mail_replies.address is not None:
        mailbox = _load_mailbox(env, problems, notes)
    vapid, more = variables.load(VapidSettings, "VAPID_", env)
    problems += more
    sending, more = variables.load(SendSettings, SENDING, env)
    problems += more
    schedule, more = variables.load(ScheduleSettings, SCHEDULED, env)
    problems += more
    bulk, more = variables.load(BulkSettings, BULK, env)
    problems += more
    opt_out, more = variables.load(OptOutSettings, OPT_OUT, env)
    problems += more
    bucket = _load_optional(S3Settings, BUCKET, env, problems)
    loaded_carriers: dict[str, CarrierSettings] = {}
    for carrier in carriers:
        if variables.is_on(carrier.settings, carrier.prefix, env):
            _load_one(loaded_carriers, carrier, env, problems)
    loaded_channels = _load_channels(channels, env, problems, notes)
    if service is not None and not problems:
        service = replace(service, storage_path=ROOT / service.storage_path)
        if "FLASK_RUN_FROM_CLI" in env:  # which the program flask sets: a command, not the server
            refuse_root(service.storage_path)
        require_writable(service.storage_path)
        service, problems = _with_key(service)
    if problems or service is None or mail is None or vapid is None or sending is None:
        raise ConfigError(problems)
    if opt_out is None or schedule is None or bulk is None or mail_replies is None:
        raise ConfigError(problems)
    if service.app_env == "local" and not loaded_carriers:
        for carrier in (one for one in carriers if one.built_in):
            _load_one(loaded_carriers, carrier, {}, problems)
    file = Path(env["ENV_FILE"]) if env.get("ENV_FILE") else None
    read_at = float(env.get("ENV_READ_AT") or time.time())
    notes += _left_placeholders(carriers, loaded_carriers, env)
    notes += misspelt(env, [*declared_names(carriers, channels), "ENV_FILE", "ENV_READ_AT"])
    return Environment(
        service,
        mail,
        mail_replies,
        vapid,
        sending,
        schedule,
        bulk,
        opt_out,
        loaded_carriers,
        loaded_channels,
        bucket,
        mailbox,
        file,
        read_at,
        tuple(notes),
    )


def _off(name: str, reason: str, title: str) -> Problem:
    remedy = "Set it, or remove the other variables of it."
    return Problem(name, f"{reason}, so {title} is off.", remedy)


def _left_placeholders(
    carriers: Sequence[Section], loaded: Mapping[str, Any], env: Mapping[str, str]
) -> Iterator[Problem]:
    """Placeholders in variables that are in use."""
    in_use = [
        ("", ServiceSettings),
        *((c.prefix, c.settings) for c in carriers if c.name in loaded),
    ]
    if not is_placeholder(env.get("MAIL_HOST", "").strip()):
        in_use.append(("MAIL_", MailSettings))
    for prefix, settings in in_use:
        for v in variables.placeholders(settings, prefix, env):
            reason = "still has the placeholder of an example."
            yield Problem(v.name, reason, "Set it, or remove it.")


def declared_names(carriers: Sequence[Section], channels: Sequence[Section]) -> list[str]:
    """The name of every variable that exists, those of sections that are off included."""
    return [
        variable.name
        for _, prefix, settings in sections(carriers, channels)
        for variable in variables.variables(settings, prefix)
    ]


def _load_optional(
    section: type[T], prefix: str, env: Mapping[str, str], problems: list[Problem]
) -> T | None:
    """A section that is off while none of its variables is set."""
    if not variables.is_on(section, prefix, env):
        return None
    loaded, more = variables.load(section, prefix, env)
    problems += more
    return loaded


def _load_mailbox(
    env: Mapping[str, str], problems: list[Problem], notes: list[Problem]
) -> ImapSettings | None:
    """The mailbox; one of which a variable is missing is off, with a note.

    Other programs have variables of these names, so they mean nothing without our address.
    """
    if not variables.is_on(ImapSettings, MAILBOX, env):
        return None
    lacking = variables.missing(ImapSettings, MAILBOX, env)
    notes += [_off(v.name, "is missing", "the mailbox of the answers") for v in lacking]
    return None if lacking else _load_optional(ImapSettings, MAILBOX, env, problems)


def _load_mail(
    env: Mapping[str, str], problems: list[Problem], notes: list[Problem]
) -> MailSettings | None:
    if is_placeholder(env.get("MAIL_HOST", "").strip()):
        notes.append(_off("MAIL_HOST", "still has the placeholder of an example", "E-mail"))
        env = {}
    mail, more = variables.load(MailSettings, "MAIL_", env)
    problems += more
    return mail


def _load_channels(
    channels: Sequence[Section],
    env: Mapping[str, str],
    problems: list[Problem],
    notes: list[Problem],
) -> dict[str, Any]:
    """The channels that are on.

    One of which a required variable is missing is off, with a note, and one that another replaces.
    """
    loaded: dict[str, Any] = {}
    for channel in channels:
        if not channel.needs_no_variable:
            if not variables.is_on(channel.settings, channel.prefix, env):
                continue
            lacking = variables.missing(channel.settings, channel.prefix, env)
            notes += [_off(v.name, "is missing", channel.title) for v in lacking]
            if lacking:
                continue
        _load_one(loaded, channel, env, problems)
    titles = {channel.name: channel.title for channel in channels}
    for channel in channels:
        for other in channel.replaces:
            if channel.name in loaded and loaded.pop(other, None) is not None:
                reason = f"is off, because {channel.title} leads to the same phones."
                remedy = f"Remove the variables of {titles[other]} or of {channel.title}."
                notes.append(Problem(titles[other], reason, remedy))
    return loaded


def _load_one(
    loaded: dict[str, Any], section: Section, env: Mapping[str, str], problems: list[Problem]
) -> None:
    settings, more = variables.load(section.settings, section.prefix, env)
    problems += more
    if settings is not None:
        loaded[section.name] = settings


def _with_key(service: ServiceSettings) -> tuple[ServiceSettings, list[Problem]]:
    """The service with its key; with ``APP_ENV=local`` one is made where it is missing."""
    if service.app_key is not None:
        return service, []
    if service.app_env != "local":
        return service, [Problem("APP_KEY", "is missing.", REMEDY_KEY)]
    return replace(service, app_key=_kept_key(service.storage_path / KEY)), []


def _in_brackets(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def _kept_key(path: Path) -> bytes:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        private = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(private, "wb") as file:
            file.write(base64.b64encode(secrets.token_bytes(32)))
    except FileExistsError:
        pass
    return base64.b64decode(path.read_bytes())
