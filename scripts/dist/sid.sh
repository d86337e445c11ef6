#!/usr/bin/env bash
# sid.sh make               makes a Debian unstable ("sid") system in a folder, unless it is there
# sid.sh run COMMAND…       runs a command in it, in the current folder
#
# Only sid has all of these: a std that can be built for targets without a prebuilt one (musl, Windows, macOS),
# from the sources of the same version as its rustc; musl for both processors; an emulator of arm64 in which fork
# works (qemu-user 11); wine.
#
# The system is in $PHC_CHROOTS/sid, by default target/tools/chroots/sid: 3 GB, some minutes. It needs root, and
# a kernel that allows mounts: in most containers it does not work. Where it is refused, one line that begins with
# "NOT RUN:" says so, and the exit code is 77.
#
# A command sees this repository and cargo's registry under the same paths as outside, the network, and no other
# file of the host. Its mounts and processes are in namespaces of its own, which the kernel ends with it, also
# when this script is killed. The environment is the caller's, but for PATH, CARGO_HOME and what rustup sets.
set -euo pipefail
cd_from=$PWD
cd "$(dirname "$0")/../.."
. scripts/common.sh
tree=$PWD
root=${PHC_CHROOTS:-$tree/target/tools/chroots}/sid
mirror=http://deb.debian.org/debian
registry=${CARGO_HOME:-$HOME/.cargo}

# What is installed there, and for what.
packages=(
    rustc cargo rust-src gcc libc6-dev make binutils pkg-config ca-certificates # to build std and the library
    lld llvm                                                          # the linker and tools of macOS
    musl-tools musl-dev:arm64 gcc-aarch64-linux-gnu libc6-dev:arm64   # to compile tests in C
    qemu-user                                                         # to run those of arm64
    gcc-mingw-w64-x86-64-win32 wine64                                 # to compile and run those of Windows
)
# A change of this list makes the system anew.
stamp="${packages[*]}"

not_run() { echo "NOT RUN: $*"; exit 77; }

can_run() {
    [ "$(uname -m)" = x86_64 ] || not_run "the sid system is made for x86_64, and this machine is $(uname -m)"
    [ "$(id -u)" -eq 0 ] || not_run "a chroot needs root; run this as root"
    unshare --mount --pid --fork sh -c 'mount -t tmpfs none /mnt && chroot / true' 2>/dev/null ||
        not_run "mounts or chroots are refused here; run this on a machine or in a privileged container"
}

make() {
    can_run
    [ "$(cat "$root/.phc-ready" 2>/dev/null)" != "$stamp" ] || return 0
    if ! command -v debootstrap >/dev/null; then
        echo "installing from Debian: debootstrap"
        three_times apt-get update -q
        three_times apt-get -o DPkg::Lock::Timeout=300 install -y -q --no-install-recommends debootstrap
    fi
    echo "making a Debian sid in $root, from $mirror, with ${packages[*]}"
    # A shell of its own, because bash ignores `set -e` in what `three_times` calls directly.
    three_times scripts/dist/sid.sh bootstrap
    echo "$stamp" >"$root/.phc-ready"
}

bootstrap() {
    rm -rf --one-file-system "$root"
    mkdir -p "$(dirname "$root")"
    debootstrap --variant=minbase sid "$root" "$mirror"
    # A mirror may be some days behind. Nothing here has to survive a power failure.
    cat >"$root/etc/apt/apt.conf.d/90phc" <<'CONF'
Acquire::Check-Valid-Until "false";
Acquire::Retries "3";
APT::Install-Recommends "false";
CONF
    echo force-unsafe-io >"$root/etc/dpkg/dpkg.cfg.d/90phc"
    # No package starts a service.
    printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
    chmod +x "$root/usr/sbin/policy-rc.d"
    export DEBIAN_FRONTEND=noninteractive
    cp /etc/resolv.conf "$root/etc/resolv.conf"
    chroot "$root" dpkg --add-architecture arm64
    chroot "$root" apt-get update -q
    chroot "$root" apt-get install -y -q "${packages[@]}"
    chroot "$root" apt-get clean
}

# enter FOLDER PATH… -- COMMAND…: runs it in the system, in FOLDER, with these paths of the host.
enter() {
    # The shell in the new namespaces mounts, and waits: as their first process the command would ignore signals.
    # unshare itself ignores SIGTERM.
    # shellcheck disable=SC2016
    setpriv --pdeathsig KILL unshare --mount --propagation private --pid --fork --kill-child bash -c '
        set -euo pipefail
        root=$1 folder=$2
        shift 2
        # A root that is a mount of its own, as programs expect that remount it.
        mount --rbind "$root" "$root"
        mount -t proc proc "$root/proc"
        mount -t tmpfs tmp "$root/tmp"
        mount --rbind /dev "$root/dev"
        # After /tmp, because the tree may be below it.
        while [ "$1" != -- ]; do
            mkdir -p "$root$1"
            mount --bind "$1" "$root$1"
            shift
        done
        shift
        # How the host finds and trusts the network: it may have a proxy with a certificate of its own.
        for file in /etc/resolv.conf /etc/hosts /etc/ssl/certs/ca-certificates.crt; do
            [ -e "$file" ] || continue
            [ -e "$root$file" ] || { mkdir -p "$root${file%/*}"; : >"$root$file"; }
            mount -o bind,ro "$file" "$root$file"
        done
        status=0
        chroot "$root" /bin/sh -c '\''cd "$0" && exec "$@"'\'' "$folder" "$@" || status=$?
        exit "$status"
    ' sid.sh "$root" "$@" <&0 &
    inner=$!
    trap 'kill -KILL "$inner" 2>/dev/null; exit 143' TERM INT HUP
    wait "$inner"
}

run() {
    [ -e "$root/.phc-ready" ] || make
    can_run
    mkdir -p "$registry/registry"
    local folder=$cd_from
    [[ $folder/ == "$tree"/* ]] || folder=$tree
    unset RUSTC RUSTUP_TOOLCHAIN RUSTUP_HOME CARGO LD_LIBRARY_PATH
    export CARGO_HOME=$registry PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
    # Only root's, so that builds do not differ between users.
    export HOME=/root
    enter "$folder" "$tree" "$registry/registry" -- "$@"
}

case ${1-} in
make) make ;;
bootstrap) bootstrap ;; # for `make` only
run)
    [ $# -ge 2 ] || { echo "usage: sid.sh run COMMAND…" >&2; exit 2; }
    shift
    run "$@"
    ;;
*) echo "usage: sid.sh make | sid.sh run COMMAND…" >&2; exit 2 ;;
esac
