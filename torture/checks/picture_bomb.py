"""Picture bombs: small files with millions of pixels, uploaded side by side, in bounded memory.

Half of the pictures have more pixels than may be decoded, the others as many as may be. The memory
of the web process is measured, not its time.
"""

import struct
import threading
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

from services.media.resize import DECODING_BYTES, PIXEL_BYTES
from torture.check import Check, Figures, Mutant, Scale
from torture.clients import HttpClient, run_parallel
from torture.environment import TestEnvironment, new_device_token, require, web_process_pids

AT_ONCE = 6
BOMB_SIDE = 9_400  # pixels; Pillow warns of larger ones
FILLER = 3_600_000  # bytes: with them the file is larger than the carrier takes
# What one picture may add to the process: decoding, and the uploads that wait for their turn.
MOST_BYTES = DECODING_BYTES + 100_000_000
GREY, COLOUR = 0, 2  # colour types of PNG
CONTENT_TYPE = "multipart/form-data; boundary=x"


def png(width: int, height: int, colour: int) -> bytes:
    """A black PNG, with a chunk that belongs to the picture and makes the file large."""
    row = bytes(1 + width * (3 if colour == COLOUR else 1))
    packer = zlib.compressobj(1)
    rows = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    head = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    palette = b"x\0\x08" + bytes(FILLER)
    chunks = ((b"IHDR", head), (b"sPLT", palette), (b"IDAT", rows), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def run(environment: TestEnvironment, scale: Scale) -> Figures:
    """Upload pictures of both kinds side by side, several times."""
    server = environment.start_server(UPLOAD_MB_PER_DAY="0")
    token, rounds = new_device_token(server), scale.pick(1, 4)
    width = 4_000
    largest = png(width, DECODING_BYTES // PIXEL_BYTES["PNG"] // width, COLOUR)
    bomb = png(BOMB_SIDE, BOMB_SIDE, GREY)
    (pid,) = web_process_pids(server)
    before = _kilobytes(pid, "VmRSS")
    Path(f"/proc/{pid}/clear_refs").write_text("5")  # resets the peak value
    answers: list[int] = []
    lock = threading.Lock()

    def upload(content: bytes) -> None:
        body = (
            b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n'
            + content
            + b"\r\n--x--\r\n"
        )
        headers = {"Authorization": f"Bearer {token}", "Content-Type": CONTENT_TYPE}
        status, _ = HttpClient(server, 180.0).call("POST", "/api/v1/media", body, **headers)
        with lock:
            answers.append(status)

    for _ in range(rounds):
        work: list[Callable[[], object]] = [
            partial(upload, content) for content in (bomb, largest) for _ in range(AT_ONCE)
        ]
        run_parallel(work)
    grown = (_kilobytes(pid, "VmHWM") - before) * 1024
    smaller, refused = answers.count(201), answers.count(422)
    sent = rounds * AT_ONCE
    require(grown < MOST_BYTES, f"the pictures cost {grown // 1_000_000} MB of memory")
    require(refused == sent, f"{refused} of {sent} bombs were refused: {answers}")
    require(smaller == sent, f"{smaller} of {sent} large pictures were taken: {answers}")
    return {
        "pictures at once": 2 * AT_ONCE,
        "bombs refused": refused,
        "large pictures made smaller": smaller,
        "kB of a bomb without its filler": (len(bomb) - FILLER) // 1000,
        "most memory, MB": grown // 1_000_000,
    }


def _kilobytes(pid: int, what: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(what))


CHECK = Check(
    name="picture_bomb",
    claim=(
        "Pictures with millions of pixels, uploaded side by side, need the memory of one: what "
        "would need more than the stated memory is refused by its head."
    ),
    run=run,
    mutants=(
        Mutant(
            "services/media/one_picture.py",
            "    with _ONE_PICTURE:\n",
            "    with threading.Lock():\n",
            "pictures are decoded side by side",
        ),
        Mutant(
            "services/media/resize.py",
            "if needed > DECODING_BYTES or width",
            "if width",
            "the memory that a picture needs is not looked at",
        ),
    ),
)
