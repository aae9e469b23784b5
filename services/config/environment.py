"""What the environment says, as a whole: the service, the mail server, carriers and channels.

Read once at start; everything wrong is named at once, with its remedy.
"""

import base64
import os
import secrets
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from services.config import variables
from services.config.keys import derived_token
from services.config.sections import (
    CarrierSettings,
    MailSettings,
    S3Settings,
    SendSettings,
    ServiceSettings,
    VapidSettings,
)
from services.core.errors import ConfigError, Problem
from services.providers import PROVIDERS
from services.providers.sandbox import Sandbox
from services.push import CHANNELS
from services.push.base import Channel

HOUSE = Path(__file__).resolve().parent.parent  # a relative STORAGE_PATH is in here
BUCKET = "MEDIA_S3_"
SENDING = "SEND_"
REMEDY_KEY = (
    "Run `make install`, which writes one into .env, or set it to any 32 random characters."
)


@dataclass(frozen=True)
class Environment:
    """The configuration in force. ``carriers`` and ``channels`` hold those that are on, by name.

    Without a ``bucket`` attachments are kept in the storage folder.
    """

    service: ServiceSettings
    mail: MailSettings
    vapid: VapidSettings
    sending: SendSettings
    carriers: Mapping[str, CarrierSettings]
    channels: Mapping[str, Any]
    bucket: S3Settings | None = None
    file: Path | None = None  # the .env that was read …
    read_at: float = 0.0  # … and when

    def is_outdated(self) -> bool:
        """Whether ``.env`` was changed after it was read."""
        try:
            return self.file is not None and self.file.stat().st_mtime > self.read_at
        except OSError:
            return False

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
        host = self.service.host
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)  # noqa: S104
        return f"http://{host}:{self.service.port}"

    def webhook_token(self, carrier: str) -> str:
        """The token in a carrier's webhook address."""
        settings = self.carriers[carrier]
        return settings.webhook_token or derived_token(self.app_key, f"webhook:{carrier}")


def sections() -> Iterator[tuple[str, str, type]]:
    """Every section of the environment: its title, its prefix and its declaration."""
    yield "Textbridge", "", ServiceSettings
    yield "Sending", SENDING, SendSettings
    yield "E-mail", "MAIL_", MailSettings
    yield "Web Push", "VAPID_", VapidSettings
    yield "Attachments in a bucket", BUCKET, S3Settings
    for provider in PROVIDERS:
        if provider is not Sandbox:
            yield provider.title, provider.prefix(), provider.Settings
    for channel in CHANNELS:
        if variables.variables(channel.Settings, channel.prefix):
            yield channel.title, channel.prefix, channel.Settings


def _always_on(channel: type[Channel]) -> bool:
    """Whether a channel needs no variable to be set."""
    return all(v.default is not None for v in variables.variables(channel.Settings, channel.prefix))


def load(env: Mapping[str, str]) -> Environment:
    """Read the whole environment. Raises ``ConfigError`` with every problem it has."""
    service, problems = variables.load(ServiceSettings, "", env)
    mail, more = variables.load(MailSettings, "MAIL_", env)
    problems += more
    vapid, more = variables.load(VapidSettings, "VAPID_", env)
    problems += more
    sending, more = variables.load(SendSettings, SENDING, env)
    problems += more
    bucket = None
    if variables.is_on(S3Settings, BUCKET, env):
        bucket, more = variables.load(S3Settings, BUCKET, env)
        problems += more
    carriers: dict[str, CarrierSettings] = {}
    for provider in PROVIDERS:
        if variables.is_on(provider.Settings, provider.prefix(), env):
            _load_one(carriers, provider.name, provider.Settings, provider.prefix(), env, problems)
    channels: dict[str, Any] = {}
    for channel in CHANNELS:
        if _always_on(channel) or variables.is_on(channel.Settings, channel.prefix, env):
            _load_one(channels, channel.name, channel.Settings, channel.prefix, env, problems)
    if service is not None and not problems:
        service = replace(service, storage_path=HOUSE / service.storage_path)
        service, problems = _with_key(service)
    if problems or service is None or mail is None or vapid is None or sending is None:
        raise ConfigError(problems)
    if service.app_env == "local" and not carriers:
        _load_one(carriers, Sandbox.name, Sandbox.Settings, Sandbox.prefix(), {}, problems)
    file = Path(env["ENV_FILE"]) if env.get("ENV_FILE") else None
    read_at = float(env.get("ENV_READ_AT") or time.time())
    return Environment(service, mail, vapid, sending, carriers, channels, bucket, file, read_at)


def _load_one(
    found: dict[str, Any],
    name: str,
    section: type,
    prefix: str,
    env: Mapping[str, str],
    problems: list[Problem],
) -> None:
    settings, more = variables.load(section, prefix, env)
    problems += more
    if settings is not None:
        found[name] = settings


def _with_key(service: ServiceSettings) -> tuple[ServiceSettings, list[Problem]]:
    """On a desk the key may be left out: one is made and kept in the storage folder."""
    if service.app_key is not None:
        return service, []
    if service.app_env != "local":
        return service, [Problem("APP_KEY", "is missing.", REMEDY_KEY)]
    return replace(service, app_key=_kept_key(service.storage_path / "app.key")), []


def _kept_key(path: Path) -> bytes:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        private = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(private, "wb") as file:
            file.write(base64.b64encode(secrets.token_bytes(32)))
    except FileExistsError:
        pass
    return base64.b64decode(path.read_bytes())
