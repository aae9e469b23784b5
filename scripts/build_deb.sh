#!/usr/bin/env bash
# Builds the Debian package textbridge_VERSION_ARCH.deb in dist/, for Debian 12 and 13 and Ubuntu 24.04.
#
#   scripts/build_deb.sh [VERSION]
#
# The wheels of the locked packages are in it for each Python of these systems; the virtual
# environment is made of them at the installation, without a network.
# PYTHON is one with pip; WHEELS is a folder that keeps the fetched wheels for the next build.
set -euo pipefail
cd "$(dirname "$0")/.."
umask 022

PYTHON=${PYTHON:-.venv/bin/python}
PYTHONS="3.11 3.12 3.13"
ARCH=$(dpkg --print-architecture)
case $ARCH in
  amd64) MACHINE=x86_64 ;;
  arm64) MACHINE=aarch64 ;;
  *) echo "There are no wheels for $ARCH." >&2; exit 1 ;;
esac
VERSION=${1:-$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
app=$root/opt/textbridge
install -d "$app/requirements" "$app/scripts" "$app/packaging" "$app/wheels" "$root/DEBIAN" \
  "$root/usr/bin" "$root/usr/lib/systemd/system" "$root/usr/share/doc/textbridge"

cp -r app.py wsgi.py gunicorn.conf.py pyproject.toml .env.example blueprints services "$app/"
sed -i "s/^version = .*/version = \"$VERSION\"/" "$app/pyproject.toml"
cp requirements/runtime.lock "$app/requirements/"
cp scripts/make_venv.py scripts/make_env.py scripts/is_serving.py scripts/postgres_schema.py scripts/database_address.sh "$app/scripts/"
install -m 755 packaging/deb/downgrade "$app/packaging/"
touch "$app/packaging/DEB" # by which the program knows how its commands are typed
find "$app" -name __pycache__ -prune -exec rm -rf {} +
chmod -R u=rwX,go=rX "$app"

wheels=${WHEELS:-$work/wheels}
lock=$(sha256sum <requirements/runtime.lock)
if [ "$(cat "$wheels/of" 2>/dev/null)" != "$lock" ]; then
  rm -rf "$wheels"
  for version in $PYTHONS; do
    "$PYTHON" -m pip download -q --disable-pip-version-check --no-deps --only-binary :all: \
      --require-hashes --python-version "$version" --implementation cp --abi "cp${version/./}" \
      --abi abi3 --abi none --platform "manylinux_2_17_$MACHINE" --dest "$wheels" \
      --platform "manylinux2014_$MACHINE" --platform "manylinux_2_28_$MACHINE" \
      -r requirements/runtime.lock
  done
  echo "$lock" >"$wheels/of"
fi
cp "$wheels"/*.whl "$app/wheels/"

install -m 755 packaging/deb/textbridge "$root/usr/bin/"
install -m 644 packaging/deb/textbridge.service "$root/usr/lib/systemd/system/"
install -m 644 README.md CHANGELOG.md "$root/usr/share/doc/textbridge/"
install -m 644 LICENSE "$root/usr/share/doc/textbridge/copyright"
for script in preinst postinst prerm postrm; do
  install -m 755 "packaging/deb/$script" "$root/DEBIAN/"
done
install -m 644 packaging/deb/triggers "$root/DEBIAN/"
sed -e "s/@VERSION@/$VERSION/" -e "s/@ARCH@/$ARCH/" packaging/deb/control >"$root/DEBIAN/control"
echo "Installed-Size: $(du -sk "$root" | cut -f1)" >>"$root/DEBIAN/control"

install -d dist
# Not compressed: the wheels are.
dpkg-deb --root-owner-group -Znone --build "$root" "dist/textbridge_${VERSION}_$ARCH.deb"
