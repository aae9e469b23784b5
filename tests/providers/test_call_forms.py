"""Names and forms of calls that are read as well, at the webhook."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from app import create_app
from services.core.messages import WebhookCall
from services.gateway import Gateway
from services.store.database import schema
from tests import payload_files
from tests.providers.test_webhooks import counts, post

Open = Callable[[str], tuple[FlaskClient, Gateway]]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    gateways = []

    def open_app(carrier: str) -> tuple[FlaskClient, Gateway]:
        env = {"APP_ENV": "production", "APP_KEY": "a key for the tests of the webhooks"}
        env |= {"STORAGE_PATH": str(tmp_path), "APP_URL": payload_files.APP_URL}
        app = create_app(env | payload_files.settings(carrier))
        gateways.append(app.extensions["gateway"])
        return app.test_client(), gateways[-1]

    yield open_app
    for gateway in gateways:
        gateway.close()


def test_fs_pbxs_name_of_voip_innovations_leads_to_it(opened: Open, tmp_path: Path) -> None:
    (tmp_path / "message_settings.json").write_text(
        '{"version": 1, "numbers": [{"number": "+12025550143", "carrier": "apidaze",'
        ' "extensions": ["201"]}]}',
        encoding="utf-8",
    )
    client, gateway = opened("voipinnovations")
    path = payload_files.FOLDER / "voipinnovations" / "receive_sms.http"
    call = payload_files.arrived(path)
    assert post(client, "apidaze", call).status_code == 200
    assert post(client, "apidaze", WebhookCall("POST", {}, "token=wrong", b"{}")).status_code == 401
    gateway.settings.look()
    [entry] = gateway.settings.all()
    assert (entry.carrier, gateway.settings.problem) == ("voipinnovations", None)


def test_a_callback_divided_by_semicolons_is_let_in_and_its_token_is_not_kept(opened: Open) -> None:
    client, gateway = opened("voipms")
    token = payload_files.settings("voipms")["VOIPMS_WEBHOOK_TOKEN"]
    odd = f"token={token};to=2025550143;from=3035550177;message=;id=1"
    path = payload_files.FOLDER / "voipms" / "receive_callback_semicolons.http"
    whole = payload_files.read_request(path).call.query
    for query in (whole, odd):
        assert client.get(f"/webhook/voipms/sms?{query}").status_code == 200
    assert client.get(f"/webhook/voipms/sms?{whole.replace(token, 'x' * 40)}").status_code == 401
    gateway.processor.process_all()
    assert counts(gateway)["messages"] == 1
    with gateway.store.engine.connect() as connection:
        [kept] = connection.execute(select(schema.quarantine)).all()
    assert token not in str(kept)
    assert "from=3035550177" in kept.query
