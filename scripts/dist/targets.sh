# shellcheck shell=bash
# Sourced by the scripts beside it: the platforms of a release. dist_name reads both tables, whose first rows name the
# columns.
#
# What Rust and each kind of package call a platform; "-" where a kind of package has nothing for it. "proof" is
# `proved` where the tests run the library on that platform or in an emulator of it, and `unproved` where it is only
# built and linked: packages, README and docs/install.md must say so.
dist_table='
target              rust                        deb    gem                 go                php                  proof
x86_64-linux-gnu    x86_64-unknown-linux-gnu    amd64  x86_64-linux-gnu    linux_amd64       linux-x86_64         proved
aarch64-linux-gnu   aarch64-unknown-linux-gnu   arm64  aarch64-linux-gnu   linux_arm64       linux-aarch64        proved
x86_64-linux-musl   x86_64-unknown-linux-musl   -      x86_64-linux-musl   linux_amd64_musl  linux-x86_64-musl    proved
aarch64-linux-musl  aarch64-unknown-linux-musl  -      aarch64-linux-musl  linux_arm64_musl  linux-aarch64-musl   proved
x86_64-windows      x86_64-pc-windows-gnullvm   -      -                   -                 -                    proved
x86_64-macos        x86_64-apple-darwin         -      -                   -                 -                    unproved
aarch64-macos       aarch64-apple-darwin        -      -                   -                 -                    unproved
'
# How build.sh makes a target. "where" is `host`, or `sid` for what needs Rust's sources, which Debian 12 does not
# have: the cargo step then runs by scripts/dist/sid.sh. "zig" is its name for `zig cc -target`. "cargo" is the
# name for cargo-zigbuild. "kind" chooses how the libraries are linked.
dist_build_table='
target              where  zig                         cargo                             kind
x86_64-linux-gnu    host   x86_64-linux-gnu.2.17       x86_64-unknown-linux-gnu.2.17     elf
aarch64-linux-gnu   host   aarch64-linux-gnu.2.17      aarch64-unknown-linux-gnu.2.17    elf
x86_64-linux-musl   sid    x86_64-linux-musl           x86_64-unknown-linux-musl         elf
aarch64-linux-musl  sid    aarch64-linux-musl          aarch64-unknown-linux-musl        elf
x86_64-windows      sid    x86_64-windows-gnu          x86_64-pc-windows-gnullvm         windows
x86_64-macos        sid    x86_64-macos                x86_64-apple-darwin               macos
aarch64-macos       sid    aarch64-macos               aarch64-apple-darwin              macos
'

# shellcheck disable=SC2034 # the scripts that source this read them
dist_targets=$(awk 'NF && $1 != "target" { print $1 }' <<<"$dist_table")
# What `make dist` makes when no targets are named: those that are proved.
# shellcheck disable=SC2034
dist_default=$(awk '$NF == "proved" { printf "%s ", $1 }' <<<"$dist_table")

# dist_name TARGET COLUMN: what the table that has this column says of TARGET.
dist_name() {
    local value
    value=$(awk -v target="$1" -v column="$2" '
        $1 == "target" { at = 0; for (field = 2; field <= NF; field++) if ($field == column) at = field; next }
        $1 == target && at { print $at }' <<<"$dist_table$dist_build_table")
    if [ -z "$value" ]; then
        echo "there is no target $1, or no column $2; the targets are:" >&2
        printf '    %s\n' "${dist_targets//$'\n'/$'\n    '}" >&2
        return 1
    fi
    echo "$value"
}
