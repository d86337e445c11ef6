#!/usr/bin/env bash
# go-package.sh [dist]: the Go module as a stranger gets it: an empty folder, `go get`, `go build`, an event that
# arrives; and what a build says that finds no libphc.
#
# With `dist` it is the module that `make dist` made. Without it a module and an installation for this machine are made
# from target/ship. SINK names the test server.
#
# Cross builds need the module of `make dist`, whose archives have their own unwinder, and zig (scripts/dist/toolchain.sh,
# or ZIG). Programs for arm64 that run need qemu-aarch64 (the same, or QEMU) and, if they are for glibc, QEMU_LD_PREFIX,
# a folder with lib/ of arm64. What cannot be tried is named.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/common.sh
root=$PWD
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
module=github.com/PostHog/libphc/bindings/go
version=v$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
zig=${ZIG:-target/tools/zig/ziglang/zig} qemu=${QEMU:-target/tools/qemu/usr/bin/qemu-aarch64}
[ ! -x "$zig" ] || zig=$(realpath "$zig")
[ ! -x "$qemu" ] || qemu=$(realpath "$qemu")
export ZIG_GLOBAL_CACHE_DIR=${ZIG_GLOBAL_CACHE_DIR:-$root/target/tools/cache/zig} ZIG_LOCAL_CACHE_DIR=$work/zig
. tests/checks.sh
says() { # says WORDS COMMAND…: it fails, and says this
    local words=$1
    shift
    if "$@" >"$work/said" 2>&1; then echo "it did not fail"; return 1; fi
    grep -qF "$words" "$work/said" || { cat "$work/said"; return 1; }
}

# -- a module, a stranger, a sink --

if [ "${1:-}" = dist ]; then
    proxy=$(realpath "dist/${version#v}/go") installed=$(realpath "target/dist/$(uname -m)-linux-gnu")
else
    zig='' # its compiler has no unwinder for the archive of `make build`
    proxy=$work/dist/go target=$(uname -m)-linux-gnu installed=$work/installed
    make -s install PREFIX="$installed"
    install -D -m 644 target/ship/libphc.a "$work/built/$target/lib/libphc.a"
    install -D -m 644 docs/third-party/LICENCES.txt "$work/built/$target/share/doc/libphc/THIRD-PARTY.txt"
    mkdir "$work/dist"
    PHC_VERSION=${version#v} PHC_TARGETS=$target PHC_OUT=$work/dist PHC_DIST=$work/built scripts/dist/pack/go.sh
fi
# Nothing of this checkout or of the network, only the module.
export GOPROXY=file://$proxy GONOSUMDB='*' GONOPROXY=none GOFLAGS=-modcacherw GOWORK=off GOTOOLCHAIN=local
export GOMODCACHE=$work/cache
# shellcheck disable=SC2016 # these are marks of Markdown
quickstart() { sed -n '/^```go$/,/^```$/p' bindings/go/README.md | sed '1d; /^```$/,$d'; }
stranger() { # stranger FOLDER: an empty module with the README's quickstart
    mkdir "$1"
    quickstart >"$1/main.go"
    (cd "$1" && go mod init example.com/stranger)
}
SINK=$(realpath "${SINK:-target/debug/phc-sink}")
start_sink "$work" --quiet
arrives() { # arrives SPACE COMMAND…: one event of a program
    local host=http://127.0.0.1:$SINK_PORT/go-package/$1
    shift
    POSTHOG_API_KEY=phc_test POSTHOG_HOST=$host "$@" || return 1
    curl -s "$host/_accepted" "$host/_violations" | tee "$work/received"
    [ "$(wc -l <"$work/received")" -eq 1 ] && [ "$(tail -1 "$work/received")" = '[]' ]
}
fresh() { (cd "$work/fresh" && "$@"); }

get() { stranger "$work/fresh" && fresh go get "$module@$version"; }
check_quietly "go get" get
check_quietly "go build" fresh go build -o program .
check_quietly "its event arrives" arrives build "$work/fresh/program"
needs_no_library() { ldd "$1" >"$work/needs" && ! grep -F libphc "$work/needs"; }
check_quietly "it needs no libphc at run time" needs_no_library "$work/fresh/program"
check_quietly "the tag musl, which other packages have, changes nothing" fresh go build -tags musl -o tagged .
check_quietly "go mod verify" fresh go mod verify
package=$(cd "$work/fresh" && go list -m -f '{{.Dir}}' "$module")
licences() {
    local archive libc
    [ -f "$package/LICENSE" ] && cmp LICENSE "$package/LICENSE" || return 1
    for archive in "$package"/lib/linux_*/libphc_*.a; do
        libc=${archive##*_}
        grep -q ring "${archive%/*}/THIRD-PARTY-${libc%.a}.txt" || return 1
    done
}
check_quietly "every archive has its licences" licences

vendored() { cp -r "$work/fresh" "$work/vendored" && (cd "$work/vendored" && go mod vendor); }
check_quietly "go mod vendor" vendored
in_vendored() { (cd "$work/vendored" && env GOPROXY=off GOMODCACHE="$work/nothing" "$@"); }
check_quietly "what was vendored builds alone" in_vendored go build -mod=vendor -o vendored .
check_quietly "its event arrives, vendored" arrives vendored "$work/vendored/vendored"

renamed() { # the archive for musl has the names of phc_musl.h, and no other
    scripts/go-archive.sh "$installed/lib" "linux_$(go env GOARCH)_musl" "$work/renamed"
    nm -g --defined-only "$work"/renamed/lib/*/libphc_musl.a | awk 'NF == 3 { print $3 }' | sort >"$work/names"
    sed -n 's/^#define //p' "$package/phc_musl.h" | awk '{ print $2 }' | sort | diff "$work/names" - &&
        [ "$(wc -l <"$work/names")" -eq "$(wc -l <abi/symbols.txt)" ]
}
check_quietly "in an archive for musl every function has its other name" renamed

# -- against an installed libphc --

dynamic() {
    # An rpath, as for every library that is not where the loader looks.
    fresh env PKG_CONFIG_PATH="$installed/lib/pkgconfig" CGO_LDFLAGS="-O2 -g -Wl,-rpath,$installed/lib" \
        go build -tags phc_dynamic -o dynamic .
}
check_quietly "go build -tags phc_dynamic" dynamic
check_quietly "its event arrives, dynamic" arrives dynamic "$work/fresh/dynamic"
needs_library() { ldd "$1" | grep -F "$installed/lib/libphc.so.0"; }
check_quietly "it needs the installed libphc" needs_library "$work/fresh/dynamic"
without_pkg_config() { fresh env PKG_CONFIG_PATH="$work/nothing" PKG_CONFIG_LIBDIR="$work/nothing" go build -tags phc_dynamic .; }
check_quietly "without an installed libphc, pkg-config says so" says "Package phc was not found" without_pkg_config

# -- words where nothing fits --

# A copy of the module without archives, as in a checkout of the main branch.
cp -r "$package" "$work/bare"
rm -f "$work"/bare/lib/linux_*/*.a
bare() { fresh go build -modfile="$work/bare.mod" -o bare .; }
cp "$work/fresh/go.mod" "$work/bare.mod"
(cd "$work/fresh" && go mod edit -replace "$module=$work/bare" "$work/bare.mod")
only_words() { says "go get $module@latest" bare && ! grep -iE 'undefined|cannot find|collect2' "$work/said"; }
check_quietly "no archive: the build says what to do, and the linker nothing" only_words

# Every libc with every set of archives. A folder with an empty features.h stands for the headers of musl.
mkdir -p "$work/musl" "$work/bare/lib/tried"
: >"$work/musl/features.h"
compile() { # compile LIBC ARCHIVES
    local name headers=()
    [ "$1" = glibc ] || headers=(-nostdinc -isystem "$work/musl")
    rm -f "$work"/bare/lib/tried/*.a
    for name in $2; do : >"$work/bare/lib/tried/libphc_$name.a"; done
    cc -fsyntax-only "${headers[@]}" -DPHC_ARCHIVES=lib/tried "$work/bare/archives.c"
}
while read -r libc archives words; do
    what="archives ${archives//,/ }, compiler for $libc"
    if [ "$words" = builds ]; then
        check_quietly "$what: compiles" compile "$libc" "${archives//,/ }"
    else
        check_quietly "$what: $words" says "$words" compile "$libc" "${archives//,/ }"
    fi
done <<'TABLE'
glibc none no libphc for this processor
musl none no libphc for this processor
glibc musl libphc for musl only
musl glibc libphc for glibc only
glibc glibc builds
musl musl builds
glibc glibc,musl builds
musl glibc,musl builds
TABLE

run_fails() { # run_fails WORDS PROGRAM
    says "$1" env POSTHOG_API_KEY=k "$2"
}
check_quietly "cgo off: it builds" fresh env CGO_ENABLED=0 go build -o no_cgo .
check_quietly "cgo off: NewWithConfig says what to do" run_fails 'build with CGO_ENABLED=1' "$work/fresh/no_cgo"
# Which files a build of another platform has.
selected() { # selected OS ARCH FILE
    fresh env CGO_ENABLED=1 GOOS="$1" GOARCH="$2" go list -f '{{.GoFiles}} {{.CgoFiles}}' "$module" | grep -wF "$3"
}
for platform in darwin/arm64 windows/amd64 linux/386 linux/riscv64 android/arm64; do
    check_quietly "$platform has no archive" selected "${platform%/*}" "${platform#*/}" no_archive.go
done
check_quietly "linux/amd64 has one" selected linux amd64 link_linux_amd64.go
check_quietly "linux/arm64 has one" selected linux arm64 link_linux_arm64.go

# -- the tags of a release, in a clone of this repository with a remote of its own --

export GIT_AUTHOR_NAME=test GIT_AUTHOR_EMAIL=test@example.com GIT_COMMITTER_NAME=test GIT_COMMITTER_EMAIL=test@example.com
commit=$(git stash create) # what is here, also if it is not committed
git clone -q --shared --no-checkout . "$work/project"
git -C "$work/project" checkout -q --detach "${commit:-HEAD}"
git -C "$work/project" tag -l | xargs -r git -C "$work/project" tag -d >/dev/null
git init -q --bare "$work/remote"
tags() { PHC_OUT=$(dirname "$proxy") "$work/project/scripts/dist/tags.sh" "$@"; }
no_tags() { [ -z "$(git -C "$1" for-each-ref refs/tags)" ]; }
dry_run() { tags --dry-run release go && no_tags "$work/project"; }
check_quietly "tags, dry run: go gets from the tag what dist serves, and no tag is left" dry_run
local_tags() { tags release && no_tags "$work/remote" && git -C "$work/project" tag -d "$version"; }
check_quietly "tags: nothing is pushed without --push" local_tags
check_quietly "tags: --push" tags --push "$work/remote" release go
check_quietly "tags: again, the same" tags go
pushed() { diff <(git -C "$work/remote" for-each-ref --format='%(refname)') - <<<"refs/tags/bindings/go/$version
refs/tags/$version"; }
check_quietly "tags: only tags are pushed" pushed
light() { ! git -C "$work/remote" ls-tree -r --name-only "$version" | grep 'lib/linux_.*\.a$'; }
check_quietly "tags: the commit of the release has no archive" light
other_sources() { # the module in dist is not the one of this commit
    echo '// more' >>"$work/project/bindings/go/doc.go"
    git -C "$work/project" commit -qam more
    git -C "$work/project" tag -d "bindings/go/$version"
    tags go
}
check_quietly "tags: other sources than those of dist are refused" says "run make dist again" other_sources
check_quietly "tags: one on another commit is kept" says "$version is there already, on another commit" tags release
from_tag() {
    stranger "$work/tagged"
    cd "$work/tagged"
    export GOPROXY=direct GOMODCACHE=$work/direct GIT_CONFIG_COUNT=1
    export GIT_CONFIG_KEY_0=url.file://$work/remote.insteadOf GIT_CONFIG_VALUE_0=https://github.com/PostHog/libphc
    go get "$module@$version" && go build -o program . && diff go.sum ../fresh/go.sum
}
in_subshell() { ("$@"); }
check_quietly "go get from the pushed tag, go build, the same go.sum" in_subshell from_tag
check_quietly "its event arrives, from the tag" arrives tag "$work/tagged/program"

# -- cross builds --

cross() { # cross NAME TRIPLE GOARCH [ARGUMENT…]: into a program of that name
    local name=$1 triple=$2 arch=$3
    shift 3
    fresh env CGO_ENABLED=1 GOARCH="$arch" CC="$zig cc -target $triple" go build -o "$name" "$@" .
}
static() { file "$1" | grep -F 'statically linked'; }
emulated() { # emulated SPACE PROGRAM: its event arrives under qemu
    arrives "$1" "$qemu" "$2"
}
not_tried() { echo "not tried: $*"; }
has() { [ -f "$package/lib/$1" ]; }
if [ ! -x "$zig" ]; then
    not_tried "cross builds, which take zig and the module of make dist"
else
    while read -r archive name triple arch arguments; do
        read -ra options <<<"$arguments"
        if ! has "$archive"; then not_tried "$triple, because the module has no $archive"; continue; fi
        check_quietly "$triple, by zig: builds $arguments" cross "$name" "$triple" "$arch" "${options[@]}"
        case $triple in *-musl) check_quietly "$triple: is static" static "$work/fresh/$name" ;; esac
        case $triple in
        "$(uname -m)"-*) check_quietly "$triple: its event arrives" arrives "$name" "$work/fresh/$name" ;;
        *)
            if [ ! -x "$qemu" ]; then not_tried "running $triple, because there is no qemu-aarch64"
            elif [[ $triple != *-musl && -z ${QEMU_LD_PREFIX:-} ]]; then not_tried "running $triple without QEMU_LD_PREFIX"
            else check_quietly "$triple: its event arrives" emulated "$name" "$work/fresh/$name"; fi
            ;;
        esac
    done <<'TABLE'
linux_amd64/libphc_glibc.a amd64_glibc x86_64-linux-gnu.2.17 amd64
linux_amd64/libphc_musl.a amd64_musl x86_64-linux-musl amd64
linux_amd64/libphc_musl.a amd64_musl_tag x86_64-linux-musl amd64 -tags musl
linux_arm64/libphc_glibc.a arm64_glibc aarch64-linux-gnu.2.17 arm64
linux_arm64/libphc_musl.a arm64_musl aarch64-linux-musl arm64
TABLE
fi
if command -v musl-gcc >/dev/null && has linux_amd64/libphc_musl.a; then
    by_musl_gcc() { fresh env CC=musl-gcc go build -ldflags '-linkmode external -extldflags "-static -Wl,--eh-frame-hdr"' -o musl_gcc .; }
    check_quietly "musl-gcc builds" by_musl_gcc
    check_quietly "musl-gcc: is static" static "$work/fresh/musl_gcc"
    check_quietly "musl-gcc: its event arrives" arrives musl_gcc "$work/fresh/musl_gcc"
else
    not_tried "musl-gcc, which needs musl-tools and the archive for musl"
fi

stop_sink
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
