#!/usr/bin/env bash
# Upgrades a clone, and goes back: make upgrade [TO=v0.3.0], make downgrade.
#
#   scripts/upgrade.sh [REVISION]   a copy of everything, then the newest version (or REVISION)
#   scripts/upgrade.sh --back       the version before the last upgrade, with that copy
#
# BACKUPS is the folder of the copies; without it they are beside the storage folder.
set -euo pipefail
cd "$(dirname "$0")/.."
STATE=.upgraded-from # commit and copy of before the last upgrade

fail() {
  echo "$*" >&2
  exit 1
}
[ -e .git ] || fail "This is no clone of Textbridge. See docs/install.md for how this installation is upgraded."
[ -x .venv/bin/flask ] || fail "Textbridge is not installed here yet: run make install."
. scripts/database_address.sh
env_file=${ENV_FILE:-.env}
storage=$(env_value "$env_file" STORAGE_PATH)
storage=$(readlink -m "${storage:-storage}")
[ -d "$storage" ] || fail "There is no storage folder $storage: nothing was ever started here. Run git pull, then make run."
database=$(database_address "$env_file")
owner=$(stat -c %U "$storage")
backups=${BACKUPS:-$storage-backups}

as_owner() { # root may not make files in the storage folder of another user
  if [ "$(id -u)" = 0 ] && [ "$owner" != root ]; then runuser -u "$owner" -- "$@"; else "$@"; fi
}
is_service() { [ -d /run/systemd/system ] && systemctl is-active --quiet textbridge; }
is_serving() { as_owner .venv/bin/python scripts/is_serving.py "$storage"; }
postgres_schema() { DATABASE_URL=$database as_owner .venv/bin/python scripts/postgres_schema.py "$@"; }
install_version() { "${MAKE:-make}" --silent install; }

require_unchanged() {
  [ -z "$(git status --porcelain --untracked-files=no)" ] || fail "Files of Textbridge were changed here: git status. Put your changes away first: git stash"
}
here=$(git symbolic-ref --short --quiet HEAD || git rev-parse HEAD) # the branch, or the commit of a tag

if [ "${1:-}" = --back ]; then
  [ -r "$STATE" ] || fail "There was no upgrade by make upgrade that could be taken back."
  read -r commit copy <"$STATE"
  [ -d "$copy" ] || fail "The copy $copy is not there any more. Restore another one: docs/backup.md"
  if [ -n "$database" ]; then
    [ -f "$copy/textbridge.dump" ] || fail "The copy $copy has no textbridge.dump. Put the database back by hand: docs/backup.md, Restore."
    command -v psql >/dev/null && command -v pg_restore >/dev/null ||
      fail "psql and pg_restore are needed. Debian and Ubuntu: apt install postgresql-client"
  fi
  require_unchanged
  [ -z "$database" ] || postgres_schema check "$copy/textbridge.dump" || fail "Nothing was changed or stopped."
  served= start="make run"
  if is_service; then
    served=yes start="systemctl start textbridge"
    systemctl stop textbridge
  fi
  if is_serving; then
    fail "The server runs. Stop it first (Ctrl-C where make run was typed)."
  fi
  if [ -n "$database" ]; then
    postgres_schema wait ||
      fail "Nothing was changed, but the server is stopped. Start it: $start"
  fi
  now=$(date +%Y%m%d-%H%M%S)
  newer=$storage.newer-$now
  schema=before_downgrade_${now/-/_}
  undo() {
    trap - EXIT
    trap '' INT HUP TERM
    git checkout --quiet "$here" && install_version || true
    lost=
    [ -z "$database" ] || postgres_schema take-back "$schema" || lost=yes
    if [ -d "$newer" ]; then
      rm -rf "$storage"
      mv "$newer" "$storage"
    fi
    [ -z "$lost" ] || fail "The downgrade failed, see above. Program and storage folder are as they were, but the database may not be: \
if it has a schema $schema, what the newer version had is in there. The server is stopped. Once the database answers, run make downgrade again."
    fail "The downgrade failed, see above. Program and messages are as they were, and the server is stopped. Start it: $start"
  }
  trap undo EXIT
  mv "$storage" "$newer"
  install -d -m 700 -o "$owner" "$storage"
  [ -z "$database" ] || postgres_schema replace "$schema" "$copy/textbridge.dump"
  git checkout --quiet "$commit"
  install_version
  as_owner .venv/bin/flask restore --yes "$copy"
  trap - EXIT
  rm "$STATE"
  [ -z "$served" ] || systemctl start textbridge
  echo "Back at $(as_owner .venv/bin/flask version | head -n 1), with the messages of $copy."
  [ -z "$database" ] || newer="$newer and in the schema $schema of the database"
  echo "What came in after that copy is in $newer; carriers that keep lists (Twilio, VoIP.ms, Wavix) are asked for it."
  [ -n "$served" ] || echo "Start it: make run"
  exit
fi

require_unchanged
commit=$(git rev-parse HEAD)
git fetch --quiet --tags origin || fail "The new version cannot be fetched, see above. Nothing was changed."
if [ -n "${1:-}" ]; then
  target=$(git rev-parse --verify --quiet "$1^{commit}" || git rev-parse --verify --quiet "origin/$1^{commit}") ||
    fail "There is no version $1 (git tag --list). Nothing was changed."
elif [ "$here" = "$commit" ]; then
  target=$(git rev-parse origin/HEAD)
else
  target=$(git rev-parse "origin/$here") || fail "The branch $here is not at origin. Name the version: make upgrade TO=v0.3.0"
  git merge-base --is-ancestor "$target" HEAD && target=$commit
  git merge-base --is-ancestor HEAD "$target" ||
    fail "The branch $here has commits that origin does not have. Name the version: make upgrade TO=v0.3.0. Nothing was changed."
fi
if [ "$target" = "$commit" ]; then
  echo "This is that version already, or the newest one."
  exit
fi
install -d -m 700 -o "$owner" "$backups" || fail "Name another folder for the copy: make upgrade BACKUPS=/path"
as_owner .venv/bin/flask backup "$backups"
copy=$(ls -d "$backups"/textbridge-* | tail -n 1)
if [ ! -f "$copy/textbridge.db" ] && [ ! -f "$copy/textbridge.dump" ]; then
  fail "The messages are in PostgreSQL and not in the copy, as pg_dump is not installed here. Nothing was upgraded. Install it (apt install postgresql-client), then make upgrade again."
fi

switch_version() {
  if [ -n "${1:-}" ]; then
    git checkout --quiet "$1"
  elif [ "$here" = "$commit" ]; then
    git checkout --quiet --detach "$target"
  else
    git merge --quiet --ff-only "$target"
  fi
}
# The old processes serve meanwhile. The imports are tried before anything is written; then
# flask version reads .env and brings the database up to date.
echo "$commit $copy" >"$STATE.new"
if ! { switch_version "${1:-}" && install_version && as_owner .venv/bin/python -c "import app" && as_owner .venv/bin/flask version; }; then
  git checkout --quiet --force "$here"
  [ "$here" = "$commit" ] || git reset --quiet --hard "$commit"
  install_version || true
  if as_owner .venv/bin/flask version >/dev/null 2>&1; then
    rm "$STATE.new"
    fail "The new version does not start, see above. The old one is back, and nothing else was changed."
  fi
  mv "$STATE.new" "$STATE"
  fail "The new version does not start, see above. Its program is gone, but the database was brought up to date, and the old one cannot use it. The copy puts both back: make downgrade"
fi
mv "$STATE.new" "$STATE"
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
