"""``flask media``: copies attachments from the storage folder into a bucket."""

from collections import Counter

import click
from gevent.pool import Pool

from blueprints.cli.parts import parts
from blueprints.cli.progress import progress_shown
from blueprints.cli.terminal import Group, document, escaped, json_option, note
from services.core.errors import MediaError, StorageUnwell
from services.core.progress import Progress
from services.media.bucket import Bucket, MigrationResult

AT_ONCE = 8
UNFINISHED = "What was copied stays so. Run the command again: it goes on from there."

group = Group("media", help="Attachments: move them into a bucket.")


@group.command("copy")
@json_option
def copy(as_json: bool) -> None:
    """Copy the attachments of this machine's folder into the bucket.

    Each is checked by its size and SHA-256. What is there already is not copied again, so that the
    command can be broken off and repeated. The folder stays as it is. Exit code 1 unless all of
    them are in the bucket then.
    """
    bucket = parts().media.backend
    if not isinstance(bucket, Bucket):
        raise click.ClickException(
            "Attachments are kept in the storage folder. Set the MEDIA_S3_ variables in .env first."
        )
    with progress_shown(rest=UNFINISHED, as_json=as_json) as progress:
        copying = _Copying(bucket, progress)
        copying.run()
    found, stopped = copying.found, copying.stopped
    if as_json:
        document(
            {
                "ok": copying.ok,
                "copied": found[MigrationResult.COPIED],
                "bytes": copying.bytes,
                "already": found[MigrationResult.ALREADY],
                "different": sorted(copying.different),
                "waiting": copying.waiting,
                "stopped": stopped or None,
            }
        )
    else:
        click.echo(
            f"{found[MigrationResult.COPIED]} copied ({copying.bytes} bytes), "
            f"{found[MigrationResult.ALREADY]} were there already, "
            f"{copying.waiting} are still to be copied."
        )
        for file_id in sorted(copying.different):
            note(f"{file_id} is in the bucket with another content; both were left as they are.")
        if stopped:
            click.echo(f"Error: {escaped(stopped)} Run the command again.", err=True)
    raise SystemExit(0 if copying.ok else 1)


class _Copying:
    """A run over all files, several at once; it stops when the bucket or the disk is unwell."""

    def __init__(self, bucket: Bucket, progress: Progress) -> None:
        self.found: Counter[MigrationResult] = Counter()
        self.different: list[str] = []
        self.bytes = 0
        self.waiting = 0
        self.stopped = ""
        self._bucket = bucket
        self._progress = progress
        self._total = 0

    @property
    def ok(self) -> bool:
        """Whether everything is in the bucket now."""
        return not (self.stopped or self.different)

    def run(self) -> None:
        """Copy everything that waits."""
        files = self._bucket.files_to_migrate()
        self.waiting = self._total = len(files)
        pool = Pool(AT_ONCE)
        for file_id in files:
            if self.stopped:
                break
            pool.spawn(self._one, file_id)
        pool.join()

    def _one(self, file_id: str) -> None:
        try:
            outcome, size = self._bucket.migrate(file_id)
        except StorageUnwell as error:
            self.stopped = str(error)
            return
        except MediaError:  # removed meanwhile
            self._ended()
            return
        self._ended()
        self.found[outcome] += 1
        if outcome is MigrationResult.COPIED:
            self.bytes += size
        if outcome is MigrationResult.DIFFERENT:
            self.different.append(file_id)

    def _ended(self) -> None:
        """One file less is waiting."""
        self.waiting -= 1
        self._progress("attachments", self._total - self.waiting, self._total)
