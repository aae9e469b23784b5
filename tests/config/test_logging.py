"""Log lines of several processes that share standard error."""

import json
import os
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.server import ROOT

PROCESSES, LINES = 3, 7400  # 22,200 lines together
WRITER = f"""
import logging, sys
import structlog
from services.config import logging as logs
from services.gateway import load_environment

env = {{"APP_ENV": "local", "APP_KEY": "a key of the tests, long enough"}}
logs.configure(load_environment(env))
library = logging.getLogger("gunicorn.error")
for number in range({LINES}):
    if number % 2:
        library.error("of a library %s %d %s", sys.argv[1], number, "x" * (number % 300))
    else:
        structlog.get_logger().error("ours", number=number, text="é" * (number % 300))
"""


@pytest.mark.processes
def test_a_line_is_one_write_and_never_holds_two_objects() -> None:
    read, write = os.pipe()
    with os.fdopen(read, "rb") as log:
        writers = [
            subprocess.Popen([sys.executable, "-c", WRITER, str(index)], cwd=ROOT, stderr=write)
            for index in range(PROCESSES)
        ]
        os.close(write)
        with ThreadPoolExecutor(1) as pool:
            lines = pool.submit(log.read).result(timeout=60).splitlines()
        assert [writer.wait(10) for writer in writers] == [0] * PROCESSES
    found = Counter(json.loads(line)["event"].split()[0] for line in lines)
    assert found == {"ours": PROCESSES * LINES // 2, "of": PROCESSES * LINES // 2}
