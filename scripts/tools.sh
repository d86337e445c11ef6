#!/usr/bin/env bash
# Checks what must be there, and installs what Debian has and is missing.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/common.sh

if ! command -v cargo >/dev/null; then
    echo "libphc needs Rust (the stable channel, 1.89 or newer). Install it with:" >&2
    echo "    curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh" >&2
    exit 1
fi

if ! command -v go >/dev/null; then
    echo "The tests of libphc need Go (1.24 or newer, for the Go package). Install it with:" >&2
    echo "    curl -sSfL https://go.dev/dl/go1.24.0.linux-amd64.tar.gz | sudo tar -C /usr/local -xz" >&2
    echo "    export PATH=\"\$PATH:/usr/local/go/bin\"" >&2
    exit 1
fi

# Command, or pattern of a path, and the Debian package that has it; "-" for a
# package that brings neither.
missing=()
while read -r command package; do
    case $command in
    -) dpkg -s "$package" >/dev/null 2>&1 ;;
    /*) compgen -G "$command" >/dev/null ;;
    *) command -v "$command" >/dev/null ;;
    esac || missing+=("$package")
done <<'LIST'
cc gcc
c++ g++
cmake cmake
make make
git git
patch patch
clang-format clang-format
shellcheck shellcheck
abidw abigail-tools
ld binutils
pkg-config pkg-config
curl curl
openssl openssl
strace strace
valgrind valgrind
tinyproxy tinyproxy-bin
unshare util-linux
php php-cli
phpunit phpunit
composer composer
/usr/sbin/php-fpm* php-fpm
/usr/sbin/nginx nginx-light
ruby ruby
puma puma
yard yard
- ruby-ffi
- ruby-rack
- ruby-minitest
LIST

# The crates for this machine, of which those that are here cost no request. Where
# there is no network the build says what is missing.
host=$(rustc -vV | sed -n 's/^host: //p')
for manifest in Cargo.toml fuzz/Cargo.toml; do
    three_times cargo fetch --quiet --locked --target "$host" --manifest-path "$manifest" || true
done
[ ${#missing[@]} -eq 0 ] && exit 0

as_root=
[ "$(id -u)" -eq 0 ] || as_root=sudo
echo "installing from Debian: ${missing[*]}"
three_times $as_root apt-get update -q
three_times $as_root apt-get install -y -q "${missing[@]}"
