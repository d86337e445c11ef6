#!/usr/bin/env bash
# chroot.sh: clean Debian systems for trying the packages of a release.
#
#   chroot.sh make SYSTEM
#       makes the system SYSTEM in $PHC_CHROOTS (default: target/tools/chroots) if it is not there: a minimal Debian
#       from debootstrap and nothing else. SYSTEM is a suite (bookworm), or a suite and a processor (trixie-arm64).
#   chroot.sh run [--bind FROM:TO]… SYSTEM COMMAND…
#       runs COMMAND as root in a copy of it that is gone afterwards. /proc is mounted, the network is this machine's,
#       FROM is visible as TO (read-only), and variables named PHC_… and those of proxies are passed on. Packages that
#       apt downloads are kept for the next time.
#
# The copy lives in a mount and a process namespace of its own, in memory. So no mount, file or process of it is left,
# even if this script is killed. It exits with 77, after one line that begins with NOT RUN, where that is refused: it
# takes root, and the right to mount. Otherwise it exits as COMMAND did.
#
# A system for another processor runs in qemu. The kernel is instructed to use it in a user namespace only, which takes
# Linux 6.7; PHC_QEMU names the folder with qemu-aarch64 (version 11; older ones hang in programs that fork).
set -euo pipefail
self=$(realpath "$0")
cd "$(dirname "$self")/../.."
. scripts/common.sh

chroots=${PHC_CHROOTS:-$PWD/target/tools/chroots}
mirror=${PHC_DEBIAN_MIRROR:-http://deb.debian.org/debian}
security=${PHC_DEBIAN_SECURITY:-http://deb.debian.org/debian-security}

not_run() { echo "NOT RUN: $*"; exit 77; }
fail() { echo "chroot.sh: $*" >&2; exit 1; }

# Suite and processor of a system.
suite_of() { echo "${1%%-*}"; }
processor_of() { case $1 in *-*) echo "${1#*-}" ;; *) dpkg --print-architecture ;; esac; }
is_foreign() { [ "$(processor_of "$1")" != "$(dpkg --print-architecture)" ]; }

# namespaced SYSTEM ARGUMENT…: runs this script again with these arguments, in namespaces of its own.
namespaced() {
    local system=$1
    shift
    local isolate=(unshare --mount --pid --fork --kill-child --propagation private)
    if ! is_foreign "$system"; then exec "${isolate[@]}" "$self" "$@"; fi
    # The user namespace has all users of this machine under their own numbers. Only a process outside of it can say
    # so, and that is this one.
    local gate status=0
    gate=$(mktemp -d)
    mkfifo "$gate/open"
    # shellcheck disable=SC2016 # the inner shell expands them
    unshare --user bash -c 'read -r _ <"$1"; shift; exec "$@"' bash "$gate/open" "${isolate[@]}" "$self" "$@" &
    local child=$!
    # Until unshare is in the new namespace, the kernel refuses the maps.
    local map
    for map in uid_map gid_map; do
        for _ in $(seq 100); do
            { echo "0 0 4294967295" >"/proc/$child/$map"; } 2>/dev/null && break
            sleep 0.05
        done
    done
    echo >"$gate/open"
    trap 'kill $child 2>/dev/null || true' EXIT
    wait $child || status=$?
    rm -rf "$gate"
    exit $status
}

# allowed SYSTEM: ends with NOT RUN where namespaces and mounts are refused.
allowed() {
    [ "$(id -u)" -eq 0 ] || not_run "a clean system ($1) takes root: debootstrap and mount need it"
    unshare --mount --pid --fork --propagation private mount -t tmpfs none /mnt 2>/dev/null ||
        not_run "a clean system ($1) takes mounts, which are refused here"
    if is_foreign "$1"; then
        unshare --user --map-root-user --mount mount -t binfmt_misc none /mnt 2>/dev/null ||
            not_run "a system of another processor ($1) takes Linux 6.7, whose user namespaces can have an emulator"
        [ -x "${PHC_QEMU:=$PWD/target/tools/qemu/usr/bin}/qemu-aarch64" ] ||
            not_run "there is no qemu-aarch64 in $PHC_QEMU; scripts/dist/toolchain.sh aarch64-linux-gnu installs it"
        export PHC_QEMU
    fi
}

# What every start of a system needs, below ROOT: devices, /proc, the names of this machine's network.
furnish() { # furnish ROOT SYSTEM
    local root=$1 device
    mkdir -p "$root/proc" "$root/dev/shm"
    mount -t proc proc "$root/proc"
    for device in null zero full random urandom tty; do
        [ -e "$root/dev/$device" ] || : >"$root/dev/$device"
        mount --bind "/dev/$device" "$root/dev/$device"
    done
    mount -t tmpfs shm "$root/dev/shm"
    mkdir -p "$root/dev/pts"
    mount -t devpts -o newinstance,ptmxmode=0666 pts "$root/dev/pts"
    rm -f "$root/dev/ptmx"
    ln -s pts/ptmx "$root/dev/ptmx"
    ln -sfn /proc/self/fd "$root/dev/fd"
    cat /etc/resolv.conf >"$root/etc/resolv.conf"
    cat /etc/hosts >"$root/etc/hosts"
    if is_foreign "$2"; then emulate "$root"; fi
}

# Programs for arm64 are started with qemu-aarch64. The flag F makes the kernel open it now, so it need not be in ROOT.
emulate() { # emulate ROOT
    mount -t binfmt_misc binfmt_misc "$1/proc/sys/fs/binfmt_misc"
    printf '%s' ':qemu-aarch64:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00:\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:'"$PHC_QEMU/qemu-aarch64"':F' \
        >"$1/proc/sys/fs/binfmt_misc/register"
}

in_root() { # in_root ROOT COMMAND…
    local root=$1 name kept=()
    shift
    for name in $(compgen -e | grep -iE '^(PHC_.*|(http|https|no)_proxy)$'); do kept+=("$name=${!name}"); done
    env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 TERM=dumb \
        DEBIAN_FRONTEND=noninteractive "${kept[@]}" chroot "$root" "$@"
}

# Apt's lists, in the system itself; a mirror has removed what old lists name.
lists_are_new() { [ -n "$(find "$chroots/$1/var/lib/apt/phc-updated" -mtime -1 2>/dev/null)" ]; }

make_system() {
    local system=$1
    local base=$chroots/$system
    if [ -d "$base" ] && lists_are_new "$system"; then return; fi
    allowed "$system"
    mkdir -p "$chroots/.lock" "$chroots/.run"
    exec 8>"$chroots/.lock/$system"
    flock 8
    if [ ! -d "$base" ]; then
        if ! command -v debootstrap >/dev/null; then
            echo "installing from Debian: debootstrap"
            three_times apt-get update -q
            three_times apt-get install -y -q --no-install-recommends debootstrap
        fi
        echo "a clean Debian $system from $mirror, in $base"
        three_times bootstrap "$system"
    fi
    (namespaced "$system" in-base "$system" "$base" apt-get update -q) >"$chroots/.lock/$system.log" 2>&1 ||
        { cat "$chroots/.lock/$system.log" >&2; fail "apt-get update in $base failed"; }
    touch "$base/var/lib/apt/phc-updated"
    exec 8>&-
}

bootstrap() {
    local system=$1 suite processor new
    suite=$(suite_of "$system") processor=$(processor_of "$system") new=$chroots/.$system.new
    rm -rf "$new"
    # --foreign leaves out what runs programs of the new system.
    debootstrap --variant=minbase --foreign --arch="$processor" "$suite" "$new" "$mirror" >"$chroots/.lock/$system.log" 2>&1 ||
        { tail -5 "$chroots/.lock/$system.log" >&2; return 1; }
    # In a user namespace no device can be made; debootstrap accepts that in a container, if the files are there.
    [ -e "$new/dev/console" ] || : >"$new/dev/console"
    (namespaced "$system" in-base "$system" "$new" env container=lxc /debootstrap/debootstrap --second-stage) \
        >"$chroots/.lock/$system.log" 2>&1 || { tail -5 "$chroots/.lock/$system.log" >&2; return 1; }
    local part=$suite-security
    [ "$suite" != buster ] || part=$suite/updates
    {
        echo "deb $mirror $suite main"
        if [ "$suite" != sid ]; then
            echo "deb $mirror $suite-updates main"
            echo "deb $security $part main"
        fi
    } >"$new/etc/apt/sources.list"
    # Packages stay in the cache that all runs share; what is unpacked need not reach a disk; mirrors may be old.
    cat >"$new/etc/apt/apt.conf.d/90test" <<'CONF'
Acquire::Check-Valid-Until "false";
Acquire::Languages "none";
Acquire::Retries "3";
APT::Install-Recommends "false";
APT::Keep-Downloaded-Packages "true";
APT::Sandbox::User "root";
CONF
    echo force-unsafe-io >"$new/etc/dpkg/dpkg.cfg.d/test"
    mv "$new" "$chroots/$system"
}

run() {
    local binds=()
    while [ "${1:-}" = --bind ]; do binds+=(--bind "$2"); shift 2; done
    local system=${1:?SYSTEM}
    make_system "$system"
    allowed "$system"
    mkdir -p "$chroots/.run" "$chroots/.cache/$system"
    namespaced "$system" in-copy "${binds[@]}" "$@"
}

# Inside the namespaces.
in_base() { # in_base SYSTEM ROOT COMMAND…
    local system=$1 root=$2
    shift 2
    furnish "$root" "$system"
    in_root "$root" "$@"
}

in_copy() {
    local binds=() bind
    while [ "$1" = --bind ]; do binds+=("$2"); shift 2; done
    local system=$1 memory=$chroots/.run
    shift
    mount -t tmpfs -o size=80% copy "$memory"
    mkdir "$memory/root"
    layer "$chroots/$system" "$memory/root" || cp -a "$chroots/$system/." "$memory/root/"
    furnish "$memory/root" "$system"
    # Two copies at once must not meet in apt's cache, so each has a layer of its own there as well.
    local cache=$chroots/.cache/$system debs=$memory/root/var/cache/apt/archives status=0
    layer "$cache" "$debs" || cp -a "$cache/." "$debs/"
    for bind in "${binds[@]}"; do
        mkdir -p "$memory/root${bind#*:}"
        mount --bind "${bind%%:*}" "$memory/root${bind#*:}"
        mount -o remount,bind,ro "$memory/root${bind#*:}"
    done
    in_root "$memory/root" "$@" || status=$?
    # What is kept is a favour to the next copy. If it fails (a full disk), this one has not.
    find "$debs" -maxdepth 1 -name '*.deb' | while read -r deb; do keep "$deb" "$cache"; done ||
        echo "chroot.sh: packages of this copy are not kept in $cache" >&2
    return $status
}

# keep FILE FOLDER: a copy of it there, unless there is one. Other copies of the system may do the same at the same time,
# each as process 1 of its namespace, so only mktemp's name is one that no other has.
keep() {
    local file=$1 folder=$2 part
    [ ! -e "$folder/${file##*/}" ] || return 0
    part=$(mktemp -p "$folder" --suffix .part) && cp "$file" "$part" && mv "$part" "$folder/${file##*/}"
}

# layer FROM TO: what is written to TO does not reach FROM. Below $memory; an error where the kernel refuses it.
layer() {
    local own options
    own=$(mktemp -d -p "$memory")
    mkdir "$own/upper" "$own/work"
    options=lowerdir=$1,upperdir=$own/upper,workdir=$own/work
    # In a user namespace, the kernel can note that a folder is new in an attribute of users only. Without the note no
    # folder can be renamed, which dpkg does with each one that it makes.
    if is_foreign "$system"; then options+=,userxattr; fi
    mount -t overlay layer -o "$options" "$2" 2>/dev/null
}

action=${1:-}
[ $# -ge 2 ] || { sed -n '2,/^set/s/^# \{0,1\}//p' "$self" >&2; exit 2; }
shift
case $action in
make) make_system "$1" ;;
run) run "$@" ;;
in-base) in_base "$@" ;;
in-copy) in_copy "$@" ;;
*) fail "there is no action $action; there are make and run" ;;
esac
