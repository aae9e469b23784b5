#!/usr/bin/env bash
# Tries the Debian package in a fresh system: install, set up, serve, upgrade, go back, remove, purge.
#
#   sudo scripts/try_deb.sh ROOT OLD.deb NEW.deb
#
# ROOT is a folder made by: debootstrap --variant=minbase --include=python3,python3-venv,adduser SUITE ROOT
# A copy of it is used. It needs no network: what is tried has its own packages.
set -euo pipefail
[ "$(id -u)" = 0 ] || { echo "Run it as root." >&2; exit 1; }
source=$(readlink -f "$1") old=$(readlink -f "$2") new=$(readlink -f "$3")
if [ -z "${IN_NAMESPACE:-}" ]; then
  # Of its own: mounts, processes and network end with it.
  IN_NAMESPACE=yes exec unshare --mount --pid --net --fork --kill-child -- "$0" "$source" "$old" "$new"
fi
root=$(mktemp -d -p "${TMPDIR:-/var/tmp}")
trap 'umount -R "$root/proc" "$root/dev" 2>/dev/null; rm -rf --one-file-system "$root"' EXIT
cp -a --reflink=auto "$source/." "$root/"
mount -t proc proc "$root/proc"
mount -t tmpfs dev "$root/dev"
for node in null zero random urandom tty; do
  touch "$root/dev/$node" && mount --bind "/dev/$node" "$root/dev/$node"
done
mkdir "$root/dev/shm"
ip link set lo up
cp "$old" "$root/old.deb"
cp "$new" "$root/new.deb"

inside() { chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 "$@"; }
step() { echo "== $*"; }
expect() { # WORDS COMMAND…: its output has the words
  words=$1
  shift
  said=$("$@" 2>&1) || { echo "$said"; echo "FAILED: $*"; exit 1; }
  grep -qF -- "$words" <<<"$said" || { echo "$said"; echo "NOT SAID: $words"; exit 1; }
}
serve() {
  inside setpriv --reuid textbridge --regid textbridge --init-groups env HOME=/var/lib/textbridge \
    ENV_FILE=/etc/textbridge/env FLASK_SKIP_DOTENV=1 sh -c \
    'cd /opt/textbridge && exec .venv/bin/python -m gunicorn -c gunicorn.conf.py wsgi:app' \
    >>"$root/server.log" 2>&1 &
  for _ in $(seq 300); do
    if ready; then return; fi
    sleep 0.2
  done
  cat "$root/server.log"
  echo "FAILED: the server is not ready"
  exit 1
}
ready() {
  inside /opt/textbridge/.venv/bin/python -c 'import urllib.request as u
u.urlopen("http://127.0.0.1:8000/ready", timeout=5)' 2>/dev/null
}
stop() {
  kill -TERM "$(cat "$root/var/lib/textbridge/run/server.pid")"
  while ready; do sleep 0.2; done
  sleep 1
}

step "install without a network"
inside dpkg --install /old.deb 2>&1 | tail -n 3
[ "$(stat -c '%U %a' "$root/var/lib/textbridge")" = "$(stat -c '%U' "$root/etc/textbridge/env") 700" ]
[ "$(stat -c %a "$root/etc/textbridge/env")" = 600 ]
inside test -x /usr/lib/systemd/system/textbridge.service && exit 1
if inside sh -c 'command -v systemd-analyze' >/dev/null; then
  inside systemd-analyze verify /usr/lib/systemd/system/textbridge.service 2>&1 | grep -i textbridge && exit 1
fi
expect "Textbridge $(dpkg-deb --field "$old" Version)" inside textbridge version
before=$(sha256sum <"$root/etc/textbridge/env")

step "serve, and a text by the sandbox"
serve
inside textbridge settings set +12025550100 --carrier sandbox --extension 201 >/dev/null
inside textbridge simulate sandbox --from 303-555-0177 --to 202-555-0100 --text "before the upgrade"
for _ in $(seq 50); do
  inside textbridge messages list | grep -q "before the upgrade" && break
  sleep 0.3
done
expect "before the upgrade" inside textbridge messages list

step "upgrade while it serves: a copy is made, the file of variables and the messages stay"
expect "Everything was copied to /var/backups/textbridge/" inside dpkg --install /new.deb
ready
stop
serve
expect "Textbridge $(dpkg-deb --field "$new" Version)" inside textbridge version
expect "before the upgrade" inside textbridge messages list
[ "$before" = "$(sha256sum <"$root/etc/textbridge/env")" ]

step "an upgrade without space for the copy is refused, and the old version stays"
mount -t tmpfs -o size=16k none "$root/var/backups"
mkdir "$root/var/backups/textbridge" && chown --reference="$root/var/lib/textbridge" "$root/var/backups/textbridge"
inside dpkg --install /old.deb >/dev/null 2>"$root/refused" && exit 1
grep -q "nothing was upgraded" "$root/refused"
umount "$root/var/backups"
ready

step "back: a database of a later version is refused with the next step, and the copy restored"
inside textbridge simulate sandbox --from 303-555-0177 --to 202-555-0100 --text "after the upgrade"
sleep 2
stop
inside /opt/textbridge/.venv/bin/python -c 'import sqlite3
db = sqlite3.connect("/var/lib/textbridge/textbridge.db")
db.execute("UPDATE alembic_version SET version_num = 9999")
db.commit()'
inside textbridge status >/dev/null 2>"$root/refused" && exit 1
grep -q "newer Textbridge" "$root/refused" && grep -q "docs/install.md" "$root/refused"
inside textbridge downgrade /old.deb >"$root/said" 2>&1 || { cat "$root/said"; exit 1; }
expect "Textbridge $(dpkg-deb --field "$old" Version)" inside textbridge version
serve
expect "before the upgrade" inside textbridge messages list
ls -d "$root"/var/lib/textbridge.*/textbridge.db >/dev/null
stop

step "flask setup by options, as root"
inside env TWILIO_ACCOUNT_SID=AC00000000000000000000000000000000 \
  TWILIO_AUTH_TOKEN=00000000000000000000000000000000 textbridge setup --yes --unchecked \
  --address https://sms.example.com --carrier twilio --number +12025550143 --extension 201 | tail -n 4
grep -q '^APP_URL=https://sms.example.com' "$root/etc/textbridge/env"
[ "$(stat -c '%U %a' "$root/etc/textbridge/env")" = "$(stat -c '%U' "$root/var/lib/textbridge") 600" ]
serve
stop

step "remove keeps what was set and stored; purge deletes it, but no backup"
inside dpkg --remove textbridge >/dev/null 2>&1
[ ! -e "$root/opt/textbridge" ] && [ -e "$root/etc/textbridge/env" ] && [ -e "$root/var/lib/textbridge/textbridge.db" ]
inside dpkg --install /new.deb >/dev/null 2>&1
expect "before the upgrade" inside textbridge messages list
inside dpkg --purge textbridge 2>&1 | tail -n 1
[ ! -e "$root/opt/textbridge" ] && [ ! -e "$root/etc/textbridge" ] && [ ! -e "$root/var/lib/textbridge" ]
ls "$root/var/backups/textbridge" | grep -q textbridge-
echo "All steps are done."
