#!/usr/bin/env bash
# install.sh install|uninstall: what `make install` and `make uninstall` do. Both go through the same list of files.
#
# The environment has, from the Makefile: PREFIX, LIBDIR and INCLUDEDIR, the places in the finished system; DESTDIR,
# a folder before all of them, for packages; SHIP, the folder with the built libraries; VERSION and MAJOR.
# With RELOCATABLE=1, phc.pc finds the installation relative to its own location, so the installation can be moved; with
# RELOCATABLE=0 it names the places above, as the packages of a distribution do. phcConfig.cmake always finds the
# installation relative to its own location.
#
# It fails if a built library is missing or a folder cannot be written to.
set -euo pipefail
cd "$(dirname "$0")/.."
action=$1
for name in PREFIX LIBDIR INCLUDEDIR; do
    # An empty PREFIX is the root folder.
    case ${!name} in
    /* | '') ;;
    *) echo "install.sh: $name must be an absolute path, and is ${!name}" >&2; exit 1 ;;
    esac
done
# shellcheck disable=SC2153 # PREFIX is from the environment, prefix is made below.
bin=$PREFIX/bin doc=$PREFIX/share/doc/libphc cmake=$LIBDIR/cmake/phc pc=$LIBDIR/pkgconfig

has() { [ -e "$SHIP/$1" ] || { [ "$action" = uninstall ] && [ -e "$DESTDIR$2/$1" ]; }; }
if has phc.dll "$bin"; then system=windows; elif has libphc.dylib "$LIBDIR"; then system=macos; else system=linux; fi

# relative FROM TO: the path of TO as seen from the folder FROM. Both are absolute.
relative() {
    local from=${1%/} to=${2%/} up=
    while [ "$to" != "$from" ] && [ "${to#"$from"/}" = "$to" ]; do from=${from%/*} up=../$up; done
    to=${to#"$from"} up=$up${to#/}
    echo "${up%/}"
}
# below FOLDER VARIABLE PATH: PATH, by VARIABLE if it is in FOLDER.
below() { case $3 in "$1"/*) echo "\${$2}${3#"$1"}" ;; *) echo "$3" ;; esac; }

put() { # put MODE FILE PLACE
    if [ "$action" = uninstall ]; then rm -f "$DESTDIR$3"; return; fi
    echo "  $DESTDIR$3"
    mkdir -p "$(dirname "$DESTDIR$3")"
    install -m "$1" "$2" "$DESTDIR$3"
}
link() { # link TARGET PLACE
    if [ "$action" = uninstall ]; then rm -f "$DESTDIR$2"; return; fi
    echo "  $DESTDIR$2 -> $1"
    ln -sf "$1" "$DESTDIR$2"
}
fill() { # fill FILE PLACE
    [ "$action" = uninstall ] || sed "${values[@]}" "$1" >"$work/filled"
    put 644 "$work/filled" "$2"
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
values=()
value() { values+=(-e "s|@$1@|$2|"); }

case $system in
linux) shared=$LIBDIR/libphc.so.$VERSION import='' soname=libphc.so.$MAJOR ;;
macos) shared=$LIBDIR/libphc.$VERSION.dylib import='' soname=@rpath/libphc.$MAJOR.dylib ;;
windows) shared=$bin/phc.dll import=$LIBDIR/libphc.dll.a soname='' ;;
esac
if [ "$action" = install ]; then
    libs=$(scripts/system-libs.sh "$SHIP")
    prefix=$PREFIX
    [ "${RELOCATABLE:-1}" = 0 ] || prefix="\${pcfiledir}/$(relative "$pc" "$PREFIX")"
    value PREFIX "$prefix"
    value LIBDIR "$(below "$PREFIX" prefix "$LIBDIR")"
    value INCLUDEDIR "$(below "$PREFIX" prefix "$INCLUDEDIR")"
    value VERSION "$VERSION"
    value MAJOR "$MAJOR"
    # Not @SYSTEM_LIBS@ in phc.pc.in: scripts/link.sh and CMakeLists.txt read that line, too.
    values+=(-e "s|^Libs.private:.*|Libs.private: $libs|")
    value SYSTEM_LIBS "${libs// /;}"
    value POINTER_BYTES 8
    value INCLUDE "$(relative "$cmake" "$INCLUDEDIR")"
    value SHARED "$(relative "$cmake" "$shared")"
    value IMPORT "${import:+$(relative "$cmake" "$import")}"
    value SONAME "$soname"
    value ARCHIVE "$(relative "$cmake" "$LIBDIR/libphc.a")"
fi

case $system in
linux)
    put 755 "$SHIP/libphc.so" "$shared"
    link "libphc.so.$VERSION" "$LIBDIR/libphc.so.$MAJOR"
    link "libphc.so.$MAJOR" "$LIBDIR/libphc.so"
    ;;
macos)
    put 755 "$SHIP/libphc.dylib" "$shared"
    link "libphc.$VERSION.dylib" "$LIBDIR/libphc.$MAJOR.dylib"
    link "libphc.$MAJOR.dylib" "$LIBDIR/libphc.dylib"
    ;;
windows)
    put 755 "$SHIP/phc.dll" "$shared"
    put 644 "$SHIP/libphc.dll.a" "$import"
    ;;
esac
put 644 "$SHIP/libphc.a" "$LIBDIR/libphc.a"
for header in include/*.h include/*.hpp include/phc/*.hpp; do put 644 "$header" "$INCLUDEDIR/${header#include/}"; done
fill phc.pc.in "$pc/phc.pc"
for file in phcConfig phcConfigVersion; do fill "cmake/$file.cmake.in" "$cmake/$file.cmake"; done
put 644 LICENSE "$doc/LICENSE"
put 644 docs/third-party/LICENCES.txt "$doc/THIRD-PARTY.txt"

# Folders that are libphc's own.
if [ "$action" = uninstall ]; then
    for folder in "$INCLUDEDIR/phc" "$cmake" "$doc"; do
        [ ! -d "$DESTDIR$folder" ] || rmdir --ignore-fail-on-non-empty "$DESTDIR$folder"
    done
fi
