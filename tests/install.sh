#!/usr/bin/env bash
# make install, the link line of the README, make uninstall.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
make -s install DESTDIR="$work" PREFIX=/opt/phc
[ -L "$work/opt/phc/lib/libphc.so" ] && [ -L "$work/opt/phc/lib/libphc.so.0" ]
export PKG_CONFIG_PATH=$work/opt/phc/lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$work
cp examples/c/quickstart.c "$work"
link_line=$(grep -o 'cc quickstart.c .*-o quickstart' README.md)
echo "$link_line"
(cd "$work" && sh -c "$link_line")
# By its SONAME, as the dynamic linker finds it.
readelf -d "$work/quickstart" | grep 'NEEDED.*\[libphc.so.0\]'
usage=$(LD_LIBRARY_PATH=$work/opt/phc/lib "$work/quickstart" 2>&1 || true)
[[ $usage == usage:* ]] || { echo "the installed example says: $usage"; exit 1; }
# The archive, by the same file.
read -ra archive < <(pkg-config --cflags --libs phc)
read -ra system < <(pkg-config --libs --static phc | sed 's/-lphc//')
cc "$work/quickstart.c" -Wl,-Bstatic "${archive[@]}" -Wl,-Bdynamic "${system[@]}" -o "$work/static"
if readelf -d "$work/static" | grep libphc; then echo "linked to the shared library"; exit 1; fi
# The C++ binding and its CMake package are there (tests/cmake.sh builds with them) and name no place of this machine.
for file in include/phc.hpp include/phc/client.hpp lib/cmake/phc/phcConfig.cmake lib/cmake/phc/phcConfigVersion.cmake; do
    [ -f "$work/opt/phc/$file" ] || { echo "$file is not installed"; exit 1; }
done
if grep -n '@\|/opt/phc' "$work"/opt/phc/lib/cmake/phc/*; then echo "not filled in, or not relocatable"; exit 1; fi
make -s uninstall DESTDIR="$work" PREFIX=/opt/phc
left=$(find "$work/opt" ! -type d -o -path '*/phc/*/phc')
[ -z "$left" ] || { echo "left behind: $left"; exit 1; }
