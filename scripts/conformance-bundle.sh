#!/usr/bin/env bash
# make conformance-bundle: one archive for the repositories of other SDKs, with the runner of this machine's platform,
# the cases, their description and the templates of workers.
#   conformance-bundle.sh [FOLDER]      writes FOLDER/phc-conformance-VERSION-PLATFORM.tar.gz, by default into dist
# RUNNER is the program to put into it; without it, the runner is built as it ships.
set -euo pipefail
cd "$(dirname "$0")/.."
output=${1:-dist}
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
name=phc-conformance-$version-$(uname -m)-$(uname -s | tr '[:upper:]' '[:lower:]')
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
folder=$work/$name
mkdir -p "$folder" "$output"
if [ -z "${RUNNER:-}" ]; then
    "${CARGO:-cargo}" build --locked --release -p phc-conformance
    RUNNER=target/release/phc-conformance
fi
cp "$RUNNER" "$folder/phc-conformance"
cp LICENSE "$folder"
cp -r conformance/vectors conformance/scenarios conformance/templates "$folder"
find "$folder" -name __pycache__ -prune -exec rm -rf {} +
scripts/conformance-bundle-pages.py "$folder"
# The same bytes from the same files.
tar --create --gzip --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner \
    --directory "$work" --file "$output/$name.tar.gz" "$name"
echo "$output/$name.tar.gz"
