"""Documented error codes: each has its class and a sentence, and the tool names what is missing."""

import subprocess
import sys
from pathlib import Path

import pytest

from scripts.error_codes import without_entry
from services.core.errors import Kind
from services.providers.bandwidth.errors import TABLE as BANDWIDTH
from services.providers.error_table import ErrorTable
from services.providers.twilio.errors import TABLE as TWILIO
from services.providers.wavix.errors import TABLE as WAVIX
from services.providers.wavix.errors import explained

ROOT = Path(__file__).resolve().parents[2]
FILES = (("11200", "12300", "63019"), Kind.REFUSED, ("attachment",))
ONE_RECIPIENT = (("21265", "21266", "21610", "21661"), Kind.REFUSED, ("",))
DAY = (("63038",), Kind.RETRY, ("24 hours",))
REGISTRATION = (
    ("30034", "30035", "30893", "30909", "30923"),
    Kind.REFUSED,
    ("regist", "Regist"),
)


@pytest.mark.parametrize(
    ("table", "codes", "kind", "words"),
    [
        (TWILIO, *FILES),
        (TWILIO, *ONE_RECIPIENT),
        (TWILIO, *DAY),
        (TWILIO, *REGISTRATION),
        (TWILIO, ("63016",), Kind.REFUSED, ("24 hours",)),
        (TWILIO, ("63003", "63007", "63015", "63024", "63032"), Kind.REFUSED, ("WhatsApp",)),
        (TWILIO, ("63014", "63033"), Kind.REFUSED, ("blocks",)),
        (TWILIO, ("63034", "63037"), Kind.REFUSED, ("attachment",)),
        (TWILIO, ("63009", "63010", "63012"), Kind.RETRY, ("failure",)),
        (BANDWIDTH, ("4475", "4775"), Kind.REFUSED, ("opted out",)),
        (BANDWIDTH, ("4476",), Kind.CONFIG, ("10DLC",)),
        (BANDWIDTH, ("9902", "DLR_EXPIRED"), Kind.UNKNOWN, ("may well have arrived",)),
        (WAVIX, ("9",), Kind.REFUSED, ("opted out",)),
        (WAVIX, ("33",), Kind.REFUSED, ("10DLC",)),
    ],
)
def test_a_documented_code_has_its_class_and_its_sentence(
    table: ErrorTable, codes: tuple[str, ...], kind: Kind, words: tuple[str, ...]
) -> None:
    for code in codes:
        entry = table.codes[code]
        assert entry.kind is kind, code
        assert any(word in entry.reason for word in words), entry.reason


def test_the_daily_limit_pauses_for_an_hour() -> None:
    assert TWILIO.codes["63038"].pause == 3600.0


@pytest.mark.parametrize("told", ["9", "1009", "Error 9", "Unsubscribed recipient"])
def test_wavix_may_name_an_error_by_its_number(told: str) -> None:
    kind, code, sentence = explained(told)
    assert (kind, code) == (Kind.REFUSED, "9")
    assert "opted out" in sentence


def test_codes_without_an_entry_are_named() -> None:
    document = (
        "| 21610 | opted out |\n| 21211, 29999, 21998–21999 | new |\n call +12025550143, 30034"
    )
    assert without_entry([document], "twilio") == ["21998", "21999"]
    assert without_entry(['title: "Unsubscribed recipient"', "title: Odd"], "wavix") == ["Odd"]
    assert without_entry(["`4775` and `4999`, 3.4750"], "bandwidth") == ["4999"]
    assert without_entry(["ip_not_enabled, moon_phase"], "voipms") == ["moon_phase"]


def test_the_tool_ends_with_1_while_a_code_has_no_entry(tmp_path: Path) -> None:
    document = tmp_path / "errors.md"
    document.write_text("21610 21999", encoding="utf-8")
    command = [sys.executable, "-m", "scripts.error_codes", "twilio", str(document)]
    missing = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (missing.returncode, missing.stdout) == (1, "21999\n")
    command += ["--but", "21999"]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, check=False).returncode == 0
