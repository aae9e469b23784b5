"""The fake of each carrier, by the carrier's name."""

from collections.abc import Callable
from typing import Any

from tests.fakes.bandwidth import FakeBandwidth
from tests.fakes.telnyx import FakeTelnyx
from tests.fakes.twilio import FakeTwilio
from tests.fakes.voipinnovations import FakeVoipInnovations
from tests.fakes.voipms import FakeVoipMs
from tests.fakes.wavix import FakeWavix

FAKES: dict[str, Callable[[], Any]] = {
    "bandwidth": FakeBandwidth,
    "twilio": FakeTwilio,
    "voipms": FakeVoipMs,
    "wavix": FakeWavix,
    "voipinnovations": FakeVoipInnovations,
    "telnyx": FakeTelnyx,
}
