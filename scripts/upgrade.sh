#!/usr/bin/env bash
# Upgrades a clone, and goes back: make upgrade [TO=v0.3.0], make downgrade.
#
#   scripts/upgrade.sh [REVISION]   a copy of everything, then the newest version (or REVISION)
#   scripts/upgrade.sh --back       the version before the last upgrade, with that copy
#
# BACKUPS is the folder of the copies; without it they are beside the storage folder.
set -euo pipefail
cd "$(dirname "$0")/.."
STATE=.upgraded-from # commit, branch and copy of before the last upgrade

fail() {
  echo "$*" >&2
  exit 1
}
[ -e .git ] || fail "This is no clone of Textbridge. See docs/install.md for how this installation is upgraded."
[ -x .venv/bin/flask ] || fail "Textbridge is not installed here yet: run make install."
variable() { sed -n "s/^ *$1 *= *[\"']\{0,1\}\([^\"'#]*\).*/\1/p" "${ENV_FILE:-.env}" | sed 's/ *$//' | tail -n 1; }
storage=$(variable STORAGE_PATH)
storage=$(readlink -m "${storage:-storage}")
[ -d "$storage" ] || fail "There is no storage folder $storage: nothing was ever started here. Run git pull, then make run."
owner=$(stat -c %U "$storage")
backups=${BACKUPS:-$storage-backups}

as_owner() { # root may not make files in the storage folder of another user
  if [ "$(id -u)" = 0 ] && [ "$owner" != root ]; then runuser -u "$owner" -- "$@"; else "$@"; fi
}
is_service() { [ -d /run/systemd/system ] && systemctl is-active --quiet textbridge; }
is_serving() { # the lock of a running server is taken
  ! as_owner .venv/bin/python - "$storage/server.lock" <<'PYTHON'
import sys
from filelock import FileLock, Timeout
try:
    FileLock(sys.argv[1], timeout=0).acquire()
except Timeout:
    sys.exit(1)
PYTHON
}
install_version() { "${MAKE:-make}" --silent install; }

if [ "${1:-}" = --back ]; then
  [ -r "$STATE" ] || fail "There was no upgrade by make upgrade that could be taken back."
  read -r commit branch copy <"$STATE"
  [ -d "$copy" ] || fail "The copy $copy is not there any more. Restore another one: docs/backup.md"
  [ -z "$(variable DATABASE_URL)" ] || fail "With PostgreSQL put the database back by hand: docs/backup.md, Restore."
  served=
  if is_service; then
    served=yes
    systemctl stop textbridge
  elif is_serving; then
    fail "The server runs. Stop it first (Ctrl-C where make run was typed)."
  fi
  newer=$storage.newer-$(date +%Y%m%d-%H%M%S)
  git checkout --quiet "$commit"
  install_version
  mv "$storage" "$newer"
  install -d -m 700 -o "$owner" "$storage"
  as_owner .venv/bin/flask restore --yes "$copy"
  rm "$STATE"
  [ -z "$served" ] || systemctl start textbridge
  echo "Back at $(as_owner .venv/bin/flask version | head -n 1), with the messages of $copy."
  echo "What came in after that copy is in $newer; carriers that keep lists (Twilio, VoIP.ms, Wavix) are asked for it."
  [ -n "$served" ] || echo "Start it: make run"
  exit
fi

[ -z "$(git status --porcelain --untracked-files=no)" ] || fail "Files of Textbridge were changed here: git status. Put your changes away first: git stash"
commit=$(git rev-parse HEAD)
branch=$(git symbolic-ref --short --quiet HEAD || git rev-parse --abbrev-ref origin/HEAD | sed 's|^origin/||')
install -d -m 700 -o "$owner" "$backups" || fail "Name another folder for the copy: make upgrade BACKUPS=/path"
as_owner .venv/bin/flask backup "$backups"
copy=$(ls -d "$backups"/textbridge-* | tail -n 1)

git fetch --quiet --tags origin || fail "The new version cannot be fetched, see above. Nothing was changed."
if [ -n "${1:-}" ]; then
  git checkout --quiet "$1" || fail "There is no version $1 (git tag --list). Nothing was changed."
else
  git checkout --quiet "$branch"
  git merge --quiet --ff-only "origin/$branch"
fi
if [ "$(git rev-parse HEAD)" = "$commit" ]; then
  echo "This is the newest version already."
  exit
fi
# The old processes serve meanwhile. This one reads .env and brings the database up to date.
if ! install_version || ! as_owner .venv/bin/flask version; then
  git checkout --quiet "$commit"
  [ -z "$branch" ] || git checkout --quiet -B "$branch" "$commit"
  install_version || true
  fail "The new version does not start, see above. The old one is back, and nothing else was changed."
fi
echo "$commit $branch $copy" >"$STATE"
as_owner .venv/bin/flask config check | grep '^To fix' || true
if is_service; then
  systemctl restart textbridge
  echo "Restarted. What carriers sent in these seconds they send again."
elif is_serving; then
  echo "Now stop the server and start it again: make run"
else
  echo "Start it: make run"
fi
echo "To go back: make downgrade"
