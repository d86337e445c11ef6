#!/usr/bin/env bash
# go-archive.sh [SHIP [NAME [PACKAGE]]]: puts the archive of SHIP (by default target/ship) where the Go package looks
# for it. NAME is the platform as scripts/dist/targets.sh calls it for Go, by default that of this machine; PACKAGE
# is the folder of the package, by default bindings/go.
#
# In the archive for musl, musl_phc_client_new stands for phc_client_new and so on: bindings/go/phc_musl.h. So the
# Go package can link both archives, and the C compiler decides which of them is used.
#
#   OBJCOPY   for musl: the objcopy of that processor
#
# Fails if SHIP has no archive.
set -euo pipefail
cd "$(dirname "$0")/.."
ship=${1:-target/ship} name=${2:-} package=${3:-bindings/go}
if [ -z "$name" ]; then
    case $(uname -m) in
    x86_64) name=linux_amd64 ;;
    aarch64) name=linux_arm64 ;;
    *) echo "there is no Go package with an archive for $(uname -m); build with -tags phc_dynamic" >&2; exit 1 ;;
    esac
    # Only the C compiler knows its libc. grep reads to the end, or cc would fail as it writes on.
    echo '#include <features.h>' | ${CC:-cc} -E -dM -x c - | grep -w __GLIBC__ >/dev/null || name+=_musl
fi
[ -f "$ship/libphc.a" ] || { echo "there is no $ship/libphc.a; run make build" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Only what has changed, so that nothing is built again without need.
put() { cmp -s "$1" "$2" || { mkdir -p "$(dirname "$2")"; install -m 644 "$1" "$2"; echo "$2 is new"; }; }
case $name in
*_musl)
    sed 's/.*/& musl_&/' abi/symbols.txt >"$work/names"
    ${OBJCOPY:-objcopy} --redefine-syms="$work/names" "$ship/libphc.a" "$work/libphc.a"
    put "$work/libphc.a" "$package/lib/${name%_musl}/libphc_musl.a"
    ;;
*) put "$ship/libphc.a" "$package/lib/$name/libphc_glibc.a" ;;
esac
