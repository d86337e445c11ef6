# shellcheck shell=bash
# Sourced by the scripts beside it: the platforms of a release, and what each kind of package calls them.
#
# "-" where a kind of package has nothing for a platform. "proof" is `proved` where the tests run the library on
# that platform or in an emulator of it, and `unproved` where it is only built and linked: packages, README and
# docs/install.md must say so.

# target            Rust's name                 deb    gem                 Go                PHP                  proof
dist_table='
x86_64-linux-gnu    x86_64-unknown-linux-gnu    amd64  x86_64-linux-gnu    linux_amd64       linux-x86_64         proved
aarch64-linux-gnu   aarch64-unknown-linux-gnu   arm64  aarch64-linux-gnu   linux_arm64       linux-aarch64        unproved
x86_64-linux-musl   x86_64-unknown-linux-musl   -      x86_64-linux-musl   linux_amd64_musl  linux-x86_64-musl    unproved
aarch64-linux-musl  aarch64-unknown-linux-musl  -      aarch64-linux-musl  linux_arm64_musl  linux-aarch64-musl   unproved
x86_64-windows      x86_64-pc-windows-gnullvm   -      -                   -                 -                    unproved
x86_64-macos        x86_64-apple-darwin         -      -                   -                 -                    unproved
aarch64-macos       aarch64-apple-darwin        -      -                   -                 -                    unproved
'
# What `make dist` makes when no targets are named: those that are proved.
# shellcheck disable=SC2034 # dist.sh reads it
dist_default=$(awk '$NF == "proved" { printf "%s ", $1 }' <<<"$dist_table")

# dist_name TARGET rust|deb|gem|go|php|proof: the name of TARGET in that column.
dist_name() {
    local target rust deb gem go php proof
    while read -r target rust deb gem go php proof; do
        [ "$target" = "$1" ] || continue
        case $2 in
        rust) echo "$rust" ;; deb) echo "$deb" ;; gem) echo "$gem" ;; go) echo "$go" ;; php) echo "$php" ;;
        proof) echo "$proof" ;;
        *) echo "dist_name: there is no column $2" >&2; return 1 ;;
        esac
        return
    done <<<"$dist_table"
    echo "there is no target $1; the targets are:" >&2
    awk 'NF { print "    " $1 }' <<<"$dist_table" >&2
    return 1
}

# How build.sh makes a target. "where" is `host`, or `sid` for what needs Rust's sources, which Debian 12 does not
# have: the cargo step then runs by scripts/dist/sid.sh. "zig" is its name for `zig cc -target`. "cargo" is the
# name for cargo-zigbuild. "kind" chooses how the libraries are linked.
# target            where  zig                         cargo                             kind
dist_build_table='
x86_64-linux-gnu    host   x86_64-linux-gnu.2.17       x86_64-unknown-linux-gnu.2.17     elf
aarch64-linux-gnu   host   aarch64-linux-gnu.2.17      aarch64-unknown-linux-gnu.2.17    elf
x86_64-linux-musl   sid    x86_64-linux-musl           x86_64-unknown-linux-musl         elf
aarch64-linux-musl  sid    aarch64-linux-musl          aarch64-unknown-linux-musl        elf
x86_64-windows      sid    x86_64-windows-gnu          x86_64-pc-windows-gnullvm         windows
x86_64-macos        sid    x86_64-macos                x86_64-apple-darwin               macos
aarch64-macos       sid    aarch64-macos               aarch64-apple-darwin              macos
'
# dist_build TARGET where|zig|cargo|kind
dist_build() {
    local target where zig cargo kind
    while read -r target where zig cargo kind; do
        [ "$target" = "$1" ] || continue
        case $2 in
        where) echo "$where" ;; zig) echo "$zig" ;; cargo) echo "$cargo" ;; kind) echo "$kind" ;;
        *) echo "dist_build: there is no column $2" >&2; return 1 ;;
        esac
        return
    done <<<"$dist_build_table"
    dist_name "$1" rust >/dev/null
}
