#!/usr/bin/env bash
# Checks what must be there, and installs what Debian has and is missing.
set -euo pipefail

if ! command -v cargo >/dev/null; then
    echo "libphc needs Rust (the stable channel, 1.89 or newer). Install it with:" >&2
    echo "    curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh" >&2
    exit 1
fi

# Command and the Debian package that has it.
missing=()
while read -r command package; do
    command -v "$command" >/dev/null || missing+=("$package")
done <<'LIST'
cc gcc
c++ g++
make make
ld binutils
pkg-config pkg-config
curl curl
openssl openssl
valgrind valgrind
LIST
[ ${#missing[@]} -eq 0 ] && exit 0

as_root=
[ "$(id -u)" -eq 0 ] || as_root=sudo
echo "installing from Debian: ${missing[*]}"
$as_root apt-get update -q
$as_root apt-get install -y -q "${missing[@]}"
