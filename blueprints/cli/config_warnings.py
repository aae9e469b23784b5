"""Warnings about a configuration that can be used as it is, each with its remedy."""

import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from shlex import quote
from typing import Any

from blueprints.cli.server import pid_file, running_pid
from services.config import address_warnings, env_file
from services.config.environment import Environment
from services.config.sections import MailSettings, ServiceSettings
from services.core.errors import Problem
from services.media.media_store import MediaStore
from services.message_settings import MessageSettings
from services.operations.open_files import open_to_others
from services.providers.base import Provider
from services.providers.sandbox import Sandbox

LISTED = 5  # numbers before “and 12 more”


def findings(
    environment: Environment,
    settings: MessageSettings,
    providers: Mapping[str, Provider],
    media: MediaStore,
    in_force: Mapping[str, Any],
    names: Sequence[str],
) -> list[Problem]:
    """Everything that should be corrected.

    ``in_force`` are the loaded sections by the prefix of their variables, ``names`` are all
    variables that exist.
    """
    file, storage = environment.file, environment.service.storage_path.resolve()
    return list(
        chain(
            _address(environment.service),
            _base_addresses(environment.service, in_force),
            address_warnings.widest("TRUSTED_PROXIES", environment.service.trusted_proxies),
            address_warnings.widest("ADMIN_ALLOW", environment.service.admin_allow),
            _carriers(settings, providers),
            _mail(environment.mail, settings),
            _media(media),
            _settings(settings),
            environment.warnings(time.time()),
            _env_file(file, storage, names) if file is not None else (),
            _open_files(storage),
        )
    )


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


def _base_addresses(service: ServiceSettings, in_force: Mapping[str, Any]) -> Iterator[Problem]:
    if service.app_env != "local":
        for prefix, section in in_force.items():
            yield from address_warnings.base_addresses(section, prefix)


def _carriers(settings: MessageSettings, providers: Mapping[str, Provider]) -> Iterator[Problem]:
    if not providers:
        reason = "are missing: no carrier is configured, so no text comes in or goes out."
        yield Problem("The variables of a carrier", reason, "Set those of yours, listed above.")
    silent: dict[str, list[str]] = {}
    for entry in settings.all():
        if entry.enabled and entry.carrier not in providers:
            silent.setdefault(entry.carrier, []).append(entry.number)
    for carrier, numbers in silent.items():
        reason = f"{_named(numbers)} cannot send or receive: {carrier} is not configured."
        yield Problem("Message Settings", reason, _remedy(carrier))


def _remedy(carrier: str) -> str:
    if carrier == Sandbox.name:
        return "Choose a real carrier; the sandbox exists only with APP_ENV=local and no other."
    return f"Set the variables of {carrier} listed above, or choose another carrier."


def _mail(mail: MailSettings, settings: MessageSettings) -> Iterator[Problem]:
    numbers = [entry.number for entry in settings.all() if entry.enabled and entry.emails]
    if mail.host is None and numbers:
        reason = f"is empty, and {_named(numbers)} should go to e-mail addresses."
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


def _media(media: MediaStore) -> Iterator[Problem]:
    trouble = media.backend.problem(thorough=True)
    if trouble:
        remedy = "Until then pictures wait, and texts go on."
        yield Problem("The MEDIA_S3_ variables", f"do not work: {trouble}", remedy)


def _settings(settings: MessageSettings) -> Iterator[Problem]:
    broken = settings.problem
    if broken is not None:
        remedy = f"{settings.remedy} The last good settings stay in force until then."
        yield Problem("Message Settings", broken, remedy)


def _env_file(path: Path, storage: Path, names: Sequence[str]) -> Iterator[Problem]:
    try:
        status = path.stat()
    except FileNotFoundError:
        return
    yield from env_file.differences(path, names)
    if status.st_mode & stat.S_IROTH:
        reason = "can be read by everybody on this machine, and it holds secrets."
        yield Problem(path.name, reason, f"Run: chmod 600 {quote(str(path))}")
    if running_pid(storage) and status.st_mtime > pid_file(storage).stat().st_mtime:
        reason = "was changed after the running server read it."
        yield Problem(path.name, reason, "Run: flask config reload")


def _open_files(storage: Path) -> Iterator[Problem]:
    found = open_to_others(storage)
    if found:
        inside = [str(path.relative_to(storage)) for path in found[1:]]
        more = f", and so is what is in it: {_named(inside)}" if inside else ""
        mode = stat.S_IMODE(storage.stat().st_mode)
        reason = f"{storage} is open to other users of this machine (mode {mode:04o}){more}."
        yield Problem("STORAGE_PATH", reason, f"Run: chmod -R u=rwX,go= {quote(str(storage))}")


def _named(numbers: list[str]) -> str:
    more = f" and {len(numbers) - LISTED} more" if len(numbers) > LISTED else ""
    return ", ".join(numbers[:LISTED]) + more
