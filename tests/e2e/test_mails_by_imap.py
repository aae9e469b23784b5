"""Mails as many programs write them, through a real IMAP server: the texts that go out.

The mails are those of ``tests/mail/test_inbound_mail.py``, there parsed alone; here they lie in a
mailbox, with the signed address of a text that came in.
"""

import json
from pathlib import Path

import pytest

from tests.conftest import PEER
from tests.dovecot import running_dovecot
from tests.e2e.test_mail_answers import conversation
from tests.mail.test_inbound_mail import MAILS, SIGNED
from tests.mail_answers import answer_address, words_of
from tests.waiting import eventually

# Nothing waits for a limit.
LIMITS = {"BANDWIDTH_RATE": "1000", "SEND_PER_MINUTE": "1000", "SEND_PER_PEER_HOUR": "1000"}

pytestmark = pytest.mark.timeout(600)


def wanted(path: Path) -> dict[str, object]:
    """What must become of a mail: the text that goes out, its files, or its trouble."""
    found: dict[str, object] = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    return found


def test_the_new_text_of_each_mail_goes_out_once(tmp_path: Path) -> None:
    every = {path: wanted(path) for path in MAILS}
    texts = sorted(str(each["text"]) for each in every.values() if "trouble" not in each)
    troubles = [str(each["trouble"]) for each in every.values() if "trouble" in each]
    assert len(texts) > 50
    with running_dovecot() as dovecot, conversation(tmp_path, **LIMITS, **dovecot.env) as held:
        address = answer_address(held.receive("Is the shop open on Sunday?"))
        for path in every:
            mail = path.read_bytes()
            assert SIGNED.encode() in mail
            dovecot.deliver(mail.replace(SIGNED.encode(), address.encode()))
        eventually(lambda: all("\\Seen" in each for each in dovecot.flags()))
        flagged = [path for path, each in zip(every, dovecot.flags(), strict=True) if len(each) > 1]
        assert flagged == [path for path, each in every.items() if "trouble" in each]
        accepted = held.bandwidth.accepted
        eventually(lambda: len(accepted) >= len(texts))
        refusals = held.mailbox.wait_for(1 + len(troubles))[1:]
        assert sorted(str(each.get("text", "")) for each in accepted) == texts
        assert {number for each in accepted for number in each["to"]} == {PEER}
        with_files = [each for each in accepted if each.get("media")]
        assert len(with_files) == sum("files" in each for each in every.values())
        said = "\n".join(words_of(mail) for mail in refusals)
        assert len(refusals) == len(troubles) == said.count("was not sent")
        for trouble in troubles:
            assert trouble.partition("{")[0] in said
