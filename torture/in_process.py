"""Textbridge in the process of the check, with every carrier and channel, for security checks."""

import json
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from app import create_app
from blueprints.ringotel.webhook import webhook_url
from services.core.messages import Message
from services.gateway import Gateway
from services.store.jobs import Job
from tests import payload_files
from tests.admin.conftest import PASSWORD
from tests.api.conftest import Service
from tests.conftest import settings_file
from tests.fakes.ringotel import ORG, TOKEN
from torture.environment import TestEnvironment

APP_URL = "https://sms.example.com"
KEY = "a key of the torture, long enough"
QUIET = {"LOG_LEVEL": "emergency"}  # intended errors do not fill the terminal


def carriers_env() -> dict[str, str]:
    """The environment variables of every carrier, as its payload files use them."""
    known = (payload_files.settings(carrier) for carrier in payload_files.carriers())
    return {name: value for settings in known for name, value in settings.items()}


def full_env() -> dict[str, str]:
    """An environment in which every endpoint is on except the sandbox."""
    return {
        **carriers_env(),
        "APP_KEY": KEY,
        "APP_URL": APP_URL,
        "ADMIN_PASSWORD": PASSWORD,
        "RINGOTEL_TOKEN": TOKEN,
        "RINGOTEL_ORG_ID": ORG,
    }


def open_service(
    environment: TestEnvironment, *numbers: Mapping[str, Any], name: str = "service", **env: str
) -> Service:
    """An application with these variables and numbers, closed with the test environment."""
    return environment.enter(_opened(environment.folder / name, numbers, env))


@contextmanager
def _opened(
    folder: Path, numbers: tuple[Mapping[str, Any], ...], env: dict[str, str]
) -> Iterator[Service]:
    folder.mkdir()
    (folder / "message_settings.json").write_text(settings_file(*numbers), "utf-8")
    app = create_app({"APP_ENV": "local", "STORAGE_PATH": str(folder), **QUIET, **env})
    with closing(app.extensions["gateway"]) as gateway:
        yield Service(app, gateway)


def receive(service: Service, carrier: str, message: Message) -> int:
    """Post a message as a carrier does; returns the status of the answer."""
    provider = service.gateway.providers[carrier]
    call = provider.example(message, payload_files.signing_key(carrier))
    path = urlsplit(provider.webhook_url).path
    headers = [(name, value) for name, value in call.headers.items()]
    answer = service.client.open(
        f"{path}?{call.query}", method=call.method, headers=headers, data=call.body
    )
    service.gateway.processor.process_all()
    return answer.status_code


def run_due_jobs(gateway: Gateway) -> list[Job]:
    """Run all due jobs until none is left; returns the jobs."""
    done: list[Job] = []

    def do(job: Job) -> None:
        gateway.delivery.perform(job)
        done.append(job)

    gateway.processor.process_all()
    before = -1
    while len(done) > before:
        before = len(done)
        gateway.delivery.deliver("torture", lambda _: 16, do)
        gateway.delivery.finish()
    return done


def ringotel_event(service: Service, kind: int, content: str, message_id: str) -> tuple[int, str]:
    """Post a message of the user of 201 as Ringotel does; returns status and body of the answer."""
    params = {
        "orgid": ORG, "messageid": message_id, "type": kind, "content": content,
        "from": "201", "to": "+13035550177", "sessionid": "s1",
    }  # fmt: skip
    body = {"method": "message", "api_key": TOKEN, "params": params}
    path = urlsplit(webhook_url(service.gateway.environment)).path
    answer = service.client.post(path, data=json.dumps(body), content_type="application/json")
    return answer.status_code, answer.text
