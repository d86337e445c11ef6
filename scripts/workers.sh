#!/usr/bin/env bash
# workers.sh SDK…: builds the conformance workers of these languages (all: every
# one) against target/ship, and prints NAME=COMMAND for each.
set -euo pipefail
cd "$(dirname "$0")/.."
ship=${PHC_SHIP:-$PWD/target/ship}
out=$PWD/target/workers
mkdir -p "$out"

worker_c() {
    cc -std=c11 -D_GNU_SOURCE -O1 -g -Wall -Wextra -Werror -Iinclude conformance/workers/c/*.c \
        "$ship/libphc.so" "-Wl,-rpath,$ship" -o "$out/c"
    echo "c=$out/c"
}

worker_cpp() {
    cc -std=c11 -D_GNU_SOURCE -O1 -g -Wall -Wextra -Werror -c conformance/workers/c/json.c -o "$out/json.o"
    c++ -std=c++17 -O1 -g -Wall -Wextra -Werror -Iinclude conformance/workers/cpp/worker.cpp "$out/json.o" \
        "$ship/libphc.so" "-Wl,-rpath,$ship" -o "$out/cpp"
    echo "cpp=$out/cpp"
}

worker_go() {
    scripts/go-archive.sh "$ship" >&2
    # Go links again only what it has not linked already, and does not look at
    # the archive for that.
    rm -f "$out/go"
    (cd conformance/workers/go && go build -o "$out/go" .)
    echo "go=$out/go"
}

worker_ruby() {
    echo "ruby=env PHC_LIBRARY=$ship/libphc.so ruby -I$PWD/bindings/ruby/lib $PWD/conformance/workers/ruby/worker.rb"
}

worker_php() {
    echo "php=env PHC_LIBRARY=$ship/libphc.so php $PWD/conformance/workers/php/worker.php"
}

known=(c cpp go ruby php)
wanted=("$@")
if [ ${#wanted[@]} -eq 0 ] || [ "${wanted[0]}" = all ]; then wanted=("${known[@]}"); fi
for sdk in "${wanted[@]}"; do
    if ! declare -F "worker_$sdk" >/dev/null; then
        echo "there is no worker for '$sdk'; there are: ${known[*]}" >&2
        exit 2
    fi
    "worker_$sdk"
done
