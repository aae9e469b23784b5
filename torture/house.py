"""A whole Textbridge in this process, with every carrier and channel, for checks of its doors."""

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
from tests.api.conftest import House
from tests.conftest import settings_file
from tests.fakes.ringotel import ORG, TOKEN
from torture.ground import Ground

APP_URL = "https://sms.example.com"
KEY = "a key of the torture, long enough"
QUIET = {"LOG_LEVEL": "emergency"}  # what goes wrong on purpose fills no terminal


def carriers_env() -> dict[str, str]:
    """Every carrier, with the made-up settings of its payload files."""
    known = (payload_files.settings(carrier) for carrier in payload_files.carriers())
    return {name: value for settings in known for name, value in settings.items()}


def everything() -> dict[str, str]:
    """An environment in which every door is open, but the sandbox's."""
    return {
        **carriers_env(),
        "APP_KEY": KEY,
        "APP_URL": APP_URL,
        "ADMIN_PASSWORD": PASSWORD,
        "RINGOTEL_TOKEN": TOKEN,
        "RINGOTEL_ORG_ID": ORG,
    }


def open_house(
    ground: Ground, *numbers: Mapping[str, Any], name: str = "house", **env: str
) -> House:
    """A Textbridge of an environment, in the folder ``name``; it ends with the ground."""
    return ground.enter(_opened(ground.folder / name, numbers, env))


@contextmanager
def _opened(
    folder: Path, numbers: tuple[Mapping[str, Any], ...], env: dict[str, str]
) -> Iterator[House]:
    folder.mkdir()
    (folder / "message_settings.json").write_text(settings_file(*numbers), "utf-8")
    app = create_app({"APP_ENV": "local", "STORAGE_PATH": str(folder), **QUIET, **env})
    with closing(app.extensions["gateway"]) as gateway:
        yield House(app, gateway)


def receive(house: House, carrier: str, message: Message) -> int:
    """Have a carrier post a message as it does; returns the status of the answer."""
    provider = house.gateway.providers[carrier]
    call = provider.example(message)
    path = urlsplit(provider.webhook_url).path
    headers = [(name, value) for name, value in call.headers.items()]
    return house.client.open(
        f"{path}?{call.query}", method=call.method, headers=headers, data=call.body
    ).status_code


def work(gateway: Gateway) -> list[Job]:
    """Do what is due, until nothing is; returns what was done."""
    done: list[Job] = []

    def do(job: Job) -> None:
        gateway.delivery.perform(job)
        done.append(job)

    before = -1
    while len(done) > before:
        before = len(done)
        gateway.delivery.deliver("torture", lambda _: 16, do)
    return done


def ringotel_event(house: House, kind: int, content: str, message_id: str) -> tuple[int, str]:
    """What Ringotel posts when the user of 201 writes; the answer's status and text."""
    params = {
        "orgid": ORG, "messageid": message_id, "type": kind, "content": content,
        "from": "201", "to": "+13035550177", "sessionid": "s1",
    }  # fmt: skip
    body = {"method": "message", "api_key": TOKEN, "params": params}
    path = urlsplit(webhook_url(house.gateway.environment)).path
    answer = house.client.post(path, data=json.dumps(body), content_type="application/json")
    return answer.status_code, answer.text
