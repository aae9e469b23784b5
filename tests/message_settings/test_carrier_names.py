"""Other names of carriers in sheets and documents from elsewhere."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.core.errors import SettingsError
from services.message_settings import MessageSettings
from services.message_settings.csv_import import apply_import, plan_import
from services.operations.settings_source import open_settings
from services.store.database.store import Store

SHEET = b"Phone Number,Carrier,Assigned Extension\r\n+12025550143,%s,201\r\n"


@pytest.fixture
def known(tmp_path: Path) -> Iterator[MessageSettings]:
    store = Store(None, tmp_path)
    yield open_settings(store, tmp_path, "US")
    store.close()


@pytest.mark.parametrize("written", [b"apidaze", b"Apidaze", b"VoIP Innovations"])
def test_a_sheet_of_fs_pbx_names_voip_innovations_apidaze(
    known: MessageSettings, written: bytes
) -> None:
    apply_import(known, plan_import(known, SHEET % written))
    assert [entry.carrier for entry in known.all()] == ["voipinnovations"]
    assert b'"voipinnovations"' in known.document()


def test_an_unknown_carrier_is_refused_with_the_names_that_are_kept(known: MessageSettings) -> None:
    document = b'{"version": 1, "numbers": [{"number": "+12025550143", "carrier": "%s"}]}'
    known.put_document(document % b"apidaze")
    assert [entry.carrier for entry in known.all()] == ["voipinnovations"]
    with pytest.raises(SettingsError, match="voipinnovations, telnyx") as caught:
        known.put_document(document % b"nobody")
    assert "apidaze" not in str(caught.value)
