#!/usr/bin/env bash
# cpp-guide.sh SINK: what docs/cpp.md shows is true: its quickstart is the example, which is built as it says and run;
# every other piece of C++ in it compiles.
set -euo pipefail
cd "$(dirname "$0")/.."
SINK=$1
. scripts/common.sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Each ```cpp block becomes a file; the first is the quickstart.
awk -v work="$work" '/^```cpp$/ { name = sprintf("%s/block-%02d", work, n++); next } /^```$/ { name = "" } name { print > name }' docs/cpp.md
diff "$work/block-00" examples/cpp/quickstart.cpp || { echo "the quickstart of docs/cpp.md is not the example"; exit 1; }
{
    printf '#include <phc.hpp>\n#include <iostream>\n#include <map>\n#include <string>\n#include <vector>\n'
    for block in "$work"/block-*; do
        [ "$block" = "$work/block-00" ] && continue
        name=${block##*-}
        printf 'void piece_%s(phc::client &client);\nvoid piece_%s(phc::client &client) {\n(void)client;\n' "$name" "$name"
        cat "$block"
        echo '}'
    done
} >"$work/pieces.cpp"
pieces=$(grep -c '^void piece_.*{$' "$work/pieces.cpp")
[ "$pieces" -ge 7 ]
g++ -std=c++17 -Wall -Wextra -Wno-unused-variable -Werror -Iinclude -fsyntax-only "$work/pieces.cpp"

make -s install DESTDIR="$work" PREFIX=/opt/phc
export PKG_CONFIG_PATH=$work/opt/phc/lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$work
cp examples/cpp/quickstart.cpp "$work"
link_line=$(grep -o 'c++ .*quickstart.cpp .*-o quickstart' docs/cpp.md | sort -u)
echo "$link_line"
(cd "$work" && sh -c "$link_line")
start_sink "$work" --quiet
sink=http://127.0.0.1:$SINK_PORT
LD_LIBRARY_PATH=$work/opt/phc/lib timeout 60 "$work/quickstart" "$sink" phc_guide >"$work/said"
cat "$work/said"
grep -q '^flush: ok; 3 delivered, 0 lost, 0 pending$' "$work/said"
grep -q '^refused: capture: ' "$work/said"
[ "$(grep -c 'delivered: attempt 1, HTTP 200' "$work/said")" -eq 3 ]
curl -fsS "$sink/_summary" | grep -q '"accepted":3,.*"violations":{}'
# An address without a known scheme is an error in words.
if LD_LIBRARY_PATH=$work/opt/phc/lib "$work/quickstart" ftp://nowhere phc_guide 2>"$work/said"; then exit 1; fi
grep -q host "$work/said"
stop_sink
echo "C++ guide: the quickstart ran, $pieces pieces compile"
