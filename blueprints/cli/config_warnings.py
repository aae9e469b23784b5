"""What is wrong with a configuration that can be used as such: each with its remedy."""

import stat
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from blueprints.cli.server import pid_file, running_pid
from services.core.errors import Problem
from services.gateway import Gateway
from services.providers.sandbox import Sandbox

LISTED = 5  # numbers that are named before “and 12 more”


def findings(gateway: Gateway) -> list[Problem]:
    """Everything that should be mended."""
    checks = (
        _address(gateway),
        _carriers(gateway),
        _mail(gateway),
        _media(gateway),
        _settings(gateway),
    )
    file = gateway.environment.file
    return list(chain(*checks, _env_file(gateway, file) if file is not None else ()))


def _address(gateway: Gateway) -> Iterator[Problem]:
    service = gateway.environment.service
    if service.app_env == "local":
        return
    example = "Write the public address, such as https://sms.example.com."
    if service.app_url is None:
        yield Problem("APP_URL", "is empty: carriers and apps cannot reach this machine.", example)
    elif not service.app_url.startswith("https://"):
        yield Problem(
            "APP_URL", "is not https: texts and tokens could be read on the way.", example
        )
    if service.app_debug:
        yield Problem("APP_DEBUG", "is on: the logs grow quickly.", "Set it to false.")


def _carriers(gateway: Gateway) -> Iterator[Problem]:
    if not gateway.providers:
        reason = "are missing: no carrier is configured, so no text comes in or goes out."
        yield Problem("The variables of a carrier", reason, "Set those of yours, listed above.")
    silent: dict[str, list[str]] = {}
    for entry in gateway.settings.all():
        if entry.enabled and entry.carrier not in gateway.providers:
            silent.setdefault(entry.carrier, []).append(entry.number)
    for carrier, numbers in silent.items():
        reason = f"{_named(numbers)} cannot send or receive: {carrier} is not configured."
        yield Problem("Message Settings", reason, _remedy(carrier))


def _remedy(carrier: str) -> str:
    if carrier == Sandbox.name:
        return "Choose a real carrier; the sandbox exists only with APP_ENV=local and no other."
    return f"Set the variables of {carrier} listed above, or choose another carrier."


def _mail(gateway: Gateway) -> Iterator[Problem]:
    mail = gateway.environment.mail
    numbers = [entry.number for entry in gateway.settings.all() if entry.enabled and entry.emails]
    if mail.host is None and numbers:
        reason = f"is empty, and {_named(numbers)} should go to e-mail addresses."
        yield Problem("MAIL_HOST", reason, "Set it, MAIL_FROM_ADDRESS and what your server wants.")
    if mail.host is not None and mail.from_address is None:
        remedy = "Write the sender of the mails, such as texts@example.com."
        yield Problem("MAIL_FROM_ADDRESS", "is empty: no mail can be sent.", remedy)


def _media(gateway: Gateway) -> Iterator[Problem]:
    trouble = gateway.media.backend.problem(thorough=True)
    if trouble:
        remedy = "Until then pictures wait, and texts go on."
        yield Problem("The MEDIA_S3_ variables", f"do not work: {trouble}", remedy)


def _settings(gateway: Gateway) -> Iterator[Problem]:
    broken = gateway.settings.problem
    if broken is not None:
        remedy = f"{gateway.settings.remedy} The last good settings stay in force until then."
        yield Problem("Message Settings", broken, remedy)


def _env_file(gateway: Gateway, path: Path) -> Iterator[Problem]:
    try:
        status = path.stat()
    except FileNotFoundError:
        return
    if status.st_mode & stat.S_IROTH:
        reason = "can be read by everybody on this machine, and it holds secrets."
        yield Problem(path.name, reason, f"Run: chmod 600 {path}")
    storage = gateway.environment.service.storage_path.resolve()
    if running_pid(storage) and status.st_mtime > pid_file(storage).stat().st_mtime:
        reason = "was changed after the running server read it."
        yield Problem(path.name, reason, "Run: flask config reload")


def _named(numbers: list[str]) -> str:
    more = f" and {len(numbers) - LISTED} more" if len(numbers) > LISTED else ""
    return ", ".join(numbers[:LISTED]) + more
