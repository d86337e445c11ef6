#!/usr/bin/env bash
# build.sh TARGET: builds the libraries and phc-sink for TARGET, with what toolchain.sh installed.
#
#   target/dist/TARGET/           an installation that can be moved: lib, include, bin, share (`make install`)
#   target/dist/TARGET.debug/     debug symbols of the shared library and phc-sink, by build id
#   target/dist/TARGET.buildinfo  commit, compilers, C library, hash of each file that holds machine code
#
# Four steps, each by the columns of targets.sh:
#   cargo      makes the static library and phc-sink, with cargo-zigbuild, which compiles C with zig. "host" runs it
#              here. "sid" runs it by `scripts/dist/sid.sh run COMMAND…`, which has the tree under the same path and
#              passes the environment on; std is built from source there
#   link       "elf": scripts/ship.sh, with zig as the compiler driver and binutils for the processor. Any other
#              kind: scripts/dist/ship-KIND.sh BUILD SHIP MAJOR, with CC and AR of zig. It leaves in SHIP what
#              `make install` takes from there, and phc-sink. Always here, never in the chroot as a whole
#   install    `make install`, which knows the layout, into a folder beside the last one; it replaces that when it
#              is complete
#   buildinfo  what was built from what
#
# The libraries name no path of this machine, and the same commit gives the same bytes with the same compilers
# (BUILDINFO has them), in any folder.
#
# It fails if toolchain.sh was not run, and if the tree does not build. Files that are not committed are built too, and
# BUILDINFO says so.
set -euo pipefail
cd "$(dirname "$0")/../.."
. scripts/dist/targets.sh
[ $# -eq 1 ] || { echo "usage: build.sh TARGET" >&2; exit 2; }
target=$1
rust=$(dist_name "$target" rust)
tools=$PWD/target/tools
triple=$(dist_name "$target" zig)
where=$(dist_name "$target" where)
kind=$(dist_name "$target" kind)
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
out=target/dist/$target
zig=$tools/zig/ziglang/zig
[ -x "$zig" ] || { echo "zig is missing; run scripts/dist/toolchain.sh $target" >&2; exit 1; }

# Compilers see nothing of the caller's settings, which would change the bytes.
unset CFLAGS CXXFLAGS CPPFLAGS LDFLAGS CC LD AR OBJCOPY STRIP RUSTFLAGS CARGO_ENCODED_RUSTFLAGS CARGO_BUILD_RUSTFLAGS
unset CARGO_TARGET_DIR CARGO_BUILD_TARGET TARGET_CFLAGS HOST_CFLAGS "CFLAGS_${rust//-/_}" "${!CARGO_PROFILE_@}"
# No other script's: what is in it was compiled with the names of map_paths, of which zig does not know.
export ZIG_GLOBAL_CACHE_DIR=$tools/cache/zig-release ZIG_LOCAL_CACHE_DIR=$tools/cache/zig-release
export CARGO_ZIGBUILD_ZIG_PATH=$zig CARGO_ZIGBUILD_CACHE_DIR=$tools/cache/zigbuild
export SOURCE_DATE_EPOCH
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2>/dev/null || echo 0)

# The Rust toolchain of this machine if it has the target, else the one that toolchain.sh unpacked.
if [ "$where" = host ] && [ ! -e "$(rustc --print sysroot)/lib/rustlib/$rust" ]; then
    export RUSTC=$tools/rust/$target/rustc
    [ -x "$RUSTC" ] || { echo "$RUSTC is missing; run scripts/dist/toolchain.sh $target" >&2; exit 1; }
fi
run() { # run COMMAND…: where this target's cargo is
    case $where in
    host) "$@" ;;
    sid) scripts/dist/sid.sh run "$@" ;;
    esac
}

# map_paths: what is compiled names its sources the same on each machine. Debug information has the names, and the build
# id is a hash of it. The sources of crates are below the other folders, or below vendor/ in an offline tarball, which is
# in the tree. Of two that match, both compilers take the last.
#
# zig compiles the unwinder and parts of the C library too, when they are first needed. An option reaches that by this
# variable of clang's: "#" is silence, "+" puts it at the end. Cargo does not look at it, so what was compiled with another
# value is removed.
map_paths() {
    local folder made_with=target/cross/$target/paths
    RUSTFLAGS=--remap-path-prefix=$PWD=/libphc
    CCC_OVERRIDE_OPTIONS="#+-ffile-prefix-map=$PWD=/libphc"
    for folder in "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/; do
        [ -d "$folder" ] || continue
        RUSTFLAGS+=" --remap-path-prefix=${folder%/}=/registry"
        CCC_OVERRIDE_OPTIONS+=" +-ffile-prefix-map=${folder%/}=/registry"
    done
    export RUSTFLAGS CCC_OVERRIDE_OPTIONS
    [ "$(cat "$made_with" 2>/dev/null)" = "$CCC_OVERRIDE_OPTIONS" ] || rm -rf "${made_with%/*}"
    mkdir -p "${made_with%/*}"
    echo "$CCC_OVERRIDE_OPTIONS" >"$made_with"
}
cargo_step() {
    local sink_options=()
    local crate_options=(--locked --release --target "$(dist_name "$target" cargo)" --target-dir "target/cross/$target"
        # For the debug symbols apart. C stays as in `make build`: with them its compiler would keep frame pointers.
        --config 'profile.release.debug="line-tables-only"' --config 'profile.release.strip="none"'
        --config 'profile.release.package.zstd-sys.debug=false' --config 'profile.release.package.ring.debug=false')
    case $target in
    *-musl) RUSTFLAGS+=' -C target-feature=-crt-static' ;; # or there could be no shared library
    esac
    if [ "$where" = sid ]; then
        export RUSTC_BOOTSTRAP=1
        crate_options+=('-Zbuild-std=std,panic_unwind')
    fi
    run "$tools/zig/bin/cargo-zigbuild" rustc "${crate_options[@]}" -p libphc --crate-type staticlib
    [ "$kind" != elf ] || sink_options=(-C "link-arg=-Wl,--build-id=sha1")
    run "$tools/zig/bin/cargo-zigbuild" rustc "${crate_options[@]}" -p phc-sink --bin phc-sink -- "${sink_options[@]}"
}

binutils() { # binutils NAME: for this target's processor
    case $target in
    x86_64-*) command -v "$1" ;;
    *) command -v "${target%%-*}-linux-gnu-$1" || echo "$tools/binutils/${target%%-*}-linux-gnu-$1" ;;
    esac
}
link_step() ( # its tools are its own
    local build=target/cross/$target/$rust/release ship=target/cross/$target/ship
    export CC="$zig cc -O2 -target $triple" LD OBJCOPY STRIP AR="$zig ar"
    case $kind in
    elf)
        LD=$(binutils ld) OBJCOPY=$(binutils objcopy) STRIP=$(binutils strip)
        UNWINDER=$(scripts/dist/unwinder.sh "$target") DEBUG=$out.debug.new
        export UNWINDER DEBUG
        rm -rf "$ship" "$DEBUG"
        scripts/ship.sh "$build" "$ship" "${version%%.*}"
        cp "$build/phc-sink" "$ship/phc-sink"
        scripts/split-debug.sh "$ship/phc-sink" "$DEBUG"
        ;;
    *) "scripts/dist/ship-$kind.sh" "$build" "$ship" "${version%%.*}" ;;
    esac
)

install_step() {
    local new=$PWD/$out.new debug=$out.debug.new
    rm -rf "$new"
    make -s install SHIP="target/cross/$target/ship" PREFIX= DESTDIR="$new" >/dev/null
    install -D -m 755 -t "$new/bin" "target/cross/$target/ship"/phc-sink*
    install -m 644 docs/third-party/LICENCES-phc-sink.txt "$new/share/doc/libphc/THIRD-PARTY-phc-sink.txt"
    buildinfo "$new" >"$out.buildinfo.new"
    rm -rf "$out" "$out.debug"
    [ ! -d "$debug" ] || mv "$debug" "$out.debug"
    mv "$new" "$out"
    mv "$out.buildinfo.new" "$out.buildinfo"
}

# The newest version of glibc whose symbols any of FILES needs.
glibc() {
    local file
    for file; do readelf -W --dyn-syms "$file"; done | grep -o '@GLIBC_[0-9.]*' | sort -uV | tail -1 | sed s/@GLIBC_//
}
buildinfo() {
    local folder=$1 file commit
    commit=$(git rev-parse HEAD 2>/dev/null || echo unknown)
    [ -z "$(git status --porcelain 2>/dev/null)" ] || commit+=", with changes that are not committed"
    echo "version: $version"
    echo "commit: $commit"
    echo "target: $target ($rust)"
    echo "proof: $(dist_name "$target" proof)"
    echo "rustc: $(run "${RUSTC:-rustc}" -V)"
    echo "cargo: $(run cargo -V)"
    echo "zig: $("$zig" version) ($triple)"
    echo "cargo-zigbuild: $("$tools/zig/bin/cargo-zigbuild" -V | sed 's/.* //')"
    case $target in
    *-gnu)
        echo "glibc: $(glibc "$folder"/lib/libphc.so.*.* "$folder/bin/phc-sink") or newer"
        echo "binutils: $("$(binutils ld)" --version | sed -n '1s/.*) //p')"
        ;;
    *-windows | *-macos) echo "llvm: $(run llvm-ar --version | sed -n 's/.*LLVM version //p')" ;;
    esac
    [ ! -f "$tools/rust/$target/versions" ] || sed 's/^/debian: /' "$tools/rust/$target/versions"
    (cd "$folder" && find bin lib -type f ! -path '*/pkgconfig/*' ! -path '*/cmake/*' | LC_ALL=C sort | xargs sha256sum) |
        while read -r hash file; do echo "sha256: $hash $file ($(stat -c %s "$folder/$file") bytes)"; done
}

mkdir -p target/dist
map_paths
for step in cargo link install; do
    begun=$SECONDS
    "${step}_step"
    echo "$target: $step took $((SECONDS - begun)) s"
done
sed 's/^/    /' "$out.buildinfo"
