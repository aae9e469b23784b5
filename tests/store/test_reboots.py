"""After a restart of the machine, no number of the sequence is given out a second time."""

from collections.abc import Callable
from pathlib import Path

import pytest

from services.gateway import Gateway
from services.store import counters, messages
from services.store.database.store import Store
from services.store.maintenance import reboots
from services.store.maintenance.reboots import GAP
from tests.conftest import NUMBER_ENTRY

FIRST = "0b1c2d3e-4f50-4a6b-8c7d-9e0f1a2b3c4d\n"
SECOND = "1b1c2d3e-4f50-4a6b-8c7d-9e0f1a2b3c4d\n"


@pytest.fixture
def boot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "boot_id"
    path.write_text(FIRST)
    monkeypatch.setattr(reboots, "BOOT_ID", path)
    return path


def numbers(store: Store) -> tuple[int, int | None]:
    return store.read(lambda tx: (messages.latest_seq(tx), counters.value(tx, counters.RESET)))


def test_after_another_boot_apps_load_everything_anew(store: Store, boot: Path) -> None:
    before = numbers(store)
    for _ in range(2):
        store.write(reboots.note_boot)
        assert numbers(store) == before
    boot.write_text(SECOND)
    for _ in range(2):
        store.write(reboots.note_boot)
        assert numbers(store) == (before[0] + GAP, before[0] + GAP)


@pytest.mark.parametrize("content", [None, "", "unknown\n"])
def test_a_system_that_does_not_tell_its_boot_changes_nothing(
    store: Store, boot: Path, content: str | None
) -> None:
    store.write(reboots.note_boot)
    before = numbers(store)
    boot.unlink() if content is None else boot.write_text(content)
    store.write(reboots.note_boot)
    assert numbers(store) == before


def test_a_worker_notes_the_boot_before_it_begins(
    make_gateway: Callable[..., Gateway], boot: Path
) -> None:
    gateway = make_gateway(NUMBER_ENTRY)
    for boot_id, added in ((FIRST, 0), (FIRST, 0), (SECOND, GAP)):
        boot.write_text(boot_id)
        before = numbers(gateway.store)[0]
        with gateway.new_worker():
            assert numbers(gateway.store)[0] == before + added
