"""Devices: hashed tokens and pairing codes."""

import pytest
from sqlalchemy import text

from services.store import devices
from services.store.database.store import Store


def test_a_token_is_kept_as_a_hash_only(store: Store) -> None:
    device, token = store.write(lambda tx: devices.add(tx, "201", "phone"))
    rows = store.read(lambda tx: str(tx.execute(text("SELECT * FROM devices")).all()))
    assert token not in rows
    found = store.read(lambda tx: devices.by_token(tx, token))
    assert found is not None
    assert found.id == device.id
    store.write(lambda tx: devices.revoke(tx, device.id))
    assert store.read(lambda tx: devices.by_token(tx, token)) is None


def test_a_pairing_code_works_once_in_any_spelling(store: Store) -> None:
    code = store.write(lambda tx: devices.add_pairing(tx, "201"))
    spelled = code.lower().replace("-", " ")
    assert store.write(lambda tx: devices.use_pairing(tx, spelled)) == "201"
    assert store.write(lambda tx: devices.use_pairing(tx, code)) is None


def test_an_old_pairing_code_is_refused(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "PAIRING_SECONDS", -1.0)
    code = store.write(lambda tx: devices.add_pairing(tx, "201"))
    assert store.write(lambda tx: devices.use_pairing(tx, code)) is None
