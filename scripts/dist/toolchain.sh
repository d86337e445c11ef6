#!/usr/bin/env bash
# toolchain.sh TARGET: installs what build.sh needs for TARGET below target/tools, and says what it installs.
#
#   zig          zig and cargo-zigbuild, from PyPI, pinned by version and hash: the C compiler and the linker
#   rust/TARGET  Rust's standard library for TARGET, with the compiler that it belongs to, if the Rust toolchain
#                of this machine does not have it (`rustup target add` gives it). It comes from Debian's
#                rustc-web packages, which are unpacked and not installed
#   binutils     ld, objcopy and strip for another processor, from Debian, unpacked
#   qemu         the emulator that runs the tests of another processor, from Debian, unpacked
#   sysroot/TARGET  the C library for the emulator, from Debian, unpacked
#
# Targets that are built in a chroot (targets.sh) need zig and that chroot, which scripts/dist/sid.sh makes.
# Nothing outside target/tools changes, except that a missing pip or a missing curl is installed from Debian. Debian's
# versions move: which ones were taken is in target/tools/*/versions and in the BUILDINFO of the libraries.
#
# It fails on a machine that is not x86-64 Linux, without a network, and for another processor where there is
# neither Rust's target nor Debian's apt-get.
set -euo pipefail
cd "$(dirname "$0")/../.."
. scripts/common.sh
. scripts/dist/targets.sh
[ $# -eq 1 ] || { echo "usage: toolchain.sh TARGET" >&2; exit 2; }
target=$1
rust=$(dist_name "$target" rust)
tools=$PWD/target/tools
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
mirror=${DEBIAN_MIRROR:-http://deb.debian.org}
mkdir -p "$tools"

if [ "$(uname -sm)" != "Linux x86_64" ]; then
    echo "releases are built on x86-64 Linux; this is $(uname -sm)" >&2
    exit 1
fi

# debian PACKAGE…: installs Debian packages into this system.
debian() {
    local as_root=
    command -v apt-get >/dev/null || { echo "install $* and try again: this machine has no apt-get" >&2; return 1; }
    [ "$(id -u)" -eq 0 ] || as_root=sudo
    echo "installing from Debian: $*"
    three_times $as_root apt-get update -q
    three_times $as_root apt-get install -y -q --no-install-recommends "$@"
}

# The wheels are for x86-64. `pip --target` needs neither a virtual environment nor Debian's consent to one.
requirements='ziglang==0.15.1 --hash=sha256:4e45994a0e608d9b16ecad255698f5557a2e24de0bd7ba9efb156ab3f3683d9a
cargo-zigbuild==0.24.1 --hash=sha256:238a1ab54a95053a4eadc34775c81f795a8ad75f80bfed63f3f445f518102375'
install_zig() {
    [ "$(cat "$tools/zig/versions" 2>/dev/null)" = "$requirements" ] && return
    python3 -m pip --version >/dev/null 2>&1 || debian python3-pip
    echo "installing from PyPI, into target/tools/zig: $(cut -d' ' -f1 <<<"$requirements" | paste -sd' ')"
    rm -rf "$tools/zig" "$tools/zig.new"
    mkdir -p "$tools/zig.new"
    echo "$requirements" >"$tools/zig.new/versions"
    three_times python3 -m pip install --quiet --root-user-action=ignore --no-deps --only-binary :all: \
        --require-hashes --upgrade --target "$tools/zig.new" --requirement "$tools/zig.new/versions"
    mv "$tools/zig.new" "$tools/zig"
}

# apt SUITES COMMAND…: apt with these suites of Debian for both processors, and with folders of its own. The index
# of sid may be past its date on a mirror that is frozen; apt still checks its signature.
apt() {
    local suites=$1 suite folder=$tools/apt/${1// /+} archive
    shift
    if [ ! -s "$folder/updated" ] || [ "$1" = update ]; then
        mkdir -p "$folder"/{lists,cache/archives}/partial
        for suite in $suites; do
            archive=debian
            [[ $suite != *-security ]] || archive=debian-security
            echo "deb [arch=amd64,arm64 check-valid-until=no signed-by=$keyring] $mirror/$archive $suite main"
        done >"$folder/sources.list"
    fi
    local options=(-q -o "Dir::Etc::sourcelist=$folder/sources.list" -o "Dir::Etc::sourceparts=-"
        -o "Dir::State::lists=$folder/lists" -o "Dir::Cache=$folder/cache" -o "Acquire::Languages=none"
        -o "APT::Architecture=amd64" -o "APT::Architectures::=amd64" -o "APT::Architectures::=arm64")
    if [ ! -s "$folder/updated" ]; then
        three_times apt-get "${options[@]}" update >"$folder/log" 2>&1 || { cat "$folder/log" >&2; return 1; }
        date -u +%F >"$folder/updated"
    fi
    case $1 in
    depends) apt-cache "${options[@]}" "$@" ;;
    *) three_times apt-get "${options[@]}" "$@" ;;
    esac
}

# unpack FOLDER SUITES PACKAGE…: unpacks Debian packages into target/tools/FOLDER.
unpack() {
    local folder=$tools/$1 suites=$2 file
    shift 2
    command -v apt-get >/dev/null || { echo "this machine has no apt-get to download $* with" >&2; return 1; }
    echo "unpacking from Debian $suites, into ${folder#"$PWD/"}: $*"
    rm -rf "$folder" "$folder.new"
    mkdir -p "$folder.new/packages"
    # As root, apt would download as a user who cannot write here, and say so at length.
    (cd "$folder.new/packages" && apt "$suites" -o APT::Sandbox::User=root download "$@" >/dev/null)
    for file in "$folder.new"/packages/*.deb; do
        dpkg-deb -x "$file" "$folder.new"
        # shellcheck disable=SC2016 # dpkg-deb fills these in
        dpkg-deb -W --showformat '${Package}:${Architecture} ${Version}\n' "$file"
    done | tee "$folder.new/versions" | sed 's/^/    /'
    rm -rf "$folder.new/packages"
    mv "$folder.new" "$folder"
}
# wrap FOLDER PROGRAM…: target/tools/FOLDER/PROGRAM runs an unpacked program with the libraries that were unpacked with
# it. The folder may be moved: the wrapper finds it by its own path.
wrap() {
    local folder=$tools/$1 program
    shift
    for program; do
        cat >"$folder/$program" <<'WRAPPER'
#!/bin/sh
here=$(dirname "$(realpath "$0")")
LD_LIBRARY_PATH=$here/usr/lib/x86_64-linux-gnu exec "$here/usr/bin/${0##*/}" "$@"
WRAPPER
        chmod +x "$folder/$program"
    done
}
stable='bookworm bookworm-updates bookworm-security'

# The compiler, its driver library, LLVM, and the standard libraries for this machine (build scripts) and the target.
install_rust() {
    local folder=rust/$target driver llvm
    if [ -e "$(rustc --print sysroot)/lib/rustlib/$rust" ] || [ -x "$tools/$folder/rustc" ]; then return; fi
    if ! command -v apt-get >/dev/null; then
        echo "Rust's standard library for $rust is missing; install it with: rustup target add $rust" >&2
        return 1
    fi
    driver=$(apt "$stable" depends libstd-rust-web-dev | grep -o 'libstd-rust-web-[0-9.]*' | sort -uV | tail -1)
    llvm=$(apt "$stable" depends "$driver" | grep -o 'libllvm[0-9]*' | sort -uV | tail -1)
    unpack "$folder" "$stable" rustc-web "$driver" "$llvm" libstd-rust-web-dev \
        "libstd-rust-web-dev:$(dist_name "$target" deb)"
    wrap "$folder" rustc
    if ! "$tools/$folder/rustc" -vV >/dev/null; then
        echo "the unpacked rustc does not run here; it is missing:" >&2
        LD_LIBRARY_PATH="$tools/$folder/usr/lib/x86_64-linux-gnu" ldd "$tools/$folder/usr/bin/rustc" |
            grep 'not found' >&2
        rm -rf "${tools:?}/$folder"
        return 1
    fi
}

install_binutils() {
    command -v objcopy >/dev/null || debian binutils
    case $target in
    aarch64-linux-*) ;;
    *) return ;;
    esac
    if command -v aarch64-linux-gnu-ld >/dev/null || [ -x "$tools/binutils/aarch64-linux-gnu-ld" ]; then return; fi
    unpack binutils "$stable" binutils-aarch64-linux-gnu
    wrap binutils aarch64-linux-gnu-{ld,objcopy,strip}
}

# Not from Debian 12 or 13: with qemu 7.2 and 10.0 a forked child hangs now and then. Its binary is static.
install_qemu() {
    case $target in
    aarch64-linux-*) ;;
    *) return ;;
    esac
    if [ ! -x "$tools/qemu/usr/bin/qemu-aarch64" ]; then
        unpack qemu sid qemu-user
        find "$tools/qemu/usr" -mindepth 1 ! -name bin ! -name qemu-aarch64 -delete
    fi
    if [ "$target" = aarch64-linux-gnu ] && [ ! -d "$tools/sysroot/$target" ]; then
        unpack "sysroot/$target" "$stable" libc6:arm64 libgcc-s1:arm64
    fi
}

install_zig
case $(dist_name "$target" where) in
host) install_rust ;;
sid) scripts/dist/sid.sh make ;;
esac
install_binutils
install_qemu
