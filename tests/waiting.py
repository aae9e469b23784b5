"""How long a test waits for what must happen: patiently, for a loaded machine is no fault."""

import time
from collections.abc import Callable
from typing import Any

PATIENCE = 90.0  # seconds


def eventually(look: Callable[[], Any], seconds: float = PATIENCE, what: str = "it") -> Any:
    """What ``look`` finds, as soon as it finds something; it is an error if it never does.

    ``what`` is named in that error.
    """
    end = time.monotonic() + seconds
    while True:
        if found := look():
            return found
        assert time.monotonic() < end, f"{what} did not happen within {seconds:.0f} seconds"
        time.sleep(0.05)
