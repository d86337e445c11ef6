#!/usr/bin/env bash
# pack/go.sh: the Go module of a release, from target/dist.
#
# It makes PHC_OUT/go, a folder that serves the module (GOPROXY=file://…/go): bindings/go as it is here, the archives
# of the targets, their licences beside them, and libphc's. scripts/dist/tags.sh makes a tag with the same content.
#
# Fails if an archive or its licences are missing, or if the module proxy would refuse the module.
set -euo pipefail
cd "$(dirname "$0")/../../.."
. scripts/common.sh
. scripts/dist/pack/common.sh
command -v go >/dev/null || { echo "go.sh: there is no go command; install Go 1.24 or newer" >&2; exit 1; }
export GOFLAGS='' GOWORK=off # not the caller's
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# objcopy TARGET: the command for the processor of TARGET.
objcopy() {
    local processor=${1%%-*} unpacked=target/tools/binutils
    if [ "$processor" = "$(uname -m)" ]; then
        echo objcopy
    elif command -v "$processor-linux-gnu-objcopy" >/dev/null; then
        echo "$processor-linux-gnu-objcopy"
    elif [ -x "$unpacked/$processor-linux-gnu-objcopy" ]; then
        echo "$unpacked/$processor-linux-gnu-objcopy"
    else
        echo "go.sh: there is no $processor-linux-gnu-objcopy; run scripts/dist/toolchain.sh $1" >&2
        return 1
    fi
}

git ls-files bindings/go | while read -r file; do install -D -m 644 "$file" "$work/$file"; done
install -m 644 LICENSE "$work/bindings/go/LICENSE"
for target in $PHC_TARGETS; do
    name=$(dist_name "$target" go)
    case $name in
    linux_*_musl) libc=musl ;;
    linux_*) libc=glibc ;;
    *) echo "not in the Go module: $target; its users install libphc and build with -tags phc_dynamic"; continue ;;
    esac
    from=$(built "$target")
    OBJCOPY=$(objcopy "$target") scripts/go-archive.sh "$from/lib" "$name" "$work/bindings/go" >/dev/null
    install -m 644 "$from/share/doc/libphc/THIRD-PARTY.txt" \
        "$work/bindings/go/lib/${name%_musl}/THIRD-PARTY-$libc.txt"
done
three_times go -C scripts/dist/gomodule mod download
time=$(git log -1 --format=%cI)
go -C scripts/dist/gomodule run . -folder "$work/bindings/go" -version "v$PHC_VERSION" -time "$time" \
    -proxy "$(realpath "$PHC_OUT")/go"
