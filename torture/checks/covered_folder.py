"""G36: a disk is mounted over the storage folder while the server runs."""

from torture.check import Check, Figures, Scale
from torture.checks.lost_folder import IGNORED_PLACE, require_refusals
from torture.clients import CarrierClient
from torture.database import integrity_check, stored_texts
from torture.environment import TestEnvironment, require
from torture.mounts import DiskOver


def run(environment: TestEnvironment, scale: Scale) -> Figures:
    """Mount an empty disk over the folder, and take it away again."""
    disk = DiskOver()
    server = environment.start_server(WEB_CONCURRENCY="2")
    storage, carrier = server.storage, CarrierClient(server)
    carrier.send(range(100))
    disk.cover(storage)
    refused = require_refusals(
        server, carrier, 1_000, scale.pick(2.0, 10.0), "a disk was mounted over the storage folder"
    )
    require(not (storage / "textbridge.db").exists(), "another database was made in its place")
    disk.uncover(storage)
    carrier.send(range(100, 200))
    stored = stored_texts(storage)
    server.stop()
    lost = set(range(200)) - set(stored)
    require(not lost, f"{len(lost)} texts were acknowledged and are not there")
    require(len(stored) == len(set(stored)), "texts are kept twice")
    require(integrity_check(storage) == "ok", integrity_check(storage))
    return {"refused meanwhile": refused, "false 2xx": 0}


CHECK = Check(
    name="covered_folder",
    claim=(
        "When a disk is mounted over the storage folder while the server runs, nothing is "
        "acknowledged, /ready says why within a second, and all goes on when it is unmounted."
    ),
    run=run,
    mutants=(IGNORED_PLACE,),
    needs=("root",),
)
