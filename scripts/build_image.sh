#!/usr/bin/env bash
# Builds the container image "textbridge" with docker, podman or buildah, whichever runs here.
#
#   scripts/build_image.sh [--debootstrap-base] [OPTION...]
#
# --debootstrap-base  where no image registry can be reached: makes the base image from Debian's
#                     packages (root, debootstrap, buildah) instead of pulling python:3.13-slim
# OPTION...           is handed to the build, for instance --no-cache
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PATH:/usr/sbin"

BASE=localhost/textbridge-base
SUITE=trixie # the Debian release with the Python of the Dockerfile, 3.13

fail() {
  echo "$*" >&2
  exit 1
}

make_base() {
  root=$(mktemp -d)
  trap 'rm -rf --one-file-system "$root"' EXIT
  # In a mount namespace of its own: what debootstrap mounts ends with it.
  unshare --mount debootstrap --variant=minbase --include=python3,python3-venv "$SUITE" "$root"
  ln -s /usr/bin/python3 "$root/usr/local/bin/python"
  rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
  container=$(buildah from scratch)
  buildah copy --quiet "$container" "$root" /
  buildah config --env PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin --env LANG=C.UTF-8 "$container"
  buildah commit --quiet --rm "$container" "$BASE"
}

if [ "${1:-}" = --debootstrap-base ]; then
  shift
  [ "$(id -u)" = 0 ] || fail "--debootstrap-base needs root: run it with sudo."
  for tool in debootstrap buildah; do
    command -v "$tool" >/dev/null || fail "--debootstrap-base needs $tool: apt-get install $tool"
  done
  make_base
  set -- --build-arg "BASE=$BASE" "$@"
elif docker info >/dev/null 2>&1; then
  exec docker build --tag textbridge "$@" .
elif podman info >/dev/null 2>&1; then
  exec podman build --format docker --tag textbridge "$@" .
fi
command -v buildah >/dev/null || fail "docker, podman or buildah is needed, and none runs here."
buildah bud --format docker --isolation chroot --tag textbridge "$@" .
