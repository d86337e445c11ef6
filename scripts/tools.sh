#!/usr/bin/env bash
# tools.sh [build]: checks the compilers, and installs what Debian has and is missing: all that the tests use, or
# with `build` only what building the library takes. Fails with what to do where it cannot help.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/common.sh
what=${1:-all}

# needs NAME LEAST FOUND WHERE, with the words for those who do not have it on standard input: whether the version that
# was found is at least LEAST.
needs() {
    local name=$1 least=$2 found=$3 where=$4
    if [ -n "$found" ] && printf '%s\n' "$least" "$found" | sort --version-sort --check=quiet; then return; fi
    [ -z "$found" ] && where=there found=none
    echo "libphc needs $name $least or newer; $where is $found." >&2
    cat >&2
    exit 1
}

rust_version=$(rustc --version 2>/dev/null | awk '{ print $2; exit }') || true
command -v cargo >/dev/null || rust_version=
needs Rust "$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)" "$rust_version" "$(command -v rustc || true)" <<'WORDS'
On Debian 12 and 13, from Debian itself (Debian 12 has it in its security updates, as every installation does):
    sudo apt install cargo-web rustc-web                    # 1.96; for the checks also rustfmt-web rust-web-clippy
They take the place of the packages cargo and rustc, which are too old. Anywhere, from rustup.rs:
    curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh
    rustup update stable                                    # if rustup is there already
WORDS

if [ "$what" = all ]; then
    go_version=$(go env GOVERSION 2>/dev/null | sed 's/^go//; s/[^0-9.].*//') || true
    needs Go 1.24 "$go_version" "$(command -v go || true)" <<'WORDS'
It is for the tests of the Go package; `make build` and `make demo` do without. Debian 13 has it (apt install golang).
For Debian 12:
    curl -sSfL https://go.dev/dl/go1.24.0.linux-amd64.tar.gz | sudo tar -C /usr/local -xz
    export PATH="/usr/local/go/bin:$PATH"
WORDS
fi

# Command, or pattern of a path, and the Debian package that has it; "-" for a
# package that brings neither. Building the library takes what stands before the empty line.
missing=()
while read -r command package; do
    case $command in
    '') [ "$what" = all ] && continue || break ;;
    -) dpkg -s "$package" >/dev/null 2>&1 ;;
    /*) compgen -G "$command" >/dev/null ;;
    *) command -v "$command" >/dev/null ;;
    esac || missing+=("$package")
done <<'LIST'
cc gcc
ld binutils
make make
pkg-config pkg-config
curl curl

c++ g++
cmake cmake
git git
patch patch
clang-format clang-format
shellcheck shellcheck
abidw abigail-tools
openssl openssl
file file
strace strace
valgrind valgrind
tinyproxy tinyproxy-bin
unshare util-linux
php php-cli
phpize php-dev
- php-zip
phpunit phpunit
- php-nyholm-psr7
- php-laravel-framework
- php-sqlite3
composer composer
/usr/sbin/php-fpm* php-fpm
/usr/sbin/nginx nginx-light
ruby ruby
puma puma
yard yard
- ruby-dev
- ruby-ffi
- ruby-rack
- ruby-minitest
- ruby-railties
- ruby-activejob
- ruby-sinatra
lintian lintian
xz xz-utils
python3 python3
elixir elixir
mcs mono-mcs
- libmono-system-net-http4.0-cil
- libmono-system-numerics4.0-cil
setpriv util-linux
minisign minisign
yamllint yamllint
- python3-jsonschema
LIST

# The crates for this machine, and those of Windows, whose licences are listed too; those that are here cost no request.
# Where there is no network the build says what is missing.
targets=(--target "$(rustc -vV | sed -n 's/^host: //p')")
[ "$what" != all ] || targets+=(--target x86_64-pc-windows-gnullvm)
three_times cargo fetch --quiet --locked "${targets[@]}" || true
# The browser for the tests of phc-sink's page, without what Debian recommends beside it: the printing of a desktop.
browser=()
if [ "$what" = all ] && ! { command -v chromium && command -v chromedriver; } >/dev/null; then
    browser=(chromium chromium-driver)
fi
[ ${#missing[@]} -eq 0 ] && [ ${#browser[@]} -eq 0 ] && exit 0

as_root=
[ "$(id -u)" -eq 0 ] || as_root=sudo
echo "installing from Debian: ${missing[*]} ${browser[*]}"
three_times $as_root apt-get update -q
[ ${#missing[@]} -eq 0 ] || three_times $as_root apt-get install -y -q "${missing[@]}"
[ ${#browser[@]} -eq 0 ] || three_times $as_root apt-get install -y -q --no-install-recommends "${browser[@]}"
