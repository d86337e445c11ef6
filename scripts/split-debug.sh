#!/usr/bin/env bash
# split-debug.sh FILE FOLDER: moves the symbols and debug information of an ELF file to FOLDER/.build-id/ab/cdef….debug,
# where gdb, perf, elfutils and systemd-coredump find them if FOLDER is /usr/lib/debug or is named to them
# (gdb: set debug-file-directory FOLDER). FILE is left stripped.
#
# OBJCOPY and STRIP name the tools, as in link.sh. It fails if FILE has no build id (-Wl,--build-id).
set -euo pipefail
file=$1 folder=$2
id=$(readelf -n "$file" | sed -n 's/^ *Build ID: //p')
[ -n "$id" ] || { echo "$file has no build id; link it with -Wl,--build-id=sha1" >&2; exit 1; }
debug=$folder/.build-id/${id:0:2}/${id:2}.debug
mkdir -p "$(dirname "$debug")"
"${OBJCOPY:-objcopy}" --only-keep-debug --compress-debug-sections=zlib "$file" "$debug"
chmod 644 "$debug"
"${STRIP:-strip}" --strip-all --remove-section=.comment "$file"
