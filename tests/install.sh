#!/usr/bin/env bash
# make install in several layouts, moved to another place, used by the link line of the README and by CMake, and
# make uninstall.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "FAILED: $*"; exit 1; }
link_line=$(grep -o 'cc quickstart.c .*-o quickstart' README.md)
echo "$link_line"

# layout NAME PREFIX LIB INCLUDE [VARIABLE=…]: LIB and INCLUDE are seen from PREFIX.
layout() {
    local name=$1 prefix=$2 lib=$3 include=$4 usage left file here
    shift 4
    echo "== $name"
    local stage=$work/$name/stage moved=$work/$name/moved build=$work/$name/build
    make -s install DESTDIR="$stage" PREFIX="$prefix" "$@" >"$work/installed"
    # It says what it installed, and where.
    grep -q "$stage$prefix/$lib/libphc.so.0 ->" "$work/installed" || fail "it does not say what it installed"
    for file in "$lib/libphc.so" "$lib/libphc.so.0" "$lib/libphc.a" "$lib/pkgconfig/phc.pc" "$include/phc.h" \
        "$include/phc.hpp" "$include/phc/client.hpp" "$lib/cmake/phc/phcConfig.cmake" \
        "$lib/cmake/phc/phcConfigVersion.cmake" share/doc/libphc/LICENSE share/doc/libphc/THIRD-PARTY.txt; do
        [ -e "$stage$prefix/$file" ] || fail "$file is not installed"
    done
    if grep -n "@\|$stage\|=/" "$stage$prefix/$lib/pkgconfig/phc.pc" "$stage$prefix/$lib/cmake/phc"/*; then
        fail "not filled in, or not relocatable"
    fi
    mkdir -p "$build"
    mv "$stage$prefix" "$moved"
    cp examples/c/quickstart.c "$build"
    export PKG_CONFIG_PATH=$moved/$lib/pkgconfig
    (cd "$build" && sh -c "$link_line")
    # By its SONAME, as the dynamic linker finds it.
    readelf -d "$build/quickstart" | grep 'NEEDED.*\[libphc.so.0\]'
    usage=$(LD_LIBRARY_PATH=$moved/$lib "$build/quickstart" 2>&1 || true)
    [[ $usage == usage:* ]] || fail "the installed example says: $usage"
    # The archive, by the same file.
    read -ra archive < <(pkg-config --cflags --libs phc)
    read -ra system < <(pkg-config --libs --static phc | sed 's/-lphc//')
    cc "$build/quickstart.c" -Wl,-Bstatic "${archive[@]}" -Wl,-Bdynamic "${system[@]}" -o "$build/static"
    if readelf -d "$build/static" | grep libphc; then fail "linked to the shared library"; fi
    # By CMake. On Debian it does not look in lib64.
    here=-DCMAKE_PREFIX_PATH=$moved
    [ "$lib" != lib64 ] || here=-Dphc_DIR=$moved/lib64/cmake/phc
    if ! { cmake -S tests/cpp/consumers/find_package -B "$build/cmake" "$here" &&
        cmake --build "$build/cmake" --target with_phc with_phc_static; } >"$work/cmake" 2>&1; then
        cat "$work/cmake"
        fail "find_package"
    fi
    "$build/cmake/with_phc"
    "$build/cmake/with_phc_static"
    # What uninstall removes is what install put there.
    mv "$moved" "$stage$prefix"
    make -s uninstall DESTDIR="$stage" PREFIX="$prefix" "$@"
    left=$(find "$stage" ! -type d -o -path '*phc*/phc' -o -name libphc)
    [ -z "$left" ] || fail "left behind: $left"
}
layout default /opt/phc lib include
triplet=$(cc -print-multiarch)
layout multiarch /usr "lib/$triplet" include/vendor "LIBDIR=/usr/lib/$triplet" INCLUDEDIR=/usr/include/vendor
layout lib64 '' lib64 include LIBDIR=/lib64

echo "== fixed places"
make -s install DESTDIR="$work/fixed" PREFIX=/usr LIBDIR=/usr/lib/x86_64-linux-gnu RELOCATABLE=0 >/dev/null
grep -qx 'prefix=/usr' "$work/fixed/usr/lib/x86_64-linux-gnu/pkgconfig/phc.pc" || fail "phc.pc has another prefix"
said=$(PKG_CONFIG_PATH=$work/fixed/usr/lib/x86_64-linux-gnu/pkgconfig pkg-config --variable=libdir phc)
[ "$said" = /usr/lib/x86_64-linux-gnu ] || fail "libdir is $said"
said=$(PKG_CONFIG_PATH=$work/fixed/usr/lib/x86_64-linux-gnu/pkgconfig PKG_CONFIG_SYSROOT_DIR=$work/fixed \
    pkg-config --cflags phc)
[[ $said == *"$work/fixed/usr/include"* ]] || fail "below a sysroot, the headers are $said"

echo "== libraries from elsewhere"
# An archive with an unwinder of its own does not need that of gcc.
mkdir "$work/ship"
cp target/ship/libphc.so "$work/ship"
echo 'int phc_nothing;' >"$work/nothing.c"
(cd "$work" && cc -c nothing.c && ar crs ship/libphc.a nothing.o)
needs() { make -s install SHIP="$1" DESTDIR="$2" >/dev/null && grep '^Libs.private' "$2/usr/local/lib/pkgconfig/phc.pc"; }
[[ $(needs "$root/target/ship" "$work/with") == *-lgcc_s* ]] || fail "Libs.private lacks -lgcc_s"
[[ $(needs "$work/ship" "$work/without") == "Libs.private: -l"[!g]* ]] || fail "Libs.private has -lgcc_s"
grep -q '^Libs.private: .* -Wl,--eh-frame-hdr$' "$work/without/usr/local/lib/pkgconfig/phc.pc" ||
    fail "Libs.private leaves the table of frames out of static programs"
if grep -n eh-frame-hdr "$work/with/usr/local/lib/pkgconfig/phc.pc"; then fail "the unwinder of gcc needs no option"; fi
if grep -n gcc_s "$work/without/usr/local/lib/cmake/phc/phcConfig.cmake"; then fail "phcConfig.cmake has gcc_s"; fi
# A mistake is explained.
if make -s install PREFIX=opt DESTDIR="$work/relative" >"$work/said" 2>&1; then fail "a relative PREFIX was taken"; fi
grep -q 'PREFIX must be an absolute path' "$work/said" || fail "a relative PREFIX: $(cat "$work/said")"
echo "make install: passed"
