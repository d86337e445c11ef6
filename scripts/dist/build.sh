#!/usr/bin/env bash
# build.sh TARGET: builds the libraries, phc-sink and on Linux phc-cli for TARGET, with what toolchain.sh installed.
#
#   target/dist/TARGET/           an installation that can be moved: lib, include, bin, share (`make install`)
#   target/dist/TARGET.debug/     debug symbols of the shared library and the programs, by build id
#   target/dist/TARGET.buildinfo  commit, compilers, C library, hash of each file that holds machine code
#
# Four steps, each by the columns of targets.sh:
#   cargo      makes the static library and the programs, with cargo-zigbuild, which compiles C with zig. "host" runs it
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
# PHC_QUICK_PROGRAMS=1 compiles phc-sink and phc-cli without optimisation, in a third of the time, to test packages;
# BUILDINFO says so.
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
programs=phc-sink
[ "$kind" != elf ] || programs+=' phc-cli'
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
    local program setting program_options=()
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
    [ "$kind" != elf ] || program_options=(-C "link-arg=-Wl,--build-id=sha1")
    if [ "${PHC_QUICK_PROGRAMS:-}" = 1 ]; then
        for setting in 'lto="off"' codegen-units=16 {,package.{libphc,zlib-rs,zstd-sys,memchr}.}opt-level=0; do
            crate_options+=(--config "profile.release.$setting")
        done
    fi
    # One by one: together they would have each other's features, and crates that their lists of licences do not name.
    for program in $programs; do
        run "$tools/zig/bin/cargo-zigbuild" rustc "${crate_options[@]}" -p "$program" --bin "$program" -- "${program_options[@]}"
    done
}

binutils() { # binutils NAME: for this target's processor
    case $target in
    x86_64-*) command -v "$1" ;;
    *) command -v "${target%%-*}-linux-gnu-$1" || echo "$tools/binutils/${target%%-*}-linux-gnu-$1" ;;
    esac
}
link_step() ( # its tools are its own
    local program build=target/cross/$target/$rust/release ship=target/cross/$target/ship
    export CC="$zig cc -O2 -target $triple" LD OBJCOPY STRIP AR="$zig ar"
    case $kind in
    elf)
        LD=$(binutils ld) OBJCOPY=$(binutils objcopy) STRIP=$(binutils strip)
        UNWINDER=$(scripts/dist/unwinder.sh "$target") DEBUG=$out.debug.new
        export UNWINDER DEBUG
        rm -rf "$ship" "$DEBUG"
        scripts/ship.sh "$build" "$ship" "${version%%.*}"
        for program in $programs; do
            cp "$build/$program" "$ship/$program"
            scripts/split-debug.sh "$ship/$program" "$DEBUG"
        done
        ;;
    *) "scripts/dist/ship-$kind.sh" "$build" "$ship" "${version%%.*}" ;;
    esac
)

install_step() {
    local program new=$PWD/$out.new debug=$out.debug.new
    rm -rf "$new"
    make -s install SHIP="target/cross/$target/ship" PREFIX= DESTDIR="$new" >/dev/null
    install -D -m 755 -t "$new/bin" "target/cross/$target/ship"/phc-sink*
    for program in $programs; do
        install -m 644 "docs/third-party/LICENCES-$program.txt" "$new/share/doc/libphc/THIRD-PARTY-$program.txt"
    done
    [[ $programs != *phc-cli* ]] || DESTDIR=$new PREFIX='' SPEAKER=$(speaker) \
        scripts/install-cli.sh install "target/cross/$target/ship/phc-cli" >/dev/null
    buildinfo "$new" >"$out.buildinfo.new"
    rm -rf "$out" "$out.debug"
    [ ! -d "$debug" ] || mv "$debug" "$out.debug"
    mv "$new" "$out"
    mv "$out.buildinfo.new" "$out.buildinfo"
}

# A phc-cli that this machine can run: man pages and completions are the same for each target.
speaker() {
    case $target in
    "$(uname -m)-linux-gnu") echo "target/cross/$target/ship/phc-cli" ;;
    *) cargo build -q --locked --release -p phc-cli && echo target/release/phc-cli ;;
    esac
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
    [ "${PHC_QUICK_PROGRAMS:-}" != 1 ] || echo "programs: not optimised, for tests only"
    echo "zig: $("$zig" version) ($triple)"
    echo "cargo-zigbuild: $("$tools/zig/bin/cargo-zigbuild" -V | sed 's/.* //')"
    case $target in
    *-gnu)
        echo "glibc: $(glibc "$folder"/lib/libphc.so.*.* "$folder"/bin/*) or newer"
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
